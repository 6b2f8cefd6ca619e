import numpy as np
import pytest

from msrn.data.archives import pack
from msrn.data.archives.pack import Piece, Plan, content_digest, open_packed
from msrn.errors import MsrnError

SIZES = (3, 1, 700, 5)  # one is mapped in two blocks


class Source:
    """Pieces whose content is their place, and how often each was filled."""

    def __init__(self, sizes=SIZES, masks=True):
        self.sizes, self.masks, self.filled = sizes, masks, [0] * len(sizes)
        self.broken, self.interrupt = set(), None

    def plan(self):
        pieces = [Piece(size, lambda window, k=k: self.fill(k, window)) for k, size in enumerate(self.sizes)]
        return Plan("toy", pieces, {"number": np.arange(sum(self.sizes))}, self.masks)

    def fill(self, piece, window):
        if piece == self.interrupt:
            raise KeyboardInterrupt
        if piece in self.broken:
            raise MsrnError(f"file {piece} is torn")
        self.filled[piece] += 1
        start, size = sum(self.sizes[:piece]), self.sizes[piece]
        for first in range(0, size, 100):
            rows = window(first, min(first + 100, size))
            number = np.arange(start + first, start + first + len(rows["images"]))
            rows["images"][:] = (number % 251)[:, None, None, None]
            rows["pose"][:] = number[:, None]
            if self.masks:
                rows["masks"][:] = (number % 2 == 0)[:, None, None]

    def open(self, key="key"):
        return open_packed("toy", key, self.plan)


def check(arrays):
    number = np.arange(sum(SIZES))
    np.testing.assert_array_equal(arrays["number"], number)
    np.testing.assert_array_equal(
        arrays["images"], np.broadcast_to((number % 251)[:, None, None, None], (709, 3, 64, 64))
    )
    np.testing.assert_array_equal(arrays["masks"], np.broadcast_to((number % 2 == 0)[:, None, None], (709, 64, 64)))
    np.testing.assert_array_equal(arrays["pose"][:, 1], number)


def test_every_image_lies_at_its_place_and_is_packed_once(cache):
    source = Source()
    check(source.open())
    arrays = source.open()
    assert source.filled == [1] * 4 and isinstance(arrays["images"], np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        arrays["images"][0] = 0


def test_masks_may_be_absent(cache):
    assert "masks" not in Source(masks=False).open()


def test_the_digest_is_of_the_content_alone(cache):
    class Other(Source):
        def fill(self, piece, window):
            super().fill(piece, window)
            if piece == 2:
                window(699, 700)["images"][0, 0, 0, 0] ^= 1

    digests = [content_digest(source.open(key)) for source, key in ((Source(), "a"), (Source(), "b"), (Other(), "c"))]
    assert digests[0] == digests[1] != digests[2]


def one_thread(monkeypatch):
    monkeypatch.setattr(pack, "WORKERS", 1)


def test_an_interrupted_packing_goes_on(cache, monkeypatch):
    one_thread(monkeypatch)
    source = Source()
    source.interrupt = 3
    with pytest.raises(KeyboardInterrupt):
        source.open()
    assert not (cache / "toy" / "key").exists()
    source.interrupt = None
    before = list(source.filled)
    assert before[0] == 1
    check(source.open())
    assert source.filled[:2] == before[:2] == [1, 1]  # what had its digest was not read again


def test_what_was_packed_of_other_images_is_packed_again(cache):
    """The same number of them: one that was left out was mended meanwhile, another one spoiled."""
    source = Source()
    source.broken = {3}
    with pytest.raises(MsrnError):
        source.open()
    source.broken, plan = set(), source.plan()
    plan.columns["number"] += 1
    found = open_packed("toy", "key", lambda: plan)
    assert source.filled == [2, 2, 2, 1] and found["number"][0] == 1


def test_what_was_torn_after_an_interruption_is_packed_again(cache, monkeypatch):
    one_thread(monkeypatch)
    source = Source()
    source.broken = {3}
    with pytest.raises(MsrnError):
        source.open()
    partial = cache / "toy" / "key.partial" / "images.npy"
    images = np.load(partial, mmap_mode="r+")
    images[2] = 77  # as a lost power supply leaves it
    del images
    source.broken = set()
    check(source.open())
    assert source.filled == [2, 1, 1, 1]


def test_bad_files_are_named_together_and_the_rest_is_kept(cache):
    source = Source()
    source.broken = {1, 3}
    with pytest.raises(MsrnError, match="toy cannot be packed: file 1 is torn; file 3 is torn") as caught:
        source.open()
    assert "\n" not in str(caught.value)
    source.broken = set()
    check(source.open())
    assert source.filled == [1] * 4


def test_an_error_of_another_kind_keeps_what_was_packed(cache, monkeypatch):
    """None should come, but hours of packing do not hang on that."""
    one_thread(monkeypatch)
    source = Source()
    whole = source.fill

    def fill(piece, window):
        if piece == 3:
            raise IndexError("of a decoder")
        whole(piece, window)

    source.fill = fill
    with pytest.raises(IndexError):
        source.open()
    source.fill = whole
    check(source.open())
    assert source.filled[:2] == [1, 1]


def test_twenty_problems_are_enough(cache, monkeypatch):
    one_thread(monkeypatch)
    source = Source([1] * 500)
    source.broken = set(range(500))
    with pytest.raises(MsrnError, match="20 problems and maybe more: file 0 is torn; .* and [0-9]+ more"):
        source.open()
    assert not any(source.filled)


def test_what_other_keys_left_is_deleted_and_a_running_one_is_not(cache):
    from filelock import FileLock

    source = Source()
    source.broken = {0}
    for key in ("old", "busy"):
        with pytest.raises(MsrnError):
            source.open(key)
    source.broken = set()
    with FileLock(cache / "toy" / "busy.lock"):
        check(source.open("new"))
    folders = {path.name for path in (cache / "toy").iterdir() if path.is_dir()}
    assert folders == {"busy.partial", "new"}

import errno
import multiprocessing
import os

import numpy as np
import pytest

from msrn.errors import MsrnError
from msrn.store import array_cache as cache_module
from msrn.store.array_cache import cached_arrays

VALUES = np.arange(3000, dtype=np.float32).reshape(1000, 3)


class Build:
    """Writes VALUES and a second array, and counts how often it was asked to."""

    def __init__(self):
        self.count = 0

    def __call__(self, make):
        self.count += 1
        make("values", VALUES.shape, "float32")[:] = VALUES
        flags = make("flags", (10,), "bool")
        flags[:5], flags[5:] = True, False


def test_built_once_then_mapped_read_only(cache):
    build = Build()
    for _ in range(2):
        arrays = cached_arrays("features", "key", build)
        assert isinstance(arrays["values"], np.memmap)
        np.testing.assert_array_equal(arrays["values"], VALUES)
        np.testing.assert_array_equal(arrays["flags"], [True] * 5 + [False] * 5)
        with pytest.raises(ValueError, match="read-only"):
            arrays["values"][0] = 1
    assert build.count == 1
    cached_arrays("features", "other", build)
    assert build.count == 2


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def change_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, change_a_byte, os.remove], ids=["truncated", "changed", "missing"])
@pytest.mark.parametrize("name", ["values.npy", "manifest.json"])
def test_a_torn_cache_is_built_again(cache, damage, name):
    build = Build()
    cached_arrays("features", "key", build)
    damage(cache / "features" / "key" / name)
    np.testing.assert_array_equal(cached_arrays("features", "key", build)["values"], VALUES)
    assert build.count == 2


def test_a_large_file_torn_anywhere_in_a_megabyte_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "BLOCKS", 8)  # so that 2 MB count as large
    path = tmp_path / "large.npy"
    content = np.random.default_rng(0).bytes(2_000_000)
    path.write_bytes(content)
    whole = cache_module._digest(path)
    for start in range(0, 1_500_000, 250_000):
        path.write_bytes(content[:start] + bytes(400_000) + content[start + 400_000 :])
        assert cache_module._digest(path) != whole
    path.write_bytes(content[:-1])
    assert cache_module._digest(path) != whole


def test_leftovers_of_a_killed_process_do_not_matter(cache):
    partial = cache / "features" / "key.partial"
    partial.mkdir(parents=True)
    (partial / "values.npy").write_bytes(b"half")
    np.testing.assert_array_equal(cached_arrays("features", "key", Build())["values"], VALUES)
    assert not partial.exists()


def folders(cache):
    return [path.name for path in (cache / "features").iterdir() if path.is_dir()]


def test_full_disk_is_one_clear_line_and_leaves_nothing(cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache_module, "_reserve", full)
    with pytest.raises(MsrnError, match="the disk is full.*MSRN_CACHE") as caught:
        cached_arrays("features", "key", Build())
    assert "\n" not in str(caught.value) and str(cache) in str(caught.value)
    assert folders(cache) == []


def test_a_build_that_fails_leaves_nothing(cache):
    def build(make):
        make("values", (10,), "float32")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_arrays("features", "key", build)
    assert folders(cache) == []
    assert cached_arrays("features", "key", Build())["flags"].sum() == 5


@pytest.mark.parametrize("error", [MsrnError, IndexError, KeyboardInterrupt])
def test_what_can_be_resumed_is_kept_however_the_build_failed(cache, error):
    def build(make):
        make("values", VALUES.shape, "float32")[:5] = 7
        raise error("stop")

    with pytest.raises(error):
        cached_arrays("features", "key", build, resume=True)
    found = []
    with pytest.raises(error):
        cached_arrays("features", "key", lambda make: (found.append(make("values", VALUES.shape, "float32")[4, 0]),
                                                       build(make)), resume=True)  # fmt: skip
    assert found == [7]


def test_a_full_disk_keeps_nothing_that_was_only_reserved(cache, monkeypatch):
    def build(make):
        make("values", VALUES.shape, "float32")
        monkeypatch.setattr(cache_module, "_reserve", full)
        make("more", VALUES.shape, "float32")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(MsrnError, match="the disk is full"):
        cached_arrays("features", "key", build, resume=True)
    assert folders(cache) == []


def test_a_torn_array_is_reserved_anew_when_a_build_is_resumed(cache):
    partial = cache / "features" / "key.partial"
    partial.mkdir(parents=True)
    (partial / "values.npy").write_bytes(b"half")
    (partial / "flags.npy").write_bytes(b"")
    arrays = cached_arrays("features", "key", Build(), resume=True)
    np.testing.assert_array_equal(arrays["values"], VALUES)


def test_space_is_reserved_before_anything_is_written(cache):
    def build(make):
        make("values", (1_000_000,), "float32")
        file = cache / "features" / "key.partial" / "values.npy"
        assert file.stat().st_blocks * 512 >= 4_000_000  # not a hole that a full disk turns into a crash

    cached_arrays("features", "key", build)


def test_unusable_cache_folder_is_one_clear_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "file"))
    with pytest.raises(MsrnError, match="cannot be written.*MSRN_CACHE"):
        cached_arrays("features", "key", Build())


def open_in_process(barrier, queue):
    def build(make):
        values = make("values", VALUES.shape, "float32")
        for row in range(len(VALUES)):  # slow enough to overlap
            values[row] = VALUES[row]
        with open(os.environ["MSRN_CACHE"] + "/builds", "a") as file:
            file.write("x")

    barrier.wait()
    queue.put(bool(np.array_equal(cached_arrays("features", "key", build)["values"], VALUES)))


def test_processes_that_open_at_once_all_get_a_whole_cache_built_once(cache):
    cache.mkdir()
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(3), context.Queue()
    workers = [context.Process(target=open_in_process, args=(barrier, queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [queue.get(timeout=60) for _ in workers] == [True] * 3
    for worker in workers:
        worker.join()
    assert (cache / "builds").read_text() == "x"

"""Photographs of one's own: any size and kind, damaged ones among them, splits, masks, and what is refused."""

import os

import numpy as np
import pytest
from PIL import Image

from msrn.data import open_collection
from msrn.data.photo_folder.reader import SIZE
from msrn.data.photo_folder.splits import SPLITS
from msrn.errors import MsrnError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))


def picture(width: int = 40, height: int = 30, color=(200, 40, 40)) -> Image.Image:
    return Image.new("RGB", (width, height), color)


@pytest.fixture
def root(tmp_path):
    """Twelve photographs of each of two categories."""
    for category, color in (("cup", (200, 40, 40)), ("stühle mit lehne", (40, 40, 200))):
        (tmp_path / "photos" / category).mkdir(parents=True)
        for number in range(12):
            picture(40 + number, 30, color).save(tmp_path / "photos" / category / f"{number:02d}.png")
    return tmp_path / "photos"


def opened(root, split="train"):
    return open_collection("folder", split, root)


def test_every_photograph_is_in_one_split(root):
    names = [set(opened(root, split).object_id) for split in SPLITS]
    assert sum(map(len, names)) == len(set.union(*names)) == 24
    assert all(part == set(opened(root, split).object_id) for part, split in zip(names, SPLITS, strict=True))
    picture().save(root / "cup" / "new.png")
    again = [set(opened(root, split).object_id) for split in SPLITS]
    assert all(before <= after for before, after in zip(names, again, strict=True))  # nothing changes its split


@pytest.mark.parametrize("counts", [(3,), (1, 1, 1, 3), (2, 2), (1, 28), (5,), (9,)])
def test_few_photographs_leave_no_split_empty_and_no_category_untrained(tmp_path, counts):
    for number, count in enumerate(counts):
        (tmp_path / "few" / f"kind {number}").mkdir(parents=True)
        for k in range(count):
            picture(30 + k).save(tmp_path / "few" / f"kind {number}" / f"{k}.jpg")
    names = {split: list(opened(tmp_path / "few", split).object_id) for split in SPLITS}
    assert all(names.values()) and sorted(sum(names.values(), [])) == sorted(
        f"kind {number}/{k}.jpg" for number, count in enumerate(counts) for k in range(count)
    )
    assert set(opened(tmp_path / "few").category) == set(range(len(counts)))


def test_too_few_photographs_for_a_split_are_one_line(tmp_path):
    (tmp_path / "lone" / "cup").mkdir(parents=True)
    picture().save(tmp_path / "lone" / "cup" / "a.jpg")
    assert list(opened(tmp_path / "lone").object_id) == ["cup/a.jpg"]
    with pytest.raises(MsrnError, match=r"no photograph for split 'val'.*: add some \(three in one do\)"):
        opened(tmp_path / "lone", "val")


def test_splits_of_ones_own(root, tmp_path):
    own = tmp_path / "own"
    for split in SPLITS:
        (own / split).mkdir(parents=True)
        os.rename(root / "cup", own / split / "cup") if split == "train" else (own / split / "cup").mkdir()
    picture().save(own / "test" / "cup" / "a.jpg")
    assert len(opened(own)) == 12 and list(opened(own, "test").object_id) == ["cup/a.jpg"]
    with pytest.raises(MsrnError, match="no photograph for split 'val'"):
        opened(own, "val")


def test_a_photograph_is_whole_and_in_the_middle(root):
    Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (50, 1))).save(root / "cup" / "wide.png")  # grey
    train = next(c for c in (opened(root, s) for s in SPLITS) if "cup/wide.png" in c.object_id)
    image = train.images[list(train.object_id).index("cup/wide.png")]
    assert image.shape == (3, SIZE, SIZE) and train.masks is None
    middle = image[0, SIZE // 2]
    assert np.all(np.diff(middle.astype(int)) >= 0) and middle[0] <= 2 and middle[-1] >= 197
    assert np.array_equal(image[0, 0], middle) and np.array_equal(image[0], image[2])  # padded with its border


def one(tmp_path, saved, name="a.png", **how):
    folder = tmp_path / "single" / "train" / "thing"
    folder.mkdir(parents=True)
    saved.save(folder / name, **how)
    return opened(tmp_path / "single").images[0]


def test_transparency_lies_on_white(tmp_path):
    layer = Image.new("RGBA", (64, 64), (10, 20, 30, 0))
    assert (one(tmp_path, layer) == 255).all()


def test_a_palette_with_transparency_lies_on_white(tmp_path):
    layer = Image.new("P", (64, 64), 0)
    layer.putpalette([10, 20, 30] * 256)
    assert (one(tmp_path, layer, transparency=0) == 255).all()


def test_sixteen_bits(tmp_path):
    values = np.linspace(0, 30000, 64 * 64).reshape(64, 64).astype(np.uint16)
    image = one(tmp_path, Image.fromarray(values))
    assert image[0, 0, 0] <= 1 and abs(int(image[0, -1, -1]) - 30000 / 257) <= 1


def test_exif_says_what_is_up(tmp_path):
    turned = Image.fromarray(np.r_[np.zeros((32, 64)), np.full((32, 64), 255)].astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image = one(tmp_path, turned.convert("RGB"), "a.jpg", exif=exif)
    assert image[:, 8].mean() > 240 and image[:, -8].mean() < 15


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 900)])
def test_odd_sizes(tmp_path, size):
    assert (one(tmp_path, picture(*size))[0] == 200).all()


def test_damaged_files_are_named_counted_and_left_out(root, capsys):
    whole = {split: len(opened(root, split)) for split in SPLITS}
    for number in range(30):
        (root / "cup" / f"torn{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(number))
    (root / "cup" / "notes.txt").write_text("no photograph")
    (root / "cup" / ".hidden.png").write_bytes(b"")
    capsys.readouterr()
    assert {split: len(opened(root, split)) for split in SPLITS} == whole
    said = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(said) == 3 and said[0].count("torn") == 20 and "; and 10 more" in said[0]
    assert "30 of 54 photographs" in said[0] and "is not a whole image" in said[0]
    train = opened(root)
    assert len(train.category) == len(train.object_id) == len(train.images) and (train.images.std((1, 2, 3)) > 0).all()


def test_all_damaged(tmp_path):
    (tmp_path / "photos" / "train" / "cup").mkdir(parents=True)
    (tmp_path / "photos" / "train" / "cup" / "a.png").write_bytes(b"nothing")
    with pytest.raises(MsrnError, match="none of the 1 files of split 'train' is a whole image"):
        opened(tmp_path / "photos")


def test_masks_of_ones_own(root):
    for category in ("cup", "stühle mit lehne"):
        (root / "masks" / category).mkdir(parents=True)
        for path in (root / category).iterdir():
            width, height = Image.open(path).size
            mask = np.zeros((height, width), np.uint8)
            mask[:, : width // 2] = 255
            Image.fromarray(mask).save(root / "masks" / category / path.name)
    train = opened(root)
    assert train.categories == ("cup", "stühle mit lehne") and train.masks.shape == (len(train), SIZE, SIZE)
    assert (train.images.transpose(0, 2, 3, 1)[~train.masks] == 255).all()
    assert abs(train.masks.mean() - 0.5 * 30 / 45) < 0.05 and not train.masks[:, :10].any()
    victim = root / "masks" / train.object_id[0]
    picture(7, 7).save(victim)
    assert len(opened(root)) == len(train) - 1  # a mask of another size is named and left out
    victim.unlink()
    with pytest.raises(MsrnError, match="has no mask: expected"):
        opened(root)


def test_links_out_of_the_folder_are_not_followed(root, tmp_path, capsys):
    picture().save(tmp_path / "secret.png")
    before = sum(len(opened(root, split)) for split in SPLITS)
    os.symlink(tmp_path / "secret.png", root / "cup" / "link.png")
    assert sum(len(opened(root, split)) for split in SPLITS) == before
    assert "leads out of" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["nothing", "file", "empty", "flat"])
def test_a_wrong_folder_is_one_line(tmp_path, wrong):
    place = tmp_path / wrong
    if wrong == "file":
        place.write_text("")
    elif wrong != "nothing":
        place.mkdir()
    if wrong == "flat":
        picture().save(place / "a.png")
    with pytest.raises(MsrnError) as error:
        opened(place)
    assert str(place) in str(error.value) and "\n" not in str(error.value)


def test_no_root_and_no_truth(root):
    with pytest.raises(MsrnError, match="give its folder as data_root"):
        open_collection("folder", "train")
    train = opened(root)
    for asked in (lambda: train.ground_truth(train.object_id[0]), train.true_pose):
        with pytest.raises(MsrnError, match="no true shapes or poses"):
            asked()


def test_the_fingerprint_is_of_the_content(root, tmp_path):
    first = opened(root).fingerprint
    os.rename(root, tmp_path / "moved")
    assert opened(tmp_path / "moved").fingerprint == first
    name = opened(tmp_path / "moved").object_id[0]
    picture(40, 30, (1, 2, 3)).save(tmp_path / "moved" / name)
    assert opened(tmp_path / "moved").fingerprint != first


def test_what_decides_the_numbers_of_categories_is_in_the_fingerprint(tmp_path):
    for split, category in (("train", "a"), ("train", "c"), ("test", "b")):
        (tmp_path / split / category).mkdir(parents=True)
        picture().save(tmp_path / split / category / "one.png")
    before = opened(tmp_path)
    os.rename(tmp_path / "test" / "b", tmp_path / "test" / "d")
    after = opened(tmp_path)
    assert before.category.tolist() == [0, 2] and after.category.tolist() == [0, 1]
    assert before.fingerprint != after.fingerprint


def test_equal_splits_have_fingerprints_of_their_own(tmp_path):
    for split in SPLITS:
        (tmp_path / split / "a").mkdir(parents=True)
        picture().save(tmp_path / split / "a" / "one.png")
    assert len({opened(tmp_path, split).fingerprint for split in SPLITS}) == 3


def test_folders_of_equal_stamps_are_told_apart(tmp_path):
    """As archives with one time for all files make them, of images that are not compressed."""
    for folder, color in (("dark", (10, 10, 10)), ("light", (200, 200, 200))):
        (tmp_path / folder / "train" / "a").mkdir(parents=True)
        picture(8, 8, color).save(tmp_path / folder / "train" / "a" / "one.bmp")
        os.utime(tmp_path / folder / "train" / "a" / "one.bmp", ns=(0, 0))
    assert [int(opened(tmp_path / folder).images[0, 0, 0, 0]) for folder in ("dark", "light")] == [10, 200]


@pytest.fixture
def masked(tmp_path):
    """A photograph and a mask, in splits of one's own."""
    for folder in ("train/a", "test/a", "masks/train/a", "masks/test/a"):
        (tmp_path / folder).mkdir(parents=True)
    for split, side in (("train", slice(4)), ("test", slice(4, 8))):
        picture(8, 8).save(tmp_path / split / "a" / "one.jpg")
        mask = np.zeros((8, 8), np.uint8)
        mask[:, side] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / split / "a" / "one.png")
    return tmp_path


def test_splits_of_ones_own_have_masks_of_their_own(masked):
    train, test = opened(masked), opened(masked, "test")
    assert np.array_equal(train.masks, ~test.masks)


@pytest.mark.parametrize("kind", ["ones", "transparent", "palette"])
def test_a_mask_that_is_dark_everywhere_is_named(masked, capsys, kind):
    inside = np.zeros((8, 8), np.uint8)
    inside[2:6, 2:6] = 1
    mask = Image.fromarray(inside)
    if kind == "transparent":
        mask = Image.fromarray(np.dstack([np.full((8, 8, 3), 255, np.uint8), inside]))
    elif kind == "palette":
        mask = Image.fromarray(inside, "P")
        mask.putpalette([0, 0, 0, 128, 0, 0])
    mask.save(masked / "masks" / "train" / "a" / "one.png")
    with pytest.raises(MsrnError, match="none of the 1 files"):
        opened(masked)
    assert "one.png is dark everywhere: expected 255 where the object is" in capsys.readouterr().err


def test_photographs_that_would_share_a_mask_are_refused(masked):
    picture(8, 8).save(masked / "train" / "a" / "one.png")
    with pytest.raises(MsrnError, match=r"one\.png and one\.jpg would share a mask: give them names that differ"):
        opened(masked)


def test_what_is_left_out_is_said_every_time(root, capsys):
    (root / "cup" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "cup" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    values = np.full((8, 8), np.nan, np.float32)
    Image.fromarray(values).save(root / "cup" / "depth.tiff")
    for split in SPLITS:
        opened(root, split)
    first = capsys.readouterr().err
    assert "phone.HEIC is in a camera's own format: save it as JPG or PNG" in first
    assert "depth.tiff is not a whole image (values that are no numbers)" in first
    for split in SPLITS:
        opened(root, split)
    again = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert all(name in " ".join(again) for name in ("torn.png", "phone.HEIC", "depth.tiff"))


# --------------------------------------------------------------------------------------- what people's folders hold


def layer(colors: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([colors, alpha]))


BLACK, INSIDE = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)
INSIDE[2:6, 1:5] = 255
WANTED = np.kron(INSIDE == 255, np.ones((SIZE // 8, SIZE // 8), bool))


@pytest.mark.parametrize(
    "mask",
    [
        layer(BLACK, INSIDE),  # a cut-out of a dark object
        layer(np.full((8, 8, 3), 90, np.uint8), INSIDE),
        layer(np.repeat(INSIDE[..., None], 3, 2), np.full((8, 8), 255, np.uint8)),  # opaque: a mask like any other
        Image.fromarray(np.dstack([INSIDE // 3, INSIDE]), "LA"),
        Image.fromarray(INSIDE),
        Image.fromarray(INSIDE).convert("1"),
        Image.fromarray(INSIDE.astype(np.uint16) * 257),
        Image.fromarray(INSIDE).convert("P"),
    ],
    ids=["dark cut-out", "cut-out", "opaque", "grey and alpha", "grey", "two values", "16 bits", "palette"],
)
def test_a_mask_is_its_alpha_where_that_says_anything(masked, mask):
    mask.save(masked / "masks" / "train" / "a" / "one.png")
    assert np.array_equal(opened(masked).masks[0], WANTED)


def ring(thick: int, inset: int = 0) -> np.ndarray:
    mask = np.zeros((100, 100), np.uint8)
    mask[inset : 100 - inset, inset : 100 - inset] = 255
    mask[inset + thick : 100 - inset - thick, inset + thick : 100 - inset - thick] = 0
    return mask


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.full((100, 100), 255, np.uint8), "covers the whole frame: expected 255 where the object is"),
        (ring(2), "covers only a border"),
        (ring(2, 20), "covers only a border"),
        (ring(12, 20), ""),  # a picture frame is an object
        (np.pad(np.full((100, 2), 255, np.uint8), ((0, 0), (49, 49))), ""),  # and so is a pole
    ],
)
def test_a_mask_that_is_no_object_is_named(tmp_path, capsys, mask, said):
    for folder, content in (("train/a", picture(100, 100)), ("masks/train/a", Image.fromarray(mask))):
        (tmp_path / folder).mkdir(parents=True)
        content.save(tmp_path / folder / "one.png")
    if said:
        with pytest.raises(MsrnError, match="none of the 1 files"):
            opened(tmp_path)
        assert said in capsys.readouterr().err
    else:
        assert opened(tmp_path).masks.any() and "left out" not in capsys.readouterr().err


def test_a_category_one_folder_deeper_is_counted(root, capsys):
    (root / "lamp" / "day1").mkdir(parents=True)
    for number in range(6):
        picture().save(root / "lamp" / "day1" / f"{number}.png")
    (root / "cup" / "new.jxl").write_bytes(b"\xff\x0a")
    (root / "cup" / "without").write_bytes(b"")
    (root / "lone.jpg").write_bytes(b"")
    (root / "cup" / "gone.png").symlink_to(root / "nowhere.png")
    (root / "cup" / "linked").symlink_to(root / "lamp")
    (root / ".DS_Store").write_bytes(b"")
    assert opened(root).categories == ("cup", "stühle mit lehne")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "not read" in line]
    assert "1 in it (such as lone.jpg)" in line and "6 in lamp/day1 (such as 0.png)" in line
    assert "4 in cup (such as gone.png)" in line and "DS_Store" not in line
    assert not [opened(root)] or "not read" not in capsys.readouterr().err  # once is enough


@pytest.mark.parametrize(("masks", "val"), [("Masks", "valid"), ("MASKS", "Validation"), ("masks", "VAL")])
def test_what_tools_call_splits_and_masks(tmp_path, masks, val, capsys):
    for split, color in (("Train", 10), (val, 20), ("test", 30)):
        for folder in (tmp_path / split / "cup", tmp_path / masks / split / "cup"):
            folder.mkdir(parents=True)
        picture(8, 8, (color,) * 3).save(tmp_path / split / "cup" / "a.png")
        Image.fromarray(INSIDE).save(tmp_path / masks / split / "cup" / "a.png")
    for split, color in zip(SPLITS, (10, 20, 30), strict=True):
        collection = opened(tmp_path, split)
        assert collection.categories == ("cup",) and np.array_equal(collection.masks[0], WANTED)
        assert (collection.images[0, 0][WANTED] == color).all()
    assert "warning" not in capsys.readouterr().err
    (tmp_path / "val" / "cup").mkdir(parents=True, exist_ok=True)
    if val != "VAL":
        with pytest.raises(MsrnError, match="several folders for val"):
            opened(tmp_path)


@pytest.mark.parametrize("name", ["train", "Test", "val", "valid"])
def test_a_category_may_be_called_like_a_split(root, name):
    os.rename(root / "cup", root / name)
    found = [opened(root, split) for split in SPLITS]
    assert {each.categories for each in found} == {tuple(sorted([name, "stühle mit lehne"]))}
    assert sum(map(len, found)) == 24


def test_splits_without_categories_are_refused(tmp_path):
    for split in SPLITS:
        (tmp_path / split).mkdir()
        picture().save(tmp_path / split / "a.png")
    with pytest.raises(MsrnError, match="photographs lie in test, train, val themselves: expected test/CATEGORY/"):
        opened(tmp_path)


def test_raw_files_take_no_places(tmp_path, capsys):
    (tmp_path / "photos" / "chair").mkdir(parents=True)
    for number in range(8):
        picture().save(tmp_path / "photos" / "chair" / f"p{number:02d}.jpg")
    alone = [opened(tmp_path / "photos", split).object_id.tolist() for split in SPLITS]
    fingerprint = opened(tmp_path / "photos").fingerprint
    for number in range(8):
        (tmp_path / "photos" / "chair" / f"p{number:02d}.CR2").write_bytes(b"II*\0raw")
        (tmp_path / "photos" / "chair" / f"t{number:02d}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    capsys.readouterr()
    assert [opened(tmp_path / "photos", split).object_id.tolist() for split in SPLITS] == alone
    assert opened(tmp_path / "photos").fingerprint == fingerprint
    assert "16 of 24 photographs" in capsys.readouterr().err


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
def test_what_cannot_be_read_now_is_read_later(root, monkeypatch, capsys, moment):
    """As after chmod 000, or where a network disk fails: to the superuser no file is denied, so it is played."""
    from msrn.data.archives import reading

    whole = {split: opened(root, split).object_id.tolist() for split in SPLITS}
    victim = whole["train"][0]
    monkeypatch.setenv("MSRN_CACHE", str(root.parent / "other"))
    real = {"before": reading.open_file, "meanwhile": reading.read_bytes}[moment]

    def denied(folder, path, *more):
        if str(path).endswith(victim):
            raise reading.unreadable(path, PermissionError(13, "Permission denied"))
        return real(folder, path, *more)

    with monkeypatch.context() as patch:
        from msrn.data.photo_folder import photograph, reader

        patch.setattr(reader, "open_file", denied) if moment == "before" else patch.setattr(
            photograph, "read_bytes", denied
        )
        assert victim not in opened(root).object_id
        assert f"{victim} may not be read: change its permissions" in capsys.readouterr().err
    assert {split: opened(root, split).object_id.tolist() for split in SPLITS} == whole
    assert "left out" not in capsys.readouterr().err


def test_names_that_are_not_utf8(tmp_path):
    folder = os.fsencode(tmp_path / "photos") + b"/st\xfchle $1"
    os.makedirs(folder)
    for number in range(4):
        picture(30 + number).save(os.fsdecode(folder + b"/caf\xe9 %d.png" % number))
    found = [opened(tmp_path / "photos", split) for split in SPLITS]
    assert found[0].categories == ("st\\xfchle $1",) and sum(map(len, found)) == 4
    assert {name for each in found for name in each.object_id} == {
        f"st\\xfchle $1/caf\\xe9 {number}.png" for number in range(4)
    }


def test_a_line_end_in_a_name_is_one_line(tmp_path, capsys):
    (tmp_path / "photos" / "train" / "cup").mkdir(parents=True)
    (tmp_path / "photos" / "train" / "cup" / "a\nb.png").write_bytes(b"nothing")
    with pytest.raises(MsrnError) as caught:
        opened(tmp_path / "photos")
    said = capsys.readouterr().err.splitlines()
    assert "\n" not in str(caught.value) and any("a b.png is not a whole image" in line for line in said)

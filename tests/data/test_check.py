import shutil

import numpy as np
import pytest
from checked import report
from PIL import Image
from shapenet_archive import write_archive, write_npz

from msrn.data import check
from msrn.data.archives.survey import points_mask, white_outside
from msrn.errors import MsrnError

CAR, CHAIR = "02958343", "03001627"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    splits = {"train": ["a", "b"], "val": ["v"], "test": ["t"]}
    root = tmp_path_factory.mktemp("checked") / "archive"
    return write_archive(root, {CAR: splits, CHAIR: splits}, points=60_000)


@pytest.fixture
def copy(archive, tmp_path):
    return shutil.copytree(archive, tmp_path / "archive")


def test_a_whole_archive_holds(cache, archive):
    lines, refused = report(archive)
    assert refused == "" and "files: all read, 0 missing or unreadable" in lines
    assert sum(line.startswith("holds: ") for line in lines) == 2
    assert "note: 0 of 2 test objects have a published test view, the others their own" in lines
    assert any(line.split() == ["train", "car", "2", "–"] for line in lines)
    assert any(line.split() == ["test", "chair", "1", "1,356", "differs"] for line in lines)
    assert any(line.split() == ["test", "vessel", "0", "388", "differs"] for line in lines)  # in no list
    assert any(line.split() == ["test", "all", "2", "8,762", "differs"] for line in lines)
    assert any(line.split() == ["train", "all", "4", "–"] for line in lines)
    assert "packing: 192 images take 0.0 GB" in lines[-1] and "minutes" in lines[-1]
    assert not cache.exists()  # a check writes nothing


def test_bad_files_are_named_up_to_twenty(cache, copy):
    (copy / CAR / "a" / "image" / "0003.png").write_bytes(b"torn")
    Image.new("L", (32, 32)).save(copy / CAR / "b" / "mask" / "0004.png")
    (copy / CAR / "v" / "pointcloud.npz").unlink()
    shutil.rmtree(copy / CHAIR / "t")
    lines, refused = report(copy)
    assert "files: all read, 4 missing or unreadable" in lines and "4 bad files" in refused
    for name in (
        "a/image/0003.png is not a whole",
        "b/mask/0004.png is 32 x 32",
        "v/pointcloud.npz is missing",
        "/t is missing",
    ):
        assert sum(name in line for line in lines) == 1
    shutil.rmtree(copy / CHAIR / "a" / "mask")
    lines, _ = report(copy)
    assert "files: all read, 28 missing or unreadable" in lines and "  and 8 more" in lines
    assert sum(line.startswith("  /") for line in lines) == 20


def test_bad_lists_are_named_together(cache, copy):
    for name in ("val", "test"):
        (copy / CAR / f"softras_{name}.lst").unlink()
    (copy / CHAIR / "softras_train.lst").write_text("\n")
    lines, refused = report(copy)
    assert lines == [] and f"{CAR}/softras_val.lst is missing" in refused
    assert f"{CAR}/softras_test.lst is missing" in refused and f"{CHAIR}/softras_train.lst is empty" in refused


def test_an_object_without_permission_is_one_bad_file(cache, copy, deny):
    deny(copy / CAR / "a")
    lines, refused = report(copy)
    assert "files: all read, 1 missing or unreadable" in lines and "1 bad files" in refused
    assert sum("/a may not be read: change its permissions" in line for line in lines) == 1


def test_masks_of_zeros_and_ones_are_found_in_every_split(cache, copy):
    path = copy / CAR / "b" / "mask" / "0007.png"
    Image.fromarray(np.array(Image.open(path)) // 255).save(path)
    lines, _ = report(copy)
    assert any("b/mask/0007.png holds 0 and 1 alone: expected 255" in line for line in lines)


def test_what_no_split_holds_is_named(cache, copy, tmp_path):
    """47 of 48 is said, in either form."""
    assert not any("in no split" in line for line in report(copy)[0])
    (copy / CAR / "softras_train.lst").write_text("a\n")
    shutil.copytree(copy / CAR, copy / "04530566")
    lines, refused = report(copy)
    place = lines.index("there and in no split: 2")
    assert refused == "" and lines[place + 1 : place + 3] == [
        "  04530566 (vessel) is not in metadata.yaml",
        f"  {CAR}/b is in none of the lists",
    ]
    root = write_npz(tmp_path / "npz", {CAR: {"train": 2, "val": 1, "test": 1}})
    assert not any("in no split" in line for line in report(root)[0])
    shutil.copy(root / f"{CAR}_val_images.npz", root / f"{CAR}_more_images.npz")
    assert f"  {CAR}_more_images.npz is of none of the 13 categories and three splits" in report(root)[0]


def test_a_wrong_frame_fails(cache, copy):
    """Points that were turned by a quarter, as another convention would have them."""
    for name in (CAR, CHAIR):
        path = copy / name / "t" / "pointcloud.npz"
        content = dict(np.load(path))
        np.savez(path, points=content["points"][:, [2, 1, 0]] * [1, 1, -1], normals=content["normals"])
    lines, refused = report(copy)
    assert any(line.startswith("FAILS: true points") for line in lines) and "1 conventions" in refused


def test_a_black_background_fails(cache, copy):
    for path in copy.rglob("image/*.png"):
        pixels = np.array(Image.open(path))
        pixels[(pixels == 255).all(2)] = 0
        Image.fromarray(pixels).save(path)
    assert any(line.startswith("FAILS: 0.0% of the background") for line in report(copy)[0])


def test_the_npz_form(cache, tmp_path):
    root = write_npz(tmp_path / "npz", {CAR: {"train": 2, "val": 1, "test": 1}})
    lines, refused = report(root)
    assert refused == "" and "the .npz form, which has no true surfaces and poses" in lines[0]
    path = root / f"{CAR}_train_images.npz"
    path.write_bytes(path.read_bytes()[:-3000])
    assert "not a whole .npz" in report(root)[1]
    np.savez_compressed(path, 255 - np.zeros((1, 24, 4, 64, 64), np.uint8))
    assert report(root)[1] == ""
    np.savez_compressed(path, np.ones((1, 24, 4, 64, 64), np.uint8))
    assert "1 bad files" in report(root)[1]


def test_points_make_the_mask_of_a_ball():
    """A ball of radius 0.4 at distance 2.732: a circle of radius f tan(asin(0.4 / 2.732))."""
    points = np.random.default_rng(0).normal(size=(50_000, 3))
    points *= 0.4 / np.linalg.norm(points, axis=1, keepdims=True)
    mask = points_mask(points, np.eye(3), np.array([0, 0, 2.732]), 64)
    radius = 3.7320509 * np.tan(np.arcsin(0.4 / 2.732))
    assert mask.sum() / 64**2 * 4 == pytest.approx(np.pi * radius**2, rel=0.03)
    assert not points_mask(points, np.eye(3), np.array([0, 0, -2.732]), 64).any()  # behind the camera


def test_the_share_of_white():
    image, mask = np.full((3, 10, 10), 255, np.uint8), np.zeros((10, 10), bool)
    mask[:4] = True
    image[:, :5] = 0  # the mask and the row beside it do not count
    assert white_outside(image, mask) == 1.0
    image[:, 9, :5] = 200
    assert white_outside(image, mask) == 0.9
    assert white_outside(image, np.ones((10, 10), bool)) == 1.0


def test_unknown_names_and_descriptions():
    assert "did you mean shapenet?" in report("/nowhere", "shapnet")[1]
    with pytest.raises(MsrnError, match="expected one of"):
        list(check.describe("homeware"))
    for name in check.SETS:
        text = "\n".join(check.describe(name))
        assert "licence" in text and "GB" in text and "http" not in text

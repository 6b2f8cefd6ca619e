import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from true_points import coverage

from msrn import camera
from msrn.data import cameras_known, open_collection
from msrn.data.drawing.views import VIEWS, draw_views
from msrn.data.homeware import reader as homeware
from msrn.data.homeware.reader import CATEGORIES, read_meshes, read_split
from msrn.errors import MsrnError

COUNTS = {"chair": 57, "table": 43, "cabinet": 34, "lamp": 26, "sofa": 22, "car": 11}


def test_every_object_is_in_exactly_one_split_and_in_the_asset():
    rows = read_split(homeware.ASSETS / "homeware_split.csv")
    names = [row.object_id for row in rows]
    assert len(names) == len(set(names)) == 193
    assert set(names) == set(read_meshes(homeware.ASSETS / "homeware.npz"))
    assert all(row.object_id.split("/")[0] == row.category for row in rows)


@pytest.mark.parametrize("category", CATEGORIES)
def test_split_is_70_10_20_in_every_category(category):
    splits = [r.split for r in read_split(homeware.ASSETS / "homeware_split.csv") if r.category == category]
    count = COUNTS[category]
    assert len(splits) == count
    assert (splits.count("val"), splits.count("test")) == (round(0.1 * count), round(0.2 * count))


def test_evaluation_views_spread_over_the_circle():
    rows = read_split(homeware.ASSETS / "homeware_split.csv")
    assert {row.evaluation_view for row in rows if row.split == "test"} == set(range(VIEWS))


def test_every_object_is_credited():
    text = (homeware.ASSETS / "HOMEWARE_CREDITS.md").read_text(encoding="utf-8")
    for row in read_split(homeware.ASSETS / "homeware_split.csv"):
        line = next(line for line in text.splitlines() if f"`{row.object_id}`" in line)
        _, _, title, author, library, licence, _ = [cell.strip() for cell in line.split("|")]
        assert title and author and library and licence in ("CC0 1.0", "CC BY 3.0", "CC BY 3.0 US")


def test_asset_is_small_and_its_meshes_keep_the_contract():
    assert (homeware.ASSETS / "homeware.npz").stat().st_size <= 8_000_000
    for name, mesh in read_meshes(homeware.ASSETS / "homeware.npz").items():
        assert mesh.vertices.dtype == np.float32 and mesh.faces.dtype == np.int32
        assert mesh.face_colors.dtype == np.uint8 and mesh.face_colors.shape == mesh.faces.shape
        assert 0 < len(mesh.faces) <= 4000 and set(np.unique(mesh.faces)) == set(range(len(mesh.vertices))), name
        low, high = mesh.vertices.min(0), mesh.vertices.max(0)
        assert (high - low).max() == pytest.approx(1, abs=1e-4), name
        np.testing.assert_allclose((low + high) / 2, 0, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_collection_is_consistent(collections, split):
    collection = collections[split]
    count, objects = len(collection), len(collection) // VIEWS
    assert collection.images.shape == (count, 3, 64, 64) and collection.images.dtype == np.uint8
    assert collection.masks.shape == (count, 64, 64) and collection.masks.dtype == np.bool_
    assert isinstance(collection.images, np.memmap)
    assert collection.categories == CATEGORIES and set(collection.category) == set(range(6))
    names = np.array([CATEGORIES[c] for c in collection.category])
    assert all(name.startswith(category + "/") for name, category in zip(collection.object_id, names, strict=True))
    assert len(np.unique(collection.object_id)) == objects
    assert (collection.view.reshape(objects, VIEWS) == np.arange(VIEWS)).all()
    evaluated = collection.object_id[collection.evaluation_index]
    assert len(evaluated) == objects == len(set(evaluated))


def test_images_are_white_outside_the_object(collections):
    for collection in collections.values():
        near = collection.masks.copy()  # the mask and its neighbours, among which the half-covered pixels are
        for axis in (1, 2):
            near |= np.roll(near, 1, axis) | np.roll(near, -1, axis)
        background = collection.images.transpose(0, 2, 3, 1)[~near]
        assert (background == 255).mean() > 0.99  # the rest are parts thinner than half a pixel
        assert collection.masks.any(axis=(1, 2)).all()


def test_truth_seen_from_the_true_pose_covers_the_mask(collections):
    inside, covered = np.array(list(coverage(collections["test"]))).T
    assert inside.min() > 0.85  # a few points fall on pixels that are covered by less than half
    assert covered.min() > 0.9 and covered.mean() > 0.97


def test_a_view_turns_the_way_the_camera_moves(collections):
    """Seen from azimuth 90, an object's front (+z) is at the image's left: the camera stands at +x and looks to -x."""
    collection = collections["train"]
    index = int(np.flatnonzero(collection.view == 6)[0])
    azimuth, elevation, roll = torch.from_numpy(collection.true_pose()[index])
    assert (azimuth, elevation, roll) == (90, 30, 0)
    front = torch.tensor([[[0.0, 0.0, 0.3]]])
    seen = camera.project(front, camera.rotation(azimuth, elevation, roll)[None], torch.tensor([[0.0, 0.0, 2.732]]))
    assert seen[0, 0, 0] < -0.1


def test_fingerprint_is_of_the_content(collections, cache, small_assets):
    assert len({collection.fingerprint for collection in collections.values()}) == 3
    first = open_collection("homeware", "train").fingerprint
    os.rename(cache, cache.with_name("elsewhere"))
    assert open_collection("homeware", "train").fingerprint == first != collections["train"].fingerprint


def test_same_object_is_drawn_the_same_again(collections):
    collection = collections["val"]
    mesh = collection.ground_truth(collection.object_id[0])
    images, masks = draw_views(mesh, np.array([3, 11]))
    np.testing.assert_array_equal(images, collection.images[[3, 11]])
    np.testing.assert_array_equal(masks, collection.masks[[3, 11]])


def test_a_torn_cache_of_images_is_drawn_again(cache, small_assets):
    before = np.array(open_collection("homeware", "test").images)
    (torn,) = (cache / "homeware").glob("*/images.npy")
    os.truncate(torn, torn.stat().st_size - 100_000)
    np.testing.assert_array_equal(open_collection("homeware", "test").images, before)


@pytest.mark.parametrize("damage", ["missing", "truncated", "changed"])
def test_a_bad_asset_is_refused_in_one_line_that_names_it(cache, small_assets, damage):
    path = small_assets / "homeware.npz"
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    with pytest.raises(MsrnError) as caught:
        open_collection("homeware", "train")
    message = str(caught.value)
    assert str(path) in message and "install msrn again" in message and "\n" not in message
    assert not list(cache.glob("homeware/*/"))


@pytest.mark.parametrize("line", ["chair/x,chair,train,99", "chair/x,ship,train,0", "chair/x,chair,training,0", "x"])
def test_a_bad_split_is_refused(cache, small_assets, line):
    path = small_assets / "homeware_split.csv"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(MsrnError, match="homeware_split.csv is torn"):
        open_collection("homeware", "train")


def test_a_split_that_lists_an_unknown_object_is_refused(cache, small_assets):
    path = small_assets / "homeware_split.csv"
    path.write_text(path.read_text() + "chair/ghost,chair,train,0\n")
    with pytest.raises(MsrnError, match="no object 'chair/ghost'"):
        open_collection("homeware", "train")


def test_two_processes_at_once_both_get_the_whole_of_it(cache, small_assets):
    code = (
        "import sys; from pathlib import Path; from msrn.data import homeware, open_collection;"
        "homeware.ASSETS = Path(sys.argv[1]); c = open_collection('homeware', 'train');"
        "print(len(c), int(c.images.sum()), c.fingerprint)"
    )
    command = [sys.executable, "-c", code, str(small_assets)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] != ""
    assert sum("drawing 96 images" in errors for _, errors in outputs) == 1


def test_fewer_views_turn_from_the_one_by_which_an_object_is_evaluated():
    whole, few = (open_collection(name, "test") for name in ("homeware", "homeware-8"))
    assert (len(few), few.name, len(few.evaluation_index)) == (len(whole) // 3, "homeware-8", 38)
    assert few.view[few.evaluation_index].tolist() == whole.view[whole.evaluation_index].tolist()
    turns = (few.view - few.view[few.evaluation_index].repeat(8)).reshape(-1, 8) % 24
    assert (np.sort(turns) == np.arange(0, 24, 3)).all() and few.fingerprint != whole.fingerprint
    row = 5
    same = np.flatnonzero((whole.object_id == few.object_id[row]) & (whole.view == few.view[row]))
    np.testing.assert_array_equal(few.images[row], whole.images[same[0]])
    np.testing.assert_array_equal(few.true_pose()[row], whole.true_pose()[same[0]])
    assert cameras_known("homeware-8") and not cameras_known("homeware-wild-2")
    assert open_collection("homeware-24", "test").fingerprint == whole.fingerprint


@pytest.mark.parametrize("name", ["homeware-5", "homeware-0", "homeware-02", "homeware-x", "homeware-48"])
def test_a_number_of_views_that_is_none_is_refused(name):
    with pytest.raises(MsrnError, match=f"dataset '{name}': expected homeware, or homeware-NUMBER"):
        open_collection(name, "test")

from dataclasses import replace

import numpy as np
import pytest

from msrn.data import open_collection
from msrn.data.drawing.views import VIEWS
from msrn.data.homeware import reader as homeware
from msrn.data.homeware import wild as homeware_wild
from msrn.data.homeware.panoramas import PANORAMAS, read_panorama
from msrn.data.homeware.photographs import draw_pose, take_photograph
from msrn.data.homeware.reader import read_meshes, read_split
from msrn.data.homeware.wild import PHOTOGRAPHS, generator, panorama_paths
from msrn.data.subset import subset
from msrn.errors import MsrnError

SPLITS = ("train", "val", "test")
EACH = 5  # photographs of an object here


def copy_assets(folder):
    """A copy of the assets whose split lists two objects of each split, of two categories."""
    (folder / "panoramas").mkdir(parents=True)
    for path in (homeware.ASSETS / "homeware.npz", *(homeware.ASSETS / "panoramas").iterdir()):
        (folder / path.relative_to(homeware.ASSETS)).write_bytes(path.read_bytes())
    rows = read_split(homeware.ASSETS / "homeware_split.csv")
    lines = ["object_id,category,split,evaluation_view"]
    for split in SPLITS:
        for number, category in enumerate(("chair", "sofa")):
            row = next(row for row in rows if (row.split, row.category) == (split, category))
            lines.append(f"{row.object_id},{row.category},{row.split},{number + 1}")
    (folder / "homeware_split.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    """All splits of six objects, drawn into a cache of their own, with what each was drawn from."""
    folder, drawn_from = tmp_path_factory.mktemp("wild"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSRN_CACHE", str(folder / "cache"))
        patch.setattr(homeware, "ASSETS", copy_assets(folder / "assets"))
        patch.setattr(homeware_wild, "PHOTOGRAPHS", EACH)

        def spy(mesh, others, places, rng):
            drawn_from.append((mesh, others, places))
            return take_photograph(mesh, others, places, rng)

        patch.setattr(homeware_wild, "take_photograph", spy)
        collections = {split: open_collection("homeware-wild", split) for split in SPLITS}
        assert len(drawn_from) == 6 * EACH
        patch.undo()
        yield collections, drawn_from, folder / "assets"


@pytest.fixture
def assets(tmp_path, monkeypatch, cache):
    monkeypatch.setattr(homeware, "ASSETS", copy_assets(tmp_path / "assets"))
    monkeypatch.setattr(homeware_wild, "PHOTOGRAPHS", 3)
    return tmp_path / "assets"


@pytest.mark.parametrize("split", SPLITS)
def test_collection_is_consistent(wild, split):
    collection = wild[0][split]
    assert (collection.name, collection.split) == ("homeware-wild", split)
    assert collection.images.shape == (2 * EACH, 3, 128, 128) and collection.images.dtype == np.uint8
    assert collection.masks is None
    masks = collection.true_masks()
    assert masks.shape == (2 * EACH, 128, 128) and masks.dtype == np.bool_ and masks.any((1, 2)).all()
    assert isinstance(collection.images, np.memmap) and isinstance(masks, np.memmap)
    for array in (collection.images, masks):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert [collection.categories[c] for c in collection.category] == ["chair"] * EACH + ["sofa"] * EACH
    assert all(name.startswith(("chair/", "sofa/")) for name in collection.object_id)
    assert (collection.view.reshape(2, EACH) == np.arange(EACH)).all()
    assert collection.evaluation_index.tolist() == [1, EACH + 2]
    assert len(collection.ground_truth(str(collection.object_id[0])).faces) > 0


def test_training_holds_thousands_and_every_citable_photograph_exists():
    rows = read_split(homeware.ASSETS / "homeware_split.csv")
    assert sum(row.split == "train" for row in rows) * PHOTOGRAPHS >= 4000
    assert PHOTOGRAPHS >= VIEWS > max(row.evaluation_view for row in rows)


def test_a_split_sees_its_own_places_and_objects(wild):
    _, drawn_from, assets = wild
    meshes, rows = read_meshes(assets / "homeware.npz"), read_split(assets / "homeware_split.csv")
    row_of = {meshes[row.object_id].vertices.tobytes(): row for row in rows}
    backgrounds = {split: [read_panorama(path) for path in paths] for split, paths in panorama_paths(assets).items()}
    for mesh, others, places in drawn_from:
        mine = row_of[mesh.vertices.tobytes()]
        assert [row_of[other.vertices.tobytes()].split for other in others] == [mine.split]
        assert mine.category not in {row_of[other.vertices.tobytes()].category for other in others}
        assert all(place is known for place, known in zip(places, backgrounds[mine.split], strict=True))
    assert not set(PANORAMAS["train"]) & {*PANORAMAS["val"], *PANORAMAS["test"]}


def test_a_photograph_is_a_function_of_object_and_number(wild):
    collections, _, assets = wild
    collection = collections["test"]
    meshes = read_meshes(assets / "homeware.npz")
    chair, sofa = (str(collection.object_id[index]) for index in (0, EACH))
    places = [read_panorama(path) for path in panorama_paths(assets)["test"]]
    for number in (4, 1):
        image, mask = take_photograph(meshes[sofa], [meshes[chair]], places, generator(sofa, number))
        np.testing.assert_array_equal(image, collection.images[EACH + number])
        np.testing.assert_array_equal(mask, collection.true_masks()[EACH + number])
    assert len({image.tobytes() for image in collection.images}) == 2 * EACH


def test_one_core_draws_the_same(assets, cache, monkeypatch):
    first = open_collection("homeware-wild", "train")
    before, fingerprint = np.array(first.images), first.fingerprint
    monkeypatch.setenv("MSRN_CACHE", str(cache / "another"))
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    again = open_collection("homeware-wild", "train")
    np.testing.assert_array_equal(again.images, before)
    assert again.fingerprint == fingerprint


def test_poses_are_those_of_the_photographs(wild):
    collection = wild[0]["val"]
    poses = collection.true_pose()
    assert poses.shape == (2 * EACH, 3) and poses.dtype == np.float32
    expected = [
        draw_pose(generator(str(n), int(v))) for n, v in zip(collection.object_id, collection.view, strict=True)
    ]
    np.testing.assert_allclose(poses, expected, rtol=1e-6)
    assert len(np.unique(poses[:, 0])) == 2 * EACH
    rows = np.array([7, 2])
    np.testing.assert_array_equal(subset(collection, rows).true_pose(), poses[rows])


def test_true_masks_stay_true_whatever_masks_are_given(wild, collections):
    collection = wild[0]["val"]
    rows = np.array([8, 3])
    part = subset(collection, rows)
    assert part.masks is None
    np.testing.assert_array_equal(part.true_masks(), collection.true_masks()[rows])
    guessed = replace(collection, masks=np.zeros_like(collection.true_masks()))
    assert guessed.true_masks().any() and not guessed.masks.any()
    assert collections["val"].true_masks() is collections["val"].masks
    with pytest.raises(MsrnError, match="'homeware-wild' has no true masks"):
        replace(collection, _true_masks=None).true_masks()


def test_fingerprint_is_of_the_content(wild, assets, monkeypatch):
    assert len({collection.fingerprint for collection in wild[0].values()}) == 3
    monkeypatch.setattr(homeware_wild, "cached_arrays", lambda kind, key, build: {"images": None, "masks": None})
    monkeypatch.setattr(homeware_wild, "collection_of", lambda drawn, *_, **__: drawn.content)
    content = open_collection("homeware-wild", "train")
    assert content == open_collection("homeware-wild", "test")
    monkeypatch.setitem(homeware_wild.photographs.PROTOCOL, "PULL", (0.5, 0.6))
    changed = open_collection("homeware-wild", "train")
    (assets / "panoramas" / "city.jpg").write_bytes((assets / "panoramas" / "park.jpg").read_bytes())
    assert len({content, changed, open_collection("homeware-wild", "train")}) == 3


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_bad_panorama_is_refused_and_nothing_is_kept(assets, cache, damage):
    path = assets / "panoramas" / "room.jpg"
    content = path.read_bytes()
    path.unlink() if damage == "missing" else path.write_bytes(content[: len(content) // 2])
    with pytest.raises(MsrnError) as caught:
        open_collection("homeware-wild", "train")
    message = str(caught.value)
    assert str(path) in message and "install msrn again" in message and "\n" not in message
    assert not list(cache.glob("homeware-wild/*/"))


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(MsrnError, match="homeware-wild is part of the package.*leave it out"):
        open_collection("homeware-wild", "train", root=tmp_path)


def test_a_set_with_fewer_photographs_holds_the_first_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(homeware, "ASSETS", copy_assets(tmp_path / "assets"))
    one, two = (open_collection(f"homeware-wild-{count}", "test") for count in (1, 2))
    assert len(two) == 2 * len(one) and one.fingerprint != two.fingerprint
    assert (two.images[::2] == one.images).all() and (two.true_masks()[::2] == one.true_masks()).all()
    assert one.evaluation_index.tolist() == [0, 1] and two.evaluation_index.tolist() == [1, 2]  # views 1 and 2, mod 2


@pytest.mark.parametrize("name", ["homeware-wild-", "homeware-wild-0", "homeware-wild-x", "homeware-wild-1e9"])
def test_a_number_of_photographs_that_is_none_is_refused(name):
    with pytest.raises(MsrnError, match="with the photographs of each object"):
        open_collection(name, "train")

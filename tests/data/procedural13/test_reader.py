import re

import numpy as np
import pytest
from true_points import coverage

from msrn.data import open_collection
from msrn.data.drawing.views import VIEWS, draw_views
from msrn.data.procedural13 import reader as procedural13
from msrn.data.procedural13.reader import CATEGORIES, DEFAULT, SPLIT_OF_DIGIT, count_of, objects_of, shapes_digest
from msrn.errors import MsrnError

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """All splits of four objects per category, drawn into a cache of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSRN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield {split: open_collection("procedural13-4", split) for split in SPLITS}


@pytest.mark.parametrize("split", SPLITS)
def test_collection_is_consistent(small, split):
    collection = small[split]
    objects = {"train": 2, "val": 1, "test": 1}[split] * 13
    assert collection.images.shape == (objects * VIEWS, 3, 64, 64) and collection.images.dtype == np.uint8
    assert collection.masks.shape == (objects * VIEWS, 64, 64) and collection.masks.dtype == np.bool_
    assert isinstance(collection.images, np.memmap) and (collection.name, collection.split) == ("procedural13-4", split)
    assert collection.categories == CATEGORIES and len(set(collection.category)) == 13
    names = np.array([CATEGORIES[c] for c in collection.category])
    assert all(name.startswith(category + "/") for name, category in zip(collection.object_id, names, strict=True))
    assert (collection.view.reshape(objects, VIEWS) == np.arange(VIEWS)).all()
    evaluated = collection.object_id[collection.evaluation_index]
    assert len(evaluated) == objects == len(set(evaluated)) == len(set(collection.object_id))


def test_every_object_is_seen(small):
    share = np.concatenate([collection.masks.mean((1, 2)) for collection in small.values()])
    assert share.min() > 0.008 and 0.1 < share.mean() < 0.4


def test_truth_seen_from_the_true_pose_covers_the_mask(small):
    inside, covered = np.array(list(coverage(small["test"]))).T
    assert inside.min() > 0.7  # the rest: pixels covered by less
    assert covered.min() > 0.9 and covered.mean() > 0.97


def test_truth_is_what_was_drawn(small):
    collection = small["val"]
    mesh = collection.ground_truth(str(collection.object_id[VIEWS]))
    images, masks = draw_views(mesh, np.array([5, 17]))
    np.testing.assert_array_equal(images, collection.images[[VIEWS + 5, VIEWS + 17]])
    np.testing.assert_array_equal(masks, collection.masks[[VIEWS + 5, VIEWS + 17]])
    with pytest.raises(ValueError, match="read-only"):
        mesh.vertices[0] = 0


def test_a_larger_set_holds_the_smaller_in_the_same_splits():
    few, many = ({row.object_id: row for row in objects_of(count)} for count in (23, 150))
    assert len(few) == 23 * 13 and all(many[name] == row for name, row in few.items())
    assert [row.split for row in objects_of(23)] == sorted(row.split for row in objects_of(23))  # as views.py needs it


def test_split_is_70_10_20_in_every_category():
    assert [SPLIT_OF_DIGIT.count(split) for split in SPLITS] == [7, 1, 2]
    for category in CATEGORIES:
        splits = [row.split for row in objects_of(DEFAULT) if row.category == category]
        assert [splits.count(split) for split in SPLITS] == [56, 8, 16]


@pytest.mark.parametrize("split", ["val", "test"])
def test_evaluation_views_spread_over_the_circle(split):
    rows = [row for row in objects_of(DEFAULT) if row.split == split]
    assert np.bincount([row.evaluation_view for row in rows], minlength=VIEWS).min() >= len(rows) / VIEWS / 2
    for category in CATEGORIES:
        assert len({row.evaluation_view for row in rows if row.category == category}) >= 8


def test_fingerprint_is_of_the_content(small, monkeypatch):
    assert len({collection.fingerprint for collection in small.values()}) == 3
    first = small["train"].fingerprint
    monkeypatch.setattr(procedural13, "open_drawn", lambda drawn, split, kind: drawn.content)
    content = open_collection("procedural13-4", "train")
    assert content != open_collection("procedural13-5", "train") and content != first
    monkeypatch.setattr(procedural13, "VERSION", 0)
    assert open_collection("procedural13-4", "train") != content


def test_a_changed_family_changes_the_fingerprint(monkeypatch):
    before = shapes_digest(1)
    make = procedural13.make_object

    def wider(category, index):
        mesh = make(category, index)
        mesh.vertices[:] *= 1.01 if category == "phone" else 1
        return mesh

    monkeypatch.setattr(procedural13, "make_object", wider)
    shapes_digest.cache_clear()
    assert shapes_digest(1) != before
    shapes_digest.cache_clear()


def test_shapes_are_those_of_this_version():
    """Trained runs and recorded results belong to these shapes: a change here needs a new VERSION, and this digest."""
    assert (procedural13.VERSION, shapes_digest(20)) == (1, "b250bf569a36a60e550a")


@pytest.mark.parametrize("number", ["", "3", "x", "04", "1e3", "-8", "12345678"])
def test_a_malformed_number_is_refused(number):
    name = f"procedural13-{number}"
    with pytest.raises(
        MsrnError, match=rf"^dataset '{re.escape(name)}': expected .*at least 4, such as procedural13-300$"
    ):
        open_collection(name, "train")


def test_names_give_numbers():
    assert (count_of("procedural13"), count_of("procedural13-4"), count_of("procedural13-1200")) == (80, 4, 1200)


@pytest.mark.parametrize("name", ["procedural", "procedural-300", "procedual13-300"])
def test_near_names_are_suggested(name):
    with pytest.raises(MsrnError, match="did you mean procedural13"):
        open_collection(name, "train")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(MsrnError, match="procedural13-8 is part of the package.*leave it out"):
        open_collection("procedural13-8", "train", root=tmp_path)

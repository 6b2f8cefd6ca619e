import numpy as np
import pytest

from msrn.data import GroundTruth, open_collection
from msrn.errors import MsrnError


def test_points_are_uniform_by_area():
    # Two triangles, one of three times the area of the other, in planes that tell them apart.
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [3, 0, 1], [0, 1, 1]], np.float32)
    truth = GroundTruth(vertices, np.array([[0, 1, 2], [3, 4, 5]], np.int32), np.zeros((2, 3), np.uint8))
    points = truth.points(20_000, seed=0)
    assert points.shape == (20_000, 3) and points.dtype == np.float32
    upper = points[:, 2] == 1
    assert upper.mean() == pytest.approx(0.75, abs=0.015)
    np.testing.assert_allclose(points[upper].mean(0), [1, 1 / 3, 1], atol=0.03)  # the centroid
    assert (points[:, 0] / np.where(upper, 3, 1) + points[:, 1] <= 1 + 1e-6).all()


def test_points_depend_on_the_seed_alone():
    vertices = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    truth = GroundTruth(vertices, np.arange(9, dtype=np.int32).reshape(3, 3), np.zeros((3, 3), np.uint8))
    np.testing.assert_array_equal(truth.points(50, 7), truth.points(50, 7))
    assert not np.array_equal(truth.points(50, 7), truth.points(50, 8))


def test_a_collection_cannot_be_changed(collections):
    collection = collections["val"]
    with pytest.raises(AttributeError):
        collection.split = "test"
    for array in (collection.images, collection.masks, collection.category, collection.object_id, collection.view):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


@pytest.mark.parametrize(
    ("name", "split", "words"),
    [
        ("homewear", "train", ["homewear", "did you mean homeware?"]),
        ("imagenet", "train", ["unknown dataset 'imagenet'", "there are: folder, homeware,"]),
        ("homeware", "tset", ["tset", "did you mean test?", "train, val, test"]),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, split, words):
    with pytest.raises(MsrnError) as caught:
        open_collection(name, split)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_a_folder_for_an_embedded_data_set_is_refused(tmp_path):
    with pytest.raises(MsrnError, match="leave it out"):
        open_collection("homeware", "train", root=tmp_path)


def test_truth_of_an_object_of_another_split_is_refused(collections):
    with pytest.raises(MsrnError, match="is not in homeware/val"):
        collections["val"].ground_truth(str(collections["test"].object_id[0]))

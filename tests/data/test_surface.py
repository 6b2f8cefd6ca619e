"""One sampler of surfaces: uniform in area, a function of the seed, and one line for what is no surface."""

import numpy as np
import pytest

from msrn.data import GroundTruth
from msrn.data.surface import sample_surface
from msrn.errors import MsrnError

TRIANGLE = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.5]])


def test_sampling_is_uniform_in_area_and_on_the_surface():
    # a square of area 4 in z = 0, a triangle of area 1 in z = 1, and a face without area
    vertices = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0], [0, 0, 1], [2, 0, 1], [0, 1, 1]], float)
    faces = np.array([[0, 1, 2], [4, 4, 5], [0, 2, 3], [4, 5, 6], [0, 1, 1]])
    points = sample_surface(vertices, faces, 20_000, 0)
    high = points[:, 2] == 1
    assert set(points[:, 2]) == {0.0, 1.0}
    assert high.mean() == pytest.approx(0.2, abs=0.01)
    assert points[~high].mean(0) == pytest.approx([1, 1, 0], abs=0.03)
    assert points[~high].std(0)[:2] == pytest.approx([2 / np.sqrt(12)] * 2, abs=0.02)
    assert points[high].mean(0) == pytest.approx([2 / 3, 1 / 3, 1], abs=0.03)
    assert (points[high, 0] / 2 + points[high, 1] <= 1 + 1e-12).all()
    assert (points == sample_surface(vertices, faces, 20_000, 0)).all()
    assert (points != sample_surface(vertices, faces, 20_000, 1)).any()


def test_faces_without_area_are_never_drawn():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [7, 7, 7], [8, 8, 8]], float)
    faces = np.array([[3, 3, 3], [0, 1, 2], [3, 4, 4]])
    assert sample_surface(vertices, faces, 5000, 0).max() <= 1


def test_the_truth_is_sampled_as_a_prediction_is():
    faces = np.array([[0, 1, 2]], np.int32)
    truth = GroundTruth(TRIANGLE.astype(np.float32), faces, np.zeros((1, 3), np.uint8))
    points = truth.points(50, 7)
    assert points.dtype == np.float32
    assert points == pytest.approx(sample_surface(TRIANGLE, faces, 50, 7), abs=1e-6)


def test_seeds_in_a_list_are_streams_of_their_own():
    drawn = [sample_surface(TRIANGLE, np.array([[0, 1, 2]]), 50, seed) for seed in (7, [7, 1], [7, 2], [7, 1])]
    assert np.array_equal(drawn[1], drawn[3]) and drawn[0].dtype == np.float64
    assert not any(np.isin(drawn[1], other).any() for other in (drawn[0], drawn[2]))


@pytest.mark.parametrize(
    ("vertices", "faces", "words"),
    [
        (np.zeros((3, 3)), [[0, 1, 2]], "without any area"),
        (np.zeros((0, 3)), np.zeros((0, 3), int), "(0, 3)"),
        (TRIANGLE, np.zeros((0, 3), int), "F > 0"),
        (TRIANGLE, [[0, 1, 3]], "0..2"),
        (TRIANGLE, [[0, 1, -1]], "0..2"),
        (TRIANGLE + np.inf, [[0, 1, 2]], "not finite"),
        (TRIANGLE, [[0.0, 1.0, 2.0]], "whole numbers"),
    ],
)
def test_bad_meshes_are_refused(vertices, faces, words):
    with pytest.raises(MsrnError) as error:
        sample_surface(vertices, np.asarray(faces), 10, 0)
    assert words in str(error.value)

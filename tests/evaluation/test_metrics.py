"""Metrics against slow, obvious references, and properties that any CD, F-score or IoU must have."""

import numpy as np
import pytest
from trimesh.creation import box, icosphere

from msrn.errors import MsrnError
from msrn.evaluation import metrics
from msrn.evaluation.alignment import about_vertical


def cloud(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3))


def slow_distances(predicted: np.ndarray, true: np.ndarray) -> tuple[list[float], list[float]]:
    """Nearest distances both ways by two loops."""
    accuracy = [min(float(np.sqrt(((p - t) ** 2).sum())) for t in true) for p in predicted]
    completeness = [min(float(np.sqrt(((p - t) ** 2).sum())) for p in predicted) for t in true]
    return accuracy, completeness


def test_distances_metrics_match_double_loops():
    predicted, true = cloud(40, 1), cloud(25, 2)
    accuracy, completeness = slow_distances(predicted, true)
    mean = (sum(accuracy) / 40 + sum(completeness) / 25) / 2
    assert metrics.chamfer_l1(predicted, true) == pytest.approx(100 * mean, rel=1e-12)
    squares = sum(d * d for d in accuracy) + sum(d * d for d in completeness)
    assert metrics.chamfer_eq46(predicted, true) == pytest.approx(squares, rel=1e-12)
    for threshold in (0.3, 0.6, 1.5):
        precision = sum(d < threshold for d in accuracy) / 40
        recall = sum(d < threshold for d in completeness) / 25
        harmonic = 2 * precision * recall / (precision + recall)
        assert metrics.f_score(predicted, true, threshold) == pytest.approx(harmonic, rel=1e-12)


def test_identity_permutation_symmetry_and_rigid_motion():
    predicted, true = cloud(200, 1), cloud(150, 2)
    assert metrics.chamfer_l1(true, true) == 0
    assert metrics.f_score(true, true) == 1
    shuffled = np.random.default_rng(0).permutation(predicted)
    turn = about_vertical(33).linear
    for metric in (metrics.chamfer_l1, metrics.chamfer_eq46, lambda a, b: metrics.f_score(a, b, 0.5)):
        value = metric(predicted, true)
        assert value > 0
        assert metric(shuffled, true) == pytest.approx(value, rel=1e-9)
        assert metric(true, predicted) == pytest.approx(value, rel=1e-9)
        assert metric(predicted @ turn + 5, true @ turn + 5) == pytest.approx(value, rel=1e-9)


def test_units_of_chamfer():
    origin = np.zeros((4, 3))
    off = origin + [0.02, 0, 0]
    assert metrics.chamfer_l1(off, origin) == pytest.approx(2.0)  # hundredths of the longest edge
    assert metrics.chamfer_eq46(off, origin) == pytest.approx(8 * 0.02**2)  # a sum over 4 + 4 points
    doubled = np.repeat(off, 2, axis=0)
    assert metrics.chamfer_l1(doubled, origin) == pytest.approx(2.0)
    assert metrics.chamfer_eq46(doubled, origin) == pytest.approx(12 * 0.02**2)


def test_f_score_edges():
    near, far = np.zeros((1, 3)), np.full((1, 3), 9.0)
    assert metrics.f_score(far, near) == 0
    assert metrics.f_score(np.concatenate([near, far]), near) == pytest.approx(2 / 3)  # precision 1/2, recall 1
    assert metrics.f_score(near + [0.01, 0, 0], near, threshold=0.01) == 0  # the threshold itself is outside
    assert metrics.f_score(near + [0.0099, 0, 0], near, threshold=0.01) == 1


@pytest.mark.parametrize(
    ("points", "words"),
    [(np.full((3, 3), np.nan), "3 of 3"), (np.zeros((0, 3)), "(0, 3)"), (np.zeros((3, 2)), "(3, 2)")],
)
def test_bad_points_are_named(points, words):
    with pytest.raises(MsrnError) as error:
        metrics.chamfer_l1(points, cloud(5))
    assert "predicted points" in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_pose_consistency_forgives_what_it_says():
    true = np.random.default_rng(0).uniform(0, 360, 400)
    assert metrics.pose_consistency(true + 77, true) == pytest.approx(1)
    half = true + 180 * (np.arange(400) % 2)
    assert metrics.pose_consistency(half, true, 1) == pytest.approx(0, abs=1e-9)
    assert metrics.pose_consistency(half, true, 2) == pytest.approx(1)
    quarter = true + 90 * (np.arange(400) % 4)
    assert metrics.pose_consistency(quarter, true, 2) == pytest.approx(0, abs=1e-9)
    assert metrics.pose_consistency(quarter, true, 4) == pytest.approx(1)
    assert metrics.pose_consistency(true[::-1], true) < 0.2
    slow = abs(sum(complex(np.cos(np.pi * d / 90), np.sin(np.pi * d / 90)) for d in true[:9])) / 9
    assert metrics.pose_consistency(true[:9], np.zeros(9), 2) == pytest.approx(slow)
    with pytest.raises(MsrnError, match="expected two equal"):
        metrics.pose_consistency(true, true[:3])


def test_iou_of_boxes_of_known_overlap():
    cube = box((1, 1, 1))
    vertices, faces = np.asarray(cube.vertices), np.asarray(cube.faces)
    assert metrics.iou_3d(vertices, faces, vertices, faces) == 1
    half = vertices * [1, 1, 0.5]
    assert metrics.iou_3d(half, faces, vertices, faces) == pytest.approx(0.5, abs=0.05)
    moved = vertices + [0.5, 0, 0]
    assert metrics.iou_3d(moved, faces, vertices, faces) == pytest.approx(1 / 3, abs=0.05)
    assert metrics.iou_3d(vertices + [3, 0, 0], faces, vertices, faces) == 0


def test_iou_fills_what_is_closed_and_leaves_what_is_open():
    ball, cube = icosphere(3, radius=0.5), box((1, 1, 1))
    iou = metrics.iou_3d(ball.vertices, ball.faces, cube.vertices, cube.faces)
    radius = 0.5 + 0.5 / 32  # voxels that the surface touches add half a voxel all around
    assert iou == pytest.approx(4 / 3 * np.pi * radius**3, abs=0.02)
    lidless = cube.faces[~(cube.triangles[:, :, 1] > 0.4).all(1)]
    assert metrics.iou_3d(cube.vertices, lidless, cube.vertices, cube.faces) < 0.3  # only its walls remain


def test_box_scale():
    cube = np.asarray(box((1, 1, 1)).vertices)
    assert metrics.box_scale(cube * [1, 1, 2], cube * 4) == pytest.approx(32 ** (1 / 3))
    with pytest.raises(MsrnError, match="above 0"):
        metrics.box_scale(cube * [1, 0, 1], cube)

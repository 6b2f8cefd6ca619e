"""Metrics against slow, obvious references, and properties that any CD or F-score must have."""

import numpy as np
import pytest

from msrn.evaluation import metrics
from msrn.evaluation.alignment import about_vertical
from msrn.evaluation.metrics import nearest_distances


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
    found = nearest_distances(predicted, true)
    squares = sum(d * d for d in accuracy) / 40 + sum(d * d for d in completeness) / 25
    assert found.chamfer_eq46(25) == pytest.approx(25 * squares, rel=1e-12)
    for threshold in (0.3, 0.6, 1.5):
        precision = sum(d < threshold for d in accuracy) / 40
        recall = sum(d < threshold for d in completeness) / 25
        harmonic = 2 * precision * recall / (precision + recall)
        assert found.f_score(threshold) == pytest.approx(harmonic, rel=1e-12)


def test_identity_permutation_symmetry_and_rigid_motion():
    predicted, true = cloud(200, 1), cloud(150, 2)
    assert metrics.chamfer_l1(true, true) == 0
    assert nearest_distances(true, true).f_score() == 1
    shuffled = np.random.default_rng(0).permutation(predicted)
    turn = about_vertical(33).linear
    for metric in (
        metrics.chamfer_l1,
        lambda a, b: nearest_distances(a, b).chamfer_eq46(200),
        lambda a, b: nearest_distances(a, b).f_score(0.5),
    ):
        value = metric(predicted, true)
        assert value > 0
        assert metric(shuffled, true) == pytest.approx(value, rel=1e-9)
        assert metric(true, predicted) == pytest.approx(value, rel=1e-9)
        assert metric(predicted @ turn + 5, true @ turn + 5) == pytest.approx(value, rel=1e-9)


def test_units_of_chamfer():
    origin = np.zeros((4, 3))
    off = origin + [0.02, 0, 0]
    assert metrics.chamfer_l1(off, origin) == pytest.approx(2.0)  # hundredths of the longest edge
    assert nearest_distances(off, origin).chamfer_eq46(4) == pytest.approx(8 * 0.02**2)  # a sum over 4 + 4 points
    assert metrics.chamfer_l1(np.repeat(off, 2, axis=0), origin) == pytest.approx(2.0)


def test_f_score_edges():
    near, far = np.zeros((1, 3)), np.full((1, 3), 9.0)

    def f_score(predicted):
        return nearest_distances(predicted, near).f_score()

    assert f_score(far) == 0
    assert f_score(np.concatenate([near, far])) == pytest.approx(2 / 3)  # precision 1/2, recall 1
    assert f_score(near + [0.01, 0, 0]) == 0  # the threshold itself is outside
    assert f_score(near + [0.0099, 0, 0]) == 1


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

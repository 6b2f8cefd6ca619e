"""Alignment recovers known motions, keeps its promises on any cloud, and never makes CD worse."""

import numpy as np
import pytest

from msrn.errors import MsrnError
from msrn.evaluation import alignment
from msrn.evaluation.metrics import chamfer_l1, nearest_distances


def chair(count: int = 1500, seed: int = 0) -> np.ndarray:
    """Points on seat, back and one armrest: no symmetry, bounding box centred, longest edge 1."""
    u, v = np.random.default_rng(seed).random((2, count))
    part = np.arange(count) % 3
    seat = np.stack([u - 0.5, np.full(count, -0.2), 0.6 * v - 0.3], 1)
    back = np.stack([u - 0.5, 0.5 * v - 0.2, np.full(count, -0.3)], 1)
    arm = np.stack([np.full(count, 0.5), 0.2 * u - 0.2, 0.6 * v - 0.3], 1)
    return normalise(np.choose(part[:, None], [seat, back, arm]))


def small_motion(seed: int) -> alignment.Motion:
    """A rotation by at most some 12 degrees about a random axis, and a shift."""
    generator = np.random.default_rng(seed)
    axis, shift = generator.normal(size=3), generator.uniform(-0.05, 0.05, 3)
    x, y, z = 0.2 * generator.random() * axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    cayley = np.linalg.solve(np.eye(3) + cross / 2, np.eye(3) - cross / 2)
    return alignment.Motion(cayley, shift)


def test_motions_compose_and_invert():
    first, second, points = small_motion(1), alignment.about_vertical(40), chair(20)
    scaled = alignment.Motion(2.5 * first.linear, first.offset)
    assert scaled.then(second).apply(points) == pytest.approx(second.apply(scaled.apply(points)))
    assert scaled.inverse().apply(scaled.apply(points)) == pytest.approx(points)
    assert scaled.similarity_scale() == pytest.approx(2.5)
    assert alignment.Motion(np.diag([1, 1, 1.01]), np.zeros(3)).similarity_scale() is None


def normalise(points: np.ndarray) -> np.ndarray:
    return alignment.normalising(points).apply(points)


def test_normalise():
    vertices = np.array([[1, 1, 1], [5, 2, 3]], float)
    assert normalise(vertices) == pytest.approx(np.array([[-0.5, -0.125, -0.25], [0.5, 0.125, 0.25]]))
    assert normalise(normalise(vertices)) == pytest.approx(normalise(vertices))
    with pytest.raises(MsrnError, match="single place"):
        normalise(np.ones((4, 3)))


def test_vertical_turn_moves_front_toward_right():
    assert np.array([0, 3, 1.0]) @ alignment.about_vertical(90).linear == pytest.approx([1, 3, 0])


@pytest.mark.parametrize("kind", ["rigid", "similar", "affine"])
def test_matching_measures_the_moved_cloud(kind):
    predicted, true = chair(300, 1), chair(400, 2)
    motion = small_motion(3)
    linear = {"rigid": motion.linear, "similar": 0.7 * motion.linear, "affine": [[1], [2], [0.5]] * motion.linear}[kind]
    motion = alignment.Motion(linear, motion.offset)
    source, target, distances = alignment.match(alignment.Cloud(predicted), alignment.Cloud(true), motion, 1000)
    expected = nearest_distances(motion.apply(predicted), true)
    assert distances.accuracy == pytest.approx(expected.accuracy, abs=1e-9)
    assert distances.completeness == pytest.approx(expected.completeness, abs=1e-9)
    pairs = np.linalg.norm(motion.apply(source) - target, axis=1)
    assert pairs == pytest.approx(np.concatenate(expected), abs=1e-9)


def test_icp_recovers_small_motions():
    true = chair()
    for seed in range(5):
        motion = small_motion(seed)
        found = alignment.icp(motion.apply(true), true)
        assert found.then(motion).linear == pytest.approx(np.eye(3), abs=0.02)
        assert chamfer_l1(found.apply(motion.apply(true)), true) < 0.05 * chamfer_l1(motion.apply(true), true)


def test_icp_is_rigid_and_never_reflects():
    true = chair()
    mirrored = true * [-1, 1, 1]
    found = alignment.icp(mirrored, true)
    assert found.linear @ found.linear.T == pytest.approx(np.eye(3))
    assert np.linalg.det(found.linear) == pytest.approx(1)


def test_icp_is_never_worse_than_its_start():
    for seed in range(8):
        generator = np.random.default_rng(seed)
        predicted, true = generator.normal(size=(60, 3)) * generator.random(3), generator.normal(size=(80, 3))
        start = chamfer_l1(predicted, true)
        assert chamfer_l1(alignment.icp(predicted, true).apply(predicted), true) <= start + 1e-9
        assert chamfer_l1(alignment.icp(predicted, true, fit_scale=True).apply(predicted), true) <= start + 1e-9
    assert alignment.icp(true, true).apply(true) == pytest.approx(true)


def test_icp_does_not_care_about_the_order_or_the_frame():
    predicted, true = chair(400, 1) * [1, 0.9, 1.1], chair(400, 2)
    value = chamfer_l1(alignment.icp(predicted, true).apply(predicted), true)
    shuffled = np.random.default_rng(0).permutation(predicted)
    assert chamfer_l1(alignment.icp(shuffled, true).apply(shuffled), true) == pytest.approx(value, rel=1e-6)
    turn = alignment.about_vertical(70)
    turned = turn.apply(predicted), turn.apply(true)
    assert chamfer_l1(alignment.icp(*turned).apply(turned[0]), turned[1]) == pytest.approx(value, rel=1e-6)


def test_axis_scale_recovers_a_stretch_that_rigid_icp_cannot():
    true = chair()
    stretched = true * [0.85, 1.2, 1.1]
    rigid = alignment.icp(stretched, true).apply(stretched)
    found = alignment.icp(stretched, true, fit_scale=True)
    assert np.diag(found.linear) == pytest.approx([1 / 0.85, 1 / 1.2, 1 / 1.1], rel=0.05)
    assert chamfer_l1(found.apply(stretched), true) < 0.3 * chamfer_l1(rigid, true)


def test_axis_scale_of_a_flat_or_a_tiny_cloud_stays_within_limits():
    true = chair()
    for predicted in (true * [1, 0, 1], true * 0.01):
        linear = alignment.icp(predicted, true, fit_scale=True).linear
        scales = np.linalg.norm(linear, axis=1)
        assert (scales <= alignment.SCALE_LIMIT + 1e-9).all()
        assert (scales >= 1 / alignment.SCALE_LIMIT - 1e-9).all()


@pytest.mark.parametrize("degrees", [90, -90, 180, 45])
def test_search_recovers_a_turn(degrees):
    true = chair()
    turned = normalise(alignment.about_vertical(degrees).apply(true))
    found = alignment.search_rotation(turned, true, turned)
    assert found.apply(turned) == pytest.approx(true, abs=1e-6)


def test_search_leaves_the_truth_alone_and_uses_the_given_extent():
    true = chair()
    assert alignment.search_rotation(true, true, true).apply(true) == pytest.approx(true)
    found = alignment.search_rotation(true, true, extent=2 * true)
    assert found.similarity_scale() == pytest.approx(0.5)


def test_renormalised_keeps_the_rotation_alone():
    true, turn = chair(), alignment.about_vertical(30)
    shrunk = alignment.Motion(0.8 * turn.linear, np.ones(3))
    again = alignment.renormalised(shrunk, true)
    box = np.ptp(again.apply(true), axis=0)
    assert box.max() == pytest.approx(1)
    assert again.linear / again.similarity_scale() == pytest.approx(turn.linear)

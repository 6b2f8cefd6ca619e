"""Alignment before CD and F-score (§4.2: "ICP [51] is used to align the sampled point clouds").

The paper does not say how ICP starts, how long it runs or whether it may scale, so every variant is reported and one,
the search over rotations followed by rigid ICP, is the headline, the same for every method. Points are rows.
"""

from typing import NamedTuple

import numpy as np

from msrn.errors import MsrnError
from msrn.evaluation.metrics import Distances, Tree

STEPS = 24  # equal turns of the search
ITERATIONS = 50  # of ICP, at most
QUERIES = 500  # points of each cloud that score a turn of the search, or are matched in an iteration of ICP
TOLERANCE = 1e-3  # ICP stops when an iteration lowers its mean squared distance by less than this share
SCALE_LIMIT = 4.0  # largest stretch or squeeze of an axis: ICP must not flatten a cloud, or rescue a flat one


class Motion(NamedTuple):
    """The affine map x' = x @ linear + offset of row vectors."""

    linear: np.ndarray
    """(3, 3): a rotation, times a scale."""
    offset: np.ndarray
    """(3,)"""

    def apply(self, points: np.ndarray) -> np.ndarray:
        return points @ self.linear + self.offset

    def then(self, following: "Motion") -> "Motion":
        """This motion and after it the ``following`` one."""
        return Motion(self.linear @ following.linear, following.apply(self.offset))

    def inverse(self) -> "Motion":
        back = np.linalg.inv(self.linear)
        return Motion(back, -self.offset @ back)

    def similarity_scale(self) -> float | None:
        """The factor by which all distances grow, or None when they do not all grow alike."""
        gram = self.linear @ self.linear.T
        scale = np.trace(gram) / 3
        return float(np.sqrt(scale)) if np.abs(gram - scale * np.eye(3)).max() < 1e-9 * scale else None


IDENTITY = Motion(np.eye(3), np.zeros(3))


class Cloud:
    """Points (P, 3) with their k-d tree, built once."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        self.tree = Tree(points)

    def some(self, count: int) -> np.ndarray:
        """At most ``count`` points, evenly spread over their order."""
        return self.points[np.linspace(0, len(self.points) - 1, min(count, len(self.points))).astype(int)]


def match(predicted: Cloud, true: Cloud, motion: Motion, count: int) -> tuple[np.ndarray, np.ndarray, Distances]:
    """Nearest points both ways: (M, 3) of the unmoved prediction, (M, 3) of the truth, and their distances when moved.

    ``count`` points of either cloud are matched to all of the other. Under a similarity the truth is taken back into
    the prediction's frame, where the tree is there already, and distances are multiplied by the scale. Only another
    affine motion needs a new tree.
    """
    source, target = predicted.some(count), true.some(count)
    accuracy, nearest_true = true.tree.query(motion.apply(source))
    scale = motion.similarity_scale()
    if scale is None:
        completeness, nearest_predicted = Tree(motion.apply(predicted.points)).query(target)
    else:
        completeness, nearest_predicted = predicted.tree.query(motion.inverse().apply(target))
        completeness = completeness * scale
    sources = np.concatenate([source, predicted.points[nearest_predicted]])
    return sources, np.concatenate([true.points[nearest_true], target]), Distances(accuracy, completeness)


def normalising(points: np.ndarray) -> Motion:
    """The scale and shift that centre the bounding box of points (P, 3) and make its longest edge 1, as every truth."""
    low, high = points.min(0), points.max(0)
    edge = (high - low).max()
    if not edge > 0:
        raise MsrnError(f"{len(points)} vertices in a single place: expected a mesh with an extent")
    return Motion(np.eye(3) / edge, -(low + high) / 2 / edge)


def renormalised(motion: Motion, extent: np.ndarray) -> Motion:
    """The rotation of a similarity, and then the normalisation of the points ``extent`` (V, 3) as they then stand."""
    turn = Motion(motion.linear / motion.similarity_scale(), np.zeros(3))
    return turn.then(normalising(turn.apply(extent)))


def about_vertical(degrees: float) -> Motion:
    """The turn about y, up, by which a point of the front (+z) moves toward +x."""
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return Motion(np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]]), np.zeros(3))


def search_rotation(predicted: np.ndarray, true: np.ndarray, extent: np.ndarray) -> Motion:
    """The best by CD of ``STEPS`` equal turns of ``predicted`` (P, 3) about the vertical, each normalised anew.

    A turned box has another longest edge, hence the normalisation at every angle; ``extent`` (V, 3) are the points that
    it measures, such as a mesh's vertices. The first angle is 0, which wins a tie. A coarse score does for steps this
    far apart: ``QUERIES`` points of each cloud against all of the other.
    """
    clouds = Cloud(predicted), Cloud(true)
    turns = [about_vertical(360 * step / STEPS) for step in range(STEPS)]
    candidates = [turn.then(normalising(turn.apply(extent))) for turn in turns]
    scores = [match(*clouds, motion, QUERIES)[2].chamfer_l1() for motion in candidates]
    return candidates[int(np.argmin(scores))]


def icp(predicted: np.ndarray, true: np.ndarray, fit_scale: bool = False) -> Motion:
    """Rotation and translation of ``predicted`` (P, 3) onto ``true`` (P', 3) by point-to-point ICP (Besl, McKay [51]).

    Points are matched both ways, half of the weight each, because CD counts both: matching the prediction alone would
    let a small one slide into any part of the truth. No reflection. Of all iterates, the start among them, the one of
    the smallest CD (at the matched points) is returned: the mean squared distance cannot rise, CD can.

    With ``fit_scale`` also one scale for each of the prediction's axes, 1/4 to 4, applied before the rotation, as the
    evaluator of Unicorn, the paper's base, does. The axes of an aligned prediction are its width, height and depth.
    """
    clouds = Cloud(predicted), Cloud(true)
    scale, motion, best = np.ones(3), IDENTITY, (np.inf, IDENTITY)
    last = np.inf
    for iteration in range(ITERATIONS + 1):
        source, target, distances = match(*clouds, motion, QUERIES)
        best = min(best, (distances.chamfer_l1(), motion), key=lambda pair: pair[0])
        error = np.square(distances.accuracy).mean() + np.square(distances.completeness).mean()
        if iteration == ITERATIONS or error > (1 - TOLERANCE) * last or error == 0:
            break
        last = error
        weight = np.repeat([0.5 / len(side) for side in distances], [len(side) for side in distances])  # (M,), sum 1
        if fit_scale:
            scale = _fit_scale(source, target, weight, scale, motion)
        rigid = _fit_rigid(source * scale, target, weight)
        motion = Motion(scale[:, None] * rigid.linear, rigid.offset)
    return best[1]


def _fit_rigid(source: np.ndarray, target: np.ndarray, weight: np.ndarray) -> Motion:
    """The rotation and translation of least weighted squared error between matched points (M, 3), by one SVD."""
    source_mean, target_mean = weight @ source, weight @ target
    covariance = (source - source_mean).T @ (weight[:, None] * (target - target_mean))  # (3, 3)
    u, _, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])  # -1 turns the best reflection into a rotation
    linear = (u * sign) @ vt
    return Motion(linear, target_mean - source_mean @ linear)


def _fit_scale(
    source: np.ndarray, target: np.ndarray, weight: np.ndarray, scale: np.ndarray, motion: Motion
) -> np.ndarray:
    """(3,) scales of least weighted squared error at the current rotation, the translation free: axis by axis, the
    regression of the target, turned back, on the source. An axis without extent keeps its scale."""
    rotation = motion.linear / scale[:, None]
    back = (target - weight @ target) @ rotation.T
    source = source - weight @ source
    spread = weight @ np.square(source)  # (3,)
    slopes = np.divide(weight @ (source * back), spread, out=scale.copy(), where=spread > 1e-12)
    return np.clip(slopes, 1 / SCALE_LIMIT, SCALE_LIMIT)

"""Metrics of §4.2 as pure functions of numpy arrays: chamfer distance, F-score (Eq. 47), pose consistency.

The unit of length is the longest edge of the ground truth, which is 1.
"""

from typing import NamedTuple

import numpy as np
from pykdtree.kdtree import KDTree

CELL = 0.05  # edge of the cells by which points are asked for, in longest edges
F_THRESHOLD = 0.01  # of the longest edge of the ground truth: the paper's F-score@0.01
CHAMFER_UNIT = 100.0  # the paper's CD columns are hundredths of the longest edge


class Distances(NamedTuple):
    """Unsquared distances from points of one cloud to the nearest of the other; all shape metrics come from them."""

    accuracy: np.ndarray
    """(P,) from each predicted point to the truth."""
    completeness: np.ndarray
    """(P',) from each true point to the prediction."""

    def chamfer_l1(self) -> float:
        """CD as the paper's tables hold it: 100 * (mean accuracy + mean completeness) / 2.

        This is not Eq. 46, which squares and sums: the paper's Table 5 repeats Unicorn's published values times ten,
        and those are ten times this half-sum of means. That the other tables share the unit is an inference: it is the
        one under which their CD and F-score fit together.
        """
        return float(CHAMFER_UNIT * 0.5 * (self.accuracy.mean() + self.completeness.mean()))

    def chamfer_eq46(self, points: int) -> float:
        """Eq. 46 as printed, in squared longest edges: the sum over both clouds of squared nearest distances, scaled up
        to clouds of ``points`` points each. Values compare only at an equal number of points."""
        return float(points * sum(np.square(side).mean() for side in self))

    def f_score(self, threshold: float = F_THRESHOLD) -> float:
        """Eq. 47, 0 to 1: harmonic mean of precision (share of predicted points nearer than ``threshold`` to the truth)
        and recall (share of true points that near to the prediction); 0 when both are 0."""
        precision, recall = (self.accuracy < threshold).mean(), (self.completeness < threshold).mean()
        return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def nearest_distances(predicted: np.ndarray, true: np.ndarray) -> Distances:
    """Nearest distances both ways between the clouds (P, 3) and (P', 3), by two k-d trees in float64."""
    return Distances(Tree(true).query(predicted)[0], Tree(predicted).query(true)[0])


class Tree:
    """A k-d tree of points (P, 3) in float64."""

    def __init__(self, points: np.ndarray) -> None:
        self._tree = KDTree(np.ascontiguousarray(points, np.float64))

    def query(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances (M,) from points (M, 3) to the nearest of the tree, and which these are (M,).

        Points are asked for cell by cell, so that what the last one visited is still in the processor's cache: far from
        the tree, where most of it must be seen, that is nearly twice as fast.
        """
        order = np.lexsort(np.floor(points / CELL).T)
        distance, nearest = self._tree.query(np.ascontiguousarray(points[order], np.float64))
        back = np.argsort(order)
        return distance[back], nearest[back]


def chamfer_l1(predicted: np.ndarray, true: np.ndarray) -> float:
    """``Distances.chamfer_l1`` of two clouds (P, 3) and (P', 3)."""
    return nearest_distances(predicted, true).chamfer_l1()


def pose_consistency(predicted_deg: np.ndarray, true_deg: np.ndarray, m: int = 1) -> float:
    """Resultant length of m * (predicted - true azimuth), angles (N,) in degrees: 1 if constant, near 0 if uniform.

    A constant offset is forgiven, since a category may learn any canonical direction; m = 2 forgives half turns as well
    (front for back), m = 4 quarter turns. N uniform angles give about 0.9 / sqrt(N), not 0.
    """
    predicted, true = (np.asarray(angle, np.float64) for angle in (predicted_deg, true_deg))
    return float(np.abs(np.exp(1j * np.deg2rad(m * (predicted - true))).mean()))

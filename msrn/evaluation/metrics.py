"""Metrics of §4.2: chamfer distance (Eq. 46 and the paper's unit), F-score (Eq. 47), 3D IoU, pose consistency.

Pure functions of numpy arrays. The unit of length is the longest edge of the ground truth, which is 1.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_fill_holes
from scipy.spatial import cKDTree
from trimesh.remesh import subdivide_to_size

from msrn.data.surface import check_mesh, check_points
from msrn.errors import MsrnError

F_THRESHOLD = 0.01  # of the longest edge of the ground truth: the paper's F-score@0.01
CHAMFER_UNIT = 100.0  # the paper's CD columns are hundredths of the longest edge


class Distances(NamedTuple):
    """Unsquared distances from points of one cloud to the nearest of the other; CD and F-score both come from them."""

    accuracy: np.ndarray
    """(P,) from each predicted point to the truth."""
    completeness: np.ndarray
    """(P',) from each true point to the prediction."""

    def chamfer_l1(self) -> float:
        """See :func:`chamfer_l1`."""
        return float(CHAMFER_UNIT * 0.5 * (self.accuracy.mean() + self.completeness.mean()))

    def chamfer_eq46(self) -> float:
        """See :func:`chamfer_eq46`."""
        return float(np.square(self.accuracy).sum() + np.square(self.completeness).sum())

    def f_score(self, threshold: float = F_THRESHOLD) -> float:
        """See :func:`f_score`."""
        precision, recall = (self.accuracy < threshold).mean(), (self.completeness < threshold).mean()
        return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def nearest_distances(predicted: np.ndarray, true: np.ndarray) -> Distances:
    """Nearest distances both ways between the clouds (P, 3) and (P', 3), by two k-d trees in float64."""
    predicted, true = check_points(predicted, "predicted points"), check_points(true, "true points")
    return Distances(tree(true).query(predicted)[0], tree(predicted).query(true)[0])


def tree(points: np.ndarray) -> cKDTree:
    """A k-d tree of (P, 3) points with the splits and leaves that made an evaluation fastest; answers are exact with
    any."""
    return cKDTree(points, leafsize=48, balanced_tree=False, compact_nodes=False)


def chamfer_l1(predicted: np.ndarray, true: np.ndarray) -> float:
    """CD as the paper's tables hold it: 100 * (mean accuracy + mean completeness) / 2, in 1/100 of the longest edge.

    Distances are not squared. This is not Eq. 46: the paper's Table 5 repeats Unicorn's published values times ten,
    and those are ten times this half-sum of means. That the other tables share the unit is an inference: it is the one
    under which their CD and F-score fit together. :func:`chamfer_eq46` is the formula as printed.
    """
    return nearest_distances(predicted, true).chamfer_l1()


def chamfer_eq46(predicted: np.ndarray, true: np.ndarray) -> float:
    """Eq. 46 by the letter: the sum over both clouds of squared nearest distances, in squared longest edges.

    A sum, so it grows with the number of points: a value means something only beside the P and P' it was taken at.
    """
    return nearest_distances(predicted, true).chamfer_eq46()


def f_score(predicted: np.ndarray, true: np.ndarray, threshold: float = F_THRESHOLD) -> float:
    """Eq. 47, 0 to 1: harmonic mean of precision (share of predicted points nearer than ``threshold`` to the truth) and
    recall (share of true points that near to the prediction); 0 when both are 0. The threshold is in longest edges."""
    return nearest_distances(predicted, true).f_score(threshold)


def pose_consistency(predicted_deg: np.ndarray, true_deg: np.ndarray, m: int = 1) -> float:
    """Resultant length of m * (predicted - true azimuth), angles (N,) in degrees: 1 if constant, near 0 if uniform.

    A constant offset is forgiven, since a category may learn any canonical direction; m = 2 forgives half turns as well
    (front for back), m = 4 quarter turns. N uniform angles give about 0.9 / sqrt(N), not 0.
    """
    predicted, true = (np.asarray(angle, np.float64) for angle in (predicted_deg, true_deg))
    if predicted.shape != true.shape or predicted.ndim != 1 or not len(predicted):
        raise MsrnError(f"pose_consistency: angles {predicted.shape} and {true.shape}: expected two equal (N,), N > 0")
    return float(np.abs(np.exp(1j * np.deg2rad(m * (predicted - true))).mean()))


def iou_3d(
    predicted_vertices: np.ndarray,
    predicted_faces: np.ndarray,
    true_vertices: np.ndarray,
    true_faces: np.ndarray,
    resolution: int = 32,
) -> float:
    """Volume IoU, 0 to 1, of two meshes in one frame (Table 6, which prints it in per cent).

    Both are made solid on one grid of ``resolution``^3 cubes over their common bounding box: voxels that the surface
    touches, and the holes inside them, so meshes need not be watertight. The evaluator that Table 6 goes back to first
    moves each prediction's box onto the truth's and scales all predictions alike, by the mean of :func:`box_scale`.
    """
    predicted_vertices, predicted_faces = check_mesh(predicted_vertices, predicted_faces, "predicted mesh")
    true_vertices, true_faces = check_mesh(true_vertices, true_faces, "true mesh")
    both = np.concatenate([predicted_vertices, true_vertices])
    pitch = np.ptp(both, axis=0).max() / resolution
    if not pitch > 0:
        raise MsrnError("iou_3d: both meshes are a single point: expected meshes with an extent")
    origin = (both.min(0) + both.max(0)) / 2 - pitch * resolution / 2
    predicted = _solid(predicted_vertices, predicted_faces, origin, pitch, resolution)
    true = _solid(true_vertices, true_faces, origin, pitch, resolution)
    return float((predicted & true).sum() / (predicted | true).sum())


def box_scale(predicted_vertices: np.ndarray, true_vertices: np.ndarray) -> float:
    """Cube root of the ratio of the bounding boxes' volumes, true over predicted; :func:`iou_3d` says what for."""
    volumes = [np.prod(np.ptp(np.asarray(v, np.float64), axis=0)) for v in (true_vertices, predicted_vertices)]
    if not min(volumes) > 0:
        raise MsrnError(f"box_scale: boxes of volume {volumes[0]:g} and {volumes[1]:g}: expected both above 0")
    return float(np.cbrt(volumes[0] / volumes[1]))


def _solid(vertices: np.ndarray, faces: np.ndarray, origin: np.ndarray, pitch: float, resolution: int) -> np.ndarray:
    """Occupancy (resolution,)*3 of a mesh. Faces are cut until no edge is longer than half a voxel: then no step from
    one voxel to the next can slip through a closed surface, so the filling cannot leak in."""
    points, _ = subdivide_to_size(vertices, faces, max_edge=pitch / 2, max_iter=20)
    cells = np.clip(((points - origin) / pitch).astype(int), 0, resolution - 1)  # (points, 3)
    grid = np.zeros((resolution,) * 3, bool)
    grid[tuple(cells.T)] = True
    return binary_fill_holes(grid)

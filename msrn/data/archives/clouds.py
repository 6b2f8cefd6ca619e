"""The true shape of an object of which an archive has points and no mesh: it answers as ``GroundTruth`` does.

Metrics take the archive's own points. Pictures and baselines, which need a mesh, get one of many small triangles, each
on a point and across its normal, so wide that they close the surface: seen and sampled it is that surface, and no
vertex of it is farther than the triangle's radius, a hundredth of the longest edge or so, from a true point.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

TRIANGLES = 20_000
NEIGHBORS = 8  # points within whose reach the density is measured
COVER = 3.0  # how often triangles cover the surface: with random places some would leave holes
GRAY = 176


class CloudTruth:
    """Points (P, 3) float32 and their normals (P, 3): y up, front toward +z, centred, longest edge 1.

    Without ``normals`` the mesh takes the direction in which a point's neighbours spread least.
    """

    def __init__(self, cloud: np.ndarray, normals: np.ndarray | None = None) -> None:
        self.cloud, self.normals = cloud, normals

    def points(self, count: int, seed: int) -> np.ndarray:
        """Points (``count``, 3) float32 of the archive's, none twice as long as there are enough."""
        generator = np.random.default_rng(seed)
        cloud = self.cloud
        again = max(0, count - len(cloud))
        rows = generator.permutation(len(cloud))[:count]
        return cloud[np.r_[rows, generator.integers(len(cloud), size=again)]]

    def outer_points(self, count: int, seed: int) -> np.ndarray:
        """The same: archives took their points of meshes that had been closed, which have no inside but an outside."""
        return self.points(count, seed)

    @property
    def vertices(self) -> np.ndarray:
        """(V, 3) float32, three to a triangle."""
        return self._mesh[0]

    @property
    def faces(self) -> np.ndarray:
        """(F, 3) int32."""
        return self._mesh[1]

    @property
    def face_colors(self) -> np.ndarray:
        """(F, 3) uint8: grey, since a cloud has no colours."""
        return np.full((len(self.faces), 3), GRAY, np.uint8)

    @cached_property
    def _mesh(self) -> tuple[np.ndarray, np.ndarray]:
        return surfels(self.cloud, self.normals, TRIANGLES)


class StoredCloud(CloudTruth):
    """The same of a cloud that ``load`` gives whenever it is needed: thousands of them are held at once."""

    def __init__(self, load: Callable[[], CloudTruth]) -> None:
        self._read = load
        load()  # what is wrong with it is said now

    @property
    def cloud(self) -> np.ndarray:
        return self._read().cloud

    @property
    def normals(self) -> np.ndarray | None:
        return self._read().normals


def surfels(cloud: np.ndarray, normals: np.ndarray | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (vertices (3F, 3) float32, faces (F, 3) int32) across the normals of at most ``count`` of the points,
    all equal but for those that would leave the points' bounding box."""
    generator = np.random.default_rng(0)
    rows = generator.permutation(len(cloud))[:count]
    center = cloud[rows].astype(np.float64)
    normal = _least_spread(center) if normals is None else normals[rows].astype(np.float64)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    helper = np.eye(3)[np.abs(normal).argmin(1)]  # (F, 3), the axis that is farthest from the normal
    first = np.cross(normal, helper)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12)
    second = np.cross(normal, first)
    near = min(NEIGHBORS, len(center) - 1)
    reach = np.median(cKDTree(center).query(center, near + 1)[0][:, -1])
    area = COVER * np.pi * reach**2 / near
    radius = np.sqrt(area * 4 / (3 * np.sqrt(3)))  # of the circle about an equilateral triangle
    turn = generator.uniform(0, 2 * np.pi, (len(center), 1)) + np.arange(3) * (2 * np.pi / 3)  # (F, 3)
    corners = center[:, None] + radius * (
        np.cos(turn)[..., None] * first[:, None] + np.sin(turn)[..., None] * second[:, None]
    )
    corners = corners.clip(center.min(0), center.max(0))  # or the mesh would be longer than the cloud
    return corners.reshape(-1, 3).astype(np.float32), np.arange(3 * len(center), dtype=np.int32).reshape(-1, 3)


def _least_spread(points: np.ndarray) -> np.ndarray:
    """(P, 3), the direction across the plane that fits a point (P, 3) and its nearest best."""
    near = points[cKDTree(points).query(points, min(NEIGHBORS, len(points) - 1) + 1)[1]]  # (P, n, 3)
    near = near - near.mean(1, keepdims=True)
    return np.linalg.eigh(np.swapaxes(near, 1, 2) @ near)[1][:, :, 0]


def centered_cloud(points: np.ndarray, normals: np.ndarray | None = None) -> CloudTruth:
    """The truth of points (P, 3) that are turned into our frame already."""
    low, high = points.min(0), points.max(0)
    return CloudTruth(((points - (low + high) / 2) / (high - low).max()).astype(np.float32), normals)

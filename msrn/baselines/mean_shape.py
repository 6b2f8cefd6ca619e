"""Baseline that answers with the mean shape of the image's category, which it is told: what knowing the name is worth.

Evaluation only: it reads the true shapes of training objects. Where the mean of their solid bodies passes the level at
which it encloses as much as they do on average, there is its surface, found by marching tetrahedra.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_fill_holes

from msrn.baselines.baseline import Given
from msrn.data.collection import ImageCollection
from msrn.evaluation.protocol import Mesh

RESOLUTION = 48  # voxels along an edge of the grid
MARGIN = 2  # of them on either side of an object whose longest edge is 1
POINTS = 100_000  # on a surface, some twenty in each voxel that it passes
CORNERS = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])  # of a cell, (8, 3)
# Six tetrahedra around the diagonal from corner 0 to corner 7 fill a cell, and neighbouring cells fit together.
TETRAHEDRA = np.array([(0, a, b, 7) for a, b in ((1, 3), (3, 2), (2, 6), (6, 4), (4, 5), (5, 1))])


def mean_shape(inputs: Given) -> list[Mesh]:
    """For each image the mean of all training objects of its category."""
    means = {term: _mean_of(inputs.train, names) for term, names in inputs.training_objects().items()}
    return [means[term] for term in inputs.category]


def _mean_of(train: ImageCollection, names: Sequence[str]) -> Mesh:
    """The mean of centred shapes of longest edge 1."""
    pitch = 1.0 / (RESOLUTION - 2 * MARGIN)
    origin = -pitch * RESOLUTION / 2
    mean, volume = np.zeros((RESOLUTION,) * 3), 0.0
    for name in names:
        points = (train.ground_truth(name).points(POINTS, seed=0) - origin) / pitch
        shell = np.zeros((RESOLUTION,) * 3, bool)  # voxels that the surface passes
        shell[tuple(np.clip(points, 0, RESOLUTION - 1).astype(int).T)] = True
        body = binary_fill_holes(shell)  # with what they enclose, so meshes need not be closed
        mean += body / len(names)
        volume += (body.sum() - shell.sum() / 2) / len(names)  # half of what the surface passes lies inside
    vertices, faces = marching_tetrahedra(mean, _level(mean, volume))
    return origin + pitch * (vertices + 0.5), faces  # values stand for the centres of voxels


def _level(values: np.ndarray, count: float) -> float:
    """The level at or above which ``count`` voxels lie, halfway to the next lower value."""
    ordered = np.sort(values, axis=None)[::-1]
    last = ordered[int(np.clip(round(count), 1, len(ordered))) - 1]
    return float((last + ordered[ordered < last].max(initial=0.0)) / 2)


def marching_tetrahedra(values: np.ndarray, level: float) -> Mesh:
    """The surface at which ``values`` (X, Y, Z), interpolated between whole coordinates, pass ``level``.

    Triangles are not joined and turn either way, which matters to no distance between surfaces.
    """
    inside = values >= level
    x, y, z = np.array(inside.shape) - 1
    cells = np.stack([inside[i : x + i, j : y + j, k : z + k] for i, j, k in CORNERS])  # (8, X-1, Y-1, Z-1)
    mixed = np.argwhere(cells.any(0) & ~cells.all(0))  # (cells, 3)
    points = (mixed[:, None] + CORNERS)[:, TETRAHEDRA].reshape(-1, 4, 3)  # (tetrahedra, 4, 3)
    height = values[tuple(np.moveaxis(points, 2, 0))] - level  # (tetrahedra, 4)
    order = np.argsort(height < 0, axis=1, kind="stable")  # corners inside first
    points, height = np.take_along_axis(points, order[..., None], 1), np.take_along_axis(height, order, 1)
    number = (height >= 0).sum(1)
    triangles = [
        _crossings(points[number == count], height[number == count], edges)
        for count, edges in (
            (1, ((0, 1), (0, 2), (0, 3))),
            (3, ((0, 3), (1, 3), (2, 3))),
            (2, ((0, 2), (0, 3), (1, 3))),
            (2, ((0, 2), (1, 3), (1, 2))),
        )
    ]
    vertices = np.concatenate(triangles).reshape(-1, 3)
    return vertices, np.arange(len(vertices)).reshape(-1, 3)


def _crossings(points: np.ndarray, height: np.ndarray, edges: Sequence[tuple[int, int]]) -> np.ndarray:
    """(tetrahedra, 3, 3): where each of three edges, from a corner inside to one outside, passes height 0."""
    start, end = np.array(edges).T
    share = height[:, start] / (height[:, start] - height[:, end])
    return points[:, start] + share[..., None] * (points[:, end] - points[:, start])

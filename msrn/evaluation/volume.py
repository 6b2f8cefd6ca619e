"""3D IoU, the column of Table 6, by the protocol that its values go back to.

CMR [31] prints it without code. In use is UCMR's evaluator, to which Unicorn's authors point too: the solids that
prediction and CAD model fill are compared on a grid of 32 cubes an edge, and a set of predictions is moved and scaled
as a whole: by the mean over its objects of the shift that centres a prediction's bounding box on the true one, and of
the cube root of the boxes' volumes, true over predicted. No prediction is turned or fitted by itself, so a wrong pose
or size costs. Frames are equated as for the alignment ``none``: by the cameras, of a network; by the axes, of files.

We depart in one thing: what of a prediction sticks out of the true model's cube counts in the union, where UCMR's grid
ends. Only tables that have the column pay for it: a tenth of a second or so an object, on one core.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import binary_fill_holes

from msrn.data.surface import check_mesh
from msrn.errors import MsrnError
from msrn.evaluation.protocol import Surface

NAME = "iou3d"
UNIT = "volume of the intersection over that of the union, in per cent, on cubes of 1/32 of the longest true edge"
RESOLUTION = 32  # cubes along the longest edge of the truth
INWARD = 1 - 1e-6  # so that what lies on a corner of the grid lies inside of it
AT_ONCE = 500_000  # points on faces in memory
LONGEST = 4.0  # true edges that a prediction may be long: beyond, it is in another unit than the rest of its set


def iou3d(surfaces: Sequence[Surface], collection: Any, indices: Sequence[int]) -> np.ndarray | None:
    """(M,) per cent, of the meshes (vertices (V, 3), faces (F, 3)) that were predicted for the images ``indices``.

    None where a surface is a cloud of points, which has no inside. Of the collection, ``object_id`` and
    ``ground_truth`` are read. MsrnError names an object whose mesh is flat or far too long.
    """
    names = [str(name) for name in collection.object_id[np.asarray(indices, int)]]
    if any(isinstance(surface, np.ndarray) for surface in surfaces):
        return None
    truths = [collection.ground_truth(name) for name in names]
    boxes = [
        (_box(*mesh, f"mesh for object {name}"), _box(truth.vertices, truth.faces, f"true mesh of object {name}"))
        for mesh, truth, name in zip(surfaces, truths, names, strict=True)
    ]
    shift = np.mean([true.mean(0) - predicted.mean(0) for predicted, true in boxes], axis=0)
    scale = float(
        np.mean([np.cbrt(np.prod(np.ptp(true, 0)) / np.prod(np.ptp(predicted, 0))) for predicted, true in boxes])
    )
    values = []
    for (vertices, faces), truth, name, (predicted, true) in zip(surfaces, truths, names, boxes, strict=True):
        length = scale * np.ptp(predicted, 0).max() / np.ptp(true, 0).max()
        if length > LONGEST:
            raise MsrnError(
                f"mesh for object {name}: {length:.1f} times as long as its true shape when the set is scaled as a "
                f"whole: expected at most {LONGEST:g}; predictions of a set share one unit"
            )
        placed = (np.asarray(vertices, np.float64) + shift) * scale
        values.append(100 * solid_iou((placed, faces), (truth.vertices, truth.faces)))
    return np.array(values)


def solid_iou(predicted: tuple[np.ndarray, np.ndarray], true: tuple[np.ndarray, np.ndarray]) -> float:
    """Intersection over union, 0 to 1, of the solids of two meshes in one frame, on a grid over both.

    A solid is every cube that the surface touches and the holes inside them, so a mesh need not be watertight: a gap
    narrower than a cube leaks nothing, a wider one leaves the walls alone. Cubes at the surface count whole, which
    makes a solid thicker by half a cube or so all around.
    """
    (vertices, faces), (true_vertices, true_faces) = (
        check_mesh(*predicted, "predicted mesh"),
        check_mesh(*true, "true mesh"),
    )
    pitch = np.ptp(true_vertices[np.unique(true_faces)], 0).max() / RESOLUTION
    if not pitch > 0:
        raise MsrnError("3D IoU: the true mesh is a single point: expected one with an extent")
    triangles = [mesh[0][mesh[1]] * (INWARD / pitch) for mesh in ((vertices, faces), (true_vertices, true_faces))]
    low = np.floor(np.minimum(*(some.min((0, 1)) for some in triangles))).astype(int)
    shape = np.floor(np.maximum(*(some.max((0, 1)) for some in triangles))).astype(int) - low + 1
    ours, theirs = (_solid(some - low, shape) for some in triangles)
    return float((ours & theirs).sum() / (ours | theirs).sum())


def _solid(triangles: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """The cubes of a grid of ``shape`` that triangles (F, 3, 3), in units of the grid, touch or enclose. Points on a
    face are half a cube apart or less: then no step from one cube to the next slips through a closed surface."""
    grid = np.zeros(shape, bool)
    longest = np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=2).max(1)
    parts = np.ceil(2 * longest).astype(int).clip(1)  # of each edge
    for count in np.unique(parts):  # faces of one size together, some at a time
        first, second = np.mgrid[: count + 1, : count + 1].reshape(2, -1)
        inside = first + second <= count
        weights = np.stack([first, second, count - first - second], 1)[inside] / count
        alike = triangles[parts == count]
        for start in range(0, len(alike), step := max(1, AT_ONCE // len(weights))):
            cells = (weights @ alike[start : start + step]).astype(int)
            grid[cells[..., 0], cells[..., 1], cells[..., 2]] = True
    return binary_fill_holes(grid)


def _box(vertices: np.ndarray, faces: np.ndarray, name: str) -> np.ndarray:
    """(2, 3): the corners of the box around the vertices that faces use; refused where it has no volume."""
    vertices, faces = check_mesh(vertices, faces, name)
    corners = vertices[np.unique(faces)]
    box = np.stack([corners.min(0), corners.max(0)])
    if not np.ptp(box, 0).min() > 0:
        raise MsrnError(f"{name}: its box is {' × '.join(f'{edge:g}' for edge in np.ptp(box, 0))}: expected a volume")
    return box

"""The template sphere X of Eq. 6: an icosahedron whose triangles are split in four, `level` times over.

Every vertex lies on the unit sphere and every face is oriented outward (counter-clockwise seen from outside), so the
ellipsoid that Eq. 6 deforms has no poles, no seams and nearly equal triangles.

    level        0    1    2     3     4
    vertices    12   42  162   642  2562
    faces       20   80  320  1280  5120
"""

import torch
from torch import Tensor

from msrn.errors import MsrnError

MAX_LEVEL = 7  # 163,842 vertices; each further level needs four times the memory


def icosphere(level: int) -> tuple[Tensor, Tensor]:
    """Vertices (V,3) float32 of length 1 and outward faces (F,3) int64 of the sphere with 20 * 4**level faces."""
    if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= MAX_LEVEL:
        raise MsrnError(f"icosphere: level is {level!r}, expected a whole number from 0 to {MAX_LEVEL}; use 2, 3 or 4")
    vertices, faces = _icosahedron()
    for _ in range(level):
        vertices, faces = _subdivide(vertices, faces)
    return vertices.float(), faces


def _icosahedron() -> tuple[Tensor, Tensor]:
    golden = (1 + 5**0.5) / 2
    vertices = torch.tensor(
        [
            (-1, golden, 0), (1, golden, 0), (-1, -golden, 0), (1, -golden, 0),
            (0, -1, golden), (0, 1, golden), (0, -1, -golden), (0, 1, -golden),
            (golden, 0, -1), (golden, 0, 1), (-golden, 0, -1), (-golden, 0, 1),
        ],
        dtype=torch.float64,
    )  # fmt: skip
    faces = torch.tensor(
        [
            (0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11),
            (1, 5, 9), (5, 11, 4), (11, 10, 2), (10, 7, 6), (7, 1, 8),
            (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9),
            (4, 9, 5), (2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1),
        ]
    )  # fmt: skip
    return torch.nn.functional.normalize(vertices, dim=1), faces


def _subdivide(vertices: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Split each triangle in four at the middles of its edges, and push the new vertices out to the sphere."""
    edges = torch.stack([faces, faces.roll(-1, dims=1)], dim=-1)  # (F,3,2): the edge that leaves each corner
    unique, middle = edges.sort(dim=-1).values.view(-1, 2).unique(dim=0, return_inverse=True)
    points = torch.nn.functional.normalize(vertices[unique].mean(dim=1), dim=1)
    middle = middle.view(-1, 3) + len(vertices)  # (F,3): the new vertex after each corner
    corners = torch.stack([faces, middle, middle.roll(1, dims=1)], dim=-1).view(-1, 3)
    return torch.cat([vertices, points]), torch.cat([corners, middle])

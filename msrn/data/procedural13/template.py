"""The template mesh of a category: a generated shape that stands for it before any image is seen.

Some systems start from a shape of the category in place of an ellipsoid, a 3D model from elsewhere (UCMR's of cars is
one file). Ours is the mean of generated shapes: no data set but procedural13 itself holds one of them.
"""

from functools import lru_cache

import numpy as np
import torch
from pykdtree.kdtree import KDTree

from msrn.data.procedural13.shapes import make_object
from msrn.render.icosphere import icosphere

OBJECTS = 20
POINTS = 10_000  # on the surface of each
NEAREST = 8  # points around a direction; the outermost is the surface, since wheels and seats lie behind others


@lru_cache(maxsize=4)
def template(category: str, level: int) -> torch.Tensor:
    """The vertices of an icosphere of that level, each moved out to the mean surface in its direction, (V,3) float32:
    y up, front toward +z, where the longest edge of a shape is 1."""
    sphere = icosphere(level)[0].numpy()
    radius = np.mean([_radius(category, index, sphere) for index in range(OBJECTS)], 0)
    return torch.tensor(sphere * radius[:, None], dtype=torch.float32)


def _radius(category: str, index: int, sphere: np.ndarray) -> np.ndarray:
    """How far an object's surface is from its centre along unit vectors (V,3), (V,)."""
    points = make_object(category, index).points(POINTS, seed=0)
    distance = np.linalg.norm(points, axis=1)
    _, near = KDTree(points / distance[:, None]).query(sphere, k=NEAREST)
    return distance[near].max(1)

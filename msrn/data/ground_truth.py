"""The true shape of an object, and the points of it that predictions are compared with (§4.2)."""

from dataclasses import dataclass

import numpy as np

from msrn.data.outer_surface import sample_outer_surface
from msrn.data.surface import sample_surface


@dataclass(frozen=True)
class GroundTruth:
    """The true shape of an object: y up, front toward +z, bounding box centred at the origin, longest edge 1."""

    vertices: np.ndarray  # (V, 3) float32
    faces: np.ndarray  # (F, 3) int32
    face_colors: np.ndarray  # (F, 3) uint8

    def points(self, count: int, seed: int) -> np.ndarray:
        """Points (P, 3) float32 on the surface, P = ``count``, uniform by area."""
        return sample_surface(self.vertices, self.faces, count, seed).astype(np.float32)

    def outer_points(self, count: int, seed: int) -> np.ndarray:
        """The same on the part of the surface that can be seen from outside."""
        return sample_outer_surface(self.vertices, self.faces, count, seed).astype(np.float32)

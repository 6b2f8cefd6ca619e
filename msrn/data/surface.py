"""Points on surfaces, drawn alike for truth and prediction, and what a mesh or a cloud must be to be measured."""

import numpy as np
from trimesh import Trimesh, sample

from msrn.errors import MsrnError


def sample_surface(vertices: np.ndarray, faces: np.ndarray, count: int, seed: int | list[int]) -> np.ndarray:
    """Points (P, 3) float64, P = ``count``, uniform in area on the mesh (V, 3), (F, 3), in O(F + P log F).

    Faces without area are never drawn; a mesh of no others is refused.
    """
    return sample_faces(vertices, faces, count, seed)[0]


def sample_faces(
    vertices: np.ndarray, faces: np.ndarray, count: int, seed: int | list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """The points of ``sample_surface``, and the face (P,) on which each lies."""
    vertices, faces = check_mesh(vertices, faces)
    if count < 1:
        raise MsrnError(f"sample_surface: count = {count}: expected at least 1 point")
    mesh = Trimesh(vertices, faces, process=False)
    wide = np.flatnonzero(mesh.area_faces > 0)
    if not len(wide):
        raise MsrnError(f"mesh of {len(faces)} faces without any area: expected a surface to sample points on")
    mesh.update_faces(wide)
    points, face = sample.sample_surface(mesh, count, seed=seed)
    return np.asarray(points), wide[face]


def check_points(points: np.ndarray, name: str) -> np.ndarray:
    """``points`` as float64 (P, 3), refused when empty, misshapen or not finite."""
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise MsrnError(f"{name}: shape {points.shape}: expected (P, 3) with P > 0")
    if not np.isfinite(points).all():
        bad = (~np.isfinite(points)).any(1).sum()
        raise MsrnError(f"{name}: {bad} of {len(points)} are not finite (NaN or infinite): expected numbers")
    return points


def check_mesh(vertices: np.ndarray, faces: np.ndarray, name: str = "mesh") -> tuple[np.ndarray, np.ndarray]:
    """The mesh as float64 (V, 3) and int64 (F, 3), refused when empty, misshapen, not finite or out of range."""
    vertices, faces = check_points(vertices, f"{name}: vertices"), np.asarray(faces)
    if faces.ndim != 2 or faces.shape[1] != 3 or not len(faces) or not np.issubdtype(faces.dtype, np.integer):
        raise MsrnError(f"{name}: faces {faces.dtype} {faces.shape}: expected whole numbers (F, 3) with F > 0")
    if faces.min() < 0 or faces.max() >= len(vertices):
        span = f"{faces.min()}..{faces.max()}"
        raise MsrnError(f"{name}: faces name vertices {span}: expected 0..{len(vertices) - 1}")
    return vertices, faces.astype(np.int64)

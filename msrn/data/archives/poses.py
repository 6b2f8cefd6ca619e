"""Cameras of archives in our convention (``msrn.camera``): row vectors, x right to left, y up, z into the scene.

And by which row of an archive an object is found, so that nothing is measured against another one.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from msrn import camera
from msrn.data.archives.reading import named
from msrn.errors import MsrnError

TOLERANCE = 1e-3  # how far a rotation of an archive may be from orthonormal


def is_rotation(matrix: np.ndarray) -> bool:
    """Whether all of the matrices (..., 3, 3) turn and do not mirror."""
    matrix = np.asarray(matrix, np.float64)
    if not np.isfinite(matrix).all():
        return False
    gram = matrix @ np.swapaxes(matrix, -1, -2)
    return bool((np.abs(gram - np.eye(3)) < TOLERANCE).all() and (np.linalg.det(matrix) > 0).all())


def angles(rotation: np.ndarray) -> np.ndarray:
    """Azimuth, elevation and roll (..., 3) float32 in degrees of R (..., 3, 3): the inverse of ``camera.rotation``.

    Straight from above or below azimuth and roll turn about one axis; the azimuth is then 0.
    """
    rotation = np.asarray(rotation, np.float64)
    toward = -rotation[..., :, 2]  # (..., 3), from the object to the camera
    elevation = np.rad2deg(np.arcsin(np.clip(toward[..., 1], -1, 1)))
    level = np.hypot(toward[..., 0], toward[..., 2]) > 1e-6
    azimuth = np.where(level, np.rad2deg(np.arctan2(toward[..., 0], toward[..., 2])), 0.0)
    upright = camera.rotation(*(torch.from_numpy(np.atleast_1d(a)) for a in (azimuth, elevation, 0 * azimuth))).numpy()
    spin = np.swapaxes(upright.reshape(rotation.shape), -1, -2) @ rotation
    roll = np.rad2deg(np.arctan2(spin[..., 0, 1], spin[..., 0, 0]))
    return np.stack([azimuth % 360, elevation, roll], -1).astype(np.float32)


def rows_of(names: Sequence[str], ids: np.ndarray, root: Path) -> np.ndarray:
    """(M,) for each object that is ``names`` for, its row among the ``ids`` (N,), which are all different."""
    order = np.argsort(ids)
    rows = order[np.searchsorted(ids, names, sorter=order).clip(max=len(ids) - 1)]
    others = np.unique(np.asarray(names)[ids[rows] != names])
    if len(others):
        raise MsrnError(
            f"{root}: {named([repr(str(name)) for name in others], 3)} is not among its {len(ids):,} objects"
        )
    return rows


def check_different(ids: Sequence[str], root: Path) -> None:
    """Refuse an id that occurs twice: its truth would be that of another object."""
    names, count = np.unique(np.asarray(ids, str), return_counts=True)
    if (count > 1).any():
        twice = [repr(str(name)) for name in names[count > 1]]
        raise MsrnError(f"{root}: {named(twice, 3)} occurs twice: expected every object once")

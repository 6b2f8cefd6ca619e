"""Cameras of archives in our convention (``msrn.camera``): row vectors, x right to left, y up, z into the scene."""

import numpy as np
import torch

from msrn import camera

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

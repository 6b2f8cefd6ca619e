"""Real panoramas, from which homeware-wild cuts its backgrounds, and the camera that cuts them.

Each is an equirectangular photograph under CC0 (``assets/HOMEWARE_WILD_CREDITS.md``), twice as wide as high: a column
is a longitude, a row a latitude, the horizon lies in the middle. They are split as the objects are, and those of places
that look alike are in one split, so that no background of a test image is seen in training.
"""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import map_coordinates

from msrn import camera
from msrn.errors import torn_asset

PANORAMAS = {
    "train": (
        "apartment", "avenue", "bridge", "city", "esplanade", "laboratory", "meadow", "pines", "piazza", "promenade",
        "quay", "studio", "town", "warehouse",
    ),
    "val": ("courtyard", "hall", "park"),
    "test": ("garden", "hills", "lobby", "room", "savanna", "workshop"),
}  # fmt: skip


@lru_cache(maxsize=32)
def read_panorama(path: Path) -> np.ndarray:
    """A panorama (H, W, 3) float32 in 0..1, W = 2 H."""
    try:
        with Image.open(path) as file:
            pixels = np.asarray(file.convert("RGB"))
        if pixels.shape[1] != 2 * pixels.shape[0]:
            raise ValueError(f"it is {pixels.shape[1]} x {pixels.shape[0]} pixels, not twice as wide as high")
    except (OSError, ValueError, SyntaxError) as error:  # Pillow's own kinds, the last for a broken header
        raise torn_asset(path, error) from error
    pixels = pixels.astype(np.float32) / 255
    pixels.flags.writeable = False
    return pixels


def crop(panorama: np.ndarray, pose: tuple[float, float, float], field_of_view: float, size: int) -> np.ndarray:
    """What a camera in the middle of a panorama sees: (H, W, 3) float32, H = W = ``size``, sampled bilinearly.

    ``pose`` is azimuth, elevation and roll in degrees as in ``camera.rotation``, so that an object drawn with the same
    roll stands upright in it; such a camera looks down by its elevation. ``field_of_view`` is in degrees.
    """
    half = math.tan(math.radians(field_of_view / 2))
    x, y = np.meshgrid(*[(2 * np.arange(size) + 1) / size - 1] * 2)
    rays = np.stack((-half * x, -half * y, np.ones_like(x)), axis=-1)  # in camera axes
    dx, dy, dz = np.moveaxis(rays @ camera.rotation(*torch.tensor(pose, dtype=torch.float64)).numpy().T, -1, 0)
    height, width = panorama.shape[:2]
    column = (0.5 - np.arctan2(dx, dz) / (2 * np.pi)) * width - 0.5  # from inside, longitudes fall to the right
    row = (0.5 - np.arctan2(dy, np.hypot(dx, dz)) / np.pi) * height - 0.5
    at = np.stack((np.clip(row, 0, height - 1), column))
    return np.stack([map_coordinates(panorama[..., c], at, order=1, mode="grid-wrap") for c in range(3)], axis=-1)

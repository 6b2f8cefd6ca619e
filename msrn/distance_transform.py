"""The exact squared Euclidean distance transform that turns Eq. 41 into two weighted sums (§3.4)."""

import numpy as np
import torch
from numba import njit
from torch import Tensor


def squared_distance(mask: Tensor, wanted: Tensor | None = None) -> Tensor:
    """Squared distance of each pixel to the nearest one of its image's mask, in px^2. (...,H,W) bool -> float32.

    Infinite everywhere when a mask is empty. ``wanted`` (...,H,W) bool are the pixels of which it is asked, by default
    all; it is 0 for the others. Columns first, then rows: the square of a distance is the sum of the two. A compiled
    kernel does it on the CPU, tensor operations anywhere else.
    """
    masks = mask.flatten(0, -3)
    asked = torch.ones_like(masks) if wanted is None else wanted.expand_as(mask).flatten(0, -3)
    if mask.device.type != "cpu":
        return _squared_distance_torch(masks).where(asked, 0.0).view(mask.shape)
    distance = torch.empty(mask.shape)
    _fill(masks.contiguous().numpy(), asked.contiguous().numpy(), distance.view(masks.shape).numpy())
    return distance


def _squared_distance_torch(mask: Tensor) -> Tensor:
    """The readable form, O(HW^2), on any device."""
    row = torch.arange(mask.shape[1], device=mask.device, dtype=torch.float32)[:, None]
    above = row.where(mask, -torch.inf).cummax(1).values  # (B,H,W), the last row of the mask so far
    below = row.where(mask, torch.inf).flip(1).cummin(1).values.flip(1)
    column = torch.minimum(row - above, below - row).square()
    x = torch.arange(mask.shape[2], device=mask.device, dtype=torch.float32)
    return (column[:, :, None] + (x[:, None] - x).square()).amin(3)  # (B,H,W,W) -> (B,H,W)


@njit(cache=True)
def _fill(masks: np.ndarray, wanted: np.ndarray, distances: np.ndarray) -> None:
    """Two scans of each column, then from each wanted pixel outward along its row, while it can pay. (B,H,W) thrice."""
    _, height, width = masks.shape
    column = np.empty((height, width), np.int64)
    for mask, asked, distance in zip(masks, wanted, distances):  # noqa: B905  Numba knows no strict
        if not mask.any():
            distance[:] = np.where(asked, np.inf, 0.0)
            continue
        for x in range(width):
            steps = height + width
            for y in range(height):
                steps = 0 if mask[y, x] else steps + 1
                column[y, x] = steps
            for y in range(height - 1, -1, -1):
                steps = min(column[y, x], steps + 1)
                column[y, x] = steps
        for y in range(height):
            for x in range(width):
                if not asked[y, x]:
                    distance[y, x] = 0.0
                    continue
                least = column[y, x] ** 2
                for step in range(1, width):
                    if step * step >= least:
                        break
                    if x >= step:
                        least = min(least, step * step + column[y, x - step] ** 2)
                    if x + step < width:
                        least = min(least, step * step + column[y, x + step] ** 2)
                distance[y, x] = least

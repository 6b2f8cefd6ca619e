"""The exact squared Euclidean distance transform that turns Eq. 41 into two weighted sums (§3.4)."""

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from msrn.threads import several_threads


def squared_distance(mask: Tensor) -> Tensor:
    """Squared distance of each pixel to the nearest one of its image's mask, in px^2. (...,H,W) bool -> float32.

    Infinite everywhere when a mask is empty. Columns first, then rows: the square of a distance is the sum of the two.
    A compiled kernel does it on the CPU, on as many threads as torch has, tensor operations anywhere else.
    """
    masks = mask.flatten(0, -3)
    if mask.device.type != "cpu":
        return _squared_distance_torch(masks).view(mask.shape)
    distance = torch.empty(mask.shape)
    with several_threads() as parallel:
        fill = _fill_parallel if parallel else _fill_serial
        fill(masks.contiguous().numpy(), distance.view(masks.shape).numpy())
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
def _fill(mask: np.ndarray, distance: np.ndarray) -> None:
    """Of one image (H,W): two scans of each column, then from each pixel outward along its row, while it can pay."""
    height, width = mask.shape
    if not mask.any():
        distance[:] = np.inf
        return
    column = np.empty((height, width), np.int64)
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
            least = column[y, x] ** 2
            for step in range(1, width):
                if step * step >= least:
                    break
                if x >= step:
                    least = min(least, step * step + column[y, x - step] ** 2)
                if x + step < width:
                    least = min(least, step * step + column[y, x + step] ** 2)
            distance[y, x] = least


@njit(cache=True)
def _fill_serial(masks: np.ndarray, distances: np.ndarray) -> None:
    for image in range(len(masks)):
        _fill(masks[image], distances[image])


@njit(cache=True, parallel=True)
def _fill_parallel(masks: np.ndarray, distances: np.ndarray) -> None:
    for image in prange(len(masks)):
        _fill(masks[image], distances[image])

"""The hull of a category: the largest shape that its silhouettes leave, from given azimuths (no section of the paper).

    m_b(p)  mean mask of the images at azimuth b
    h(x)    second least of m_b(pi_b(x)) over azimuths b: how full voxel x is
    s_b(p)  largest h(x) over the voxels that pi_b puts onto pixel p: the hull's own silhouette

The second least in place of the least forgives one azimuth that is wrong. Where azimuths are right, s_b is close to
m_b; where they are folded or run the wrong way round, the hull is carved away and s_b is too small.
"""

import numpy as np
import torch

from msrn import camera

AZIMUTHS = 24  # even around the circle
SIDE = 32  # of silhouettes, in pixels
VOXELS = 28  # along each edge of the cube around an object, whose longest edge is 1
EDGE = 1.1  # of the cube


class HullCamera:
    """Where the voxels of the cube fall in the images from every azimuth, at one elevation in degrees."""

    def __init__(self, elevation: float) -> None:
        edge = ((np.arange(VOXELS) + 0.5) / VOXELS - 0.5) * EDGE
        self.voxels = np.stack(np.meshgrid(edge, edge, edge, indexing="ij"), -1).reshape(-1, 3).astype(np.float32)
        azimuth = torch.arange(AZIMUTHS) * (360.0 / AZIMUTHS)
        rotation = camera.rotation(azimuth, torch.full_like(azimuth, elevation), torch.zeros_like(azimuth))
        centre = torch.tensor([0.0, 0.0, camera.DISTANCE]).expand(AZIMUTHS, 3)
        image = camera.project(torch.from_numpy(self.voxels)[None], rotation, centre).numpy()
        column, row = (np.clip(((image[..., k] + 1) / 2 * SIDE).astype(int), 0, SIDE - 1) for k in (0, 1))
        self.pixel = row * SIDE + column  # (AZIMUTHS, voxels)
        self.order = np.argsort(self.pixel, axis=1, kind="stable")
        sorted_pixel = np.take_along_axis(self.pixel, self.order, 1)
        self.starts = [np.flatnonzero(np.diff(row, prepend=-1)) for row in sorted_pixel]  # of each pixel's voxels
        self.covered = [row[start] for row, start in zip(sorted_pixel, self.starts, strict=True)]

    def carve(self, means: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """h (voxels,) from mean masks (AZIMUTHS, P) of the azimuths that are ``seen`` (AZIMUTHS,)."""
        shares = np.take_along_axis(means[seen], self.pixel[seen], 1)
        second = min(1, len(shares) - 1)
        return np.partition(shares, second, axis=0)[second]

    def silhouettes(self, fullness: np.ndarray) -> np.ndarray:
        """s (AZIMUTHS, P) of h (voxels,)."""
        images = np.zeros((AZIMUTHS, SIDE * SIDE), np.float32)
        for b in range(AZIMUTHS):
            images[b, self.covered[b]] = np.maximum.reduceat(fullness[self.order[b]], self.starts[b])
        return images

    def ellipsoid(self, axes: tuple[float, float, float]) -> np.ndarray:
        """The silhouettes (AZIMUTHS, P) of an ellipsoid with these semi-axes."""
        return self.silhouettes((np.square(self.voxels / np.array(axes)).sum(1) < 1).astype(np.float32))


def mean_masks(masks: np.ndarray, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """m (AZIMUTHS, P) of masks (n, P) at azimuths (n,) of the circle, and the number of images at each."""
    at = (np.arange(AZIMUTHS)[:, None] == azimuth).astype(np.float32)
    count = at.sum(1)
    return at @ masks / np.maximum(count, 1)[:, None], count


def apart(masks: np.ndarray, silhouettes: np.ndarray) -> np.ndarray:
    """Mean squared difference (n, AZIMUTHS) of every mask (n, P) from every silhouette (AZIMUTHS, P)."""
    squares = np.square(masks).sum(1)[:, None] - 2 * masks @ silhouettes.T + np.square(silhouettes).sum(1)
    return squares / masks.shape[1]

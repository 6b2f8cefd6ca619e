"""What the backends share: constants, which faces are drawn, and the blending of (pixel, face) pairs in plain torch.

The equations stand in `msrn.render`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

NEAR, FAR, EPSILON = 1.0, 100.0, 1e-3
MIN_DEPTH = 1e-3  # a face with a corner nearer than this, or behind the camera, is skipped
MIN_AREA = 1e-8  # twice the area in image coordinates; a flatter face is skipped

Images = tuple[Tensor | None, Tensor, Tensor]  # rgb (B,3,H,W) or None, alpha (B,H,W), log_transparency (B,H,W)


class Frame(NamedTuple):
    """How all meshes of a call are drawn; as in ``soft_rasterize``."""

    size: int
    sigma: float
    gamma: float
    background: tuple[float, float, float]

    @property
    def cutoff(self) -> float:
        """The squared distance at which D falls to 1e-4."""
        return math.log(1 / 1e-4 - 1) * self.sigma


def area(triangle: Tensor) -> Tensor:
    """Twice the signed area of triangles (...,3,2)."""
    return cross(triangle[..., 1, :] - triangle[..., 0, :], triangle[..., 2, :] - triangle[..., 0, :])


def cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def drawable(corners: Tensor) -> Tensor:
    """Which faces (...,3,3) are drawn: in front of the camera, with an area, and finite."""
    flat = area(corners[..., :2]).abs()
    return (corners[..., 2] > MIN_DEPTH).all(-1) & (flat > MIN_AREA) & flat.isfinite()


def blend(
    x: Tensor, z: Tensor | None, color: Tensor | None, place: tuple[Tensor, Tensor, Tensor], batch: int, frame: Frame
) -> Images:
    """Gather pairs into their pixels. x, z: one entry per pair; color: (pairs,3); place: image, row and column."""
    size, (image, row, column) = frame.size, place
    pixel, pixels = (image * size + row) * size + column, batch * size**2
    log_transparency = x.new_zeros(pixels).index_add(0, pixel, logsigmoid(-x))  # torch's softplus(x) is x beyond 20
    alpha = -torch.expm1(log_transparency)
    flat = alpha.view(batch, size, size), log_transparency.view(batch, size, size)
    if color is None:
        return None, *flat
    zeta = (FAR - z) / (FAR - NEAR)
    # Subtracting each pixel's largest zeta cancels in the quotient, so it needs no gradient.
    largest = x.new_full((pixels,), EPSILON).scatter_reduce(0, pixel, zeta.detach(), "amax")
    weight = torch.sigmoid(x) * torch.exp((zeta - largest[pixel]) / frame.gamma)
    rest = torch.exp((EPSILON - largest) / frame.gamma)
    total = rest.index_add(0, pixel, weight)
    blended = (rest[:, None] * x.new_tensor(frame.background)).index_add(0, pixel, weight[:, None] * color)
    return (blended / total[:, None]).view(batch, size, size, 3).permute(0, 3, 1, 2), *flat

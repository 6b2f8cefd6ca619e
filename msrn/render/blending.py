"""What the backends share: constants, which faces are drawn, and the blending of (pixel, face) pairs in plain torch.

The equations stand in `msrn.render`.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

NEAR, FAR, EPSILON = 1.0, 100.0, 1e-3
MIN_DEPTH = 1e-3  # a face with a corner nearer than this, or behind the camera, is skipped
MIN_AREA = 1e-8  # twice the area in image coordinates; a flatter face is skipped


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
    x: Tensor, z: Tensor | None, color: Tensor | None, pixel: Tensor, pixels: int, gamma: float, background: Tensor
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Gather pairs into their pixels. x, z and pixel: one entry per pair; color: (pairs,3).

    Returns rgb (pixels,3) (None without color), alpha (pixels), log_transparency (pixels).
    """
    log_transparency = x.new_zeros(pixels).index_add(0, pixel, logsigmoid(-x))  # torch's softplus(x) is x beyond 20
    alpha = -torch.expm1(log_transparency)
    if color is None:
        return None, alpha, log_transparency
    zeta = (FAR - z) / (FAR - NEAR)
    # Subtracting each pixel's largest zeta cancels in the quotient, so it needs no gradient.
    largest = x.new_full((pixels,), EPSILON).scatter_reduce(0, pixel, zeta.detach(), "amax")
    weight = torch.sigmoid(x) * torch.exp((zeta - largest[pixel]) / gamma)
    rest = torch.exp((EPSILON - largest) / gamma)
    total = rest.index_add(0, pixel, weight)
    blended = (rest[:, None] * background).index_add(0, pixel, weight[:, None] * color)
    return blended / total[:, None], alpha, log_transparency

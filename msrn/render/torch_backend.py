"""The readable form of the renderer's equations, on any device and in any floating type, differentiated by autograd.

Every (pixel, face) pair is one row: a face is paired with the pixels of its bounding box widened by the cut-off, pairs
beyond the cut-off are dropped, and `blend` gathers the rest into images. On a CUDA device the order of the sums is not
fixed, so two runs agree to rounding only.
"""

import torch
from torch import Tensor

from msrn.render.blending import MIN_AREA, Frame, Images, area, blend, cross, drawable


def rasterize(vertices: Tensor, faces: Tensor, face_colors: Tensor | None, frame: Frame) -> Images:
    batch, count = len(vertices), len(faces)
    corners = vertices[:, faces].flatten(0, 1)  # (B*F,3,3): one row per face of the batch
    with torch.no_grad():
        face, row, column = _pairs(corners, frame.size, frame.cutoff)
        near = _signed_square(_relative(corners, face, row, column, frame.size)) > -frame.cutoff
        face, row, column = face[near], row[near], column[near]
    triangle = _relative(corners, face, row, column, frame.size)
    x = _signed_square(triangle) / frame.sigma
    z = color = None
    if face_colors is not None:
        weights = _barycentric(triangle)
        z = (weights * corners[face, :, 2]).sum(1)
        color = (weights[:, :, None] * face_colors.flatten(0, 1)[face]).sum(1)
    image = torch.div(face, max(count, 1), rounding_mode="floor")
    return blend(x, z, color, (image, row, column), batch, frame)


def _pairs(corners: Tensor, size: int, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    """Face, row and column of every pixel centre in a drawable face's bounding box widened by the cut-off."""
    face = drawable(corners).nonzero()[:, 0]
    box = corners[face, :, :2]
    first = (((box.amin(1) - cutoff**0.5 + 1) * size - 1) / 2).clamp(0, size).ceil().long()
    last = (((box.amax(1) + cutoff**0.5 + 1) * size - 1) / 2).clamp(-1, size - 1).floor().long()
    columns, rows = (last - first + 1).clamp(min=0).unbind(1)
    count = rows * columns
    index = torch.repeat_interleave(count)
    offset = torch.arange(len(index), device=face.device) - (count.cumsum(0) - count)[index]
    row = first[index, 1] + torch.div(offset, columns[index], rounding_mode="floor")
    column = first[index, 0] + offset % columns[index]
    return face[index], row, column


def _relative(corners: Tensor, face: Tensor, row: Tensor, column: Tensor, size: int) -> Tensor:
    """The pair's triangle (pairs,3,2) seen from its pixel's centre."""
    centre = (2 * torch.stack([column, row], dim=1) + 1).to(corners) / size - 1
    return corners[face, :, :2] - centre[:, None]


def _edge_functions(triangle: Tensor) -> Tensor:
    """(pairs,3): twice the area between the pixel and the edge opposite each corner, negative beyond that edge."""
    following, preceding = triangle.roll(-1, dims=1), triangle.roll(1, dims=1)
    return cross(following, preceding) * area(triangle).sign()[:, None]


def _signed_square(triangle: Tensor) -> Tensor:
    """(pairs): squared distance from the pixel to the triangle's boundary, negative outside the triangle."""
    start, along = triangle.roll(-1, dims=1), triangle.roll(1, dims=1) - triangle.roll(-1, dims=1)
    t = (-(start * along).sum(-1) / along.square().sum(-1)).clamp(0, 1)
    square = (start + t[..., None] * along).square().sum(-1).amin(1)
    inside = (_edge_functions(triangle) >= 0).all(1)
    return torch.where(inside, square, -square)


def _barycentric(triangle: Tensor) -> Tensor:
    """(pairs,3): barycentric coordinates of the pixel, negative ones set to zero, divided by their sum.

    Dividing edge functions by the sum of those that are left equals clipping and renormalising, and stays exact beside
    very thin faces, where the coordinates themselves are huge."""
    clipped = _edge_functions(triangle).clamp(min=0)
    return clipped / clipped.sum(1, keepdim=True).clamp(min=MIN_AREA)

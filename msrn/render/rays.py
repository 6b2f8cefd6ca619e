"""The projection pi for a signed distance d: rays instead of a rasteriser (of DVR, SDF-SRN and ShapeClipper's family).

A pixel at (u, v) looks from the camera's centre o = -T R^T along r = (-u / F, -v / F, 1) R^T, of unit length: points
o + t r are those that ``camera.project`` brings to (u, v). Where r passes the cube that holds the shape, d is asked at
SAMPLES depths t, without gradient. They give

    t_low, at which d is least, the vertex of the parabola through the least sample and its neighbours,
    t_hit, at which d first passes 0, by the secant, whose slope is m; t_low where d does not.

Only these two points of a ray, held fixed, are asked again, with gradient:

    alpha = sigmoid(-d(o + t_low r) / softness),   colour = c(o + t r),   t = t_hit - d(o + t_hit r) / m.

The silhouette is IDR's and SDF-SRN's: it grows from the outline by the least distance along the ray, so its gradient
reaches a ray however far it passes by. t is DVR's and IDR's implicit depth, through which colours move the surface; its
slope is that of the secant instead of the gradient of d, which saves a derivative. ShapeClipper integrates a density
over 64 samples of each ray, all with gradient, which costs ten times as much.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from msrn import camera

SAMPLES = 16
FLATTEST = -0.1  # the slope m counts as no flatter than this: a grazing ray's depth would have no bounds


class Rays(NamedTuple):
    """Rays of B shapes from K cameras through P pixels, in the object's frame."""

    origin: Tensor  # (B, K, 1, 3)
    direction: Tensor  # (B, K, P, 3), of unit length

    def at(self, depth: Tensor) -> Tensor:
        """Points (B, K, P, ..., 3) at ``depth`` (B, K, P, ...)."""
        more = depth.ndim - self.direction.ndim + 1
        origin, direction = (x[(..., *[None] * more, slice(None))] for x in self)
        return origin + depth[..., None] * direction


class Found(NamedTuple):
    """Where rays meet a shape, or pass it by; (B, K, P) each."""

    lowest: Tensor  # t_low
    first: Tensor  # t_hit
    slope: Tensor  # m, where the ray hits
    hit: Tensor  # bool


class Seen(NamedTuple):
    """What rays see."""

    alpha: Tensor  # (B, K, P)
    log_transparency: Tensor  # (B, K, P), log(1 - alpha)
    colors: Tensor  # (B, K, P, 3)
    surface: Tensor  # (B, K, P, 3), the points with these colours; no gradient


def pixels(size: int, side: int, offset: tuple[int, int]) -> Tensor:
    """Centres (side^2, 2), x right and y down in -1..1, of every pixel of a lattice of side^2 in an image of size^2;
    ``offset`` (row, column) is that of its first pixel, below size / side."""
    row, column = (torch.arange(side) * (size // side) + first for first in offset)
    centre = torch.cartesian_prod(row, column).flip(1)
    return (2 * centre + 1) / size - 1


def rays(centres: Tensor, rotation: Tensor, translation: Tensor) -> Rays:
    """The rays through pixels (P, 2) of cameras (B, K, 3, 3) and (B, K, 3)."""
    back = rotation.mT  # (B, K, 3, 3)
    ahead = torch.cat((-centres / camera.FOCAL, torch.ones_like(centres[:, :1])), 1).to(back)  # (P, 3), camera axes
    return Rays(-translation[..., None, :] @ back, functional.normalize(ahead @ back, dim=-1))


@torch.no_grad()
def search(distance: Callable[[Tensor], Tensor], along: Rays, half: float, shift: float = 0.5) -> Found:
    """Where rays meet the level set of ``distance``, which gives (B, N) for points (B, N, 3) and is above 0 outside of
    the cube. ``shift`` in 0..1 moves all samples along their rays, by up to the step between two."""
    near, far = _in_cube(along, half)
    share = (torch.arange(SAMPLES, device=near.device, dtype=near.dtype) + shift) / SAMPLES
    depth = near[..., None] + (far - near)[..., None] * share  # (B, K, P, S)
    d = distance(along.at(depth).flatten(1, -2)).view_as(depth)
    step = (depth[..., 1] - depth[..., 0])[..., None]
    least = d.argmin(-1, keepdim=True)
    middle = least.clamp(1, SAMPLES - 2)
    before, at, after = (d.gather(-1, middle + k) for k in (-1, 0, 1))
    bend = before - 2 * at + after
    lower = 0.5 * (before - after) / bend.clamp_min(1e-9)
    inner = (least == middle) & (bend > 1e-9)  # else there is no lower place between two samples
    lowest = depth.gather(-1, least) + step * torch.where(inner, lower.clamp(-1, 1), 0.0)
    inside = d < 0
    place = inside.to(torch.uint8).argmax(-1, keepdim=True)  # the first inside
    outer = (place - 1).clamp_min(0)
    d_in, d_out = d.gather(-1, place), d.gather(-1, outer)
    crossed = inside.any(-1, keepdim=True) & (place > 0)
    share = torch.where(crossed, d_out / (d_out - d_in).clamp_min(1e-9), 0.0)
    first = torch.where(crossed, depth.gather(-1, outer) + share * step, lowest)
    slope = torch.where(crossed, (d_in - d_out) / step.clamp_min(1e-9), FLATTEST).clamp_max(FLATTEST)
    return Found(*(x[..., 0] for x in (lowest, first, slope, crossed)))


def look(
    distance: Callable[[Tensor], Tensor],
    color: Callable[[Tensor], Tensor],
    along: Rays,
    found: Found,
    softness: float,
) -> Seen:
    """What rays see where ``search`` has found the shape. ``color`` gives (B, K, P, 3) for points of that shape."""
    places = along.at(torch.stack((found.lowest, found.first), -1))  # (B, K, P, 2, 3)
    lowest, first = distance(places.flatten(1, -2)).view(places.shape[:-1]).unbind(-1)
    logit = -lowest / softness
    depth = found.first - torch.where(found.hit, first / found.slope, 0.0)
    surface = along.at(depth)
    return Seen(torch.sigmoid(logit), -functional.softplus(logit), color(surface), surface.detach())


def eikonal(distance: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Mean of (|grad d| - 1)^2 at points (B, N, 3) -> (B,): how far d is from being a distance."""
    points = points.detach().requires_grad_()
    [slope] = torch.autograd.grad(distance(points).sum(), points, create_graph=True)
    return ((slope.square().sum(-1) + 1e-12).sqrt() - 1).square().mean(1)


def _in_cube(along: Rays, half: float) -> tuple[Tensor, Tensor]:
    """The depths (B, K, P) between which rays are in the cube; twice that nearest to its centre where they miss it."""
    inverse = 1 / along.direction.where(along.direction.abs() > 1e-9, 1e-9)
    ends = torch.stack(((-half - along.origin) * inverse, (half - along.origin) * inverse))
    near, far = ends.amin(0).amax(-1), ends.amax(0).amin(-1)
    nearest = -(along.origin * along.direction).sum(-1)
    misses = near >= far
    return near.where(~misses, nearest), far.where(~misses, nearest)

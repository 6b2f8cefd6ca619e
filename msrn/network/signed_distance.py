"""A shape as a signed distance in place of a mesh (setting ``decoders: sdf``), for the family of ShapeClipper, DVR and
SDF-SRN.

    d(x) = max( e(x) + D_s(zbar_s, x),  max_i |x_i| - HALF ),     S = {x : d(x) = 0}        in place of Eq. 6
    c(x) = sigmoid(D_t(z_t, x))                                                             in place of Eq. 4

d is below zero inside, in units of an object's longest edge. e is the distance from the ellipsoid X of Eq. 6, exact to
first order at its surface; D_s starts at zero, so that the first shape is the ellipsoid and needs no pre-training, for
which ShapeClipper and SDF-SRN take a thousand steps and more. Nothing lies outside of a cube of edge 2 HALF, so that
the level set is closed and none of it is where no mesh is looked for.

Perceptrons of 64 channels are ShapeClipper's, which has five hidden layers and six octaves of sines of x. Here are
three, and three octaves, sin(2^k pi x) and cos(2^k pi x): images are of 32 or 64 pixels, where its are of 224.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from msrn.network.layers import mlp

HALF = 0.6  # of the cube's edge; ShapeClipper looks for meshes in the same
CHANNELS = 64
OCTAVES = 3
TINY = 1e-12  # under a root, where the ellipsoid's centre has no gradient


@dataclass
class Field:
    """What the shape branch says of B images, as signed distances."""

    code: Tensor  # z_s (B, Q), before compensation
    compensated: Tensor  # zbar_s (B, Q)


class ColorField(nn.Module):
    """c of points, grey to begin with: one perceptron for all, linear maps of point and code, added, and what
    follows."""

    def __init__(self, code: int, outputs: int = 3):
        super().__init__()
        self.register_buffer("waves", math.pi * 2.0 ** torch.arange(OCTAVES), persistent=False)
        self.from_point = nn.Linear(3 + 6 * OCTAVES, CHANNELS)
        self.from_code = nn.Linear(code, CHANNELS)
        self.rest = mlp([CHANNELS, CHANNELS, CHANNELS, outputs], zero=True)

    def places(self, points: Tensor) -> Tensor:
        """points (B, P, 3) -> (B, P, CHANNELS), the same for every code."""
        angles = (points[..., None, :] * self.waves[:, None]).flatten(-2)  # (B, P, 3 OCTAVES)
        return self.from_point(torch.cat((points, angles.sin(), angles.cos()), -1))

    def perceptron(self, code: Tensor, places: Tensor) -> Tensor:
        """code (B, Q), places (B, P, CHANNELS) -> (B, P, outputs)."""
        return self.rest(functional.relu(places + self.from_code(code)[:, None]))

    def forward(self, code: Tensor, points: Tensor) -> Tensor:
        """code (B, Q), points (B, P, 3) -> colours (B, P, 3) in 0..1."""
        return torch.sigmoid(self.perceptron(code, self.places(points)))


class SignedDistance(ColorField):
    """d of points, by the same kind of perceptron."""

    def __init__(self, code: int, ellipsoid: Sequence[float]):
        super().__init__(code, 1)
        self.register_buffer("axes", torch.tensor(ellipsoid), persistent=False)

    def forward(self, code: Tensor, points: Tensor) -> Tensor:
        """code (B, Q), points (B, P, 3) -> d (B, P)."""
        return self.at(points)(code)

    def at(self, points: Tensor) -> Callable[[Tensor], Tensor]:
        """d of points (B, P, 3) as a function of codes. Shapes on one grid share what the points alone decide, which
        is half of the time."""
        places, ellipsoid, cube = self.places(points), from_ellipsoid(points, self.axes), points.abs().amax(-1) - HALF
        return lambda code: torch.maximum(ellipsoid + self.perceptron(code, places)[..., 0], cube)


def from_ellipsoid(points: Tensor, axes: Tensor) -> Tensor:
    """Signed distance (...) of points (..., 3) from the ellipsoid with the semi-axes ``axes`` (3,), exact for a sphere
    and to first order near the surface: k (k - 1) / |x / a^2| with k = |x / a|."""
    scaled = points / axes
    whole, slope = ((x.square().sum(-1) + TINY).sqrt() for x in (scaled, scaled / axes))
    return whole * (whole - 1) / slope

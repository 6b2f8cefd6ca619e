"""Meshes in image coordinates for the tests of the renderer."""

import torch

from msrn.render import icosphere

WHITE = (1.0, 1.0, 1.0)


def crumpled(level=1, batch=2, scale=0.5, noise=0.03, seed=0, dtype=torch.float64):
    """Spheres with disturbed vertices, off the centre: vertices, faces, colours."""
    draw = torch.Generator().manual_seed(seed)
    vertices, faces = icosphere(level)
    vertices = vertices.to(dtype) * scale
    vertices = vertices + noise * torch.randn(batch, *vertices.shape, generator=draw, dtype=dtype)
    vertices = vertices + 0.2 * torch.randn(batch, 1, 3, generator=draw, dtype=dtype)
    vertices[..., 2] += 2.7
    return vertices, faces, torch.rand(batch, len(faces), 3, 3, generator=draw, dtype=dtype)


def soup(faces=12, batch=2, spread=0.8, seed=0, dtype=torch.float64):
    """Triangles that have nothing to do with each other."""
    draw = torch.Generator().manual_seed(seed)
    vertices = (torch.rand(batch, 3 * faces, 3, generator=draw, dtype=dtype) * 2 - 1) * spread
    vertices[..., 2] = vertices[..., 2] * 0.3 + 2.5
    index = torch.arange(3 * faces).view(-1, 3)
    return vertices, index, torch.rand(batch, faces, 3, 3, generator=draw, dtype=dtype)


def _with(change):
    vertices, faces, colors = soup(seed=1)
    change(vertices)
    return vertices, faces, colors


def _zero_area(vertices):
    vertices[:, 1] = vertices[:, 0]  # two corners in one point
    vertices[:, 5] = (vertices[:, 3] + vertices[:, 4]) / 2  # three on a line
    vertices[:, 6:9] = vertices[:, 6:7]  # all in one point


def _behind(vertices):
    vertices[0, :, 2] -= 2.5  # around the camera: some faces wholly, some partly behind
    vertices[1, :3, 2] *= -1


def _off_screen(vertices):
    vertices[0, :, 0] += 5
    vertices[1, :9, 1] -= 2


def _huge(vertices):
    vertices[:, :6, :2] *= 1e3


def _coincident(vertices):
    vertices[:, 3:6] = vertices[:, :3]  # a face twice
    vertices[:, 6:9] = vertices[:, [2, 1, 0]]  # and once more, seen from behind


def _not_finite(vertices):
    vertices[0, 0, 0] = float("nan")
    vertices[0, 4, 1] = float("inf")
    vertices[1, 7, 2] = float("nan")


DEGENERATE = {
    "zero area": lambda: _with(_zero_area),
    "behind the camera": lambda: _with(_behind),
    "off screen": lambda: _with(_off_screen),
    "huge faces": lambda: _with(_huge),
    "coincident faces": lambda: _with(_coincident),
    "one image": lambda: soup(batch=1),
    "one face": lambda: soup(faces=1),
    "one face, one image": lambda: soup(faces=1, batch=1),
    "no face": lambda: soup(faces=0),
    "not finite": lambda: _with(_not_finite),
    "flat seen edge-on": lambda: _with(lambda vertices: vertices[..., 0].mul_(1e-9)),
    "very thin": lambda: _with(lambda vertices: vertices[..., 0].mul_(1e-6)),
}

"""What the network makes of images: textured meshes, of a template or as the level set of a signed distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from skimage.measure import marching_cubes

from msrn.errors import MsrnError
from msrn.network.signed_distance import HALF, ColorField, SignedDistance

AT_ONCE = 4096  # points, whose channels then stay in a cache; all at once take four times as long


class Textured(NamedTuple):
    """A mesh with its colours. Meshes of one template share the very tensor of their faces; others have their own."""

    vertices: torch.Tensor  # (V, 3), the object's own frame
    faces: torch.Tensor  # (F, 3)
    colors: torch.Tensor  # (F, 3, 3), a colour per corner in 0..1


@dataclass
class Reconstruction:
    """A textured mesh and its camera for each of B images, at the likeliest pose."""

    meshes: list[Textured]
    rotation: torch.Tensor  # (B, 3, 3)
    translation: torch.Tensor  # (B, 3)
    azimuth: torch.Tensor  # (B,) degrees
    code: torch.Tensor  # z_s (B, Q)
    empty: torch.Tensor  # (B,) bool: the signed distance is nowhere below 0, and the grey ellipsoid stands in


def stacked(meshes: Sequence[Textured]) -> tuple[torch.Tensor, torch.Tensor]:
    """Vertices (B, V, 3) and colours (B, F, 3, 3) of meshes of one template; MsrnError where faces differ."""
    if any(mesh.faces is not meshes[0].faces for mesh in meshes):
        raise MsrnError("these meshes have faces of their own (decoders 'sdf'): expected meshes of one template")
    vertices, _, colors = zip(*meshes, strict=True)
    return torch.stack(vertices), torch.stack(colors)


def plain(vertices: torch.Tensor, faces: torch.Tensor) -> Textured:
    """A mesh in grey."""
    return Textured(vertices, faces, vertices.new_full((len(faces), 3, 3), 0.5))


@torch.no_grad()
def level_sets(
    distance: SignedDistance, color: ColorField, shapes: torch.Tensor, textures: torch.Tensor, cells: int
) -> list[Textured | None]:
    """The meshes at which the signed distances of the codes ``shapes`` (B, Q) are 0, with the colours of the codes
    ``textures`` (B, Q); None where no point of the grid lies inside. Faces are counter-clockwise as seen from outside.

    By marching cubes on a grid of ``cells`` an edge, whose outermost points lie half a cell beyond the cube: the mesh
    is closed. What is thinner than a cell may be missed. Time grows as B x cells^3.
    """
    end = HALF * cells / (cells - 1)
    edge = torch.linspace(-end, end, cells + 1, device=shapes.device)
    values = []
    for part in torch.cartesian_prod(edge, edge, edge).split(AT_ONCE):
        there = distance.at(part[None])
        values.append(torch.cat([there(code[None]) for code in shapes]))
    grids = torch.cat(values, 1).view(-1, *3 * [cells + 1]).cpu().numpy()
    return [_level_set(grid, end, color, texture) for grid, texture in zip(grids, textures, strict=True)]


def _level_set(grid: np.ndarray, end: float, color: ColorField, texture: torch.Tensor) -> Textured | None:
    """Of distances at the points of a grid from -``end`` to ``end`` along each axis."""
    if not (grid < 0).any():
        return None
    vertices, faces, _, _ = marching_cubes(grid, 0.0, gradient_direction="descent", allow_degenerate=False)
    pitch = np.float32(2 * end / (len(grid) - 1))
    vertices = torch.from_numpy(vertices * pitch - np.float32(end)).to(texture.device)
    faces = torch.from_numpy(faces.astype(np.int64)).to(texture.device)
    return Textured(vertices, faces, color(texture[None], vertices[None])[0][faces])

"""Pose to camera (the C of Eq. 5) and its perspective projection.

Row vectors throughout: x_camera = x R + T, with PyTorch3D's camera axes (X left, Y up, Z into the scene), so that poses
can be compared with the lineage's code. Objects stand with y up and their front toward +z.
"""

import math

import torch

FIELD_OF_VIEW = 30.0  # degrees, the renders of Kato et al. [50]
FOCAL = 1 / math.tan(math.radians(FIELD_OF_VIEW / 2))  # 3.7320508, in units of half an image
DISTANCE = 2.732  # from camera to object centre; the longest edge of an object is 1


def rotation(azimuth: torch.Tensor, elevation: torch.Tensor, roll: torch.Tensor) -> torch.Tensor:
    """R (..., 3, 3) for angles (...) in degrees: R = R_azimuth R_elevation diag(-1, 1, -1) R_roll.

    The camera stands at distance * (cos e sin a, sin e, cos e cos a) and looks at the origin; roll turns the image.
    """
    azimuth, elevation, roll = (torch.deg2rad(angle) for angle in torch.broadcast_tensors(azimuth, elevation, roll))
    turn = _about(azimuth, ((0, 2), (2, 0)), fixed=1)  # brings the camera's direction into the y-z plane
    tilt = _about(elevation, ((1, 2), (2, 1)), fixed=0)  # and then onto +z
    spin = _about(roll, ((0, 1), (1, 0)), fixed=2)
    x, y, z = (turn @ tilt).unbind(-1)
    return torch.stack((-x, y, -z), -1) @ spin


def either_way(rotation: torch.Tensor) -> torch.Tensor:
    """The pose and that of the mesh turned half around its vertical axis: R (..., 1, 3, 3) -> (..., 2, 3, 3)."""
    x, y, z = rotation.unbind(-2)
    return torch.cat([rotation, torch.stack((-x, y, -z), -2)], -3)  # R, diag(-1, 1, -1) R


def _about(angle: torch.Tensor, sines: tuple, fixed: int) -> torch.Tensor:
    """Rotation (..., 3, 3) about axis ``fixed``: +sin at ``sines[0]``, -sin at ``sines[1]``."""
    cosine, sine = torch.cos(angle), torch.sin(angle)
    entries = [[torch.zeros_like(angle)] * 3 for _ in range(3)]
    for axis in range(3):
        entries[axis][axis] = torch.ones_like(angle) if axis == fixed else cosine
    (row, column), (other_row, other_column) = sines
    entries[row][column], entries[other_row][other_column] = sine, -sine
    return torch.stack(sum(entries, []), -1).unflatten(-1, (3, 3))  # at once: writing into a matrix costs autograd more


def project(
    vertices: torch.Tensor, rotation: torch.Tensor, translation: torch.Tensor, focal: float = FOCAL
) -> torch.Tensor:
    """Vertices (..., V, 3) to the image (..., V, 3): x right and y down in -1..1 across the image, then the depth z.

    ``rotation`` (..., 3, 3) and ``translation`` (..., 3) as above, broadcast. Vertices behind the camera keep their
    z <= 0, by which the renderer knows them; their x and y are meaningless.
    """
    x, y, z = (vertices @ rotation + translation[..., None, :]).unbind(-1)  # (..., V) each
    depth = z.masked_fill(z.abs() < 1e-6, 1e-6)
    return torch.stack((-focal * x / depth, -focal * y / depth, z), dim=-1)

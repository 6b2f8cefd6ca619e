"""The outside oracle: PyTorch3D's rasteriser finds the faces of each pixel, the equations of `msrn.render` blend them.

PyTorch3D's conventions, and what is done about them:
- its x points left and its y up: both are negated;
- `dists` is the squared distance, negative inside the face, and `blur_radius` bounds that square: x = -dists / sigma;
- it keeps only the nearest FACES_PER_PIXEL faces of a pixel, so log_transparency falls short where more overlap;
- its kernels know float32 only: other types are converted there and back.

Its own `softmax_rgb_blend` is the same softmax over depth apart from the background's weight, which it raises to 1e-10
where that has underflowed and takes at zeta = 1e-10 in place of EPSILON: no difference that float32 can show at the
usual gamma.

PyTorch3D is optional (there is no wheel for macOS or Windows) and therefore imported when first used.
"""

import torch
from torch import Tensor

from msrn.errors import MsrnError, first_line
from msrn.render.blending import Frame, Images, blend, drawable

FACES_PER_PIXEL = 50


def rasterize(vertices: Tensor, faces: Tensor, face_colors: Tensor | None, frame: Frame) -> Images:
    face, z, barycentric, dists = fragments(vertices[:, faces], frame.size, frame.cutoff)
    covered = face >= 0  # (B,H,W,K)
    face = face[covered]
    image, row, column, _ = covered.nonzero().unbind(1)
    color = None
    if face_colors is not None:
        color = (barycentric[covered].to(vertices)[:, :, None] * face_colors.flatten(0, 1)[face]).sum(1)
    x, z = -dists[covered].to(vertices) / frame.sigma, z[covered].to(vertices)
    return blend(x, z, color, (image, row, column), len(vertices), frame)


def fragments(corners: Tensor, size: int, cutoff: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Face (-1 for none), depth, barycentric coordinates and signed square of the nearest faces at each pixel.

    corners (B,F,3,3). Faces are handed over with corners of their own, so that one which must not be drawn can be
    flattened to a point, which PyTorch3D skips, without moving its neighbours."""
    rasterize_meshes, meshes = _pytorch3d()
    corners = torch.where(drawable(corners)[..., None, None], corners, corners.new_tensor([0.0, 0.0, 1.0]))
    corners = corners.float() * corners.new_tensor([-1.0, -1.0, 1.0], dtype=torch.float32)
    if corners.shape[1] == 0:  # it refuses a mesh without faces: give it one to skip
        corners = torch.cat([corners, corners.new_zeros(len(corners), 1, 3, 3)], dim=1)
    batch, count = corners.shape[:2]
    faces = torch.arange(3 * count, device=corners.device).view(1, count, 3).expand(batch, -1, -1)
    return rasterize_meshes(
        meshes(corners.flatten(1, 2), faces),
        image_size=size,
        blur_radius=cutoff,
        faces_per_pixel=FACES_PER_PIXEL,
        bin_size=0,  # the coarse pass overflows on small images
        perspective_correct=False,
        clip_barycentric_coords=True,
        cull_backfaces=False,
    )


def _pytorch3d():
    try:
        from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
        from pytorch3d.structures import Meshes
    except ImportError as error:
        raise MsrnError(
            f"render: backend pytorch3d cannot be imported ({first_line(error)}); install easypytorch3d (PyPI) or "
            "pytorch3d (conda-forge), or use backend='numba' or 'torch'"
        ) from error
    return rasterize_meshes, Meshes

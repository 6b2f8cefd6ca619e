r"""The differentiable projection pi of sections 3.3 and 3.4: a soft rasteriser after SoftRas (Liu et al., ICCV 2019).

Every face k covers every pixel p with a probability that falls smoothly across the face's outline,

    x_k(p) = +d^2 / sigma inside the face, -d^2 / sigma outside,     D_k = sigmoid(x_k),

where d is the distance from the pixel's centre to the nearest point of the triangle's boundary. A face whose outside
distance reaches d^2 >= ln(1 / 1e-4 - 1) * sigma (D_k <= 1e-4; one pixel at 64 x 64 and sigma 1e-4) is left out.

Silhouette: the probability that at least one face covers the pixel. Its complement is kept as a logarithm, because
Eq. 40 needs log(1 - M') where M' is 1 to the last digit, and a clamped logarithm has no gradient:

    log_transparency = log prod_k (1 - D_k) = -sum_k softplus(x_k),        alpha = 1 - exp(log_transparency).

Colour: a softmax over depth, weighted by coverage. With zeta = (FAR - z) / (FAR - NEAR),

    w_k = D_k exp(zeta_k / gamma) / (sum_j D_j exp(zeta_j / gamma) + exp(EPSILON / gamma)),
    rgb = sum_k w_k c_k + (1 - sum_k w_k) background.

Decisions
- NEAR 1 and FAR 100 are SoftRas' and scale zeta only; they clip nothing. With gamma 1e-4 a face 0.01 behind another
  weighs 1/e as much: a hundredth of the object's longest edge. The background lies so far back (depth 99.9) that any
  face within the cut-off outweighs it: the colours reach to the cut-off, and alpha alone draws the outline. Where
  colours should fade with the outline, composite `alpha * rgb + (1 - alpha) * background`.
- z and c at a pixel come from its barycentric coordinates in the image, without perspective correction, as in the
  paper's lineage (SoftRas interpolates 1/z; on a face of the templates the two differ by less than 1e-3). Outside the
  face negative coordinates are set to zero and the rest divided by their sum.
- Both sides of a face are drawn, as SoftRas does: a mesh under training may turn inside out for a while.
- A face with a corner at depth <= 1e-3 (behind the camera), without area or with a corner that is not finite is
  skipped.

Image coordinates: x right, y down, both -1..1 over the image; the centre of column j is (2 j + 1) / W - 1.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from msrn.errors import MsrnError, did_you_mean
from msrn.render.blending import Frame, Images
from msrn.render.icosphere import icosphere

__all__ = ["BACKENDS", "default_backend", "icosphere", "soft_rasterize"]

BACKENDS = ("numba", "triton", "torch", "pytorch3d")


def soft_rasterize(
    vertices: Tensor,
    faces: Tensor,
    face_colors: Tensor | None,
    image_size: int,
    sigma: float,
    gamma: float,
    background: Sequence[float] = (1.0, 1.0, 1.0),
    backend: str | None = None,
) -> Images:
    """Draw a batch of meshes that share their faces.

    vertices (B,V,3): image coordinates x, y and depth z > 0. faces (F,3): whole numbers. face_colors (B,F,3,3): RGB at
    each corner, or None for silhouettes only. sigma: softness of outlines in squared image units. gamma: softness of
    the choice between depths. backend: "numba" (the default on a CPU), "triton" (the default for float32 on a CUDA
    device where Triton can run), "torch" (the default elsewhere), "pytorch3d".

    Returns rgb (B,3,H,W) (None without face_colors), alpha (B,H,W), log_transparency (B,H,W), H = W = image_size.
    """
    faces = _checked(vertices, faces, face_colors, image_size, sigma, gamma)
    frame = Frame(image_size, sigma, gamma, _background(background))
    return _backend(backend, vertices)(vertices, faces, face_colors, frame)


def _backend(name: str | None, vertices: Tensor):
    """The backend's function, imported when first used: Numba, Triton and PyTorch3D each take a while to load."""
    name = default_backend(vertices.device, vertices.dtype) if name is None else name
    if name == "numba":
        if vertices.device.type != "cpu":
            raise MsrnError(f"render: backend numba needs CPU tensors, got {vertices.device}; use backend='torch'")
        from msrn.render.numba_backend import rasterize
    elif name == "triton":
        from msrn.render.triton_backend import rasterize
    elif name == "torch":
        from msrn.render.torch_backend import rasterize
    elif name == "pytorch3d":
        from msrn.render.pytorch3d_backend import rasterize
    else:
        options = ", ".join(BACKENDS)
        raise MsrnError(f"render: unknown backend {name!r}{did_you_mean(name, BACKENDS)}; use one of {options}")
    return rasterize


def default_backend(device: torch.device, dtype: torch.dtype = torch.float32) -> str:
    """The backend that draws tensors of a device and type when none is asked for."""
    if device.type == "cpu":
        return "numba"
    if device.type == "cuda" and dtype == torch.float32:
        from msrn.render.triton_backend import available

        return "triton" if available() else "torch"
    return "torch"


def _checked(vertices, faces, face_colors, image_size, sigma, gamma) -> Tensor:
    """Refuse what the backends could not draw; returns the faces as int64 on the vertices' device."""
    if vertices.ndim != 3 or vertices.shape[2] != 3 or vertices.dtype not in (torch.float32, torch.float64):
        raise MsrnError(f"render: vertices are {_kind(vertices)}, expected (B,V,3) float32 or float64")
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.is_floating_point():
        raise MsrnError(f"render: faces are {_kind(faces)}, expected (F,3) whole numbers")
    low, high = _span(faces)
    if low < 0 or high >= vertices.shape[1]:
        span = f"{low}..{high}"
        raise MsrnError(f"render: faces name vertices {span}, but there are {vertices.shape[1]}; number them from 0")
    faces = faces.to(vertices.device, torch.int64)
    if face_colors is not None:
        expected = (len(vertices), len(faces), 3, 3)
        same_kind = face_colors.dtype == vertices.dtype and face_colors.device == vertices.device
        if face_colors.shape != expected or not same_kind:
            kind = f"{expected} {vertices.dtype} on {vertices.device}, like the vertices"
            raise MsrnError(f"render: face_colors are {_kind(face_colors)} on {face_colors.device}, expected {kind}")
    if isinstance(image_size, bool) or not isinstance(image_size, int) or image_size < 1:
        raise MsrnError(f"render: image_size is {image_size!r}, expected a whole number of pixels, 1 or more")
    for name, value in (("sigma", sigma), ("gamma", gamma)):
        if not 0 < value < math.inf:
            raise MsrnError(f"render: {name} is {value!r}, expected a positive number; the paper's lineage uses 1e-4")
    return faces


_spans = WeakTensorKeyDictionary()


def _span(faces: Tensor) -> tuple[int, int]:
    """The smallest and largest vertex that faces name, read once per tensor: reading makes the CPU wait for a GPU."""
    if faces not in _spans:
        _spans[faces] = (int(faces.min()), int(faces.max())) if len(faces) else (0, -1)
    return _spans[faces]


def _background(background: Sequence[float]) -> tuple[float, float, float]:
    values = tuple(float(value) for value in background)
    if len(values) != 3 or not all(math.isfinite(value) for value in values):
        raise MsrnError(f"render: background is {values}, expected three finite numbers, red, green, blue in 0..1")
    return values


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}"

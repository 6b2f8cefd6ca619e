"""The fast CPU renderer: the compiled loops of `numba_kernels` behind a torch autograd function.

It keeps the outputs and two numbers a pixel, and computes the pairs again in the backward pass, which is cheaper than
to write and read them. Gradients that nobody needs are not computed: without a gradient of rgb the colours are not
touched, without a tensor that requires one the backward pass does not run at all, and an image to which only zeros come
back is passed over.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from msrn.render import numba_kernels as kernels
from msrn.render import torch_backend
from msrn.render.blending import EPSILON, FAR, MIN_AREA, MIN_DEPTH, NEAR, Frame, Images
from msrn.threads import several_threads


def rasterize(vertices: Tensor, faces: Tensor, face_colors: Tensor | None, frame: Frame) -> Images:
    if frame.size**2 < kernels.LANES:  # the kernels take whole blocks of pixels
        return torch_backend.rasterize(vertices, faces, face_colors, frame)
    return _SoftRasterize.apply(vertices, faces, face_colors, frame)


@lru_cache
def _numbers(frame: Frame, dtype: torch.dtype) -> tuple[tuple[np.floating, ...], tuple[np.floating, ...]]:
    """What the kernels call `numbers`, and the background, in the type of the tensors."""
    slope, background_depth = 1 / (frame.gamma * (FAR - NEAR)), FAR - EPSILON * (FAR - NEAR)
    real = torch.empty(0, dtype=dtype).numpy().dtype.type
    numbers = frame.sigma, slope, frame.cutoff, background_depth, MIN_DEPTH, MIN_AREA
    return tuple(map(real, numbers)), tuple(map(real, frame.background))


class _SoftRasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, vertices, faces, face_colors, frame):
        batch, size, colored = len(vertices), frame.size, face_colors is not None
        vertices, face_colors = (None if x is None else x.detach().contiguous() for x in (vertices, face_colors))
        lengths = vertices.new_empty(batch, kernels.padded(len(faces)))
        state = vertices.new_empty(batch, 2, size, size) if colored else vertices.new_empty(0)
        rgb = vertices.new_empty(batch, 3, size, size) if colored else None
        alpha, log_t = vertices.new_empty(2, batch, size, size)
        numbers, background = _numbers(frame, vertices.dtype)
        with several_threads() as parallel:
            draw = kernels.forward_parallel if parallel else kernels.forward_serial
            draw(
                _numpy(vertices), _numpy(faces), _flat(face_colors), background, numbers, size, lengths.numpy(),
                *(_flat(tensor, vertices) for tensor in (state, rgb, alpha, log_t)),
            )  # fmt: skip
        ctx.save_for_backward(vertices, faces, face_colors, lengths, state, rgb, log_t)
        ctx.frame = frame
        ctx.set_materialize_grads(False)
        return rgb, alpha, log_t

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_rgb, grad_alpha, grad_log_t):
        vertices, faces, face_colors, lengths, state, rgb, log_t = ctx.saved_tensors
        need_vertices, need_colors = ctx.needs_input_grad[0], ctx.needs_input_grad[2]
        grad_vertices = torch.zeros_like(vertices, memory_format=torch.contiguous_format) if need_vertices else None
        grad_colors = torch.zeros_like(face_colors, memory_format=torch.contiguous_format) if need_colors else None
        need_colors = need_colors and grad_rgb is not None
        if need_vertices or need_colors:
            colors = face_colors if grad_rgb is not None else None
            numbers, _ = _numbers(ctx.frame, vertices.dtype)
            pixels = state, rgb, log_t, grad_rgb, grad_alpha, grad_log_t
            with several_threads() as parallel:
                undraw = kernels.backward_parallel if parallel else kernels.backward_serial
                undraw(
                    _numpy(vertices), _numpy(faces), _flat(colors), numbers, ctx.frame.size, lengths.numpy(),
                    *(_flat(tensor, vertices) for tensor in pixels),
                    _numpy(grad_vertices), _flat(grad_colors if need_colors else None),
                )  # fmt: skip
        return grad_vertices, None, grad_colors, None


def _numpy(tensor: Tensor | None) -> np.ndarray | None:
    """The contiguous array of a tensor; for None, None, with which a kernel of its own is compiled."""
    return None if tensor is None else tensor.detach().contiguous().numpy()


def _flat(tensor: Tensor | None, like: Tensor | None = None) -> np.ndarray | None:
    """The same as a flat array; with `like`, for None an array of size 0, so that one kernel serves both."""
    if tensor is None and like is not None:
        tensor = like.new_empty(0)
    return None if tensor is None else _numpy(tensor).reshape(-1)

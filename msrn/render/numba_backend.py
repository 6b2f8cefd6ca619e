"""The fast CPU renderer: the compiled loops of `numba_kernels` behind a torch autograd function.

It saves each pixel's state (seven numbers) and recomputes the pairs in the backward pass. Gradients that nobody needs
are not computed: without a gradient of rgb the colours are not touched, and without a tensor that requires one the
backward pass does not run at all.
"""

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from msrn.render import numba_kernels as kernels
from msrn.render.blending import EPSILON, FAR, MIN_AREA, MIN_DEPTH, NEAR, Frame, Images
from msrn.threads import several_threads


def rasterize(vertices: Tensor, faces: Tensor, face_colors: Tensor | None, frame: Frame) -> Images:
    slope, background_depth = 1 / (frame.gamma * (FAR - NEAR)), FAR - EPSILON * (FAR - NEAR)
    numbers = (frame.sigma, slope, frame.cutoff, background_depth, MIN_DEPTH, MIN_AREA)
    return _SoftRasterize.apply(vertices, faces, face_colors, frame.size, numbers, frame.background)


class _SoftRasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, vertices, faces, face_colors, size, numbers, background):
        batch, colored = len(vertices), face_colors is not None
        state = vertices.new_empty(batch, size, size, kernels.STATE)
        rgb = vertices.new_empty(batch, 3, size, size) if colored else None
        alpha, log_t = vertices.new_empty(2, batch, size, size)
        numbers = tuple(_numpy(vertices).dtype.type(number) for number in numbers)
        with several_threads() as parallel:
            draw = kernels.forward_parallel if parallel else kernels.forward_serial
            draw(
                _numpy(vertices), _numpy(faces), _numpy(face_colors, vertices, 4), colored,
                _numpy(vertices.new_tensor(background)), numbers, _numpy(state),
                _numpy(rgb, vertices, 4), _numpy(alpha), _numpy(log_t),
            )  # fmt: skip
        ctx.save_for_backward(vertices, faces, face_colors, state)
        ctx.numbers = numbers
        ctx.set_materialize_grads(False)
        return rgb, alpha, log_t

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_rgb, grad_alpha, grad_log_t):
        vertices, faces, face_colors, state = ctx.saved_tensors
        need_vertices, need_colors = ctx.needs_input_grad[0], ctx.needs_input_grad[2]
        grad_vertices = torch.zeros_like(vertices, memory_format=torch.contiguous_format) if need_vertices else None
        grad_colors = torch.zeros_like(face_colors, memory_format=torch.contiguous_format) if need_colors else None
        need_colors = need_colors and grad_rgb is not None
        if need_vertices or need_colors:
            record = vertices.new_empty(*state.shape[:3], kernels.RECORD)
            with several_threads() as parallel:
                undraw = kernels.backward_parallel if parallel else kernels.backward_serial
                undraw(
                    _numpy(vertices), _numpy(faces), _numpy(face_colors if grad_rgb is not None else None, vertices, 4),
                    need_vertices, need_colors, ctx.numbers, _numpy(state),
                    _numpy(grad_rgb, vertices, 4), _numpy(grad_alpha, vertices, 3), _numpy(grad_log_t, vertices, 3),
                    _numpy(record), _numpy(grad_vertices, vertices, 3),
                    _numpy(grad_colors if need_colors else None, vertices, 4),
                )  # fmt: skip
        return grad_vertices, None, grad_colors, None, None, None


def _numpy(tensor: Tensor | None, like: Tensor | None = None, dimensions: int = 0) -> np.ndarray:
    """The contiguous array of a tensor, or for None an array of size 0 with `like`'s type, so that one compiled kernel
    serves both."""
    if tensor is None:
        tensor = like.new_empty(1, *[0] * (dimensions - 1))
    return tensor.detach().contiguous().numpy()

"""The fast GPU renderer: the kernels of `triton_kernels` behind a torch autograd function, in float32.

A call never waits for the device, and can be recorded in a CUDA graph once it has run. Two runs give the same bits:
each vertex adds the gradients of its corners in the order of a table, which is made once per tensor of faces. The
forward pass saves four numbers per pixel, the backward pass recomputes the pairs; gradients that nobody needs are not
computed.

Triton comes with torch's builds for CUDA on Linux, and is therefore imported when first used. On its first launch it
builds a small library with the machine's C compiler and Python's headers; `available` asks for both. With
TRITON_INTERPRET=1 in the environment it runs the same kernels on the CPU, slowly: that is how the tests check them.
"""

import importlib.util
import os
import shutil
import sysconfig
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.weak import WeakTensorKeyDictionary

from msrn.errors import MsrnError, first_line
from msrn.render.blending import EPSILON, FAR, NEAR, Frame, Images

# One warp draws a tile of 4 x 8 pixels, or takes 4 faces with 16 pixels each at a time back: a face of the templates
# touches about 4 x 4 pixels, so that larger tiles would mostly hold pixels that it does not touch.
TILE = {"ROWS": 4, "COLUMNS": 8, "BLOCK": 256, "num_warps": 1}
GROUP = {"FACES": 4, "PIXELS": 16, "num_warps": 1}
BLOCK = {"BLOCK": 128, "num_warps": 4}


@cache
def available() -> bool:
    """Whether Triton is installed with all that it needs to launch a kernel."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    return importlib.util.find_spec("triton") is not None and compiler is not None and headers.exists()


def rasterize(vertices: Tensor, faces: Tensor, face_colors: Tensor | None, frame: Frame) -> Images:
    if vertices.dtype != torch.float32:
        raise MsrnError(f"render: backend triton draws float32, got {vertices.dtype}; use backend='torch'")
    _kernels(vertices.device)
    numbers = (1 / frame.sigma, 1 / (frame.gamma * (FAR - NEAR)), frame.cutoff)
    with torch.cuda.device_of(vertices):  # Triton launches on the current device
        inputs = vertices, faces, face_colors, frame.size, numbers, frame.background
        rgb, log_transparency = _SoftRasterize.apply(*inputs)
    return rgb, -torch.expm1(log_transparency), log_transparency


class _SoftRasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, vertices, faces, face_colors, size, numbers, background):
        kernels = _kernels(vertices.device)
        vertices, colored = vertices.contiguous(), face_colors is not None
        colors = face_colors.contiguous() if colored else None
        batch, vertex_count, face_count = len(vertices), vertices.shape[1], len(faces)
        records = vertices.new_empty(batch, face_count, kernels.RECORD.value)
        boxes = torch.empty(batch, 4, face_count, dtype=torch.int16, device=vertices.device)
        log_t = vertices.new_empty(batch, size, size)
        rgb, front = (vertices.new_empty(batch, 3, size, size), torch.empty_like(log_t)) if colored else (None, None)
        kernels.prepare[_cover(face_count, BLOCK["BLOCK"]), batch](
            vertices,
            faces.contiguous(),
            records,
            boxes,
            vertex_count,
            face_count,
            numbers[2] ** 0.5,
            SIZE=size,
            **BLOCK,
        )
        kernels.draw[_cover(size, TILE["ROWS"]) * _cover(size, TILE["COLUMNS"]), batch](
            records, boxes, colors, rgb, front, log_t, face_count, *numbers, FAR - EPSILON * (FAR - NEAR), *background,
            COLORED=colored, SIZE=size, **TILE,
        )  # fmt: skip
        order, first = _corners(faces, vertex_count) if ctx.needs_input_grad[0] else (None, None)
        ctx.save_for_backward(colors, records, boxes, rgb, front, order, first)
        ctx.numbers, ctx.size, ctx.vertex_count = numbers, size, vertex_count
        ctx.set_materialize_grads(False)
        return rgb, log_t

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_rgb, grad_log_t):
        colors, records, boxes, rgb, front, order, first = ctx.saved_tensors
        batch, face_count = records.shape[:2]
        to_vertices, to_colors = ctx.needs_input_grad[0], ctx.needs_input_grad[2]
        grad_rgb, grad_log_t = (None if grad is None else grad.contiguous() for grad in (grad_rgb, grad_log_t))
        grad_colors = grad_vertices = grad_corners = None
        if to_colors:
            grad_colors = torch.zeros_like(colors) if grad_rgb is None else torch.empty_like(colors)
        if to_vertices:
            grad_corners = records.new_empty(batch, face_count, 3, 3)
            grad_vertices = records.new_empty(batch, ctx.vertex_count, 3)
        kernels = _kernels(records.device)
        kernels.undraw[_cover(face_count, GROUP["FACES"]), batch](
            records, boxes, colors, rgb, front, grad_rgb, grad_log_t, grad_corners, grad_colors, face_count,
            *ctx.numbers, FROM_RGB=grad_rgb is not None, FROM_LOG_T=grad_log_t is not None, TO_CORNERS=to_vertices,
            TO_COLORS=to_colors and grad_rgb is not None, SIZE=ctx.size, **GROUP,
        )  # fmt: skip
        if to_vertices:
            kernels.gather[_cover(ctx.vertex_count, BLOCK["BLOCK"]), batch](
                grad_corners, order, first, grad_vertices, ctx.vertex_count, 3 * face_count, **BLOCK
            )
        return grad_vertices, None, grad_colors, None, None, None


_tables = WeakTensorKeyDictionary()


def _corners(faces: Tensor, vertex_count: int) -> tuple[Tensor, Tensor]:
    """The corners (face * 3 + k) sorted by vertex, and where each vertex's begin; kept as long as this tensor lives."""
    if faces not in _tables or len(_tables[faces][1]) != vertex_count + 1:
        vertex, order = faces.reshape(-1).sort(stable=True)
        _tables[faces] = order, torch.searchsorted(vertex, torch.arange(vertex_count + 1, device=faces.device))
    return _tables[faces]


def _cover(length: int, step: int) -> int:
    return -(-length // step)


def _kernels(device: torch.device):
    """The module of the kernels, if they can run on this device."""
    try:
        from msrn.render import triton_kernels
    except ImportError as error:
        raise MsrnError(
            f"render: backend triton cannot be imported ({first_line(error)}); torch brings it on Linux with CUDA; "
            "use backend='torch'"
        ) from error
    if device.type == "cpu" and not triton_kernels.INTERPRETED:
        raise MsrnError("render: backend triton needs CUDA tensors, got cpu; use backend='numba' or 'torch'")
    return triton_kernels

"""Scenes for the tests of the Triton backend, drawn by any backend.

As a program it draws them all with Triton's interpreter and writes the results to a file:

    TRITON_INTERPRET=1 python triton_cases.py results.pt

Triton decides when a kernel is defined whether to interpret it, hence a process of its own: in the tests' process
another test may have defined the kernels before.
"""

import math
import sys

import torch
from render_scenes import DEGENERATE, crumpled

from msrn.render import soft_rasterize

RGB, ALPHA, LOG_T = range(3)


def run(
    scene, backend, dtype, size=9, sigma=1e-3, gamma=1e-2, used=(RGB, ALPHA, LOG_T), needs=(True, True), device="cpu"
):
    """The outputs and the gradients, by vertices and by colours, of a random weighting of the outputs `used`."""
    vertices, faces, colors = scene
    vertices = vertices.to(device, dtype).clone().requires_grad_(needs[0])
    if colors is not None:
        colors = colors.to(device, dtype).clone().requires_grad_(needs[1])
    outputs = soft_rasterize(vertices, faces.to(device), colors, size, sigma, gamma, (0.2, 0.5, 0.9), backend)
    draw = torch.Generator().manual_seed(0)
    weights = [None if out is None else torch.randn(out.shape, generator=draw).to(out) for out in outputs]
    sum((outputs[k] * weights[k]).sum() for k in used).backward()
    leaves = [leaf for leaf, need in zip((vertices, colors), needs, strict=True) if need and leaf is not None]
    # Without a gradient of rgb that of the colours may be missing or zero.
    gradients = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
    return [out.detach() for out in outputs if out is not None] + gradients


def _bare(scene):
    return scene[0], scene[1], None


def _many_faces():
    """150 equal faces, whose transparencies multiply to e^-47 near their outline."""
    vertices = torch.tensor([[[0.01, -1, 2], [0.01, 1.1, 2], [2, 0, 2]]])
    return vertices, torch.tensor([[0, 1, 2]]).expand(150, 3), torch.rand(1, 150, 3, 3, generator=torch.Generator())


def _deep_inside():
    vertices = torch.tensor([[[-3.1, -3, 2], [3.3, -3.2, 2], [0.1, 4, 2]]])
    return vertices, torch.tensor([[0, 1, 2]]), torch.rand(1, 1, 3, 3, generator=torch.Generator())


def _views():
    vertices, faces, colors = crumpled(0, batch=1)
    return vertices.expand(2, -1, -1), faces.int().T.contiguous().T, colors.expand(2, -1, -1, -1)


def _huge_in_front():
    """A face over the whole image before small ones, so that one group of faces has boxes of very different sizes."""
    vertices, faces, colors = crumpled(0)
    front = torch.tensor([[-4.1, -4, 1.5], [4.3, -4.2, 1.5], [0.1, 5, 1.5]]).double().expand(2, 3, 3)
    faces = torch.cat([faces[:5], faces.new_tensor([[12, 13, 14]]), faces[5:]])
    return torch.cat([vertices, front], 1), faces, torch.cat([colors, colors[:, :1]], 1)


CASES = {name: (scene, {}) for name, scene in DEGENERATE.items()} | {
    "sharp": (lambda: crumpled(0), {"gamma": 1e-4, "sigma": 1e-4, "size": 16}),
    "the background shows": (lambda: crumpled(0), {"gamma": 1.0, "sigma": 1e-2}),
    "more faces than a block": (lambda: crumpled(2, batch=1, noise=0.01), {"gamma": 1e-4, "sigma": 1e-4}),
    "one pixel": (lambda: crumpled(0), {"size": 1, "sigma": 1e-1}),
    "only rgb": (lambda: crumpled(0), {"used": (RGB,)}),
    "only alpha": (lambda: crumpled(0), {"used": (ALPHA,)}),
    "only log-transparency": (lambda: crumpled(0), {"used": (LOG_T,)}),
    "only vertices": (lambda: crumpled(0), {"needs": (True, False)}),
    "only colours": (lambda: crumpled(0), {"needs": (False, True)}),
    "silhouettes": (lambda: _bare(crumpled(0)), {"used": (ALPHA, LOG_T)}),
    "deep inside": (_deep_inside, {"sigma": 1e-4, "size": 4}),
    "many faces": (_many_faces, {"sigma": 1e-4, "size": 1}),
    "views": (_views, {}),
    "huge in front": (_huge_in_front, {}),
}

# Relative to each tensor's largest entry. An area of 1e-7 holds a digit or two in float32: it only has to stay finite.
TOLERANCE = dict.fromkeys(CASES, 1e-4) | {"very thin": math.inf}


def case(name, backend, dtype, device="cpu"):
    scene, settings = CASES[name]
    vertices, faces, colors = scene()
    return run(
        (vertices.float(), faces, None if colors is None else colors.float()), backend, dtype, device=device, **settings
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.save({name: case(name, "triton", torch.float32) for name in CASES}, sys.argv[1])

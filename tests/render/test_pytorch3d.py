"""The renderer against PyTorch3D's rasteriser and its own softmax blending."""

import builtins

import pytest
import torch
from render_scenes import WHITE, crumpled

from msrn.errors import MsrnError
from msrn.render import soft_rasterize


def both(scene, size, sigma, gamma, backend):
    vertices, faces, colors = (tensor.clone() for tensor in scene)
    vertices.requires_grad_(), colors.requires_grad_()
    outputs = soft_rasterize(vertices, faces, colors, size, sigma, gamma, (0.2, 0.5, 0.9), backend)
    draw = torch.Generator().manual_seed(0)
    loss = sum((torch.randn(output.shape, generator=draw) * output).sum() for output in outputs)
    return [output.detach() for output in outputs], torch.autograd.grad(loss, (vertices, colors))


@pytest.mark.parametrize("backend", ["numba", "torch"])
@pytest.mark.parametrize("level, sigma, gamma", [(1, 1e-3, 1e-4), (1, 1e-3, 1e-2), (2, 1e-4, 1e-4)])
def test_values_and_gradients_equal_pytorch3d(backend, level, sigma, gamma):
    pytest.importorskip("pytorch3d")
    scene = crumpled(level, dtype=torch.float32)
    scene[0][1, 0, 2] = -1  # a corner behind the camera
    ours, our_gradients = both(scene, 24, sigma, gamma, backend)
    theirs, their_gradients = both(scene, 24, sigma, gamma, "pytorch3d")
    rgb, alpha, log_t = (a - b for a, b in zip(ours, theirs, strict=True))
    # Depths are exact to 2e-7, which the softmax multiplies by 1 / (99 gamma).
    assert rgb.abs().max() < 2e-5 + 1e-7 / gamma and alpha.abs().max() < 1e-5
    assert (log_t.abs() / (1 + theirs[2].abs())).max() < 1e-4
    for a, b in zip(our_gradients, their_gradients, strict=True):
        assert (a - b).abs().max() < 1e-3 * b.abs().max()


def test_alpha_equals_pytorch3d_where_few_faces_overlap():
    """The rendering of training: icosphere 3, 64 x 64, sigma 1e-4, at most 50 faces in reach of a pixel."""
    pytest.importorskip("pytorch3d")
    scene = crumpled(3, batch=1, noise=0.0, dtype=torch.float32)
    settings = (64, 1e-4, 1e-4, WHITE)
    assert (soft_rasterize(*scene, *settings)[1] - soft_rasterize(*scene, *settings, "pytorch3d")[1]).abs().max() < 1e-4


def test_rgb_equals_the_softmax_blending_of_pytorch3d():
    """Their blending of their fragments. It differs from the equations only in the weight of the background (at least
    1e-10, at zeta = 1e-10 in place of 1e-3), which no pixel that a face reaches can show in float32."""
    pytest.importorskip("pytorch3d")
    from pytorch3d.renderer.blending import BlendParams, softmax_rgb_blend
    from pytorch3d.renderer.mesh.rasterizer import Fragments

    from msrn.render.pytorch3d_backend import fragments

    vertices, faces, colors = crumpled(1, dtype=torch.float32)
    face, z, barycentric, dists = fragments(vertices[:, faces], 24, 9.2e-3)
    shades = (barycentric[..., None] * colors.flatten(0, 1)[face]).sum(-2)
    blended = softmax_rgb_blend(shades, Fragments(face, z, barycentric, dists), BlendParams(1e-3, 1e-4, WHITE))
    rgb, alpha, _ = soft_rasterize(vertices, faces, colors, 24, 1e-3, 1e-4, WHITE)
    assert (blended[..., :3].permute(0, 3, 1, 2) - rgb).abs().max() < 1e-3
    assert (blended[..., 3] - alpha).abs().max() < 1e-4


def test_missing_pytorch3d_is_one_clear_line(monkeypatch):
    real_import = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("pytorch3d"):
            raise ImportError("No module named 'pytorch3d'")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MsrnError, match="pytorch3d cannot be imported.*use backend='numba' or 'torch'"):
        soft_rasterize(*crumpled(0), 8, 1e-3, 1e-4, WHITE, "pytorch3d")

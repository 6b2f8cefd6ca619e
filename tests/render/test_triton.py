"""The Triton backend against the torch backend: in Triton's interpreter everywhere, and on a GPU where there is one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import triton_cases
from render_scenes import WHITE, crumpled

from msrn import render
from msrn.errors import MsrnError
from msrn.paths import ROOT
from msrn.render import soft_rasterize, triton_backend

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory):
    """Every case drawn by the kernels in Triton's interpreter."""
    file = tmp_path_factory.mktemp("triton") / "results.pt"
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-W", "error", triton_cases.__file__, file]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return torch.load(file, weights_only=True)


def assert_close(actual, expected, tolerance):
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape and a.dtype == torch.float32 and a.isfinite().all()
        assert not a.numel() or (a - b).abs().max() <= tolerance * max(1.0, float(b.abs().max()))


@needs_triton
@pytest.mark.parametrize("name", triton_cases.CASES)
def test_interpreted_kernels_equal_torch(name, interpreted):
    expected = triton_cases.case(name, "torch", torch.float64)
    assert_close(interpreted[name], expected, triton_cases.TOLERANCE[name])


@needs_triton
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter takes CPU tensors")
def test_cpu_tensors_are_refused():
    with pytest.raises(MsrnError, match="backend triton needs CUDA tensors, got cpu; use backend='numba' or 'torch'"):
        soft_rasterize(*crumpled(0, dtype=torch.float32), 8, 1e-3, 1e-4, WHITE, "triton")


def test_float64_is_refused():
    with pytest.raises(MsrnError, match="backend triton draws float32, got torch.float64; use backend='torch'"):
        soft_rasterize(*crumpled(0), 8, 1e-3, 1e-4, WHITE, "triton")


def test_missing_triton_is_one_clear_line(monkeypatch):
    monkeypatch.delitem(sys.modules, "msrn.render.triton_kernels", raising=False)
    monkeypatch.delattr(render, "triton_kernels", raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(MsrnError, match="backend triton cannot be imported.*use backend='torch'") as raised:
        soft_rasterize(*crumpled(0, dtype=torch.float32), 8, 1e-3, 1e-4, WHITE, "triton")
    assert "\n" not in str(raised.value)


def test_available_only_with_a_compiler_and_headers(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr("shutil.which", lambda name: "/bin/cc" if name == "gcc" else None)
    monkeypatch.setattr(Path, "exists", lambda self: True)
    monkeypatch.delenv("CC", raising=False)
    assert triton_backend.available.__wrapped__()
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert not triton_backend.available.__wrapped__()
    monkeypatch.setattr(Path, "exists", lambda self: True)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not triton_backend.available.__wrapped__()


def on_gpu(backend, dtype=torch.float32, batch=16, level=3, size=64, scale=0.5):
    scene = crumpled(level, batch=batch, scale=scale, noise=0.01, dtype=torch.float32)
    kind = {"size": size, "sigma": 1e-4, "gamma": 1e-4, "device": "cuda"}
    return triton_cases.run(scene, backend, dtype, **kind)


@needs_gpu
@pytest.mark.parametrize("name", triton_cases.CASES)
def test_kernels_equal_torch(name):
    actual, expected = (
        triton_cases.case(name, *kind, device="cuda") for kind in [("triton", torch.float32), ("torch", torch.float64)]
    )
    assert_close(actual, expected, 5 * triton_cases.TOLERANCE[name])  # its exponential and division are rounded more


@needs_gpu
@pytest.mark.parametrize(
    "kind",
    [{"scale": 0.15}, {}, {"scale": 0.9}, {"batch": 4, "level": 4, "size": 128}],
    ids=["small", "usual", "large", "fine"],
)
def test_training_scenes_equal_torch(kind):
    """All but one in a thousand numbers: a pixel at the cut-off distance of its only face is drawn or not by the last
    digit, and its colour with it."""
    for a, b in zip(on_gpu("triton", **kind), on_gpu("torch", torch.float64, **kind), strict=True):
        wrong = (a - b).abs() > 1e-3 * b.abs().clamp(min=float(b.abs().mean()))
        assert a.shape == b.shape and a.isfinite().all() and wrong.double().mean() < 1e-3


@needs_gpu
def test_two_runs_give_the_same_bits_and_triton_is_the_default():
    for a, b in zip(on_gpu("triton"), on_gpu(None), strict=True):
        assert torch.equal(a, b)


@needs_gpu
def test_nothing_waits_for_the_gpu_and_a_graph_can_record_it():
    vertices, faces, colors = (tensor.cuda() for tensor in crumpled(2, batch=3, dtype=torch.float32))
    vertices.requires_grad_(), colors.requires_grad_()

    def step():
        rgb, alpha, log_t = soft_rasterize(vertices, faces, colors, 32, 1e-4, 1e-4, WHITE, "triton")
        loss = (rgb.square().sum(1) * alpha).sum() + 1e-3 * log_t.sum()
        return rgb.detach(), *torch.autograd.grad(loss, (vertices, colors))

    step()  # compiles the kernels and reads the faces
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda.set_sync_debug_mode("error")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = step()
    with torch.no_grad():
        vertices.add_(0.05)
    graph.replay()
    for a, b in zip(recorded, step(), strict=True):
        assert torch.equal(a, b) and a.abs().max() > 0

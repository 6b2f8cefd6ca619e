"""The benchmark of a step runs, and what it counts and calls again is what happened."""

import json

import bench_step
import numpy as np
import pytest
import torch

from msrn.render import soft_rasterize


def test_it_runs_at_profile_smoke_and_its_figures_make_sense(tmp_path, capsys):
    file = tmp_path / "step.json"
    bench_step.main(f"--profile smoke --threads 1 --rounds 1 --steps 1 --warm-up 9 --json {file}".split())
    report = json.loads(file.read_text())
    assert (report["benchmark"], report["profile"]) == ("step", "smoke")
    assert [row["kind"] for row in report["rows"]] == ["pose", "shape", "both"]
    pose, shape, both = report["rows"]
    for row in report["rows"]:
        assert row["threads"] == 1 and row["pairs"] > 0 and row["multiply_adds"] > 0
        for name in (
            "step",
            "floor",
            "network_floor",
            "renderer_floor",
            "seconds_per_pair",
            "multiply_adds_per_second",
        ):
            assert min(row[name].values()) > 0, name
        assert 0 < row["helpers_share"]["processor"] < 1
        assert set(row["parts"]) == set(bench_step.PARTS)
        for name in bench_step.PARTS:
            absent = row is pose and name in ("neighbour selection", "gating and memory")
            assert absent or row["parts"][name]["wall"] > 0, name
            # of the processor, since a part may have been kept waiting by other work
            assert row["parts"][name]["processor"] < row["step"]["processor"], name
        assert row["rest"]["wall"] + sum(part["wall"] for part in row["parts"].values()) == pytest.approx(
            row["step"]["wall"], rel=1e-4
        )
    assert shape["multiply_adds"] > pose["multiply_adds"]  # shape and texture learn, and neighbours are encoded
    assert pose["pairs"] > shape["pairs"]  # six candidate poses against the own image and one neighbour
    assert both["step"]["wall"] == pytest.approx((pose["step"]["wall"] + shape["step"]["wall"]) / 2, rel=1e-4)
    assert "step / floor" in capsys.readouterr().out


def test_a_call_made_again_does_what_the_step_did():
    watch = bench_step.Watch()
    weight = torch.rand(4, 4, requires_grad=True)
    inner = watch.over("inner", lambda x: x @ weight)
    outer = watch.over("outer", lambda x: {"first": (inner(x), x.sum()), "second": inner(x) ** 2})
    x = torch.rand(3, 4, requires_grad=True)
    result = outer(x * 2)
    (result["second"].sum() + (result["first"][0] * torch.rand(3, 4)).sum()).backward()
    with torch.no_grad():
        inner(x)
    (call,), (alone,) = watch.calls["outer"], watch.calls["inner"]  # the other inner calls are part of the outer one
    assert set(call.gradients) == {0, 2} and not alone.gradients and not alone.recording
    expected, weight.grad, given = weight.grad, None, x.grad.clone()
    call.again()
    torch.testing.assert_close(weight.grad, expected)
    assert torch.equal(x.grad, given)  # the graph behind the arguments is left alone


def test_multiply_adds_of_a_layer():
    layer, x = torch.nn.Linear(5, 7), torch.rand(3, 5)
    call = bench_step.Call(layer, (x,), {}, True, {0: torch.ones(3, 7)})
    assert bench_step.multiply_adds([call]) == 2 * 3 * 5 * 7  # forward and to the weights; the input needs none
    assert bench_step.multiply_adds([call, bench_step.Call(layer, (x,), {}, False)]) == 3 * 3 * 5 * 7


def test_pairs_are_those_within_the_cut_off():
    """Against every pixel's distance to a square of two triangles, whose sides follow the axes."""
    size, sigma, half = 16, 1e-3, 0.4
    corners = torch.tensor([[-half, -half], [half, -half], [half, half], [-half, half]])
    vertices = torch.cat([corners, torch.ones(4, 1)], 1).expand(2, 4, 3)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    call = bench_step.Call(soft_rasterize, (vertices, faces, None, size, sigma, 1e-4), {}, False)
    centre = (np.arange(size) * 2 + 1) / size - 1
    x, y = np.meshgrid(centre, centre)
    reach = np.sqrt(np.log(1 / 1e-4 - 1) * sigma)
    outside = np.hypot(*(np.maximum(abs(v) - half, 0) for v in (x, y)))
    to_diagonal = np.hypot(x - (along := np.clip((x + y) / 2, -half, half)), y - along)  # the side that they share
    near = [np.where(side * (y - x) <= 0, outside, to_diagonal) < reach for side in (1, -1)]
    assert bench_step.count_pairs([call]) == 2 * np.sum(near)

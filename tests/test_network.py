"""The network's promises: the first mesh, the staged codes, the seam of the texture, compensation at switch-on."""

import math

import pytest
import torch
from toy import tiny_settings, toy_collection

from msrn import camera
from msrn.memory import Prototypes
from msrn.network import MSRN
from msrn.network.meshes import stacked
from msrn.profiles import make_settings


def build(**overrides) -> MSRN:
    torch.manual_seed(0)
    return MSRN(tiny_settings(**overrides), 3)


def images(count: int = 2, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def train_a_little(network: MSRN) -> None:
    """Move every weight, so that nothing is zero only because training has not begun."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)


@pytest.mark.parametrize("decoders", ["unicorn", "vertices"])
def test_the_first_mesh_is_the_ellipsoid(decoders):
    network = build(decoders=decoders)
    torch.testing.assert_close(network.shape(images()).vertices, network.ellipsoid.expand(2, -1, -1))
    assert network.ellipsoid.abs().amax(0).tolist() == pytest.approx([0.4, 0.28, 0.28], abs=0.03)


def test_codes_are_small_until_they_open():
    network = build()
    train_a_little(network)
    small = network.encode_shape(images())[0]
    assert small[:, 1:].abs().max() == 0 and small[:, 0].abs().min() > 0
    network.open_codes(True)
    opened = network.encode_shape(images())[0]
    assert opened.abs().min() > 0
    torch.testing.assert_close(opened[:, 0], small[:, 0])


def test_compensation_at_switch_on_changes_nothing():
    network = build()
    train_a_little(network)
    with torch.no_grad():  # compensation has not been trained before it is switched on
        network.compensation.lin.weight.copy_(torch.eye(4, 8))
        network.compensation.lin.bias.zero_()
    network.open_codes(True)
    before = network.shape(images()).vertices
    values = torch.randn(3, 3, 4, generator=torch.Generator().manual_seed(3))
    network.set_prototypes("prototypes", Prototypes(values, torch.ones(3, 3, dtype=torch.bool)))
    network.compensating = True
    torch.testing.assert_close(network.shape(images()).vertices, before)


def test_poses_cover_the_circle_and_stay_in_their_bins():
    network = build()
    train_a_little(network)
    poses = network.poses(images(8))
    torch.testing.assert_close(poses.probability.sum(1), torch.ones(8))
    offset = poses.azimuth - torch.arange(6) * 60.0
    assert offset.abs().max() <= 60 * 0.52
    assert (poses.translation[..., :2].abs() <= 0.2).all() and (poses.translation[..., 2] == 2.732).all()
    best, rotation, _ = poses.likeliest()
    assert torch.equal(rotation[3], poses.rotation[3, best[3]])


def test_colours_run_on_across_the_seam():
    """A texture of cos(2 pi u) is smooth round the sphere; its vertices must read it without a jump at u = 0 = 1."""
    network = MSRN(tiny_settings(mesh_level=3, texture_size=64), 3)
    u = torch.arange(64) / 64
    texture = (0.5 + 0.5 * torch.cos(2 * math.pi * u)).expand(1, 3, 64, 64)
    network.texture_decoder.forward = lambda code: texture
    colours = network.paint(images(1))[0, :, :, 0]  # (F, 3)
    x, _, z = network.sphere[network.faces].unbind(-1)
    expected = 0.5 + 0.5 * torch.cos(torch.atan2(x, z) + math.pi)
    away_from_poles = (x**2 + z**2) > 0.01
    assert (colours - expected)[away_from_poles].abs().max() < 0.01


def test_decoders_of_vertices_give_each_its_own_place_and_colour():
    network = build(decoders="vertices", shape_code=4, small_shape_code=4, small_texture_code=8)
    assert network.paint(images()).unique().tolist() == [0.5]  # grey to begin with
    train_a_little(network)
    colours = network.paint(images())  # (B, F, 3, 3)
    for vertex in (0, 7, 41):
        corners = colours[:, network.faces == vertex]  # (B, faces around it, 3)
        assert len(network.faces[network.faces == vertex]) > 3 and (corners == corners[:, :1]).all()
    assert len(colours[0].flatten(0, 1).unique(dim=0)) == 42
    code = torch.zeros(1, 4)
    before = network.shape_decoder(code)
    with torch.no_grad():
        network.shape_decoder.to_vertices[0].bias[3 * 5] += 1  # x of vertex 5
    moved = network.shape_decoder(code) - before
    assert moved.nonzero().tolist() == [[0, 5, 0]]


def test_decoders_of_vertices_learn_from_the_start():
    """Neither code nor decoder may start at zero both in what it gives and in what it is given."""
    network = build(decoders="vertices", small_shape_code=4, small_texture_code=8)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(3):  # decoder, then last layer of the head, then all
        optimizer.zero_grad()
        (network.shape(images()).vertices.square().sum() + network.paint(images()).square().sum()).backward()
        optimizer.step()
    for branch in (network.shape_head, network.texture_head, network.shape_decoder, network.texture_decoder):
        assert all(bool(weight.grad.any()) for weight in branch.parameters())


def test_a_pose_is_that_of_the_camera():
    network = build(elevation=20.0)
    train_a_little(network)
    poses = network.poses(images(4))
    given = poses.azimuth, torch.full_like(poses.azimuth, 20.0), torch.zeros_like(poses.azimuth)
    torch.testing.assert_close(poses.rotation, camera.rotation(*given))


def test_reconstruct_takes_bytes_of_any_size():
    network = build().eval()
    stored = torch.from_numpy(toy_collection(size=32).images[:3].copy())
    made = network.reconstruct(stored)
    vertices, colors = stacked(made.meshes)
    assert vertices.shape == (3, 42, 3) and colors.shape == (3, 80, 3, 3) and not made.empty.any()
    half = torch.nn.functional.avg_pool2d(stored.float() / 255, 2)
    torch.testing.assert_close(stacked(network.reconstruct(half).meshes)[0], vertices)
    assert torch.isfinite(camera.project(vertices, made.rotation, made.translation)).all()


def test_the_paper_network_builds_and_learns_everywhere():
    """Three ResNet-18 at 64 x 64: every weight of every branch receives a gradient from its own outputs."""
    torch.manual_seed(0)
    network = MSRN(make_settings({"mesh_level": 1}), 13)
    train_a_little(network)
    network.open_codes(True)
    network.compensating = True
    network.prototypes_valid.fill_(True)
    batch = images(2, 64)
    poses = network.poses(batch)
    of_pose = [poses.probability, poses.rotation, poses.translation]
    outputs = [network.shape(batch).vertices, network.paint(batch), *of_pose]
    generator = torch.Generator().manual_seed(4)
    sum((out * torch.randn(out.shape, generator=generator)).sum() for out in outputs).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_encoding_neighbours_leaves_the_running_statistics_alone():
    torch.manual_seed(0)
    network = MSRN(make_settings({"mesh_level": 1}), 2).train()

    def statistics() -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in network.named_buffers() if "running" in name}

    before = statistics()
    assert before
    with torch.no_grad(), network.frozen_statistics():
        network.encode_shape(images(2, 64))
    assert all(torch.equal(value, before[name]) for name, value in statistics().items())
    network.encode_shape(images(2, 64))
    assert not all(torch.equal(value, before[name]) for name, value in statistics().items())

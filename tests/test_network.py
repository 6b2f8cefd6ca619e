"""The network's promises: the first mesh, the staged codes, the seam of the texture, compensation at switch-on."""

import math

import pytest
import torch
from toy import tiny_settings, toy_collection

from msrn.memory import Prototypes
from msrn.network import MSRN
from msrn.settings import make_settings


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


def test_the_first_mesh_is_the_ellipsoid():
    network = build()
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


def test_reconstruct_takes_bytes_of_any_size():
    network = build().eval()
    stored = torch.from_numpy(toy_collection(size=32).images[:3].copy())
    made = network.reconstruct(stored)
    assert made.vertices.shape == (3, 42, 3) and made.face_colors.shape == (3, 80, 3, 3)
    half = torch.nn.functional.avg_pool2d(stored.float() / 255, 2)
    torch.testing.assert_close(network.reconstruct(half).vertices, made.vertices)
    assert made.projected().shape == (3, 42, 3)
    assert torch.isfinite(made.projected()).all()


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

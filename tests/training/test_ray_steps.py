"""Training on signed distances by rays: what each kind of step moves, that it learns, and that it goes on as it was."""

import numpy as np
import pytest
import torch
from log_lines import LogLines
from toy import tiny_settings, toy_candidates, toy_collection

from msrn import losses
from msrn.errors import MsrnError
from msrn.experiments.paper import TABLES
from msrn.store.plain_settings import SIGNED_DISTANCE
from msrn.training import loop, ray_steps
from msrn.training.batches import TrainingImages, prepare
from msrn.training.loop import take_step, train
from msrn.training.ray_steps import Glance
from msrn.training.state import Training

CLIPPER = TABLES["table2"].row("ShapeClipper").settings


def start(**changed) -> tuple[Training, TrainingImages]:
    s = tiny_settings(**{**CLIPPER, "log_every": 20, "stage_switch": 4, **changed})
    collection = toy_collection()
    images = TrainingImages(collection, toy_candidates(collection, s.candidates), s, "cpu")
    return Training.start(s, images, 0), images


def moved(run: Training, images: TrainingImages, step: int) -> set[str]:
    before = {name: value.detach().clone() for name, value in run.network.named_parameters()}
    run.step = step
    take_step(run, images.inputs(0, step))
    return {n.split(".")[0] for n, value in run.network.named_parameters() if not torch.equal(before[n], value)}


def test_each_kind_of_step_moves_its_own():
    run, images = start()
    poses = {"pose_encoder", "probability_head", "angle_head", "translation_head"}
    for step in (1, 3, 5):
        moved(run, images, step)  # until the last layers, which start at zero, let gradients through
    assert moved(run, images, 6) == poses
    shapes = {"shape_encoder", "shape_head", "shape_decoder", "texture_encoder", "texture_head", "texture_decoder"}
    assert moved(run, images, 7) == shapes
    assert all(weight.requires_grad for weight in run.network.parameters())


@pytest.mark.slow
def test_training_learns():
    """Three categories, of which each has a form and a colour: the losses fall, the masks come to agree. With
    compensation, which these rows go without: the bank fills as it does with meshes."""
    codes = {"small_shape_code": 4, "small_texture_code": 8}
    schedule = {"steps": 200, "stage_switch": 20, "learning_rate": 5e-4, "log_every": 40, "feature_compensation": True}
    run, images = start(**codes, **schedule)
    train(run, images, log := LogLines())
    first, last = log[0], log[-1]
    for name in ("bce", "rgb", "pose_expected", "neighbor"):
        assert last[name] < 0.85 * first[name], name
    assert last["mask_iou"] > first["mask_iou"] + 0.05
    assert 0 < last["eikonal"] < 0.1 and last["accepted"] > 0.8
    assert run.network.compensating
    made = run.network.eval().reconstruct(torch.from_numpy(toy_collection().images[::10].copy()))
    assert not made.empty.any() and len({len(mesh.faces) for mesh in made.meshes}) > 1


def test_a_training_goes_on_as_if_it_had_not_stopped():
    whole, images = start(steps=8)
    train(whole, images, LogLines())
    part, _ = start(steps=8)
    for part.step in range(5):
        if part.step in (0, part.settings.stage_switch):
            part.network.open_codes(part.step >= part.settings.stage_switch)
        if loop.prototypes_are_due(part, images):
            loop.purify(part.network, part.settings, int(np.random.default_rng((0, part.step)).integers(2**31)))
        take_step(part, images.inputs(0, part.step))
    part.step = 5
    again, _ = start(steps=8)
    again.restore(part.state())
    train(again, images, LogLines())
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_a_glance_over_all_pixels_is_the_whole_image(monkeypatch):
    """Where no pixel is left out, the losses are those of Eq. 42 on images."""
    monkeypatch.setattr(ray_steps, "STRIDE", 1)
    run, images = start()
    inputs = images.inputs(0, 0)
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], 16)
    glance = Glance(run)
    assert torch.equal(glance.of(batch.image), batch.image)
    with torch.no_grad():
        field, texture = run.network.field(batch.seen), run.network.encode_texture(batch.seen)
        _, rotation, translation = run.network.poses(batch.seen).likeliest()
        seen = glance.look(run.network, field.compensated, texture, rotation[:, None], translation[:, None])
        terms, alpha = glance.compare(run.network, seen, batch.image[:, None], batch.mask[:, None])
    assert alpha.shape == (6, 1, 16, 16)
    alpha, through = alpha[:, 0], seen.log_transparency.view(6, 16, 16)
    rendered = 1 + alpha[:, None] * (seen.colors[:, 0].mT.reshape(6, 3, 16, 16) - 1)
    wanted = losses.reconstruction(batch.mask, batch.image, alpha, through, rendered, run.settings.affinity_weight)
    for name, value in wanted.items():
        torch.testing.assert_close(terms[name][:, 0], value)


def test_a_lattice_shows_the_same_pixels_of_images_and_renderings():
    run, _ = start(image_size=32)
    glance = Glance(run)
    row, column = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    centres = torch.stack([(2 * column + 1) / 32 - 1, (2 * row + 1) / 32 - 1])  # x and y of every pixel, as an image
    assert torch.equal(glance.of(centres).flatten(1).T, glance.pixels)
    offsets = set()
    for run.step in range(120):
        offsets.add(Glance(run).offset)
    assert len(offsets) == 16  # every pixel has its turn


def test_several_views_of_a_shape_are_rendered_as_each_alone():
    run, images = start()
    inputs = images.inputs(0, 0)
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], 16)
    with torch.no_grad():
        poses = run.network.poses(batch.seen)
        shape = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
        texture = torch.randn(6, 6, 8, generator=torch.Generator().manual_seed(1))
        for layer in (run.network.shape_decoder.rest[-1], run.network.texture_decoder.rest[-1]):
            layer.weight.copy_(0.1 * torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(2)))
        glance = Glance(run)
        together = glance.look(run.network, shape, texture, poses.rotation, poses.translation)
        for k in range(6):
            view = poses.rotation[:, k : k + 1], poses.translation[:, k : k + 1]
            alone = glance.look(run.network, shape, texture[:, k], *view)
            for one, whole in zip(alone, together, strict=True):
                torch.testing.assert_close(one[:, 0], whole[:, k], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "value"), [("axis_scale", 0.5), ("reach_weight", 1.0), ("normal_weight", 0.01),
    ("laplacian_weight", 0.01), ("perceptual_weight", 0.04), ("supervision", "images"), ("pose_shape", "neighbor"),
    ("azimuths", "multiplex"), ("template", "car")])  # fmt: skip
def test_what_asks_for_vertices_or_whole_images_is_refused(name, value):
    with pytest.raises(MsrnError, match=f"setting {name} = .*decoders 'sdf'|setting .* with (supervision|azimuths)"):
        tiny_settings(**{**SIGNED_DISTANCE, name: value})

"""CCAM: its loss against loops, ranks, the sign by the border, what learns, resuming, and its masks in place."""

import math

import numpy as np
import pytest
import torch
from log_lines import LogLines
from photographs import bright, photographs, tiny

from msrn.foreground import ccam, pipeline
from msrn.foreground.ccam import ActivationHead, Contrasting, alike, contrast, loss_terms, mind_the_border
from msrn.foreground.finetune import RawImages
from msrn.foreground.pipeline import Foreground

COUNT = 6


class NoSaliency:
    """The network behind M_o, which nobody may ask."""

    identity = "nobody"

    def __init__(self, weights=None) -> None:
        pass

    def __getattr__(self, name: str):
        raise AssertionError(f"U2-Net was asked for {name}")


def start(**changed):
    s = tiny(masks="ccam", **changed)
    return Contrasting.start(s, 0, "cpu"), RawImages(photographs(COUNT), NoSaliency(), s, "cpu")


def cosine(a, b) -> float:
    value = float(a @ b / (a.norm() * b.norm()))
    return min(max(value, 5e-4), 1 - 5e-4)


def test_the_loss_is_the_slow_one():
    generator = torch.Generator().manual_seed(0)
    activation = torch.rand(4, 3, 5, generator=generator)
    features = torch.rand(4, 7, 3, 5, generator=generator)
    fore = [(p * f).sum((1, 2)) for p, f in zip(activation, features, strict=True)]
    back = [((1 - p) * f).sum((1, 2)) for p, f in zip(activation, features, strict=True)]
    terms = loss_terms(activation, features)
    apart = np.mean([-math.log(1 - cosine(f, b)) for f in fore for b in back])
    assert float(terms["apart"]) == pytest.approx(apart, rel=1e-4)
    for name, parts in (("foreground", fore), ("background", back)):
        values = []
        for i, part in enumerate(parts):
            others = sorted((-cosine(part, other) for j, other in enumerate(parts) if j != i))
            values += [-math.exp(-0.25 * rank) * math.log(-value) for rank, value in enumerate(others)]
        assert float(terms[name]) == pytest.approx(np.mean(values), rel=1e-3)
    total = terms["foreground"] + terms["background"] + terms["apart"]
    assert torch.equal(terms["total"], total)


def test_an_image_is_no_partner_of_itself_and_equals_cost_nothing():
    equal = torch.nn.functional.normalize(torch.ones(5, 3), dim=1)
    assert float(alike(equal)) < 1e-3
    two = torch.eye(2)  # at right angles, rank 0: the clamp's cosine
    assert float(alike(two)) == pytest.approx(-math.log(5e-4), rel=1e-4)


def test_the_object_is_the_part_that_keeps_away_from_the_border(capsys):
    run, _ = start()
    inside = torch.zeros(2, 6, 6)
    inside[..., 2:4, 2:4] = 1.0
    mind_the_border(run.network, inside)
    assert run.network.sign == 1 and not capsys.readouterr().err
    features = torch.rand(2, run.network.head.in_channels, 6, 6)
    before = run.network.eval().activation(features)
    mind_the_border(run.network, 1 - inside)
    assert run.network.sign == -1 and "exchanged" in capsys.readouterr().err
    torch.testing.assert_close(run.network.activation(features), 1 - before)


def test_the_loss_does_not_tell_the_parts_apart():
    generator = torch.Generator().manual_seed(1)
    activation, features = torch.rand(3, 4, 4, generator=generator), torch.rand(3, 5, 4, 4, generator=generator)
    one, other = loss_terms(activation, features), loss_terms(1 - activation, features)
    torch.testing.assert_close(one["total"], other["total"])
    torch.testing.assert_close(one["foreground"], other["background"])


def test_the_head_alone_learns_and_the_loss_falls():
    run, images = start(cue_steps=60, cue_learning_rate=1e-3, cue_batch_size=6)
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    contrast(run, images, log := LogLines())
    assert log[-1]["apart"] < log[0]["apart"] and log[-1]["total"] < log[0]["total"]
    assert 0.02 < log[-1]["area"] < 0.98  # neither part is nothing
    moved = {name.split(".")[0] for name, value in run.network.state_dict().items() if not value.equal(before[name])}
    assert {"head", "norm"} <= moved <= {"head", "norm", "sign"}


def test_resumed_is_bit_equal(tmp_path):
    whole, images = start(cue_steps=40)
    contrast(whole, images, LogLines())
    half, images = start(cue_steps=20)
    contrast(half, images, LogLines())
    torch.save(half.state(), tmp_path / "state.pt")
    rest, images = start(cue_steps=40)
    rest.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    rest.network.sign.fill_(1.0)  # the half's last step has looked at the border
    contrast(rest, images, LogLines())
    for name, value in whole.network.state_dict().items():
        assert value.equal(rest.network.state_dict()[name]), name


def test_masks_are_of_the_activation_alone(monkeypatch):
    """No U2-Net, no category; they follow the threshold, and the photographs are segmented by them."""
    monkeypatch.setattr(pipeline, "Saliency", NoSaliency)
    collection = photographs(COUNT, shape=(48, 64))

    def made(threshold: float, **more) -> Foreground:
        s = tiny(masks="ccam", cue_steps=60, cue_batch_size=6, cue_threshold=threshold, **more)
        return Foreground(collection, s, seed=0, progress=False)

    foreground = made(0.5, refinement="weigh")  # which weighs M_o, of which there is none
    assert foreground.name == "class-agnostic activation maps of efficientnet-lite0"
    masks = foreground.masks(collection.images, None)
    assert np.array_equal(masks, made(0.5).masks(collection.images, collection.category))
    assert np.array_equal(masks, foreground.cues(collection.images, None) >= 0.5)
    assert made(0.0).masks(collection.images, None).all()
    assert isinstance(foreground.perceptron, ActivationHead) and "reused" in made(0.0).how
    segmented = foreground.apply(collection)
    assert segmented.masks.any((1, 2)).all() and segmented.masks_from == foreground.name
    inside = bright(collection.images)
    assert masks[inside].mean() > masks[~inside].mean()


def test_ranks_count_from_the_likest():
    part = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [1, 0.1], [1, 3]]), dim=1)
    near, far = cosine(part[0], part[1]), cosine(part[0], part[2])
    middle = cosine(part[1], part[2])
    rows = [(near, far), (near, middle), (middle, far)]
    expected = np.mean(
        [-math.exp(-ccam.RANK * rank) * math.log(value) for row in rows for rank, value in enumerate(row)]
    )
    assert float(alike(part)) == pytest.approx(expected, rel=1e-4)

"""Eqs 7-12 against loops, where the gradient of the erased branch goes, and what fine-tuning leaves alone."""

import copy

import numpy as np
import pytest
import torch
from photographs import photographs, tiny
from torch import Tensor, nn

from msrn.foreground.finetune import Tuning, loss_terms, take_step
from msrn.foreground.perceptron import Perceived, Perceptron, gather_features

CATEGORY = torch.tensor([2, 0, 1])


@pytest.fixture(scope="module")
def shared() -> Perceptron:
    """Nobody may change it."""
    torch.manual_seed(0)
    return Perceptron(tiny(), 3).train()


@pytest.fixture
def network(shared) -> Perceptron:
    return copy.deepcopy(shared)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.from_numpy(photographs(3).images).float() / 255


def same(a: Perceived, b: Perceived, tolerance: float = 1e-5) -> bool:
    return all(torch.allclose(x, y, atol=tolerance, rtol=tolerance) for x, y in zip(a, b, strict=True))


# ----------------------------------------------------------------------------------------------------------- Eqs 7-10


def test_gathered_features_are_sums_over_positions():
    rng = np.random.default_rng(0)
    cue, features = rng.random((2, 3, 4)), rng.normal(size=(2, 5, 3, 4))
    expected = np.zeros((2, 5))
    for b in range(2):
        for q in range(5):
            for i in range(3):
                for j in range(4):
                    expected[b, q] += cue[b, i, j] * features[b, q, i, j]
    found = gather_features(torch.from_numpy(cue), torch.from_numpy(features))
    assert found.numpy() == pytest.approx(expected)


@torch.no_grad()
def test_what_is_perceived_by_the_equations(shared, images):
    seen = shared(images, CATEGORY)
    features = shared.features(images)
    assert features.shape == (3, 112, 8, 8) and seen.cue.shape == (3, 8, 8)
    for i, term in enumerate(CATEGORY.tolist()):  # Eq. 7, the channel of the image's own category
        weight, bias = shared.generator.weight[term, None], shared.generator.bias[term, None]
        logit = nn.functional.conv2d(features[i, None], weight, bias, padding=1)[0, 0]
        assert torch.allclose(seen.cue[i], 1 / (1 + (-logit).exp()), atol=1e-5)
    background = 1 - seen.cue  # Eq. 8
    flat = features.flatten(2)
    for found, cue in ((seen.foreground, seen.cue), (seen.background, background)):
        expected = (cue.flatten(1)[:, None] @ flat.mT)[:, 0]
        assert torch.allclose(found, expected, atol=1e-3, rtol=1e-4)


@torch.no_grad()
def test_scores_of_the_whole_the_foreground_and_the_rest(shared, images):
    seen, features = shared(images, CATEGORY), shared.features(images)
    maps = shared.scorer(shared.tail(features))  # (3,3,2,2)
    assert torch.allclose(seen.score, maps.mean((2, 3)), atol=1e-5)
    expected = torch.zeros(3, 3)
    for i in range(2):
        for j in range(2):
            share = seen.cue[:, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean((1, 2))
            expected += share[:, None] * maps[:, :, i, j] / 4
    assert torch.allclose(seen.foreground_score, expected, atol=1e-4)
    erased = shared.scores(features * (1 - seen.cue[:, None])).mean((2, 3))
    assert torch.allclose(seen.background_score, erased[torch.arange(3), CATEGORY], atol=1e-4)


@torch.no_grad()
def test_neither_order_nor_company_matters(shared, images):
    order = torch.tensor([2, 0, 1])
    seen = shared(images, CATEGORY)
    assert same(shared(images[order], CATEGORY[order]), Perceived(*(x[order] for x in seen)), 1e-4)
    assert same(shared(images[:1], CATEGORY[:1]), Perceived(*(x[:1] for x in seen)), 1e-4)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(37, 91), (16, 16), (200, 130)])
def test_images_of_any_size_even_without_contrast(shared, shape):
    flat = torch.stack([torch.full((3, *shape), value) for value in (0.0, 0.5, 1.0)])
    seen = shared(flat, CATEGORY)
    assert seen.cue.shape == (3, 8, 8) and all(x.isfinite().all() for x in seen)
    assert (seen.cue > 0).all() and (seen.cue < 1).all()


# -------------------------------------------------------------------------------------------------------- the gradients


def moved(network: Perceptron) -> set[str]:
    """The parts that a gradient reached."""
    return {
        name.split(".")[0]
        for name, weight in network.named_parameters()
        if weight.grad is not None and bool(weight.grad.any())
    }


def test_the_erased_branch_teaches_the_cue_alone(network, images):
    network(images, CATEGORY).background_score.sum().backward()
    assert moved(network) == {"generator", "upper", "lower"}  # what the cue is made of; neither tail nor scorer
    assert all(weight.grad is None for weight in (*network.tail.parameters(), *network.scorer.parameters()))
    network.zero_grad()
    nn.init.zeros_(network.generator.weight)  # a cue that does not depend on F: then nothing else reaches it
    network(images, CATEGORY).background_score.sum().backward()
    assert moved(network) == {"generator"}


def test_the_other_scores_teach_the_classifier(network, images):
    seen = network(images, CATEGORY)
    (seen.score[0, 0] + seen.foreground_score[0, 0]).backward()
    assert moved(network) == {"lower", "upper", "tail", "scorer", "generator"}


def batch() -> tuple[Tensor, Tensor]:
    found = photographs(3)
    return torch.from_numpy(found.images).float() / 255, CATEGORY


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_lower_layers_stay_and_batch_statistics_always_do(frozen):
    run = Tuning.start(tiny(cue_frozen=frozen), 3, 0, "cpu")
    before = copy.deepcopy(run.network)
    statistics = [m for m in run.network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert run.network.training and statistics and not any(m.training for m in statistics)
    terms = loss_terms(run.network(*batch()), CATEGORY, run.network.bank, run.settings)
    terms["total"].backward()
    assert all((weight.grad is None) == frozen for weight in run.network.lower.parameters())
    for _ in range(2):
        take_step(run, *batch())
    changed = {
        name.split(".")[0]
        for (name, new), old in zip(run.network.named_parameters(), before.parameters(), strict=True)
        if not torch.equal(new, old)
    }
    assert changed == {"upper", "tail", "scorer", "generator"} | ({"lower"} if not frozen else set())
    old_buffers = dict(before.named_buffers())
    kept = {name for name, value in run.network.named_buffers() if torch.equal(value, old_buffers[name])}
    assert old_buffers.keys() - kept == {"bank.values", "bank.visits"}


@torch.no_grad()
def test_frozen_and_free_perceive_alike(shared, images):
    frozen = Perceptron(tiny(cue_frozen=True), 3)
    frozen.load_state_dict(shared.state_dict())
    assert same(frozen.train()(images, CATEGORY), shared(images, CATEGORY), 0)


# ------------------------------------------------------------------------------------------------------------- exchange


@torch.no_grad()
def test_exchange_makes_foreground_of_background(network, images):
    network.bank.write(torch.arange(224.0).reshape(2, 112), torch.tensor([0, 1]))
    before, bank = network(images, CATEGORY), network.bank.values.clone()
    network.exchange()
    after = network(images, CATEGORY)
    assert torch.allclose(after.cue, 1 - before.cue, atol=1e-6)
    assert torch.allclose(after.foreground, before.background, atol=1e-3, rtol=1e-5)
    assert torch.allclose(after.background, before.foreground, atol=1e-3, rtol=1e-5)
    assert torch.equal(after.score, before.score)
    assert torch.equal(network.bank.values[0], bank[1]) and torch.equal(network.bank.values[1], bank[0])
    network.exchange()
    assert same(network(images, CATEGORY), before, 0) and torch.equal(network.bank.values, bank)

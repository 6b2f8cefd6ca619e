"""Fine-tuning: L_for against loops, the bank's gate, every term by hand, the sign of a lone category, resuming."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from log_lines import LogLines
from photographs import bright, photographs, tiny
from torch import Tensor

from msrn.errors import MsrnError
from msrn.foreground import finetune
from msrn.foreground.finetune import RawImages, Tuning, loss_terms, remember, tune
from msrn.foreground.perceptron import BACKGROUND, FOREGROUND, Perceived, gather_features
from msrn.memory import MemoryBank
from msrn.store import checkpointing
from msrn.store.files import find_checkpoint, save_checkpoint

TESTS = Path(__file__).parent


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def perceived(**more) -> Perceived:
    """Two images of three categories, all zero but for what is given."""
    zero = {"cue": torch.zeros(2, 4, 4), "foreground": torch.zeros(2, 6), "background": torch.zeros(2, 6)}
    zero |= {"score": torch.zeros(2, 3), "foreground_score": torch.zeros(2, 3), "background_score": torch.zeros(2)}
    return Perceived(**(zero | more))


# ---------------------------------------------------------------------------------------------------------- Eqs 13-15


def slow_contrast(feature: Tensor, positives: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Eq. 13 of one image, as it is printed."""
    similar = lambda a, b: (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt()) / temperature  # noqa: E731
    against = sum(similar(feature, n).exp() for n in negatives)
    total = torch.zeros((), dtype=torch.float64)
    for positive in positives:
        agreed = similar(feature, positive).exp()
        total = total - (agreed / (agreed + against)).log()
    return total / len(positives)


@pytest.mark.parametrize("temperature", [0.99, 0.07])
@pytest.mark.parametrize("written", [1, 3, 5, 12])
def test_contrast_is_the_slow_one_with_its_gradients(temperature, written):
    bank = MemoryBank(2, 5, 6, 0.5).double()
    keys = torch.arange(2).repeat(written)
    bank.write(draw(2 * written, 6, seed=1), keys)
    filled = min(written, 5)
    features, logits = draw(2, 6, 4, 4).requires_grad_(), draw(2, 4, 4, seed=2).requires_grad_()

    cue = logits.sigmoid()
    seen = perceived(foreground=gather_features(cue, features), background=gather_features(1 - cue, features))
    found = finetune.contrast(seen, bank, temperature)
    gradients = torch.autograd.grad(found.sum(), (features, logits))

    kept_f, kept_b, expected = bank.values[FOREGROUND, :filled], bank.values[BACKGROUND, :filled], []
    cue = logits.sigmoid()
    for i in range(2):
        inside = sum(cue[i, y, x] * features[i, :, y, x] for y in range(4) for x in range(4))
        outside = sum((1 - cue[i, y, x]) * features[i, :, y, x] for y in range(4) for x in range(4))
        first = slow_contrast(inside, kept_f, kept_b, temperature)
        expected.append(first + slow_contrast(outside, kept_b, kept_f, temperature))
    slow_gradients = torch.autograd.grad(torch.stack(expected).sum(), (features, logits))

    assert found.tolist() == pytest.approx([e.item() for e in expected])
    for fast, slow in zip(gradients, slow_gradients, strict=True):
        assert slow.any() and torch.allclose(fast, slow, rtol=1e-6, atol=1e-9)


# ---------------------------------------------------------------------------------------------------------- Eqs 16-17


def test_only_sure_images_are_remembered_and_both_terms_share_the_pointer():
    bank = MemoryBank(2, 2, 1, momentum=0.5)
    s = tiny(foreground_confidence=0.7)
    category = torch.tensor([0, 1, 2, 0])
    sure, doubtful, wrong = [math.log(8), 0, 0], [0, math.log(4.6), 0], [math.log(99), 0, 0]  # .8, .697, not its own
    score = torch.tensor([sure, doubtful, wrong, sure])
    f, b = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[-1.0], [-2.0], [-3.0], [-4.0]])
    share = remember(perceived(score=score, foreground=f, background=b), category, bank, s)
    assert share.item() == 0.5
    assert bank.values[..., 0].tolist() == [[1, 4], [-1, -4]] and bank.visits.tolist() == [2, 2]

    again = perceived(score=torch.tensor([sure] * 3), foreground=f[1:], background=b[1:])
    remember(again, torch.tensor([0, 0, 0]), bank, s)  # 2, 3 and 4, beginning again at the first slot
    first = 0.5 * (0.5 * 1 + 0.5 * 2) + 0.5 * 4
    assert bank.values[..., 0].tolist() == [[first, 3.5], [-first, -3.5]]
    assert bank.visits.tolist() == [5, 5]


def test_an_image_exactly_as_probable_as_asked_is_remembered():
    bank, score = MemoryBank(2, 2, 6), torch.zeros(2, 2)
    assert remember(perceived(score=score), torch.tensor([0, 1]), bank, tiny(foreground_confidence=0.5)).item() == 1


# ------------------------------------------------------------------------------------------------------------ the terms


def test_suppression_is_clamped_and_teaches_the_numerator_alone():
    own = torch.tensor([2.0, 2.0, 2.0, -1.0, 4.0], requires_grad=True)
    rest = torch.tensor([1.0, 5.0, -1.0, 1.0, 3.0], requires_grad=True)
    seen = perceived(score=torch.stack([torch.full((5,), 9.0), own], 1), background_score=rest)
    found = finetune.suppression(seen, torch.ones(5, dtype=torch.long))
    assert found.tolist() == pytest.approx([0.5, 1, 0, 1, 0.75])
    (slope,) = torch.autograd.grad(found.sum(), rest)
    assert slope.tolist() == pytest.approx([0.5, 0, 0, 0, 0.25])
    again = finetune.suppression(seen, torch.ones(5, dtype=torch.long)).sum()
    assert torch.autograd.grad(again, own, allow_unused=True)[0] is None


def test_terms_by_hand():
    seen = perceived(
        cue=torch.tensor([0.25, 0.75]).view(2, 1, 1).expand(2, 4, 4),
        score=torch.tensor([[math.log(2), 0.0, 0.0], [0.0, 0.0, 0.0]]),
        foreground_score=torch.tensor([[0.0, 0.0, math.log(6)], [0.0, 0.0, 0.0]]),
        background_score=torch.tensor([math.log(2) / 4, 1.0]),
    )
    category, bank = torch.tensor([0, 1]), MemoryBank(2, 2, 6)
    found = loss_terms(seen, category, bank, tiny(area_weight=3.0))
    expected = {
        "area": 0.5,
        "class": (math.log(2) + math.log(3)) / 2,
        "foreground_class": (math.log(8) + math.log(3)) / 2,
        "suppression": (0.25 + 1) / 2,
    }
    total = 3 * 0.5 + sum(value for name, value in expected.items() if name != "area")
    assert {name: value.item() for name, value in found.items()} == pytest.approx({**expected, "total": total})

    bank.write(torch.ones(2, 6), torch.tensor([0, 1]))  # equal slots and a zero feature: log 2 twice
    with_bank = loss_terms(seen, category, bank, tiny(area_weight=3.0, contrast_weight=10.0))
    assert with_bank["contrast"].item() == pytest.approx(2 * math.log(2))
    assert with_bank["total"].item() == pytest.approx(total + 20 * math.log(2))
    assert "contrast" not in loss_terms(seen, category, bank, tiny(contrast_weight=0.0))


def test_a_lone_category_has_no_class_terms():
    seen = perceived(score=torch.zeros(2, 1), foreground_score=torch.zeros(2, 1))
    assert loss_terms(seen, torch.zeros(2).long(), MemoryBank(2, 2, 6), tiny()).keys() == {"area", "total"}


def test_agreement_by_hand():
    cue = torch.tensor([[[0.9, 0.1], [0.5, 0.5]]]).expand(4, 2, 2)
    coarse = torch.zeros(4, 4, 4)
    coarse[0, :2, :2] = 1  # the first quarter
    coarse[1, :2, 2:] = 1  # the second
    coarse[2] = 1
    found = finetune.agreement(cue, coarse).tolist()
    assert found == pytest.approx([0.9 - 1.1 / 3, 0.1 - 1.9 / 3, 0, 0], abs=1e-6)
    assert finetune.agreement(torch.full((1, 8, 8), 0.5), torch.rand(1, 37, 91)).abs().item() < 1e-6


# ------------------------------------------------------------------------------------------------------ what is read


def raw(collection, s, coarse=bright) -> RawImages:
    """``coarse`` takes images to M_o (N,H,W) bool."""
    saliency = SimpleNamespace(masks=lambda images, progress: coarse(images))
    return RawImages(collection, saliency, s, "cpu")


def test_every_image_is_read_once_an_epoch_as_a_function_of_seed_and_step():
    images = raw(photographs(7), tiny(cue_batch_size=2))
    epochs = [np.concatenate([images.rows(0, step) for step in range(3 * e, 3 * e + 3)]) for e in range(3)]
    assert all(len(set(rows)) == 6 for rows in epochs) and (epochs[0] != epochs[1]).any()
    assert np.array_equal(raw(photographs(7), tiny(cue_batch_size=2)).rows(0, 4), images.rows(0, 4))
    assert any((images.rows(1, step) != images.rows(0, step)).any() for step in range(3))


def test_fewer_images_than_a_batch_are_one_batch():
    images = raw(photographs(2), tiny(cue_batch_size=32))
    assert images.rows(0, 0).tolist() == images.rows(0, 5).tolist() == [0, 1]


def test_every_other_image_is_mirrored():
    collection = photographs(6)
    collection.images[:, :, :, :30] = 0  # not symmetric
    images, mirrored = raw(collection, tiny(cue_batch_size=6)), 0
    for step in range(4):
        image, category = images.read(0, step)
        assert category.tolist() == collection.category.tolist() and image.max() <= 1
        for seen, stored in zip(image, torch.from_numpy(collection.images).float() / 255, strict=True):
            flipped = not torch.equal(seen, stored)
            mirrored += flipped
            assert torch.equal(seen, stored.flip(2) if flipped else stored)
    assert 4 < mirrored < 20


def test_the_probe_is_a_fixed_sample_with_its_coarse_masks(monkeypatch):
    monkeypatch.setattr(finetune, "PROBED", 3)
    collection = photographs(7)
    asked = []
    images = raw(collection, tiny(), lambda found: asked.append(len(found)) or bright(found))
    image, category, coarse = images.probe
    assert len(image) == len(category) == len(coarse) == 3 and asked == [3]  # M_o of these alone
    rows = [int(np.flatnonzero((collection.images == np.rint(one.numpy() * 255)).all((1, 2, 3)))[0]) for one in image]
    assert category.tolist() == collection.category[rows].tolist()
    assert torch.equal(coarse, torch.from_numpy(bright(collection.images[rows])).float())
    assert raw(collection, tiny()).probe[0].equal(image) and images.probe[0] is image


# ----------------------------------------------------------------------------------------------------- whole trainings


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(finetune, "LOG_EVERY", 2)
    monkeypatch.setattr(finetune, "SIGN_AT", 4)
    monkeypatch.setattr(finetune, "CHECKPOINT_EVERY", 4)


def tune_once(folder: Path, categories: int = 3, coarse=bright, until=None, **overrides) -> tuple[str, bool]:
    """A fine-tuning in a folder of the run store: how it went, and whether anything was left; reading a true mask
    raises."""
    s, collection = tiny(**overrides), photographs(7, categories)
    content = {"settings": {"steps": s.cue_steps}, "seed": 0, "code": "", "device": "cpu"}
    with checkpointing.opened(folder, content, "cues", progress=False, until=until) as held:
        if not held.finished:
            run = Tuning.start(s, categories, 0, "cpu")
            held.begin(run)
            tune(run, raw(collection, s, coarse), held)
    return held.how, not held.finished


def weights(folder: Path) -> dict[str, Tensor]:
    return find_checkpoint(folder)[0]["network"]


def same(a: Path, b: Path) -> bool:
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def log(folder: Path) -> list[dict]:
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in checkpointing.read_log(folder)]


def dark(images: np.ndarray) -> np.ndarray:
    return ~bright(images)


@pytest.mark.parametrize("categories", [3, 1])
def test_interrupted_and_resumed_is_bit_equal(tmp_path, monkeypatch, categories):
    def stop(state, folder):
        save_checkpoint(state, folder)
        if state["step"] == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpointing, "save_checkpoint", stop)
        with pytest.raises(KeyboardInterrupt):
            tune_once(tmp_path / "a", categories)
    how, now = tune_once(tmp_path / "a", categories)
    assert now and "resuming" in how and "step 4 of 8" in how
    tune_once(tmp_path / "b", categories)
    assert same(tmp_path / "a", tmp_path / "b") and log(tmp_path / "a") == log(tmp_path / "b")
    assert [line["step"] for line in log(tmp_path / "a")] == [2, 4, 6, 8]
    assert weights(tmp_path / "a")["bank.visits"].min() > 0 and "contrast" in log(tmp_path / "a")[-1]
    forbidden = lambda images: pytest.fail("tuned again")  # noqa: E731
    assert not tune_once(tmp_path / "a", categories, forbidden)[1]


def test_out_of_time_it_goes_on_from_any_log_line(tmp_path):
    with pytest.raises(checkpointing.OutOfTime, match="cues: out of time at step 2 of 8; it goes on"):
        tune_once(tmp_path / "a", until=time.monotonic())
    assert "step 2 of 8" in tune_once(tmp_path / "a")[0]
    tune_once(tmp_path / "b")
    assert same(tmp_path / "a", tmp_path / "b") and log(tmp_path / "a") == log(tmp_path / "b")


KILLED = textwrap.dedent(
    """
    import sys; from pathlib import Path; sys.path[:0] = {tests!r}
    import torch; torch.set_num_threads(1)
    import time, test_finetune; from msrn.foreground import finetune
    finetune.LOG_EVERY, finetune.CHECKPOINT_EVERY, finetune.SIGN_AT = 2, 4, 4
    late = lambda images: [time.sleep(0.3), test_finetune.bright(images)][1]  # so that it is met at work
    test_finetune.tune_once(Path({folder!r}), coarse=late, cue_steps=10)
    """
)


@pytest.mark.slow  # another process has to import all
def test_killed_and_resumed_is_bit_equal(tmp_path):
    script = KILLED.format(
        tests=[str(TESTS), *(str(TESTS.parent / one) for one in ("support", "benchmarks"))], folder=str(tmp_path / "a")
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    deadline = time.monotonic() + 120
    while not (tmp_path / "a" / "checkpoint.pt").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "resuming" in tune_once(tmp_path / "a", cue_steps=10)[0]
    tune_once(tmp_path / "b", cue_steps=10)
    assert same(tmp_path / "a", tmp_path / "b") and log(tmp_path / "a") == log(tmp_path / "b")


def test_the_bank_survives_a_checkpoint(tmp_path):
    s = tiny()
    run = Tuning.start(s, 3, 0, "cpu")
    tune(run, raw(photographs(7), s), LogLines())
    save_checkpoint(run.state(), tmp_path)
    fresh = Tuning.start(s, 3, 1, "cpu")
    assert not torch.equal(fresh.network.bank.values, run.network.bank.values)
    fresh.restore(find_checkpoint(tmp_path)[0])
    assert torch.equal(fresh.network.bank.values, run.network.bank.values) and run.network.bank.values.any()
    assert fresh.network.bank.visits.tolist() == run.network.bank.visits.tolist() and fresh.step == 8


def test_rates_are_ten_times_for_new_layers_and_fall_after_two_thirds(monkeypatch):
    monkeypatch.setattr(finetune, "LOG_EVERY", 1)
    run, rates = Tuning.start(tiny(cue_steps=6, cue_learning_rate=0.1), 3, 0, "cpu"), []
    log = LogLines(lambda: rates.append([group["lr"] for group in run.optimizer.param_groups]))
    tune(run, raw(photographs(7), run.settings), log)
    assert rates == [pytest.approx([0.1, 1.0])] * 4 + [pytest.approx([0.01, 0.1])] * 2
    new = {id(weight) for weight in (*run.network.generator.parameters(), *run.network.scorer.parameters())}
    assert {id(weight) for weight in run.optimizer.param_groups[1]["params"]} == new


def test_the_start_follows_the_seed_and_leaves_the_generator_alone():
    state = torch.get_rng_state()
    first, again, other = (Tuning.start(tiny(), 3, seed, "cpu").network.generator.weight for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_that_are_no_numbers_are_one_line():
    run = Tuning.start(tiny(), 3, 0, "cpu")
    with torch.no_grad():
        run.network.generator.bias[0] = float("nan")
    with pytest.raises(MsrnError, match="the loss is not finite before step 2") as caught:
        tune(run, raw(photographs(7), run.settings), LogLines())
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------------- the sign


class Crossed:
    """M_o where a lone category's cue is weak at the start, or (``agreeing``) where it is strong."""

    def __init__(self, agreeing: bool = False):
        self.agreeing, self.network = agreeing, Tuning.start(tiny(), 1, 0, "cpu").network

    @torch.no_grad()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(np.asarray(images)).float() / 255
        cue = self.network.cues(self.network.features(given))[:, 0]
        strong = cue > cue.median()
        chosen = (strong == self.agreeing).float()[:, None]
        return torch.nn.functional.interpolate(chosen, images.shape[2:])[:, 0].numpy() > 0


STILL = {"cue_learning_rate": 1e-9, "contrast_weight": 0.0}


def test_a_lone_cue_that_points_at_the_background_is_turned_round_once(tmp_path, capsys):
    tune_once(tmp_path, 1, Crossed(), **STILL)
    found = log(tmp_path)
    assert [line["agreement"] < 0 for line in found if "agreement" in line] == [True, False]  # at 4 and at the end
    assert [line.get("exchanged") for line in found] == [None, 1.0, None, None]
    assert found[2]["area"] == pytest.approx(1 - found[1]["area"], abs=0.05)
    said = capsys.readouterr().err
    assert said.count("at step 4: exchanged") == 1 and "warning" not in said


def test_a_lone_cue_that_points_at_the_object_stays(tmp_path, capsys):
    tune_once(tmp_path, 1, Crossed(agreeing=True), **STILL)
    assert [line["agreement"] > 0 for line in log(tmp_path) if "agreement" in line] == [True, True]
    assert not any("exchanged" in line for line in log(tmp_path))
    assert "exchanged" not in capsys.readouterr().err


def test_turning_round_forgets_the_momentum_and_saves_a_warning_at_the_last_step(capsys):
    run = Tuning.start(tiny(cue_steps=4), 1, 0, "cpu")
    for _ in range(2):
        finetune.take_step(run, *raw(photographs(7, 1), run.settings).read(0, 0))
    assert run.optimizer.state
    run.step, before = 4, run.network.generator.bias.clone()
    finetune.mind_the_sign(run, {"agreement": -0.2})
    assert torch.equal(run.network.generator.bias, -before) and not run.optimizer.state
    said = capsys.readouterr().err
    assert "exchanged" in said and "warning" not in said


@pytest.mark.parametrize("categories", [1, 3])
def test_any_training_that_ends_on_the_background_says_so(categories, capsys):
    run = Tuning.start(tiny(), categories, 0, "cpu")
    before = run.network.generator.bias.clone()
    run.step = 8
    finetune.mind_the_sign(run, {"agreement": -0.1})
    assert "warning: foreground cues are no stronger inside" in capsys.readouterr().err
    run.step = 6
    finetune.mind_the_sign(run, {"agreement": -0.1})
    assert not capsys.readouterr().err and torch.equal(run.network.generator.bias, before)


def test_the_cues_of_all_categories_are_turned_round_together(capsys):
    run = Tuning.start(tiny(), 3, 0, "cpu")
    before = run.network.generator.weight.clone()
    run.step, record = finetune.SIGN_AT, {"agreement": -0.3}
    finetune.mind_the_sign(run, record)
    assert torch.equal(run.network.generator.weight, -before) and record["exchanged"] == 1.0
    assert "exchanged" in capsys.readouterr().err

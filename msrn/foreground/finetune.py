"""Fine-tuning of the perceptron (§3.1): BAS's losses [43] and, beside them, L_for against the bank P_f (Eqs 13-17).

    L = CE(score) + CE(score of the foreground) + S_b / S + area_weight * mean(M_f) + contrast_weight * L_for

S_b / S, background activation suppression, is the own category's score with the foreground erased over its score
without; it teaches the cue to cover all that speaks for the category. With a single category there are no scores; then
only the area and L_for are left, which know foreground only as the smaller part. A strong L_for can also leave the
object in the background. So the cue is held against M_o on a sample of the images (``agreement``: its mean inside minus
outside). When that is negative early on, foreground and background are exchanged, once.

A step costs O(B) images through E_p and O(B K Q_f) for the bank. Randomness is a function of (seed, step) alone.
"""

import functools
import sys
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from msrn import losses
from msrn.data.collection import ImageCollection
from msrn.foreground.perceptron import BACKGROUND, FOREGROUND, Perceived, Perceptron
from msrn.foreground.saliency import Saliency
from msrn.settings import Settings
from msrn.store.checkpointing import RunFolder, summarise

LOG_EVERY, CHECKPOINT_EVERY = 20, 100
SIGN_AT = 100
"""Step at which foreground and background are exchanged if the cue points at the background."""
PROBED = 64
"""Images on which the cue is held against M_o, whenever a checkpoint is due."""
NEW_LAYERS = ("generator.", "scorer.")


@dataclass
class InProgress:
    """A network of cues in training: all that a checkpoint holds."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    settings: Settings
    seed: int
    step: int = 0

    def state(self) -> dict:
        """Tensors and plain values only, so that it loads with ``weights_only=True``."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}

    def restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


class Tuning(InProgress):
    """The fine-tuning of a perceptron."""

    @classmethod
    def start(cls, s: Settings, categories: int, seed: int, device: str, weights: str | None = None) -> "Tuning":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # the new layers
            network = Perceptron(s, categories, seed, weights)
        network = network.to(device, memory_format=torch.channels_last).train()
        named = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
        groups = [
            {"params": [weight for name, weight in named if name.startswith(NEW_LAYERS) == new], "times": times}
            for new, times in ((False, 1), (True, 10))
        ]
        optimizer = torch.optim.SGD(groups, s.cue_learning_rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
        return cls(network, optimizer, s, seed)


class RawImages:
    """What fine-tuning reads: images, categories and, of a few and for the sign alone, M_o. Never a true mask."""

    def __init__(self, collection: ImageCollection, saliency: Saliency, s: Settings, device: str) -> None:
        self.collection, self.saliency, self.device = collection, saliency, device
        self.count, self.batch = len(collection), min(s.cue_batch_size, len(collection))

    def rows(self, seed: int, step: int) -> np.ndarray:
        """Row numbers of the batch at ``step``: each epoch walks through full batches in an order of its own."""
        epoch, place = divmod(step, self.count // self.batch)
        order = np.random.default_rng((seed, epoch)).permutation(self.count)
        return np.sort(order[place * self.batch : (place + 1) * self.batch])

    def read(self, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """Images (B,3,H,W) in 0..1 and categories (B,); every other image mirrored, at random."""
        image, category = self._at(self.rows(seed, step))
        mirrored = torch.from_numpy(np.random.default_rng((seed, step)).random(len(image)) < 0.5).to(self.device)
        return torch.where(mirrored[:, None, None, None], image.flip(3), image), category

    @functools.cached_property
    def probe(self) -> tuple[Tensor, Tensor, Tensor]:
        """Images, categories and M_o (P,H,W) of a fixed sample."""
        rows = np.sort(np.random.default_rng(0).permutation(self.count)[:PROBED])
        coarse = self.saliency.masks(np.asarray(self.collection.images[rows]), progress=False)
        return *self._at(rows), torch.from_numpy(coarse).to(self.device).float()

    def _at(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        image = torch.from_numpy(np.array(self.collection.images[rows])).to(self.device).float() / 255
        return image, torch.from_numpy(np.asarray(self.collection.category[rows], np.int64)).to(self.device)


def tune(run: Tuning, images: RawImages, folder: RunFolder) -> None:
    """Fine-tune from ``run.step`` to the end; lines of the log and checkpoints go to ``folder``.

    ``OutOfTime`` when the time is over, ``Stopped`` after a signal, ``MsrnError`` when a term or a weight is no
    number.
    """
    s, terms = run.settings, []
    while run.step < s.cue_steps:
        late = 0.1 if run.step >= s.cue_steps * 2 / 3 else 1.0
        for group in run.optimizer.param_groups:
            group["lr"] = s.cue_learning_rate * late * group["times"]

        terms.append(take_step(run, *images.read(run.seed, run.step)))
        run.step += 1

        last = run.step == s.cue_steps
        if run.step % LOG_EVERY == 0 or last:
            record = summarise(terms, run.step)
            terms.clear()
            due = run.step % CHECKPOINT_EVERY == 0 or last
            if due:
                record["agreement"] = probe(run, images)
                mind_the_sign(run, record)
            folder.write(run.step, record)
            over = folder.is_over and not last
            if due or over:
                folder.save(run)
            if over:
                raise folder.ended(run.step)


def take_step(run: Tuning, image: Tensor, category: Tensor) -> dict[str, Tensor]:
    """Follow the gradient with the bank as it is, then write to the bank; the terms as values."""
    perceived = run.network(image, category)
    terms = loss_terms(perceived, category, run.network.bank, run.settings)
    run.optimizer.zero_grad(set_to_none=True)
    terms["total"].backward()
    run.optimizer.step()
    terms["accepted"] = remember(perceived, category, run.network.bank, run.settings)
    return {name: value.detach() for name, value in terms.items()}


def loss_terms(perceived: Perceived, category: Tensor, bank, s: Settings) -> dict[str, Tensor]:
    """The terms of the loss and their weighed ``total``, each a scalar."""
    area = perceived.cue.mean()
    terms = {"area": area}
    total = s.area_weight * area
    if perceived.score.shape[1] > 1:
        terms["class"] = functional.cross_entropy(perceived.score, category)
        terms["foreground_class"] = functional.cross_entropy(perceived.foreground_score, category)
        terms["suppression"] = suppression(perceived, category).mean()
        total = total + terms["class"] + terms["foreground_class"] + terms["suppression"]
    if s.contrast_weight and int(bank.filled.min()):
        terms["contrast"] = contrast(perceived, bank, s.temperature).mean()
        total = total + s.contrast_weight * terms["contrast"]
    return {**terms, "total": total}


def suppression(perceived: Perceived, category: Tensor) -> Tensor:
    """BAS's S_b / S in 0..1, (B,), both positive parts of the own category's score; S carries no gradient.

    Where erasing raises the score the ratio is held at 1, without gradient, as BAS does.
    """
    whole = perceived.score.gather(1, category[:, None])[:, 0].detach().clamp_min(0)
    return (perceived.background_score.clamp_min(0) / (whole + 1e-8)).clamp_max(1)


def contrast(perceived: Perceived, bank, temperature: float) -> Tensor:
    """Eqs 13-15: L_for (B,) against the slots of P_f that hold a feature."""
    count = int(bank.filled.min())  # the same for both terms, which are written together
    slots_f, slots_b = bank.values[FOREGROUND, :count], bank.values[BACKGROUND, :count]
    of_foreground = losses.contrastive(perceived.foreground, slots_f, slots_b, temperature)
    return of_foreground + losses.contrastive(perceived.background, slots_b, slots_f, temperature)


@torch.no_grad()
def remember(perceived: Perceived, category: Tensor, bank, s: Settings) -> Tensor:
    """Eqs 16-17 where the image's category is as probable as delta_f asks; the share of images that were."""
    sure = perceived.score.softmax(1).gather(1, category[:, None])[:, 0] >= s.foreground_confidence
    for term, features in ((FOREGROUND, perceived.foreground), (BACKGROUND, perceived.background)):
        bank.write(features, torch.full_like(category, term), sure)
    return sure.float().mean()


@torch.no_grad()
def probe(run: Tuning, images: RawImages) -> float:
    """Mean agreement of the cues with M_o on the sample, without mirroring."""
    image, category, coarse = images.probe
    cues = [run.network.cues(run.network.features(part)) for part in image.split(images.batch)]
    cue = torch.cat(cues)[torch.arange(len(image), device=image.device), category]
    return float(agreement(cue, coarse).mean())


def agreement(cue: Tensor, coarse: Tensor) -> Tensor:
    """Mean of the cue inside M_o minus outside, (B,) in -1..1; 0 where M_o is empty or full. (B,h,w), (B,H,W)."""
    inside = functional.adaptive_avg_pool2d(coarse[:, None], cue.shape[1:])[:, 0]
    weight_in, weight_out = inside.sum((1, 2)), (1 - inside).sum((1, 2))
    both = (weight_in > 0) & (weight_out > 0)
    mean_in = (cue * inside).sum((1, 2)) / weight_in.clamp_min(1e-6)
    mean_out = (cue * (1 - inside)).sum((1, 2)) / weight_out.clamp_min(1e-6)
    return torch.where(both, mean_in - mean_out, 0.0)


def mind_the_sign(run: Tuning, record: dict) -> None:
    """Exchange foreground and background when the cue points at the latter; say so when it ends that way."""
    if run.step == SIGN_AT and record["agreement"] < 0:
        run.network.exchange()
        run.optimizer.state.clear()  # the momentum pointed the other way
        record["exchanged"] = 1.0
        print(f"foreground cues pointed at the background at step {run.step}: exchanged", file=sys.stderr, flush=True)
    if run.step == run.settings.cue_steps and record["agreement"] <= 0 and "exchanged" not in record:
        words = f"foreground cues are no stronger inside M_o than outside (agreement {record['agreement']:.2f})"
        print(f"warning: {words}: look at them before you trust the refined masks", file=sys.stderr, flush=True)

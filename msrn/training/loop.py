"""Training (§4.3): one loop that alternates pose steps and shape steps.

The alternation (``steps``), which the paper does not mention, is Unicorn's and is what makes several candidates
trainable. Randomness is a function of (seed, step) alone, so a run that resumes from a checkpoint repeats the
uninterrupted one bit by bit on the same CPU. Beside the steps, k-means costs O(T S C Q) per epoch. No shape of a tensor
depends on values and nothing waits for the device between two lines of the log, so that on CUDA a step is one recorded
graph.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from msrn import memory
from msrn.errors import MsrnError
from msrn.network import MSRN
from msrn.render import default_backend
from msrn.settings import Settings
from msrn.training.batches import TrainingImages, is_pose_step
from msrn.training.cuda_graphs import GraphedSteps
from msrn.training.state import Training
from msrn.training.steps import pose_step, shape_step


def train(run: Training, images: TrainingImages) -> Iterator[dict]:
    """Train to the end and yield a record every ``log_every`` steps; the caller keeps records and checkpoints."""
    s = run.settings
    # The other rasterisers, and Eq. 41 by the letter, wait for the device.
    recordable = default_backend(run.codes.device) == "triton" and not s.affinity_literal
    pose = GraphedSteps(lambda inputs: take_step(run, pose_step(run, inputs)), recordable)
    shape = GraphedSteps(lambda inputs: take_step(run, shape_step(run, inputs)), recordable)
    for inputs in images.stream(run.seed, run.step):
        if run.step >= s.steps:
            return
        begin_stage(run, images)
        step = pose if is_pose_step(run.step) else shape
        run.records.append(step((run.step >= s.stage_switch, run.network.compensating), inputs))
        run.step += 1
        if run.step % s.log_every == 0 or run.step == s.steps:
            record = summarise(run.records)
            check_finite(record, run.step)
            yield {"step": run.step, **record}
            run.records.clear()


def take_step(run: Training, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Follow the gradient of ``terms["total"]``; the terms as values."""
    run.optimizer.zero_grad(set_to_none=True)  # Adam then leaves the branch that this step holds fixed alone
    terms["total"].backward()
    run.optimizer.step()
    return {name: value.detach() for name, value in terms.items()}


def begin_stage(run: Training, images: TrainingImages) -> None:
    """What changes between steps: codes open, k-means runs, compensation starts, the learning rate falls (§4.3)."""
    network, step, s = run.network, run.step, run.settings
    if step in (0, s.stage_switch):
        network.open_codes(step >= s.stage_switch)
    epoch_starts = step % images.steps_per_epoch == 0
    # The bank is empty at the switch itself: for the rest of that epoch, look again at every log line.
    same_epoch = step // images.steps_per_epoch == s.stage_switch // images.steps_per_epoch
    waiting = same_epoch and step % s.log_every == 0 and not bool(network.prototypes_valid.any(1).all())
    if step >= s.stage_switch and (epoch_starts or step == s.stage_switch or waiting):
        purify(network, s, int(np.random.default_rng((run.seed, step)).integers(2**31)))
        if s.feature_compensation and step >= images.steps_per_epoch:
            network.compensating = bool(network.prototypes_valid.any())
    run.set_rate(s.learning_rate * (0.2 if step >= s.decay_at * s.steps else 1.0))


def purify(network: MSRN, s: Settings, seed: int) -> None:
    """P'_r and P''_r from the bank (Eqs 22-23 and 33-34)."""
    prototypes = network.bank.purify(s.prototypes, seed)
    network.set_prototypes("prototypes", prototypes)
    network.set_prototypes("neighbor_prototypes", memory.refine(prototypes, s.neighbor_prototypes, seed))


def check_finite(record: dict, step: int) -> None:
    """A term that was no number in any step since the last log line shows in its mean; no checkpoint follows it."""
    bad = [name for name, value in record.items() if not np.isfinite(value).all()]
    if bad:
        names = ", ".join(name for name in bad if name != "total") or "total"
        raise MsrnError(
            f"the loss is not finite before step {step} (term: {names}); the last good checkpoint is kept: "
            "lower learning_rate, or look at the data, then run again"
        )


def summarise(records: list[dict[str, Tensor]]) -> dict:
    """The mean of every term over the steps that had it."""
    names = sorted({name for record in records for name in record})
    means = {name: torch.stack([r[name].float() for r in records if name in r]).mean(0) for name in names}
    return {name: value.tolist() for name, value in means.items()}

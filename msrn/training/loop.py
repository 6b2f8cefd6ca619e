"""Training (§4.3): one loop of pose steps and shape steps.

That they take turns (``steps``), which the paper does not mention, is Unicorn's and is what makes several candidates
trainable. Randomness is a function of (seed, step) alone, so a run that resumes from a checkpoint repeats the
uninterrupted one bit by bit on the same CPU. Beside the steps, k-means costs O(T S C Q) per epoch. No shape of a tensor
depends on values and nothing waits for the device between two lines of the log, but for the first prototypes, so that
on CUDA a step is one recorded graph.
"""

import functools

import numpy as np
from torch import Tensor

from msrn import memory
from msrn.network import MSRN
from msrn.render import default_backend
from msrn.settings import Settings
from msrn.store.checkpointing import RunFolder, summarise
from msrn.training.batches import TrainingImages, is_pose_step
from msrn.training.cuda_graphs import GraphedSteps
from msrn.training.ray_steps import ray_pose_step, ray_shape_step
from msrn.training.state import Training
from msrn.training.steps import camera_step, pose_step, shape_step, weighed_step

KINDS = (pose_step, shape_step), (ray_pose_step, ray_shape_step)
"""Steps of poses and of shapes: of meshes, and of signed distances."""

LOOK_EVERY = 50
"""Steps between two looks at a bank that cannot give the first prototypes yet. The bank is empty at the stage switch
itself, and an epoch of a large data set is long. Each look waits for the device and, like k-means, is part of what is
learned."""


def train(run: Training, images: TrainingImages, folder: RunFolder) -> None:
    """Train from ``run.step`` to the end; lines of the log and checkpoints go to ``folder``.

    ``OutOfTime`` when the time is over, ``Stopped`` after a signal, ``MsrnError`` when a term or a weight is no
    number.
    """
    s, network = run.settings, run.network
    # Other rasterisers, Eq. 41 by the letter, neighbours from a memory, rows of cameras and rays wait for the device.
    waits = s.affinity_literal or s.neighbor_filter == "views" or run.multiplex is not None or s.decoders == "sdf"
    recordable = default_backend(run.codes.device) == "triton" and not waits
    step = GraphedSteps(functools.partial(take_step, run), recordable)
    inputs, terms = images.stream(run.seed, run.step), []
    while run.step < s.steps:
        run.set_rate(s.learning_rate * (0.2 if run.step >= s.decay_at * s.steps else 1.0))

        if run.step in (0, s.stage_switch):
            network.open_codes(run.step >= s.stage_switch)

        if prototypes_are_due(run, images):
            purify(network, s, seed=int(np.random.default_rng((run.seed, run.step)).integers(2**31)))
            if s.feature_compensation and run.step >= images.steps_per_epoch:
                network.compensating = bool(network.prototypes_valid.any())

        kind = is_pose_step(run.step, s), run.step >= s.stage_switch, network.compensating  # of step: a graph each
        terms.append(step(kind, next(inputs)))
        run.step += 1

        last = run.step == s.steps
        if run.step % s.log_every == 0 or last:
            folder.write(run.step, summarise(terms, run.step))
            terms.clear()
            over = folder.is_over and not last
            if run.step % s.checkpoint_every < s.log_every or over or last:  # the first line since it was due
                folder.save(run)
            if over:
                raise folder.ended(run.step)


def take_step(run: Training, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Follow the gradient of a pose step's or a shape step's ``total``; the terms as values."""
    of_poses, of_shapes = (camera_step, weighed_step) if run.multiplex else KINDS[run.settings.decoders == "sdf"]
    terms = (of_poses if is_pose_step(run.step, run.settings) else of_shapes)(run, inputs)
    run.optimizer.zero_grad(set_to_none=True)  # Adam then leaves the branch that this step holds fixed alone
    terms["total"].backward()
    run.optimizer.step()
    if run.multiplex:
        run.multiplex.step()
    return {name: value.detach() for name, value in terms.items()}


def prototypes_are_due(run: Training, images: TrainingImages) -> bool:
    """Whether k-means runs before this step: at the stage switch, at the start of every epoch after it, and for the
    rest of the switch's own epoch every ``LOOK_EVERY`` steps until each category has prototypes."""
    step, switch, epoch = run.step, run.settings.stage_switch, images.steps_per_epoch
    if step == switch or (step > switch and step % epoch == 0):
        return True
    looks = step > switch and step // epoch == switch // epoch and step % LOOK_EVERY == 0
    return looks and not bool(run.network.prototypes_valid.any(1).all())


def purify(network: MSRN, s: Settings, seed: int) -> None:
    """P'_r and P''_r from the bank (Eqs 22-23 and 33-34)."""
    prototypes = network.bank.purify(s.prototypes, seed)
    network.set_prototypes("prototypes", prototypes)
    network.set_prototypes("neighbor_prototypes", memory.refine(prototypes, s.neighbor_prototypes, seed))

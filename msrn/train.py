"""Training (§4.3): one loop that alternates pose steps and shape steps.

A **pose step** renders the mesh, held fixed, from all K candidate poses and lowers the expected loss sum_k p_k L_k,
so that probabilities and offsets learn. A **shape step** holds the likeliest pose fixed and trains shape and texture
with Eq. 45: reconstruction, neighbour, normal and Laplacian terms. The alternation, which the paper does not mention,
is Unicorn's and is what makes several candidates trainable.

Randomness is a function of (seed, step) alone, so a run that resumes from a checkpoint repeats the uninterrupted one
bit by bit on the same CPU. A step costs O(K B) renderings (pose) or O((1 + neighbours) B) (shape) and k_cos B
encodings; k-means costs O(T S C Q) per epoch. Memory does not grow with N: images are read batch by batch from the
memory map.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional

from msrn import camera, losses, memory, neighbors
from msrn.data import ImageCollection
from msrn.errors import MsrnError
from msrn.network import MSRN, Shape
from msrn.render import soft_rasterize
from msrn.settings import Settings

WHITE = (1.0, 1.0, 1.0)


@dataclass
class Batch:
    """Images (B, 3, H, W) in 0..1, masks (B, H, W) of 0 and 1, categories (B,)."""

    image: torch.Tensor
    mask: torch.Tensor
    category: torch.Tensor


class TrainingImages:
    """What training may see: images, masks, categories and candidate neighbours; never a pose or a mesh."""

    def __init__(self, collection: ImageCollection, candidates: np.ndarray | None, s: Settings, device: str):
        if collection.masks is None:
            raise MsrnError(f"data set {collection.name!r} has no masks: training needs them; make masks first")
        if s.batch_size > len(collection.category):
            raise MsrnError(
                f"setting batch_size = {s.batch_size}: the {collection.split} split of {collection.name!r} has only "
                f"{len(collection.category)} images; choose a smaller batch"
            )
        memory.check_prototypes(collection.category, collection.categories, s.prototypes)
        self.images, self.masks, self.category = collection.images, collection.masks, collection.category
        self.candidates, self.size, self.device = candidates, s.image_size, device
        self.count, self.batch_size = len(collection.category), s.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the collection; the images left over sit out this epoch."""
        return self.count // self.batch_size

    def indices(self, seed: int, step: int) -> np.ndarray:
        """Row numbers (B,) of the batch at ``step``: each epoch walks through its own permutation."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(self.count)
        return order[position * self.batch_size : (position + 1) * self.batch_size]

    def batch(self, rows: np.ndarray) -> Batch:
        images = torch.from_numpy(np.asarray(self.images[rows])).to(self.device).float() / 255
        masks = torch.from_numpy(np.asarray(self.masks[rows])).to(self.device).float()
        size = (self.size, self.size)
        return Batch(
            functional.interpolate(images, size, mode="area"),
            (functional.interpolate(masks[:, None], size, mode="area")[:, 0] > 0.5).float(),
            torch.from_numpy(np.asarray(self.category[rows])).long().to(self.device),
        )


@dataclass
class Training:
    """A training in progress: all that a checkpoint holds."""

    network: MSRN
    optimizer: torch.optim.Optimizer
    seed: int
    step: int = 0
    records: list[dict] = field(default_factory=list)  # since the last log line; empty at every checkpoint

    @classmethod
    def start(cls, s: Settings, categories: int, seed: int, device: str) -> "Training":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # the initial weights
            network = MSRN(s, categories)
        network = network.to(device).train()
        return cls(network, torch.optim.Adam(network.parameters(), s.learning_rate, fused=True), seed)

    def state(self) -> dict:
        """Tensors and plain values only, so that it loads with ``weights_only=True``."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "open_codes": self.network.open_codes,
            "compensating": self.network.compensating,
            "step": self.step,
        }

    def restore(self, state: dict) -> None:
        load_network(self.network, state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def load_network(network: MSRN, state: dict) -> None:
    """Put the network of a checkpoint into ``network``."""
    network.load_state_dict(state["network"])
    network.open_codes, network.compensating = state["open_codes"], state["compensating"]


def train(run: Training, images: TrainingImages, s: Settings) -> Iterator[dict]:
    """Train to the end and yield a record every ``log_every`` steps; the caller keeps records and checkpoints."""
    network = run.network
    while run.step < s.steps:
        begin_stage(run, images, s)
        rows = images.indices(run.seed, run.step)
        batch = images.batch(rows)
        terms = pose_step(network, batch, s) if run.step % 2 == 0 else shape_step(run, batch, rows, images, s)
        check_finite(terms, run.step)
        run.optimizer.zero_grad(set_to_none=True)  # Adam then leaves the branch that this step holds fixed alone
        terms["total"].backward()
        run.optimizer.step()
        run.step += 1
        run.records.append({name: value.detach() for name, value in terms.items()})
        if run.step % s.log_every == 0 or run.step == s.steps:
            yield {"step": run.step, **summarise(run.records)}
            run.records.clear()


def begin_stage(run: Training, images: TrainingImages, s: Settings) -> None:
    """What changes between steps: codes open, k-means runs, compensation starts, the learning rate falls (§4.3)."""
    network, step = run.network, run.step
    epoch_starts = step % images.steps_per_epoch == 0
    network.open_codes = step >= s.stage_switch
    # The bank is empty at the switch itself: for the rest of that epoch, look again at every log line.
    same_epoch = step // images.steps_per_epoch == s.stage_switch // images.steps_per_epoch
    waiting = same_epoch and step % s.log_every == 0 and not bool(network.prototypes_valid.any(1).all())
    if network.open_codes and (epoch_starts or step == s.stage_switch or waiting):
        seed = int(np.random.default_rng((run.seed, step)).integers(2**31))
        prototypes = network.bank.purify(s.prototypes, seed)
        network.set_prototypes("prototypes", prototypes)
        again = s.neighbor_prototypes_from == "bank"
        fewer = network.bank.purify if again else functools.partial(memory.refine, prototypes)
        network.set_prototypes("neighbor_prototypes", fewer(s.neighbor_prototypes, seed))
    first_epoch = step < images.steps_per_epoch
    if s.feature_compensation and network.open_codes and not first_epoch and not network.compensating:
        network.compensating = bool(network.prototypes_valid.any())
    decayed = step >= s.decay_at * s.steps
    run.optimizer.param_groups[0]["lr"] = s.learning_rate * (0.2 if decayed else 1.0)


def pose_step(network: MSRN, batch: Batch, s: Settings) -> dict[str, torch.Tensor]:
    """Expected reconstruction loss over the candidate poses, the mesh held fixed, plus the pose prior."""
    with torch.no_grad():
        vertices, colors = network.shape(batch.image).vertices, network.paint(batch.image)
    poses = network.poses(batch.image)
    k = s.pose_candidates
    terms = render_and_compare(
        network,
        vertices.repeat_interleave(k, 0),
        colors.repeat_interleave(k, 0),
        poses.rotation.flatten(0, 1),
        poses.translation.flatten(0, 1),
        batch.image.repeat_interleave(k, 0),
        batch.mask.repeat_interleave(k, 0),
        s,
    )
    expected = (poses.probability * terms["total"].unflatten(0, (-1, k))).sum(1).mean()
    prior = losses.pose_prior(poses.probability)
    return {
        "total": expected + s.pose_prior_weight * prior,
        "pose_expected": expected,
        "pose_prior": prior,
        "pose_histogram": functional.one_hot(poses.probability.argmax(1), k).float().mean(0),
    }


def shape_step(
    run: Training, batch: Batch, rows: np.ndarray, images: TrainingImages, s: Settings
) -> dict[str, torch.Tensor]:
    """Eq. 45 at the likeliest pose, then the accepted codes go to the memory bank (with the bank as it was before)."""
    network = run.network
    shape, colors = network.shape(batch.image), network.paint(batch.image)
    with torch.no_grad():
        poses = network.poses(batch.image)
    _, rotation, translation = poses.likeliest()
    own = render_and_compare(network, shape.vertices, colors, rotation, translation, batch.image, batch.mask, s)
    normal = losses.normal_consistency(shape.vertices, network.faces).mean()
    laplacian = losses.laplacian(shape.vertices, network.faces).mean()
    total = own["total"].mean() + s.normal_weight * normal + s.laplacian_weight * laplacian
    result = {name: own[name].mean() for name in ("rgb", "bce", "affinity", "mask_iou")}
    if network.open_codes and s.neighbor_consistency:
        neighbor, chosen = neighbor_term(run, batch, shape, rows, images, s)
        total = total + neighbor
        result |= {"neighbor": neighbor, "n_re": chosen.sum(1).float().mean()}
    if network.open_codes:
        accepted = own["mask_iou"] > s.shape_confidence
        network.bank.write(shape.code.detach(), batch.category, accepted)
        result["accepted"] = accepted.float().mean()
    return {"total": total, **result, "normal": normal, "laplacian": laplacian}


def neighbor_term(
    run: Training, batch: Batch, shape: Shape, rows: np.ndarray, images: TrainingImages, s: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """L_ne (Eqs 35-38, 43-44) and which candidates were neighbours, (B, k_cos) bool.

    The own shape is rendered with a neighbour's texture and pose and compared with the neighbour's image. Its axis
    scale is the neighbour's, as in Unicorn: the scale is not part of the code by which neighbours are chosen.
    """
    network = run.network
    candidate_rows = images.candidates[rows]  # (B, k)
    candidate = images.batch(candidate_rows.reshape(-1))  # B k images
    with torch.no_grad(), network.frozen_statistics():
        codes, scales = network.encode_shape(candidate.image)
        codes = codes.unflatten(0, candidate_rows.shape)  # (B, k, Q)
        selected = neighbors.select(shape.code, batch.category, codes, *network.get_prototypes("neighbor_prototypes"))
    chosen = neighbors.sample(selected, s.neighbor_samples, np.random.default_rng((run.seed, run.step)))
    image, column = chosen.nonzero(as_tuple=True)  # the M pairs of an input and one of its neighbours
    if len(image) == 0:
        return shape.code.new_zeros(()), selected
    flat = image * candidate_rows.shape[1] + column
    neighbor = candidate.image[flat]  # (M, 3, H, W)
    with torch.no_grad(), network.frozen_statistics():
        _, rotation, translation = network.poses(neighbor).likeliest()
    with torch.set_grad_enabled(s.neighbor_texture_gradient), network.frozen_statistics():
        colors = network.paint(neighbor)
    vertices = shape.unscaled[image] * scales[flat][:, None]
    terms = render_and_compare(network, vertices, colors, rotation, translation, neighbor, candidate.mask[flat], s)
    share = 1.0 / chosen.sum(1)[image]  # 1 / N_re for each pair
    return (terms["total"] * share).sum() / len(batch.image), selected


def render_and_compare(
    network: MSRN,
    vertices: torch.Tensor,
    colors: torch.Tensor,
    rotation: torch.Tensor,
    translation: torch.Tensor,
    image: torch.Tensor,
    mask: torch.Tensor,
    s: Settings,
) -> dict[str, torch.Tensor]:
    """Eq. 42 for each image (B,): terms rgb, bce, affinity, their total, and the mask IoU at one half."""
    projected = camera.project(vertices, rotation, translation)
    surface, alpha, log_transparency = soft_rasterize(
        projected, network.faces, colors, s.image_size, s.sigma, s.gamma, WHITE
    )
    rendered = 1 + alpha[:, None] * (surface - 1)  # the surface fades to white along the outline, as alpha does
    terms = losses.reconstruction(
        mask, image, alpha, log_transparency, rendered, s.affinity_weight, s.affinity_literal
    )
    found, true = alpha.detach() > 0.5, mask > 0.5
    union = (found | true).sum((1, 2))
    terms["mask_iou"] = (found & true).sum((1, 2)) / union.clamp(min=1)
    return terms


def check_finite(terms: dict[str, torch.Tensor], step: int) -> None:
    """Stop before a NaN reaches the weights, naming the term."""
    if torch.isfinite(terms["total"]):
        return
    bad = [name for name, value in terms.items() if name != "total" and not torch.isfinite(value).all()]
    raise MsrnError(
        f"the loss is not finite at step {step} (term: {', '.join(bad) or 'total'}); the last good checkpoint is kept: "
        "lower learning_rate, or look at the data, then run again"
    )


def summarise(records: list[dict[str, torch.Tensor]]) -> dict:
    """The mean of every term over the steps that had it."""
    names = sorted({name for record in records for name in record})
    means = {name: torch.stack([r[name].float() for r in records if name in r]).mean(0) for name in names}
    return {name: value.tolist() for name, value in means.items()}

"""Training (§4.3): one loop that alternates pose steps and shape steps.

A **pose step** renders the mesh, held fixed, from all K candidate poses and lowers the expected loss sum_k p_k L_k,
so that probabilities and offsets learn. A **shape step** holds the likeliest pose fixed and trains shape and texture
with Eq. 45: reconstruction, neighbour, normal and Laplacian terms. The alternation, which the paper does not mention,
is Unicorn's and is what makes several candidates trainable.

Randomness is a function of (seed, step) alone, so a run that resumes from a checkpoint repeats the uninterrupted one
bit by bit on the same CPU. A step costs O(K B) renderings (pose) or O((1 + neighbours) B) (shape); k-means costs
O(T S C Q) per epoch. The shape codes by which candidates become neighbours are remembered from the last time that each
image was in a batch, (N, Q) numbers, instead of encoding k_cos B images in every step: they are at most an epoch old.
No shape of a tensor depends on values and nothing waits for the device between two lines of the log, so that on CUDA a
step is one recorded graph.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from msrn import camera, losses, memory, neighbors
from msrn.errors import MsrnError
from msrn.feed import Batch, TrainingImages, is_pose_step, prepare
from msrn.graphs import GraphedSteps
from msrn.network import MSRN, Shape
from msrn.render import default_backend, soft_rasterize
from msrn.settings import Settings

WHITE = (1.0, 1.0, 1.0)


@dataclass
class Training:
    """A training in progress: all that a checkpoint holds."""

    network: MSRN
    optimizer: torch.optim.Optimizer
    codes: Tensor  # (N, Q) z_s of every image when it was last in a batch
    known: Tensor  # (N,) whether that was since the codes opened
    settings: Settings
    seed: int
    step: int = 0
    records: list[dict] = field(default_factory=list)  # since the last log line; empty at every checkpoint

    @classmethod
    def start(cls, s: Settings, images: TrainingImages, seed: int) -> "Training":
        device = images.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # the initial weights
            network = MSRN(s, images.categories)
        network = network.to(device, memory_format=torch.channels_last).train()  # as convolutions like it best
        if device == "cuda":
            torch.set_float32_matmul_precision("high")  # products in TF32, as convolutions are by default
        # On CUDA the rate is a tensor, which a recorded step reads anew.
        rate = torch.tensor(s.learning_rate, device=device) if device == "cuda" else s.learning_rate
        optimizer = torch.optim.Adam(network.parameters(), rate, fused=True, capturable=device == "cuda")
        codes = torch.zeros(images.count, s.shape_code, device=device)
        known = torch.zeros(images.count, dtype=torch.bool, device=device)
        return cls(network, optimizer, codes, known, s, seed)

    def set_rate(self, rate: float) -> None:
        group = self.optimizer.param_groups[0]
        if torch.is_tensor(group["lr"]):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate

    def state(self) -> dict:
        """Tensors and plain values only, so that it loads with ``weights_only=True``."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "compensating": self.network.compensating,
            "codes": self.codes,
            "known": self.known,
            "step": self.step,
        }

    def restore(self, state: dict) -> None:
        load_network(self.network, state)
        rate = self.optimizer.param_groups[0]["lr"]  # on the device, which the stored one may not be
        self.optimizer.load_state_dict(state["optimizer"])
        self.optimizer.param_groups[0]["lr"] = rate
        self.codes.copy_(state["codes"])
        self.known.copy_(state["known"])
        self.step = state["step"]


def load_network(network: MSRN, state: dict) -> None:
    """Put the network of a checkpoint into ``network``."""
    network.load_state_dict(state["network"])
    network.compensating = state["compensating"]


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
    sharing = s.first_codes == "category"
    if step in (0, s.stage_switch):
        network.open_codes(sharing or step >= s.stage_switch)
    network.sharing = sharing and step < s.stage_switch
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
    again = s.neighbor_prototypes_from == "bank"
    fewer = network.bank.purify if again else functools.partial(memory.refine, prototypes)
    network.set_prototypes("neighbor_prototypes", fewer(s.neighbor_prototypes, seed))


def pose_step(run: Training, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Expected reconstruction loss over the candidate poses, the mesh held fixed, plus the pose prior and the
    candidates' responsibilities."""
    network, s = run.network, run.settings
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], s.image_size)
    with torch.no_grad():
        shape, colors = network.shape(batch.image), network.paint(batch.image)
    poses = network.poses(batch.image)
    terms, _ = render_and_compare(network, shape.vertices, colors, poses.rotation, poses.translation, batch, s)
    expected = (poses.probability * terms["total"]).sum(1).mean()
    prior = losses.pose_prior(poses.probability)
    total = expected + s.pose_prior_weight * prior
    result = {"pose_expected": expected, "pose_prior": prior}
    if s.azimuth_prior_weight:
        result["azimuth_prior"] = losses.azimuth_prior(poses.probability, poses.azimuth, batch.category)
        total = total + s.azimuth_prior_weight * result["azimuth_prior"]
    if s.responsibility_weight:
        result["responsibility"] = losses.responsibility(
            poses.probability, terms["total"], s.responsibility_temperature
        )
        total = total + s.responsibility_weight * result["responsibility"]
    remember(run, inputs, shape)
    likeliest = poses.probability.argmax(1, keepdim=True) == torch.arange(s.pose_candidates, device=colors.device)
    return {"total": total, **result, "pose_histogram": likeliest.float().mean(0)}


def shape_step(run: Training, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Eq. 45 at the likeliest pose, then the accepted codes go to the memory bank (with the bank as it was before)."""
    network, s = run.network, run.settings
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], s.image_size)
    shape, colors = network.shape(batch.image), network.paint(batch.image)
    with torch.no_grad():
        poses = network.poses(batch.image)
    _, rotation, translation = poses.likeliest()
    own, alpha = render_and_compare(network, shape.vertices, colors, rotation[:, None], translation[:, None], batch, s)
    iou = mask_iou(batch.mask, alpha[:, 0])
    normal = losses.normal_consistency(shape.vertices, network.faces).mean()
    laplacian = losses.laplacian(shape.vertices, network.faces).mean()
    total = own["total"].mean() + s.normal_weight * normal + s.laplacian_weight * laplacian
    result = {name: own[name].mean() for name in ("rgb", "bce", "affinity")} | {"mask_iou": iou.mean()}
    if "draw" in inputs:
        neighbor, found = neighbor_term(run, shape, inputs)
        total = total + neighbor
        result |= {"neighbor": neighbor, "n_re": found}
    if run.step >= s.stage_switch:
        accepted = iou > s.shape_confidence
        network.bank.write(shape.code.detach(), batch.category, accepted)
        result["accepted"] = accepted.float().mean()
    remember(run, inputs, shape)
    return {"total": total, **result, "normal": normal, "laplacian": laplacian}


def neighbor_term(run: Training, shape: Shape, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """L_ne (Eqs 35-38, 43-44) and N_re, the mean number of candidates that were neighbours.

    The own shape is rendered with a neighbour's texture and pose and compared with the neighbour's image. Its axis
    scale is the neighbour's, as in Unicorn, unless ``neighbor_scale`` keeps the own: the scale is not part of the code
    by which neighbours are chosen. A candidate whose code is not known yet counts as a neighbour.
    """
    network, s = run.network, run.settings
    rows, category = inputs["candidate_rows"], inputs["category"]  # (B, k), (B,)
    prototypes = network.get_prototypes("neighbor_prototypes")
    selected = neighbors.select(shape.code, category, run.codes[rows], *prototypes) | ~run.known[rows]
    column, share = neighbors.sample(selected, inputs["draw"], s.neighbor_samples)  # (B, m) each
    drawn = torch.arange(len(column), device=column.device)[:, None], column
    image, mask = (inputs[name][drawn].flatten(0, 1) for name in ("candidate_image", "candidate_mask"))
    batch = prepare(image, mask, category.repeat_interleave(column.shape[1]), s.image_size)  # B m images
    with torch.no_grad(), network.frozen_statistics():
        _, rotation, translation = network.poses(batch.image).likeliest()
        neighbors_scale = network.encode_shape(batch.image)[1] if s.neighbor_scale == "neighbor" else None
    with torch.set_grad_enabled(s.neighbor_texture_gradient), network.frozen_statistics():
        colors = network.paint(batch.image)
    if neighbors_scale is None:
        vertices = shape.vertices.repeat_interleave(column.shape[1], 0)
    else:
        vertices = shape.unscaled.repeat_interleave(column.shape[1], 0) * neighbors_scale[:, None]
    terms, _ = render_and_compare(network, vertices, colors, rotation[:, None], translation[:, None], batch, s)
    loss = (terms["total"].view_as(share) * share).sum(1).mean()
    return loss, selected.sum(1).float().mean()


def remember(run: Training, inputs: dict[str, Tensor], shape: Shape) -> None:
    """Keep the codes of the batch, by which its images will be chosen as neighbours."""
    run.codes.index_copy_(0, inputs["rows"], shape.code.detach())
    run.known.index_fill_(0, inputs["rows"], run.step >= run.settings.stage_switch)


def render_and_compare(
    network: MSRN,
    vertices: Tensor,
    colors: Tensor,
    rotation: Tensor,
    translation: Tensor,
    batch: Batch,
    s: Settings,
) -> tuple[dict[str, Tensor], Tensor]:
    """Eq. 42 for each mesh in K poses, (B,K): terms rgb, bce, affinity and their total; and alpha (B,K,H,W).

    Vertices (B,V,3), colours (B,F,3,3), ``rotation`` (B,K,3,3), ``translation`` (B,K,3).
    """
    k = rotation.shape[1]
    projected = camera.project(vertices[:, None], rotation, translation).flatten(0, 1)
    colors = colors[:, None].expand(-1, k, -1, -1, -1).flatten(0, 1)
    drawn = soft_rasterize(projected, network.faces, colors, s.image_size, s.sigma, s.gamma, WHITE)
    surface, alpha, log_transparency = (x.unflatten(0, (-1, k)) for x in drawn)
    rendered = 1 + alpha[:, :, None] * (surface - 1)  # the surface fades to white along the outline, as alpha does
    mask, image = batch.mask[:, None], batch.image[:, None]
    terms = losses.reconstruction(mask, image, alpha, log_transparency, rendered, s.affinity_weight, s.affinity_literal)
    return terms, alpha


def mask_iou(mask: Tensor, alpha: Tensor) -> Tensor:
    """Of each image's mask and its projection, both cut at one half. (B,H,W) twice -> (B,)."""
    found, true = alpha.detach() > 0.5, mask > 0.5
    union = (found | true).sum((1, 2))
    return (found & true).sum((1, 2)) / union.clamp(min=1)


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

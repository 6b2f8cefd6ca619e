"""The two kinds of training step (§4.3, Eqs 42-45): functions of a training and its inputs that return loss terms.

A **pose step** renders a mesh, held fixed, from all K candidate poses and lowers the expected loss sum_k p_k L_k, so
that probabilities and offsets learn. A **shape step** holds the likeliest pose fixed and trains shape and texture with
Eq. 45: reconstruction, neighbour, normal and Laplacian terms. A pose step costs O(K B) renderings, a shape step
O((1 + neighbours) B).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from msrn import camera, losses
from msrn.neighbors import selection
from msrn.network import MSRN, Shape
from msrn.render import soft_rasterize
from msrn.settings import Settings
from msrn.training.batches import Batch, prepare
from msrn.training.state import Training

WHITE = (1.0, 1.0, 1.0)


def pose_step(run: Training, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Expected reconstruction loss over the candidate poses, the mesh held fixed, plus the priors."""
    network, s = run.network, run.settings
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], s.image_size, inputs.get("features"))
    with torch.no_grad():
        shape, rows = shape_for_poses(run, batch, inputs)
        colors = network.paint(batch.seen)
    poses = network.poses(batch.seen)
    terms, _ = render_and_compare(network, shape.vertices, colors, poses.rotation, poses.translation, batch, s)
    expected = (poses.probability * terms["total"]).sum(1).mean()
    prior = losses.pose_prior(poses.probability)
    total = expected + s.pose_prior_weight * prior
    result = {"pose_expected": expected, "pose_prior": prior}
    if s.azimuth_prior_weight:
        result["azimuth_prior"] = losses.azimuth_prior(poses.probability, poses.azimuth, batch.category)
        total = total + s.azimuth_prior_weight * result["azimuth_prior"]
    if "azimuth" in inputs:
        result["azimuth"] = losses.azimuth_likelihood(poses.probability, poses.azimuth, inputs["azimuth"]).mean()
        total = total + s.azimuth_weight * result["azimuth"]
    remember(run, rows, shape)
    likeliest = poses.probability.argmax(1, keepdim=True) == torch.arange(s.pose_candidates, device=colors.device)
    return {"total": total, **result, "pose_histogram": likeliest.float().mean(0)}


def shape_for_poses(run: Training, batch: Batch, inputs: dict[str, Tensor]) -> tuple[Shape, Tensor]:
    """The shapes on which the candidate poses of B images are judged, and the rows (B,) of the images that have these
    shapes: the images' own, or those of a neighbour each (``pose_shape``)."""
    if "draw" not in inputs:
        return run.network.shape(batch.seen), inputs["rows"]
    rows = inputs["rows"]
    near = draw_neighbors(run, run.codes[rows], run.codes_valid[rows], inputs, 1)
    return run.network.shape(near.batch.seen), near.rows[:, 0]


def shape_step(run: Training, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Eq. 45 at the likeliest pose, then the accepted codes go to the memory bank (with the bank as it was before)."""
    network, s = run.network, run.settings
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], s.image_size, inputs.get("features"))
    shape, colors = network.shape(batch.seen), network.paint(batch.seen)
    with torch.no_grad():
        poses = network.poses(batch.seen)
    _, rotation, translation = poses.likeliest()
    own, alpha = render_and_compare(network, shape.vertices, colors, rotation[:, None], translation[:, None], batch, s)
    iou = losses.mask_iou(batch.mask > 0.5, alpha[:, 0].detach() > 0.5)
    normal = losses.normal_consistency(shape.vertices, network.faces).mean()
    laplacian = losses.laplacian(shape.vertices, network.faces).mean()
    total = own["total"].mean() + s.normal_weight * normal + s.laplacian_weight * laplacian
    result = {name: own[name].mean() for name in ("rgb", "bce", "affinity", "reach") if name in own}
    result["mask_iou"] = iou.mean()
    if "draw" in inputs:
        neighbor, number = neighbor_term(run, shape, inputs)
        total = total + neighbor
        result |= {"neighbor": neighbor, "n_re": number}
    if run.step >= s.stage_switch:
        accepted = iou > s.shape_confidence
        network.bank.write(shape.code.detach(), batch.category, accepted)
        result["accepted"] = accepted.float().mean()
    remember(run, inputs["rows"], shape)
    return {"total": total, **result, "normal": normal, "laplacian": laplacian}


def neighbor_term(run: Training, shape: Shape, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """L_ne (Eqs 35-38, 43-44) and N_re, the mean number of candidates that were neighbours.

    The own shape is rendered with a neighbour's texture and pose and compared with the neighbour's image. Its axis
    scale is the neighbour's, as in Unicorn, unless ``neighbor_scale`` keeps the own: the scale is not part of the code
    by which neighbours are chosen. The neighbour's texture and pose receive no gradient.
    """
    network, s = run.network, run.settings
    valid = torch.ones_like(inputs["rows"], dtype=torch.bool)
    near = draw_neighbors(run, shape.code, valid, inputs, s.neighbor_samples)
    seen, times = near.batch.seen, near.rows.shape[1]
    with torch.no_grad(), network.frozen_statistics():
        _, rotation, translation = network.poses(seen).likeliest()
        neighbors_scale = network.encode_shape(seen)[1] if s.neighbor_scale == "neighbor" else None
        colors = network.paint(seen)
    if neighbors_scale is None:
        vertices = shape.vertices.repeat_interleave(times, 0)
    else:
        vertices = shape.unscaled.repeat_interleave(times, 0) * neighbors_scale[:, None]
    terms, _ = render_and_compare(network, vertices, colors, rotation[:, None], translation[:, None], near.batch, s)
    loss = (terms["total"].view_as(near.share) * near.share).sum(1).mean()
    return loss, near.count


class Neighbors(NamedTuple):
    """Neighbours drawn for B images, m each."""

    rows: Tensor  # (B, m)
    batch: Batch  # B m images
    share: Tensor  # (B, m), the weight of each
    count: Tensor  # N_re, the mean number of candidates that were neighbours


def draw_neighbors(run: Training, code: Tensor, valid: Tensor, inputs: dict[str, Tensor], count: int) -> Neighbors:
    """At most ``count`` neighbours of each image (0: all) by its code (B, Q); ``valid`` (B,) says whether it has one
    yet. Where a code is not known, of the image or of a candidate, the candidate counts as a neighbour."""
    network, s = run.network, run.settings
    rows, category = inputs["candidate_rows"], inputs["category"]  # (B, k), (B,)
    prototypes = network.get_prototypes("neighbor_prototypes")
    selected = selection.select(code, category, run.codes[rows], *prototypes)
    selected = selected | ~run.codes_valid[rows] | ~valid[:, None]
    column, share = selection.sample(selected, inputs["draw"], count)  # (B, m) each
    place = torch.arange(len(column), device=column.device)[:, None], column
    names = [name for name in ("image", "mask", "features") if f"candidate_{name}" in inputs]
    drawn = {name: inputs[f"candidate_{name}"][place].flatten(0, 1) for name in names}
    batch = prepare(category=category.repeat_interleave(column.shape[1]), size=s.image_size, **drawn)
    return Neighbors(rows[place], batch, share, selected.sum(1).float().mean())


def remember(run: Training, rows: Tensor, shape: Shape) -> None:
    """Keep the codes of the images ``rows``, by which they will be chosen as neighbours."""
    run.codes.index_copy_(0, rows, shape.code.detach())
    run.codes_valid.index_fill_(0, rows, run.step >= run.settings.stage_switch)


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
    images = soft_rasterize(projected, network.faces, colors, s.image_size, s.sigma, s.gamma, WHITE)
    surface, alpha, log_transparency = (x.unflatten(0, (-1, k)) for x in images)
    rendered = 1 + alpha[:, :, None] * (surface - 1)  # the surface fades to white along the outline, as alpha does
    mask, image = batch.mask[:, None], batch.image[:, None]
    terms = losses.reconstruction(mask, image, alpha, log_transparency, rendered, s.affinity_weight, s.affinity_literal)
    if s.reach_weight and vertices.requires_grad:
        terms["reach"] = losses.reach(mask.expand_as(alpha).flatten(0, 1), alpha.flatten(0, 1), projected).view(
            alpha.shape[:2]
        )
        terms["total"] = terms["total"] + s.reach_weight * terms["reach"]
    return terms, alpha

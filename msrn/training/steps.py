"""The two kinds of training step (§4.3, Eqs 42-45): functions of a training and its inputs that return loss terms.

A **pose step** renders a mesh, held fixed, from all K candidate poses and lowers the expected loss sum_k p_k L_k, so
that probabilities and offsets learn. A **shape step** holds the likeliest pose fixed and trains shape and texture with
Eq. 45: reconstruction, neighbour, normal and Laplacian terms. A pose step costs O(K B) renderings, a shape step
O((1 + neighbours) B).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from msrn import backbone, camera, losses
from msrn.neighbors import selection
from msrn.network import MSRN, Field, Poses, Shape
from msrn.render import soft_rasterize
from msrn.training.batches import Batch, prepare
from msrn.training.multiplex import weights
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
    remember_azimuths(run, inputs["rows"], poses)
    views = Views(shape.vertices, colors, poses.rotation, poses.translation, batch.image, batch.mask)
    terms, _ = render_and_compare(network, views)
    remember(run, rows, shape)
    return expected_loss(run, inputs, batch, poses, terms["total"])


def expected_loss(
    run: Training, inputs: dict[str, Tensor], batch: Batch, poses: Poses, loss: Tensor
) -> dict[str, Tensor]:
    """The terms of a pose step whose candidates have the losses ``loss`` (B, K)."""
    s = run.settings
    expected = (poses.probability * loss).sum(1).mean()
    prior = losses.pose_prior(poses.probability)
    total = expected + s.pose_prior_weight * prior
    result = {"pose_expected": expected, "pose_prior": prior}
    if s.azimuth_prior_weight:
        group = losses.apart(batch.category, inputs["azimuth"]) if "azimuth" in inputs else batch.category
        result["azimuth_prior"] = losses.azimuth_prior(poses.probability, poses.azimuth, group)
        total = total + s.azimuth_prior_weight * result["azimuth_prior"]
    if "azimuth" in inputs:
        result["azimuth"] = losses.azimuth_likelihood(poses.probability, poses.azimuth, inputs["azimuth"]).mean()
        total = total + s.azimuth_weight * result["azimuth"]
    likeliest = poses.probability.argmax(1, keepdim=True) == torch.arange(s.pose_candidates, device=loss.device)
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
    remember_azimuths(run, inputs["rows"], poses)
    _, rotation, translation = poses.likeliest()
    views = Views(shape.vertices, colors, rotation[:, None], translation[:, None], batch.image, batch.mask)
    if "draw" in inputs:
        near, of_near = neighbor_views(run, shape, inputs)
        views = Views(*map(torch.cat, zip(views, of_near, strict=True)))
    terms, alpha = render_and_compare(network, views)  # of all at once: half the calls
    count = len(batch.image)
    iou = losses.mask_iou(batch.mask > 0.5, alpha[:count, 0].detach() > 0.5)
    normal = losses.normal_consistency(shape.vertices, network.faces).mean()
    laplacian = losses.laplacian(shape.vertices, network.faces).mean()
    total = terms["total"][:count].mean() + s.normal_weight * normal + s.laplacian_weight * laplacian
    result = {name: value[:count].mean() for name, value in terms.items() if name != "total"}
    result["mask_iou"] = iou.mean()
    if "draw" in inputs:
        neighbor = (terms["total"][count:].view_as(near.share) * near.share).sum(1).mean()
        total = total + neighbor
        result |= {"neighbor": neighbor, "n_re": near.count}
    result |= accept(run, inputs, shape, iou)
    return {"total": total, **result, "normal": normal, "laplacian": laplacian}


def accept(run: Training, inputs: dict[str, Tensor], shape: Shape | Field, iou: Tensor) -> dict[str, Tensor]:
    """Write the codes of B images to the bank where the ``iou`` (B,) of their masks allows it, and remember them."""
    s, result = run.settings, {}
    if run.step >= s.stage_switch and s.supervision != "images":  # which has no masks to accept codes by
        accepted = iou > s.shape_confidence
        run.network.bank.write(code_for_bank(run, shape, inputs), inputs["category"], accepted)
        result["accepted"] = accepted.float().mean()
    remember(run, inputs["rows"], shape)
    return result


def camera_step(run: Training, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """A pose step where images have cameras for themselves (``training.multiplex``): each camera follows its own loss,
    the mesh held fixed, and the pose branch learns the one of most weight."""
    network, s, cameras = run.network, run.settings, run.multiplex.cameras(inputs["rows"])
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], s.image_size, inputs.get("features"))
    with torch.no_grad():
        vertices, colors = network.shape(batch.seen).vertices, network.paint(batch.seen)
    views = Views(vertices, colors, cameras.rotation, cameras.translation, batch.image, batch.mask)
    terms, _ = render_and_compare(network, views)
    weight, poses = weights(terms), network.poses(batch.seen)
    best = weight.argmax(1)
    azimuth, _, translation = (of[torch.arange(len(best)), best].detach() for of in cameras)
    unlike = losses.azimuth_likelihood(poses.probability, poses.azimuth, azimuth).mean()
    apart = (poses.translation - translation[:, None])[..., :2].square().sum(-1)  # its distance is fixed
    total = terms["total"].sum(1).mean() + unlike + (poses.probability.detach() * apart).sum(1).mean()
    expected = (weight * terms["total"].detach()).sum(1).mean()
    return {"total": total, "pose_expected": expected, "azimuth": unlike, "camera_weight": weight.amax(1).mean()}


def weighed_step(run: Training, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """A shape step where images have cameras for themselves: Eq. 42 over all of them by their weights, the cameras held
    fixed, with the other terms of Eq. 45."""
    network, s = run.network, run.settings
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], s.image_size, inputs.get("features"))
    shape, colors = network.shape(batch.seen), network.paint(batch.seen)
    with torch.no_grad():
        cameras = run.multiplex.cameras(inputs["rows"])
    views = Views(shape.vertices, colors, cameras.rotation, cameras.translation, batch.image, batch.mask)
    terms, alpha = render_and_compare(network, views)
    weight = weights(terms)
    best = alpha[torch.arange(len(weight)), weight.argmax(1)].detach() > 0.5
    result = {name: (weight * value).sum(1).mean() for name, value in terms.items()}
    result["mask_iou"] = losses.mask_iou(batch.mask > 0.5, best).mean()
    normal = losses.normal_consistency(shape.vertices, network.faces).mean()
    laplacian = losses.laplacian(shape.vertices, network.faces).mean()
    total = result["total"] + s.normal_weight * normal + s.laplacian_weight * laplacian
    return result | {"total": total, "normal": normal, "laplacian": laplacian}


def code_for_bank(run: Training, shape: Shape | Field, inputs: dict[str, Tensor]) -> Tensor:
    """What the bank remembers of B images, (B,Q): their codes, or the mean of each and of those that its candidates
    left behind (``bank_codes``)."""
    code = shape.code.detach()
    if run.settings.bank_codes == "own" or "candidate_rows" not in inputs:
        return code
    rows = inputs["candidate_rows"]  # (B,k)
    known = run.codes_valid[rows].to(code.dtype)[..., None]
    return (code + (run.codes[rows] * known).sum(1)) / (1 + known.sum(1))


def neighbor_views(run: Training, shape: Shape, inputs: dict[str, Tensor]) -> tuple["Neighbors", "Views"]:
    """What L_ne compares (Eqs 35-38, 43-44): the own shapes with the texture and the pose of neighbours, and these.

    The axis scale is the neighbour's, as in Unicorn, unless ``neighbor_scale`` keeps the own: the scale is not part of
    the code by which neighbours are chosen. The neighbour's texture and pose receive no gradient.
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
    return near, Views(vertices, colors, rotation[:, None], translation[:, None], near.batch.image, near.batch.mask)


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
    if "recent" in inputs:
        return draw_view(run, code, inputs)
    rows, category = inputs["candidate_rows"], inputs["category"]  # (B, k), (B,)
    if s.neighbor_filter == "prototypes":
        prototypes = network.get_prototypes("neighbor_prototypes")
        selected = selection.select(code, category, run.codes[rows], *prototypes)
        selected = selected | ~run.codes_valid[rows] | ~valid[:, None]
    else:  # what the truth refuses was taken out before training
        selected = torch.ones_like(rows, dtype=torch.bool)
    if s.neighbor_filter == "silhouettes":
        odds = selection.odds_of_unlike(inputs["mask"], inputs["candidate_mask"])
        column, share = selection.sample_by_odds(odds, inputs["draw"], count)
    else:
        column, share = selection.sample(selected, inputs["draw"], count)  # (B, m) each
    place = torch.arange(len(column), device=column.device)[:, None], column
    names = [name for name in ("image", "mask", "features") if f"candidate_{name}" in inputs]
    drawn = {name: inputs[f"candidate_{name}"][place].flatten(0, 1) for name in names}
    batch = prepare(category=category.repeat_interleave(column.shape[1]), size=s.image_size, **drawn)
    return Neighbors(rows[place], batch, share, selected.sum(1).float().mean())


def draw_view(run: Training, code: Tensor, inputs: dict[str, Tensor]) -> Neighbors:
    """The neighbour of each image among the images that were seen last, by its code (B, Q), its azimuth and an angle
    apart that is drawn (``selection.from_another_side``). It is read when it is known, for which the device waits."""
    recent, azimuths = inputs["recent"], run.azimuths
    allowed = inputs["another"] & run.codes_valid[recent] & azimuths[recent].isfinite()
    own, memory = azimuths[inputs["rows"]], (run.codes[recent], azimuths[recent])
    place, found = selection.from_another_side(code, own, *memory, allowed, inputs["draw"][:, 0])
    rows = recent[place]
    stored = {name: values.to(code.device) for name, values in run.images.read(rows.cpu().numpy()).items()}
    batch = prepare(category=inputs["category"], size=run.settings.image_size, **stored)
    return Neighbors(rows[:, None], batch, found[:, None].to(code.dtype), found.float().mean())


def remember_azimuths(run: Training, rows: Tensor, poses: Poses) -> None:
    """Keep from where the network sees the images ``rows``, at the likeliest pose, for the one choice that asks."""
    if run.settings.neighbor_filter != "views":
        return
    likeliest = poses.probability.argmax(1, keepdim=True)
    run.azimuths.index_copy_(0, rows, poses.azimuth.detach().gather(1, likeliest)[:, 0])


def remember(run: Training, rows: Tensor, shape: Shape | Field) -> None:
    """Keep the codes of the images ``rows``, by which they will be chosen as neighbours."""
    run.codes.index_copy_(0, rows, shape.code.detach())
    run.codes_valid.index_fill_(0, rows, run.step >= run.settings.stage_switch)


class Views(NamedTuple):
    """B meshes in K poses each, and the image that each should look like."""

    vertices: Tensor  # (B, V, 3)
    colors: Tensor  # (B, F, 3, 3)
    rotation: Tensor  # (B, K, 3, 3)
    translation: Tensor  # (B, K, 3)
    image: Tensor  # (B, 3, H, W)
    mask: Tensor  # (B, H, W)


def render_and_compare(network: MSRN, views: Views) -> tuple[dict[str, Tensor], Tensor]:
    """Eq. 42 for each mesh in each pose, (B,K): terms rgb, bce, affinity and their total, besides ``reach`` where it
    counts and vertices move, and ``perceptual``; and alpha (B,K,H,W). By images alone there is ``colors`` instead."""
    s, k = network.settings, views.rotation.shape[1]
    projected = camera.project(views.vertices[:, None], views.rotation, views.translation).flatten(0, 1)
    colors = views.colors[:, None].expand(-1, k, -1, -1, -1).flatten(0, 1)
    images = soft_rasterize(projected, network.faces, colors, s.image_size, s.sigma, s.gamma, WHITE)
    surface, alpha, log_transparency = (x.unflatten(0, (-1, k)) for x in images)
    rendered = 1 + alpha[:, :, None] * (surface - 1)  # the surface fades to white along the outline, as alpha does
    mask, image = views.mask[:, None], views.image[:, None]
    if s.supervision == "images":
        terms = losses.colors_alone(image, rendered)
    else:
        weights = s.affinity_weight, s.affinity_literal
        terms = losses.reconstruction(mask, image, alpha, log_transparency, rendered, *weights)
    if s.reach_weight and views.vertices.requires_grad:
        wanted = mask.expand_as(alpha).flatten(0, 1)
        terms["reach"] = losses.reach(wanted, alpha.flatten(0, 1), projected).view_as(terms["total"])
        terms["total"] = terms["total"] + s.reach_weight * terms["reach"]
    if s.perceptual_weight:
        of_image = backbone.low_features(views.image)[:, None]
        of_rendering = backbone.low_features(rendered.flatten(0, 1)).unflatten(0, (-1, k))
        terms["perceptual"] = losses.perceptual(of_image, of_rendering)
        terms["total"] = terms["total"] + s.perceptual_weight * terms["perceptual"]
    return terms, alpha

"""The two kinds of training step where shapes are signed distances (``network.signed_distance``, ``render.rays``).

They are those of ``steps``, with the same poses, neighbours, bank and losses of Eqs 39-42, but that a rendering is of
rays through one in 16 pixels: a lattice of every fourth each way, the same for all images, with a first pixel that is
drawn anew in each step. The expected value of a mean over pixels is that of the whole image. In place of the normal and
Laplacian terms of Eq. 45 stands

    L_eik = mean over points of (|grad d| - 1)^2,

of 32 points in the cube and as many near the surface, for each image. Its weight is ShapeClipper's.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from msrn import camera, losses
from msrn.network import MSRN
from msrn.network.signed_distance import HALF
from msrn.render.rays import Seen, eikonal, look, pixels, rays, search
from msrn.training.batches import prepare
from msrn.training.state import Training
from msrn.training.steps import accept, draw_neighbors, expected_loss, remember, remember_azimuths

STRIDE = 4  # pixels from one ray to the next, across and down
EIKONAL_WEIGHT = 0.03
EIKONAL_POINTS = 32  # of either kind, an image
NEAR = 0.05  # standard deviation about the surface of the points near it
SOFTNESS = 0.5  # of outlines, in pixels of the image


class Glance:
    """The pixels of a step at which images and renderings are compared, and the draws of its rays."""

    def __init__(self, run: Training) -> None:
        self.generator, size = np.random.default_rng((run.seed, run.step)), run.settings.image_size
        self.side, self.offset = size // STRIDE, tuple(self.generator.integers(STRIDE, size=2).tolist())
        self.shift = float(self.generator.random())  # of the samples along the rays
        self.pixels = pixels(size, self.side, self.offset).to(run.codes.device)  # (side^2, 2)
        self.softness = SOFTNESS * 2 / size * camera.DISTANCE / camera.FOCAL  # at an object's distance, in its unit

    def of(self, images: Tensor) -> Tensor:
        """The pixels (..., side, side) of images (..., H, W)."""
        row, column = self.offset
        return images[..., row::STRIDE, column::STRIDE]

    def look(self, network: MSRN, shape: Tensor, texture: Tensor, rotation: Tensor, translation: Tensor) -> Seen:
        """Shapes with the codes (B, Q) and textures with the codes (B, Q), or (B, K, Q) one a view, by cameras
        (B, K, 3, 3) and (B, K, 3)."""
        along = rays(self.pixels, rotation, translation)
        fixed = shape.detach()
        found = search(lambda points: in_turn(network.shape_decoder, fixed, points), along, HALF, self.shift)
        texture = texture[:, None].expand(-1, rotation.shape[1], -1) if texture.ndim == 2 else texture

        def color(points: Tensor) -> Tensor:
            return network.texture_decoder(texture.flatten(0, 1), points.flatten(0, 1)).view_as(points)

        return look(lambda points: network.shape_decoder(shape, points), color, along, found, self.softness)

    def compare(self, network: MSRN, seen: Seen, image: Tensor, mask: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Eq. 42 of each view against images (B, K, 3, H, W) and masks (B, K, H, W), K = 1 for one of all views: terms
        (B, K) and alpha (B, K, side, side)."""
        s, shape = network.settings, (self.side, self.side)
        alpha, transparency = (x.unflatten(-1, shape) for x in (seen.alpha, seen.log_transparency))
        colors = seen.colors.mT.unflatten(-1, shape)  # (B, K, 3, side, side)
        rendered = 1 + alpha[:, :, None] * (colors - 1)  # the surface fades to white along the outline, as alpha does
        weights = s.affinity_weight, s.affinity_literal
        return losses.reconstruction(self.of(mask), self.of(image), alpha, transparency, rendered, *weights), alpha

    def eikonal_points(self, surface: Tensor) -> Tensor:
        """Points (B, N, 3) in the cube, and near those (B, P, 3) of the surface."""
        count = len(surface), EIKONAL_POINTS
        near = self.generator.integers(surface.shape[1], size=count)
        noise = NEAR * self.generator.standard_normal((*count, 3))
        anywhere = HALF * self.generator.uniform(-1, 1, (*count, 3))
        place, noise, anywhere = (torch.from_numpy(x).to(surface.device) for x in (near, noise, anywhere))
        near = surface.gather(1, place[..., None].expand(-1, -1, 3)) + noise.to(surface)
        return torch.cat((near, anywhere.to(surface)), 1)


def ray_pose_step(run: Training, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Expected reconstruction loss over the candidate poses, shape and texture held fixed, plus the priors."""
    network, s, glance = run.network, run.settings, Glance(run)
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], s.image_size, inputs.get("features"))
    with torch.no_grad():
        field, texture = network.field(batch.seen), network.encode_texture(batch.seen)
    poses = network.poses(batch.seen)
    remember_azimuths(run, inputs["rows"], poses)
    with held(network.shape_decoder, network.texture_decoder):
        seen = glance.look(network, field.compensated, texture, poses.rotation, poses.translation)
    terms, _ = glance.compare(network, seen, batch.image[:, None], batch.mask[:, None])
    remember(run, inputs["rows"], field)
    return expected_loss(run, inputs, batch, poses, terms["total"])


def ray_shape_step(run: Training, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Eq. 45 at the likeliest pose, with the eikonal term; then the accepted codes go to the memory bank."""
    network, s, glance = run.network, run.settings, Glance(run)
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], s.image_size, inputs.get("features"))
    field, texture = network.field(batch.seen), network.encode_texture(batch.seen)
    with torch.no_grad():
        poses = network.poses(batch.seen)
    remember_azimuths(run, inputs["rows"], poses)
    _, rotation, translation = poses.likeliest()
    seen = glance.look(network, field.compensated, texture, rotation[:, None], translation[:, None])
    terms, alpha = glance.compare(network, seen, batch.image[:, None], batch.mask[:, None])
    result = {name: value.mean() for name, value in terms.items()}
    iou = losses.mask_iou(glance.of(batch.mask) > 0.5, alpha[:, 0].detach() > 0.5)
    points = glance.eikonal_points(seen.surface[:, 0])
    unlike = eikonal(lambda x: network.shape_decoder(field.compensated, x), points).mean()
    total = result.pop("total") + EIKONAL_WEIGHT * unlike
    if "draw" in inputs:
        valid = torch.ones_like(inputs["rows"], dtype=torch.bool)
        near = draw_neighbors(run, field.code, valid, inputs, s.neighbor_samples)
        with torch.no_grad(), network.frozen_statistics():
            texture = network.encode_texture(near.batch.seen)
            _, *pose = network.poses(near.batch.seen).likeliest()
        image, mask, texture, *pose = (
            x.unflatten(0, near.rows.shape) for x in (near.batch.image, near.batch.mask, texture, *pose)
        )
        with held(network.texture_decoder):  # the neighbour's texture and pose receive no gradient
            of_near = glance.look(network, field.compensated, texture, *pose)
        compared, _ = glance.compare(network, of_near, image, mask)
        neighbor = (compared["total"] * near.share).sum(1).mean()
        total = total + neighbor
        result |= {"neighbor": neighbor, "n_re": near.count}
    result |= {"mask_iou": iou.mean(), **accept(run, inputs, field, iou), "eikonal": unlike}
    return {"total": total, **result}


def in_turn(decoder: nn.Module, codes: Tensor, points: Tensor) -> Tensor:
    """``decoder`` of codes (B, Q) and points (B, N, 3), image by image: what fits a cache takes a quarter the time."""
    pairs = zip(codes[:, None], points[:, None], strict=True)
    return torch.cat([decoder(code, of_image) for code, of_image in pairs])


@contextmanager
def held(*modules: nn.Module) -> Iterator[None]:
    """What passes through the modules meanwhile gives their weights no gradient."""
    for module in modules:
        module.requires_grad_(False)
    try:
        yield
    finally:
        for module in modules:
            module.requires_grad_(True)

"""Whether shapes tell front from back: evaluation only, with true poses.

A pose that is half a turn off goes unnoticed on the image's own shape, which is wrong in the same way. If shapes differ
between front and back, and most are the same way round, the shape of another object fits an image better the way round
on which the poses of both agree than half a turn on. Where it does so half of the time, no shape says which side is
front, and nothing in the loss could teach it.
"""

import numpy as np
import torch

from msrn import camera
from msrn.backbone import stored_inputs
from msrn.data.collection import ImageCollection
from msrn.network import MSRN
from msrn.training.batches import prepare
from msrn.training.steps import render_and_compare

BATCH = 96


@torch.no_grad()
def share_told(network: MSRN, train: ImageCollection, rows: np.ndarray, seed: int = 0) -> float:
    """Share of the images ``rows`` (B,) that the shape of another object of their category, among those of ``rows``,
    fits better that way round; 0.5 by chance, not a number without other objects. Costs two renderings an image."""
    other = others(np.asarray(train.category[rows]), np.asarray(train.object_id[rows]), np.random.default_rng(seed))
    places = np.flatnonzero(other >= 0)
    if not len(places):
        return float("nan")
    device = network.faces.device
    parts = [_reconstruct(network, train, rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)]
    vertices, colors, rotation, translation, azimuth = (torch.cat(column) for column in zip(*parts, strict=True))
    gains = []
    for start in range(0, len(places), BATCH):
        at = places[start : start + BATCH]
        arrays = (torch.from_numpy(np.ascontiguousarray(x[rows[at]])) for x in (train.images, train.masks))
        image, mask = (x.to(device) for x in arrays)
        batch = prepare(image, mask, torch.zeros(len(at), device=device), network.settings.image_size)
        poses = camera.either_way(rotation[at, None]), translation[at, None].expand(-1, 2, -1)
        terms, _ = render_and_compare(network, vertices[other[at]], colors[at], *poses, batch, network.settings)
        gains.append(terms["total"][:, 1] - terms["total"][:, 0])
    way = way_round(azimuth.cpu().numpy(), train.true_pose()[rows, 0], np.asarray(train.category[rows]))
    agrees = np.sign(torch.cat(gains).cpu().numpy()) * way[places] * way[other[places]]
    return float((agrees > 0).mean() + (agrees == 0).mean() / 2)


def others(category: np.ndarray, names: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """For each image the place of a random one of another object of its category, -1 where there is none. (B,) each."""
    place_of = np.full(len(names), -1)
    for place in range(len(names)):
        choices = np.flatnonzero((category == category[place]) & (names != names[place]))
        if len(choices):
            place_of[place] = generator.choice(choices)
    return place_of


def way_round(azimuth: np.ndarray, true: np.ndarray, category: np.ndarray) -> np.ndarray:
    """1 or -1 for each image: which of the two ways round its predicted azimuth is, once the turn that a category has
    in common is taken off up to half turns. (B,) in degrees and (B,) -> (B,)."""
    error, way = np.radians(azimuth - true), np.ones(len(true))
    for term in np.unique(category):
        mine = category == term
        common = np.angle(np.exp(2j * error[mine]).mean()) / 2
        way[mine] = np.where(np.cos(error[mine] - common) < 0, -1, 1)
    return way


def _reconstruct(network: MSRN, train: ImageCollection, rows: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Vertices, colours, rotations, translations and azimuths of the images ``rows``."""
    stored = stored_inputs(train, network.settings)
    shapes = network.reconstruct(torch.from_numpy(np.ascontiguousarray(stored[rows])))
    return shapes.vertices, shapes.face_colors, shapes.rotation, shapes.translation, shapes.azimuth

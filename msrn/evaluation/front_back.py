"""Whether shapes could tell which side is the front (§3.3).

A pose that is half a turn off goes unnoticed on the image's own shape, which is wrong in the same way. Only the shape
of another object can tell.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch

from msrn import camera
from msrn.data.collection import ImageCollection
from msrn.evaluation.inference import BATCH, reconstructions
from msrn.network import MSRN
from msrn.network.meshes import stacked
from msrn.training.batches import prepare
from msrn.training.steps import Views, render_and_compare


@torch.no_grad()
def share_told(network: MSRN, train: ImageCollection, rows: np.ndarray, seed: int = 0) -> float:
    """Share of the images ``rows`` (B,) that the shape of another object of their category, among those of ``rows``,
    fits better the way round on which the poses of both agree than half a turn on; NaN without other objects, and where
    shapes are signed distances, which cannot wear the colours of another's faces.

    At one half, the chance, no shape says which side is front, and nothing in the loss could teach it.
    """
    category = np.asarray(train.category[rows])
    other = others(category, np.asarray(train.object_id[rows]), np.random.default_rng(seed))
    places = np.flatnonzero(other >= 0)
    if not len(places) or network.settings.decoders == "sdf":
        return float("nan")
    device = network.faces.device
    names = "meshes", "rotation", "translation", "azimuth"
    meshes, rotation, translation, azimuth = joined(network, train, rows, names)
    vertices, colors = stacked(meshes)
    gains = []
    for start in range(0, len(places), BATCH):
        at = places[start : start + BATCH]
        arrays = (torch.from_numpy(np.ascontiguousarray(x[rows[at]])) for x in (train.images, train.masks))
        image, mask = (x.to(device) for x in arrays)
        batch = prepare(image, mask, torch.zeros(len(at), device=device), network.settings.image_size)
        poses = camera.either_way(rotation[at, None]), translation[at, None].expand(-1, 2, -1)
        views = Views(vertices[other[at]], colors[at], *poses, batch.image, batch.mask)
        terms, _ = render_and_compare(network, views)
        gains.append(terms["total"][:, 1] - terms["total"][:, 0])
    way = way_round(azimuth.cpu().numpy(), train.true_pose()[rows, 0], category)
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


def joined(network: MSRN, train: ImageCollection, rows: np.ndarray, names: Sequence[str]) -> list[torch.Tensor | list]:
    """Parts of the reconstructions of the images ``rows``."""
    parts = [[getattr(shapes, name) for name in names] for _, shapes in reconstructions(network, train, rows)]
    columns = zip(*parts, strict=True)
    return [torch.cat(one) if torch.is_tensor(one[0]) else list(chain.from_iterable(one)) for one in columns]

"""What feature compensation attends to (§3.2, Eqs 24-26), as shapes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from msrn.backbone import stored_inputs
from msrn.data.collection import ImageCollection
from msrn.network import MSRN


class Attended(NamedTuple):
    """The meshes of B images, and the k prototypes that each attends to most, most first, or all if fewer."""

    meshes: np.ndarray  # (B, 1 + k, V, 3): the image's own, then the prototypes' with the image's axis scale
    azimuth: np.ndarray  # (B,) degrees, of the likeliest pose
    category: np.ndarray  # (B, k), of each prototype
    weight: np.ndarray  # (B, k), of A in Eq. 24


@torch.no_grad()
def attended(network: MSRN, collection: ImageCollection, rows: Sequence[int], count: int) -> Attended:
    """Of the images ``rows`` of a network that compensates. A prototype is decoded as an image's code is: compensated
    by all of them, itself among them. It holds no axis scale, so it is given the image's."""
    seen = network.seen(torch.from_numpy(stored_inputs(collection, network.settings)[np.asarray(rows)]))
    shape, poses = network.shape(seen), network.poses(seen)
    values, valid = network.get_prototypes("prototypes")
    affinity = network.compensation.affinity(shape.code, values, valid).flatten(1)  # (B, T*C)
    weight, place = affinity.topk(min(count, int(valid.sum())))  # (B, k)
    code = network.compensation(values.flatten(0, 1)[place.flatten()], values, valid)
    prototypes = network.decode_shape(code).unflatten(0, place.shape) * shape.scale[:, None, None]
    meshes = torch.cat((shape.vertices[:, None], prototypes), 1)  # (B, 1 + k, V, 3)
    azimuth = poses.azimuth.gather(1, poses.likeliest()[0][:, None])[:, 0]
    category = place // values.shape[1]
    return Attended(*(found.numpy() for found in (meshes, azimuth, category, weight)))

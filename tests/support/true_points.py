"""How well true points, seen from the true poses, agree with the masks."""

from collections.abc import Iterator

import numpy as np
import torch

from msrn import camera
from msrn.data.collection import ImageCollection

CAMERA = torch.tensor([[0.0, 0.0, camera.DISTANCE]])


def coverage(collection: ImageCollection) -> Iterator[tuple[float, float]]:
    """For each evaluated image: the share of points that fall on the mask, and of the mask that has a point."""
    for index in collection.evaluation_index:
        points = torch.from_numpy(collection.ground_truth(collection.object_id[index]).points(30_000, 0))
        rotation = camera.rotation(*torch.from_numpy(collection.true_pose()[index]).unbind())
        pixel = ((camera.project(points[None], rotation[None], CAMERA)[0, :, :2].numpy() + 1) * 32).astype(int)
        pixel = pixel[((pixel >= 0) & (pixel < 64)).all(1)]
        hits = np.zeros((64, 64), int)
        np.add.at(hits, (pixel[:, 1], pixel[:, 0]), 1)
        mask = collection.masks[index]
        yield hits[mask].sum() / hits.sum(), ((hits > 0) & mask).sum() / mask.sum()

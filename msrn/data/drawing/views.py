"""Data sets that are drawn here (§4.1): the cameras, the drawing, and how a split of one becomes a collection.

Their images are those of ShapeNet in Kato et al. [50], on other objects: 24 azimuths at elevation 30, distance 2.732,
64 x 64 on white; at that distance the nearest corner of an object as deep as it is wide, such as some cabinets, leaves
the frame. They are drawn when they are first asked for, all splits at once, and kept in the cache.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from msrn import camera
from msrn.data.collection import ImageCollection, Truth
from msrn.data.drawing import zbuffer
from msrn.data.ground_truth import GroundTruth
from msrn.errors import MsrnError
from msrn.paths import cache_folder
from msrn.store.array_cache import Make, cached_arrays
from msrn.store.digest import digest_of

VIEWS, ELEVATION, SIZE, SAMPLES = 24, 30.0, 64, 4
RENDERER = 1  # raise it when zbuffer.py draws differently, so that caches are drawn again
PROTOCOL = {
    "views": VIEWS, "elevation": ELEVATION, "distance": camera.DISTANCE, "field_of_view": camera.FIELD_OF_VIEW,
    "size": SIZE, "samples": SAMPLES, "ambient": zbuffer.AMBIENT, "diffuse": 1 - zbuffer.AMBIENT,
    "light": zbuffer.LIGHT, "renderer": RENDERER,
}  # fmt: skip


@dataclass(frozen=True)
class DrawnObject:
    object_id: str
    category: str
    split: str
    evaluation_view: int


@dataclass(frozen=True)
class DrawnSet:
    """A data set to draw: its objects lie split by split, and by category within a split."""

    name: str
    categories: tuple[str, ...]
    objects: Sequence[DrawnObject]
    content: str  # digest of all that the images depend on: the key of the cache
    truth: Truth


def open_drawn(dataset: DrawnSet, split: str, kind: str) -> ImageCollection:
    """One split, drawn into the cache folder ``kind`` if it is not there yet (all three splits at once)."""
    arrays = cached_arrays(kind, dataset.content, lambda make: _draw_all(dataset, make))
    return collection_of(dataset, split, VIEWS, arrays["images"], masks=arrays["masks"])


def collection_of(
    dataset: DrawnSet,
    split: str,
    views: int,
    images: np.ndarray,
    masks: np.ndarray | None = None,
    true_masks: np.ndarray | None = None,
) -> ImageCollection:
    """One split of arrays that hold ``views`` images of each object of all splits."""
    indices = [index for index, row in enumerate(dataset.objects) if row.split == split]
    rows_of_split = slice(indices[0] * views, (indices[-1] + 1) * views)  # each split lies together
    mine = dataset.objects[indices[0] : indices[-1] + 1]
    rows = [(row.object_id, row.category, row.evaluation_view) for row in mine]
    return ImageCollection(
        name=dataset.name,
        split=split,
        images=images[rows_of_split],
        masks=None if masks is None else masks[rows_of_split],
        category=np.repeat([dataset.categories.index(row.category) for row in mine], views).astype(np.int64),
        object_id=np.repeat([row.object_id for row in mine], views),
        view=np.tile(np.arange(views), len(mine)),
        categories=dataset.categories,
        fingerprint=digest_of(dataset.content, split, rows),
        evaluation_index=np.array([k * views + row.evaluation_view for k, row in enumerate(mine)]),
        _truth=dataset.truth,
        _true_masks=None if true_masks is None else true_masks[rows_of_split],
    )


def refuse_root(name: str, root: Path | None) -> None:
    """A folder given for a set that has none is a mistake that would otherwise pass in silence."""
    if root is not None:
        raise MsrnError(
            f"data_root is {str(root)!r}, but {name} is part of the package and has no folder: leave it out"
        )


def poses_of(view: np.ndarray) -> np.ndarray:
    """Azimuth, elevation, roll (N, 3) float32 in degrees of the views (N,)."""
    azimuth = np.asarray(view) * (360.0 / VIEWS)
    return np.stack([azimuth, np.full(len(azimuth), ELEVATION), np.zeros(len(azimuth))], axis=1).astype(np.float32)


def draw_views(mesh: GroundTruth, view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images (B, 3, H, W) and masks (B, H, W) of one object from the views (B,)."""
    azimuth, elevation, roll = torch.from_numpy(poses_of(view)).double().unbind(1)
    rotation = camera.rotation(azimuth, elevation, roll)  # (B, 3, 3)
    translation = rotation.new_tensor([0.0, 0.0, camera.DISTANCE]).expand(len(view), 3)
    vertices = torch.tensor(mesh.vertices, dtype=torch.float64).expand(len(view), -1, -1)  # (B, V, 3)
    projected = camera.project(vertices, rotation, translation).numpy()
    in_camera = (vertices @ rotation + translation[:, None]).numpy()
    return zbuffer.draw(projected, in_camera, mesh.faces, mesh.face_colors, SIZE, SAMPLES)


def _draw_all(dataset: DrawnSet, make: Make) -> None:
    images = make("images", (len(dataset.objects) * VIEWS, 3, SIZE, SIZE), "uint8")
    masks = make("masks", (len(dataset.objects) * VIEWS, SIZE, SIZE), "bool")
    print(f"{dataset.name}: drawing {len(images):,} images, once, into {cache_folder()}", file=sys.stderr, flush=True)
    for index, row in enumerate(tqdm(dataset.objects, desc=dataset.name, unit="object", mininterval=0.5)):
        rows = slice(index * VIEWS, (index + 1) * VIEWS)
        images[rows], masks[rows] = draw_views(dataset.truth.mesh(row.object_id), np.arange(VIEWS))

"""A collection small enough to train on in a second: filled ellipses on white, three categories of their own colour."""

import numpy as np

from msrn.data import GroundTruth, ImageCollection
from msrn.profiles import make_settings
from msrn.settings import Settings

TINY = {
    "image_size": 16, "mesh_level": 1, "encoder": "small", "shape_code": 4, "texture_code": 8,
    "shape_hidden": 16, "texture_size": 8, "texture_channels": 4, "memory_slots": 16, "prototypes": 3,
    "neighbor_prototypes": 2, "candidates": 3, "batch_size": 6, "steps": 24, "stage_switch": 8, "log_every": 2,
    "checkpoint_every": 4, "learning_rate": 1e-3, "shape_confidence": 0.1, "eval_points": 200,
}  # fmt: skip


def tiny_settings(**overrides) -> Settings:
    return make_settings({**TINY, **overrides})


class Forbidden:
    """The truth of a collection that nobody may look at."""

    def mesh(self, object_id: str) -> GroundTruth:
        raise AssertionError(f"the true mesh of {object_id} was read")

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        raise AssertionError("true poses were read")


def toy_collection(objects: int = 5, views: int = 4, size: int = 16, fingerprint: str = "toy") -> ImageCollection:
    rng = np.random.default_rng(0)
    categories = ("ball", "disc", "stick")
    count = len(categories) * objects * views
    y, x = (np.mgrid[:size, :size] + 0.5) / size * 2 - 1
    category = np.repeat(np.arange(len(categories)), objects * views)
    stretch = np.array([[1, 1.2, 0.5], [1, 0.5, 1.2]])[:, category, None, None]
    width, height = rng.uniform(0.3, 0.7, (2, count, 1, 1)) * stretch
    masks = (x / width) ** 2 + (y / height) ** 2 < 1  # (N, H, W)
    colors = np.array([[200, 40, 40], [40, 160, 40], [40, 40, 200]], np.uint8)[category]
    images = np.where(masks[:, None], colors[:, :, None, None], 255).astype(np.uint8)
    return ImageCollection(
        name="toy",
        split="train",
        images=images,
        masks=masks,
        category=category,
        object_id=np.repeat([f"{categories[i // objects]}/{i % objects}" for i in range(3 * objects)], views),
        view=np.tile(np.arange(views), 3 * objects),
        categories=categories,
        fingerprint=fingerprint,
        evaluation_index=np.arange(0, count, views),
        _truth=Forbidden(),
    )


def toy_candidates(collection: ImageCollection, count: int) -> np.ndarray:
    """Random images of other objects of the same category, (N, count)."""
    rng = np.random.default_rng(1)
    others = lambda i: np.flatnonzero(  # noqa: E731
        (collection.category == collection.category[i]) & (collection.object_id != collection.object_id[i])
    )
    return np.stack([rng.choice(others(i), count, replace=False) for i in range(len(collection))])

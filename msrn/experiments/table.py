"""Rows of experiments: what each changes in the settings of a profile, or in the amount of training data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from msrn.data import ImageCollection
from msrn.settings import Settings, make_settings
from msrn.store.array_cache import Make, cached_arrays
from msrn.store.digest import digest_of

COPIED_AT_ONCE = 4096  # images
WHOLE = "M-SRN"
RETRIEVAL = "retrieval, category known"
FITTED = "fitted to all its masks, poses known"
FITTED_BY = (  # settings that those meshes depend on
    "image_size mesh_level ellipsoid sigma gamma affinity_weight affinity_literal normal_weight laplacian_weight"
).split()
BASELINES = (  # rows that train nothing, in the order of the tables
    "starting ellipsoid",
    "mean shape, category known",
    "random object, category known",
    RETRIEVAL,
    "retrieval",
    FITTED,
)


@dataclass(frozen=True)
class Variant:
    """A row of an experiment; in an ablation of the paper it bears the paper's name."""

    name: str
    published: Mapping[str, float] = field(default_factory=dict)  # cd and f as printed
    overrides: Mapping[str, Any] = field(default_factory=dict)  # what it changes in the settings
    without: str = ""  # what it lacks, in words
    question: str = ""  # what it answers, in words
    reference: str = ""  # the row of a study that it is compared with
    objects: int | None = None  # training objects of each category, at most; None: all there are
    views: int | None = None  # training images of each object, at most, evenly spread; None: all there are

    def settings(self, base: Settings) -> Settings:
        return make_settings({**base.model_dump(), **self.overrides})

    def changes(self, base: Settings) -> bool:
        """Whether the row is another run than ``base`` on all of the data."""
        return self.settings(base) != base or bool(self.objects or self.views)

    def training_rows(self, collection: ImageCollection) -> np.ndarray | None:
        """Numbers of the training images that the row is given; None for all of them."""
        if not (self.objects or self.views):
            return None
        kept: list[np.ndarray] = []
        taken = np.zeros(len(collection.categories), int)
        _, first, owner = np.unique(collection.object_id, return_index=True, return_inverse=True)
        for place in np.argsort(first):
            rows = np.flatnonzero(owner == place)
            category = collection.category[rows[0]]
            taken[category] += 1
            if not self.objects or taken[category] <= self.objects:
                views = min(self.views or len(rows), len(rows))
                kept.append(rows[np.arange(views) * len(rows) // views])
        return np.concatenate(kept)


def portion(collection: ImageCollection, rows: np.ndarray) -> ImageCollection:
    """The images ``rows`` of a collection as a collection of their own, with a fingerprint of its own.

    Copied into the cache, once, so that memory does not grow with their number.
    """
    columns = {name: getattr(collection, name)[rows] for name in ("category", "object_id", "view")}
    large = {name: getattr(collection, name) for name in ("images", "masks", "_true_masks")}
    large = {name: array for name, array in large.items() if array is not None}
    fingerprint = digest_of(collection.fingerprint, list(large), rows.tolist())

    def copy(make: Make) -> None:
        for name, array in large.items():
            made = make(name, (len(rows), *array.shape[1:]), str(array.dtype))
            for start in range(0, len(rows), COPIED_AT_ONCE):
                part = slice(start, start + COPIED_AT_ONCE)
                made[part] = array[rows[part]]

    arrays = cached_arrays("portions", fingerprint, copy)
    first = np.sort(np.unique(columns["object_id"], return_index=True)[1])
    return replace(collection, **columns, **arrays, fingerprint=fingerprint, evaluation_index=first)


TABLE7 = (
    Variant("M-SRN/OF", {"cd": 3.62, "f": 0.164}, {"masks": "off-the-shelf"}, "refinement of the masks"),
    Variant("M-SRN/GT", {"cd": 3.25, "f": 0.186}, {"masks": "true"}, "masks of its own, and has the true ones"),
    Variant(WHOLE, {"cd": 3.41, "f": 0.173}),
)
TABLE8 = (
    Variant("w/o FC", {"cd": 1.84, "f": 0.352}, {"feature_compensation": False}, "feature compensation"),
    Variant("w/o NC", {"cd": 3.81, "f": 0.160}, {"neighbor_consistency": False}, "neighbour consistency"),
    Variant(WHOLE, {"cd": 1.61, "f": 0.365}),
)


@dataclass(frozen=True)
class Ablation:
    """A table that takes the network apart, and what it claims: an order of its rows, in both metrics."""

    title: str
    rows: tuple[Variant, ...]  # as printed
    order: tuple[str, ...]  # best first
    printed_on: str  # the data behind the printed values, in words
    dataset: str  # the name under which they are read here
    raw: Mapping[str, str] = field(default_factory=dict)  # by profile: photographs without masks, which it needs

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(better, worse): the whole network and each other row."""
        place = self.order.index(WHOLE)
        return [
            (row.name, WHOLE) if self.order.index(row.name) < place else (WHOLE, row.name)
            for row in self.rows
            if row.name != WHOLE
        ]


RAW = {"smoke": "homeware-wild-2", "laptop": "homeware-wild", "paper": "homeware-wild", "literal": "homeware-wild"}
ABLATIONS = {
    "table7": Ablation(
        "Table 7", TABLE7, ("M-SRN/GT", WHOLE, "M-SRN/OF"), "12 categories of Pascal3D+", "pascal3d", RAW
    ),
    "table8": Ablation("Table 8", TABLE8, (WHOLE, "w/o FC", "w/o NC"), "13 categories of ShapeNet", "shapenet"),
}

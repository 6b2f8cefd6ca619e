"""How good masks are, against the true ones: what the foreground module (§3.1) gains. Evaluation only.

Eq. 18 only removes pixels, so a record also says what was removed rightly (false pixels of M_o) and wrongly (true
ones), and how far Eq. 18 could go with its cues: with the threshold that is best on val, and with the best one for
every single image.
"""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from msrn.data import WITHOUT_VAL, ImageCollection, open_collection
from msrn.errors import MsrnError
from msrn.evaluation.statistics import macro_mean
from msrn.foreground.encoders import encoder_identity
from msrn.foreground.pipeline import Foreground
from msrn.foreground.refinement import refine
from msrn.losses import mask_iou
from msrn.settings import FOREGROUND_SETTINGS
from msrn.store import results
from msrn.store.digest import code_digest, digest_of
from msrn.store.results import Record

THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(20))  # 0 to 0.95; 0 removes nothing
TOLERANCE = 1 / 64
"""Distance, in sides of the image, within which two outlines agree: 2 pixels of 128."""
OWN_SETTINGS = FOREGROUND_SETTINGS | {"memory_slots", "memory_momentum", "memory_fill_first"}
UNITS = {"iou": "mean over photographs, objects and categories in turn, 0 to 1"}


class Photographs(NamedTuple):
    """The splits of a data set without masks."""

    train: ImageCollection
    val: ImageCollection | None  # none where the data set has none: then no threshold is chosen on it
    test: ImageCollection

    @classmethod
    def open(cls, dataset: str, root: str | None = None) -> "Photographs":
        names = [split for split in cls._fields if split != "val" or dataset not in WITHOUT_VAL]
        splits = {split: open_collection(dataset, split, root) for split in names}
        if splits["train"].masks is not None:
            raise MsrnError(f"dataset {dataset!r} comes with masks: choose one without, such as homeware-wild")
        return cls(**{"val": None, **splits})

    @property
    def scored(self) -> tuple[ImageCollection, ...]:
        return tuple(split for split in self[1:] if split is not None)


def evaluation_digest(foreground: Foreground, photographs: Photographs) -> str:
    """Digest of all that a record of masks depends on."""
    s, fingerprints = foreground.settings, [split.fingerprint for split in (photographs.train, *photographs.scored)]
    networks = [foreground.saliency.identity, *encoder_identity(s.cue_encoder, foreground.weights.get("cue"))]
    return digest_of(*fingerprints, _settings(foreground), foreground.seed, *networks, code_digest(__name__))


def measure(row: str, foreground: Foreground, label: str, photographs: Photographs) -> Record:
    """The masks of ``foreground`` on the test split; fine-tunes when that is not done yet."""
    start = time.perf_counter()
    *val, test = (_Masks.of(foreground, split) for split in photographs.scored)
    columns, curves = _columns(foreground, val[0] if val else None, test)
    log = foreground.log[-1] if test.cues is not None else {"seconds": 0.0}
    metrics = {name: test.macro(values) for name, values in columns.items()}
    if test.cues is not None:
        metrics["cues_per_second"] = len(test.soft) / test.seconds
    return Record(
        experiment="masks",
        variant=row,
        kind="masks",
        dataset=photographs.train.name,
        fingerprint=test.split.fingerprint,
        profile=label,
        seed=foreground.seed,
        settings=_settings(foreground),
        metrics=metrics,
        units=UNITS,
        objects={
            "object_id": np.unique(test.split.object_id).tolist(),
            "category": test.category.tolist(),
            **{name: test.by_object(values).tolist() for name, values in columns.items()},
        },
        curves=curves,
        points=0,
        n_objects=len(test.category),
        n_images=len(test.split),
        features="none",
        masks=foreground.saliency.name,
        evaluation=evaluation_digest(foreground, photographs),
        device=foreground.tuned_on,
        train_seconds=log["seconds"],
        train_cpu_seconds=log.get("cpu_seconds"),
        eval_seconds=time.perf_counter() - start,
        **results.provenance(),
    )


def _settings(foreground: Foreground) -> dict[str, Any]:
    return {name: value for name, value in foreground.settings.model_dump(mode="json").items() if name in OWN_SETTINGS}


@dataclass(frozen=True)
class _Masks:
    """M_o, soft, the cues (none for off-the-shelf masks) and the truth of a split."""

    split: ImageCollection
    soft: np.ndarray  # (N, H, W) uint8
    cues: np.ndarray | None  # (N, H, W) in 0..1
    true: np.ndarray  # (N, H, W) bool
    seconds: float  # of the cues

    @classmethod
    def of(cls, foreground: Foreground, split: ImageCollection) -> "_Masks":
        soft = foreground.saliency.maps(split.images, foreground.progress)
        refining = foreground.settings.masks == "refined"
        if refining:
            _ = foreground.perceptron  # fine-tuned before the clock starts
        start = time.perf_counter()
        cues = foreground.cues(split.images, None) if refining else None
        return cls(split, soft, cues, np.asarray(split.true_masks()), time.perf_counter() - start)

    @property
    def coarse(self) -> np.ndarray:
        return self.soft >= 128

    def iou(self, threshold: float) -> np.ndarray:
        """Of Eq. 18 with these cues, (N,)."""
        return mask_iou(refine(self.coarse, self.cues, threshold), self.true)

    def by_object(self, values: np.ndarray) -> np.ndarray:
        """Means over the photographs of each object, in the order of names."""
        _, owner = np.unique(self.split.object_id, return_inverse=True)
        return np.bincount(owner, values) / np.bincount(owner)

    @property
    def category(self) -> np.ndarray:
        """(M,) names, of each object in the order of names."""
        _, first = np.unique(self.split.object_id, return_index=True)
        return np.array([self.split.categories[term] for term in self.split.category[first]])

    def macro(self, values: np.ndarray) -> float:
        """Of a value for each image: mean over photographs, objects, categories in turn."""
        return macro_mean(self.by_object(values), self.category)


def _columns(foreground: Foreground, val: _Masks | None, test: _Masks) -> tuple[dict[str, np.ndarray], dict]:
    """Values of each test image (N,) by measure, and mean IoU over the threshold of Eq. 18."""
    masks = test.coarse if test.cues is None else foreground.combined(test.soft, test.cues)
    columns = mask_quality(masks, test.true) | _removed(test.coarse, masks, test.true)
    if test.cues is None:
        return columns, {}
    iou = np.stack([test.iou(threshold) for threshold in THRESHOLDS])  # (thresholds, N)
    on_val = [val.macro(val.iou(threshold)) for threshold in THRESHOLDS] if val else []
    if val:
        columns["iou_best_on_val"] = iou[int(np.argmax(on_val))]
    columns["iou_oracle"] = iou.max(0)
    return columns, {"threshold": list(THRESHOLDS), "val": on_val, "test": [test.macro(values) for values in iou]}


def _removed(coarse: np.ndarray, masks: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    """Shares of M_o's false pixels and of its true ones that were removed, (N,); 0 where it has none."""
    removed = coarse & ~masks
    false, right = (coarse & ~true).sum((1, 2)), (coarse & true).sum((1, 2))
    return {
        "removed_rightly": (removed & ~true).sum((1, 2)) / np.maximum(false, 1),
        "removed_wrongly": (removed & true).sum((1, 2)) / np.maximum(right, 1),
    }


def mask_quality(masks: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    """``iou``, ``precision``, ``recall`` and ``boundary_f`` of each of N masks, (N,) in 0..1; (N,H,W) bool twice.

    A ratio of nothing to nothing, such as the precision of an empty mask, is 1 where the other is empty too, else 0.
    """
    both = (masks & true).sum((1, 2))
    return {
        "iou": mask_iou(masks, true),
        "precision": _ratio(both, masks.sum((1, 2)), ~true.any((1, 2))),
        "recall": _ratio(both, true.sum((1, 2)), ~masks.any((1, 2))),
        "boundary_f": np.array([boundary_f(*pair) for pair in zip(masks, true, strict=True)]),
    }


def boundary_f(mask: np.ndarray, true: np.ndarray) -> float:
    """F-score of outlines (H,W): the shares of each that lie within ``TOLERANCE`` of the other, harmonic mean.

    An empty or a full mask has no outline; it agrees with its equal alone.
    """
    ours, theirs = outline(mask), outline(true)
    if not ours.any() or not theirs.any():
        return float(np.array_equal(mask, true))
    reach = TOLERANCE * max(mask.shape)
    precision = (ndimage.distance_transform_edt(~theirs)[ours] <= reach).mean()
    recall = (ndimage.distance_transform_edt(~ours)[theirs] <= reach).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def outline(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask (H,W) with a side toward the rest; the border of the image is no side."""
    return mask & ~ndimage.binary_erosion(mask, border_value=1)


def _ratio(part: np.ndarray, whole: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), otherwise.astype(float))

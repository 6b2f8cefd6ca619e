"""How good masks are, against the true ones: what the foreground module (§3.1) gains. Evaluation only.

Eq. 18 only removes pixels, so a record also says what was removed rightly (false pixels of M_o) and wrongly (true
ones), and how far Eq. 18 could go with its cues: with the threshold that is best on val, and with the best one for
every single image.
"""

import time
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from msrn.data import WITHOUT_VAL, ImageCollection, open_collection
from msrn.errors import MsrnError
from msrn.evaluation.statistics import macro_mean, object_means
from msrn.foreground.encoders import encoder_identity
from msrn.foreground.pipeline import LEARNED, Foreground
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
    *val, test = (_masks(foreground, split) for split in photographs.scored)
    columns, curves = _columns(foreground, val[0] if val else None, test)
    metrics, log = {name: test.macro(values) for name, values in columns.items()}, {"seconds": 0.0}
    if test.cues is not None:
        metrics["cues_per_second"], log = len(test.soft) / test.seconds, foreground.log[-1]
    ids, category, _ = test.by_object(columns["iou"])
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
            "object_id": ids.tolist(),
            "category": category.tolist(),
            **{name: test.by_object(values)[2].tolist() for name, values in columns.items()},
        },
        curves=curves,
        points=0,
        n_objects=len(ids),
        n_images=len(test.split),
        features="none",
        masks=foreground.name if foreground.settings.masks == "ccam" else foreground.saliency.name,
        evaluation=evaluation_digest(foreground, photographs),
        device=foreground.tuned_on,
        train_seconds=log["seconds"],
        train_cpu_seconds=log.get("cpu_seconds"),
        eval_seconds=time.perf_counter() - start,
        **results.provenance(),
    )


def _settings(foreground: Foreground) -> dict[str, Any]:
    return {name: value for name, value in foreground.settings.model_dump(mode="json").items() if name in OWN_SETTINGS}


class _Masks(NamedTuple):
    """M_o, soft, the cues (none for off-the-shelf masks) and the truth of a split."""

    split: ImageCollection
    soft: np.ndarray  # (N, H, W) uint8
    cues: np.ndarray | None  # (N, H, W) in 0..1
    true: np.ndarray  # (N, H, W) bool
    seconds: float  # of the cues

    @property
    def coarse(self) -> np.ndarray:
        return self.soft >= 128

    def iou(self, threshold: float) -> np.ndarray:
        """Of Eq. 18 with these cues, (N,)."""
        return mask_iou(refine(self.coarse, self.cues, threshold), self.true)

    def by_object(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Names, categories by name and means over the photographs of each object (M,)."""
        return object_means(self.split.object_id, np.array(self.split.categories)[self.split.category], values)

    def macro(self, values: np.ndarray) -> float:
        """Of a value for each image: mean over photographs, objects, categories in turn."""
        _, category, means = self.by_object(values)
        return macro_mean(means, category)


def _masks(foreground: Foreground, split: ImageCollection) -> _Masks:
    soft, true = foreground.coarse(split.images, foreground.progress), np.asarray(split.true_masks())
    if foreground.settings.masks not in LEARNED:
        return _Masks(split, soft, None, true, 0.0)
    _ = foreground.perceptron  # fine-tuned before the clock starts
    start = time.perf_counter()
    cues = foreground.cues(split.images, None)
    return _Masks(split, soft, cues, true, time.perf_counter() - start)


def _columns(foreground: Foreground, val: _Masks | None, test: _Masks) -> tuple[dict[str, np.ndarray], dict]:
    """Values of each test image (N,) by measure, and mean IoU over the threshold of Eq. 18."""
    if test.cues is None:
        return mask_quality(test.coarse, test.coarse, test.true), {}
    columns = mask_quality(foreground.combined(test.soft, test.cues), test.coarse, test.true)
    iou = np.stack([test.iou(threshold) for threshold in THRESHOLDS])  # (thresholds, N)
    on_val = [val.macro(val.iou(threshold)) for threshold in THRESHOLDS] if val else []
    if val:
        columns["iou_best_on_val"] = iou[int(np.argmax(on_val))]
    columns["iou_oracle"] = iou.max(0)
    return columns, {"threshold": list(THRESHOLDS), "val": on_val, "test": [test.macro(values) for values in iou]}


def mask_quality(masks: np.ndarray, coarse: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of each of N masks, (N,) in 0..1, from M, M_o and the truth, (N, H, W) bool each.

    ``iou``, ``precision``, ``recall``, ``boundary_f``, and the shares of M_o's false pixels and of its true ones that
    were removed; 0 where it has none. The precision of an empty mask is 1 where the truth is empty too, else 0, and so
    is the recall where the truth is empty.
    """
    both, removed = masks & true, coarse & ~masks
    return {
        "iou": mask_iou(masks, true),
        "precision": _ratio(both, masks, ~true.any((1, 2))),
        "recall": _ratio(both, true, ~masks.any((1, 2))),
        "boundary_f": np.array([boundary_f(*pair) for pair in zip(masks, true, strict=True)]),
        "removed_rightly": _ratio(removed & ~true, coarse & ~true, 0.0),
        "removed_wrongly": _ratio(removed & true, coarse & true, 0.0),
    }


def _ratio(part: np.ndarray, whole: np.ndarray, of_nothing: np.ndarray | float) -> np.ndarray:
    """(N,) pixels of ``part`` over pixels of ``whole``, (N, H, W) bool each."""
    pixels = whole.sum((1, 2))
    return np.where(pixels > 0, part.sum((1, 2)) / np.maximum(pixels, 1), of_nothing)


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

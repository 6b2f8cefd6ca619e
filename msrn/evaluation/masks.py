"""How much the foreground module gains, in masks: rows of ``results/masks/*.json``, on photographs with true masks.

Off-the-shelf masks M_o beside refined ones, with and without L_for, by Eq. 18 and weighed. Since Eq. 18 only removes
pixels, each row also says what was removed rightly (false pixels of M_o) and wrongly (true ones), and how far Eq. 18
could go with its cues: with the threshold that is best on val, and with the best one for every single image. Evaluation
only.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from msrn import paths
from msrn.data import WITHOUT_VAL, ImageCollection, open_collection
from msrn.errors import MsrnError, did_you_mean
from msrn.evaluation import score
from msrn.evaluation.mask_quality import mask_quality
from msrn.evaluation.metrics import bootstrap_interval, mask_iou
from msrn.experiments.record import keep, plain
from msrn.experiments.verdicts import Estimate
from msrn.foreground.encoders import encoder_identity
from msrn.foreground.pipeline import CODE_OF_MASKS, Foreground
from msrn.foreground.refinement import refine
from msrn.profiles import Request
from msrn.settings import FOREGROUND_SETTINGS, make_settings
from msrn.store import code_digest, files, results
from msrn.store.array_cache import digest_of
from msrn.store.checkpointing import OutOfTime

EXPERIMENT = "masks"
COARSE = "off-the-shelf"
REFINED = "M-SRN"
WITHOUT = "without L_for"
PRINTED = "Eq. 18 as printed"
PRINTED_WITHOUT = "Eq. 18 without L_for"
THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(20))  # 0 to 0.95; 0 removes nothing
MEASURES = ("iou", "precision", "recall", "boundary_f")
CODE = (*CODE_OF_MASKS, "evaluation/mask_quality.py", "evaluation/masks.py", "evaluation/metrics.py")


@dataclass(frozen=True)
class MaskRow:
    """A row: what it changes in the settings."""

    name: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    question: str = ""


ROWS = (
    MaskRow(COARSE, {"masks": "off-the-shelf"}, "What the module starts from."),
    MaskRow(WITHOUT, {"contrast_weight": 0.0}, "The same network without the memory: the method of [43]."),
    MaskRow(REFINED, {}, "As the settings have it."),
    MaskRow(PRINTED_WITHOUT, {"contrast_weight": 0.0, "refinement": "remove"}, "As printed, and without the memory."),
    MaskRow(PRINTED, {"refinement": "remove"}, "The cues of M-SRN, which may only remove pixels."),
    MaskRow("full contrast", {"contrast_weight": 1.0}, "L_for with the weight that the paper gives it."),
    MaskRow("gamma 0.07", {"temperature": 0.07}, "The usual temperature of contrastive learning."),
)


class MaskRecord(BaseModel):
    """A row with one seed, on the test split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment: Literal["masks"] = EXPERIMENT
    row: str
    seed: int  # 0 for a row that trains nothing
    dataset: str
    fingerprint: str  # of the test split
    profile: str
    settings: dict[str, Any]  # of the foreground module
    saliency: str  # the network behind M_o
    metrics: dict[str, float]  # macro means over categories, objects averaged over their photographs
    objects: dict[str, list]  # object_id, category, and the measures of each object
    thresholds: dict[str, list[float]]  # ``value`` with mean IoU on ``val`` (if any) and ``test``; empty without cues
    n_images: int
    evaluation: str  # digest of all that the numbers depend on
    device: str
    tune_seconds: float  # wall time of the fine-tuning
    tune_cpu_seconds: float | None
    images_per_second: float  # of the cues, M_o not counted; 0 without cues
    commit: str
    dirty: bool
    packages: dict[str, str]
    created: str


def record(request: Request, seconds: float, progress: bool = True, only: Sequence[str] = ()) -> Iterator[str]:
    """Measure and keep the rows that are not recorded yet, until the time is over; a line for each."""
    until = time.monotonic() + seconds
    rows = [row(name) for name in only] or [each for each in ROWS if _counts(each, request)]
    photographs = Photographs.of(request)
    for split in photographs.scored:
        split.true_masks()  # refused now when it has none, not after the fine-tuning
    for seed in request.seeds:
        for asked in rows:
            if seed != request.seeds[0] and asked.name == COARSE:  # it draws nothing
                continue
            try:
                yield _kept(asked, seed, request, photographs, progress, until)
            except OutOfTime as stopped:
                yield str(stopped)
                return
            if time.monotonic() > until:
                yield "out of time: the same command goes on"
                return


class Photographs(NamedTuple):
    """The splits of a data set without masks."""

    train: ImageCollection
    val: ImageCollection | None  # none where the data set has none: then no threshold is chosen on it
    test: ImageCollection

    @classmethod
    def of(cls, request: Request) -> "Photographs":
        wanted = [split for split in cls._fields if split != "val" or request.dataset not in WITHOUT_VAL]
        splits = {split: open_collection(request.dataset, split, request.data_root) for split in wanted}
        if splits["train"].masks is not None:
            raise MsrnError(f"dataset {request.dataset!r} comes with masks: choose one without, such as homeware-wild")
        return cls(**{"val": None, **splits})

    @property
    def scored(self) -> tuple[ImageCollection, ...]:
        return tuple(split for split in self[1:] if split is not None)


def _counts(row: MaskRow, request: Request) -> bool:
    """Rows that change nothing of this profile would be the whole one again."""
    changed = make_settings({**request.settings.model_dump(), **row.overrides}) != request.settings
    return changed or not row.overrides


def row(name: str) -> MaskRow:
    """A row by its name."""
    for known in ROWS:
        if known.name == name:
            return known
    names = [known.name for known in ROWS]
    raise MsrnError(f"unknown row {name!r} of masks{did_you_mean(name, names)}: expected one of {', '.join(names)}")


def _kept(row: MaskRow, seed: int, request: Request, photographs: Photographs, progress: bool, until: float) -> str:
    """Keep the record of a row, unless it is there and still holds."""
    seed = score.SEED if row.name == COARSE else seed
    file = paths.RESULTS / EXPERIMENT / f"{request.dataset}-{plain(request.label)}-{plain(row.name)}-seed{seed}.json"
    foreground = foreground_of(row, seed, request, photographs, progress, until)
    known = files.read_json(file) or {}
    if known.get("evaluation") == _evaluation(foreground, photographs):
        return keep(file, known)
    return keep(file, results.rounded(measure(row, foreground, request, photographs).model_dump()))


def foreground_of(
    row: MaskRow,
    seed: int,
    request: Request,
    photographs: Photographs,
    progress: bool = True,
    until: float | None = None,
) -> Foreground:
    """What makes the masks of a row."""
    settings = make_settings({**request.settings.model_dump(), **row.overrides})
    return Foreground(photographs.train, settings, seed, request.device, progress, until, request.weights)


def measure(row: MaskRow, foreground: Foreground, request: Request, photographs: Photographs) -> MaskRecord:
    """The row on the test split; fine-tunes when that is not done yet."""
    *val, test = (_Masks.of(foreground, split) for split in photographs.scored)
    return MaskRecord(
        row=row.name,
        seed=foreground.seed,
        dataset=request.dataset,
        fingerprint=test.split.fingerprint,
        profile=request.label,
        settings=_settings(foreground),
        saliency=foreground.saliency.name,
        n_images=len(test.split),
        evaluation=_evaluation(foreground, photographs),
        device=foreground.tuned_on,
        **_numbers(foreground, val[0] if val else None, test),
        **_cost(foreground, test),
        **results.provenance(),
    )


def _evaluation(foreground: Foreground, photographs: Photographs) -> str:
    """Digest of all that the numbers depend on."""
    s, data = foreground.settings, [split.fingerprint for split in (photographs.train, *photographs.scored)]
    networks = [foreground.saliency.identity, *encoder_identity(s.cue_encoder, foreground.weights.get("cue"))]
    return digest_of(*data, _settings(foreground), foreground.seed, *networks, code_digest.digest(CODE))


def _settings(foreground: Foreground) -> dict[str, Any]:
    return {name: value for name, value in foreground.settings.model_dump(mode="json").items() if name in _KEPT}


_KEPT = FOREGROUND_SETTINGS | {"memory_slots", "memory_momentum", "memory_fill_first"}


@dataclass(frozen=True)
class _Masks:
    """M_o, soft, the cues (none for the off-the-shelf row) and the truth of a split."""

    split: ImageCollection
    soft: np.ndarray
    cues: np.ndarray | None
    true: np.ndarray
    seconds: float

    @classmethod
    def of(cls, foreground: Foreground, split: ImageCollection) -> "_Masks":
        soft = foreground.saliency.maps(split.images, foreground.progress)
        refining = foreground.settings.masks == "refined"
        if refining:
            _ = foreground.perceptron  # fine-tuned before the clock starts
        started = time.perf_counter()
        cues = foreground.cues(split.images, None) if refining else None
        seconds = time.perf_counter() - started
        return cls(split, soft, cues, np.asarray(split.true_masks()), seconds)

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
        values, category = self.by_object(values), self.category
        return float(np.mean([values[category == name].mean() for name in np.unique(category)]))


def _numbers(foreground: Foreground, val: _Masks | None, test: _Masks) -> dict[str, Any]:
    masks = test.coarse if test.cues is None else foreground.combined(test.soft, test.cues)
    columns = mask_quality(masks, test.true)
    columns |= _removed(test.coarse, masks, test.true)
    thresholds: dict[str, list[float]] = {}
    if test.cues is not None:
        iou = np.stack([test.iou(threshold) for threshold in THRESHOLDS])  # (lambda, N)
        on_val = [val.macro(val.iou(threshold)) for threshold in THRESHOLDS] if val else []
        thresholds = {"value": list(THRESHOLDS), "val": on_val, "test": [test.macro(values) for values in iou]}
        if val:
            columns["iou_best_on_val"] = iou[int(np.argmax(on_val))]
        columns["iou_oracle"] = iou.max(0)
    objects = {name: test.by_object(values).tolist() for name, values in columns.items()}
    ids = np.unique(test.split.object_id).tolist()
    return {
        "metrics": {name: test.macro(values) for name, values in columns.items()},
        "objects": {"object_id": ids, "category": test.category.tolist(), **objects},
        "thresholds": thresholds,
    }


def _removed(coarse: np.ndarray, masks: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    """Shares of M_o's false pixels and of its true ones that were removed, (N,); 0 where it has none."""
    gone = coarse & ~masks
    false, right = (coarse & ~true).sum((1, 2)), (coarse & true).sum((1, 2))
    return {
        "removed_rightly": (gone & ~true).sum((1, 2)) / np.maximum(false, 1),
        "removed_wrongly": (gone & true).sum((1, 2)) / np.maximum(right, 1),
    }


def _cost(foreground: Foreground, test: _Masks) -> dict[str, Any]:
    if test.cues is None:
        return {"tune_seconds": 0.0, "tune_cpu_seconds": None, "images_per_second": 0.0}
    last = foreground.log[-1]
    return {
        "tune_seconds": last["seconds"],
        "tune_cpu_seconds": last.get("cpu_seconds"),
        "images_per_second": len(test.soft) / test.seconds,
    }


def recorded() -> list[MaskRecord]:
    """What was recorded, in the order of the files' names."""
    made = []
    for file in sorted((paths.RESULTS / EXPERIMENT).glob("*.json")):
        try:
            made.append(MaskRecord(**(files.read_json(file) or {})))
        except ValidationError as error:
            first = error.errors()[0]
            raise MsrnError(f"{file}: key {first['loc'][0]!r}: {first['msg'].lower()}; restore it from git") from None
    return made


def difference(first: Sequence[MaskRecord], second: Sequence[MaskRecord], measure: str = "iou") -> Estimate:
    """Macro mean of first - second with its 95 % interval: paired by object, seeds averaged in each."""
    values = [np.mean([record.objects[measure] for record in rows], axis=0) for rows in (first, second)]
    if first[0].objects["object_id"] != second[0].objects["object_id"]:
        raise MsrnError(f"{first[0].row} and {second[0].row} were measured on different objects: record both anew")
    return _estimate(values[0] - values[1], np.array(first[0].objects["category"]))


def estimate(rows: Sequence[MaskRecord], measure: str = "iou") -> Estimate:
    """Macro mean of a row with its 95 % interval, seeds averaged object by object."""
    values = np.mean([record.objects[measure] for record in rows], axis=0)
    return _estimate(values, np.array(rows[0].objects["category"]))


def _estimate(values: np.ndarray, category: np.ndarray) -> Estimate:
    mean = float(np.mean([values[category == name].mean() for name in np.unique(category)]))
    return Estimate(mean, *bootstrap_interval(values, 0, strata=category))

"""One row of a table from one run, from meshes or from files (§4.2): shape, mask and pose metrics, kept in a record.

Shape metrics come from one fixed image of each object; mask IoU and pose consistency from all of its views. Where no
shapes are known, mask IoU is all there is. A record is computed again only when the run, the data, the evaluation's
settings or the evaluation's code changed.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from msrn.data import shapes_known
from msrn.data.collection import ImageCollection
from msrn.errors import MsrnError
from msrn.evaluation import volume
from msrn.evaluation.inference import IMAGE_UNITS, TURNS, azimuth_maps, image_metrics, predict
from msrn.evaluation.prediction_files import Predicted
from msrn.evaluation.protocol import HEADLINES, UNITS, VERSION, ObjectMetrics, Surface, evaluate_meshes
from msrn.evaluation.statistics import interval_of, object_means
from msrn.settings import Settings
from msrn.store import results
from msrn.store.digest import code_digest, digest_of
from msrn.store.results import Record
from msrn.training.runs import Run

SEED = 0  # of the points on the surfaces, the same for every row
SUMS = ("n_objects", "n_images", "train_seconds", "eval_seconds")  # keys that add up over models of a category each


class Label(NamedTuple):
    """What a record is called. Decides no number."""

    exhibit: str
    row: str
    profile: str

    def on(self, record: Record) -> Record:
        """The record under this name."""
        return record.model_copy(update={"experiment": self.exhibit, "variant": self.row, "profile": self.profile})


def score_run(
    run: Run, label: Label, test: ImageCollection, progress: bool = True, metrics: Sequence[str] = ()
) -> Record:
    """The record of a trained run: from its ``result.json`` when that still holds, else computed and written there.

    ``metrics`` are those of its table, here and below: 3D IoU is measured where they name it.
    """
    points, code = run.settings.eval_points, "msrn.evaluation.inference"
    evaluation = evaluation_digest(test, points, code, run.folder.name, metrics=metrics)
    if stored := stored_record(run.result, evaluation):
        return label.on(stored)
    start = time.perf_counter()
    views = predict(run.network(), test, np.arange(len(test)))
    cited = views.take(test.evaluation_index)
    fit = dict(zip(test.object_id[test.evaluation_index], cited.mask_iou.tolist(), strict=True))
    changes = {"seed": run.seed, "n_images": len(test), "device": run.device}
    changes |= {"train_seconds": run.seconds, "train_cpu_seconds": run.cpu_seconds}
    how = label, "model", run.settings, evaluation, start
    if shapes_known(test.name):
        meshes = cited.meshes_in_true_frame(test.true_pose()[test.evaluation_index])
        record = measured(meshes, test, test.evaluation_index, *how, progress, metrics, **changes)
        record.curves.update(azimuth_maps(views, test))
    else:
        record = _record_of(_unmeasured(test), test, *how, **changes)
    record.metrics.update(image_metrics(views, test, run.settings.decoders == "sdf"))
    record.units.update({name: unit for name, unit in IMAGE_UNITS.items() if name in record.metrics})
    record.objects["mask_iou"] = [fit[name] for name in record.objects["object_id"]]
    run.write_result(results.to_json(record))
    return record


def score_files(
    predicted: Predicted,
    label: Label,
    settings: Settings,
    test: ImageCollection,
    progress: bool = True,
    metrics: Sequence[str] = (),
) -> Record:
    """The record of predictions from files; objects without one are named in ``missing`` and in no mean."""
    reader = "msrn.evaluation.prediction_files"
    evaluation = evaluation_digest(test, settings.eval_points, reader, predicted.digest, metrics=metrics)
    how = label, "files", settings, evaluation, time.perf_counter(), progress, metrics
    record = measured(predicted.surfaces, test, predicted.indices, *how, missing=list(predicted.missing))
    return record.model_copy(update={"settings": {}, "features": "unknown"})  # nobody knows what made them


def evaluation_digest(
    test: ImageCollection, points: int, module: str, *depends: Any, metrics: Sequence[str] = ()
) -> str:
    """Digest of what a score depends on: the data, the protocol, and the code and choices behind the shapes."""
    truths = "msrn.data.ground_truth", "msrn.data.archives.clouds"
    solids = (volume.__name__,) * (volume.NAME in metrics)
    code = code_digest("msrn.evaluation.protocol", *truths, module, *solids)
    return digest_of(results.SCHEMA, test.fingerprint, points, code, *depends)


def measured(
    surfaces: Sequence[Surface],
    test: ImageCollection,
    indices: Sequence[int],
    label: Label,
    kind: str,
    settings: Settings,
    evaluation: str,
    start: float,
    progress: bool,
    metrics: Sequence[str] = (),
    **changes: Any,
) -> Record:
    """The record of the shapes ``surfaces`` of the images ``indices``, whose evaluation began at ``start``."""
    shape = evaluate_meshes(surfaces, test, indices, settings.eval_points, SEED, progress)
    solids = volume.iou3d(surfaces, test, indices) if volume.NAME in metrics else None
    record = _record_of(_of_shapes(shape, test), test, label, kind, settings, evaluation, start, **changes)
    if solids is not None:
        _, category, values = object_means(shape.object_id, shape.category, solids)
        whole = interval_of(values, category)
        found = {"": whole.mean, ".low": whole.low, ".high": whole.high, ".micro": float(values.mean())}
        record.metrics.update({f"{volume.NAME}{ending}": value for ending, value in found.items()})
        record.units[volume.NAME], record.objects[volume.NAME] = volume.UNIT, values.tolist()
    return record


def _of_shapes(shape: ObjectMetrics, test: ImageCollection) -> dict[str, Any]:
    """The keys of a record that hold distances between shapes."""
    ids, category, _ = shape.per_object("cd")
    columns = {f"{m}{end}": shape.per_object(m, of)[2].tolist() for m in ("cd", "f") for end, of in HEADLINES.items()}
    names = [test.categories[term] for term in category]
    return {
        "metrics": shape.summary(test.categories),
        "units": {**UNITS, **{f"{metric}_axes": f"{unit}; each axis scaled" for metric, unit in UNITS.items()}},
        "objects": {"object_id": ids.tolist(), "category": names, **columns},
        "points": shape.points,
        "n_objects": len(ids),
    }


def _unmeasured(test: ImageCollection) -> dict[str, Any]:
    """The same where no shapes are known: which objects there are."""
    ids, category, _ = object_means(test.object_id, test.category, np.zeros(len(test)))
    objects = {"object_id": ids.tolist(), "category": [test.categories[term] for term in category]}
    return {"metrics": {}, "units": {}, "objects": objects, "points": 0, "n_objects": len(ids)}


def _record_of(
    found: dict[str, Any],
    test: ImageCollection,
    label: Label,
    kind: str,
    settings: Settings,
    evaluation: str,
    start: float,
    **changes: Any,
) -> Record:
    """The record of an evaluation that found ``found`` and began at ``start``: of shapes that were not trained, but for
    ``changes``."""
    values = {
        **found,
        "experiment": label.exhibit,
        "variant": label.row,
        "profile": label.profile,
        "kind": kind,
        "dataset": test.name,
        "fingerprint": test.origin or test.fingerprint,
        "seed": SEED,
        "settings": settings.model_dump(mode="json"),
        "protocol": VERSION,
        "n_images": 0,
        "features": settings.features,
        "masks": "none" if test.masks is None else test.masks_from,
        "evaluation": evaluation,
        "device": results.device_name("cpu"),
        "train_seconds": 0.0,
        "eval_seconds": time.perf_counter() - start,
    }
    return Record(**values | results.provenance() | changes)


def stored_record(content: Any, evaluation: str) -> Record | None:
    """The stored record when it is whole and nothing that it depends on changed; else it is made anew."""
    try:
        record = results.from_json(content, "result.json")
    except MsrnError:
        return None
    return record if record.evaluation == evaluation else None


def joined(records: Sequence[Record]) -> Record:
    """The records of models of a category each as the record of a row with a column a category (Table 5)."""
    first = records[0]
    objects = {key: [entry for record in records for entry in record.objects[key]] for key in first.objects}
    metrics = {key: value for record in records for key, value in record.metrics.items() if ".category." in key}
    for metric in ("cd", "cd_axes", "f", "f_axes", "mask_iou", "lost", "empty", *(f"pose_m{m}" for m in TURNS)):
        values = [value for key, value in metrics.items() if key.startswith(f"{metric}.category.")]
        metrics |= {metric: float(np.mean(values))} if values else {}
    shapes = (f"{metric}{ending}" for metric in ("cd", "f") for ending in HEADLINES)
    metrics |= {f"{metric}.micro": float(np.mean(objects[metric])) for metric in shapes if metric in objects}
    cpu = [record.train_cpu_seconds for record in records]
    return first.model_copy(
        update={
            "metrics": metrics,
            "objects": objects,
            "curves": {key: counts for record in records for key, counts in record.curves.items()},
            "fingerprint": digest_of(*(record.fingerprint for record in records)),
            "evaluation": digest_of(*(record.evaluation for record in records)),
            "train_cpu_seconds": None if None in cpu else sum(cpu),
            **{key: sum(getattr(record, key) for record in records) for key in SUMS},
        }
    )

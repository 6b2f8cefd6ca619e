"""One row of a table from one run or baseline (§4.2): shape, mask and pose metrics on the test split, kept in a record.

Shape metrics come from one fixed image of each object; mask IoU and pose consistency from all of its views. A record is
computed again only when the run, the data, the evaluation's settings or the evaluation's code changed.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msrn.data import ImageCollection
from msrn.errors import MsrnError
from msrn.evaluation.inference import Predictions, predict
from msrn.evaluation.metrics import pose_consistency
from msrn.evaluation.protocol import Mesh, ObjectMetrics, evaluate_meshes
from msrn.profiles import Request
from msrn.settings import Settings
from msrn.store import files, results
from msrn.store.results import Record
from msrn.training import runs
from msrn.training.runs import Run

SEED = 0  # of the points on the surfaces and of the bootstrap, the same for every row
CODE = (  # what decides a score, as runs.TRAINING_PATH lists what decides a run
    *(
        "evaluation/score.py",
        "evaluation/protocol.py",
        "evaluation/metrics.py",
        "evaluation/alignment.py",
        "evaluation/inference.py",
        "data/surface.py",
        "baselines",
        "render",
    ),
    *(
        "camera.py",
        "neighbors/features.py",
        "training/batches.py",
        "losses.py",
        "distance_transform.py",
        "data/collection.py",
        "data/archives/clouds.py",
    ),
)
TURNS = (1, 2, 4)  # pose consistency forgives a constant; at 2 half turns too, at 4 quarter turns
UNITS = {
    "mask_iou": "mean over all test images of a category, then over categories, 0 to 1",
    **{
        f"pose_m{m}": f"resultant length of {m} x (predicted - true azimuth) of a category, mean, 0 to 1" for m in TURNS
    },
}


def score_run(run: Run, row: tuple[str, str], request: Request, test: ImageCollection, progress: bool = True) -> Record:
    """The record of the trained ``run`` as ``row`` (experiment, variant): from its ``result.json`` when that still
    holds, else computed and written there."""
    evaluation = _evaluation(test, run.settings.eval_points, run.folder.name)
    kept = _kept(run.result, evaluation)
    if kept and (kept.experiment, kept.variant, kept.profile) == (*row, request.label):
        return kept
    started = time.perf_counter()
    views = predict(run.network(), test, np.arange(len(test)))
    cited = views.take(test.evaluation_index)
    meshes = cited.meshes_in_true_frame(test.true_pose()[test.evaluation_index])
    shape = evaluate_meshes(meshes, test, test.evaluation_index, run.settings.eval_points, SEED, progress)
    metrics, units, objects = _columns(shape, test)
    fit = dict(zip(test.object_id[test.evaluation_index], cited.mask_iou.tolist(), strict=True))
    objects["mask_iou"] = [fit[name] for name in objects["object_id"]]
    record = Record(
        experiment=row[0],
        variant=row[1],
        kind="model",
        profile=request.label,
        seed=run.seed,
        settings=run.settings.model_dump(mode="json"),
        metrics=metrics | _image_metrics(views, test),
        units=units | UNITS,
        objects=objects,
        n_images=len(test),
        evaluation=evaluation,
        device=run.device,
        train_seconds=run.seconds,
        train_cpu_seconds=run.cpu_seconds,
        eval_seconds=time.perf_counter() - started,
        **_common(run.settings, test, shape),
    )
    run.write_result(results.to_json(record))
    return record


def score_baseline(
    make: Callable[[], Sequence[Mesh]],
    row: tuple[str, str],
    depends: Sequence[Any],
    request: Request,
    test: ImageCollection,
    folder: Path,
    progress: bool = True,
) -> Record:
    """The record of a row that trains nothing: from ``folder`` when it is there, else from the meshes that ``make``
    gives for ``test.evaluation_index``. ``depends`` is all that they depend on besides the test split."""
    points = request.settings.eval_points
    evaluation = _evaluation(test, points, *row, *depends)
    file = folder / f"{row[1].replace(' ', '_')}-{evaluation}.json"
    kept = _kept(files.read_json(file), evaluation)
    if kept and kept.profile == request.label:
        return kept
    started = time.perf_counter()
    shape = evaluate_meshes(make(), test, test.evaluation_index, points, SEED, progress)
    metrics, units, objects = _columns(shape, test)
    record = Record(
        experiment=row[0],
        variant=row[1],
        kind="baseline",
        profile=request.label,
        seed=SEED,
        settings=request.settings.model_dump(mode="json"),
        metrics=metrics,
        units=units,
        objects=objects,
        n_images=0,
        evaluation=evaluation,
        device=results.device_name("cpu"),
        train_seconds=0.0,
        eval_seconds=time.perf_counter() - started,
        **_common(request.settings, test, shape),
    )
    with files.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files.write_json(file, results.to_json(record))
    return record


def _columns(shape: ObjectMetrics, test: ImageCollection) -> tuple[dict, dict, dict]:
    """(metrics, units, objects) of a record from the evaluation of shapes."""
    summary = shape.summary(test.categories, SEED)
    units = {key.removesuffix(".unit"): value for key, value in summary.items() if key.endswith(".unit")}
    metrics = {key: float(value) for key, value in summary.items() if not isinstance(value, str)}
    ids, category, cd = shape.per_object("cd")
    names = [test.categories[term] for term in category]
    f = shape.per_object("f")[2]
    return metrics, units, {"object_id": ids.tolist(), "category": names, "cd": cd.tolist(), "f": f.tolist()}


def _image_metrics(views: Predictions, test: ImageCollection) -> dict[str, float]:
    """Mask IoU and pose consistency over all test images: per category, and their macro mean."""
    true = test.true_pose()[:, 0]
    rows = {name: np.flatnonzero(test.category == term) for term, name in enumerate(test.categories)}
    rows = {name: where for name, where in rows.items() if len(where)}
    columns = {"mask_iou": {name: float(views.mask_iou[where].mean()) for name, where in rows.items()}}
    for m in TURNS:
        columns[f"pose_m{m}"] = {
            name: pose_consistency(views.azimuth[where], true[where], m) for name, where in rows.items()
        }
    flat = {metric: float(np.mean(list(values.values()))) for metric, values in columns.items()}
    for metric, values in columns.items():
        flat |= {f"{metric}.category.{name}": value for name, value in values.items()}
    return flat


def _common(settings: Settings, test: ImageCollection, shape: ObjectMetrics) -> dict[str, Any]:
    return {
        "dataset": test.name,
        "fingerprint": test.origin or test.fingerprint,
        "points": shape.points,
        "n_objects": len(shape.object_id),
        "features": settings.features,
        "masks": "none" if test.masks is None else test.masks_from,
        **results.provenance(),
    }


def _evaluation(test: ImageCollection, *depends: Any) -> str:
    """Digest of what a score depends on."""
    return results.digest(results.SCHEMA, test.fingerprint, runs.code_digest(CODE), *depends)


def _kept(content: Any, evaluation: str) -> Record | None:
    """The stored record when it is whole and nothing that it depends on changed; else it is made anew."""
    try:
        record = results.from_json(content, "result.json")
    except MsrnError:
        return None
    return record if record.evaluation == evaluation else None

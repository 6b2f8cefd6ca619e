"""Rows that train nothing. Evaluation only."""

import time
from collections.abc import Sequence

from msrn import paths
from msrn.baselines import lookup
from msrn.baselines.baseline import Baseline, Given
from msrn.baselines.carved_hull import carved_hulls
from msrn.baselines.mean_shape import mean_shape
from msrn.data import cameras_known, shapes_known
from msrn.errors import MsrnError
from msrn.evaluation import score as scoring
from msrn.evaluation.score import Label
from msrn.store import files, results
from msrn.store.results import Record

__all__ = ["BASELINES", "Baseline", "Given", "possible", "score"]

HULL = "hull of all its masks, poses known"
BASELINES = {  # in the order of the tables
    "starting ellipsoid": Baseline(
        lookup.ellipsoid, lambda inputs: [inputs.settings.ellipsoid, inputs.settings.mesh_level]
    ),
    "mean shape, category known": Baseline(mean_shape, lambda inputs: [inputs.train.fingerprint]),
    "random object, category known": Baseline(lookup.random_object, lambda inputs: [inputs.train.fingerprint]),
    "retrieval, category known": Baseline(lookup.similar_object_of_category, Given.features_depend),
    "retrieval": Baseline(lookup.similar_object, Given.features_depend),
    HULL: Baseline(carved_hulls, lambda inputs: []),
}


def possible(inputs: Given) -> list[str]:
    """The names of those that there can be: none where no shapes are known, a hull only where all cameras are."""
    names = BASELINES if shapes_known(inputs.test.name) else ()
    return [name for name in names if name != HULL or cameras_known(inputs.test.name)]


def score(
    name: str, inputs: Given, label: Label, recorded: Sequence[Record] = (), metrics: Sequence[str] = ()
) -> Record:
    """The record of a baseline for a table of these ``metrics``: one of ``recorded`` or of the store of runs where it
    is of the same data and code."""
    if name not in possible(inputs):
        names = ", ".join(possible(inputs))
        raise MsrnError(f"{name}: no row of {inputs.test.name} at profile {label.profile}: expected one of {names}")
    meshes, depends = BASELINES[name]
    label, test, points, start = label._replace(row=name), inputs.test, inputs.settings.eval_points, time.perf_counter()
    evaluation = scoring.evaluation_digest(test, points, meshes.__module__, name, *depends(inputs), metrics=metrics)
    file = paths.runs_folder() / "baselines" / f"{name.replace(' ', '_')}-{evaluation}.json"
    alike = [record for record in recorded if (record.kind, record.evaluation) == ("baseline", evaluation)]
    if stored := (alike[0] if alike else scoring.stored_record(files.kept_json(file), evaluation)):
        return label.on(stored)
    how = label, "baseline", inputs.settings, evaluation, start, inputs.progress, metrics
    record = scoring.measured(meshes(inputs), test, inputs.index, *how)
    with files.writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    files.keep_json(file, results.to_json(record))
    return record

"""Rows that train nothing, a file each, so that nobody takes the others for more than they are. Evaluation only."""

from collections.abc import Sequence
from functools import partial

from msrn.baselines import ellipsoid, mean_shape, random_object, retrieval, silhouettes
from msrn.baselines.baseline import Baseline, Given
from msrn.data import cameras_known
from msrn.errors import MsrnError
from msrn.evaluation.score import Label, score_baseline
from msrn.store.results import Record

__all__ = ["BASELINES", "Baseline", "Given", "possible", "score"]

# in the order of the tables
BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        ellipsoid.BASELINE,
        mean_shape.BASELINE,
        random_object.BASELINE,
        retrieval.CATEGORY_KNOWN,
        retrieval.ANY_CATEGORY,
        silhouettes.BASELINE,
    )
}


def possible(inputs: Given) -> list[str]:
    """The names of those that there can be: meshes are fitted to masks only where all cameras are known."""
    fitting = cameras_known(inputs.test.name) and not inputs.quick
    return [name for name, baseline in BASELINES.items() if fitting or not baseline.needs_cameras]


def score(name: str, inputs: Given, label: Label, recorded: Sequence[Record] = ()) -> Record:
    """The record of a baseline; one of ``recorded`` where it is of the same data and code."""
    if name not in possible(inputs):
        names = ", ".join(possible(inputs))
        raise MsrnError(f"{name}: no row of {inputs.test.name} at profile {label.profile}: expected one of {names}")
    baseline = BASELINES[name]
    meshes, depends = partial(baseline.meshes, inputs), baseline.depends(inputs)
    rest = inputs.settings, baseline.module, depends, inputs.test, recorded, inputs.progress
    return score_baseline(meshes, label._replace(row=name), *rest)

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


def possible(given: Given) -> list[str]:
    """The names of those that there can be: meshes are fitted to masks only where all cameras are known."""
    fits = cameras_known(given.test.name) and not given.quick
    return [name for name, baseline in BASELINES.items() if fits or not baseline.needs_cameras]


def score(name: str, given: Given, label: Label, recorded: Sequence[Record] = ()) -> Record:
    """The record of a baseline; one of ``recorded`` where it is of the same data and code."""
    if name not in possible(given):
        there = ", ".join(possible(given))
        raise MsrnError(f"{name}: no row of {given.test.name} at profile {label.profile}: expected one of {there}")
    made = BASELINES[name]
    meshes, depends = partial(made.meshes, given), made.depends(given)
    how = given.settings, made.module, depends, given.test, recorded, given.progress
    return score_baseline(meshes, label._replace(row=name), *how)

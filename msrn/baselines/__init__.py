"""Rows that train nothing. Evaluation only."""

from collections.abc import Sequence
from functools import partial

from msrn.baselines import lookup, silhouettes
from msrn.baselines.baseline import Baseline, Given
from msrn.baselines.mean_shape import mean_shape
from msrn.data import cameras_known
from msrn.errors import MsrnError
from msrn.evaluation.score import Label, score_baseline
from msrn.store.results import Record

__all__ = ["BASELINES", "Baseline", "Given", "possible", "score"]

FITTED = "fitted to all its masks, poses known"
BASELINES = {  # in the order of the tables
    "starting ellipsoid": Baseline(
        lookup.ellipsoid, lambda inputs: [inputs.settings.ellipsoid, inputs.settings.mesh_level]
    ),
    "mean shape, category known": Baseline(mean_shape, lambda inputs: [inputs.train.fingerprint]),
    "random object, category known": Baseline(lookup.random_object, lambda inputs: [inputs.train.fingerprint]),
    "retrieval, category known": Baseline(lookup.similar_object_of_category, Given.features_depend),
    "retrieval": Baseline(lookup.similar_object, Given.features_depend),
    FITTED: Baseline(
        silhouettes.fitted_meshes,
        lambda inputs: [getattr(inputs.settings, name) for name in silhouettes.SETTINGS],
        silhouettes.SETTINGS,
    ),
}


def possible(inputs: Given) -> list[str]:
    """The names of those that there can be: meshes are fitted to masks only where all cameras are known."""
    fitting = cameras_known(inputs.test.name) and not inputs.quick
    return [name for name in BASELINES if fitting or name != FITTED]


def score(name: str, inputs: Given, label: Label, recorded: Sequence[Record] = ()) -> Record:
    """The record of a baseline; one of ``recorded`` where it is of the same data and code."""
    if name not in possible(inputs):
        names = ", ".join(possible(inputs))
        raise MsrnError(f"{name}: no row of {inputs.test.name} at profile {label.profile}: expected one of {names}")
    meshes, depends, _ = BASELINES[name]
    label, module = label._replace(row=name), meshes.__module__
    rest = inputs.settings, module, depends(inputs), inputs.test, recorded, inputs.progress
    return score_baseline(partial(meshes, inputs), label, *rest)

"""Recorded densities: ``results/density/*.json``, what ``msrn.evaluation.neighbor_density`` measures on all
candidates of a data set.

It takes a while and depends on the data and the candidates alone, so it is measured once, kept with where it came from,
and shown beside every table. Evaluation only.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from msrn import paths
from msrn.errors import MsrnError
from msrn.evaluation.neighbor_density import neighbor_density
from msrn.experiments.record import keep, plain
from msrn.experiments.runner import Bench
from msrn.profiles import Request
from msrn.store import files, results
from msrn.store.array_cache import digest_of
from msrn.training import runs

EXPERIMENT = "density"
POINTS = 2000  # on each surface
# What decides the numbers, given the candidates.
CODE = ("evaluation/neighbor_density.py", "evaluation/metrics.py", "data/surface.py")


class DensityRecord(BaseModel):
    """The density of one data set under one choice of candidates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment: Literal["density"] = EXPERIMENT
    dataset: str
    fingerprint: str  # of the training split
    profile: str  # whose candidates these are, with what was changed of it
    candidates: dict[str, Any]  # the settings that decide them
    features: str
    points: int
    n_objects: int
    n_images: int
    categories: dict[str, dict[str, float | None]]  # ``density.Density`` of each, and of their ``mean``
    evaluation: str  # digest of all that the numbers depend on
    seconds: float
    commit: str
    dirty: bool
    packages: dict[str, str]
    created: str


def record(request: Request, progress: bool = True) -> Iterator[str]:
    """Measure the density of a data set's training split, unless that is recorded already."""
    bench = Bench("table8", request, progress)
    train = bench.train
    chosen = {name: value for name, value in request.settings if name.startswith("candidate")}
    evaluation = digest_of(train.fingerprint, runs.code_digest(CODE), POINTS, bench.candidates.tobytes())
    file = paths.RESULTS / EXPERIMENT / f"{request.dataset}-{plain(request.label)}.json"
    known = files.read_json(file) or {}
    if known.get("evaluation") == evaluation:
        yield keep(file, known)
        return
    started = time.perf_counter()
    found = neighbor_density(train, bench.candidates, POINTS, progress=progress)
    made = DensityRecord(
        dataset=request.dataset,
        fingerprint=train.fingerprint,
        profile=request.label,
        candidates=chosen,
        features=request.settings.features,
        points=POINTS,
        n_objects=len(train.evaluation_index),
        n_images=len(train),
        categories={name: asdict(row) for name, row in found.items()},
        evaluation=evaluation,
        seconds=time.perf_counter() - started,
        **results.provenance(),
    )
    yield keep(file, results.rounded(made.model_dump()))


def recorded() -> list[DensityRecord]:
    """What was recorded, in the order of the files' names."""
    made = []
    for file in sorted((paths.RESULTS / EXPERIMENT).glob("*.json")):
        try:
            made.append(DensityRecord(**(files.read_json(file) or {})))
        except ValidationError as error:
            first = error.errors()[0]
            raise MsrnError(f"{file}: key {first['loc'][0]!r}: {first['msg'].lower()}; restore it from git") from None
    return made

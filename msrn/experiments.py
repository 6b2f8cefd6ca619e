"""What each table and figure of the paper needs: which runs, how they are scored, which rows stand beside them.

So far Table 8, the ablation of §4.5.1: the network without feature compensation (§3.2), without neighbour consistency
(§3.3), and whole. ``table8`` trains or loads a run for every row and seed, scores it on the test split, and scores the
baselines once.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from msrn import baselines, paths, records, runs, scoring
from msrn.data import ImageCollection, open_collection
from msrn.errors import MsrnError, did_you_mean
from msrn.evaluate import Mesh
from msrn.features import extract_features
from msrn.neighbors import find_candidates
from msrn.params import Request
from msrn.records import Record
from msrn.runs import Run
from msrn.settings import Settings, make_settings

WHOLE = "M-SRN"


@dataclass(frozen=True)
class Variant:
    """A row of an ablation, by the paper's name for it."""

    name: str
    published: Mapping[str, float]  # cd and f as printed
    overrides: Mapping[str, Any] = field(default_factory=dict)  # what it changes in the settings
    without: str = ""  # what it lacks, in words

    def settings(self, base: Settings) -> Settings:
        return make_settings({**base.model_dump(), **self.overrides})


TABLE8 = (
    Variant("w/o FC", {"cd": 1.84, "f": 0.352}, {"feature_compensation": False}, "feature compensation"),
    Variant("w/o NC", {"cd": 3.81, "f": 0.160}, {"neighbor_consistency": False}, "neighbour consistency"),
    Variant(WHOLE, {"cd": 1.61, "f": 0.365}),
)
EXPERIMENTS = {"table8": TABLE8}


def variant(experiment: str, name: str) -> Variant:
    """A row by its name."""
    for row in variants(experiment):
        if row.name == name:
            return row
    names = [row.name for row in variants(experiment)]
    raise MsrnError(
        f"unknown variant {name!r} of {experiment}{did_you_mean(name, names)}: expected one of {', '.join(names)}"
    )


def variants(experiment: str) -> tuple[Variant, ...]:
    """The rows of a table."""
    if experiment not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise MsrnError(
            f"unknown experiment {experiment!r}{did_you_mean(experiment, EXPERIMENTS)}: expected one of {known}"
        )
    return EXPERIMENTS[experiment]


@dataclass(frozen=True)
class Outcome:
    """A row as it was computed with one seed."""

    variant: Variant
    run: Run
    record: Record


@dataclass(frozen=True)
class Table8:
    """Everything that the table and its figures show."""

    request: Request
    test: ImageCollection
    outcomes: tuple[Outcome, ...]  # variant by variant in the paper's order, seed by seed
    baselines: tuple[Record, ...]
    recorded: tuple[Record, ...]  # committed earlier, see ``records.recorded``
    seconds: float  # from the request to the table

    def of(self, name: str) -> list[Outcome]:
        """The outcomes of a row, one per seed."""
        return [outcome for outcome in self.outcomes if outcome.variant.name == name]

    @property
    def trained_now(self) -> int:
        """How many of the runs were trained for this table rather than loaded."""
        return sum(outcome.run.trained_now for outcome in self.outcomes)


class Bench:
    """What the rows of a table share: the request, its data, and the candidates, found once and only for training."""

    def __init__(self, experiment: str, request: Request, progress: bool = True) -> None:
        self.experiment, self.request, self.progress = experiment, request, progress
        self.train = open_collection(request.dataset, "train", request.data_root)
        self.test = open_collection(request.dataset, "test", request.data_root)

    def outcome(self, row: Variant, seed: int, until: float | None = None) -> Outcome:
        """A row with one seed, trained or loaded, scored or loaded; a line on standard error says which and why."""
        label = f"{row.name}, seed {seed}"
        settings = row.settings(self.request.settings)
        run = runs.train_or_load(
            settings, self.train, lambda: self.candidates, seed, self.request.device, self.progress, label, until
        )
        if self.progress and not run.trained_now:
            print(run.how, file=sys.stderr, flush=True)
        return Outcome(row, run, scoring.score_run(run, self._row(row.name), self.request, self.test, self.progress))

    def baselines(self) -> tuple[Record, ...]:
        """Rows that train nothing, so that nobody takes the others for more than they are."""
        s, index, folder = self.request.settings, self.test.evaluation_index, paths.runs_folder() / "baselines"

        def start() -> list[Mesh]:
            return baselines.ellipsoid(len(index), s.ellipsoid, s.mesh_level)

        def anything() -> list[Mesh]:
            drawn = baselines.random_object(self.test, index, self.train, scoring.SEED)
            return baselines.meshes_of(self.train, drawn)

        def alike(known: bool) -> list[Mesh]:
            of_test, of_train = self._features(self.test), self._features(self.train)
            found = baselines.nearest_object(self.test, index, self.train, of_test, of_train, known)
            return baselines.meshes_of(self.train, found)

        by_features = [self.train.fingerprint, s.features, s.clip_weights]
        rows = (
            ("starting ellipsoid", start, [s.ellipsoid, s.mesh_level]),
            ("random object, category known", anything, [self.train.fingerprint]),
            ("retrieval, category known", lambda: alike(True), by_features),
            ("retrieval", lambda: alike(False), by_features),
        )
        return tuple(
            scoring.score_baseline(make, self._row(name), depends, self.request, self.test, folder, self.progress)
            for name, make, depends in rows
        )

    @cached_property
    def candidates(self) -> np.ndarray:
        """Eqs 31-32 on the training images, (N, k_cos)."""
        s, train = self.request.settings, self.train
        features = self._features(train)
        return find_candidates(
            features, train.category, train.object_id, s.candidates, s.candidate_scope, train.categories
        )

    def _features(self, collection: ImageCollection) -> np.ndarray:
        """Eqs 28-30, (N, D) unit rows."""
        s = self.request.settings
        return extract_features(collection, s.features, s.clip_weights, progress=self.progress)

    def _row(self, name: str) -> tuple[str, str]:
        return self.experiment, name


def table8(request: Request, progress: bool = True) -> Table8:
    """Table 8 under ``request``: every row with every seed, then the baselines."""
    started = time.perf_counter()
    past = tuple(recorded("table8"))
    bench = Bench("table8", request, progress)
    outcomes = tuple(bench.outcome(row, seed) for row in TABLE8 for seed in request.seeds)
    return Table8(request, bench.test, outcomes, bench.baselines(), past, time.perf_counter() - started)


def recorded(experiment: str) -> list[Record]:
    """Recorded rows, each refused when it names no row of the table."""
    found = records.recorded(experiment)
    for record in found:
        if record.kind == "model":
            variant(experiment, record.variant)
    return found

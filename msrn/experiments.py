"""What each table and figure of the paper needs: which runs, how they are scored, which rows stand beside them.

So far Table 8, the ablation of §4.5.1: the network without feature compensation (§3.2), without neighbour consistency
(§3.3), and whole. ``table8`` trains or loads a run for every row and seed, scores it on the test split, and scores the
baselines once. Beside it ``study``, by which the settings of profile laptop were chosen (``msrn.study``), on val.
"""

import sys
import time
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from msrn import baselines, paths, records, runs, scoring
from msrn.candidates import find_candidates
from msrn.data import ImageCollection, open_collection
from msrn.errors import MsrnError, did_you_mean
from msrn.evaluate import Mesh
from msrn.features import extract_features
from msrn.params import Request
from msrn.records import Record
from msrn.runs import Run
from msrn.study import STUDY
from msrn.variants import BASELINES, TABLE8, Variant, portion


@dataclass(frozen=True)
class Experiment:
    """Rows of a table, and the split that they are scored on."""

    rows: tuple[Variant, ...]
    split: str


EXPERIMENTS = {"table8": Experiment(TABLE8, "test"), "study": Experiment(STUDY, "val")}
# Settings that decide the candidates, of which a row that changes one has its own.
OF_CANDIDATES = ("candidate", "features", "clip")


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
    return EXPERIMENTS[experiment].rows


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
        variants(experiment)
        self.experiment, self.request, self.progress = experiment, request, progress
        self.whole = self.train = open_collection(request.dataset, "train", request.data_root)
        self.rows = slice(None)  # of the whole split, the images that ``train`` holds
        self.scored = open_collection(request.dataset, EXPERIMENTS[experiment].split, request.data_root)

    def outcome(self, row: Variant, seed: int, until: float | None = None) -> Outcome:
        """A row with one seed, trained or loaded, scored or loaded; a line on standard error says which and why."""
        label = f"{row.name}, seed {seed}"
        bench = self.under(row)
        settings = row.settings(self.request.settings)
        run = runs.train_or_load(
            settings, bench.train, lambda: bench.candidates, seed, self.request.device, self.progress, label, until
        )
        if self.progress and not run.trained_now:
            print(run.how, file=sys.stderr, flush=True)
        return Outcome(row, run, scoring.score_run(run, self._row(row.name), self.request, self.scored, self.progress))

    def under(self, row: Variant) -> "Bench":
        """The bench that a row is trained on: another one when the row has its own candidates or training images."""
        rows = row.training_rows(self.whole)
        if rows is None and not any(name.startswith(OF_CANDIDATES) for name in row.overrides):
            return self
        other = copy(self)
        other.request = replace(self.request, settings=row.settings(self.request.settings))
        other.__dict__.pop("candidates", None)
        if rows is not None:
            other.train, other.rows = portion(self.whole, rows), rows
        return other

    def baselines(self) -> tuple[Record, ...]:
        """Rows that train nothing, so that nobody takes the others for more than they are."""
        return tuple(self.baseline(name) for name in BASELINES)

    def baseline(self, name: str) -> Record:
        """One of ``BASELINES``."""
        s, index, train = self.request.settings, self.scored.evaluation_index, self.train

        def start() -> list[Mesh]:
            return baselines.ellipsoid(len(index), s.ellipsoid, s.mesh_level)

        def average() -> list[Mesh]:
            return baselines.mean_shape(self.scored, index, train)

        def anything() -> list[Mesh]:
            return baselines.meshes_of(train, baselines.random_object(self.scored, index, train, scoring.SEED))

        def alike(known: bool) -> list[Mesh]:
            of_test, of_train = self._features(self.scored), self._features(train)
            return baselines.meshes_of(
                train, baselines.nearest_object(self.scored, index, train, of_test, of_train, known)
            )

        by_features = [train.fingerprint, s.features, s.clip_weights]
        rows = (
            (start, [s.ellipsoid, s.mesh_level]),
            (average, [train.fingerprint]),
            (anything, [train.fingerprint]),
            (lambda: alike(True), by_features),
            (lambda: alike(False), by_features),
        )
        make, depends = dict(zip(BASELINES, rows, strict=True))[name]
        folder = paths.runs_folder() / "baselines"
        return scoring.score_baseline(make, self._row(name), depends, self.request, self.scored, folder, self.progress)

    @cached_property
    def candidates(self) -> np.ndarray:
        """Eqs 31-32 on the training images, (N, k_cos)."""
        s, train = self.request.settings, self.train
        return find_candidates(
            self._features(train),
            train.category,
            train.object_id,
            s.candidates,
            s.candidate_scope,
            s.candidate_objects,
            s.candidate_pool,
            train.masks,
            train.categories,
            self.request.device,
            self.progress,
        )

    def _features(self, collection: ImageCollection) -> np.ndarray:
        """Eqs 28-30, (N, D) unit rows."""
        s = self.request.settings
        kept = collection is self.train
        known = extract_features(self.whole if kept else collection, s.features, s.clip_weights, progress=self.progress)
        return known[self.rows] if kept else known

    def _row(self, name: str) -> tuple[str, str]:
        return self.experiment, name


def table8(request: Request, progress: bool = True) -> Table8:
    """Table 8 under ``request``: every row with every seed, then the baselines."""
    started = time.perf_counter()
    past = tuple(recorded("table8"))
    bench = Bench("table8", request, progress)
    outcomes = tuple(bench.outcome(row, seed) for row in TABLE8 for seed in request.seeds)
    return Table8(request, bench.scored, outcomes, bench.baselines(), past, time.perf_counter() - started)


def recorded(experiment: str) -> list[Record]:
    """Recorded rows, each refused when it names no row of the table."""
    found = records.recorded(experiment)
    for record in found:
        if record.kind == "model":
            variant(experiment, record.variant)
    return found

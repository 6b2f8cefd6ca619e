"""The bench on which the rows of an experiment are trained and scored: data, masks and candidates that they share.

A row and a seed is a run, trained or loaded, and a record of what was measured on it; the rows that train nothing are
scored beside them. Runs of a CPU are trained side by side (``msrn.training.parallel``).
"""

import re
import sys
import time
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from msrn import baselines, paths
from msrn.data import ImageCollection, open_collection
from msrn.errors import MsrnError
from msrn.evaluation import score
from msrn.evaluation.protocol import Mesh
from msrn.experiments.paper import EXPERIMENTS, variants
from msrn.experiments.table import ABLATIONS, BASELINES, FITTED, FITTED_BY, Variant, portion
from msrn.experiments.verdicts import says_nothing
from msrn.foreground import cue_check
from msrn.foreground.pipeline import Foreground
from msrn.neighbors.candidates import find_candidates
from msrn.neighbors.features import extract_features, features_identity
from msrn.profiles import Request
from msrn.store.checkpointing import OutOfTime
from msrn.store.results import Record
from msrn.training import parallel, runs
from msrn.training.runs import Run

MASKED = ("homeware", "procedural13")  # data sets that come with masks and have no photographs
ON_A_RING = (*MASKED, "shapenet")  # those whose cameras are at one distance and look at the centre, as the network's
# Settings that decide the candidates, of which a row that changes one has its own.
OF_CANDIDATES = ("candidate", "features")


@dataclass(frozen=True)
class Outcome:
    """A row as it was computed with one seed."""

    variant: Variant
    run: Run
    record: Record


class Bench:
    """What the rows of a table share: the request, its data, and the candidates, found once and only for training."""

    def __init__(self, experiment: str, request: Request, progress: bool = True) -> None:
        variants(experiment)
        self.experiment, self.request, self.progress = experiment, request, progress
        self.whole = self.train = open_collection(request.dataset, "train", request.data_root)
        self._check_masks()
        self.rows = slice(None)  # of the whole split, the images that ``train`` holds
        self._under: dict[tuple[str, int], Bench] = {}
        self.scored = open_collection(request.dataset, EXPERIMENTS[experiment].split, request.data_root)
        self.scored.ground_truth(self.scored.object_id[0])  # one that has no true shapes is refused before any training

    def outcomes(self, work: Sequence[tuple[Variant, int]], until: float | None = None) -> Iterator[Outcome]:
        """Every row and seed of ``work``, trained or loaded, scored or loaded; those that are trained side by side come
        as they are done. There a run that cannot go on stops no other one: what they said is raised at the end."""
        steps = sum(row.settings(self.request.settings).steps for row, _ in work)
        threads = parallel.threads_each(len(work), steps, self.request.device)
        waiting = [item for item in work if threads and self._steps_left(*item, until)]
        for row, seed in work:
            if (row, seed) not in waiting:
                yield self._outcome(row, seed, self.run(row, seed, until))
        if not waiting:
            return
        stopped: list[Exception] = []
        for i, made in parallel.train([self._apart(*item, until) for item in waiting], threads, self.progress):
            if isinstance(made, Exception):
                stopped.append(made)
            else:
                yield self._outcome(*waiting[i], made)
        for error in stopped:
            if isinstance(error, MsrnError):
                raise error
        if stopped:
            raise OutOfTime("\n".join(map(str, stopped)))

    def run(self, row: Variant, seed: int, until: float | None = None) -> Run:
        """A row with one seed, trained or loaded; a line on standard error says which and why."""
        label, bench = _label(row, seed), self.under(row, seed, until)
        if until is not None and time.monotonic() > until:
            raise OutOfTime(f"{label}: the time is over before it began")
        settings = row.settings(self.request.settings)
        device, features = self.request.device, bench.features
        made = runs.train_or_load(
            settings, bench.train, lambda: bench.candidates, seed, device, self.progress, label, until, features
        )
        if self.progress and not made.trained_now:
            print(made.how, file=sys.stderr, flush=True)
        return made

    def _outcome(self, row: Variant, seed: int, made: Run) -> Outcome:
        scored = self.under(row, seed).scored
        return Outcome(row, made, score.score_run(made, self._row(row.name), self.request, scored, self.progress))

    def _steps_left(self, row: Variant, seed: int, until: float | None) -> int:
        settings = row.settings(self.request.settings)
        bench = self.under(row, seed, until)
        return settings.steps - runs.last_step(settings, bench.train, seed, bench.features)

    def _apart(self, row: Variant, seed: int, until: float | None) -> parallel.Work:
        """A run for a process of its own. What all of them read is in the caches when they start."""
        bench, settings = self.under(row, seed, until), row.settings(self.request.settings)
        if settings.neighbor_consistency:
            bench._features(bench.train)
        folder = runs.folder_of(settings, bench.train, seed, bench.features)
        train = partial(_run, self.experiment, self.request, row, seed, until)
        return parallel.Work(_label(row, seed), folder, settings.steps, train)

    @property
    def raw(self) -> bool:
        """Whether the data come without masks, so that every row and seed sees images of its own (§3.1)."""
        return self.whole.masks is None

    def _check_masks(self) -> None:
        """A table about masks needs photographs that come without any, and for its row of true masks those as well."""
        if not any(row.overrides.get("masks") == "true" for row in variants(self.experiment)):
            return
        name = self.request.dataset
        if not self.raw:
            raise _unfit(self.experiment, f"is about masks, which {name} comes with")
        if not self.whole.has_true_masks:
            raise _unfit(self.experiment, f"has a row with true masks, of which {name} has none")

    def foreground(self, row: Variant, seed: int, until: float | None = None) -> Foreground:
        """What segments the images of a row."""
        settings = row.settings(self.request.settings)
        request = self.request
        return Foreground(self.whole, settings, seed, request.device, self.progress, until, request.weights)

    def under(self, row: Variant, seed: int, until: float | None = None) -> "Bench":
        """The bench that a row is trained on: another one when the row has its own candidates, training images or
        masks. It is made once."""
        key = row.name, seed
        if key not in self._under:
            self._under[key] = self._made_for(row, seed, until)
        return self._under[key]

    def _made_for(self, row: Variant, seed: int, until: float | None) -> "Bench":
        rows = row.training_rows(self.whole)
        own_candidates = any(name.startswith(OF_CANDIDATES) for name in row.overrides)
        if rows is None and not own_candidates and not self.raw:
            return self
        other = copy(self)
        other.request = replace(self.request, settings=row.settings(self.request.settings))
        for found in ("candidates", "features"):
            other.__dict__.pop(found, None)
        if self.raw:
            foreground = self.foreground(row, seed, until)
            other.whole = other.train = foreground.apply(self.whole)
            other.scored = foreground.apply(self.scored)
            cue_check.warn(foreground)
            found = other.whole.masks.any((1, 2))
            if not found.all():  # an image without foreground teaches nothing
                rows = np.flatnonzero(found) if rows is None else rows[found[rows]]
            if rows is not None and not len(rows):
                raise MsrnError(f"{foreground.name} found no foreground in any training image of {self.whole.name}")
        if rows is not None:
            other.train, other.rows = portion(other.whole, rows), rows
        return other

    def baselines(self) -> tuple[Record, ...]:
        """Rows that train nothing, so that nobody takes the others for more than they are."""
        return tuple(self.baseline(name) for name in self.yardsticks)

    @property
    def yardsticks(self) -> tuple[str, ...]:
        """Those of ``BASELINES`` that there can be: meshes are fitted to masks only where all cameras are known, and
        not at profile smoke, of whose minute that would take half."""
        known = re.sub(r"-\d+$", "", self.scored.name) in ON_A_RING
        fit = known and not says_nothing(self.request.profile)
        return tuple(name for name in BASELINES if fit or name != FITTED)

    def baseline(self, name: str) -> Record:
        """One of ``yardsticks``."""
        if name not in self.yardsticks:
            raise MsrnError(
                f"{name}: no row of {self.scored.name} at profile {self.request.profile}: expected one of "
                f"{', '.join(self.yardsticks)}"
            )
        s, index, train = self.request.settings, self.scored.evaluation_index, self.train

        def start() -> list[Mesh]:
            return baselines.ellipsoid(len(index), s.ellipsoid, s.mesh_level)

        def average() -> list[Mesh]:
            return baselines.mean_shape(self.scored, index, train)

        def anything() -> list[Mesh]:
            return baselines.meshes_of(train, baselines.random_object(self.scored, index, train, score.SEED))

        def alike(known: bool) -> list[Mesh]:
            of_test, of_train = self._features(self.scored), self._features(train)
            return baselines.meshes_of(
                train, baselines.nearest_object(self.scored, index, train, of_test, of_train, known)
            )

        by_features = [train.fingerprint, s.features, *self.features]
        rows = (
            (start, [s.ellipsoid, s.mesh_level]),
            (average, [train.fingerprint]),
            (anything, [train.fingerprint]),
            (lambda: alike(True), by_features),
            (lambda: alike(False), by_features),
            (lambda: baselines.fitted(self.scored, index, s, self.progress), [getattr(s, name) for name in FITTED_BY]),
        )
        make, depends = dict(zip(BASELINES, rows, strict=True))[name]
        folder = paths.runs_folder() / "baselines"
        return score.score_baseline(make, self._row(name), depends, self.request, self.scored, folder, self.progress)

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
            train.masks,
            train.categories,
            self.request.device,
            self.progress,
        )

    @cached_property
    def features(self) -> tuple[object, ...]:
        """Identity of the candidates' features where the request gave their weights; else their name says it."""
        name, weights = self.request.settings.features, self.request.weights.get("clip")
        return features_identity(name, weights) if weights else ()

    def _features(self, collection: ImageCollection) -> np.ndarray:
        """Eqs 28-30, (N, D) unit rows."""
        name, weights = self.request.settings.features, self.request.weights.get("clip")
        kept = collection is self.train
        whole = self.whole if kept else collection
        known = extract_features(whole, name, weights, self.progress, self.request.device)
        return known[self.rows] if kept else known

    def _row(self, name: str) -> tuple[str, str]:
        return self.experiment, name


def _run(experiment: str, request: Request, row: Variant, seed: int, until: float | None) -> Run | Exception:
    """``Bench.run`` in a process of its own; what stopped it is returned, so that the others go on."""
    try:
        return Bench(experiment, request, progress=False).run(row, seed, until)
    except (MsrnError, OutOfTime) as stopped:
        return stopped


def _label(row: Variant, seed: int) -> str:
    return f"{row.name}, seed {seed}"


def _unfit(name: str, said: str) -> MsrnError:
    wanted = "choose photographs with true shapes, such as pascal3d or homeware-wild"
    return MsrnError(f"{ABLATIONS[name].title} {said}: {wanted}")


def suited(name: str, request: Request) -> Request:
    """The request on data that the table can be made of: Table 7 is about masks, so it takes photographs without any in
    place of a data set that comes with them, and says so."""
    raw = ABLATIONS[name].raw if name in ABLATIONS else {}
    if raw and request.dataset == "shapenet":  # before it is packed
        raise _unfit(name, "is about masks, which shapenet comes with")
    if not raw or request.dataset not in MASKED:
        return request
    instead = raw.get(request.profile, raw["laptop"])
    said = f"finding the foreground needs photographs, and {request.dataset} comes with masks: {instead} instead"
    print(said, file=sys.stderr, flush=True)
    return replace(request, dataset=instead)

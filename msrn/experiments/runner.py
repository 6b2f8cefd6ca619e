"""From a table and a request to records: data -> foreground -> neighbours -> training -> score.

A row and a seed is one training (``Job``), or one a category where a table has a model a category. Trainings of equal
settings, data and seed are one run of the store, whichever tables ask for it.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from msrn import baselines
from msrn.backbone import stored_inputs
from msrn.baselines import Given
from msrn.data import open_collection, shapes_known
from msrn.data.collection import ImageCollection
from msrn.data.subset import limited, one_category, subset
from msrn.errors import MsrnError
from msrn.evaluation import score
from msrn.evaluation.neighbor_density import nearest_half
from msrn.evaluation.score import Label
from msrn.experiments.recorded import pool
from msrn.experiments.table import Row, Table
from msrn.foreground import cue_check
from msrn.foreground.pipeline import Foreground
from msrn.neighbors.azimuths import stored_azimuths
from msrn.neighbors.candidates import find_candidates
from msrn.neighbors.clusters import in_clusters
from msrn.neighbors.features import features_identity
from msrn.profiles import Request
from msrn.settings import Settings
from msrn.store.checkpointing import OutOfTime
from msrn.store.results import Record
from msrn.training import batches, parallel, runs
from msrn.training.runs import Run

MOST_IMAGES = 50_000  # beyond, candidates are searched for training alone
WHOLE = Row("M-SRN", settings={"categories": "given"})  # whose images the rows that train nothing see


@dataclass(frozen=True)
class Experiment:
    """A table under a request."""

    table: Table
    request: Request
    progress: bool = True
    until: float | None = None  # of time.monotonic, past which training stops, with OutOfTime

    def open(self, split: str) -> ImageCollection:
        collection, only = open_collection(self.request.dataset, split, self.request.data_root), self.table.category
        return one_category(collection, only) if only and len(collection.categories) > 1 else collection

    def given(self, job: "Job") -> Given:
        """What baselines see of a job; its features are those of the candidates."""
        request = self.request
        return Given(job.test, job.train, job.settings, request.weights, request.device, self.progress)

    def label(self, row: str) -> Label:
        return Label(self.table.name, row, self.request.label)

    def in_time(self, row: str) -> Label:
        """The label of a row, unless the time is over."""
        if self.until is not None and time.monotonic() > self.until:
            raise OutOfTime(f"{row}: the time is over before it began")
        return self.label(row)

    def check(self, measured: bool = True) -> None:
        """Refuse data that the table cannot be made of, before any work; with ``measured`` none without true shapes."""
        test, title, name = self.open(self.table.split), self.table.title, self.request.dataset
        wanted = "choose photographs with true shapes, such as pascal3d or homeware-wild"
        if "masks" in self.table.changed and test.masks is not None:
            raise MsrnError(f"{title} is about masks, which {name} comes with: {wanted}")
        if not (measured or shapes_known(name)):
            return
        test.ground_truth(str(test.object_id[test.evaluation_index[0]]))
        if "azimuths" in self.table.changed:
            self.open("train").true_pose()  # refused now where there is none
        if "masks" in self.table.changed and not test.has_true_masks:
            raise MsrnError(f"{title} has a row with true masks, of which {name} has none: {wanted}")


@dataclass(frozen=True)
class Job:
    """A training that a row asks for, and the images that it is scored on."""

    row: Row
    seed: int
    settings: Settings
    train: ImageCollection
    test: ImageCollection
    foreground: Foreground
    features: tuple[object, ...] = ()  # identity of the candidates' features where the request gave their weights
    category: str = ""

    @property
    def label(self) -> str:
        return ", ".join(filter(None, (self.row.name, self.category, f"seed {self.seed}")))

    @property
    def folder(self) -> Path:
        return runs.folder_of(self.settings, self.train, self.seed, self.features)

    @property
    def finished(self) -> bool:
        return runs.last_step(self.settings, self.train, self.seed, self.features) >= self.settings.steps


@dataclass(frozen=True)
class Outcome:
    """A row as it was computed with one seed: its run, or one a category, and its record."""

    row: Row
    runs: tuple[Run, ...]
    record: Record

    @property
    def run(self) -> Run:
        return self.runs[0]


@dataclass(frozen=True)
class Result:
    """Everything that a table and its figures show."""

    table: Table
    request: Request
    test: ImageCollection  # as the whole network sees it with the first seed
    outcomes: tuple[Outcome, ...]  # row by row in the paper's order, seed by seed
    baselines: tuple[Record, ...]
    recorded: tuple[Record, ...]  # all recorded results of the tables
    seconds: float  # from the request to the table

    def of(self, name: str) -> list[Outcome]:
        """The outcomes of a row, one a seed; none for a quoted row."""
        return [outcome for outcome in self.outcomes if outcome.row.name == name]

    @property
    def trained(self) -> list[Row]:
        """The rows that have outcomes."""
        return [row for row in self.table.trained if self.of(row.name)]

    @property
    def yardsticks(self) -> dict[str, list[Record]]:
        """What stands beside the rows and no method may know."""
        return {record.variant: [record] for record in self.baselines}

    @property
    def from_files(self) -> dict[str, list[Record]]:
        """The rows that were scored from files on the same objects and points."""
        here = "files", self.table.name, self.outcomes[0].record.measured_on
        mine = [record for record in self.recorded if (record.kind, record.experiment, record.measured_on) == here]
        return {record.variant: [record] for record in mine}

    @property
    def rows(self) -> dict[str, list[Record]]:
        """The records of this run, of every row."""
        return {row.name: [outcome.record for outcome in self.of(row.name)] for row in self.table.rows}


def make(table: Table, request: Request, progress: bool = True, until: float | None = None) -> Result:
    """A table under ``request``: trained rows with every seed, then the baselines. ``OutOfTime`` past ``until``."""
    started, past = time.perf_counter(), tuple(pool())
    rows = (table if shapes_known(request.dataset) else table.without_truth()).trained
    experiment = Experiment(table, request, progress, until)
    experiment.check(measured=not table.photographs)
    done = tuple(outcomes(experiment, [(row, seed) for row in rows for seed in request.seeds]))
    whole = job_of(experiment, WHOLE, request.seeds[0])
    given = experiment.given(whole)
    names = baselines.possible(given)
    yardsticks = tuple(baselines.score(name, given, experiment.label(name), past, table.metrics) for name in names)
    request = replace(request, dataset=whole.test.name)  # pix3d has another name when its split is ours
    return Result(table, request, whole.test, done, yardsticks, past, time.perf_counter() - started)


def outcomes(experiment: Experiment, work: Sequence[tuple[Row, int]]) -> Iterator[Outcome]:
    """Every row and seed of ``work``. Trainings that go side by side come first; of these one that cannot go on stops
    no other, and what stopped it is raised at the end."""
    rows = [jobs_of(experiment, *item) for item in work]
    every = [job for jobs in rows for job in jobs]
    threads = parallel.threads_each(len(every), sum(job.settings.steps for job in every), experiment.request.device)
    left = {job.folder: job for job in every if threads and not job.finished}
    done = dict(parallel.train(_work(experiment, left.values()), threads, experiment.progress))
    stopped = {folder: run for folder, run in done.items() if isinstance(run, Exception)}
    for jobs in rows:
        if not any(job.folder in stopped for job in jobs):
            yield outcome(experiment, jobs, done)
    for error in stopped.values():
        if isinstance(error, MsrnError):
            raise error
    if stopped:
        raise OutOfTime("\n".join(map(str, stopped.values())))


def outcome(experiment: Experiment, jobs: Sequence[Job], done: Mapping[Path, Run]) -> Outcome:
    """Training -> score, for a row with one seed; ``done`` holds the runs that were trained side by side."""
    label, how, trained, records = experiment.label(jobs[0].row.name), experiment.progress, [], []
    for job in jobs:
        trained.append(done.get(job.folder) or train(experiment, job))
        records.append(score.score_run(trained[-1], label, job.test, how, experiment.table.metrics))
    return Outcome(jobs[0].row, tuple(trained), score.joined(records) if len(records) > 1 else records[0])


def jobs_of(experiment: Experiment, row: Row, seed: int) -> list[Job]:
    """The trainings of a row with one seed: one, or one for each category of the table that the data set has."""
    known = experiment.open(experiment.table.split).categories
    jobs = [job_of(experiment, row, seed, name) for name in experiment.table.categories if name in known]
    jobs = jobs or [job_of(experiment, row, seed)]
    for job in jobs:
        cue_check.warn(job.foreground)
    return jobs


def job_of(experiment: Experiment, row: Row, seed: int, category: str = "") -> Job:
    """Data -> foreground: what a row is trained and scored on. Images with masks pass through the foreground module."""
    settings, request = row.settings_on(experiment.request.settings), experiment.request
    train, test = experiment.open("train"), experiment.open(experiment.table.split)
    if category:
        train, test = one_category(train, category), one_category(test, category)
    how = experiment.progress, experiment.until, request.weights
    foreground = Foreground(train, settings, seed, request.device, *how)
    images, test = foreground.apply(train), foreground.apply(test)
    rows = np.arange(len(images)) if row.objects is None else limited(images, row.objects)
    if train.masks is None:  # an image without foreground teaches nothing
        rows = rows[images.masks.any((1, 2))[rows]]
    if not len(rows):
        raise MsrnError(f"{foreground.name} found no foreground in any training image of {train.name}")
    images = subset(images, rows) if len(rows) < len(images) else images
    clip = request.weights.get("clip")
    features = features_identity(settings.features, clip) if clip else ()
    job = Job(row, seed, settings, images, test, foreground, features, category)
    if settings.categories == "clusters":
        job = replace(job, train=in_clusters(images, experiment.given(job).features(images), seed))
    return job


def train(experiment: Experiment, job: Job) -> Run:
    """Neighbours -> training, or loading; a line on standard error says which and why."""
    if not job.finished:
        experiment.in_time(job.label)
    how = experiment.progress, job.label, experiment.until, job.features
    before = partial(neighbors_of, experiment, job), job.seed, experiment.request.device
    run = runs.train_or_load(job.settings, job.train, *before, *how, partial(azimuths_of, experiment, job))
    if experiment.progress and not run.trained_now:
        print(run.how, file=sys.stderr, flush=True)
    return run


def neighbors_of(experiment: Experiment, job: Job) -> np.ndarray:
    """Eqs 27-32 on the training images, (N, k_cos); half as many where true shapes choose, for a yardstick alone."""
    s, images, device = job.settings, job.train, experiment.request.device
    rule = s.candidates, s.candidate_scope, s.candidate_objects, images.masks, images.categories
    how = {"device": device, "progress": experiment.progress, "seed": job.seed, "own_views": s.own_views}
    found = find_candidates(experiment.given(job).features(images), images.category, images.object_id, *rule, **how)
    return nearest_half(images, found) if s.neighbor_filter == "known" else found


def azimuths_of(experiment: Experiment, job: Job) -> np.ndarray:
    """Azimuths (N,) of the training images in degrees, found from look-alikes; or true ones, for a yardstick alone."""
    known = job.settings.azimuths == "known"
    return job.train.true_pose()[:, 0] if known else stored_azimuths(job.train, job.settings, experiment.progress)


def _work(experiment: Experiment, jobs: Iterable[Job]) -> list[parallel.Work]:
    """Trainings for processes of their own. What all of them read is in the caches when they start."""
    work, quiet = [], replace(experiment, progress=False)
    for job in jobs:
        if batches.has_candidates(job.settings):
            experiment.given(job).features(job.train)
        stored_inputs(job.train, job.settings, experiment.progress)
        if job.settings.azimuths == "look-alikes":
            stored_azimuths(job.train, job.settings, experiment.progress)
        call = partial(_train_apart, quiet, job.row, job.seed, job.category)
        work.append(parallel.Work(job.label, job.folder, job.settings.steps, call))
    return work


def _train_apart(experiment: Experiment, row: Row, seed: int, category: str) -> Run:
    """In its own process, which opens its images itself."""
    return train(experiment, job_of(experiment, row, seed, category))

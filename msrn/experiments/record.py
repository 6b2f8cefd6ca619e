"""Recorded results: ``results/<exhibit>/*.json``, made in as many portions as machine time comes in.

Every result is written as soon as it is measured; a run that did not finish has a checkpoint and goes on next time.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from msrn import baselines
from msrn.errors import MsrnError
from msrn.evaluation import examples, masks, neighbor_density, score, volume
from msrn.evaluation.diagnosis import neighbor_measures
from msrn.evaluation.masks import Photographs
from msrn.evaluation.prediction_files import frame_warning, read_predictions
from msrn.evaluation.statistics import METRICS, estimate
from msrn.experiments.paper import MASKS
from msrn.experiments.recorded import pool
from msrn.experiments.runner import MOST_IMAGES, WHOLE, Experiment, Outcome, job_of, neighbors_of, outcomes
from msrn.experiments.table import Row, Table
from msrn.foreground.pipeline import LEARNED, Foreground
from msrn.profiles import Request
from msrn.store import files, meshes, results
from msrn.store.checkpointing import OutOfTime
from msrn.store.results import Record


def record_table(
    table: Table, request: Request, seconds: float, progress: bool = True, only: Sequence[str] = ()
) -> Iterator[str]:
    """Do what fits into ``seconds`` of a table's rows and seeds, or of the rows ``only``; a line for each result that
    was written and one on what is left."""
    experiment = Experiment(table, request, progress, time.monotonic() + seconds)
    whole = *table.trained, *table.yardsticks
    rows = [table.row(name) for name in only if name not in baselines.BASELINES] if only else whole
    for row in rows:  # refused before any work
        if not row.trained:
            how = f'msrn score FOLDER --as "{row.name}" --table {table.name} scores its predictions'
            raise MsrnError(f"row {row.name!r} of {table.name} is quoted, nobody trains it here: {how}")
    experiment.check()
    yardsticks = [name for name in baselines.BASELINES if name in only]
    if yardsticks or not only:  # else nobody waits for the masks of a row that is not asked for
        given = experiment.given(job_of(experiment, WHOLE, request.seeds[0]))
        yardsticks = yardsticks or baselines.possible(given)
    work = [(row, seed) for seed in request.seeds for row in rows]
    every = left = len(yardsticks) + len(work)
    try:
        first = (baselines.score(name, given, experiment.in_time(name), (), table.metrics) for name in yardsticks)
        trained = (with_neighbors(experiment, outcome) for outcome in outcomes(experiment, work))
        for record in itertools.chain(first, trained):
            left -= 1
            yield results.write(record)
    except OutOfTime as stopped:
        yield str(stopped)
    done = "everything is recorded" if not left else f"{left} of {every} left: the same command goes on"
    yield f"{table.name}, profile {request.label}, on {request.dataset}: {done}"


def with_neighbors(experiment: Experiment, outcome: Outcome) -> Record:
    """The record of an outcome with what its neighbours are: the mean true CD between an object and the candidates that
    it kept and those that it rejected, and the share that it kept. Candidates are searched for once more, so not of a
    row with a model a category, nor of more than ``MOST_IMAGES`` training images."""
    record, run = outcome.record, outcome.run
    if not run.settings.neighbor_consistency or run.settings.neighbor_filter == "views" or len(outcome.runs) > 1:
        return record
    job = job_of(experiment, outcome.row, record.seed)
    if len(job.train) > MOST_IMAGES:
        return record
    measures = neighbor_measures(run.network(), job.train, neighbors_of(experiment, job))
    found = {f"neighbor.{name}": measures[name].value for name in ("kept", "rejected", "chosen")}
    units = {**record.units, "neighbor": "CD in the paper's unit, between true shapes, by category; chosen: a share"}
    return record.model_copy(update={"metrics": record.metrics | found, "units": units})


def record_meshes(table: Table, request: Request, seconds: float, progress: bool = True) -> Iterator[str]:
    """Keep what a figure of a table shows: the meshes of its test objects, of every trained row with the first seed;
    what is not trained yet is, until the time is over. A line for each row."""
    experiment = Experiment(table, request, progress, time.monotonic() + seconds)
    experiment.check()
    seed, names = request.seeds[0], []
    rows = sorted(table.trained, key=lambda row: row.name != table.ours)  # the whole method first: it says which
    known = {record.evaluation for record in pool()}
    try:
        for outcome in outcomes(experiment, [(row, seed) for row in rows]):
            names = names or examples.every(examples.chosen(outcome.record))
            test = job_of(experiment, outcome.row, seed).test
            yield meshes.write(examples.meshes_of(outcome.run, outcome.record, test, names))
            if outcome.record.evaluation not in known:
                yield f"{outcome.row.name}: no page shows them before msrn record {table.name} has kept its values"
    except OutOfTime as stopped:
        yield str(stopped)


def record_masks(request: Request, seconds: float, progress: bool = True, only: Sequence[str] = ()) -> Iterator[str]:
    """Measure and keep the masks of the rows that are not recorded yet, until the time is over; a line for each."""
    rows = [(row, row.settings_on(request.settings)) for row in map(MASKS.row, only or MASKS.printed)]
    until, photographs = time.monotonic() + seconds, Photographs.open(request.dataset, request.data_root)
    for split in photographs.scored:
        split.true_masks()  # refused now when it has none, not after the fine-tuning
    # A row that changes nothing of this profile would be the whole one again; masks that draw nothing have seed 0.
    rows = [(row, s) for row, s in rows if only or not row.settings or s != request.settings]
    work = {(row.name, seed if s.masks in LEARNED else 0): s for seed in request.seeds for row, s in rows}
    try:
        for (name, seed), settings in work.items():
            foreground = Foreground(photographs.train, settings, seed, request.device, progress, until, request.weights)
            evaluation = masks.evaluation_digest(foreground, photographs)
            measure = partial(masks.measure, name, foreground, request.label, photographs)
            yield _once(("masks", request.dataset, request.label, name, seed), evaluation, measure)
            if time.monotonic() > until:
                raise OutOfTime("out of time: the same command goes on")
    except OutOfTime as stopped:
        yield str(stopped)


def record_density(table: Table, request: Request, progress: bool = True) -> Iterator[str]:
    """Measure the density of a data set's training split, unless that is recorded already."""
    experiment = Experiment(table, request, progress)
    job = job_of(experiment, WHOLE, request.seeds[0])
    candidates = neighbors_of(experiment, job)
    evaluation = neighbor_density.evaluation_digest(job.train, candidates)
    measure = partial(neighbor_density.measure, job.train, candidates, job.settings, request.label, progress)
    yield _once(("density", request.dataset, request.label, "density", 0), evaluation, measure)


def _once(name: tuple, evaluation: str, measure: Callable[[], Record]) -> str:
    """Keep what is recorded under ``name`` with the same evaluation, else measure it; a line that says which."""
    file = results.file_of(*name)
    known = files.read_json(file) or {}
    return results.keep(file, known) if known.get("evaluation") == evaluation else results.write(measure())


def record_files(table: Table, row: Row, request: Request, folder: Path, frame: str) -> Iterator[str]:
    """Score the predictions of another system that lie in ``folder`` as ``row`` of ``table``, and keep the record."""
    experiment = Experiment(table, request)
    experiment.check()
    test = experiment.open(table.split)
    predicted = read_predictions(folder, test, frame)
    yield from filter(None, [frame_warning(predicted, test)])
    record = score.score_files(predicted, experiment.label(row.name), request.settings, test, metrics=table.metrics)
    whole = len(test.evaluation_index)
    yield f"{row.name}: {len(predicted.indices):,} of {whole:,} objects of {test.name}/{table.split} have a prediction"
    if record.missing:
        yield f"without one, and in no mean: {len(record.missing):,}, such as {record.missing[0]}"
    if predicted.extra:
        yield f"files that name no object of the split: {len(predicted.extra):,}, such as {predicted.extra[0]}"
    if set(table.metrics) - record.objects.keys() == {volume.NAME}:
        yield f"{METRICS[volume.NAME].short} is not measured: points without faces have no inside"
    known = [name for name in ("cd", "f", volume.NAME) if name in record.objects]
    yield ", ".join(f"{METRICS[name].short} {estimate([record], name).text(name)}" for name in known)
    yield results.write(record)

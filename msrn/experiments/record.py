"""Recorded results: ``results/<exhibit>/*.json``, made in as many portions as machine time comes in.

``record_table`` does what is still missing of a table's rows and seeds, the longest first, until the time is over. With
names of rows it does those alone, in the order of the table. Every result is written as soon as it is measured; a run
that did not finish has a checkpoint and goes on next time. ``record_masks`` and ``record_density`` measure what tables
7 and 8 are explained by, and ``record_files`` scores predictions of another system.
"""

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from msrn import paths
from msrn.baselines import BASELINES
from msrn.errors import MsrnError
from msrn.evaluation import masks, neighbor_density, score
from msrn.evaluation.masks import Photographs
from msrn.evaluation.prediction_files import frame_warning, read_predictions
from msrn.evaluation.statistics import METRICS, estimate
from msrn.experiments.paper import MASKS
from msrn.experiments.runner import WHOLE, Experiment, baseline, baselines, job_of, neighbors_of, outcomes
from msrn.experiments.table import Row, Table
from msrn.foreground.pipeline import Foreground
from msrn.profiles import Request
from msrn.store import files, results
from msrn.store.checkpointing import OutOfTime
from msrn.store.results import Record

UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(budget: str) -> float:
    """Seconds of a text such as ``90s``, ``25m`` or ``8h``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget.strip())
    if not match or float(match[1]) == 0:
        raise MsrnError(f"--budget {budget}: expected a number and a unit, s, m or h, such as 25m")
    return float(match[1]) * UNITS[match[2]]


def record_table(
    table: Table, request: Request, seconds: float, progress: bool = True, only: Sequence[str] = ()
) -> Iterator[str]:
    """Do what fits into ``seconds``; a line for each result that was written and one on what is left."""
    asked = Experiment(table, request, progress, time.monotonic() + seconds)
    rows = [table.row(name) for name in only if name not in BASELINES] if only else table.trained
    for row in rows:
        _check_trained(row, table)
    asked.check()
    whole = job_of(asked, WHOLE, request.seeds[0])
    yardsticks = [name for name in BASELINES if name in (only or baselines(asked, whole))]
    work = [(row, seed) for seed in request.seeds for row in rows]
    if not only:
        work.sort(key=lambda item: _cost(*item, asked), reverse=True)
    every = left = len(yardsticks) + len(work)
    try:
        for record in _measured(asked, whole, yardsticks, work):
            left -= 1
            yield write(record)
    except OutOfTime as stopped:
        yield str(stopped)
    done = "everything is recorded" if not left else f"{left} of {every} left: the same command goes on"
    yield f"{table.name}, profile {request.label}, on {request.dataset}: {done}"


def _measured(
    asked: Experiment, whole: object, yardsticks: Sequence[str], work: Sequence[tuple[Row, int]]
) -> Iterator[Record]:
    for name in yardsticks:
        if time.monotonic() > asked.until:
            raise OutOfTime(f"{name}: the time is over before it began")
        yield baseline(asked, name, whole)
    for outcome in outcomes(asked, work):
        yield outcome.record


def _check_trained(row: Row, table: Table) -> None:
    if not row.trained:
        how = f'msrn score FOLDER --as "{row.name}" --table {table.name} scores its predictions'
        raise MsrnError(f"row {row.name!r} of {table.name} is quoted, nobody trains it here: {how}")


def _cost(row: Row, seed: int, asked: Experiment) -> float:
    """Steps of a run; of two the whole network, which has no part left out, takes longer."""
    return row.settings_on(asked.request.settings).steps - 0.1 * len(row.settings)


def record_masks(request: Request, seconds: float, progress: bool = True, only: Sequence[str] = ()) -> Iterator[str]:
    """Measure and keep the masks of the rows that are not recorded yet, until the time is over; a line for each."""
    until, photographs = time.monotonic() + seconds, Photographs.open(request.dataset, request.data_root)
    for split in photographs.scored:
        split.true_masks()  # refused now when it has none, not after the fine-tuning
    rows = [MASKS.row(name) for name in only] or [row for row in MASKS.trained if _counts(row, request)]
    work = dict.fromkeys((row.name, _seed_of(row, seed, request)) for seed in request.seeds for row in rows)
    for name, seed in work:
        row = MASKS.row(name)
        settings = row.settings_on(request.settings)
        foreground = Foreground(photographs.train, settings, seed, request.device, progress, until, request.weights)
        try:
            yield _write_masks(row, foreground, request, photographs)
        except OutOfTime as stopped:
            yield str(stopped)
            return
        if time.monotonic() > until:
            yield "out of time: the same command goes on"
            return


def _seed_of(row: Row, seed: int, request: Request) -> int:
    """0 for masks that draw nothing."""
    return seed if row.settings_on(request.settings).masks == "refined" else 0


def _counts(row: Row, request: Request) -> bool:
    """Rows that change nothing of this profile would be the whole one again."""
    return not row.settings or row.settings_on(request.settings) != request.settings


def _write_masks(row: Row, foreground: Foreground, request: Request, photographs: Photographs) -> str:
    file = _file("masks", request.dataset, request.label, row.name, foreground.seed)
    known = files.read_json(file) or {}
    if known.get("evaluation") == masks.evaluation_digest(foreground, photographs):
        return keep(file, known)
    return write(masks.measure(row.name, foreground, request.label, photographs))


def record_density(table: Table, request: Request, progress: bool = True) -> Iterator[str]:
    """Measure the density of a data set's training split, unless that is recorded already."""
    asked = Experiment(table, request, progress)
    job = job_of(asked, WHOLE, request.seeds[0])
    candidates = neighbors_of(asked, job)
    file = _file("density", request.dataset, request.label, "density", 0)
    known = files.read_json(file) or {}
    if known.get("evaluation") == neighbor_density.evaluation_digest(job.train, candidates):
        yield keep(file, known)
    else:
        yield write(neighbor_density.measure(job.train, candidates, job.settings, request.label, progress))


def record_files(table: Table, row: Row, request: Request, folder: Path, frame: str) -> Iterator[str]:
    """Score the predictions of another system that lie in ``folder`` as ``row`` of ``table``, and keep the record."""
    asked = Experiment(table, request)
    asked.check()
    test = asked.open(table.split)
    predicted = read_predictions(folder, test, frame)
    yield from filter(None, [frame_warning(predicted, test)])
    record = score.score_files(predicted, score.Label(table.name, row.name, request.label), request.settings, test)
    whole = len(test.evaluation_index)
    yield f"{row.name}: {len(predicted.indices):,} of {whole:,} objects of {test.name}/{table.split} have a prediction"
    if record.missing:
        yield f"without one, and in no mean: {len(record.missing):,}, such as {record.missing[0]}"
    if predicted.extra:
        yield f"files that name no object of the split: {len(predicted.extra):,}, such as {predicted.extra[0]}"
    yield ", ".join(f"{METRICS[name].short} {estimate([record], name).text(name)}" for name in ("cd", "f"))
    yield write(record)


def keep(file: Path, content: dict) -> str:
    """Write a result; what is the same already stays untouched, so that git shows no change."""
    shown = file.relative_to(paths.ROOT) if file.is_relative_to(paths.ROOT) else file
    if files.read_json(file) == content:
        return f"{shown}: unchanged"
    with files.writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(file, content)
    return f"{shown}: written"


def write(record: Record) -> str:
    """Keep a record under its own name."""
    file = _file(record.experiment, record.dataset, record.profile, record.variant, record.seed)
    return keep(file, results.to_json(record))


def _file(exhibit: str, dataset: str, label: str, row: str, seed: int) -> Path:
    words = (re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-") for text in (label, row.replace("w/o", "without")))
    return paths.RESULTS / exhibit / f"{dataset}-{'-'.join(words)}-seed{seed}.json"

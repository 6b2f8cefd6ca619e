"""Recorded results: ``results/<experiment>/*.json``, made in as many portions as machine time comes in.

``record`` does what is still missing of an experiment's rows and seeds, the longest first, until the time is over.
With names of rows it does those alone, in the order of the table.
Every result is written as soon as it is measured; a run that did not finish has a checkpoint and goes on next time.
"""

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from msrn import paths
from msrn.errors import MsrnError
from msrn.evaluation import score
from msrn.experiments.paper import variant, variants
from msrn.experiments.runner import Bench, suited
from msrn.experiments.table import BASELINES, Variant
from msrn.profiles import Request
from msrn.store import checkpointing, files, results
from msrn.store.results import Record
from msrn.training import runs

UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(budget: str) -> float:
    """Seconds of a text such as ``90s``, ``25m`` or ``8h``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget.strip())
    if not match or float(match[1]) == 0:
        raise MsrnError(f"--budget {budget}: expected a number and a unit, s, m or h, such as 25m")
    return float(match[1]) * UNITS[match[2]]


def record(
    experiment: str, request: Request, seconds: float, progress: bool = True, only: Sequence[str] = ()
) -> Iterator[str]:
    """Do what fits into ``seconds``, yielding a line for each result that was written and one on what is left."""
    until, request = time.monotonic() + seconds, suited(experiment, request)
    rows = _rows(experiment, request, only)
    bench = Bench(experiment, request, progress)
    waiting = [(row, seed) for seed in request.seeds for row in rows]
    if not only:
        waiting.sort(key=lambda work: _expected(bench, *work), reverse=True)
    yardsticks = [name for name in BASELINES if name in (only or bench.yardsticks)]
    every = left = len(yardsticks) + len(waiting)
    try:
        for made in _made(bench, yardsticks, waiting, until):
            left -= 1
            yield _keep(made)
    except checkpointing.OutOfTime as stopped:
        yield str(stopped)
    done = "everything is recorded" if not left else f"{left} of {every} left: the same command goes on"
    yield f"{experiment}, profile {request.label}, on {request.dataset}: {done}"


def _made(
    bench: Bench, yardsticks: Sequence[str], work: Sequence[tuple[Variant, int]], until: float
) -> Iterator[Record]:
    """Each result as soon as it is there, until the time is over."""
    for name in yardsticks:
        if time.monotonic() > until:
            raise checkpointing.OutOfTime(f"{name}: the time is over before it began")
        yield _baseline(bench, name)
    for outcome in bench.outcomes(work, until):
        yield outcome.record


def _rows(experiment: str, request: Request, only: Sequence[str]) -> list[Variant]:
    """The rows asked for. Of all rows, those that change nothing of this profile would be the first one again."""
    if only:
        return [variant(experiment, name) for name in only if name not in BASELINES]
    return [row for row in variants(experiment) if row.changes(request.settings) or not row.overrides]


def _expected(bench: Bench, row: Variant, seed: int) -> float:
    """Steps that a run still needs; of two new ones the whole network, which has no part left out, takes longer."""
    settings = row.settings(bench.request.settings)
    if bench.raw:  # which run it is shows only when its masks are made
        return settings.steps - 0.1 * len(row.overrides)
    under = bench.under(row, seed)
    done = runs.last_step(settings, under.train, seed, under.features)
    return settings.steps - done - 0.1 * len(row.overrides)


def _baseline(bench: Bench, name: str) -> Record:
    """A row that trains nothing, on the images as the whole network sees them."""
    whole = next(row for row in variants(bench.experiment) if not row.overrides)
    return bench.under(whole, score.SEED).baseline(name)


def keep(file: Path, content: dict) -> str:
    """Write a result; what is the same already stays untouched, so that git shows no change."""
    if files.read_json(file) == content:
        return f"{_shown(file)}: unchanged"
    with files.writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(file, content)
    return f"{_shown(file)}: written"


def plain(words: str) -> str:
    """Words as a part of a file name."""
    return re.sub(r"[^a-z0-9.]+", "-", words.lower()).strip("-")


def _keep(record: Record) -> str:
    """Write a result under its own name."""
    name = f"{plain(record.profile)}-{plain(record.variant.replace('w/o', 'without'))}-seed{record.seed}"
    return keep(paths.RESULTS / record.experiment / f"{record.dataset}-{name}.json", results.to_json(record))


def _shown(file: Path) -> Path:
    return file.relative_to(paths.ROOT) if file.is_relative_to(paths.ROOT) else file

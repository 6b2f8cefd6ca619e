"""Tables 7 and 8 as a reader meets them: published | recorded | this run | verdict, with their rule and their source.

Words about results are made from numbers here and in ``findings``, never written into a notebook.
"""

import os

import numpy as np

from msrn.experiments import recorded
from msrn.experiments.ablation import TITLES, Table, published, standing_beside, verdicts
from msrn.experiments.recorded import Group
from msrn.experiments.table import WHOLE
from msrn.experiments.verdicts import RULE, estimate, says_nothing, unsigned
from msrn.report import html
from msrn.report.html import Row
from msrn.store.results import Record, source_state


def table_html(result: Table, notebook: str = "") -> str:
    """For notebooks and the book; ``notebook`` is named in the source line."""
    return html.results_html(caption(result), list(TITLES.values()), rows(result), notes(result, notebook))


def table_text(result: Table, notebook: str = "") -> str:
    """For a terminal."""
    return html.results_text(caption(result), list(TITLES.values()), rows(result), notes(result, notebook))


def caption(result: Table) -> str:
    request = result.request
    seeds = ", ".join(str(seed) for seed in request.seeds)
    made = f"profile {request.profile}, {many(len(request.seeds), 'seed')} ({seeds})"
    return f"{result.table.title} on {request.dataset}, {made}"


def rows(result: Table) -> list[Row]:
    """The variants in the paper's order, then the baselines."""
    past = recorded.shown(result.recorded, result.request)
    found, said = now(result), verdicts(now(result), result.request.profile, result.table)
    made = []
    for row in result.table.rows:
        mine, printed = found[row.name], published(row)
        cells = [cell for m in TITLES for cell in (printed[m], _recorded(past, row.name, m), estimate(mine, m).text(m))]
        made.append(Row(row.name, tuple(cells), tuple(said[row.name])))
    for record in result.baselines:
        name = record.variant
        cells = [cell for m in TITLES for cell in ("", _recorded(past, name, m), estimate([record], m).text(m))]
        beside = "" if says_nothing(result.request.profile) else standing_beside(found[WHOLE], record)
        made.append(Row(name, tuple(cells), (("no claim of the paper", beside),), baseline=True))
    return made


def now(result: Table) -> dict[str, list[Record]]:
    """The records of this run's rows, by seed."""
    return {row.name: [outcome.record for outcome in result.of(row.name)] for row in result.table.rows}


def notes(result: Table, notebook: str) -> list[str]:
    """Unit, rule and source, a paragraph each."""
    unit = (
        "CD: 100 × half-sum of mean nearest distances, longest true edge = 1, after a search over turns about the "
        "vertical and rigid ICP; mean over categories, [95 % bootstrap interval over objects]. The paper's values are "
        f"for {result.table.printed_on}: {_comparable(result)}."
    )
    return [unit, RULE, *_recorded_note(result), source_line(result, notebook)]


def _comparable(result: Table) -> str:
    """How this run's values may be held against the printed ones."""
    if result.request.dataset != result.table.dataset:
        return f"on {result.request.dataset} compare signs, not values"
    return f"here are {len(np.unique(result.test.category))} of them"


def source_line(result: Table, notebook: str) -> str:
    """Which notebook, parameters, commit, device and data made the table, and what was computed for it."""
    request, record, count = result.request, result.outcomes[-1].record, len(result.outcomes)
    commit, dirty = source_state()
    now = (
        f"{result.trained_now} of {count} runs trained now"
        if result.trained_now
        else f"all {many(count, 'run')} loaded"
    )
    parts = [
        f"Source: {notebook or f'msrn.experiments.ablation.{result.name}'}",
        f"params/{request.profile}.yaml{request.label.removeprefix(request.profile)}",
        f"commit {commit}{' with uncommitted changes' if dirty else ''}",
        f"trained on {record.device} in {_training_time(result)}",
        f"{now}, table made in {duration(result.seconds)}",
        f"{record.n_objects} test objects, {record.points:,} points a surface",
        f"features {record.features}, masks {record.masks}",
    ]
    return "; ".join(parts) + "."


def _training_time(result: Table) -> str:
    """Of all runs: processor time where it is known, since runs that are trained side by side share the clock."""
    found = [outcome.record for outcome in result.outcomes]
    if all(record.train_cpu_seconds is not None and record.device.startswith("CPU") for record in found):
        return f"{duration(sum(record.train_cpu_seconds for record in found))} of processor time"
    return duration(sum(record.train_seconds for record in found))


def wants_progress() -> bool:
    """Whether bars help here: where someone watches, not on a page of the book."""
    return not os.environ.get("MSRN_BOOK")


def duration(seconds: float) -> str:
    """Such as ``12 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _recorded(past: Group | None, name: str, metric: str) -> str:
    kept = (*past.models, *past.baselines) if past else ()
    values = [record.metrics[metric] for record in kept if record.variant == name]
    return unsigned(float(np.mean(values)), metric) if values else "none yet"


def _recorded_note(result: Table) -> list[str]:
    past = recorded.shown(result.recorded, result.request)
    if not past:
        return []
    seeds, commits = {record.seed for record in past.models}, sorted({record.commit for record in past.models})
    then = "" if past.follows(result.request) or past.first.profile != result.request.label else " as it was then"
    where = f"profile {past.first.profile}{then} on {past.first.dataset}, {many(len(seeds), 'seed')}"
    return [f"Recorded: {where}, commit {', '.join(commits)}, {past.first.device}."]

"""Table 8 as a reader meets it: published | recorded | this run | verdict, with its rule and its source.

Words about results are made from numbers here and in ``findings``, never written into a notebook.
"""

import os
from collections.abc import Sequence

import numpy as np

from msrn import tables
from msrn.claims import RULE, SILENT_PROFILES, Claim, claim, difference, estimate, unsigned
from msrn.experiments import Table8
from msrn.params import Request, resolve
from msrn.records import Record, source_state
from msrn.tables import Row
from msrn.variants import TABLE8, WHOLE

TITLES = {"cd": "Chamfer distance ↓", "f": "F-score@0.01 ↑"}
SHORT = {"cd": "CD", "f": "F"}
PROFILE_ORDER = ("smoke", "laptop", "paper")  # of recorded results, those of the last are shown


def table_html(result: Table8, notebook: str = "") -> str:
    """For notebooks and the book; ``notebook`` is named in the source line."""
    return tables.results_html(caption(result), list(TITLES.values()), rows(result), notes(result, notebook))


def table_text(result: Table8, notebook: str = "") -> str:
    """For a terminal."""
    return tables.results_text(caption(result), list(TITLES.values()), rows(result), notes(result, notebook))


def caption(result: Table8) -> str:
    request = result.request
    seeds = ", ".join(str(seed) for seed in request.seeds)
    return f"Table 8 on {request.dataset}, profile {request.profile}, {many(len(request.seeds), 'seed')} ({seeds})"


def rows(result: Table8) -> list[Row]:
    """The variants in the paper's order, then the baselines."""
    past = shown_records(result.recorded, result.request.dataset)
    verdicts = {row.name: [] for row in TABLE8}
    for checked in claims(result):
        said = f"{SHORT[checked.metric]}: {checked.verdict(result.request.profile)}"
        verdicts[checked.worse].append((said, checked.standing()))
    made = []
    for row in TABLE8:
        found, published = (
            _records(result, row.name),
            {metric: unsigned(row.published[metric], metric) for metric in TITLES},
        )
        cells = [
            cell for m in TITLES for cell in (published[m], _recorded(past, row.name, m), estimate(found, m).text(m))
        ]
        made.append(Row(row.name, tuple(cells), tuple(verdicts[row.name])))
    for record in result.baselines:
        name = record.variant
        cells = [cell for m in TITLES for cell in ("", _recorded(past, name, m), estimate([record], m).text(m))]
        made.append(Row(name, tuple(cells), (("no claim of the paper", _beside(result, record)),), baseline=True))
    return made


def claims(result: Table8) -> list[Claim]:
    """What Table 8 says: the whole network beats each ablated one, in both metrics."""
    now = {row.name: _records(result, row.name) for row in TABLE8}
    published = {metric: {row.name: row.published[metric] for row in TABLE8} for metric in TITLES}
    ablated = [row.name for row in TABLE8 if row.name != WHOLE]
    return [claim(metric, WHOLE, name, published[metric], now) for name in ablated for metric in TITLES]


def notes(result: Table8, notebook: str) -> list[str]:
    """Unit, rule and source, a paragraph each."""
    unit = (
        "CD: 100 × half-sum of mean nearest distances, longest true edge = 1, after a search over turns about the "
        "vertical and rigid ICP; mean over categories, [95 % bootstrap interval over objects]. The paper's values are "
        f"for 13 categories of ShapeNet: on {result.request.dataset} compare signs, not values."
    )
    return [unit, RULE, *_recorded_note(result), source_line(result, notebook)]


def source_line(result: Table8, notebook: str) -> str:
    """Which notebook, parameters, commit, device and data made the table, and what was computed for it."""
    request, record, count = result.request, result.outcomes[-1].record, len(result.outcomes)
    commit, dirty = source_state()
    trained = sum(outcome.record.train_seconds for outcome in result.outcomes)
    now = (
        f"{result.trained_now} of {count} runs trained now"
        if result.trained_now
        else f"all {many(count, 'run')} loaded"
    )
    parts = [
        f"Source: {notebook or 'msrn.experiments.table8'}",
        f"params/{request.profile}.yaml{_overrides(request)}",
        f"commit {commit}{' with uncommitted changes' if dirty else ''}",
        f"trained on {record.device} in {duration(trained)}",
        f"{now}, table made in {duration(result.seconds)}",
        f"{record.n_objects} test objects, {record.points:,} points a surface",
        f"features {record.features}, masks {record.masks}",
    ]
    return "; ".join(parts) + "."


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


def shown_records(recorded: Sequence[Record], dataset: str) -> list[Record]:
    """Of the results recorded on a data set, those of the largest profile there is."""
    known = [record for record in recorded if record.dataset == dataset and record.profile in PROFILE_ORDER]
    largest = max((PROFILE_ORDER.index(record.profile) for record in known), default=-1)
    return [record for record in known if PROFILE_ORDER.index(record.profile) == largest]


def _records(result: Table8, name: str) -> list[Record]:
    return [outcome.record for outcome in result.of(name)]


def _recorded(recorded: Sequence[Record], name: str, metric: str) -> str:
    values = [record.metrics[metric] for record in recorded if record.variant == name]
    return unsigned(float(np.mean(values)), metric) if values else "none yet"


def _recorded_note(result: Table8) -> list[str]:
    shown = shown_records(result.recorded, result.request.dataset)
    if not shown:
        return []
    seeds, commits = {record.seed for record in shown}, sorted({record.commit for record in shown})
    where = f"profile {shown[0].profile} on {shown[0].dataset}, {many(len(seeds), 'seed')}"
    return [f"Recorded: {where}, commit {', '.join(commits)}, {shown[0].device}."]


def _beside(result: Table8, record: Record) -> str:
    """Where the whole network stands against a baseline, on which the paper claims nothing."""
    if result.request.profile in SILENT_PROFILES:
        return ""
    gap = difference(_records(result, WHOLE), [record], "cd")
    return f"CD, {WHOLE} − this: {gap.text('cd', sign=True)}"


def _overrides(request: Request) -> str:
    """Settings that differ from the profile's, such as `` with steps 50``."""
    base = resolve(request.profile, device="cpu").settings
    changed = [f"{name} {value}" for name, value in request.settings if value != getattr(base, name)]
    return f" with {', '.join(changed)}" if changed else ""

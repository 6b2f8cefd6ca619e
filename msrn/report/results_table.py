"""A table as a reader meets it: published | recorded | this run | verdict, with its rule and its source.

Words about results are made from numbers here and in ``conclusions``, never written into a notebook.
"""

from IPython.display import HTML

from msrn.evaluation.statistics import difference
from msrn.experiments import recorded
from msrn.experiments.recorded import Group
from msrn.experiments.runner import Result
from msrn.experiments.verdicts import RULE, says_nothing
from msrn.report.html import sheet_html
from msrn.report.sheet import Rows, Sheet, make_sheet
from msrn.report.words import duration, many
from msrn.store.results import Record, source_state


def show(result: Result) -> HTML:
    """For notebooks and the book."""
    return HTML(sheet_html(sheet_of(result)))


def sheet_of(result: Result) -> Sheet:
    """The rows in the paper's order, then those that train nothing. A row that was scored from files on the same
    objects stands under ``recorded`` and beside this run."""
    table, request, files = result.table, result.request, _from_files(result)
    past = recorded.beside(table, result.recorded, request)
    before = {**files, **_rows(past.rows, past.baselines)} if past else files
    now = {**files, **_rows(result.rows, result.baselines)}
    yardsticks = {
        record.variant: "" if says_nothing(request.profile) else standing_beside(now[table.ours], record, table.ours)
        for record in result.baselines
    }
    sources, notes = {"recorded": before, "this run": now}, _notes(result, past, files)
    return make_sheet(table, _caption(result), sources, request.profile, notes, yardsticks)


def standing_beside(ours: list[Record], baseline: Record, name: str) -> str:
    """Where the whole network stands against a baseline, on which the paper claims nothing."""
    return f"CD, {name} − this: {difference(ours, [baseline], 'cd').text('cd', sign=True)}" if ours else ""


def missing_words(rows: Rows) -> list[str]:
    """Of which rows from files some objects are without a prediction."""
    return [
        f"{name}: {many(len(records[0].missing), 'object')} without a prediction, in no mean and in no verdict"
        for name, records in rows.items()
        if records and records[0].missing
    ]


def _rows(rows: Rows, baselines: list[Record]) -> Rows:
    """The rows with records, and the baselines."""
    return {name: list(records) for name, records in rows.items() if records} | {r.variant: [r] for r in baselines}


def _from_files(result: Result) -> Rows:
    """Recorded scores of files, where they are of this run's objects and points."""
    one = result.outcomes[0].record
    return {
        record.variant: [record]
        for record in result.recorded
        if (record.kind, record.experiment) == ("files", result.table.name)
        and (record.dataset, record.fingerprint, record.points) == (one.dataset, one.fingerprint, one.points)
    }


def _caption(result: Result) -> str:
    request, table = result.request, result.table
    seeds = ", ".join(str(seed) for seed in request.seeds)
    what = f"profile {request.profile}, {many(len(request.seeds), 'seed')} ({seeds})"
    return f"{table.title}, {table.caption} (§{table.section}): on {request.dataset}, {what}"


def _notes(result: Result, past: Group | None, files: Rows) -> list[str]:
    """Unit, rule and source, a paragraph each."""
    table, dataset = result.table, result.request.dataset
    comparable = f"here are {len(set(result.test.category.tolist()))} of its categories"
    if dataset != table.data:
        comparable = f"on {dataset} compare signs, not values"
    cd = (
        "CD: 100 × half-sum of mean nearest distances, longest true edge = 1, after a search over turns about the "
        "vertical and rigid ICP. "
    )
    unit = (
        f"{cd if 'cd' in table.metrics else ''}Means over categories, [95 % bootstrap interval over objects]. The "
        f"paper's values are for {table.data}: {comparable}."
    )
    before = [_recorded_note(result, past)] if past else []
    missing = [f"{'; '.join(words)}."] if (words := missing_words(files)) else []
    return [unit, *([table.note] if table.note else []), RULE, *before, *missing, source_line(result)]


def _recorded_note(result: Result, past: Group) -> str:
    one, commits = past.first, sorted({record.commit for record in past.models})
    then = " as it was then" if one.profile == result.request.label and not past.follows(result.request) else ""
    where = f"profile {one.profile}{then} on {one.dataset}, {many(len(past.some_seeds), 'seed')}"
    return f"Recorded: {where}, commit {', '.join(commits)}, {one.device}."


def source_line(result: Result) -> str:
    """Which parameters, commit, device and data made the table, and what was computed for it."""
    request, record = result.request, result.outcomes[-1].record
    runs = [run for outcome in result.outcomes for run in outcome.runs]
    now = sum(run.trained_now for run in runs)
    commit, dirty = source_state()
    parts = (
        f"Source: msrn run {result.table.name}",
        f"params/{request.profile}.yaml{request.label.removeprefix(request.profile)}",
        f"commit {commit}{' with uncommitted changes' if dirty else ''}",
        f"trained on {record.device} in {_training_time(result)}",
        f"{now} of {len(runs)} runs trained now" if now else f"all {many(len(runs), 'run')} loaded",
        f"table made in {duration(result.seconds)}",
        f"{record.n_objects} test objects, {record.points:,} points a surface",
        f"features {record.features}, masks {record.masks}",
    )
    return "; ".join(parts) + "."


def _training_time(result: Result) -> str:
    """Of all runs: processor time where it is known, since runs that are trained side by side share the clock."""
    records = [outcome.record for outcome in result.outcomes]
    if all(record.train_cpu_seconds is not None and record.device.startswith("CPU") for record in records):
        return f"{duration(sum(record.train_cpu_seconds for record in records))} of processor time"
    return duration(sum(record.train_seconds for record in records))

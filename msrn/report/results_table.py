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
from msrn.report.sheet import Sheet, make_sheet
from msrn.report.words import duration, many
from msrn.store.results import Record, source_state


def show(result: Result) -> HTML:
    """For notebooks and the book."""
    return HTML(sheet_html(sheet_of(result)))


def sheet_of(result: Result) -> Sheet:
    """The rows in the paper's order, then those that train nothing."""
    past = recorded.beside(result.table, result.recorded, result.request)
    before = {**past.rows, **{record.variant: [record] for record in past.baselines}} if past else {}
    now = {**result.rows, **{record.variant: [record] for record in result.baselines}}
    files = {name: rows for name, rows in before.items() if rows and rows[0].kind == "files"}
    silent = says_nothing(result.request.profile)
    ours = now[result.table.ours]
    yardsticks = {
        record.variant: "" if silent else standing_beside(ours, record, result.table.ours)
        for record in result.baselines
    }
    sources = {"recorded": before, "this run": now | files}
    return make_sheet(result.table, _caption(result), sources, result.request.profile, _notes(result, past), yardsticks)


def standing_beside(ours: list[Record], baseline: Record, name: str) -> str:
    """Where the whole network stands against a baseline, on which the paper claims nothing."""
    return f"CD, {name} − this: {difference(ours, [baseline], 'cd').text('cd', sign=True)}" if ours else ""


def _caption(result: Result) -> str:
    request, table = result.request, result.table
    seeds = ", ".join(str(seed) for seed in request.seeds)
    made = f"profile {request.profile}, {many(len(request.seeds), 'seed')} ({seeds})"
    return f"{table.title}, {table.caption} (§{table.section}): on {request.dataset}, {made}"


def _notes(result: Result, past: Group | None) -> list[str]:
    """Unit, rule and source, a paragraph each."""
    unit = (
        "CD: 100 × half-sum of mean nearest distances, longest true edge = 1, after a search over turns about the "
        "vertical and rigid ICP; mean over categories, [95 % bootstrap interval over objects]. The paper's values are "
        f"for {result.table.data}: {_comparable(result)}."
    )
    return [unit, *filter(None, [result.table.note]), RULE, *_recorded_note(result, past), source_line(result)]


def _comparable(result: Result) -> str:
    """How this run's values may be held against the printed ones."""
    if result.request.dataset != result.table.data:
        return f"on {result.request.dataset} compare signs, not values"
    return f"here are {len(set(result.test.category.tolist()))} of its categories"


def source_line(result: Result) -> str:
    """Which parameters, commit, device and data made the table, and what was computed for it."""
    request, record = result.request, result.outcomes[-1].record
    trained = [run for outcome in result.outcomes for run in outcome.runs]
    now = sum(run.trained_now for run in trained)
    commit, dirty = source_state()
    parts = [
        f"Source: msrn run {result.table.name}",
        f"params/{request.profile}.yaml{request.label.removeprefix(request.profile)}",
        f"commit {commit}{' with uncommitted changes' if dirty else ''}",
        f"trained on {record.device} in {_training_time(result)}",
        f"{now} of {len(trained)} runs trained now" if now else f"all {many(len(trained), 'run')} loaded",
        f"table made in {duration(result.seconds)}",
        f"{record.n_objects} test objects, {record.points:,} points a surface",
        f"features {record.features}, masks {record.masks}",
    ]
    return "; ".join(parts) + "."


def _training_time(result: Result) -> str:
    """Of all runs: processor time where it is known, since runs that are trained side by side share the clock."""
    records = [outcome.record for outcome in result.outcomes]
    if all(record.train_cpu_seconds is not None and record.device.startswith("CPU") for record in records):
        return f"{duration(sum(record.train_cpu_seconds for record in records))} of processor time"
    return duration(sum(record.train_seconds for record in records))


def _recorded_note(result: Result, past: Group | None) -> list[str]:
    if not past:
        return []
    seeds, commits = past.some_seeds, sorted({record.commit for record in past.models})
    then = "" if past.follows(result.request) or past.first.profile != result.request.label else " as it was then"
    where = f"profile {past.first.profile}{then} on {past.first.dataset}, {many(len(seeds), 'seed')}"
    missing = [
        f"{name}: {many(len(rows[0].missing), 'object')} without a prediction, in no mean"
        for name, rows in past.rows.items()
        if rows and rows[0].missing
    ]
    return ["; ".join([f"Recorded: {where}, commit {', '.join(commits)}, {past.first.device}", *missing]) + "."]

"""A table as a reader meets it: published | recorded | this run | verdict, with its rule and its source."""

from collections.abc import Sequence
from dataclasses import replace

from IPython.display import HTML

from msrn.data import shapes_known
from msrn.experiments import recorded
from msrn.experiments.recorded import Group
from msrn.experiments.runner import Result
from msrn.experiments.verdicts import RULE, Rows, says_nothing
from msrn.profiles import Request, profiles, resolve
from msrn.report.html import sheet_html
from msrn.report.sheet import Sheet, make_sheet
from msrn.report.words import WITHOUT_SHAPES, book_profile, duration, many, seconds_of_a_run
from msrn.store.results import Record, source_state


def show(result: Result) -> HTML:
    return HTML(sheet_html(sheet_of(result)))


def sheet_of(result: Result) -> Sheet:
    """The rows in the paper's order, then those that train nothing. A row that was scored from files on the same
    objects and points stands under ``recorded`` and beside this run, which in the book has no column where it proves
    no more than the wiring."""
    known, request, files = shapes_known(result.test.name), result.request, result.from_files
    table = result.table if known else result.table.without_truth()
    asked = asked_of(result)
    alone, past = asked is not request, recorded.beside(table, result.recorded, asked)
    here = {} if alone else {"this run": files | rows_of(result)}
    sources = {"recorded": files | (rows_of(past) if past else {}), **here}
    seeds = f"{many(len(request.seeds), 'seed')} ({', '.join(map(str, request.seeds))})"
    where = f"on {request.dataset}, profile {request.profile}, {seeds}"
    where = f"as recorded on {asked.dataset}" if alone else where
    caption = f"{table.title}, {table.caption} (§{table.section}): {where}"
    recording = "Nothing is recorded yet." * alone
    if past:
        recording = f"Recorded on {past.first.dataset}, {past.first.n_objects} test objects: {origin(past)}."
    source = "" if alone else source_line(result)
    unit = _unit(replace(result, request=asked)) if known else WITHOUT_SHAPES
    notes = [unit, table.note, RULE * bool(table.claims), recording, *missing_words(files), source]
    profile = past.first.profile if alone and past else request.profile
    return make_sheet(table, caption, sources, profile, list(filter(None, notes)))


def asked_of(result: Result) -> Request:
    """Whose recorded results stand beside: on a page of the book without stored runs, alone, those of its profile."""
    profile = says_nothing(result.request.profile) and book_profile()
    return resolve(profile, data=result.table.data, device="cpu") if profile else result.request


def rows_of(source: Result | Group) -> dict[str, list]:
    """The rows that have records, and the yardsticks."""
    return {name: records for name, records in source.rows.items() if records} | source.yardsticks


def missing_words(rows: Rows) -> list[str]:
    """Of which rows from files some objects are without a prediction."""
    return [
        f"{name}: {many(len(records[0].missing), 'object')} without a prediction, in no mean and in no verdict."
        for name, records in rows.items()
        if records and records[0].missing
    ]


def origin(group: Group) -> str:
    """How a group was made: profile, seeds, devices with the time of a run, commits."""
    commits, seeds = ", ".join(sorted({record.commit for record in group.models})), many(group.seeds, "seed")
    return f"profile {profile_of(group)}, {seeds}, {training_time(group.models)}, commit {commits}"


def profile_of(group: Group) -> str:
    """Its name, and whether it had other settings then."""
    name, asked = group.first.profile, group.first.kind == "model" and group.first.profile in profiles()
    then = asked and not group.follows(resolve(name, group.first.dataset, device="cpu"))
    return f"{name}{' as it was then' * then}"


def training_time(models: Sequence[Record]) -> str:
    return ", ".join(f"{duration(seconds)} a run on {device}" for device, seconds in seconds_of_a_run(models).items())


def _unit(result: Result) -> str:
    table, dataset = result.table, result.request.dataset
    here = f"here are {len(set(result.test.category.tolist()))} of its categories"
    how = "only rows measured on it" if len(table.trained) == 1 else "signs, not values"
    comparable = here if dataset == table.data else f"on {dataset} compare {how}"
    cd = (
        "CD: 100 × half-sum of mean nearest distances between outer surfaces, longest true edge = 1, after a search "
        "over turns about the vertical and rigid ICP; per axis, after a scale of each axis as well. "
    ) * ("cd" in table.metrics)
    means = "Means over categories, [95 % bootstrap interval over objects]."
    return f"{cd}{means} The paper's values are for {table.data}: {comparable}."


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
        f"trained in {training_time([outcome.record for outcome in result.outcomes])}",
        f"{now} of {len(runs)} runs trained now"
        if now
        else f"{f'all {len(runs)} runs' if runs[1:] else 'the run'} loaded",
        f"table made in {duration(result.seconds)}",
        f"{record.n_objects} test objects" + f", {record.points:,} points a surface" * (record.points > 0),
        f"features {record.features}, masks {record.masks}",
    )
    return "; ".join(parts) + ". The same seed has the same digits on the same machine; on another they may differ."

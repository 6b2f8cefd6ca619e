"""The exhibits: which there are, how the recorded runs of each stand and what is left to train, and how they are made.

A run is a row with a seed; a row is wanted with as many seeds as a verdict needs. A run is *fresh* when it was recorded
under the settings that the profile has now and the protocol of today, and *stale* when it was not.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from tabulate import tabulate

from msrn import paths
from msrn.errors import MsrnError, check_known
from msrn.evaluation.protocol import VERSION
from msrn.experiments import record as recording
from msrn.experiments import recorded, runner
from msrn.experiments.paper import FIGURES, MASKS, TABLES
from msrn.experiments.recorded import Group
from msrn.experiments.table import Table
from msrn.experiments.verdicts import SEEDS_FOR_A_VERDICT
from msrn.profiles import Request, resolve, seconds_of
from msrn.report.results_table import sheet_of
from msrn.report.text import sheet_text
from msrn.report.words import duration, many, seconds_of_a_run
from msrn.store.checkpointing import OutOfTime
from msrn.store.files import writing
from msrn.store.results import Record
from msrn.training.runs import list_runs

NAME = re.compile(r"(table|figure|section)\d+(_\d+)*")
HEAD = "exhibit", "§", "rows", "data", "fresh", "stale", "missing", "a run trains", "left", "remark"
MOST_REASONS = 2  # that a line names


@dataclass(frozen=True)
class Standing:
    """How the recorded runs of a table stand under a request."""

    wanted: int
    fresh: int
    stale: int
    remark: str  # why they are stale, or where else there are some
    seconds: float | None  # that a run trains, in mean over the rows; None: not known
    to_train: float | None = None  # seconds that all take that is not fresh, one after the other

    @property
    def missing(self) -> int:
        return self.wanted - self.fresh - self.stale

    @property
    def left(self) -> str:
        if self.wanted == self.fresh:
            return "–"
        return "not known" if self.to_train is None else duration(self.to_train)


def notebooks() -> dict[str, Path]:
    """The notebook of each exhibit that has one, by the beginning of its name, such as ``table8``."""
    names = {match[0]: file for file in paths.NOTEBOOKS.glob("*.ipynb") if (match := NAME.match(file.stem))}
    return {name: names[name] for name in by_number(names)}


def by_number(names: Iterable[str]) -> list[str]:
    """Figures, sections, tables, each kind by number."""
    return sorted(names, key=lambda name: (NAME.match(name)[1], [int(number) for number in re.findall(r"\d+", name)]))


def longest_first(names: Iterable[str], requests: dict[str, Request]) -> list[str]:
    """Exhibits in the order in which they are best made: tables by what all of their runs train, those of which that is
    not known before, and then what trains little or nothing of its own. ``requests`` has one for each table."""
    records = recorded.pool()

    def length(name: str) -> float:
        if name not in requests:
            return 0.0
        table, request = TABLES[name], requests[name]
        seconds = standing(table, request, records).seconds
        return float("inf") if seconds is None else seconds * len(table.trained) * len(request.seeds)

    return sorted(by_number(names), key=length, reverse=True)


def listing(profile: str = "auto") -> str:
    """Each table under ``profile`` in a line, and each other notebook."""
    pages, records = notebooks(), recorded.pool()
    lines = [
        _line(TABLES[name], profile, records, name in pages) if name in TABLES else [name, *[""] * 8, pages[name].name]
        for name in by_number({*TABLES, *pages})
    ]
    return tabulate(lines, HEAD, "plain", disable_numparse=True)


def _line(table: Table, profile: str, records: Sequence[Record], page: bool) -> list[str]:
    request = resolve(profile, data=table.data, device="cpu")  # nothing is trained
    stands, quoted = standing(table, request, records), len(table.rows) - len(table.trained)
    rows = f"{len(table.trained)} trained" + (f", {quoted} quoted" if quoted else "")
    data = table.data if request.dataset == table.data else f"{request.dataset} for {table.data}"
    counts = [str(count) for count in (stands.fresh, stands.stale, stands.missing)]
    each = "not known" if stands.seconds is None else duration(stands.seconds)
    remarks = [stands.remark, "" if page else "no notebook yet"]
    return [table.name, table.section, rows, data, *counts, each, stands.left, "; ".join(filter(None, remarks))]


def standing(table: Table, request: Request, records: Sequence[Record]) -> Standing:
    """How a table stands; of records of other settings or protocols the best ones are counted as stale."""
    seeds = max(SEEDS_FOR_A_VERDICT, len(request.seeds))
    group = recorded.beside(table, records, request)
    kept = {name: min(len(row), seeds) for name, row in group.trained.items()} if group else {}
    reasons = _why_stale(group, request) if group else []
    remark = "; ".join(reasons[:MOST_REASONS])
    if len(reasons) > MOST_REASONS:
        remark += f" and {len(reasons) - MOST_REASONS} more"
    count = sum(kept.values())
    fresh, stale = (0, count) if reasons else (count, 0)
    if reasons and group.first.profile != request.label:  # what another profile made is neither
        stale, remark = 0, f"recorded at profile {group.first.profile}"
    wanted, each = len(table.trained) * seeds, _seconds(table, request, records, group)
    if not each:
        return Standing(wanted, fresh, stale, remark, None)
    to_train = sum(of_row * (seeds - (0 if reasons else kept.get(name, 0))) for name, of_row in each.items())
    return Standing(wanted, fresh, stale, remark, float(np.mean([*each.values()])), to_train)


def _why_stale(group: Group, request: Request) -> list[str]:
    """What was otherwise when a group was recorded."""
    changes = group.changes(request)
    if group.first.protocol < VERSION:
        changes = {"protocol": (group.first.protocol, VERSION)} | changes
    return [f"{name} was {then}, is {now}" for name, (then, now) in changes.items()]


def _seconds(table: Table, request: Request, records: Sequence[Record], group: Group | None) -> dict[str, float]:
    """That a run of each trained row trains: as recorded of its settings; else at the pace of a step in the profile's
    other runs, on the same data set and of a row of the same name where there are some, times the models that it has
    (one a category, or one). Empty where the profile has no runs."""
    alike = [
        record for record in records
        if record.kind == "model" and record.profile == request.label and not TABLES[record.experiment].categories
    ]  # fmt: skip
    alike = [record for record in alike if record.dataset == request.dataset] or alike
    own = group.trained if group and group.follows(request) else {}
    seconds = {}
    for name in (row.name for row in table.trained):
        if own.get(name):
            seconds[name] = list(seconds_of_a_run(own[name]).values())[-1]
        elif alike:
            same = [record for record in alike if record.variant == name] or alike
            pace = float(np.mean([record.train_seconds / record.settings["steps"] for record in same]))
            models = max(1, len({*table.categories} & {*alike[0].objects["category"]}))
            seconds[name] = pace * request.settings.steps * models
    return seconds if len(seconds) == len(table.trained) else {}


def make_each(pages: Mapping[str, Path | None], parameters: dict[str, Any], until: float | None = None) -> None:
    """Make exhibits in turn, given with their notebooks. What is left when ``until`` (of time.monotonic) has passed is
    named, and a page that was begun is finished; of several exhibits one that cannot be made stops no other."""
    left, failed = [], []
    for name, notebook in pages.items():
        try:
            if until is not None and time.monotonic() > until:
                left.append(name)
            else:
                make(name, notebook, parameters, until)
        except OutOfTime as stopped:
            click.echo(str(stopped))
            left.append(name)
        except MsrnError as error:
            if len(pages) == 1:
                raise
            click.echo(f"msrn: {name}: {error}", err=True)
            failed.append(name)
    if left:
        click.echo(f"The time is over; left: {', '.join(left)}. The same command goes on.")
    if failed:
        raise MsrnError(f"{len(failed)} of {len(pages)} exhibits could not be made, as said above: {', '.join(failed)}")


def make(name: str, notebook: Path | None, parameters: dict[str, Any], until: float | None = None) -> None:
    """A table first in this process, where its progress bars reach the terminal; its notebook then finds all of it."""
    started, table = time.monotonic(), TABLES.get(name)
    data = TABLES.get(FIGURES.get(name, name), MASKS).data
    request = resolve(**parameters, data=data)  # refused now, not in a notebook's cell
    if table:
        click.echo(sheet_text(sheet_of(runner.make(table, request, until=until))) + "\n")
    if notebook:
        output = execute(notebook, {**parameters, "profile": request.profile})
        click.echo(f"Notebook with figures: {output}")
    click.echo(f"All of it took {duration(time.monotonic() - started)}.")


def execute(source: Path, parameters: dict[str, Any]) -> Path:
    """A notebook with its outputs, written into the store of runs; one that fails stays there under another name, with
    the traceback in it."""
    import papermill

    output = paths.runs_folder() / source.name
    unfinished = output.with_suffix(".unfinished.ipynb")
    with writing(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            papermill.execute_notebook(
                source, unfinished, parameters, cwd=source.parent, progress_bar={"desc": source.name}
            )
        except papermill.PapermillExecutionError as error:
            reason = f"{error.ename}: {error.evalue}".splitlines()[0]
            raise MsrnError(f"{source.name}: cell {error.exec_count} failed ({reason}); see {unfinished}") from None
        unfinished.replace(output)
    return output


def record(exhibit: str, parameters: dict[str, Any], budget: str, only: Sequence[str]) -> Iterator[str]:
    """Keep results of a table, of masks or of density, or the meshes of a figure, as ``msrn record`` says; lines."""
    check_known("exhibit", exhibit, (*TABLES, *FIGURES, "masks", "density"))
    table = {"masks": MASKS, "density": TABLES["table8"]}.get(exhibit) or TABLES[FIGURES.get(exhibit, exhibit)]
    request, seconds = resolve(**parameters, data=table.data), seconds_of(budget)
    if only and (exhibit == "density" or exhibit in FIGURES):
        raise MsrnError(f"--only {only[0]}: {exhibit} is recorded whole, leave it out")
    if exhibit == "density":
        return recording.record_density(table, request)
    if exhibit in FIGURES:
        return recording.record_meshes(table, request, seconds)
    if exhibit == "masks":
        return recording.record_masks(request, seconds, only=only)
    return recording.record_table(table, request, seconds, only=only)


def stored_runs() -> str:
    """The runs of the store: variant, state, step, time, size on disk."""
    stored, lines = list_runs(), []
    for run in stored:
        size = f"{run['bytes'] / 2**20:,.1f}"
        if not run["readable"]:
            lines.append([run["name"], "–", "params.yaml unreadable", "", "", size])
            continue
        state = "finished, evaluated" if run["evaluated"] else "finished"
        if run["step"] < run["steps"]:
            state = "unfinished"
        elif not run["current"]:
            state = "made by older code"
        step = f"{run['step']:,} / {run['steps']:,}"
        lines.append([run["name"], run["variant"] or "–", state, step, duration(run["seconds"]), size])
    if not lines:
        return "no runs yet: msrn run table8 makes them"
    head, right = ("run", "variant", "state", "step", "time", "MB"), ("left",) * 3 + ("right",) * 3
    table = tabulate(lines, head, "plain", disable_numparse=True, colalign=right)
    return f"{table}\n{many(len(stored), 'run')}, {sum(run['bytes'] for run in stored) / 2**20:,.0f} MB"

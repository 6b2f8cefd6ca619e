"""The exhibits and their notebooks: which there are, how each stands, and what opens a page."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from IPython.display import Markdown
from tabulate import tabulate

from msrn import paths
from msrn.experiments import recorded
from msrn.experiments.paper import TABLES
from msrn.experiments.table import Table
from msrn.experiments.verdicts import says_nothing
from msrn.profiles import Request, resolve
from msrn.report.words import duration, many, seconds_of_a_run
from msrn.store.results import Record

NAME = re.compile(r"(table|figure|section)\d+(_\d+)*")
HEAD = "exhibit", "§", "rows", "data", "a row trains", "state"


def notebooks() -> dict[str, Path]:
    """The notebook of each exhibit that has one, by the beginning of its name, such as ``table8``."""
    names = {match[0]: file for file in paths.NOTEBOOKS.glob("*.ipynb") if (match := NAME.match(file.stem))}
    return {name: names[name] for name in by_number(names)}


def by_number(names: Iterable[str]) -> list[str]:
    """Figures, sections, tables, each kind by number."""
    return sorted(names, key=lambda name: (NAME.match(name)[1], [int(number) for number in re.findall(r"\d+", name)]))


def listing(profile: str = "auto") -> str:
    """Each table and each other notebook in a line: section, rows, data, what a row costs under ``profile``, state."""
    pages, records = notebooks(), recorded.pool()
    lines = [
        _line(TABLES[name], profile, records, name in pages) if name in TABLES else [name, *[""] * 4, pages[name].name]
        for name in by_number({*TABLES, *pages})
    ]
    return tabulate(lines, HEAD, "plain", disable_numparse=True)


def _line(table: Table, profile: str, records: Sequence[Record], page: bool) -> list[str]:
    request = resolve(profile, data=table.data, device="cpu")  # nothing is trained
    group = recorded.beside(table, records, request)
    quoted, cost, state = len(table.rows) - len(table.trained), "–", "not recorded"
    if group:
        state = f"{many(group.seeds, 'seed')} recorded"
        if group.follows(request):
            cost = duration(list(seconds_of_a_run(group.models).values())[-1])
        elif group.first.profile == request.label:
            state += " as the profile was then"
        else:
            state += f" at profile {group.first.profile}"
        state += "" if group.complete else ", not every row"
    rows = f"{len(table.trained)} trained" + (f", {quoted} quoted" if quoted else "")
    data = table.data if request.dataset == table.data else f"{request.dataset} for {table.data}"
    return [table.name, table.section, rows, data, cost, state + ("" if page else "; no notebook yet")]


def header(request: Request, table: Table) -> Markdown:
    """For the page of a table."""
    s, seeds = request.settings, ", ".join(map(str, request.seeds))
    return Markdown(
        f"**Profile {request.label}**: data set {_data(request)}, {s.steps:,} steps of {s.batch_size} "
        f"images, {s.image_size} × {s.image_size} pixels, icosphere {s.mesh_level}, {s.encoder} encoders, "
        f"{many(len(request.seeds), 'seed')} ({seeds}), on {request.device}. {cost(request, table)} "
        f"Runs that are stored already are loaded.{_warning(request)}"
    )


def foreground_header(request: Request) -> Markdown:
    """For the pages on the foreground module, which show one seed."""
    s = request.settings
    return Markdown(
        f"**Profile {request.label}**: photographs of {_data(request)}, seed {request.seeds[0]}, on {request.device}. "
        f"Cues are fine-tuned for {s.cue_steps:,} steps of {s.cue_batch_size} photographs, or loaded."
        f"{_warning(request)}"
    )


def cost(request: Request, table: Table) -> str:
    """How long training takes, from recorded results of the same settings; on this data set, if there are some."""
    alike = [group for group in recorded.groups(table, recorded.pool(), None, request) if group.follows(request)]
    if not alike:
        return "How long that takes has not been recorded."
    group = max(alike, key=lambda group: group.first.dataset == request.dataset)
    times = seconds_of_a_run(group.models).items()
    each = [f"{duration(time)} on {device} ({group.steps / time:.2g} steps a second)" for device, time in times]
    rows = f"each of the {many(len(table.trained), 'trained row')} of a seed"
    return f"As recorded on {group.first.dataset}, {rows} trains in {' or '.join(each)}."


def _data(request: Request) -> str:
    """The data set, and in place of which it stands."""
    instead = request.instead_of and f" **in place of {request.instead_of}, for which no data_root is given**"
    return f"{request.dataset}{instead}"


def _warning(request: Request) -> str:
    """What nobody should conclude from a profile that trains next to nothing."""
    words = "the pictures and numbers below prove that the code runs, and reproduce nothing."
    text = f"\n\n**What follows was made at profile {request.profile}: {words}**"
    return text if says_nothing(request.profile) else ""

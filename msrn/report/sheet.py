"""A table of results before it takes a form: columns and sources, lines, cells, verdicts and notes.

Every form (``html``, ``text``) shows the same sheet, so that a page, a terminal, a CSV and a LaTeX file never differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msrn.evaluation.statistics import Estimate, difference, estimate, unsigned
from msrn.experiments.table import Column, Row, Table
from msrn.experiments.verdicts import Rows, judge, says_nothing, subject
from msrn.store.results import Record

MOST_COLUMNS = 4  # with more, each source has a line of its own
PUBLISHED = "published"


class Cell(NamedTuple):
    """What is shown, and the value with its interval where there is one."""

    text: str
    value: Estimate | None = None


@dataclass(frozen=True)
class Line:
    """A row, or one source of it."""

    name: str
    cells: tuple[Cell, ...]  # of each column in turn the sources
    verdicts: tuple[tuple[str, str], ...] = ()  # (verdict, where the difference stands)
    baseline: bool = False  # set apart from the paper's rows
    supervision: str = ""
    source: str = ""  # of all its cells, where it is one of several lines of a row

    @property
    def title(self) -> str:
        return f"{self.name}, {self.source}" if self.source else self.name


@dataclass(frozen=True)
class Sheet:
    name: str
    caption: str
    columns: tuple[Column, ...]
    sources: tuple[str, ...]  # of each cell of a column; one without a name where each has a line of its own
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    def parts(self) -> list[tuple[Line, ...]]:
        """The paper's rows, and those that train nothing where there are some."""
        apart = [tuple(line for line in self.lines if line.baseline == side) for side in (False, True)]
        return [lines for lines in apart if lines]


def make_sheet(table: Table, caption: str, sources: Mapping[str, Rows], profile: str, notes: Sequence[str]) -> Sheet:
    """Published values and those of ``sources`` by their names, the last of which is judged under ``profile``. Its rows
    that the table does not have are those that train nothing."""
    names, wide = [row.name for row in table.rows], len(table.columns) > MOST_COLUMNS
    *_, judged = sources.values()
    verdicts, lines = _verdicts(table, judged, profile), []
    for row in (*table.rows, *(Row(name) for name in judged if name not in names)):
        cells, baseline = _cells(table, sources, row), row.name not in names
        words = _yardstick(table, judged, row.name, profile) if baseline else verdicts.get(row.name, ())
        if wide:
            lines += _by_source(row, cells, tuple(words), baseline)
        else:
            joined = sum(zip(*cells.values(), strict=True), ())
            lines.append(Line(row.name, joined, tuple(words), baseline, row.supervision))
    titles = ("",) if wide else (PUBLISHED, *sources)
    return Sheet(table.name, caption, table.columns, titles, tuple(lines), tuple(notes))


def cell_of(records: Sequence[Record], column: Column, expected: bool = True) -> Cell:
    """A row's value in a column: ``none yet`` where it is expected and not there, else a dash."""
    metric, category = column
    known = (metric in record.objects and category in ("", *record.objects["category"]) for record in records)
    if not records or not all(known):
        return Cell("none yet" if expected and not records else "–")
    value = estimate(records, metric, category)
    return Cell(value.text(metric), value)


def _cells(table: Table, sources: Mapping[str, Rows], row: Row) -> dict[str, tuple[Cell, ...]]:
    """The cells of a row by source."""
    expected = row.trained or not row.printed
    published = (_printed(row, column) for column in table.columns)
    measured = {
        name: tuple(cell_of(rows.get(row.name, ()), column, expected) for column in table.columns)
        for name, rows in sources.items()
    }
    return {PUBLISHED: tuple(published), **measured}


def _printed(row: Row, column: Column) -> Cell:
    if column.key not in row.printed:
        return Cell("–" if row.printed else "")
    value = row.printed[column.key]
    return Cell("not legible") if value is None else Cell(unsigned(value, column.metric), Estimate(value, value, value))


def _yardstick(table: Table, rows: Rows, name: str, profile: str) -> list[tuple[str, str]]:
    """Where the whole network stands against a row that trains nothing, on which the paper claims nothing."""
    if says_nothing(profile) or not rows.get(table.ours):
        return []
    gap = difference(rows[table.ours], rows[name], "cd").text("cd", sign=True)
    return [("no claim of the paper", f"CD, {table.ours} − this: {gap}")]


def _by_source(row: Row, cells: Mapping[str, tuple[Cell, ...]], verdicts: tuple, baseline: bool) -> list[Line]:
    """A line for each source that has a value; the verdicts stand beside the last."""
    known = [source for source, line in cells.items() if any(cell.value for cell in line)]
    return [
        Line(row.name, cells[source], verdicts if source == known[-1] else (), baseline, row.supervision, source)
        for source in known
    ]


def _verdicts(table: Table, rows: Rows, profile: str) -> dict[str, list[tuple[str, str]]]:
    """(verdict, where the difference stands) beside the row that each claim is about."""
    beside: dict[str, list[tuple[str, str]]] = {}
    for verdict in judge(table.claims, table.metrics, rows, table.printed):
        metric = f" ({verdict.short})" if len(table.metrics) > 1 else ""
        words = f"{verdict.claim.words}{metric}: {verdict.text(profile)}"
        beside.setdefault(subject(verdict.claim, table.ours), []).append((words, verdict.standing()))
    return beside

"""A table of results before it takes a form: columns and sources, lines, cells, verdicts and notes.

Every form (``html``, ``text``) shows the same sheet, so that a page, a terminal, a CSV and a LaTeX file never differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msrn.evaluation.statistics import Estimate, estimate, unsigned
from msrn.experiments.table import Column, Row, Table
from msrn.experiments.verdicts import judge, subject
from msrn.store.results import Record

MOST_COLUMNS = 4  # with more, each source has a line of its own
PUBLISHED = "published"
Rows = Mapping[str, Sequence[Record]]  # the records of each row, baselines among them


class Cell(NamedTuple):
    """A value with its interval, where it has them, and what is shown."""

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


@dataclass(frozen=True)
class Sheet:
    name: str
    caption: str
    columns: tuple[Column, ...]
    sources: tuple[str, ...]  # of each cell of a column
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def make_sheet(
    table: Table,
    caption: str,
    sources: Mapping[str, Rows],
    profile: str,
    notes: Sequence[str],
    yardsticks: Mapping[str, str],
) -> Sheet:
    """Published values, and those of ``sources`` by their names, the last of which is judged under ``profile``;
    ``yardsticks`` are the rows that train nothing, with what is to be said of each."""
    *_, judged = sources.values()
    verdicts = _verdicts(table, judged, profile)
    lines = [
        (row.name, _cells(table, sources, row), tuple(verdicts.get(row.name, ())), False, row.supervision)
        for row in table.rows
    ]
    lines += [
        (name, _cells(table, sources, Row(name)), (("no claim of the paper", words),), True, "")
        for name, words in yardsticks.items()
    ]
    names = (PUBLISHED, *sources)
    if len(table.columns) > MOST_COLUMNS:
        apart = [line for given in lines for line in _by_source(names, *given)]
        return Sheet(table.name, caption, table.columns, ("value",), tuple(apart), tuple(notes))
    joined = [Line(name, sum(zip(*cells, strict=True), ()), *rest) for name, cells, *rest in lines]
    return Sheet(table.name, caption, table.columns, names, tuple(joined), tuple(notes))


def cell_of(records: Sequence[Record], column: Column, expected: bool = True) -> Cell:
    """A row's value in a column: ``none yet`` where it is expected and not there, else a dash."""
    metric, category = column
    known = bool(records) and all(
        metric in record.objects and category in ("", *record.objects["category"]) for record in records
    )
    if not known:
        return Cell("none yet" if expected and not records else "–")
    value = estimate(records, metric, category)
    return Cell(value.text(metric), value)


def _cells(table: Table, sources: Mapping[str, Rows], row: Row) -> list[tuple[Cell, ...]]:
    """The cells of a row, source by source."""
    published = tuple(_published(row, column) for column in table.columns)
    measured = [
        tuple(cell_of(rows.get(row.name, ()), column, row.trained or not row.printed) for column in table.columns)
        for rows in sources.values()
    ]
    return [published, *measured]


def _published(row: Row, column: Column) -> Cell:
    value = row.printed.get(column.key)
    if value is None:
        return Cell("–" if row.printed else "")
    return Cell(unsigned(value, column.metric), Estimate(value, value, value))


def _by_source(
    names: Sequence[str], name: str, cells: Sequence[tuple[Cell, ...]], verdicts: tuple, baseline: bool, letters: str
) -> list[Line]:
    """A line for each source that has a value; the verdicts stand beside the last."""
    some = [(source, line) for source, line in zip(names, cells, strict=True) if any(cell.value for cell in line)]
    return [
        Line(f"{name}, {source}", line, verdicts if k == len(some) - 1 else (), baseline, letters)
        for k, (source, line) in enumerate(some)
    ]


def _verdicts(table: Table, rows: Rows, profile: str) -> dict[str, list[tuple[str, str]]]:
    """(verdict, where the difference stands) beside the row that each claim is about."""
    beside: dict[str, list[tuple[str, str]]] = {}
    metrics = table.metrics
    for verdict in judge(table.claims, metrics, rows, table.printed):
        of = f" ({verdict.short})" if len(metrics) > 1 else ""
        words = f"{verdict.claim.words}{of}: {verdict.text(profile)}"
        beside.setdefault(subject(verdict.claim, table.ours), []).append((words, verdict.standing()))
    return beside

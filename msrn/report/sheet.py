"""A table of results before it takes a form: columns and sources, lines, cells, verdicts and notes.

Every form (``html``, ``text``) shows the same sheet, so that a page, a terminal, a CSV and a LaTeX file never differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from msrn.evaluation.statistics import METRICS, Estimate, difference, estimate, unsigned
from msrn.experiments.table import Column, Row, Table
from msrn.experiments.verdicts import Rows, Verdict, judge, says_nothing, subject
from msrn.store.results import Record

MOST_COLUMNS = 4  # with more, each source has a line of its own
PUBLISHED = "published"
Verdicts = list[tuple[str, str]]  # (verdict, where the difference stands)


class Cell(NamedTuple):
    """What is shown, and the value with its interval where there is one."""

    text: str
    value: Estimate | None = None


@dataclass(frozen=True)
class Line:
    """A row, or one source of it."""

    name: str
    cells: Sequence[Cell]  # of each column in turn the sources
    verdicts: Sequence[tuple[str, str]] = ()
    baseline: bool = False  # set apart from the paper's rows
    supervision: str = ""
    source: str = ""  # of all its cells, where it is one of several lines of a row

    @property
    def title(self) -> str:
        return f"{self.name}, {self.source}" if self.source else self.name


class Sheet(NamedTuple):
    name: str
    caption: str
    found: Sequence[tuple[str, str]]  # each kind of verdict, with the claims that have it
    columns: tuple[Column, ...]
    sources: tuple[str, ...]  # of each cell of a column; one without a name where each has a line of its own
    lines: list[Line]
    notes: Sequence[str]


def make_sheet(table: Table, caption: str, sources: Mapping[str, Rows], profile: str, notes: Sequence[str]) -> Sheet:
    """Published values and those of ``sources`` by their names, the last of which is judged under ``profile``. Rows
    that the table does not have are yardsticks."""
    lines, wide, judged = [], len(table.columns) > MOST_COLUMNS, list(sources.values())[-1]
    verdicts = judge(table.claims, table.measured, judged, table.printed)
    apart = {row.name: row for row in table.yardsticks}  # which no run of a table trains
    beside = _beside(table, verdicts, judged, profile)
    yardsticks = [apart.get(name, Row(name)) for name in _names(sources) if name not in table.printed]
    for row in (*table.rows, *yardsticks):
        about, rest = beside.get(row.name, []), (row in yardsticks, row.supervision)
        cells = {PUBLISHED: [_printed(row, column) for column in table.columns]}
        for source, rows in sources.items():
            expected = row.name not in apart and (row.trained or not row.printed)
            cells[source] = [cell_of(rows.get(row.name, ()), column, expected) for column in table.columns]
        if wide:  # the verdicts stand beside the last source that has a value
            known = [source for source, values in cells.items() if any(cell.value for cell in values)]
            lines += [Line(row.name, cells[s], about if s == known[-1] else [], *rest, s) for s in known]
        else:
            lines.append(Line(row.name, sum(zip(*cells.values(), strict=True), ()), about, *rest))
    found, kinds = _found(verdicts, profile), ("",) if wide else (PUBLISHED, *sources)
    return Sheet(table.name, caption, found, table.columns, kinds, lines, notes)


def _names(sources: Mapping[str, Rows]) -> list[str]:
    """The rows of all sources, those of the first in its order."""
    return list(dict.fromkeys(name for rows in sources.values() for name in rows))


def cell_of(records: Sequence[Record], column: Column, expected: bool = True) -> Cell:
    """A row's value in a column: ``none yet`` where it is expected and not there, else a dash."""
    metric, category = column
    known = (metric in record.objects and category in ("", *record.objects["category"]) for record in records)
    if not records or not all(known):
        return Cell("none yet" if expected and not records else "–")
    value = estimate(records, metric, category)
    return Cell(value.text(metric), value)


def _printed(row: Row, column: Column) -> Cell:
    if column.key not in row.printed:
        return Cell("–" if row.printed else "")
    value = row.printed[column.key]
    return Cell("not legible") if value is None else Cell(unsigned(value, column.metric), Estimate(value, value, value))


def _found(verdicts: Sequence[Verdict], profile: str) -> Verdicts:
    """All verdicts in short: a claim with its metrics, where it has not the same verdict in all of them."""
    if says_nothing(profile):
        return []
    kinds: dict[str, dict[str, list[str]]] = {"reproduced": {}, "not reproduced": {}, "not evaluated": {}}
    for verdict in verdicts:
        claims = kinds[verdict.text(profile).partition(":")[0]]
        claims.setdefault(verdict.claim.words, []).append(METRICS[verdict.metric].short)
    metrics, found = len({verdict.metric for verdict in verdicts}), []
    for kind, claims in kinds.items():
        words = [claim + f" ({', '.join(some)})" * (len(some) < metrics) for claim, some in claims.items()]
        found += [(kind, "; ".join(words))] if words else []
    return found


def _beside(table: Table, verdicts: Sequence[Verdict], rows: Rows, profile: str) -> dict[str, Verdicts]:
    """Beside the row that each claim is about; beside a yardstick, where the whole network stands."""
    beside: dict[str, Verdicts] = {}
    said_once = groupby(verdicts, lambda verdict: (verdict.claim, verdict.missing or verdict.metric))
    for _, (verdict, *others) in said_once:
        names = [METRICS[same.metric].short for same in (verdict, *others)]
        metrics = f" ({', '.join(names)})" if len(names) < len(table.measured) else ""
        words = f"{verdict.claim.words}{metrics}: {verdict.text(profile)}"
        beside.setdefault(subject(verdict.claim, table.ours), []).append((words, verdict.standing()))
    if not says_nothing(profile) and (ours := rows.get(table.ours)):
        for name in rows.keys() - table.printed:
            shared = [metric for metric in ("cd", "cd_axes") if metric in rows[name][0].objects]
            gaps = (f"{METRICS[m].short} {difference(ours, rows[name], m).text(m, sign=True)}" for m in shared)
            beside[name] = [("no claim of the paper", f"{table.ours} − this: {', '.join(gaps)}")]
    return beside

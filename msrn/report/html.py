"""How tables look: as HTML that takes its colours from the page, light or dark, and as text for a terminal."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 110  # of running text in a terminal
STYLE = """<style>
.msrn {overflow-x: auto; margin: 1em 0}
.msrn table {border-collapse: collapse; font-size: .85em; line-height: 1.35; margin: 0; color: inherit;
  background: none}
.msrn caption {caption-side: top; text-align: left; color: inherit; font-weight: 600; padding: 0 0 .5em}
.msrn th, .msrn td {padding: .3em .6em; border: 0; text-align: right; vertical-align: top; color: inherit;
  background: none; font-variant-numeric: tabular-nums}
.msrn th {font-weight: 600}
.msrn thead th.group {text-align: center; white-space: nowrap}
.msrn td small {opacity: .8; white-space: nowrap}
.msrn.msrn .words {text-align: left; min-width: 14em} /* named twice, to outweigh JupyterLab's own rule */
.msrn.msrn tbody th {text-align: left; min-width: 9em; max-width: 24em}
.msrn tbody th small {display: block; font-weight: 400; opacity: .8}
.msrn tbody tr {border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); background: none}
.msrn tbody tr.apart {border-top: 2px solid color-mix(in srgb, currentColor 60%, transparent)}
.msrn tbody tr.beside th {font-weight: 400; font-style: italic}
.msrn p {margin: .5em 0; font-size: .85em}
</style>"""


@dataclass(frozen=True)
class Row:
    """A row of a results table, in words. In a cell an interval follows its value in brackets."""

    name: str
    cells: tuple[str, ...]  # the columns of each metric in turn: published, recorded, this run
    verdicts: tuple[tuple[str, str], ...] = ()  # (verdict, detail)
    baseline: bool = False  # set apart from the paper's rows


COLUMNS = ("published", "recorded", "this run")


def results_html(
    caption: str, metrics: Sequence[str], rows: Sequence[Row], notes: Sequence[str], columns: Sequence[str] = COLUMNS
) -> str:
    """A table of results: for each metric published | recorded | this run, then the verdict where rows have any."""
    judged = any(row.verdicts for row in rows)
    span = f"class='group' colspan='{len(columns)}' scope='colgroup'"
    groups = "".join(f"<th {span}>{html.escape(name)}</th>" for name in metrics)
    columns = "".join(f"<th scope='col'>{name}</th>" for name in columns) * len(metrics)
    verdict = "<th class='words' scope='col'>verdict</th>" * judged
    head = f"<tr><td></td>{groups}{'<td></td>' * judged}</tr><tr><td></td>{columns}{verdict}</tr>"
    first = next((row for row in rows if row.baseline), None)
    body = []
    for row in rows:
        kinds = ["beside"] * row.baseline + ["apart"] * (row is first)
        cells = "".join(f"<td>{_value_over_interval(text)}</td>" for text in row.cells)
        words = "<br>".join(_verdict_over_detail(*said) for said in row.verdicts)
        title = f"<th scope='row'>{html.escape(row.name)}</th>"
        last = f"<td class='words'>{words}</td>" * judged
        body.append(f"<tr class='{' '.join(kinds)}'>{title}{cells}{last}</tr>")
    return _wrapped(caption, head, body, notes)


def results_text(caption: str, metrics: Sequence[str], rows: Sequence[Row], notes: Sequence[str]) -> str:
    """The same for a terminal; verdicts follow below the table."""
    table = [["", *COLUMNS * len(metrics)], *([row.name, *row.cells] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(_pad, line, widths, range(len(line)))).rstrip() for line in table]
    spans = [sum(widths[1 + 3 * k : 4 + 3 * k]) + 4 for k in range(len(metrics))]
    titles = "  ".join(name.center(span) for name, span in zip(metrics, spans, strict=True))
    ruler = "─" * (sum(widths) + 2 * (len(widths) - 1))
    models = sum(not row.baseline for row in rows)
    block = [
        " " * (widths[0] + 2) + titles.rstrip(),
        lines[0],
        ruler,
        *lines[1 : models + 1],
        ruler,
        *lines[models + 1 :],
    ]
    said = [(row.name, verdict, detail) for row in rows for verdict, detail in row.verdicts if detail]
    verdicts = [f"{name:<{widths[0]}}  {verdict}; {detail}" for name, verdict, detail in said]
    running = [textwrap.fill(note, WIDTH) for note in notes]
    return "\n".join([caption, "", *block, ruler, "", *verdicts, "", *running])


def plain_html(caption: str, header: Sequence[str], lines: Sequence[Sequence[str]], note: str = "") -> str:
    """A table of values; the first column names the rows. What follows a value or a name in brackets stands below."""
    head = "<tr>" + "".join(f"<th scope='col'>{html.escape(text)}</th>" for text in header) + "</tr>"
    body = []
    for name, *values in lines:
        cells = "".join(f"<td>{_value_over_interval(text)}</td>" for text in values)
        body.append(f"<tr><th scope='row'>{_name_over_words(name)}</th>{cells}</tr>")
    return _wrapped(caption, head, body, [note] if note else [])


def note_html(text: str) -> str:
    """A line in place of a table."""
    return f"{STYLE}<div class='msrn'><p>{html.escape(text)}</p></div>"


def _wrapped(caption: str, head: str, body: Sequence[str], notes: Sequence[str]) -> str:
    running = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    table = (
        f"<table><caption>{html.escape(caption)}</caption><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"
    )
    return f"{STYLE}<div class='msrn'>{table}{running}</div>"


def _value_over_interval(text: str) -> str:
    value, bracket, interval = text.partition(" [")
    return html.escape(value) + (f"<br><small>[{html.escape(interval)}</small>" if bracket else "")


def _name_over_words(text: str) -> str:
    name, bracket, words = text.partition(" [")
    return html.escape(name) + (f"<small>{html.escape(words[:-1])}</small>" if bracket else "")


def _verdict_over_detail(verdict: str, detail: str) -> str:
    return f"{html.escape(verdict)}<br><small>{html.escape(detail)}</small>" if detail else html.escape(verdict)


def _pad(text: str, width: int, column: int) -> str:
    return text.rjust(width) if column else text.ljust(width)

"""How tables look as HTML, which takes its colours from the page, light or dark."""

import base64
import html
from collections.abc import Sequence

from msrn.report.sheet import Line, Sheet
from msrn.report.text import sheet_csv, sheet_latex

STYLE = """<style>
.msrn {overflow-x: auto; margin: 1em 0}
.msrn table {border-collapse: collapse; font-size: .85em; line-height: 1.35; margin: 0}
.msrn caption {caption-side: top; text-align: left; color: inherit; font-weight: 600; padding: 0 0 .5em}
.msrn table, .msrn th, .msrn td {border: 0; color: inherit; background: none; font-variant-numeric: tabular-nums}
.msrn th, .msrn td {padding: .3em .6em; text-align: right; vertical-align: top}
.msrn th {font-weight: 600}
.msrn thead th.group {text-align: center; white-space: nowrap}
.msrn small {font-size: .95em; font-weight: 400; opacity: .8; white-space: nowrap}
.msrn tbody th small {display: block; white-space: normal}
.msrn.msrn tbody th {text-align: left; min-width: 9em; max-width: 24em} /* named twice, to outweigh JupyterLab's own */
.msrn.msrn .verdict td {text-align: left; padding-top: 0}
.msrn .verdict small {white-space: normal}
.msrn tbody tr {border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); background: none}
.msrn tbody tr.verdict {border-top: 0}
.msrn tbody tr.apart {border-top: 2px solid color-mix(in srgb, currentColor 60%, transparent)}
.msrn tbody tr.beside th {font-weight: 400; font-style: italic}
.msrn p {margin: .5em 0; font-size: .85em}
</style>"""
FILES = {"csv": ("text/csv", sheet_csv), "tex": ("application/x-tex", sheet_latex)}


def sheet_html(sheet: Sheet) -> str:
    """A table of results: for each column its sources; verdicts below the line that they are about; and downloads."""
    span = f"class='group' colspan='{len(sheet.sources)}' scope='colgroup'"
    groups = "".join(f"<th {span}>{html.escape(column.title)}</th>" for column in sheet.columns)
    sources = "".join(f"<th scope='col'>{name}</th>" for name in sheet.sources) * len(sheet.columns)
    heads = [groups, sources] if any(sheet.sources) else [groups]
    first = next((line for line in sheet.lines if line.baseline), None)
    head = "".join(f"<tr><td></td>{cells}</tr>" for cells in heads)
    return _wrapped(sheet.caption, head, [_line(line, line is first) for line in sheet.lines], sheet.notes, sheet)


def _line(line: Line, apart: bool) -> str:
    kinds = " ".join(["beside"] * line.baseline + ["apart"] * apart)
    cells = "".join(f"<td>{_value_over_interval(cell.text)}</td>" for cell in line.cells)
    letters = f"<small>supervision {html.escape(line.supervision)}</small>" if line.supervision else ""
    row = f"<tr class='{kinds}'><th scope='row'>{html.escape(line.title)}{letters}</th>{cells}</tr>"
    words = "<br>".join(
        html.escape(verdict) + (f"<small>; {html.escape(detail)}</small>" if detail else "")
        for verdict, detail in line.verdicts
    )
    return row + (f"<tr class='verdict'><td colspan='{len(line.cells) + 1}'>{words}</td></tr>" if words else "")


def plain_html(caption: str, header: Sequence[str], lines: Sequence[Sequence[str]], note: str = "") -> str:
    """A table of values; the first column names the rows. What follows a value or a name in brackets stands below."""
    head = "".join(f"<th scope='col'>{html.escape(text)}</th>" for text in header)
    body = []
    for name, *values in lines:
        title, bracket, words = name.partition(" [")
        below = f"<small>{html.escape(words[:-1])}</small>" if bracket else ""
        cells = "".join(f"<td>{_value_over_interval(text)}</td>" for text in values)
        body.append(f"<tr><th scope='row'>{html.escape(title)}{below}</th>{cells}</tr>")
    return _wrapped(caption, f"<tr>{head}</tr>", body, [note] if note else [])


def note_html(text: str) -> str:
    """A line in place of a table."""
    return f"{STYLE}<div class='msrn'><p>{html.escape(text)}</p></div>"


def _wrapped(caption: str, head: str, body: Sequence[str], notes: Sequence[str], sheet: Sheet | None = None) -> str:
    """A table with what stands below it; the numbers of ``sheet`` as files within the page."""
    links = []
    for ending, (kind, form) in FILES.items() if sheet else ():
        address = f"data:{kind};base64,{base64.b64encode(form(sheet).encode()).decode()}"
        links.append(f"<a download='{sheet.name}.{ending}' href='{address}'>{ending}</a>")
    below = [*map(html.escape, notes), *([f"As a file: {', '.join(links)}."] if links else [])]
    table = (
        f"<table><caption>{html.escape(caption)}</caption><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"
    )
    return f"{STYLE}<div class='msrn'>{table}{''.join(f'<p>{text}</p>' for text in below)}</div>"


def _value_over_interval(text: str) -> str:
    value, bracket, interval = text.partition(" [")
    return html.escape(value) + (f"<br><small>[{html.escape(interval)}</small>" if bracket else "")

"""How tables look as HTML, which takes its colours from the page, light or dark."""

import base64
from collections.abc import Sequence

from jinja2 import Environment

from msrn.report.sheet import Cell, Line, Sheet
from msrn.report.text import sheet_csv, sheet_latex

# A value's interval and a row's words, in brackets behind it, stand below. What is named twice outweighs JupyterLab.
_PAGE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
<style>
.msrn {overflow-x: auto; margin: 1em 0; font-size: .85em; line-height: 1.35}
.msrn table {border-collapse: collapse; font-size: inherit; margin: 0}
.msrn caption {caption-side: top; text-align: left; color: inherit; font-weight: 600; padding: 0 0 .5em}
.msrn table, .msrn th, .msrn td {border: 0; color: inherit; background: none; font-variant-numeric: tabular-nums}
.msrn th, .msrn td {padding: .3em .6em; text-align: right; vertical-align: top}
.msrn th {font-weight: 600}
.msrn thead tr:not(:last-child) th {text-align: center; white-space: nowrap}
.msrn small {font-size: .95em; font-weight: 400; opacity: .8; white-space: nowrap}
.msrn tbody th small {display: block; white-space: normal}
.msrn.msrn tbody th {text-align: left; min-width: 9em; max-width: 24em}
.msrn.msrn .verdict td {text-align: left; padding-top: 0}
.msrn .verdict small {white-space: normal}
.msrn tbody tr {border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); background: none}
.msrn tbody tr.verdict {border-top: 0}
.msrn tbody tr.apart {border-top: 2px solid color-mix(in srgb, currentColor 60%, transparent)}
.msrn tbody tr.beside th {font-weight: 400; font-style: italic}
.msrn p {margin: .5em 0}
.msrn p.found {font-size: 1.15em; margin: 0 0 1em}
</style>
<div class='msrn'>
{% if found %}
<p class='found'>{% for kind, claims in found %}<b>{{ kind | capitalize }}:</b> {{ claims }}.
{% endfor %}</p>
{% endif %}
{% if lines %}
<table><caption>{{ caption }}</caption><thead>
{% for titles, span in heads %}
<tr><td></td>{% for title in titles %}<th colspan='{{ span }}' scope='col'>{{ title }}</th>{% endfor %}</tr>
{% endfor %}
</thead><tbody>
{% for line in lines %}
{% set title, _, words = line.title.partition(" [") %}
{% set below = words[:-1] or (line.supervision and "supervision " ~ line.supervision) %}
<tr class='{{ "beside" if line.baseline }}{{ " apart" if line.baseline and not loop.previtem.baseline }}'>
<th scope='row'>{{ title }}{% if below %}<small>{{ below }}</small>{% endif %}</th>
{% for cell in line.cells %}
{% set value, _, interval = cell.text.partition(" [") %}
<td>{{ value }}{% if interval %}<br><small>[{{ interval }}</small>{% endif %}</td>
{% endfor %}
</tr>
{% if line.verdicts %}
<tr class='verdict'><td colspan='{{ line.cells | length + 1 }}'>
{%- for verdict, detail in line.verdicts %}
<div>{{ verdict }}{% if detail %}<small>; {{ detail }}</small>{% endif %}</div>
{% endfor %}
</td></tr>
{% endif %}
{% endfor %}
</tbody></table>
{% endif %}
{% for note in notes %}<p>{{ note }}</p>{% endfor %}
{% if links %}<p>As a file: {{ links | join(", ") | safe }}.</p>{% endif %}
</div>""")
FILES = {"csv": ("text/csv", sheet_csv), "tex": ("application/x-tex", sheet_latex)}


def sheet_html(sheet: Sheet) -> str:
    """A table of results: for each column its sources; verdicts below the line that they are about; and downloads."""
    links = [download(f"{sheet.name}.{end}", kind, form(sheet).encode()) for end, (kind, form) in FILES.items()]
    count, titles = len(sheet.sources), [column.title for column in sheet.columns]
    heads = [(titles, count), *([(sheet.sources * len(titles), 1)] if sheet.sources[0] else [])]
    return _PAGE.render(**sheet._asdict(), heads=heads, links=links)


def download(name: str, kind: str, content: bytes) -> str:
    """A link that holds a file, which works in the book as in Jupyter; it is called by the ending of its name."""
    address = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    return f"<a download='{name}' href='{address}'>{name.rpartition('.')[2]}</a>"


def plain_html(caption: str, header: Sequence[str], lines: Sequence[Sequence[str]], note: str = "") -> str:
    """A table of values; the first column names the rows. What follows a value or a name in brackets stands below."""
    rows = [Line(name, [Cell(value) for value in values]) for name, *values in lines]
    return _PAGE.render(caption=caption, heads=[(header[1:], 1)], lines=rows, notes=[note] if note else [])


def note_html(text: str, links: Sequence[str] = ()) -> str:
    """A line in place of a table, and files."""
    return _PAGE.render(notes=[text], links=links)

"""The same sheet for a terminal, as CSV and as LaTeX."""

import csv
import io
import textwrap
from collections.abc import Sequence

from tabulate import SEPARATING_LINE, tabulate

from msrn.report.sheet import Sheet

WIDTH = 110  # of running text in a terminal
LATEX = str.maketrans({"↓": r"$\downarrow$", "↑": r"$\uparrow$", "−": "--"})  # tabulate escapes the rest


def sheet_text(sheet: Sheet) -> str:
    """For a terminal; verdicts follow below the table."""
    first = sheet.sources[0]
    heads = [
        f"{column.title if source == first else ''}\n{source}".rstrip()
        for column in sheet.columns
        for source in sheet.sources
    ]
    verdicts = [
        f"{line.title}: {verdict}{f'; {detail}' if detail else ''}"
        for line in sheet.lines
        for verdict, detail in line.verdicts
    ]
    notes = [textwrap.fill(note, WIDTH) for note in sheet.notes]
    found = textwrap.fill(" ".join(f"{kind.capitalize()}: {claims}." for kind, claims in sheet.found), WIDTH)
    opening = [sheet.caption, *([found] if found else [])]
    return "\n".join([*opening, "", _table(sheet, heads, "simple"), "", *verdicts, "", *notes])


def sheet_csv(sheet: Sheet) -> str:
    """A line for every value: row, supervision, column, source, value, its interval, verdicts of the row."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["row", "supervision", "column", "source", "value", "low", "high", "verdict"])
    places = [(column.key, source) for column in sheet.columns for source in sheet.sources]
    for line in sheet.lines:
        verdict = "; ".join(words for words, _ in line.verdicts)
        for (column, source), cell in zip(places, line.cells, strict=True):
            if value := cell.value:
                numbers = [f"{number:.6g}" for number in (value.mean, value.low, value.high)]
                writer.writerow([line.name, line.supervision, column, source or line.source, *numbers, verdict])
    return file.getvalue()


def sheet_latex(sheet: Sheet) -> str:
    """A tabular in the manner of booktabs."""
    titles, sources = [column.title for column in sheet.columns], sheet.sources
    table = _table(sheet, sources * len(titles) if sources[0] else titles, "latex_booktabs")
    if sources[0]:
        groups = "".join(rf" & \multicolumn{{{len(sources)}}}{{c}}{{{title}}}" for title in titles).replace("%", r"\%")
        table = table.replace("\\toprule\n", f"\\toprule\n{groups} \\\\\n")
    return f"% {sheet.caption}\n{table.translate(LATEX)}\n"


def _table(sheet: Sheet, heads: Sequence[str], form: str) -> str:
    """Names and cells, with a rule before the rows that train nothing."""
    paper, apart = ([line for line in sheet.lines if line.baseline == side] for side in (False, True))
    parts = [*paper, *([None, *apart] if apart else [])]
    rows = [[line.title, *(cell.text for cell in line.cells)] if line else SEPARATING_LINE for line in parts]
    alignment = ["left", *["right"] * len(heads)]
    return tabulate(rows, ["", *heads], form, colalign=alignment, disable_numparse=True)

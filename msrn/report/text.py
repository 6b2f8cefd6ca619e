"""The same sheet for a terminal, as CSV and as LaTeX."""

import csv
import io
import textwrap

from msrn.report.sheet import Sheet

WIDTH = 110  # of running text in a terminal
LATEX = {
    "&": r"\&",
    "%": r"\%",
    "_": r"\_",
    "#": r"\#",
    "$": r"\$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "−": "--",
}


def sheet_text(sheet: Sheet) -> str:
    """For a terminal; verdicts follow below the table."""
    head = ["", *sheet.sources * len(sheet.columns)]
    table = [head, *([line.name, *(cell.text for cell in line.cells)] for line in sheet.lines)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(_pad, line, widths, range(len(line)))).rstrip() for line in table]
    count = len(sheet.sources)
    spans = [sum(widths[1 + count * k :][:count]) + 2 * (count - 1) for k in range(len(sheet.columns))]
    titles = "  ".join(column.title.center(span) for column, span in zip(sheet.columns, spans, strict=True))
    ruler = "─" * (sum(widths) + 2 * (len(widths) - 1))
    models = 1 + sum(not line.baseline for line in sheet.lines)
    block = [" " * (widths[0] + 2) + titles.rstrip(), lines[0], ruler, *lines[1:models], ruler, *lines[models:]]
    verdicts = [
        f"{line.name:<{widths[0]}}  {verdict}{f'; {detail}' if detail else ''}"
        for line in sheet.lines
        for verdict, detail in line.verdicts
        if detail or not line.baseline
    ]
    running = [textwrap.fill(note, WIDTH) for note in sheet.notes]
    return "\n".join([sheet.caption, "", *block, ruler, "", *verdicts, "", *running])


def sheet_csv(sheet: Sheet) -> str:
    """A line for every value: row, supervision, column, source, value, its interval, verdicts of the row."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["row", "supervision", "column", "source", "value", "low", "high", "verdict"])
    places = [(column, source) for column in sheet.columns for source in sheet.sources]
    for line in sheet.lines:
        verdict = "; ".join(words for words, _ in line.verdicts)
        for (column, source), cell in zip(places, line.cells, strict=True):
            if cell.value:
                numbers = [f"{number:.6g}" for number in (cell.value.mean, cell.value.low, cell.value.high)]
                writer.writerow([line.name, line.supervision, column.key, source, *numbers, verdict])
    return file.getvalue()


def sheet_latex(sheet: Sheet) -> str:
    """A tabular in the manner of booktabs."""
    count = len(sheet.sources)
    groups = " & ".join(rf"\multicolumn{{{count}}}{{c}}{{{_latex(column.title)}}}" for column in sheet.columns)
    sources = " & ".join(_latex(name) for name in sheet.sources * len(sheet.columns))
    rows = [
        " & ".join([_latex(line.name), *(_latex(cell.text) for cell in line.cells)]) + r" \\" for line in sheet.lines
    ]
    models = sum(not line.baseline for line in sheet.lines)
    body = [*rows[:models], *([r"\midrule"] if rows[models:] else []), *rows[models:]]
    return "\n".join(
        [
            f"% {sheet.caption}",
            rf"\begin{{tabular}}{{l{'r' * count * len(sheet.columns)}}}",
            r"\toprule",
            rf" & {groups} \\",
            rf" & {sources} \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _latex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in text)


def _pad(text: str, width: int, column: int) -> str:
    return text.rjust(width) if column else text.ljust(width)

"""The same sheet for a terminal, as CSV and as LaTeX."""

import csv
import io
import textwrap

from msrn.report.sheet import Line, Sheet

WIDTH = 110  # of running text in a terminal
LATEX = str.maketrans(
    {"↓": r"$\downarrow$", "↑": r"$\uparrow$", "−": "--"} | {letter: f"\\{letter}" for letter in "&%_#$"}
)


def sheet_text(sheet: Sheet) -> str:
    """For a terminal; verdicts follow below the table."""
    head = ["", *sheet.sources * len(sheet.columns)]
    count, least = len(sheet.sources), max(len(column.title) for column in sheet.columns) // len(sheet.sources)
    table = [head, *([line.title, *(cell.text for cell in line.cells)] for line in sheet.lines)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    widths[1:] = [max(width, least) for width in widths[1:]]
    spans = [sum(widths[1 + count * k :][:count]) + 2 * (count - 1) for k in range(len(sheet.columns))]
    titles = "  ".join(column.title.center(span) for column, span in zip(sheet.columns, spans, strict=True))
    ruler = "─" * (sum(widths) + 2 * (len(widths) - 1))
    block = [f"{'':<{widths[0]}}  {titles}".rstrip(), *([_terminal(head, widths)] if any(sheet.sources) else [])]
    for lines in sheet.parts():
        block += [ruler, *(_terminal([line.title, *(cell.text for cell in line.cells)], widths) for line in lines)]
    verdicts = [
        f"{line.title:<{widths[0]}}  {verdict}{f'; {detail}' if detail else ''}"
        for line in sheet.lines
        for verdict, detail in line.verdicts
    ]
    return "\n".join(
        [sheet.caption, "", *block, ruler, "", *verdicts, "", *(textwrap.fill(note, WIDTH) for note in sheet.notes)]
    )


def _terminal(texts: list[str], widths: list[int]) -> str:
    name, *values = texts
    cells = (text.rjust(width) for text, width in zip(values, widths[1:], strict=True))
    return "  ".join([name.ljust(widths[0]), *cells]).rstrip()


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
    count = len(sheet.sources)
    groups = [rf"\multicolumn{{{count}}}{{c}}{{{column.title.translate(LATEX)}}}" for column in sheet.columns]
    head = [" & ".join(["", *groups])]
    head += [" & ".join(["", *sheet.sources * len(sheet.columns)])] if any(sheet.sources) else []
    body = [row for lines in sheet.parts() for row in (r"\midrule", *(rf"{_latex(line)} \\" for line in lines))]
    lines = (
        f"% {sheet.caption}",
        rf"\begin{{tabular}}{{l{'r' * count * len(sheet.columns)}}}",
        r"\toprule",
        *(rf"{line} \\" for line in head),
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    )
    return "".join(f"{line}\n" for line in lines)


def _latex(line: Line) -> str:
    return " & ".join(text.translate(LATEX) for text in (line.title, *(cell.text for cell in line.cells)))

"""Sphinx extension: fills the marks of claims, on their own page and on the start page, from recorded results.

A mark is ``<!-- claims: judged -->``, or ``summary``, ``measured`` or ``open`` in its place.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

from msrn import exhibits, paths
from msrn.experiments import claims, recorded
from msrn.report import claims_table

PAGES = "book/claims", "book/start"
MARK = "<!-- claims: {} -->"
EXHIBIT = re.compile(r"\b(Table|Figure) (\d+)\b")
IN_HTML, IN_MARKDOWN = '<a href="../notebooks/{}.html">{}</a>', "[{1}](../notebooks/{0}.ipynb)"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Put what is claimed in place of the marks; results that come or change have the page read again."""
    if page not in PAGES or MARK.partition("{}")[0] not in source[0]:
        return
    for name, text in parts().items():
        source[0] = source[0].replace(MARK.format(name), text)
    code = (Path(module.__file__) for module in (claims, claims_table))
    for file in (Path(__file__), *code, *paths.RESULTS.glob("*"), *paths.RESULTS.glob("*/*.json")):
        app.env.note_dependency(str(file))


def parts() -> dict[str, str]:
    """Each part of the page as Markdown."""
    stand = claims_table.stand(recorded.pool())
    judged = linked(claims_table.claims_html(stand), IN_HTML)
    lists = {"measured": claims_table.measured_words(stand), "open": claims_table.open_words(stand)}
    listed = {name: [f"- {linked(words, IN_MARKDOWN)}" for words in texts] for name, texts in lists.items()}
    return {
        "summary": claims_table.summary(stand),
        "judged": f"```{{raw}} html\n<div class='full-width'>{judged}</div>\n```",
        **{name: "\n".join(lines) or "None." for name, lines in listed.items()},
    }


def linked(text: str, form: str) -> str:
    """A text in which tables and figures that have a page lead there; ``form`` takes the page and the words."""
    pages = {name: file.stem for name, file in exhibits.notebooks().items()}

    def link(match: re.Match) -> str:
        page = pages.get(match[1].lower() + match[2])
        return form.format(page, match[0]) if page else match[0]

    return EXHIBIT.sub(link, text)

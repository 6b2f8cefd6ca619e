"""A table in its four forms: the same numbers on a page, in a terminal, as CSV and as LaTeX."""

import base64
import csv
import io
import re

import pytest
from shown import RETRIEVAL, TABLE8, Cells, recorded, tables_of
from toy_table import record

from msrn.experiments.paper import TABLES
from msrn.report.html import plain_html, sheet_html
from msrn.report.sheet import make_sheet
from msrn.report.text import sheet_csv, sheet_latex, sheet_text

FAR = (2.0, 3.1, 4.2, 5.0)


def rows(records) -> dict:
    return {made.variant: [other for other in records if other.variant == made.variant] for made in records}


def sheet(table=TABLE8, records=None, profile="laptop", yardsticks=False):
    now = rows(recorded("zoo") if records is None else records)
    if not yardsticks:
        now.pop(RETRIEVAL, None)
    return make_sheet(table, "a < b", {"this run": now}, profile, ["n < m & o"])


def values(made) -> dict[tuple[str, str, str], dict]:
    lines = csv.DictReader(io.StringIO(sheet_csv(made)))
    return {(line["row"], line["column"], line["source"]): line for line in lines}


def test_every_form_shows_the_same_numbers():
    made = sheet(yardsticks=True)
    page, terminal, latex = sheet_html(made), sheet_text(made), sheet_latex(made)
    body = {row[0]: row[1:] for row in tables_of(page)[0][2:]}
    in_terminal = {line[:30].strip(): line for line in terminal.splitlines()}
    in_latex = {line.split(" & ")[0].strip(): line for line in latex.splitlines()}
    assert list(body) == ["w/o FC", "w/o NC", "M-SRN", RETRIEVAL]
    for line in made.lines:
        assert body[line.name][: len(line.cells)] == [cell.text.replace(" [", "[") for cell in line.cells]
        for cell in line.cells:
            assert cell.text in in_terminal.get(line.name, terminal)
            assert cell.text.replace("−", "--") in in_latex[line.name]
    assert len(values(made)) == 4 * 3 + 3 * 2  # three rows are printed as well
    found = values(made)["M-SRN", "cd", "this run"]
    assert (found["value"], float(found["low"]) < 2.5 < float(found["high"])) == ("2.5", True)
    assert values(made)["w/o NC", "f", "published"]["value"] == "0.16"


def test_downloads_are_data_within_the_page():
    made = sheet()
    page = sheet_html(made)
    for ending, form in (("csv", sheet_csv), ("tex", sheet_latex)):
        content = re.search(rf"<a download='table8\.{ending}' href='data:[a-z/-]+;base64,([^']+)'>", page)[1]
        assert base64.b64decode(content).decode() == form(made)


def test_latex_is_a_whole_tabular():
    lines = sheet_latex(sheet(yardsticks=True)).splitlines()
    assert lines[1] == r"\begin{tabular}{lrrrrrr}" and lines[-1] == r"\end{tabular}" and lines[2] == r"\toprule"
    assert lines.count(r"\midrule") == 2 and lines[-2] == r"\bottomrule"
    body = [line for line in lines if line.endswith(r"\\")]
    assert len(body) == 6 and all(line.count("&") == 6 for line in body[1:])
    assert r"$\downarrow$" in body[0] and "↓" not in body[0]


def test_a_quoted_row_has_its_printed_values_and_dashes_for_this_run():
    table = TABLES["table4"]
    ours = [record("Ours", seed=seed) for seed in range(3)]
    made = sheet(table, ours)
    quoted, transfer = (next(line for line in made.lines if line.name == name) for name in ("ZeroShape", "Transfer"))
    assert [cell.text for cell in quoted.cells] == ["3.94", "–", "–", "–", "0.157", "–"] and quoted.supervision == "3D"
    assert [cell.text for cell in transfer.cells] == ["2.29", *["–"] * 5]
    body = {row[0]: row[1:] for row in tables_of(sheet_html(made))[0][2:]}
    assert body["ZeroShapesupervision 3D"][:2] == ["3.94", "–"]
    assert body["ZeroShapesupervision 3D"][-1].strip() == "Ours beats ZeroShape: not evaluated: ZeroShape not measured"
    assert values(made)["ZeroShape", "cd", "published"]["supervision"] == "3D"
    assert ("ZeroShape", "cd", "this run") not in values(made)


def test_a_trained_row_that_was_not_measured_is_none_yet():
    made = sheet(records=[made for made in recorded("zoo") if made.variant != "M-SRN"])
    assert made.lines[2].cells[1].text == "none yet"


def test_what_a_record_does_not_measure_is_a_dash():
    made = sheet(TABLES["table6"], [record("Ours")])
    assert [cell.text[:4] for cell in made.lines[-1].cells] == ["67.2", "–", "1.47", "2.50", "–", "1.25"]
    assert [words for words, _ in next(line for line in made.lines if line.name == "Unicorn").verdicts] == [
        "Ours beats Unicorn (3D IoU): not evaluated: Ours not measured in 3D IoU, Unicorn not measured",
        "Ours beats Unicorn (CD, CD per axis): not evaluated: Unicorn not measured",
    ]


def test_a_column_a_category_has_a_line_for_each_source():
    table = TABLES["table5"]
    names = [f"{name}/{k}" for name in ("airplane", "car") for k in (0, 1)]
    objects = {"object_id": names, "category": ["airplane"] * 2 + ["car"] * 2, "cd": [1.0, 2.0, 3.0, 5.0]}
    made = sheet(table, [record("Ours", seed=seed, objects=objects) for seed in range(3)])
    assert [line.title for line in made.lines][-2:] == ["Ours, published", "Ours, this run"] and len(made.lines) == 7
    [shown] = tables_of(sheet_html(made))
    assert shown[0] == ["", *table.categories] and {len(row) for row in shown} == {14, 15}
    last = shown[-1]
    assert last[0] == "Ours, this runsupervision S" and last[1][:4] == "1.50" and last[2] == "–"
    assert last[4][:4] == "4.00" and "not evaluated: Unicorn not measured" in shown[3][-1]
    assert values(made)["Ours", "car", "this run"]["value"] == "4"
    assert values(made)["Unicorn", "vessel", "published"]["value"] == "1.55"
    assert r"\begin{tabular}{lrrrrrrrrrrrrr}" in sheet_latex(made)
    assert "Ours, this run" in sheet_text(made)
    assert len({len(line) for line in sheet_text(made).splitlines() if line.startswith("---")}) == 1


def test_a_table_of_a_single_metric():
    table = TABLES["table11"]
    objects = {"object_id": list("abcd"), "category": list("1122")}
    of = {"K'' = 2": 0.1, "K'' = 5": 0.2, "K'' = 8": 0.12}
    records = [
        record(name, seed=seed, objects={**objects, "f": [f] * 4, "f_axes": [2 * f] * 4})
        for name, f in of.items()
        for seed in range(3)
    ]
    made = sheet(table, records)
    [shown] = tables_of(sheet_html(made))
    assert shown[0] == ["", "F-score@0.01 ↑", "F per axis ↑"] and shown[1] == ["", *["published", "this run"] * 2]
    assert shown[3][:3] == ["K'' = 5", "0.173", "0.200[0.200, 0.200]"]
    assert shown[3][5].startswith("K'' = 5 is best (F): reproduced") and len(shown[2]) == len(shown[4]) == 5


def test_a_row_of_files_that_hold_a_part_of_the_objects_gets_no_verdict():
    table = TABLES["table4"]
    part = record("ZeroShape", FAR[:3], kind="files", train_seconds=0.0, missing=["d"])
    whole = record("OpenLRM", FAR, kind="files", train_seconds=0.0)
    made = sheet(table, [part, whole, *(record("Ours", seed=seed) for seed in range(3))])
    lines = {line.name: line for line in made.lines}
    assert lines["ZeroShape"].cells[1].text.startswith("3.38 [")
    assert [words for words, _ in lines["ZeroShape"].verdicts] == [
        "Ours beats ZeroShape: not evaluated: ZeroShape measured in part"
    ]
    assert lines["OpenLRM"].verdicts[0][0] == "Ours beats OpenLRM (CD): reproduced"


def test_a_silent_profile_says_nothing_of_yardsticks():
    made = sheet(profile="smoke", yardsticks=True)
    assert made.lines[-1].baseline and not made.lines[-1].verdicts and "no claim" not in sheet_text(made)


@pytest.mark.parametrize("yardsticks", [False, True])
def test_a_terminal_shows_a_rule_above_each_part(yardsticks):
    lines = sheet_text(sheet(yardsticks=yardsticks)).splitlines()
    rulers = [k for k, line in enumerate(lines) if line.startswith("---")]
    assert len(rulers) == 1 + yardsticks and all(b - a > 1 for a, b in zip(rulers, rulers[1:], strict=False))
    assert ("no claim of the paper; M-SRN − this: CD −6.62 [" in "\n".join(lines)) == yardsticks


def test_a_trained_yardstick_is_not_awaited_in_a_run():
    known, now = [record("M-SRN, poses known")], rows(recorded("zoo"))
    made = make_sheet(TABLE8, "c", {"recorded": {**now, "M-SRN, poses known": known}, "this run": now}, "laptop", [])
    [line] = [line for line in made.lines if line.name == "M-SRN, poses known"]
    assert [cell.text[:4] for cell in line.cells[:3]] == ["", "2.50", "–"] and line.baseline
    assert line.supervision == "S+C"


def test_html_takes_its_colours_from_the_page_and_escapes():
    page = sheet_html(sheet())
    assert "a &lt; b" in page and "n &lt; m &amp; o" in page and not Cells(page).open
    plain = plain_html("a < b", ["", "v & w"], [["<b> [why]", "3 [2, 4]"]], "n")
    assert "&lt;b&gt;<small>why</small>" in plain and "v &amp; w" in plain and "3<br><small>[2, 4]</small>" in plain
    for text in (page, plain):
        assert not re.search(r"#[0-9a-f]{3,6}|rgb\(|: *(white|black)", re.sub("base64,[^']*", "", text))


def test_every_form_opens_with_the_verdicts_in_short():
    """A claim stands once under each verdict that it has; by which metrics, only where they differ."""
    made, claims = sheet(), ["M-SRN beats w/o FC", "M-SRN beats w/o NC", "w/o FC is between M-SRN and w/o NC"]
    kinds = {"reproduced": "CD, CD per axis", "not reproduced": "F"}
    assert made.found == [(kind, "; ".join(f"{claim} ({some})" for claim in claims)) for kind, some in kinds.items()]
    page, terminal = sheet_html(made), sheet_text(made)
    assert page.index("<b>Not reproduced:</b> M-SRN beats w/o FC (F);") < page.index("<table>")
    assert "Reproduced: M-SRN beats w/o FC (CD, CD per axis);" in terminal.split("\n\n")[0]
    assert sheet(records=recorded("zoo")[:1]).found == [("not evaluated", "; ".join(claims))]  # by every metric alike
    assert sheet(profile="smoke").found == []
    [(kind, some)] = sheet(TABLES["table4"], [record("Ours", seed=seed) for seed in range(3)]).found
    assert kind == "not evaluated" and "Ours beats ZeroShape" in some.split("; ")

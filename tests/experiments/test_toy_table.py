"""A new table is one entry: a quoted, a scored and a trained row, through the public entry to all four forms."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from shown import tables_of
from toy_table import toy_request, toy_split, use_toy

from msrn import paths
from msrn.evaluation.statistics import estimate
from msrn.experiments import paper, record, runner
from msrn.experiments.table import Row, Table
from msrn.experiments.verdicts import Beats, judge
from msrn.report import recorded_tables, results_table, text
from msrn.report.html import sheet_html
from msrn.store import results

TOY = Table(
    "4.9",
    "A toy",
    "toy",
    (
        Row("Quoted", {"cd": 2.34, "f": 0.321}, supervision="M+C"),
        Row("Scored", {"cd": 1.98}, supervision="3D"),
        Row("Ours", {"cd": 1.23, "f": 0.456}, {}, "S"),
    ),
    claims=(Beats("Ours", "Scored"), Beats("Ours", "Quoted")),
    ours="Ours",
    name="toy",
)
MISSING = 2  # objects without a file


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy-table")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSRN_RUNS", str(folder / "runs"))
        patch.setattr(paths, "RESULTS", folder / "results")
        patch.setitem(paper.TABLES, "toy", TOY)
        use_toy(patch)
        write_predictions(folder / "meshes")
        lines = list(record.record_files(TOY, TOY.row("Scored"), toy_request(), folder / "meshes", "y-up"))
        assert lines[-1].endswith("written") and any(f"in no mean: {MISSING}" in line for line in lines)
        yield runner.make(paper.TABLES["toy"], toy_request(seeds=(0, 1, 2)), progress=False)


def write_predictions(folder) -> None:
    """A sphere for each object but the first ones, as a mesh of its own."""
    test = toy_split("toy", "test")
    for name in test.object_id[test.evaluation_index][MISSING:]:
        file = folder / f"{name}.ply"
        file.parent.mkdir(parents=True, exist_ok=True)
        trimesh.creation.icosphere(2, 0.5).export(file)


@pytest.fixture(scope="module")
def sheet(result):
    return results_table.sheet_of(result)


@pytest.fixture(scope="module")
def expected(result) -> dict[tuple[str, str, str], str]:
    """(row, metric, source) -> what each form has to show."""
    [scored] = [made for made in result.recorded if made.kind == "files"]
    measured = {"Scored": [scored], "Ours": result.rows["Ours"]}
    assert scored.variant == "Scored" and len(scored.missing) == MISSING and len(measured["Ours"]) == 3
    cells = {(row.name, metric, "published"): f"{value:.{2 if metric == 'cd' else 3}f}"
             for row in TOY.rows for metric, value in row.printed.items()}  # fmt: skip
    for metric in TOY.measured:
        cells |= {(name, metric, "this run"): estimate(rows, metric).text(metric) for name, rows in measured.items()}
        cells["Scored", metric, "recorded"] = cells["Scored", metric, "this run"]
    return cells


PLACES = [(metric, source) for metric in ("cd", "cd_axes", "f") for source in ("published", "recorded", "this run")]


def test_a_page(sheet, expected):
    page = sheet_html(sheet)
    body = {row[0].partition("supervision")[0]: row for row in tables_of(page)[0][2:]}
    for (name, metric, source), text_of_cell in expected.items():
        assert body[name][1 + PLACES.index((metric, source))] == text_of_cell.replace(" [", "["), (name, metric, source)
    assert body["Quoted"][0] == "Quotedsupervision M+C" and body["Quoted"][1:4] == ["2.34", "–", "–"]
    assert body["Scored"][4] == body["Scored"][7] == "–" and body["Ours"][2] == body["Ours"][5] == "none yet"
    assert "Ours beats Quoted: not evaluated: Quoted not measured" in body["Quoted"][-1]
    assert "Ours beats Scored: not evaluated: Scored measured in part" in body["Scored"][-1]
    assert f"Scored: {MISSING} objects without a prediction, in no mean and in no verdict." in page
    assert "Toy, A toy (§4.9): on toy, profile laptop, 3 seeds (0, 1, 2)" in page


def test_what_cannot_be_judged_is_said_once(result):
    found = dict(results_table.sheet_of(result).found)
    assert "Ours beats Scored" in found["not evaluated"] and "Ours beats Quoted" in found["not evaluated"]
    elsewhere = replace(result, table=replace(TOY, data="zoo"))
    assert "values are for zoo: on toy compare only rows measured on it." in results_table.show(elsewhere).data


def test_a_terminal(sheet, expected):
    lines = {line.split("  ")[0]: line for line in reversed(text.sheet_text(sheet).splitlines())}
    for (name, *_), text_of_cell in expected.items():
        assert text_of_cell in lines[name]
    assert lines["Quoted"].split() == ["Quoted", "2.34", "–", "–", "–", "–", "–", "0.321", "–", "–"]


def test_csv(sheet, expected):
    lines = csv.DictReader(io.StringIO(text.sheet_csv(sheet)))
    found = {(line["row"], line["column"], line["source"]): line for line in lines}
    models = {key for key in found if key[0] in ("Quoted", "Scored", "Ours")}
    assert models == set(expected)
    for key, text_of_cell in expected.items():
        value = float(found[key]["value"])
        assert text_of_cell.split(" [")[0] == f"{value:.{3 if key[1] == 'f' else 2}f}"
    assert found["Quoted", "cd", "published"]["supervision"] == "M+C"


def test_latex(sheet, expected):
    cells = [[cell.strip() for cell in line.split(" & ")] for line in text.sheet_latex(sheet).splitlines()]
    lines = {name: values for name, *values in cells}
    for (name, metric, source), text_of_cell in expected.items():
        shown = lines[name][PLACES.index((metric, source))].removesuffix(r" \\")
        assert shown.strip() == text_of_cell.replace("−", "--")


def test_recorded_rows_stand_in_their_own_table(result):
    """With a recorded network the same table is shown from results alone."""
    records = [*result.recorded, *result.rows["Ours"], *result.baselines]
    kept = tuple(results.from_json(results.to_json(made), "x") for made in records)
    page = recorded_tables.show(replace(result, recorded=kept)).data
    body = {row[0].partition("supervision")[0]: row for row in tables_of(page)[0][2:]}
    [scored] = [made for made in result.recorded if made.kind == "files"]
    assert body["Scored"][2].startswith(f"{scored.metrics['cd']:.2f}[") and body["Quoted"][2] == "–"
    assert body["Ours"][2].replace("[", " [") == estimate(result.rows["Ours"], "cd").text("cd")
    assert np.isfinite(scored.metrics["cd"]) and "Scored: 2 objects without a prediction" in page


def test_the_same_table_whole_gets_its_verdict(result):
    """As if every object had had a file."""
    [scored] = [made for made in result.recorded if made.kind == "files"]
    ids = result.rows["Ours"][0].objects
    far = [9.0 + k / 10 for k in range(len(ids["cd"]))]
    whole = {**ids, "cd": far, "cd_axes": far, "f": [0.0] * len(far)}
    rows = {**result.rows, "Scored": [scored.model_copy(update={"objects": whole, "missing": []})]}
    [cd, *_] = judge(TOY.claims, TOY.measured, rows, TOY.printed)
    assert cd.text("laptop") == "reproduced" and cd.parts[0].published == pytest.approx(1.23 - 1.98)

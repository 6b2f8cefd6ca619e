"""Tables and pictures: every number where it belongs, verdicts by profile, texts for those who do not see pictures."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from shown import Cells, changed
from toy_table import record

from msrn.render import icosphere
from msrn.report import conclusions, curves, html, pictures, results_table, viewer
from msrn.report.html import Row
from msrn.report.pictures import draw_mesh


def test_printed_values_are_of_another_data_set_unless_they_are_not(toy_result):
    assert "13 categories of ShapeNet: on toy compare signs, not values." in results_table.table_text(
        toy_result
    ).replace("\n", " ")
    own = replace(toy_result, request=replace(toy_result.request, dataset="shapenet"))
    assert "13 categories of ShapeNet: here are 3 of them." in results_table.table_text(own).replace("\n", " ")


def test_table_holds_published_recorded_and_measured(toy_result):
    alike = {"settings": {"steps": 9}}
    kept = [record("M-SRN", metrics={"cd": 2.5, "f": 0.2}, **alike)]
    kept += [record("M-SRN", seed=1, metrics={"cd": 3.5, "f": 0.4}, **alike)]
    shown = Cells(results_table.table_html(changed(toy_result, recorded=kept))).rows
    body = {row[0]: row[1:] for row in shown[2:]}
    assert list(body)[:3] == ["w/o FC", "w/o NC", "M-SRN"] and len(body) == 8
    assert body["w/o NC"][:2] == ["3.81", "none yet"] and body["M-SRN"][:2] == ["1.61", "3.00"]
    assert body["M-SRN"][3:5] == ["0.365", "0.300"]
    for outcome in toy_result.outcomes:
        assert body[outcome.variant.name][2].startswith(f"{outcome.record.metrics['cd']:.2f}[")
        assert body[outcome.variant.name][5].startswith(f"{outcome.record.metrics['f']:.3f}[")
    assert body["starting ellipsoid"][0] == "" and "no claim of the paper" in body["starting ellipsoid"][-1]
    assert all(len(row) == 8 for row in shown[1:])


@pytest.mark.parametrize(
    ("profile", "seeds", "said"),
    [
        ("smoke", (0, 1, 2), "not evaluated at this profile"),
        ("laptop", (0,), r"not evaluated: needs three seeds.*M-SRN − w/o NC: [+−]\d"),
        ("laptop", (0, 1, 2), "reproduced.*M-SRN − w/o NC"),
        ("paper", (0, 1, 2), "reproduced"),
    ],
)
def test_verdicts_stand_beside_the_ablated_rows_only(toy_result, profile, seeds, said):
    body = {row[0]: row[-1] for row in Cells(results_table.table_html(changed(toy_result, profile, seeds))).rows[2:]}
    assert re.search(said, body["w/o NC"]) and re.search(said.replace("NC", "FC"), body["w/o FC"])
    assert "reproduced" not in body["retrieval"]
    assert re.search(f"order, CD: .*{said.split('.*')[0]}.*w/o FC − w/o NC", body["M-SRN"])


def test_text_table_is_aligned_and_complete(toy_result):
    shorter = replace(toy_result, request=replace(toy_result.request, changed=(("steps", 24),)))
    text = results_table.table_text(shorter, "notebooks/table8_ablation.ipynb")
    lines = text.splitlines()
    block = [line for line in lines if line.startswith(("w/o FC  ", "w/o NC  ", "M-SRN  ")) and "none yet" in line]
    assert len(block) == 3 and len({line.index("none yet") for line in block}) == 1
    assert "Source: notebooks/table8_ablation.ipynb; params/laptop.yaml with steps 24;" in text.replace("\n", " ")
    assert "3 of 3 runs trained now" in text.replace("\n", " ")
    assert text.count("needs three seeds") == 6


def test_the_rule_and_the_source_stand_under_the_table(toy_result):
    shown = results_table.table_html(toy_result, "notebooks/x.ipynb")
    assert "at least three seeds" in shown and "compare signs, not values" in shown
    assert "Source: notebooks/x.ipynb" in shown and "commit " in shown and "trained on CPU" in shown
    assert "of processor time; 3 of 3 runs trained now" in shown
    loaded = replace(
        toy_result, outcomes=tuple(replace(o, run=replace(o.run, trained_now=False)) for o in toy_result.outcomes)
    )
    assert "all 3 runs loaded" in results_table.table_html(loaded)


def test_html_takes_its_colours_from_the_page_and_escapes():
    shown = html.results_html("a < b", ["m"], [Row("<b>", ("1", "2", "3 [2, 4]"), (("v & w", "d"),))], ["n < m"])
    assert "&lt;b&gt;" in shown and "v &amp; w" in shown and "n &lt; m" in shown and "a &lt; b" in shown
    assert not re.search(r"#[0-9a-f]{3,6}|rgb\(|: *(white|black)", shown)
    assert "3<br><small>[2, 4]</small>" in shown


def test_small_tables_and_conclusions_follow_the_numbers(toy_result):
    learned = {row[0]: row[1:] for row in Cells(conclusions.learned_table(toy_result)).rows}
    metrics = toy_result.of("M-SRN")[0].record.metrics
    assert learned["M-SRN"][:3] == [f"{metrics[key]:.2f}" for key in ("mask_iou", "pose_m1", "pose_m2")]
    by_category = {row[0]: row[1:] for row in Cells(conclusions.category_table(toy_result)).rows}
    assert by_category["M-SRN"][0] == f"{metrics['cd.category.ball']:.2f}" and len(by_category) == 9
    assert len(Cells(conclusions.alignment_table(toy_result)).rows[0]) == 7
    said = " ".join(conclusions.conclusions(toy_result))
    gap, lead = (metrics[name] - toy_result.baselines[0].metrics[name] for name in ("cd", "f"))
    against = next(text for text in conclusions.conclusions(toy_result) if "“starting ellipsoid”" in text)
    for shown in (f"in CD by {gap:+.2f}", f"in F-score by {lead:+.3f}"):
        assert shown.replace("by -", "by −") in against
    side = re.search(r": (better|worse|open \(the interval holds zero\)) in CD", against)[1]
    interval = re.search(r"in CD by \S+ \[(.\S+), (.)", against)
    assert (side[:4] == "open") == (interval[1][0] != interval[2]) and (side == "better") <= (gap < 0)
    assert f"IoU of {metrics['mask_iou']:.2f}" in said and "M-SRN against w/o NC: not evaluated" in said
    assert "M−SRN" not in said and "(w/o NC worst, w/o FC between, M-SRN best): not evaluated" in said
    single = toy_result.request.settings.model_copy(update={"neighbor_prototypes": 1})
    alone = replace(toy_result, request=replace(toy_result.request, settings=single))
    assert "Eqs 33-38" not in said and "Eqs 33-38) is not tested" in " ".join(conclusions.conclusions(alone))
    silent = conclusions.conclusions(changed(toy_result, "smoke"))
    assert len(silent) == 1 and silent[0].startswith("Nothing about the method")
    for header in (conclusions.header, conclusions.foreground_header):
        assert "reproduce nothing" in header(changed(toy_result, "smoke").request)
    assert "reproduce nothing" not in conclusions.header(toy_result.request)


def test_the_cost_of_a_profile_comes_from_recorded_runs_of_its_settings(toy_result, monkeypatch):
    request = toy_result.request
    assert "How long that takes has not been recorded." in conclusions.header(request)
    kept = [outcome.record.model_copy(update={"train_seconds": 60.0, "device": "X"}) for outcome in toy_result.outcomes]
    monkeypatch.setattr(conclusions, "recorded", lambda experiment: kept)
    steps = request.settings.steps
    said = f"each of the 3 rows of a seed trains in 1 min 0 s on X ({steps / 60:.2g} steps a second)."
    assert said in conclusions.header(request)
    longer = replace(request, settings=request.settings.model_copy(update={"steps": 10 * steps}))
    assert "has not been recorded" in conclusions.header(longer)


def picture_of(shown) -> np.ndarray:
    encoded = re.search(r'src="data:image/png;base64,([^"]+)"', shown.data).group(1)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))


def test_pictures_are_transparent_and_say_what_they_show(toy_result):
    rows = pictures.typical_objects(toy_result)
    assert [toy_result.test.categories[toy_result.test.category[row]] for row in rows] == ["ball", "disc", "stick"]
    for figure, alt in (
        (pictures.objects_figure(toy_result, rows), pictures.objects_alt(toy_result, rows)),
        (curves.learning_figure(toy_result), curves.learning_alt(toy_result)),
        (curves.pose_figure(toy_result), curves.pose_alt(toy_result)),
    ):
        shown = pictures.show(figure, alt)
        assert len(alt) > 80 and "M-SRN" in alt and "$" not in alt and f'alt="{alt[:20]}' in shown.data
        picture = picture_of(shown)
        assert picture.shape[2] == 4 and picture[0, 0, 3] == 0 and picture[..., 3].max() == 255


def test_typical_objects_are_medians(toy_result):
    columns = toy_result.of("M-SRN")[0].record.objects
    for row in pictures.typical_objects(toy_result):
        name = toy_result.test.object_id[row]
        category = toy_result.test.categories[toy_result.test.category[row]]
        mine = sorted(cd for cd, c in zip(columns["cd"], columns["category"], strict=True) if c == category)
        assert columns["cd"][columns["object_id"].index(name)] == mine[2]  # of five


def test_a_drawn_mesh_is_where_it_should_be():
    vertices, faces = icosphere(3)
    colors = np.full((len(faces), 3), (200, 100, 50), np.uint8)
    picture = draw_mesh((vertices.numpy() * [0.5, 0.25, 0.25] + 7.0, faces.numpy()), colors, 0.0, 0.0, 60)
    rows, columns = np.nonzero(picture[..., 3] > 127)
    assert picture.shape == (60, 60, 4) and picture[0, 0, 3] == 0
    assert rows.mean() == pytest.approx(29.5, abs=1) and columns.mean() == pytest.approx(29.5, abs=1)
    assert np.ptp(columns) == pytest.approx(
        2 * np.ptp(rows), rel=0.1
    )  # wider than high, centred though it stood elsewhere
    inside = picture[picture[..., 3] == 255][:, :3].astype(float)
    assert np.all(inside[:, 0] > inside[:, 1]) and inside.max() <= 200
    turned = draw_mesh((vertices.numpy() * [0.5, 0.25, 0.25], faces.numpy()), colors, 90.0, 0.0, 60)
    assert np.ptp(np.nonzero(turned[..., 3] > 127)[1]) < 0.7 * np.ptp(columns)


def shown_mesh(monkeypatch, toy_result):
    bundles = []
    monkeypatch.setattr(viewer, "display", lambda bundle, **_: bundles.append(bundle))
    viewer.show_reconstruction(toy_result, int(toy_result.test.evaluation_index[0]))
    return bundles[0]


def test_the_mesh_turns_in_the_book_without_a_library_of_its_own(toy_result, monkeypatch, capsys):
    monkeypatch.setenv("MSRN_BOOK", "1")
    bundle = shown_mesh(monkeypatch, toy_result)
    page = bundle["text/html"]
    assert "application/vnd.plotly.v1+json" not in bundle and "plotly-graph-div" in page and "Plotly.newPlot" in page
    assert (
        not re.search(r"https?://|<script[^>]+src|MathJax", page.replace("https://plot.ly", "")) and len(page) < 400_000
    )
    assert 'aria-label="M-SRN' in page and "<noscript><img alt=" in page
    assert Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).size == (viewer.HEIGHT, viewer.HEIGHT)
    file = toy_result.of("M-SRN")[0].run.folder / "ball-0test.obj"
    assert file.name in capsys.readouterr().out
    lines = [line.split() for line in file.read_text().splitlines()]
    assert sum(line[0] == "v" for line in lines) == 42 and sum(line[0] == "f" for line in lines) == 80
    assert {int(part) for line in lines if line[0] == "f" for part in line[1:]} == set(range(1, 43))


def test_elsewhere_the_mesh_is_plotlys_own_output(toy_result, monkeypatch):
    monkeypatch.delenv("MSRN_BOOK", raising=False)
    bundle = shown_mesh(monkeypatch, toy_result)
    content = json.loads(json.dumps(bundle["application/vnd.plotly.v1+json"]))
    assert content["data"][0]["type"] == "mesh3d" and len(content["data"][0]["facecolor"]) == 80
    assert "text/html" not in bundle and "image/png" in bundle


def test_durations_read_well():
    assert [results_table.duration(s) for s in (0.4, 59.4, 60, 200, 7500)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "3 min 20 s",
        "2 h 5 min",
    ]
    assert results_table.many(1, "seed") == "1 seed" and results_table.many(3, "seed") == "3 seeds"

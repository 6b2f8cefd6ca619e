"""Pictures and the mesh that turns: what they show, and their texts for those who do not see them."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from shown import recorded

from msrn.evaluation.inference import SECTORS
from msrn.experiments.paper import TABLES
from msrn.render import icosphere
from msrn.report import gallery, pictures, viewer
from msrn.report.pictures import draw_mesh


def pixels_of(shown: str) -> np.ndarray:
    encoded = re.search(r'src="data:image/png;base64,([^"]+)"', shown).group(1)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))


def test_pictures_are_transparent_and_say_what_they_show(toy_result):
    rows = gallery.typical_objects(toy_result)
    assert [toy_result.test.categories[toy_result.test.category[row]] for row in rows] == ["ball", "disc", "stick"]
    for picture in (
        gallery.objects_picture(toy_result, rows),
        pictures.learning(toy_result),
        pictures.poses(toy_result),
    ):
        shown = picture._repr_html_()
        assert len(picture.alt) > 80 and "M-SRN" in picture.alt and "$" not in picture.alt
        assert f'alt="{picture.alt[:20]}' in shown
        pixels = pixels_of(shown)
        assert pixels.shape[2] == 4 and pixels[0, 0, 3] == 0 and pixels[..., 3].max() == 255


def test_maps_hold_predicted_azimuths_against_true_ones():
    assert pictures.directions(TABLES["table8"], recorded("zoo")) is None  # from before maps were kept
    assert pictures.directions(TABLES["table8"], [one for one in recorded("zoo") if one.variant != "M-SRN"]) is None
    counts = np.zeros((SECTORS, SECTORS), int)
    counts[np.arange(SECTORS), (np.arange(SECTORS) + 5) % SECTORS] = 3  # right but for a constant turn
    metrics = {f"pose_m{m}.category.car": value for m, value in ((1, 0.98), (2, 0.99), (4, 1.0))}
    maps = {"azimuth.car": counts.flatten().tolist()}
    made = [one.model_copy(update={"curves": maps, "metrics": one.metrics | metrics}) for one in recorded("zoo")]
    picture = pictures.directions(TABLES["table8"], made)
    [axes] = [axes for axes in picture.figure.axes if axes.get_images()]
    np.testing.assert_array_equal(axes.get_images()[0].get_array(), np.eye(SECTORS))
    assert axes.get_title() == "car\n.98 .99 1.00" and "car 0.98, 0.99, 1.00" in picture.alt


def test_prototypes_are_shown_under_their_shares(toy_result, monkeypatch):
    rows, outcome = gallery.typical_objects(toy_result), toy_result.of("M-SRN")[0]
    network = outcome.run.network()
    monkeypatch.setattr(type(outcome.run), "network", lambda self: network)
    network.compensating = False
    assert pictures.attention(toy_result, rows) is None
    network.compensating = True
    found = pictures.attended(network, toy_result.test, rows, pictures.ATTENDED)
    picture = pictures.attention(toy_result, rows)
    columns = 2 + pictures.ATTENDED
    told = [[text.get_text() for text in axes.texts] for axes in picture.figure.axes]
    assert len(told) == len(rows) * columns and not any(told[0] + told[1] + told[columns])
    best = [toy_result.test.categories[term] for term in found.category[:, 0]]
    assert [told[k * columns + 2] for k in range(len(rows))] == [
        [f"{name} {share:.0%}"] for name, share in zip(best, found.weight[:, 0], strict=True)
    ]
    assert "ball to " in picture.alt and f"{best[0]} {found.weight[0, 0]:.0%}" in picture.alt
    valid = network.get_prototypes("prototypes").valid
    valid[:] = False
    valid[0, :2] = True
    assert len(pictures.attention(toy_result, rows).figure.axes) == len(rows) * (2 + 2)


def test_typical_objects_are_medians(toy_result):
    columns = toy_result.of("M-SRN")[0].record.objects
    for row in gallery.typical_objects(toy_result):
        name = toy_result.test.object_id[row]
        category = toy_result.test.categories[toy_result.test.category[row]]
        mine = sorted(cd for cd, c in zip(columns["cd"], columns["category"], strict=True) if c == category)
        assert columns["cd"][columns["object_id"].index(name)] == mine[2]  # of five


def test_a_drawn_mesh_is_where_it_should_be():
    vertices, faces = icosphere(3)
    colors = np.full((len(faces), 3), (200, 100, 50), np.uint8)
    picture = draw_mesh((vertices.numpy() * [0.5, 0.25, 0.25] + 7.0, faces.numpy()), colors, 0.0, 0.0, 60)
    inside = picture[..., 0] <= 200
    rows, columns = np.nonzero(inside)
    assert picture.shape == (60, 60, 3) and (picture[0, 0] == 255).all()
    assert rows.mean() == pytest.approx(29.5, abs=1) and columns.mean() == pytest.approx(29.5, abs=1)
    assert np.ptp(columns) == pytest.approx(
        2 * np.ptp(rows), rel=0.1
    )  # wider than high, centred though it stood elsewhere
    assert np.all(picture[inside][:, 0] > picture[inside][:, 1])
    turned = draw_mesh((vertices.numpy() * [0.5, 0.25, 0.25], faces.numpy()), colors, 90.0, 0.0, 60)
    assert np.ptp(np.nonzero(turned[..., 0] <= 200)[1]) < 0.7 * np.ptp(columns)


def shown_mesh(monkeypatch, toy_result):
    bundles = []
    monkeypatch.setattr(viewer, "display", lambda bundle, **_: bundles.append(bundle))
    viewer.show_reconstruction(toy_result, int(toy_result.test.evaluation_index[0]))
    return bundles[0]


def test_the_mesh_turns_in_the_book_without_a_library_of_its_own(toy_result, monkeypatch):
    monkeypatch.setenv("MSRN_BOOK", "1")
    bundle = shown_mesh(monkeypatch, toy_result)
    page = bundle["text/html"]
    assert "application/vnd.plotly.v1+json" not in bundle and "plotly-graph-div" in page and "Plotly.newPlot" in page
    assert (
        not re.search(r"https?://|<script[^>]+src|MathJax", page.replace("https://plot.ly", "")) and len(page) < 400_000
    )
    assert 'aria-label="Meshes beside each other: truth, w/o FC' in page and "<noscript><img alt=" in page
    assert Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).size == (4 * viewer.HEIGHT, viewer.HEIGHT)


def test_elsewhere_the_mesh_is_plotlys_own_output(toy_result, monkeypatch):
    monkeypatch.delenv("MSRN_BOOK", raising=False)
    bundle = shown_mesh(monkeypatch, toy_result)
    content = json.loads(json.dumps(bundle["application/vnd.plotly.v1+json"]))
    assert content["data"][0]["type"] == "mesh3d" and len(content["data"][-1]["facecolor"]) == 80
    assert "text/html" not in bundle and "image/png" in bundle


def test_lines_follow_the_place_of_a_row():
    styles = [pictures.style(TABLES["table8"], row.name) for row in TABLES["table8"].rows]
    assert styles[-1]["linestyle"] == "solid" and len({style["color"] for style in styles}) == 3


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("$1 and $x^{2", "$1 and $x^{2"),
        ("椅子", "\\u6905\\u5b50"),
        ("стул 50% & <b>", "стул 50% & <b>"),
        (r"\frac", r"\frac"),
    ],
)
@pytest.mark.filterwarnings("error")  # as of a glyph that is missing
def test_names_of_categories_are_shown_as_they_are(name, shown):
    figure = pictures.grid({name: [np.zeros((4, 4, 3), np.uint8)]}, [name])
    pictures.quiet(figure.axes[0], f"{name}\n.9")
    assert pixels_of(pictures.Picture(figure, name)._repr_html_()).shape[2] == 4
    assert figure.axes[0].get_title() == f"{shown}\n.9" and figure.axes[0].get_ylabel() in ("", shown)

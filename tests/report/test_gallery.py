"""Galleries: which meshes a page shows, what its pictures say, and the same as files."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from toy_table import toy_request, use_toy

from msrn import paths
from msrn.evaluation.examples import PLACES, every
from msrn.experiments import record as recording
from msrn.experiments import runner
from msrn.experiments.paper import TABLES
from msrn.report import gallery, viewer
from msrn.store import files, results

TABLE8 = TABLES["table8"]


@pytest.fixture
def places(toy_result, tmp_path, monkeypatch):
    """The toy run is in the store, nothing is recorded."""
    monkeypatch.setenv("MSRN_RUNS", str(toy_result.outcomes[0].run.folder.parent))
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    use_toy(monkeypatch)
    return tmp_path / "results"


@pytest.fixture
def kept(toy_result, places):
    for outcome in toy_result.outcomes:
        results.write(outcome.record)
    return list(recording.record_meshes(TABLE8, toy_request(), 60, progress=False))


@pytest.fixture
def shown(toy_result):
    return gallery.of_result(toy_result, {"best": ["ball/1test", "disc/0test"]}, toy_result.test, "Of a test.")


def test_recorded_meshes_are_shown_and_nothing_is_trained(toy_result, kept, monkeypatch):
    assert [line.rpartition("/")[2] for line in kept] == [
        f"table8-toy-laptop-{row}-seed0.npz: written" for row in ("m-srn", "without-fc", "without-nc")
    ]
    monkeypatch.setattr(runner, "make", lambda *_: pytest.fail("made anew"))
    [found] = gallery.make(TABLE8, toy_request(), False)
    assert list(found.names) == list(PLACES) and list(found.meshes) == [row.name for row in TABLE8.trained]
    now = gallery.of_result(toy_result, found.names, toy_result.test)
    for name in every(found.names):
        for row, (mesh, colors) in now.shapes(name).items():
            (vertices, _), recorded_colors = found.shapes(name)[row]
            np.testing.assert_allclose(vertices, mesh[0], atol=1e-3)
            np.testing.assert_array_equal(recorded_colors, colors)
    assert "As recorded, seed 0: profile laptop" in gallery.words(found).data
    assert "Shown are 9 of 15 test objects: of each of 3 categories the median, the best, the worst by CD" in (
        gallery.words(found).data
    )


def test_of_photographs_it_shows_what_the_network_saw(shown, toy_result):
    raw = replace(shown, test=replace(toy_result.test, masks=None))
    assert "cut out" not in gallery.drawings(shown, "ball/1test")  # images that come with masks are what it saw
    columns = gallery.drawings(raw, "ball/1test")
    assert list(columns)[:3] == ["input", "cut out", "truth"]
    row = toy_result.test.evaluation_index[list(raw.ours.objects["object_id"]).index("ball/1test")]
    np.testing.assert_array_equal(columns["cut out"][0], np.asarray(toy_result.test.images[row]).transpose(1, 2, 0))
    assert "in columns the input image, the cut-out for M-SRN, then" in gallery.picture(raw, "best").alt
    older = {name: replace(meshes, inputs=None) for name, meshes in shown.meshes.items()}
    assert "cut out" not in gallery.drawings(replace(raw, meshes=older), "ball/1test")


@pytest.mark.parametrize(
    "change",
    [
        lambda places, request: (places / "table8" / "toy-laptop-without-nc-seed0.json").unlink() or request,
        lambda places, request: next((places / "meshes").glob("*-without-fc-*")).unlink() or request,
        lambda places, request: replace(request, changed=(("steps", 24),)),
        lambda places, request: replace(request, settings=request.settings.model_copy(update={"steps": 25})),
        lambda places, request: _other_data(places) or request,
    ],
    ids=["a result was deleted", "meshes were deleted", "changed settings", "longer", "other images"],
)
def test_what_does_not_fit_is_not_shown(toy_result, places, kept, monkeypatch, change):
    request = change(places, toy_request())
    monkeypatch.setattr(runner, "make", lambda *_: toy_result)
    [found] = gallery.make(TABLE8, request, False)
    assert "No recorded meshes fit what is asked for" in gallery.words(found).data


def _other_data(places) -> None:
    for file in (places / "table8").glob("*.json"):
        files.write_json(file, files.read_json(file) | {"fingerprint": "of other images"})


def test_a_stand_in_is_named_and_every_recorded_one_is_shown(kept, monkeypatch):
    monkeypatch.setattr(gallery, "QUESTIONS", {"zoo": "", "toy": ""})
    [found] = gallery.make(TABLE8, replace(toy_request(), dataset="zoo", instead_of="shapenet"), False)
    assert "**toy**. In place of shapenet, for which no data_root is given. As recorded" in gallery.words(found).data


def test_meshes_without_a_result_are_said_to_be_so(places):
    said = list(recording.record_meshes(TABLE8, toy_request(), 60, progress=False))
    assert said[1] == "M-SRN: no page shows them before msrn record table8 has kept its values"


def test_a_picture_says_what_it_shows(shown):
    picture, cd = gallery.picture(shown, "best"), shown.cd("best")
    for k, label in enumerate(("ball", "disc")):
        assert f"{label} ({', '.join(f'{row} {values[k]:.2f}' for row, values in cd.items())})" in picture.alt
    nearest = sum(values == min(all_) for values, *all_ in zip(cd["M-SRN"], *cd.values(), strict=True))
    assert f"M-SRN is the nearest to the truth in {nearest} of 2" in picture.caption
    assert f"<figcaption>{picture.caption[:10]}" in picture._repr_html_()
    cells = np.reshape(picture.figure.axes, (2, -1))
    titles = [axes.get_title().replace("\n", " ") for axes in cells[0]]
    assert titles[:4] == ["input", "truth", "truth, turned", "w/o FC"] and len(titles) == 1 + 2 * 4
    column = cells[:, titles.index("w/o NC")]
    assert [axes.texts[0].get_text() for axes in column] == [f"{value:.2f}" for value in cd["w/o NC"]]


def test_nothing_is_cut_off(shown, monkeypatch):
    """A cube of edge 1 seen from a corner is larger than the frame of a photograph."""
    cube, colors = trimesh.creation.box(), np.zeros((12, 3), np.uint8)
    mesh = cube.vertices, cube.faces
    monkeypatch.setattr(gallery.Gallery, "shapes", lambda *_: {"truth": (mesh, colors)})
    monkeypatch.setattr(gallery.Gallery, "pose", lambda *_: (45.0, 30.0))
    found = gallery.drawings(shown, "ball/1test")
    for title in ("truth", "truth, turned"):
        picture, mask = found[title]
        edges = np.concatenate([picture[[0, -1]].ravel(), picture[:, [0, -1]].ravel()])
        assert (edges == 255).all() and mask.any(0).sum() > 0.6 * len(mask)
    assert (found["input"][0][0] == 255).all()  # the input shrinks as its mesh does


def test_a_white_mesh_is_seen_on_white(shown, monkeypatch):
    cube = trimesh.creation.box(extents=(0.5, 0.5, 0.5))
    white = (cube.vertices, cube.faces), np.full((12, 3), 255, np.uint8)
    monkeypatch.setattr(gallery.Gallery, "shapes", lambda *_: {"truth": white})
    picture, mask = gallery.drawings(shown, "ball/1test")["truth"]
    left = mask.argmax(1)[mask.any(1)]
    assert (picture[mask.any(1), left] == gallery.EDGE).all() and (picture[~mask] > gallery.EDGE).all()


def test_silhouettes_are_compared_from_both_sides(shown, monkeypatch):
    true = shown.shapes("ball/1test")["truth"]
    flat = (true[0][0] * [1, 1, 0.2], true[0][1]), true[1]  # right from the front alone
    monkeypatch.setattr(gallery.Gallery, "shapes", lambda *_: {"truth": true, **dict.fromkeys(shown.meshes, flat)})
    monkeypatch.setattr(gallery.Gallery, "pose", lambda *_: (0.0, 0.0))
    line = gallery.table(shown).data.split("M-SRN</th>")[1].split("</tr>")[0]
    values = [float(part.split("<")[0]) for part in line.split("<td>")[1:]]
    assert (
        values[-2] > 0.9
        and values[-1] < 0.5
        and values[0] == pytest.approx(np.mean(shown.cd("best")["M-SRN"]), abs=0.01)
    )


def test_files_hold_the_meshes_and_the_distances(shown):
    lines = list(csv.DictReader(io.StringIO(gallery.as_csv(shown))))
    assert len(lines) == 2 * 3 and lines[0]["category"] == "ball" and lines[0]["run"].startswith("toy-seed0-")
    assert float(lines[-1]["cd"]) == pytest.approx(shown.cd("best")["M-SRN"][1], rel=1e-5)
    scene = trimesh.load(io.BytesIO(gallery.as_glb(shown)), file_type="glb")
    assert set(scene.geometry) == {f"{name} {row}" for name in every(shown.names) for row in shown.meshes}
    vertices = scene.geometry["disc/0test M-SRN"].vertices
    np.testing.assert_allclose(
        np.sort(vertices, 0), np.sort(shown.meshes["M-SRN"].of("disc/0test")[0][0], 0), atol=1e-6
    )
    links = gallery.links(shown, "figure9").data
    assert "download='figure9-toy.glb' href='data:model/gltf-binary;base64," in links and "figure9-toy.csv" in links


def test_every_object_turns_beside_its_truth(shown, monkeypatch):
    bundles = []
    monkeypatch.delenv("MSRN_BOOK", raising=False)
    monkeypatch.setattr(viewer, "display", lambda bundle, **_: bundles.append(bundle))
    viewer.show(shown)
    figure = bundles[0]["application/vnd.plotly.v1+json"]
    assert len(figure["data"]) == 2 * 4 and [trace["visible"] for trace in figure["data"]] == [True] * 4 + [False] * 4
    first, second = figure["layout"]["updatemenus"][0]["buttons"]
    assert first["label"] == "ball, best" and second["args"][0]["visible"] == [False] * 4 + [True] * 4
    scenes = {trace.get("scene", "scene") for trace in figure["data"]}
    assert {key.split(".")[0] for key in second["args"][1]} == scenes and scenes <= set(figure["layout"])
    assert "truth, w/o FC, w/o NC, M-SRN" in bundles[0]["text/plain"]

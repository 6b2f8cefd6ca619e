"""What the page shows of recorded results: every set, every length, every density, and where nothing is recorded."""

from types import SimpleNamespace

import pytest
from shown import RETRIEVAL, TABLE8, recorded, tables_of
from toy_table import toy_request

from msrn import paths, profiles
from msrn.errors import MsrnError
from msrn.evaluation.protocol import VERSION
from msrn.evaluation.statistics import estimate
from msrn.experiments.record import record_density
from msrn.report import conclusions, recorded_tables
from msrn.store import results


def shown(records) -> str:
    return recorded_tables.show(SimpleNamespace(table=TABLE8, recorded=records, request=toy_request())).data


def test_every_recorded_set_has_its_table_the_dense_one_first():
    page = shown([*recorded("homeware", seeds=(0,)), *recorded("procedural13"), *recorded("zoo")])
    tables = tables_of(page)
    assert [rows[0] for rows in tables] == [tables[0][0]] * 3 and len(tables) == 3
    places = [page.index(f"{name}, as recorded") for name in ("procedural13", "homeware", "zoo")]
    assert places == sorted(places)
    interval = estimate([made for made in recorded("zoo") if made.variant == "M-SRN"], "cd").text("cd")
    dense = {row[0]: row[1:] for row in tables[0][2:]}
    assert dense["M-SRN"][:2] == ["1.61", interval.replace(" [", "[")] and dense["M-SRN"][4] == "0.365"
    assert dense["M-SRN"][2] == "–" and dense["M-SRN"][3].startswith("1.25[")
    assert "M-SRN beats w/o NC (CD per axis): reproduced" in dense["w/o NC"][-1]
    assert "M-SRN beats w/o NC (CD): reproduced" in dense["w/o NC"][-1] and "3 of 3 seeds" in dense["w/o NC"][-1]
    assert "is between M-SRN and w/o NC (CD): reproduced" in dense["M-SRN"][-1]
    assert "M-SRN beats w/o FC (F): not reproduced" in dense["w/o FC"][-1]
    assert "no claim" in dense[RETRIEVAL][-1] and "M-SRN − this: CD −6.62" in dense[RETRIEVAL][-1]
    sparse = {row[0]: row[1:] for row in tables[1][2:]}
    assert "(CD): not evaluated: needs three seeds" in sparse["w/o NC"][-1]
    assert "Here the paper" in page and "claim is tested" in page and "limits show" in page
    assert "seeds: 0, 1, 2" in page and "Source: results/table8; " in page


def test_results_from_before_their_profile_changed_say_so():
    then = recorded("homeware")
    assert "profile laptop as it was then, 3 seeds" in shown(then)
    settings = profiles.resolve("laptop", device="cpu").settings.model_dump(mode="json")
    now = [
        made.model_copy(update={"settings": {**settings, **made.settings, "steps": settings["steps"]}}) for made in then
    ]
    assert "profile laptop, 3 seeds" in shown(now)


def test_a_table_or_row_that_is_not_recorded_says_so():
    page = shown([made for made in recorded("homeware") if made.variant != "w/o FC"])
    body = {row[0]: row[1:] for row in tables_of(page)[0][2:]}
    assert body["w/o FC"][1] == "none yet" and "(CD): reproduced" in body["w/o NC"][-1]
    assert ": not evaluated: w/o FC not measured" in body["M-SRN"][-1]
    assert "seeds: w/o FC none, w/o NC 0, 1, 2" in page
    assert "Nothing is recorded yet: msrn record table8 does it." in shown([])


def test_lengths_stand_below_each_other():
    records = [*recorded("zoo", 900, shift=-0.5), *recorded("zoo", 100), *recorded("farm")]
    page = recorded_tables.lengths(TABLE8, records).data
    [rows] = tables_of(page)
    assert [row[0] for row in rows[1:]] == ["farm, 100 steps", "zoo, 100 steps", "zoo, 900 steps"]
    assert [title.split(": ")[1] for title in rows[0][1:4]] == [row.name for row in TABLE8.rows]
    assert all(len(row) == 13 for row in rows)
    assert [rows[k][3][:4] for k in (2, 3)] == ["2.50", "2.00"] and rows[2][-1] == "0.75"
    assert "zoo, 900 steps: profile laptop as it was then, 3 seeds, 1 s a run on CPU" in page
    assert "Nothing is recorded" in recorded_tables.lengths(TABLE8, []).data


def test_what_an_earlier_protocol_measured_says_so():
    assert "earlier protocol" in shown(recorded("zoo"))
    now = [made.model_copy(update={"protocol": VERSION}) for made in recorded("zoo")]
    assert "earlier protocol" not in shown(now)


@pytest.fixture
def density(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    return tmp_path / "density"


def test_densities_are_measured_kept_and_shown(density, toy_data):
    request = toy_request()
    assert "No density is recorded yet" in recorded_tables.density([]).data
    lines = [list(record_density(TABLE8, request, progress=False)) for _ in range(2)]
    assert [line[0].split(": ")[-1] for line in lines] == ["written", "unchanged"]
    [made] = results.recorded("density")
    mean = made.metrics
    assert (made.dataset, made.n_objects, made.n_images, made.settings["candidates"]) == ("toy", 15, 60, 3)
    assert "neighbor_cd.category.ball" in mean
    [line] = tables_of(recorded_tables.density([]).data)[0][1:]
    assert line[0] == "toy15 training objects; 3 candidates, the most similar images"
    assert line[1] == f"{mean['neighbor_cd']:.2f}" and line[-1] == "–"
    assert tables_of(recorded_tables.density(recorded("toy")).data)[0][1][-1] == "9.10"
    other = toy_request(candidates=2, candidate_objects="distinct")
    list(record_density(TABLE8, other, progress=False))  # measured anew, since the candidates changed
    words = "2 candidates, distinct objects, their most different silhouettes"
    [made] = results.recorded("density")
    assert made.settings["candidates"] == 2 and words in recorded_tables.density([]).data


def test_a_torn_density_is_named(density):
    density.mkdir()
    (density / "toy.json").write_text('{"dataset": "toy"}')
    with pytest.raises(MsrnError, match=r"toy.json: key 'experiment': field required"):
        recorded_tables.density([])


def test_conclusions_tell_what_is_recorded():
    farm, zoo = conclusions.recorded_conclusions(TABLE8, [*recorded("zoo"), *recorded("farm", seeds=(0,))])
    assert farm.startswith("On farm as recorded (1 seed of") and zoo.startswith("On zoo as recorded (3 seeds of 100")
    assert "surely beats in CD “retrieval, category known”." in zoo
    bare = [made for made in recorded("zoo") if made.kind == "model"]
    assert conclusions.recorded_conclusions(TABLE8, bare) == []
    half = [made for made in recorded("zoo") if made.variant != "M-SRN"]
    assert conclusions.recorded_conclusions(TABLE8, half) == []

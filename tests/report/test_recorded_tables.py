"""What the page shows of recorded results: every set, every length, every density, and where nothing is recorded."""

import pytest
from shown import table, tables_of
from toy_table import toy_request

from msrn import paths, profiles
from msrn.experiments import densities, verdicts
from msrn.experiments.table import RETRIEVAL, TABLE8
from msrn.report import conclusions, curves, recorded_tables


@pytest.fixture
def density(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    return tmp_path / "density"


def test_every_recorded_set_has_its_table_the_dense_one_first():
    shown = recorded_tables.recorded_html([*table("homeware", seeds=(0,)), *table("procedural13"), *table("zoo")])
    found = tables_of(shown)
    assert [rows[0] for rows in found] == [found[0][0]] * 3 and len(found) == 3
    assert [shown.index(f"{name}, as recorded") for name in ("procedural13", "homeware", "zoo")] == sorted(
        shown.index(f"{name}, as recorded") for name in ("procedural13", "homeware", "zoo")
    )
    interval = verdicts.estimate([made for made in table("zoo") if made.variant == "M-SRN"], "cd").text("cd")
    dense = {row[0]: row[1:] for row in found[0][2:]}
    assert dense["M-SRN"][:2] == ["1.61", f"{interval[:4]}[{interval[6:]}"] and dense["M-SRN"][2] == "0.365"
    assert "CD: reproduced" in dense["w/o NC"][-1] and "3 of 3 seeds" in dense["w/o NC"][-1]
    assert "order, CD: reproduced" in dense["M-SRN"][-1] and "F: not reproduced" in dense["w/o FC"][-1]
    assert "no claim" in dense[RETRIEVAL][-1] and "M-SRN − this: −6.62" in dense[RETRIEVAL][-1]
    sparse = {row[0]: row[1:] for row in found[1][2:]}
    assert "CD: not evaluated: needs three seeds" in sparse["w/o NC"][-1]
    assert (
        "Here the paper" in shown
        and "claim is tested" in shown
        and "limits show" in shown
        and "seeds: 0, 1, 2" in shown
    )


def test_results_from_before_their_profile_changed_say_so():
    then = table("homeware")
    assert "profile laptop as it was then, 3 seeds" in recorded_tables.recorded_html(then)
    settings = profiles.resolve("laptop", device="cpu").settings.model_dump(mode="json")
    now = [
        made.model_copy(update={"settings": {**settings, **made.settings, "steps": settings["steps"]}}) for made in then
    ]
    assert "profile laptop, 3 seeds" in recorded_tables.recorded_html(now)


def test_a_set_or_row_that_is_not_recorded_says_so():
    half = [made for made in table("homeware") if made.variant != "w/o FC"]
    shown = recorded_tables.recorded_html(half)
    assert "procedural13: nothing is recorded yet. python -m msrn record table8" in shown
    body = {row[0]: row[1:] for row in tables_of(shown)[0][2:]}
    assert body["w/o FC"][1] == "none yet" and body["M-SRN"][-1] == "" and "CD: reproduced" in body["w/o NC"][-1]
    assert "seeds: w/o FC none, w/o NC 0, 1, 2" in shown
    of_photographs = recorded_tables.recorded_html([], "table7")
    assert "homeware-wild: nothing is recorded yet. python -m msrn record table7" in of_photographs
    assert "procedural13" not in of_photographs


def test_lengths_stand_below_each_other():
    kept = [*table("zoo", 900, shift=-0.5), *table("zoo", 100), *table("farm")]
    rows = tables_of(recorded_tables.lengths_html(kept))[0]
    assert [row[0] for row in rows[2:]] == ["farm, 100 steps", "zoo, 100 steps", "zoo, 900 steps"]
    assert rows[1][1:4] == [row.name for row in TABLE8] and all(len(row) == 10 for row in rows[1:])
    assert [rows[k][3][:4] for k in (3, 4)] == ["2.50", "2.00"] and rows[3][-1] == "0.75"
    assert list(recorded_tables.several_lengths(kept)) == ["zoo"]
    shown = curves.lengths_html(kept).data
    assert "<img" in shown and "CD of M-SRN, zoo: 2.50 at 100, 2.00 at 900" in shown
    assert "<img" not in curves.lengths_html(table("zoo")).data
    assert "Nothing is recorded" in curves.lengths_html([]).data
    panels = curves.lengths_figure(recorded_tables.several_lengths(kept)).axes
    assert list(panels[0].lines[2].get_ydata()) == [2.5, 2.0]
    assert panels[0].lines[3].get_ydata()[0] == 9.1 and len(panels[2].lines) == 3  # no yardstick for masks


def test_lengths_of_other_settings_are_not_joined():
    longer = table("zoo", 900)
    other = [record.model_copy(update={"settings": {**record.settings, "decay_at": 0.7}}) for record in longer]
    assert not recorded_tables.several_lengths([*table("zoo", 100), *other])
    [family] = recorded_tables.several_lengths([*table("zoo", 100), *table("zoo", 500), *longer, *other]).values()
    assert [group.steps for group in family] == [100, 500, 900]
    named = [record.model_copy(update={"profile": "long"}) for record in longer[:3]]  # the same length by another name
    [family] = recorded_tables.several_lengths([*table("zoo", 100), *longer, *named]).values()
    assert [(group.steps, len(group.seeds)) for group in family] == [(100, 3), (900, 3)]


def test_densities_are_measured_kept_and_shown(density, toy_data):
    request = toy_request()
    assert "No density is recorded yet" in recorded_tables.density_html([])
    said = [list(densities.record(request, progress=False)) for _ in range(2)]
    assert [line[0].split(": ")[-1] for line in said] == ["written", "unchanged"]
    [made] = densities.recorded()
    assert (made.dataset, made.n_objects, made.n_images, made.candidates["candidates"]) == ("toy", 15, 60, 3)
    mean = made.categories["mean"]
    assert set(made.categories) == {"ball", "disc", "stick", "mean"} and mean["same_category"] == 1
    [line] = tables_of(recorded_tables.density_html([]))[0][1:]
    assert (
        line[0] == "toy15 training objects; 3 candidates, the most similar images"
        and line[1] == f"{mean['neighbor_cd']:.2f}"
        and line[-1] == "–"
    )
    assert tables_of(recorded_tables.density_html(table("toy")))[0][1][-1] == "9.10"
    other = toy_request(candidates=2, candidate_objects="distinct")
    list(densities.record(other, progress=False))  # measured anew, since the candidates changed
    said = "2 candidates of distinct objects, their most different silhouettes"
    assert densities.recorded()[0].candidates["candidates"] == 2 and said in recorded_tables.density_html([])


def test_a_torn_density_is_named(density):
    density.mkdir()
    (density / "toy.json").write_text('{"dataset": "toy"}')
    with pytest.raises(densities.MsrnError, match=r"toy.json: key 'fingerprint': field required; restore it from git"):
        densities.recorded()


def test_conclusions_tell_what_is_recorded():
    said = conclusions.recorded_conclusions([*table("zoo"), *table("farm", seeds=(0,))])
    assert [text.split(" as recorded")[0] for text in said] == ["On farm", "On zoo"]
    assert "better than w/o NC: reproduced (−3.12 [" in said[1] and "the order of all three: reproduced" in said[1]
    assert "not evaluated: needs three seeds" in said[0] and "surely beats “retrieval, category known”." in said[1]
    bare = [made for made in table("zoo") if made.kind == "model" and (made.variant, made.seed) != ("w/o FC", 0)]
    assert conclusions.recorded_conclusions(bare)[0].startswith("On zoo as recorded (3 seeds of 100 steps)")
    assert "surely beats" not in conclusions.recorded_conclusions(bare)[0]
    half = [made for made in table("zoo") if made.variant != "M-SRN"]
    assert conclusions.recorded_conclusions(half) == []

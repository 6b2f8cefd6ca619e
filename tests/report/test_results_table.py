"""Tables and conclusions of a run: every number where it belongs, verdicts by profile, the rule and the source."""

import re
from dataclasses import replace

import pytest
from shown import Cells, changed, recorded, tables_of
from toy_table import record

from msrn.evaluation.statistics import difference
from msrn.experiments.paper import TABLES
from msrn.report import breakdown, conclusions, notebooks, recorded_tables, results_table, text, words


def shown(result) -> str:
    return results_table.show(result).data


def in_terminal(result) -> str:
    return text.sheet_text(results_table.sheet_of(result))


def body_of(result) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in tables_of(shown(result))[0][2:]}


def flat(result) -> str:
    return in_terminal(result).replace("\n", " ")


def test_printed_values_are_of_another_data_set_unless_they_are_not(toy_result):
    assert "The paper's values are for shapenet: on toy compare signs, not values." in flat(toy_result)
    own = replace(toy_result, request=replace(toy_result.request, dataset="shapenet"))
    assert "The paper's values are for shapenet: here are 3 of its categories." in flat(own)


def test_table_holds_published_recorded_and_measured(toy_result):
    before = recorded("toy", seeds=(0, 1))
    body = body_of(changed(toy_result, recorded=before))
    assert list(body)[:3] == ["w/o FC", "w/o NC", "M-SRN"] and len(body) == 8
    assert body["w/o NC"][0] == "3.81" and body["w/o NC"][1].startswith("5.62[")
    assert body["M-SRN"][0] == "1.61" and body["M-SRN"][1].startswith("2.50[")
    assert body["M-SRN"][3] == "–" and body["M-SRN"][4].startswith("1.25[")
    assert body["M-SRN"][6] == "0.365" and body["M-SRN"][7].startswith("0.100[")
    for outcome in toy_result.outcomes:
        assert body[outcome.row.name][2].startswith(f"{outcome.record.metrics['cd']:.2f}[")
        assert body[outcome.row.name][5].startswith(f"{outcome.record.metrics['cd_axes']:.2f}[")
        assert body[outcome.row.name][8].startswith(f"{outcome.record.metrics['f']:.3f}[")
    assert body["starting ellipsoid"][:2] == ["", "none yet"]
    assert "no claim of the paper" in body["starting ellipsoid"][-1]
    assert all(len(row) == 11 for row in tables_of(shown(toy_result))[0][2:])


def test_a_row_that_is_not_recorded_says_so(toy_result):
    half = [made for made in recorded("toy") if made.variant != "w/o NC"]
    assert body_of(changed(toy_result, recorded=half))["w/o NC"][1] == "none yet"
    assert body_of(changed(toy_result))["M-SRN"][1] == "none yet"


@pytest.mark.parametrize(
    ("profile", "seeds", "words"),
    [
        ("smoke", (0, 1, 2), "not evaluated at this profile"),
        ("laptop", (0,), r"not evaluated: needs three seeds.*M-SRN − w/o NC: [+−]\d"),
        ("laptop", (0, 1, 2), "(not )?reproduced.*M-SRN − w/o NC"),
        ("paper", (0, 1, 2), "(not )?reproduced"),
    ],
)
def test_verdicts_stand_beside_the_row_that_they_are_about(toy_result, profile, seeds, words):
    body = {name: cells[-1] for name, cells in body_of(changed(toy_result, profile, seeds)).items()}
    assert re.search(rf"M-SRN beats w/o NC \(CD\): {words}", body["w/o NC"])
    assert re.search(rf"M-SRN beats w/o FC \(F\): {words.replace('NC', 'FC')}", body["w/o FC"])
    assert "reproduced" not in body["retrieval"]
    order = r"w/o FC is between M-SRN and w/o NC \(CD\): "
    assert re.search(rf"{order}.*{words.split('.*')[0]}.*w/o FC − w/o NC", body["M-SRN"])


def test_text_table_is_aligned_and_complete(toy_result):
    shorter = replace(toy_result, request=replace(toy_result.request, changed=(("steps", 24),)))
    lines = in_terminal(shorter).splitlines()
    block = [line for line in lines if line.startswith(("w/o FC  ", "w/o NC  ", "M-SRN  ")) and "none yet" in line]
    assert len(block) == 3 and len({line.index("none yet") for line in block}) == 1
    assert "Source: msrn run table8; params/laptop.yaml with steps 24;" in flat(shorter)
    assert "3 of 3 runs trained now" in flat(shorter)
    assert flat(shorter).count("needs three seeds") == 9


def test_the_rule_and_the_source_stand_under_the_table(toy_result):
    page = shown(toy_result)
    assert "at least three seeds" in page and "compare signs, not values" in page
    assert "Source: msrn run table8; params/laptop.yaml;" in page and "commit " in page and "trained in " in page
    assert re.search(r"a run on CPU, [^;]+; 3 of 3 runs trained now", page)
    loaded = tuple(
        replace(outcome, runs=tuple(replace(run, trained_now=False) for run in outcome.runs))
        for outcome in toy_result.outcomes
    )
    assert "all 3 runs loaded" in shown(replace(toy_result, outcomes=loaded))
    assert "; the run loaded;" in shown(replace(toy_result, outcomes=loaded[-1:]))


def test_a_result_from_before_its_profile_changed_says_so(toy_result):
    assert "test objects: profile laptop as it was then, 3 seeds" in flat(changed(toy_result, recorded=recorded("toy")))


def test_what_the_networks_learned(toy_result):
    learned = {row[0]: row[1:] for row in Cells(breakdown.learned_table(toy_result).data).rows}
    metrics = toy_result.of("M-SRN")[0].record.metrics
    assert learned["M-SRN"][:4] == [f"{metrics[key]:.2f}" for key in ("mask_iou", "lost", "pose_m1", "pose_m2")]
    by_category = {row[0]: row[1:] for row in Cells(breakdown.category_table(toy_result).data).rows}
    both = f"{metrics['cd.category.ball']:.2f}[{metrics['cd_axes.category.ball']:.2f}]"
    assert by_category["M-SRN"][0] == both and len(by_category) == 9
    assert len(Cells(breakdown.alignment_table(toy_result).data).rows[0]) == 8


def test_conclusions_follow_the_numbers(toy_result):
    metrics, sentences = toy_result.of("M-SRN")[0].record.metrics, conclusions.conclusions(toy_result)
    every = " ".join(sentences)
    gaps = {made.variant: difference(toy_result.rows["M-SRN"], [made], "cd") for made in toy_result.baselines}
    sure = [f"“{name}”" for name, gap in gaps.items() if gap.high < 0]
    against = next(sentence for sentence in sentences if sentence.startswith("Of the rows that train nothing, M-SRN"))
    rigid, per_axis = against.split(". And ")
    assert f"surely beats in CD {', '.join(sure) or 'none'}" in rigid and per_axis.startswith("in CD per axis ")
    assert all(name not in rigid.split("; not ")[-1] for name in sure)
    assert f"IoU of {metrics['mask_iou']:.2f}" in every and "evaluated" not in every  # verdicts stand above the table


def test_profile_smoke_concludes_nothing(toy_result):
    silent = changed(toy_result, "smoke")
    [sentence] = conclusions.conclusions(silent)
    assert sentence.startswith("Nothing about the method")
    table = TABLES["table8"]
    assert "reproduces nothing" in notebooks.header(silent.request, table).data
    assert "reproduces nothing" in notebooks.foreground_header(silent.request).data
    assert "reproduces nothing" not in notebooks.header(toy_result.request, table).data


def test_the_cost_of_a_profile_comes_from_recorded_runs_of_its_settings(toy_result, monkeypatch):
    request, table = toy_result.request, TABLES["table8"]
    monkeypatch.setattr(notebooks.recorded, "pool", lambda: [])
    assert "How long that takes has not been recorded." in notebooks.header(request, table).data
    models = [o.record.model_copy(update={"train_seconds": 60.0, "device": "X"}) for o in toy_result.outcomes]
    monkeypatch.setattr(notebooks.recorded, "pool", lambda: models)
    steps = request.settings.steps
    cost = f"each of the 3 trained rows of a seed trains in 1 min 0 s on X ({steps / 60:.2g} steps a second)."
    assert cost in notebooks.header(request, table).data
    longer = replace(request, settings=request.settings.model_copy(update={"steps": 10 * steps}))
    assert "has not been recorded" in notebooks.header(longer, table).data


def test_times_are_kept_apart_by_device():
    models = [record(device=device, train_seconds=time) for device, time in (("GPU", 4), ("CPU", 60), ("CPU", 80))]
    assert list(words.seconds_of_a_run(models).items()) == [("CPU", 70.0), ("GPU", 4.0)]


def test_durations_read_well():
    durations = ["0 s", "59 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]
    assert [words.duration(seconds) for seconds in (0.4, 59.4, 60, 200, 7500)] == durations
    assert words.many(1, "seed") == "1 seed" and words.many(3, "seed") == "3 seeds"


def test_in_the_book_a_run_that_proves_the_wiring_has_no_column(toy_result, monkeypatch):
    monkeypatch.setenv("MSRN_BOOK", "laptop")
    monkeypatch.setattr(results_table, "resolve", lambda *_, **__: toy_result.request)
    before = recorded("toy")
    page = shown(silent := changed(toy_result, "smoke", recorded=before))
    body = body_of(silent)
    assert body["w/o NC"][0] == "3.81" and body["w/o NC"][1].startswith("5.62[") and len(body["w/o NC"]) == 7
    assert "as recorded on toy" in page and "this run" not in page and "Source: msrn run" not in page
    assert "M-SRN beats w/o NC (CD): reproduced" in page.replace("<small>", "")
    assert "none yet" in shown(changed(toy_result, "smoke")) and "Nothing is recorded yet." in shown(
        changed(toy_result, "smoke")
    )
    assert "The table above shows all of them." in recorded_tables.show(silent).data
    other = recorded_tables.show(changed(toy_result, "smoke", recorded=[*before, *recorded("zoo")])).data
    assert "zoo, as recorded" in other and "toy, as recorded" not in other
    mine = changed(toy_result, recorded=before)  # a run of the profile has its column
    assert "The same seed has the same digits on the same machine; on another they may differ." in flat(mine)
    assert "this run" in shown(mine) and "toy, as recorded" in recorded_tables.show(mine).data
    opening = notebooks.header(silent.request, TABLES["table8"]).data
    assert opening.startswith("Data set toy. All but what is called recorded, of profile laptop, is of profile smoke:")
    assert "**it proves that the code runs, and reproduces nothing.**" in opening

"""Table 8 from end to end on toy data: trained, scored, kept, reused; and what a user can get wrong."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from toy import Forbidden
from toy_table import record, toy_request, toy_split

from msrn import camera, paths
from msrn.errors import MsrnError
from msrn.evaluation import protocol, score
from msrn.evaluation.inference import predict
from msrn.experiments import ablation, paper
from msrn.experiments.runner import Bench
from msrn.experiments.table import BASELINES, FITTED, TABLE8
from msrn.store import files, results


def test_rows_are_the_papers():
    assert [(row.name, row.published["cd"], row.published["f"]) for row in TABLE8] == [
        ("w/o FC", 1.84, 0.352),
        ("w/o NC", 3.81, 0.160),
        ("M-SRN", 1.61, 0.365),
    ]


def test_overrides_change_one_setting_each():
    base = toy_request().settings
    changed = {row.name: {name for name, value in row.settings(base) if value != getattr(base, name)} for row in TABLE8}
    assert changed == {"w/o FC": {"feature_compensation"}, "w/o NC": {"neighbor_consistency"}, "M-SRN": set()}


def test_unknown_names_are_refused_with_the_nearest():
    assert paper.variant("table8", "w/o NC").without == "neighbour consistency"
    with pytest.raises(MsrnError, match=r"unknown variant 'w/o NCC' of table8 \(did you mean w/o NC\?\)"):
        paper.variant("table8", "w/o NCC")
    with pytest.raises(MsrnError, match=r"unknown experiment 'table9' \(did you mean table8\?\)"):
        paper.variants("table9")


def test_every_row_is_there_and_recorded(toy_result):
    assert [outcome.variant.name for outcome in toy_result.outcomes] == ["w/o FC", "w/o NC", "M-SRN"]
    assert toy_result.trained_now == 3 and len(toy_result.baselines) == 5
    for outcome in toy_result.outcomes:
        made = results.from_json(outcome.run.result, "result.json")
        assert made.variant == outcome.variant.name and made.settings == outcome.run.settings.model_dump(mode="json")
        assert made.metrics["cd"] > 0 and made.metrics["cd.low"] <= made.metrics["cd"] <= made.metrics["cd.high"]
        assert {"cd.category.ball", "mask_iou", "pose_m1", "pose_m2.category.disc", "cd.none", "eq46"} <= set(
            made.metrics
        )
        assert made.n_objects == 15 and made.n_images == 60 and made.kind == "model"
        assert {key.split(".")[0] for key in made.metrics} - set(made.units) <= {"objects", "points"}


@pytest.mark.parametrize(
    ("dataset", "profile", "there"),
    [
        ("procedural13-5", "laptop", True), ("homeware", "paper", True), ("homeware", "smoke", False),
        ("homeware-wild-2", "laptop", False), ("pix3d-ours", "laptop", False), ("toy", "laptop", False),
    ],
)  # fmt: skip
def test_meshes_are_fitted_to_masks_where_cameras_are_known(dataset, profile, there):
    bench = object.__new__(Bench)
    bench.scored, bench.request = SimpleNamespace(name=dataset), SimpleNamespace(profile=profile)
    assert (FITTED in bench.yardsticks) == there and set(bench.yardsticks) | {FITTED} == set(BASELINES)
    if not there:
        with pytest.raises(MsrnError, match=f"{FITTED}: no row of {dataset} at profile {profile}: expected one of"):
            bench.baseline(FITTED)


def test_objects_of_a_record_belong_together(toy_result):
    outcome, test = toy_result.outcomes[-1], toy_result.test
    views = predict(outcome.run.network(), test, test.evaluation_index)
    fit = dict(zip(test.object_id[test.evaluation_index], views.mask_iou, strict=True))
    columns = outcome.record.objects
    assert columns["mask_iou"] == pytest.approx([fit[name] for name in columns["object_id"]], abs=1e-5)
    cd, category = np.array(columns["cd"]), np.array(columns["category"])
    macro = np.mean([cd[category == name].mean() for name in test.categories])
    assert outcome.record.metrics["cd"] == pytest.approx(macro, rel=1e-5)


def test_a_second_table_loads_everything(toy_result, toy_data, monkeypatch):
    monkeypatch.setattr(score, "evaluate_meshes", lambda *_: pytest.fail("evaluated again"))
    monkeypatch.setattr("msrn.experiments.runner.extract_features", lambda *_, **__: pytest.fail("features asked for"))
    again = ablation.table8(toy_request(), progress=False)
    assert again.trained_now == 0
    assert [o.record.metrics for o in again.outcomes] == [
        results.from_json(o.run.result, "").metrics for o in toy_result.outcomes
    ]
    assert all("reused" in outcome.run.how and "unchanged" in outcome.run.how for outcome in again.outcomes)


def test_features_are_computed_on_the_device_of_the_request(toy_data, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "msrn.experiments.runner.extract_features", lambda *known: asked.append(known[-1]) or np.eye(60)
    )
    bench = Bench("table8", replace(toy_request(), device="cuda"), progress=False)
    bench._features(bench.train)
    assert asked == ["cuda"]


def test_scores_are_made_again_when_what_they_depend_on_changed(toy_result, toy_data):
    finer = ablation.table8(toy_request(eval_points=300), progress=False)
    assert finer.trained_now == 0 and {outcome.record.points for outcome in finer.outcomes} == {300}
    assert {made.points for made in finer.baselines} == {300}
    run = finer.outcomes[0].run
    files.write_text(run.folder / "result.json", '{"schema": 1, "torn')
    assert score.score_run(run, ("table8", "w/o FC"), toy_request(eval_points=300), finer.test, False).points == 300
    assert json.loads((run.folder / "result.json").read_text())["points"] == 300


def test_a_result_of_another_row_is_not_taken(toy_result):
    outcome = toy_result.outcomes[0]
    made = score.score_run(outcome.run, ("table8", "by another name"), toy_result.request, toy_result.test, False)
    assert made.variant == "by another name"


def test_meshes_arrive_in_the_truths_frame(toy_result):
    """The true camera sees the turned mesh as the network's camera sees the mesh."""
    import torch

    test, outcome = toy_result.test, toy_result.outcomes[0]
    rows = test.evaluation_index[:3]
    views = predict(outcome.run.network(), test, rows)
    pose = test.true_pose()[rows]
    for k, (vertices, faces) in enumerate(views.meshes_in_true_frame(pose)):
        true = camera.rotation(*torch.from_numpy(pose[k])).numpy()
        assert vertices @ true == pytest.approx(views.vertices[k] @ views.rotation[k], abs=1e-5)
        assert faces is views.faces


def test_predictions_read_no_truth(toy_result):
    blind = replace(toy_result.test, _truth=Forbidden())
    assert len(predict(toy_result.outcomes[0].run.network(), blind, [0, 7]).vertices) == 2


def test_recorded_rows_that_the_table_does_not_have_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    (tmp_path / "table8").mkdir()
    (tmp_path / "table8" / "a.json").write_text(json.dumps(results.to_json(record("M-SRM"))))
    with pytest.raises(MsrnError, match=r"unknown variant 'M-SRM' of table8 \(did you mean M-SRN"):
        ablation.table8(toy_request())


def test_the_headline_of_the_record_is_that_of_the_evaluation(toy_result):
    test, outcome = toy_result.test, toy_result.outcomes[1]
    views = predict(outcome.run.network(), test, test.evaluation_index)
    meshes = views.meshes_in_true_frame(test.true_pose()[test.evaluation_index])
    again = protocol.evaluate_meshes(meshes, test, test.evaluation_index, outcome.record.points, score.SEED)
    assert outcome.record.objects["cd"] == pytest.approx(again.per_object("cd")[2].tolist())


def test_a_table_bears_the_name_of_its_data(toy_data, monkeypatch, tmp_path):
    """Pix3D by a split of ours is pix3d-ours, in its records and on its page."""
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path))
    renamed = lambda name, *asked: replace(toy_split(name, *asked), name=f"{name}-ours")  # noqa: E731
    monkeypatch.setattr("msrn.experiments.runner.open_collection", renamed)
    made = ablation.table8(toy_request(), progress=False)
    assert made.request.dataset == "toy-ours" == made.outcomes[0].record.dataset

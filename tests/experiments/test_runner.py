"""From a table and a request to records: what is trained, scored, loaded and refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from toy import Forbidden
from toy_table import Ellipsoids, toy_request, toy_split

from msrn import baselines, camera, paths
from msrn.baselines import BASELINES
from msrn.errors import MsrnError
from msrn.evaluation import protocol, score
from msrn.evaluation.inference import predict
from msrn.evaluation.score import Label
from msrn.experiments import runner
from msrn.experiments.paper import TABLES
from msrn.experiments.runner import WHOLE, Experiment, job_of
from msrn.experiments.table import Row, Table
from msrn.store import files, results
from msrn.store.results import Record

TABLE8 = TABLES["table8"]
HULL = "hull of all its masks, poses known"


def test_every_row_is_there_and_recorded(toy_result):
    assert [outcome.row.name for outcome in toy_result.outcomes] == ["w/o FC", "w/o NC", "M-SRN"]
    assert all(outcome.run.trained_now for outcome in toy_result.outcomes) and len(toy_result.baselines) == 5
    for outcome in toy_result.outcomes:
        record = results.from_json(outcome.run.result, "result.json")
        assert record.settings == outcome.run.settings.model_dump(mode="json")
        assert (
            record.metrics["cd"] > 0 and record.metrics["cd.low"] <= record.metrics["cd"] <= record.metrics["cd.high"]
        )
        assert {"cd.category.ball", "mask_iou", "pose_m1", "pose_m2.category.disc", "cd.none", "eq46"} <= set(
            record.metrics
        )
        assert record.n_objects == 15 and record.n_images == 60 and record.kind == "model"
        assert {key.split(".")[0] for key in record.metrics} - set(record.units) <= {"objects", "points"}


def test_a_table_with_3d_iou_has_it_measured_and_no_other_pays(toy_result, monkeypatch, tmp_path):
    """In a copy of the store, since a run keeps the score that was asked for last."""
    monkeypatch.setenv("MSRN_RUNS", str(shutil.copytree(paths.runs_folder(), tmp_path / "runs")))
    assert "iou3d" not in {key for made in toy_result.rows["M-SRN"] for key in (*made.objects, *made.metrics)}
    row = TABLE8.row("M-SRN")
    solid = runner.make(replace(TABLE8, rows=(row,), claims=(), metrics=("iou3d", "cd")), toy_request(), progress=False)
    [made] = solid.rows["M-SRN"]
    [before] = toy_result.rows["M-SRN"]
    assert not solid.outcomes[0].run.trained_now and made.objects["cd"] == before.objects["cd"]
    assert made.evaluation != before.evaluation and len(made.objects["iou3d"]) == 15
    for record in (made, *solid.baselines):
        assert 0 < record.metrics["iou3d"] <= 100 and "per cent" in record.units["iou3d"]
        assert record.metrics["iou3d.low"] <= record.metrics["iou3d"] <= record.metrics["iou3d.high"]
    retrieved = solid.yardsticks["retrieval, category known"][0]
    assert retrieved.metrics["iou3d"] > solid.yardsticks["starting ellipsoid"][0].metrics["iou3d"]


@pytest.mark.parametrize(
    ("dataset", "profile", "there"),
    [
        ("procedural13-5", "laptop", True), ("homeware", "paper", True), ("homeware", "smoke", True),
        ("homeware-wild-2", "laptop", False), ("pix3d-ours", "laptop", False), ("toy", "laptop", False),
    ],
)  # fmt: skip
def test_hulls_are_carved_where_cameras_are_known(toy_data, dataset, profile, there):
    asked = Experiment(TABLE8, toy_request(profile), progress=False)
    job = job_of(asked, WHOLE, 0)
    job = replace(job, test=replace(job.test, name=dataset))
    given, label = asked.given(job), asked.label(HULL)
    names = baselines.possible(given)
    assert (HULL in names) == there and {*names, HULL} == set(BASELINES)
    if not there:
        with pytest.raises(MsrnError, match=f"{HULL}: no row of {dataset} at profile {profile}: expected one of"):
            baselines.score(HULL, given, label)


def test_objects_of_a_record_belong_together(toy_result):
    outcome, test = toy_result.outcomes[-1], toy_result.test
    views = predict(outcome.run.network(), test, test.evaluation_index)
    fit = dict(zip(test.object_id[test.evaluation_index], views.mask_iou, strict=True))
    columns = outcome.record.objects
    assert columns["mask_iou"] == pytest.approx([fit[name] for name in columns["object_id"]], abs=1e-5)
    cd, category = np.array(columns["cd"]), np.array(columns["category"])
    macro = np.mean([cd[category == name].mean() for name in test.categories])
    assert outcome.record.metrics["cd"] == pytest.approx(macro, rel=1e-5)


def test_a_record_counts_images_by_true_and_predicted_azimuth_and_those_that_are_lost(toy_result):
    outcome, test = toy_result.outcomes[-1], toy_result.test
    views = predict(outcome.run.network(), test, np.arange(len(test)))
    maps = {name: np.reshape(outcome.record.curves[f"azimuth.{name}"], (24, 24)) for name in test.categories}
    assert all((counts.sum(1)[[0, 6, 12, 18]] == 5).all() and counts.sum() == 20 for counts in maps.values())
    sticks = views.azimuth[test.category == 2]
    assert (maps["stick"].sum(0) == np.bincount(np.round(sticks / 15).astype(int) % 24, minlength=24)).all()
    lost = np.mean([(views.mask_iou[test.category == term] < 0.1).mean() for term in range(3)])
    assert outcome.record.metrics["lost"] == pytest.approx(lost, abs=1e-6)


def test_a_second_table_loads_everything(toy_result, toy_data, monkeypatch):
    monkeypatch.setattr(score, "evaluate_meshes", lambda *_: pytest.fail("evaluated again"))
    monkeypatch.setattr("msrn.baselines.baseline.extract_features", lambda *_, **__: pytest.fail("features asked for"))
    again = runner.make(TABLE8, toy_request(), progress=False)
    assert not any(outcome.run.trained_now for outcome in again.outcomes)
    assert [o.record.metrics for o in again.outcomes] == [
        results.from_json(o.run.result, "").metrics for o in toy_result.outcomes
    ]
    assert all("reused" in outcome.run.how and "unchanged" in outcome.run.how for outcome in again.outcomes)


def test_rows_of_equal_settings_data_and_seed_are_one_run(toy_result, toy_data):
    """Whichever tables ask for them, and under whatever name."""
    other = Table(
        "4.5.2",
        "Another table",
        "shapenet",
        (Row("whole", settings={}), Row("three", settings={"candidates": 3}), Row("two", settings={"candidates": 2})),
        ours="whole",
        name="other",
    )
    result = runner.make(other, toy_request(), progress=False)
    whole, three, two = result.outcomes
    assert whole.run.folder == three.run.folder == toy_result.of("M-SRN")[0].run.folder != two.run.folder
    assert not whole.run.trained_now and two.run.trained_now
    assert (whole.record.experiment, whole.record.variant, three.record.variant) == ("other", "whole", "three")
    assert whole.record.metrics == pytest.approx(toy_result.of("M-SRN")[0].record.metrics, rel=1e-5)


def test_features_are_computed_on_the_device_of_the_request(toy_data, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "msrn.baselines.baseline.extract_features", lambda *known: asked.append(known[-1]) or np.eye(60, dtype="f4")
    )
    monkeypatch.setattr(runner, "find_candidates", lambda *given, **_: given[0])
    experiment = Experiment(TABLE8, replace(toy_request(), device="cuda"), progress=False)
    job = replace(job_of(Experiment(TABLE8, toy_request(), progress=False), WHOLE, 0))
    runner.neighbors_of(experiment, job)
    assert asked == ["cuda"]


def test_scores_are_made_again_when_what_they_depend_on_changed(toy_result, toy_data):
    finer = runner.make(TABLE8, toy_request(eval_points=300), progress=False)
    assert not any(o.run.trained_now for o in finer.outcomes) and {o.record.points for o in finer.outcomes} == {300}
    assert {record.points for record in finer.baselines} == {300}
    run = finer.outcomes[0].run
    files.write_text(run.folder / "result.json", '{"schema": 1, "torn')
    assert score.score_run(run, Label("table8", "w/o FC", "laptop"), finer.test, False).points == 300
    assert json.loads((run.folder / "result.json").read_text())["points"] == 300


def test_a_result_bears_the_name_of_who_asks(toy_result):
    outcome = toy_result.outcomes[0]
    record = score.score_run(outcome.run, Label("table9", "by another name", "long"), toy_result.test, False)
    assert (record.experiment, record.variant, record.profile) == ("table9", "by another name", "long")


def test_recorded_baselines_of_the_same_data_and_code_are_loaded(toy_result, toy_data, monkeypatch, tmp_path):
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path))
    monkeypatch.setattr(score, "evaluate_meshes", lambda *_: pytest.fail("evaluated again"))
    asked = Experiment(TABLE8, replace(toy_request(), profile="another"), progress=False)
    given, past = asked.given(job_of(asked, WHOLE, 0)), list(toy_result.baselines)
    for before in past:
        again = baselines.score(before.variant, given, asked.label(before.variant), past)
        assert again.metrics == before.metrics and again.profile == "another"
    changed = [record.model_copy(update={"evaluation": "of other code"}) for record in past]
    with pytest.raises(pytest.fail.Exception, match="evaluated again"):
        baselines.score("starting ellipsoid", given, asked.label("starting ellipsoid"), changed)


def test_meshes_arrive_in_the_truths_frame(toy_result):
    """The true camera sees the turned mesh as the network's camera sees the mesh."""
    import torch

    test, outcome = toy_result.test, toy_result.outcomes[0]
    rows = test.evaluation_index[:3]
    views = predict(outcome.run.network(), test, rows)
    pose = test.true_pose()[rows]
    for k, (vertices, faces) in enumerate(views.meshes_in_true_frame(pose)):
        true = camera.rotation(*torch.from_numpy(pose[k])).numpy()
        assert vertices @ true == pytest.approx(views.meshes[k].vertices @ views.rotation[k], abs=1e-5)
        assert faces is views.meshes[0].faces


def test_predictions_read_no_truth(toy_result):
    blind = replace(toy_result.test, _truth=Forbidden())
    assert len(predict(toy_result.outcomes[0].run.network(), blind, [0, 7]).meshes) == 2


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
    monkeypatch.setattr(runner, "open_collection", renamed)
    result = runner.make(TABLE8, toy_request(), progress=False)
    assert result.request.dataset == "toy-ours" == result.outcomes[0].record.dataset


def test_a_model_a_category(toy_data, monkeypatch, tmp_path):
    """Table 5: a run for each category that the data set has, and one record of them all."""
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))
    table = Table(
        "4.4.4", "By category", "shapenet", (Row("Ours", settings={}),), metrics=("cd",),
        categories=("ball", "stick", "rocket"), ours="Ours", name="by-category",
    )  # fmt: skip
    [outcome] = runner.make(table, toy_request(), progress=False).outcomes
    assert len(outcome.runs) == 2 and len({run.folder for run in outcome.runs}) == 2
    record = outcome.record
    assert sorted(set(record.objects["category"])) == ["ball", "stick"] and record.n_objects == 10
    parts = [results.from_json(run.result, "") for run in outcome.runs]
    assert record.metrics["cd"] == pytest.approx(np.mean([part.metrics["cd"] for part in parts]), rel=1e-5)
    assert record.metrics["cd_axes.micro"] == pytest.approx(np.mean(record.objects["cd_axes"]))
    assert record.metrics["cd.category.ball"] == pytest.approx(parts[0].metrics["cd.category.ball"], rel=1e-5)
    assert record.train_seconds == pytest.approx(sum(part.train_seconds for part in parts))
    assert isinstance(record, Record) and results.from_json(results.to_json(record), "").variant == "Ours"


def test_a_table_of_one_category_reads_that_one_alone(toy_data, cache):
    table = replace(TABLE8, category="disc")
    asked = Experiment(table, toy_request(), progress=False)
    assert asked.open("train").categories == ("disc",) and len(asked.open("test")) == 20
    with pytest.raises(MsrnError, match="toy has no category 'rocket'"):
        Experiment(replace(TABLE8, category="rocket"), toy_request()).open("train")


def test_a_label_free_row_trains_on_clusters_and_is_scored_by_category(toy_data, monkeypatch, tmp_path):
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))
    asked, row = Experiment(TABLE8, toy_request(), progress=False), TABLE8.row("M-SRN, label-free")
    job, given = (job_of(asked, one, 0) for one in (row, WHOLE))
    train, near = job.train, runner.neighbors_of(asked, job)
    assert train.categories == ("cluster 1", "cluster 2", "cluster 3") and job.folder != given.folder
    assert (train.category[near] == train.category[:, None]).all() and (train.category != given.train.category).any()
    assert (train.object_id[near] != train.object_id[:, None]).all()
    assert job.test.categories == given.train.categories == ("ball", "disc", "stick")
    outcome = runner.outcome(asked, [job], {})
    assert outcome.record.settings["categories"] == "clusters" and "cd.category.disc" in outcome.record.metrics
    whole = Experiment(TABLE8, toy_request(categories="clusters"), progress=False)
    assert job_of(whole, WHOLE, 0).train.categories == ("ball", "disc", "stick")  # what rows that train nothing see
    assert np.array_equal(job_of(whole, TABLE8.row("M-SRN"), 0).train.category, train.category)


def test_true_azimuths_are_refused_before_any_work_where_there_are_none(toy_data, monkeypatch):
    class Unposed(Ellipsoids):
        def poses(self, object_id, view):
            raise MsrnError("toy has no cameras")

    table = replace(TABLES["table6"], category="")
    Experiment(table, toy_request(), progress=False).check()
    monkeypatch.setattr(runner, "open_collection", lambda *asked: replace(toy_split(*asked), _truth=Unposed()))
    Experiment(TABLE8, toy_request(), progress=False).check()
    with pytest.raises(MsrnError, match="^toy has no cameras$"):
        runner.make(table, toy_request(), progress=False)

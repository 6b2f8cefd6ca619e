"""Recording in portions: what is missing, nothing lost when the time is over."""

import time
from dataclasses import replace

import pytest
from toy_table import toy_request

from msrn import paths
from msrn.errors import MsrnError
from msrn.experiments import record as recording
from msrn.experiments import runner
from msrn.experiments.paper import TABLES
from msrn.experiments.table import Row, Table
from msrn.neighbors import candidates
from msrn.store import checkpointing, results


@pytest.fixture
def places(tmp_path, monkeypatch, toy_data):
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    return tmp_path / "results" / "table8"


def lines(seconds: float = 600, **overrides) -> list[str]:
    return list(recording.record_table(TABLES["table8"], toy_request(**overrides), seconds, progress=False))


def names(folder) -> set[str]:
    return {path.name for path in folder.glob("*.json")} if folder.exists() else set()


def test_everything_is_recorded_once(places):
    said = lines(seeds=(0, 1))
    assert said[-1] == "table8, profile laptop, on toy: everything is recorded"
    yardsticks = "poses-known", "multi-view-and-poses-known", "own-views-allowed", "label-free"
    rows = "without-fc", "without-nc", "m-srn", *(f"m-srn-{name}" for name in yardsticks)
    models = [f"toy-laptop-{row}-seed{seed}.json" for row in rows for seed in (0, 1)]
    assert names(places) >= set(models) and len(names(places)) == len(models) + 5
    before = {path: path.stat().st_mtime_ns for path in places.glob("*.json")}
    assert all("unchanged" in line for line in lines(seeds=(0, 1))[:-1])
    assert before == {path: path.stat().st_mtime_ns for path in places.glob("*.json")}
    assert {record.variant for record in results.recorded("table8")} >= {"w/o FC", "w/o NC", "M-SRN"}


def test_time_over_keeps_what_is_done_and_goes_on(places, monkeypatch):
    """The clock jumps past the end in the middle of the second run."""
    logged, real = [], checkpointing.save_checkpoint

    def count(state, folder):
        real(state, folder)
        logged.append(folder)

    monkeypatch.setattr(checkpointing, "save_checkpoint", count)
    clock = time.monotonic
    monkeypatch.setattr(checkpointing.time, "monotonic", lambda: clock() + (1e6 if len(logged) > 7 else 0))
    said = lines()
    assert "out of time at step" in said[-2] and said[-1].endswith("6 of 12 left: the same command goes on")
    trained = {name for name in names(places) if "without" in name or "m-srn" in name}
    assert trained == {"toy-laptop-without-fc-seed0.json"}
    monkeypatch.setattr(checkpointing.time, "monotonic", clock)
    assert lines()[-1].endswith("everything is recorded")


STUDY = Table(
    "4.3",
    "A study on val",
    "shapenet",
    (
        Row("laptop", settings={}),
        Row("3 objects", settings={}, objects=3),
        Row("2 candidates", settings={"candidates": 2}),
        Row("Other", {"cd": 2.0}, supervision="3D"),
    ),
    ours="laptop",
    split="val",
    name="study",
)


def kept(folder):
    return {record.variant: record for record in results.recorded("study")}


def study(only, seconds=600, request=None):
    return list(recording.record_table(STUDY, request or toy_request(), seconds, False, only=only))


def test_a_study_is_scored_on_val_with_its_own_candidates_and_images(places, monkeypatch):
    asked, find = [], candidates.find_candidates
    monkeypatch.setattr(
        runner, "find_candidates", lambda *given, **how: asked.append((len(given[0]), given[3])) or find(*given, **how)
    )
    lines = study(["laptop", "3 objects", "2 candidates"])
    assert [line.split("/")[-1] for line in lines[:-1]] == [
        f"toy-laptop-{name}-seed0.json: written" for name in ("laptop", "3-objects", "2-candidates")
    ]
    rows = (60, 3), (36, 3), (60, 2)  # images, candidates
    assert asked == [row for row in rows for _ in range(2)]  # to train, and to tell which of them are kept
    found = kept(places)
    assert {record.fingerprint for record in found.values()} == {"toy-val"}
    assert {record.profile for record in found.values()} == {"laptop"}
    for record in found.values():
        assert 0 <= record.metrics["neighbor.chosen"] <= 1 and record.metrics["neighbor.kept"] > 0
    assert found["2 candidates"].settings["candidates"] == 2 and found["laptop"].settings["candidates"] == 3


def test_single_rows_may_be_those_that_train_nothing(places):
    asked = ["retrieval", "starting ellipsoid"]
    lines = study(asked)
    assert len(lines) == 3 and lines[-1].endswith("everything is recorded")
    found = kept(places)
    assert set(found) == set(asked) and {record.kind for record in found.values()} == {"baseline"}
    lines = study(asked, 0)
    assert lines[0] == "starting ellipsoid: the time is over before it began"
    assert lines[1].endswith("2 of 2 left: the same command goes on")


def test_a_row_alone_waits_for_the_masks_of_no_other(places, monkeypatch):
    asked, find = [], recording.job_of
    monkeypatch.setattr(
        recording, "job_of", lambda where, row, *seed: asked.append(row.name) or find(where, row, *seed)
    )
    study(["laptop"])
    assert set(asked) == {"laptop"}
    study(["retrieval"])
    assert set(asked) == {"laptop", recording.WHOLE.name}


def test_a_changed_profile_is_recorded_under_its_own_name(places):
    longer = replace(toy_request(steps=26), changed=(("steps", 26),))
    for request in (toy_request(), longer):
        study(["laptop"], request=request)
    assert names(places.with_name("study")) == {
        "toy-laptop-laptop-seed0.json", "toy-laptop-with-steps-26-laptop-seed0.json",
    }  # fmt: skip


def test_rows_that_cannot_be_trained_are_refused(places):
    with pytest.raises(MsrnError, match=r"unknown row '3 object' of study \(did you mean 3 objects\?\)"):
        study(["3 object"])
    with pytest.raises(
        MsrnError, match=r"row 'Other' of study is quoted, .*: msrn score FOLDER --as \"Other\" --table"
    ):
        study(["Other"])


def test_densities_are_measured_once_and_kept(places):
    request = toy_request()
    lines = [list(recording.record_density(TABLES["table8"], request, progress=False)) for _ in range(2)]
    assert [line[0].split(": ")[-1] for line in lines] == ["written", "unchanged"]
    [record] = results.recorded("density")
    assert (record.dataset, record.n_objects, record.n_images, record.settings["candidates"]) == ("toy", 15, 60, 3)
    assert "neighbor_cd.category.ball" in record.metrics
    list(recording.record_density(TABLES["table8"], toy_request(candidates=2), progress=False))
    assert results.recorded("density")[0].settings["candidates"] == 2  # measured anew, since the candidates changed

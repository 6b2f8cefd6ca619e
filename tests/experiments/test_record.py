"""Recording in portions: what is missing, longest first, nothing lost when the time is over."""

import time
from dataclasses import replace

import pytest
from toy_table import toy_request

from msrn import paths
from msrn.errors import MsrnError
from msrn.experiments import paper
from msrn.experiments import record as recording
from msrn.experiments.table import Variant
from msrn.neighbors import candidates
from msrn.store import checkpointing, results


@pytest.fixture
def places(tmp_path, monkeypatch, toy_data):
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    return tmp_path / "results" / "table8"


def lines(seconds: float = 600, **overrides) -> list[str]:
    return list(recording.record("table8", toy_request(**overrides), seconds, progress=False))


def names(folder) -> set[str]:
    return {path.name for path in folder.glob("*.json")} if folder.exists() else set()


def test_everything_is_recorded_once(places):
    said = lines(seeds=(0, 1))
    assert said[-1] == "table8, profile laptop, on toy: everything is recorded"
    models = [f"toy-laptop-{row}-seed{seed}.json" for row in ("without-fc", "without-nc", "m-srn") for seed in (0, 1)]
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
    assert "out of time at step" in said[-2] and said[-1].endswith("2 of 8 left: the same command goes on")
    kept = {name for name in names(places) if "seed0" in name and name.startswith("toy-laptop-m-srn")}
    assert kept == {"toy-laptop-m-srn-seed0.json"}  # the whole network is the longest, so it came first
    monkeypatch.setattr(checkpointing.time, "monotonic", clock)
    assert lines()[-1].endswith("everything is recorded")


STUDY = (
    Variant("laptop"),
    Variant("3 objects", objects=3),
    Variant("2 candidates", overrides={"candidates": 2}),
    Variant("as it is", overrides={"steps": 24}),
)


@pytest.fixture
def study(places, monkeypatch):
    monkeypatch.setitem(paper.EXPERIMENTS, "study", paper.Experiment(STUDY, "val"))
    return places.with_name("study")


def test_the_study_is_scored_on_val_with_its_own_candidates_and_images(study, monkeypatch):
    asked = []
    find = candidates.find_candidates
    monkeypatch.setattr(
        "msrn.experiments.runner.find_candidates",
        lambda *given: asked.append((len(given[0]), given[3])) or find(*given),
    )
    said = list(recording.record("study", toy_request(), 600, False, only=["2 candidates", "3 objects", "laptop"]))
    assert [line.split("/")[-1] for line in said[:-1]] == [
        f"toy-laptop-{name}-seed0.json: written" for name in ("2-candidates", "3-objects", "laptop")
    ]
    assert asked == [(60, 2), (36, 3), (60, 3)]  # images, candidates
    found = {record.variant: record for record in results.recorded("study")}
    assert {record.fingerprint for record in found.values()} == {"toy-val"}
    assert {record.profile for record in found.values()} == {"laptop"}
    assert found["2 candidates"].settings["candidates"] == 2 and found["laptop"].settings["candidates"] == 3


def test_single_rows_may_be_those_that_train_nothing(study):
    asked = ["retrieval", "starting ellipsoid"]
    said = list(recording.record("study", toy_request(), 600, False, only=asked))
    assert len(said) == 3 and said[-1].endswith("everything is recorded")
    found = results.recorded("study")
    assert {record.variant for record in found} == set(asked) and {record.kind for record in found} == {"baseline"}
    said = list(recording.record("study", toy_request(), 0, False, only=asked))
    assert said[0] == "starting ellipsoid: the time is over before it began"
    assert said[1].endswith("2 of 2 left: the same command goes on")


def test_a_changed_profile_is_recorded_under_its_own_name(study):
    longer = replace(toy_request(steps=26), changed=(("steps", 26),))
    for request in (toy_request(), longer):
        list(recording.record("study", request, 600, False, only=["laptop"]))
    assert names(study) == {"toy-laptop-laptop-seed0.json", "toy-laptop-with-steps-26-laptop-seed0.json"}
    assert {record.profile for record in results.recorded("study")} == {"laptop", "laptop with steps 26"}


def test_a_row_that_changes_nothing_of_the_profile_is_left_out(study):
    rows = recording._rows("study", toy_request(), ())
    assert [row.name for row in rows] == ["laptop", "3 objects", "2 candidates"]
    with pytest.raises(MsrnError, match=r"unknown variant '3 object' of study \(did you mean 3 objects\?\)"):
        recording._rows("study", toy_request(), ["3 object"])


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("25m", 1500), ("1.5h", 5400), (" 2m ", 120)])
def test_budgets(text, seconds):
    assert recording.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["25", "m", "0m", "-5m", "5 min", ""])
def test_a_budget_that_is_none(text):
    with pytest.raises(MsrnError, match="expected a number and a unit"):
        recording.seconds_of(text)

"""Recorded results are compared only with what was made alike."""

from dataclasses import replace

import pytest
from toy_table import record, toy_request

from msrn import profiles
from msrn.errors import MsrnError
from msrn.evaluation.masks import recorded as recorded_masks
from msrn.experiments import paper, recorded
from msrn.experiments.table import BASELINES, FITTED, TABLE8


def table(steps: int = 100, seeds: tuple[int, ...] = (0,), **changes) -> list:
    """Records of all three rows, each with what its row changes, and one baseline."""
    settings = {"steps": steps, **changes.pop("settings", {})}
    made = [
        record(row.name, seed=seed, settings={**settings, **row.overrides}, **changes)
        for row in TABLE8
        for seed in seeds
    ]
    return [*made, record("retrieval", kind="baseline", settings=settings, **changes)]


def test_rows_and_seeds_of_a_group_belong_together():
    [group] = recorded.groups(table(seeds=(1, 0)))
    assert group.seeds == [0, 1] and group.complete and group.steps == 100
    assert [made.seed for made in group.rows()["w/o NC"]] == [0, 1] and len(group.models) == 6
    assert [made.variant for made in group.baselines] == ["retrieval"]
    assert group.mean("M-SRN", "f") == pytest.approx(0.1)


def test_what_was_made_otherwise_is_a_group_of_its_own():
    kept = table()
    for other in (
        table(200), table(dataset="other"), table(profile="laptop with sigma 0.1"), table(fingerprint="new"),
        table(points=7), table(settings={"learning_rate": 1.0}), table(settings={"log_every": 3}),
    ):  # fmt: skip
        assert [len(group.models) for group in recorded.groups([*kept, *other])] == [3, 3]
    for same in (table(settings={"eval_points": 3}), table(settings={"learning_rate": 1e-4})):  # 1e-4 is the default
        assert len(recorded.groups([*kept, *same])) == 1


def test_committed_results_name_removed_settings_and_are_what_the_profiles_make_today():
    for name, dataset, profile, models, baselines in (
        ("table7", "homeware-wild", "laptop", 9, 5),
        ("table8", "homeware", "laptop", 9, 6),
        ("table8", "procedural13", "laptop", 9, 6),
        ("table8", "procedural13", "night", 3, 6),
    ):
        request = profiles.resolve(profile, dataset, device="cpu")
        [group] = [g for g in recorded.groups(paper.recorded(name), dataset) if g.follows(request)]
        assert len(group.models) >= models and len(group.baselines) == baselines and group.complete
    both = recorded.groups(paper.recorded("table8"), "procedural13")
    assert any({group.first.profile for group in found} == {"laptop", "night"} for found in recorded.families(both))
    assert len(recorded_masks()) >= 15


def test_a_result_of_a_setting_that_is_gone_is_refused():
    with pytest.raises(MsrnError, match=r"recorded setting candidate_pool = 96: expected 'all'.*; delete"):
        recorded.groups(table(settings={"candidate_objects": "distinct", "candidate_pool": 96}))


def test_a_row_that_is_missing_shows():
    half = [made for made in table(seeds=(0, 1)) if (made.variant, made.seed) != ("w/o FC", 1)]
    assert recorded.groups(half)[0].seeds == [0]
    none = [made for made in half if made.variant != "w/o FC"]
    [group] = recorded.groups(none)
    assert group.seeds == [] and not group.complete and group.rows()["w/o FC"] == []


def test_baselines_are_those_of_the_same_objects_and_points_the_own_profile_first():
    others = [
        record("retrieval", (9.0,) * 4, kind="baseline", profile="paper"),
        record(BASELINES[1], kind="baseline", profile="paper"),
        record(BASELINES[0], kind="baseline", points=3),
        record(BASELINES[2], kind="baseline", fingerprint="another split"),
    ]
    for order in ([*others, *table()], [*table(), *others]):
        [group] = recorded.groups(order)
        found = {made.variant: made for made in group.baselines}
        assert list(found) == [BASELINES[1], "retrieval"] and found["retrieval"].profile == "laptop"


def test_meshes_fitted_to_masks_stand_beside_runs_of_the_same_renderer():
    fitted = record(FITTED, kind="baseline", settings={"sigma": 4e-4})
    [alike], [other] = (recorded.groups([fitted, *table(settings={"sigma": sigma})]) for sigma in (4e-4, 1e-4))
    assert FITTED in {made.variant for made in alike.baselines}
    assert FITTED not in {made.variant for made in other.baselines}


def test_the_group_with_a_verdict_comes_before_the_longer_one():
    three, longer = table(100, (0, 1, 2)), table(900)
    assert [group.steps for group in recorded.groups([*longer, *three])] == [100, 900]
    assert recorded.best(recorded.groups([*longer, *three])).steps == 100
    assert recorded.best(recorded.groups([*longer, *table(200)])).steps == 900
    assert recorded.best([]) is None


def test_times_are_kept_apart_by_device():
    kept = [record(device=device, train_seconds=time) for device, time in (("GPU", 4.0), ("CPU", 60.0), ("CPU", 80.0))]
    assert list(recorded.seconds_of_a_run(kept).items()) == [("CPU", 70.0), ("GPU", 4.0)]


def test_beside_a_request_stand_its_own_settings():
    request = toy_request(steps=24)
    same = {"settings": {**request.settings.model_dump(mode="json"), "checkpoint_every": 9}, "profile": "another name"}
    kept = [*table(900), *table(24, **same)]
    assert recorded.shown(kept, request).first.profile == "another name"
    assert [group.follows(request) for group in recorded.groups(kept)] == [True, False]


def test_settings_that_find_masks_matter_only_where_they_found_them():
    request = toy_request(steps=24)
    settings = {**request.settings.model_dump(mode="json"), "cue_threshold": 0.17}
    for masks, follows in (("of the data set", True), ("refined", False)):
        [group] = recorded.groups(table(24, settings=settings, masks=masks))
        assert group.follows(request) == follows
        both = [*table(24, masks=masks, settings={"cue_threshold": 0.1}), *table(24, masks=masks)]
        assert len(recorded.groups(both)) == (1 if follows else 2)


def test_else_beside_a_request_stands_its_own_profile():
    request = toy_request()
    kept = [*table(100), *table(900, profile="paper"), *table(9, profile="laptop with steps 9"), *table(dataset="x")]
    assert recorded.shown(kept, request).steps == 100
    assert recorded.shown(kept, replace(request, changed=(("steps", 9),))).steps == 9
    assert recorded.shown(kept, replace(request, profile="smoke")).steps == 900
    assert recorded.shown([], request) is None

"""Recorded results are compared only with what was made alike, whichever table they were kept under."""

from dataclasses import replace

import pytest
from toy_table import record, toy_request

from msrn.baselines import BASELINES
from msrn.errors import MsrnError
from msrn.experiments import recorded
from msrn.experiments.paper import TABLES
from msrn.experiments.table import Row, Table
from msrn.report.words import seconds_of_a_run
from msrn.settings import Settings

TABLE8 = TABLES["table8"]
NAMES = list(BASELINES)
SWEEP = Table(
    "4.5.2", "A sweep", "shapenet", tuple(Row(f"K' = {k}", settings={"prototypes": k}) for k in (5, 10, 20)),
    ours="K' = 10", name="sweep",
)  # fmt: skip


def rows(steps: int = 100, seeds: tuple[int, ...] = (0,), **changes) -> list:
    """Records of all three rows of Table 8, each with what its row changes, and one baseline."""
    settings = {"steps": steps, **changes.pop("settings", {})}
    models = [
        record(row.name, seed=seed, settings={**settings, **row.settings}, **changes)
        for row in TABLE8.rows
        for seed in seeds
    ]
    return [*models, record("retrieval", kind="baseline", settings={}, **changes)]


def groups(kept, table=TABLE8, **asked):
    return recorded.groups(table, kept, **asked)


def test_rows_and_seeds_of_a_group_belong_together():
    [group] = groups(rows(seeds=(1, 0)))
    assert group.seeds == 2 and group.complete and group.steps == 100
    assert [one.seed for one in group.rows["w/o NC"]] == [0, 1] and len(group.models) == 6
    assert list(group.yardsticks) == ["retrieval"]


def test_what_was_made_otherwise_is_a_group_of_its_own():
    kept = rows()
    for other in (
        rows(200), rows(dataset="other"), rows(profile="laptop with sigma 0.1"), rows(fingerprint="new"),
        rows(points=7), rows(settings={"learning_rate": 1.0}),
    ):  # fmt: skip
        assert [len(group.models) for group in groups([*kept, *other])] == [3, 3]
    for same in ({"eval_points": 300}, {"learning_rate": 1e-4}, {"log_every": 3}):  # no matter, or the default
        assert len(groups([*kept, *rows(settings=same)])) == 1


def test_a_row_that_is_missing_shows():
    half = [one for one in rows(seeds=(0, 1)) if (one.variant, one.seed) != ("w/o FC", 1)]
    assert groups(half)[0].seeds == 2
    [group] = groups([one for one in half if one.variant != "w/o FC"])
    assert not group.complete and group.rows["w/o FC"] == []


def test_a_run_that_several_tables_ask_for_is_recorded_once():
    """The middle of a sweep is the whole network of Table 8; the others have records of their own."""
    now = toy_request(prototypes=10)
    settings = now.settings.model_dump(mode="json")
    kept = rows(settings=settings, steps=now.settings.steps)
    assert groups(kept, SWEEP) == groups(kept, SWEEP, request=now)  # nothing of the sweep itself
    [group] = groups(kept, SWEEP)
    assert [one.variant for one in group.rows["K' = 10"]] == ["M-SRN"] and group.rows["K' = 5"] == []
    five = record("K' = 5", experiment="sweep", settings={**settings, "prototypes": 5})
    [group] = groups([*kept, five], SWEEP)
    assert [one.experiment for one in group.models] == ["sweep", "table8"]
    [group] = groups([*kept, five])  # and the other way round: it is no row of Table 8
    assert {one.experiment for one in group.models} == {"table8"}


def test_a_row_that_changes_nothing_is_not_what_another_table_took_a_module_from():
    """Without records of its own Table 2 shows those of Table 8, of which one row is the whole method."""
    own = {"profile": "paper"}  # whose settings are the defaults
    kept = [*rows(seeds=(0, 1), **own), record("M-SRN, poses known", settings={"azimuths": "known"}, **own)]
    [group] = groups(kept, TABLES["table2"])
    assert [one.variant for one in group.rows["Ours"]] == ["M-SRN"] * 2
    assert groups([one for one in kept if one.variant != "M-SRN"], TABLES["table2"]) == []


def test_a_row_has_what_its_own_table_kept_before_the_same_of_another():
    own = {"profile": "paper"}
    mine = record("Ours", experiment="table2", cd=(9.0, 9.0, 9.0, 9.0), **own)
    for kept in ([mine, *rows(**own)], [*rows(**own), mine]):
        [group] = groups(kept, TABLES["table2"])
        assert group.rows["Ours"] == [mine]


def test_what_was_seen_of_renders_says_nothing_of_photographs():
    renders = rows(profile="paper", dataset="homeware")
    photographs = [record("M-SRN", experiment="table7", profile="paper", dataset="homeware-wild")]
    [group] = groups([*renders, *photographs], TABLES["table3"])
    assert [one.experiment for one in group.rows["Ours"]] == ["table7"]
    [group] = groups([*renders, *photographs], TABLES["table2"])
    assert [one.experiment for one in group.rows["Ours"]] == ["table8"]
    assert groups(renders, TABLES["table3"]) == groups(renders, TABLES["table3"], dataset="homeware") == []


def test_tables_of_models_a_category_share_no_run_with_others():
    now = toy_request(learning_rate=Settings().learning_rate)
    kept = rows(settings=now.settings.model_dump(mode="json"), steps=now.settings.steps, profile="paper")
    for name in ("table5", "table6"):
        assert groups(kept, TABLES[name], request=now) == []
    [group] = groups(kept, TABLES["table2"], request=now)
    assert [one.experiment for one in group.rows["Ours"]] == ["table8"]


def test_a_row_that_changes_nothing_has_what_its_profile_has():
    compensated = record("K' = 10", experiment="sweep", profile="paper", settings=Settings().model_dump(mode="json"))
    without = record("x", experiment="sweep", profile="paper", settings={"feature_compensation": False})
    [group] = groups([compensated, without, *rows(profile="paper", steps=Settings().steps)])
    assert [one.variant for one in group.rows["M-SRN"]] == ["M-SRN"]
    assert len(group.rows["w/o FC"]) == 1


def test_a_removed_setting_that_stands_elsewhere_is_refused():
    assert len(groups(rows(settings={"cue_share": 0.3, "candidate_pool": 0}))[0].models) == 3
    with pytest.raises(MsrnError, match="recorded setting cue_share = 0.7"):
        groups(rows(settings={"cue_share": 0.7}))


def test_baselines_are_those_of_the_same_objects_and_points_the_own_profile_first():
    others = [
        record("retrieval", (9.0,) * 4, kind="baseline", profile="paper"),
        record(NAMES[1], kind="baseline", profile="paper"),
        record(NAMES[0], kind="baseline", points=3),
        record(NAMES[2], kind="baseline", fingerprint="another split"),
    ]
    for order in ([*others, *rows()], [*rows(), *others]):
        [group] = groups(order)
        known = group.yardsticks
        assert list(known) == [NAMES[1], "retrieval"] and known["retrieval"][0].profile == "laptop"


def test_records_of_an_earlier_protocol_stand_alone():
    [before, now] = groups([*rows(protocol=1), *rows(protocol=2)])
    assert [{one.protocol for one in group.models} for group in (before, now)] == [{1}, {2}]
    assert all(group.yardsticks["retrieval"][0].protocol == group.first.protocol for group in (before, now))


def test_a_trained_yardstick_stands_beside_the_rows_and_is_none_of_them():
    known = [record("M-SRN, poses known", seed=seed, settings={"steps": 100, "azimuths": "known"}) for seed in (0, 1)]
    [group] = groups([*known, *rows(seeds=(0, 1, 2))])
    assert list(group.yardsticks) == ["M-SRN, poses known", "retrieval"] and group.complete
    assert group.yardsticks["M-SRN, poses known"] == known and "M-SRN, poses known" not in group.rows
    assert {one.settings.get("azimuths") for one in group.models} == {None}
    assert groups(known) == []


def test_a_yardstick_is_found_by_its_settings_and_joins_what_was_made_alike():
    """Whatever it changes; a request that changes the same is not what was recorded without."""
    now = toy_request(prototypes=10, learning_rate=Settings().learning_rate)
    settings = now.settings.model_dump(mode="json")
    name = "M-SRN, multi-view and poses known"
    changed = TABLE8.row(name).settings
    own = {"profile": "paper"}  # whose settings are the defaults
    mine = record(name, settings={**settings, **changed}, **own)
    strange = [{"settings": {**settings, **changed, "sigma": 0.1}}, {"points": 7, "settings": changed}]
    strange = [record(name, **one, **own) for one in strange]
    kept = [mine, *rows(settings=settings, steps=now.settings.steps, **own)]
    [group] = groups([*strange, *kept])
    assert group.yardsticks[name] == [mine] and group.follows(now)
    [group] = groups([*strange, *kept], TABLES["table2"], request=now)
    assert group.yardsticks[name] == [mine] and [one.variant for one in group.rows["Ours"]] == ["M-SRN"]
    other = toy_request(**{**changed, "prototypes": 10, "learning_rate": Settings().learning_rate})
    assert not groups(kept)[0].follows(other)


def test_predictions_from_files_stand_in_their_row():
    table = replace(TABLE8, rows=(*TABLE8.rows, Row("Other", {"cd": 2.0})))
    files = record("Other", (5.0,) * 4, kind="files", train_seconds=0.0)
    strange = record("Other", (6.0,) * 4, kind="files", train_seconds=0.0, fingerprint="another split")
    [group] = groups([files, strange, *rows()], table)
    assert group.rows["Other"] == [files] and group.complete and "Other" not in group.trained


def test_the_group_with_a_verdict_comes_before_the_longer_one():
    three, longer = rows(100, (0, 1, 2)), rows(900)
    assert [group.steps for group in groups([*longer, *three])] == [100, 900]
    assert recorded.best(groups([*longer, *three])).steps == 100
    assert recorded.best(groups([*longer, *rows(200)])).steps == 900
    assert recorded.best([]) is None
    whole = [one for one in [*rows(100, seeds=(0, 1, 2)), *longer] if one.variant in ("M-SRN", "retrieval")]
    assert recorded.best(groups(whole)).steps == 100  # of incomplete ones


def test_times_are_kept_apart_by_device():
    kept = [record(device=device, train_seconds=time) for device, time in (("GPU", 4.0), ("CPU", 60.0), ("CPU", 80.0))]
    assert list(seconds_of_a_run(kept).items()) == [("CPU", 70.0), ("GPU", 4.0)]


def test_beside_a_request_stand_its_own_settings():
    request = toy_request(steps=24)
    same = {"settings": {**request.settings.model_dump(mode="json"), "checkpoint_every": 9}, "profile": "another name"}
    kept = [*rows(900), *rows(24, **same)]
    assert recorded.beside(TABLE8, kept, request).first.profile == "another name"
    assert [group.follows(request) for group in groups(kept)] == [True, False]


def test_settings_that_find_masks_matter_only_where_they_found_them():
    request = toy_request(steps=24)
    settings = {**request.settings.model_dump(mode="json"), "cue_threshold": 0.17}
    for masks, follows in (("of the data set", True), ("refined", False)):
        [group] = groups(rows(24, settings=settings, masks=masks))
        assert group.follows(request) == follows
        both = [*rows(24, masks=masks, settings={"cue_threshold": 0.1}), *rows(24, masks=masks)]
        assert len(groups(both)) == (1 if follows else 2)


def test_else_beside_a_request_stands_its_own_profile():
    request = toy_request()
    kept = [*rows(100), *rows(900, profile="paper"), *rows(9, profile="laptop with steps 9"), *rows(dataset="x")]
    assert recorded.beside(TABLE8, kept, request).steps == 100
    assert recorded.beside(TABLE8, kept, replace(request, changed=(("steps", 9),))).steps == 9
    assert recorded.beside(TABLE8, kept, replace(request, profile="smoke")).steps == 900
    assert recorded.beside(TABLE8, [], request) is None

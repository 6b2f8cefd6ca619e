"""How exhibits stand, by recorded runs that are fresh, stale or missing; and the order in which they are made."""

from dataclasses import replace

import pytest
from toy_table import record, toy_request

from msrn import exhibits
from msrn.evaluation.protocol import VERSION
from msrn.experiments.paper import TABLES
from msrn.profiles import make_settings

TABLE8, TABLE10 = TABLES["table8"], TABLES["table10"]


def kept(seeds=(0, 1, 2), profile="laptop", **changes) -> list:
    """Records of the rows of Table 8 as ``toy_request`` has them, but for ``changes``."""
    base = toy_request().settings.model_dump(mode="json") | changes
    about = {"profile": profile, "protocol": VERSION, "train_seconds": 60.0}
    return [
        record(row.name, seed=seed, settings={**base, **row.settings}, **about)
        for row in TABLE8.trained
        for seed in seeds
    ]


def standing(records, request=None, table=TABLE8):
    return exhibits.standing(table, request or toy_request(), records)


def test_runs_of_the_settings_of_now_are_fresh_and_the_others_missing():
    stands = standing(kept())
    assert (stands.wanted, stands.fresh, stands.stale, stands.missing) == (9, 9, 0, 0)
    assert (stands.remark, stands.seconds, stands.left) == ("", 60.0, "–")
    stands = standing([one for one in kept((0, 1)) if one.variant != "w/o FC"])
    assert (stands.fresh, stands.missing, stands.left) == (4, 5, "5 min 0 s")
    assert standing([]).left == "not known" and standing([]).missing == 9
    assert standing(kept((0, 1, 2, 3))).missing == 0  # more seeds than a verdict needs


def test_runs_of_other_settings_are_stale_and_say_why():
    stands = standing(kept(learning_rate=0.5))
    now = toy_request().settings.learning_rate
    assert (stands.fresh, stands.stale, stands.missing) == (0, 9, 0)
    assert stands.remark == f"learning_rate was 0.5, is {now}" and stands.left == "9 min 0 s"
    many = standing(kept(learning_rate=0.5, sigma=0.5, gamma=0.5))
    assert many.remark.endswith(" and 1 more") and many.stale == 9


def test_runs_of_an_earlier_protocol_are_stale():
    early = [one.model_copy(update={"protocol": VERSION - 1}) for one in kept()]
    stands = standing(early)
    assert (stands.fresh, stands.stale) == (0, 9) and stands.remark == f"protocol was {VERSION - 1}, is {VERSION}"


def test_runs_of_another_profile_are_neither():
    stands = standing(kept(profile="night", steps=5000))
    assert (stands.fresh, stands.stale, stands.missing) == (0, 0, 9) and stands.remark == "recorded at profile night"


def test_what_is_not_recorded_costs_what_the_steps_of_others_cost():
    request = toy_request()
    longer = replace(
        request, settings=make_settings({**request.settings.model_dump(), "steps": request.settings.steps * 3})
    )
    assert standing(kept(), longer, TABLE10).seconds == pytest.approx(180.0)
    slow = [one.model_copy(update={"variant": "K' = 20", "train_seconds": 240.0}) for one in kept()]
    each = standing([*kept(), *slow], request, replace(TABLE10, name="table12"))
    assert each.to_train == pytest.approx(3 * (150 + 150 + 240))  # of a row's own name, else of all
    each = standing(kept(), request, replace(TABLES["table5"], categories=("1", "2", "car")))
    assert each.seconds == pytest.approx(120.0)  # a model for each of the two that the data set has


def test_the_longest_is_made_first_and_what_trains_nothing_last(monkeypatch):
    monkeypatch.setattr(exhibits.recorded, "pool", kept)
    seconds = {"table8": 60.0, "table10": 90.0, "table2": None}

    def stands(table, *_):
        return exhibits.Standing(9, 0, 0, "", seconds[table.name])

    monkeypatch.setattr(exhibits, "standing", stands)
    requests = dict.fromkeys(seconds, toy_request())
    order = exhibits.longest_first(["figure8", "section3_1", "table2", "table8", "table10"], requests)
    assert order == ["table2", "table10", "table8", "figure8", "section3_1"]

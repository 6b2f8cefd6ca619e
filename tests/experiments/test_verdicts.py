"""Verdicts are only given where they can be, and follow from the vocabulary of claims."""

import numpy as np
import pytest
from toy_table import record

from msrn.experiments.paper import TABLES
from msrn.experiments.verdicts import Beats, Between, Close, Peak, Stable, judge, subject

TABLE8 = TABLES["table8"]
LOW, HIGH, UNSURE = (1.0, 2.0, 3.0, 4.0), (2.0, 3.1, 4.2, 5.0), (3.0, 0.1, 5.0, 3.5)
BEST, MIDDLE, WORST = (1.0, 2.0, 3.0, 4.0), (1.6, 2.5, 3.7, 4.5), (4.0, 5.5, 6.0, 7.0)


def row(name, cd, seeds=(0, 1, 2)):
    return [record(name, cd, seed) for seed in seeds]


def verdict(claim, profile="laptop", **values):
    [made] = judge([claim], ["cd"], {name: row(name, cd) for name, cd in values.items()}, {})
    return made.text(profile)


def test_beats():
    assert verdict(Beats("a", "b"), a=LOW, b=HIGH) == "reproduced"
    assert verdict(Beats("a", "b"), a=HIGH, b=LOW) == "not reproduced"  # the wrong sign, however sure
    assert verdict(Beats("a", "b"), a=LOW, b=UNSURE) == "not reproduced"  # the interval holds zero
    assert verdict(Beats("a", "b"), "smoke", a=LOW, b=HIGH) == "not evaluated at this profile"
    assert verdict(Beats("a", "b"), "smoke with steps 60", a=LOW, b=HIGH) == "not evaluated at this profile"
    assert verdict(Beats("a", "b"), a=LOW) == "not evaluated: b not measured"


def test_higher_is_better_where_it_is():
    rows = {name: [record(name, objects=objects(f), seed=k) for k in range(3)] for name, f in (("a", 0.3), ("b", 0.2))}
    [made] = judge([Beats("a", "b")], ["f"], rows, {"a": {"f": 0.36}, "b": {"f": 0.35}})
    assert made.text("laptop") == "reproduced" and made.parts[0].published == pytest.approx(0.01)


def objects(f: float) -> dict:
    return {"object_id": list("abcd"), "category": list("1122"), "cd": [1.0] * 4, "f": [f] * 4}


def test_too_few_seeds():
    rows = {"a": row("a", LOW, (0, 1)), "b": row("b", HIGH)}
    [made] = judge([Beats("a", "b")], ["cd"], rows, {})
    assert made.text("laptop") == "not evaluated: needs three seeds" and len(made.parts[0].per_seed) == 2
    rows["b"] = row("b", HIGH, (7, 8, 9))
    [made] = judge([Beats("a", "b")], ["cd"], rows, {})
    assert made.text("laptop") == "not evaluated: needs three seeds" and not made.parts


def test_one_seed_of_the_other_sign_denies_the_verdict():
    values = [(0.0,) * 4, (0.0,) * 4, (2.1, 3.1, 4.1, 5.1)]
    rows = {"a": [record("a", cd, k) for k, cd in enumerate(values)], "b": row("b", (2.0, 3.0, 4.0, 5.0))}
    [made] = judge([Beats("a", "b")], ["cd"], rows, {})
    [part] = made.parts
    assert part.measured.excludes_zero and part.agrees == 2 and made.text("laptop") == "not reproduced"


def test_between_and_peak_hold_when_each_part_does():
    assert verdict(Between("b", "a", "c"), a=BEST, b=MIDDLE, c=WORST) == "reproduced"
    assert verdict(Between("b", "a", "c"), a=BEST, b=WORST, c=MIDDLE) == "not reproduced"
    assert verdict(Peak("a", "b", "c"), a=BEST, b=MIDDLE, c=WORST) == "reproduced"
    assert verdict(Peak("a", "b", "c"), a=BEST, b=BEST, c=WORST) == "not reproduced"
    assert verdict(Peak("a", "b", "c"), "smoke", a=BEST, b=BEST, c=WORST) == "not evaluated at this profile"


def test_close_and_stable_want_an_interval_within_a_tenth():
    near = tuple(np.add(BEST, 0.05))
    assert verdict(Close("a", "b"), a=BEST, b=near) == "reproduced"
    assert verdict(Close("a", "b"), a=BEST, b=WORST) == "not reproduced"
    assert verdict(Close("a", "b"), a=BEST, b=(1.4, 1.6, 3.4, 3.6)) == "not reproduced"  # the mean is, the interval not
    assert verdict(Stable("a", "b", "c"), a=BEST, b=near, c=BEST) == "reproduced"
    assert verdict(Stable("a", "b", "c"), a=BEST, b=near, c=MIDDLE) == "not reproduced"


def test_what_is_not_trained_stands_against_every_seed():
    rows = {"a": row("a", LOW), "b": [record("b", HIGH, kind="files", train_seconds=0.0)]}
    [made] = judge([Beats("a", "b")], ["cd"], rows, {})
    assert made.text("laptop") == "reproduced" and len(made.parts[0].per_seed) == 3


def test_verdicts_stand_beside_the_row_that_they_are_about():
    assert [subject(claim, TABLE8.ours) for claim in TABLE8.claims] == ["w/o FC", "w/o NC", "M-SRN"]
    assert [subject(claim, "K'' = 5") for claim in TABLES["table11"].claims] == ["K'' = 5"]


def test_words():
    rows = {"M-SRN": row("M-SRN", LOW), "w/o NC": row("w/o NC", (2.0, 3.0, 4.0, 5.0))}
    [made] = judge([Beats("M-SRN", "w/o NC")], ["cd"], rows, TABLE8.printed)
    signs = ", the paper's sign in 3 of 3 seeds and 2 of 2 categories"
    assert made.standing() == f"M-SRN − w/o NC: −1.00 [−1.00, −1.00]{signs}"
    assert made.parts[0].published == pytest.approx(1.61 - 3.81)
    one = {name: records[:1] for name, records in rows.items()}
    [made] = judge([Beats("M-SRN", "w/o NC")], ["cd"], one, {})
    assert made.standing() == "M-SRN − w/o NC: −1.00 [−1.00, −1.00], the paper's sign in 2 of 2 categories"
    one["M-SRN"] = row("M-SRN", (1.0, 2.5, 3.5, 4.5))[:1]  # nearer in the first category, in mean, farther in the other
    one["w/o NC"] = row("w/o NC", (2.0, 2.0, 4.0, 4.0))[:1]
    assert judge([Beats("M-SRN", "w/o NC")], ["cd"], one, {})[0].standing().endswith("in 1 of 2 categories")
    [alike] = judge([Close("M-SRN", "w/o NC")], ["cd"], one, {})
    assert "sign" not in alike.standing()

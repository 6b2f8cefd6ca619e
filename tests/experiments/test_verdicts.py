"""Differences against a slow reference, and verdicts that are only given where they can be."""

import numpy as np
import pytest
from toy_table import record

from msrn.errors import MsrnError
from msrn.experiments.verdicts import claim, difference, estimate, in_common, order_verdict

PUBLISHED = {"M-SRN": 1.61, "w/o NC": 3.81}


def pair(better, worse, seeds=3, metric="cd"):
    """The claim that M-SRN beats w/o NC, from the same values in every seed."""
    found = {
        "M-SRN": [record("M-SRN", better, seed) for seed in range(seeds)],
        "w/o NC": [record("w/o NC", worse, seed) for seed in range(seeds)],
    }
    return claim(metric, "M-SRN", "w/o NC", PUBLISHED, found)


def test_macro_mean_weighs_categories_alike():
    made = record(cd=(1.0, 2.0, 9.0))  # one: 1, 2; two: 9
    assert estimate([made], "cd").mean == pytest.approx((1.5 + 9.0) / 2)


def test_a_difference_pairs_objects_by_name_whatever_their_order():
    first = record(cd=(1.0, 2.0, 3.0, 4.0))
    second = record(cd=(5.0, 5.0, 5.0, 5.5))
    turned = {key: column[::-1] for key, column in second.objects.items()}
    expected = np.mean([np.mean([1 - 5, 2 - 5]), np.mean([3 - 5, 4 - 5.5])])
    for other in (second, record(objects=turned)):
        found = difference([first], [other], "cd")
        assert found.mean == pytest.approx(expected)
        assert found.low <= found.mean <= found.high


def test_a_constant_difference_has_no_spread():
    found = difference([record(cd=(1.0, 2.0, 3.0, 4.0))], [record(cd=(2.0, 3.0, 4.0, 5.0))], "cd")
    assert (found.low, found.mean, found.high) == (-1, -1, -1) and found.excludes_zero


def test_seeds_are_averaged_within_objects():
    both = [record(cd=(1.0, 1.0, 1.0, 1.0)), record(cd=(3.0, 3.0, 3.0, 3.0), seed=1)]
    assert estimate(both, "cd").mean == 2 and estimate(both, "cd").low == 2


def test_other_objects_or_seeds_are_refused():
    with pytest.raises(MsrnError, match="different objects"):
        difference([record()], [record(cd=(1.0, 2.0, 3.0))], "cd")
    with pytest.raises(MsrnError, match="different seeds"):
        claim("cd", "M-SRN", "w/o NC", PUBLISHED, {"M-SRN": [record()], "w/o NC": [record("w/o NC", seed=1)]})


def test_verdicts():
    low, high = (1.0, 2.0, 3.0, 4.0), (2.0, 3.1, 4.2, 5.0)
    assert pair(low, high).verdict("laptop") == "reproduced"
    assert pair(high, low).verdict("laptop") == "not reproduced"  # the wrong sign, however sure
    assert pair(low, (3.0, 0.1, 5.0, 3.5)).verdict("laptop") == "not reproduced"  # the interval holds zero
    assert pair(low, high, seeds=1).verdict("laptop") == "not evaluated: needs three seeds"
    assert pair(low, high).verdict("smoke") == "not evaluated at this profile"
    assert pair(low, high).verdict("smoke with steps 60") == "not evaluated at this profile"


def test_one_seed_of_the_other_sign_denies_the_verdict():
    worse = record("w/o NC", (2.0, 3.0, 4.0, 5.0))
    seeds = [record("M-SRN", (0.0, 0.0, 0.0, 0.0), k) for k in range(2)] + [record("M-SRN", (2.1, 3.1, 4.1, 5.1), 2)]
    others = [worse.model_copy(update={"seed": k}) for k in range(3)]
    made = claim("cd", "M-SRN", "w/o NC", PUBLISHED, {"M-SRN": seeds, "w/o NC": others})
    assert made.measured.excludes_zero and made.agrees == 2 and made.verdict("laptop") == "not reproduced"


def test_an_order_holds_when_each_step_does():
    low, high, unsure = (1.0, 2.0, 3.0, 4.0), (2.0, 3.1, 4.2, 5.0), (3.0, 0.1, 5.0, 3.5)
    sure, open_, wrong = pair(low, high), pair(low, unsure), pair(high, low)
    assert order_verdict([sure, sure], "laptop") == "reproduced"
    for second in (open_, wrong):
        assert order_verdict([sure, second], "laptop") == "not reproduced"
    assert order_verdict([sure, sure], "smoke") == "not evaluated at this profile"
    assert order_verdict([wrong, pair(low, high, seeds=2)], "laptop") == "not evaluated: needs three seeds"


def test_rows_are_compared_in_the_seeds_that_all_have():
    found = {"a": [record("a", seed=k) for k in (2, 0, 1)], "b": [record("b", seed=k) for k in (1, 2, 5)]}
    assert {name: [made.seed for made in rows] for name, rows in in_common(found).items()} == {"a": [1, 2], "b": [1, 2]}


def test_words():
    made = pair((1.0, 2.0, 3.0, 4.0), (2.0, 3.0, 4.0, 5.0), seeds=1)
    assert made.standing() == "M-SRN − w/o NC: −1.00 [−1.00, −1.00]"
    three = pair((1.0, 2.0, 3.0, 4.0), (2.0, 3.0, 4.0, 5.0))
    assert three.standing().endswith("[−1.00, −1.00], the paper's sign in 3 of 3 seeds")
    assert estimate([record(cd=(1.0, 1.0, 1.0, 1.0))], "cd").text("cd") == "1.00 [1.00, 1.00]"

"""Means, differences and intervals against slow references and scipy's own bootstrap."""

import numpy as np
import pytest
from scipy import stats
from toy_table import record

from msrn.errors import MsrnError
from msrn.evaluation.statistics import difference, estimate, interval_of, pairs_by_seed


def bounds(*arguments, **options) -> tuple[float, float]:
    found = interval_of(*arguments, **options)
    return found.low, found.high


def test_macro_mean_weighs_categories_alike():
    row = record(cd=(1.0, 2.0, 9.0))  # one: 1, 2; two: 9
    assert estimate([row], "cd").mean == pytest.approx((1.5 + 9.0) / 2)
    assert estimate([row], "cd", "1").mean == pytest.approx(1.5)


def test_a_difference_pairs_objects_by_name_whatever_their_order():
    first = record(cd=(1.0, 2.0, 3.0, 4.0))
    second = record(cd=(5.0, 5.0, 5.0, 5.5))
    turned = {key: column[::-1] for key, column in second.objects.items()}
    expected = np.mean([np.mean([1 - 5, 2 - 5]), np.mean([3 - 5, 4 - 5.5])])
    for other in (second, record(objects=turned)):
        gap = difference([first], [other], "cd")
        assert gap.mean == pytest.approx(expected) and gap.low <= gap.mean <= gap.high


def test_a_constant_difference_has_no_spread():
    gap = difference([record(cd=(1.0, 2.0, 3.0, 4.0))], [record(cd=(2.0, 3.0, 4.0, 5.0))], "cd")
    assert (gap.low, gap.mean, gap.high) == (-1, -1, -1) and gap.excludes_zero


def test_seeds_are_averaged_within_objects():
    both = [record(cd=(1.0, 1.0, 1.0, 1.0)), record(cd=(3.0, 3.0, 3.0, 3.0), seed=1)]
    assert estimate(both, "cd").mean == 2 and estimate(both, "cd").low == 2
    assert estimate(both, "cd").text("cd") == "2.00 [2.00, 2.00]"


def test_other_objects_are_refused():
    with pytest.raises(MsrnError, match="different objects"):
        difference([record()], [record(cd=(1.0, 2.0, 3.0))], "cd")
    with pytest.raises(MsrnError, match="its seeds were evaluated on different objects"):
        estimate([record(), record(cd=(1.0, 2.0, 3.0), seed=1)], "cd")


def test_rows_meet_in_the_seeds_of_both_and_what_is_not_trained_meets_every_seed():
    first = [record("a", seed=k) for k in (0, 1, 2)]
    second = [record("b", seed=k) for k in (5, 2, 1)]
    assert [(one.seed, other.seed) for one, other in pairs_by_seed(first, second)] == [(1, 1), (2, 2)]
    fixed = [record("c", kind="baseline", train_seconds=0.0)]
    assert [(one.seed, other.seed) for one, other in pairs_by_seed(first, fixed)] == [(0, 0), (1, 0), (2, 0)]
    assert [(one.seed, other.seed) for one, other in pairs_by_seed(fixed, first)] == [(0, 0), (0, 1), (0, 2)]
    assert pairs_by_seed([], first) == pairs_by_seed(first, []) == []


def test_the_interval_is_scipys_percentile_bootstrap_but_for_the_stretch_of_small_samples():
    """At 400 objects the stretch is a thousandth; scipy resamples the macro mean's parts within each category."""
    generator = np.random.default_rng(2)
    groups = [generator.gamma(2.0, 1.0 + term, 400) for term in range(3)]
    values, strata = np.concatenate(groups), np.repeat(np.arange(3), 400)
    low, high = bounds(values, strata)
    reference = stats.bootstrap(
        groups,
        lambda *parts, axis=-1: np.mean([part.mean(axis) for part in parts], axis=0),
        n_resamples=10_000, method="percentile", vectorized=True, rng=np.random.default_rng(3),
    ).confidence_interval  # fmt: skip
    width = reference.high - reference.low
    assert low == pytest.approx(reference.low, abs=0.04 * width)
    assert high == pytest.approx(reference.high, abs=0.04 * width)


def test_bootstrap_covers_the_true_mean():
    generator = np.random.default_rng(0)
    hits = 0
    for trial in range(300):
        low, high = bounds(generator.normal(3, 2, 40), np.zeros(40), seed=trial, draws=400)
        hits += low < 3 < high
    assert 0.90 <= hits / 300 <= 0.98


def test_bootstrap_strata_weigh_categories_alike():
    values, strata = np.array([1.0] * 50 + [3.0] * 2), np.array([0] * 50 + [1] * 2)
    assert bounds(values, strata) == (2.0, 2.0)  # no spread within a category
    low, high = bounds(values, 0 * strata)
    assert 0.9 < low < high < 1.3
    assert bounds(values, 0 * strata) == (low, high)


def test_bootstrap_covers_the_macro_mean_of_small_categories():
    """Categories of 2 to 11 objects, as a small test split has, where resampling alone covers 90 % instead of 95."""
    generator, sizes, hits = np.random.default_rng(1), (7, 2, 11, 5, 4, 9), 0
    strata = np.repeat(np.arange(len(sizes)), sizes)
    for trial in range(300):
        values = generator.normal(strata, 1.0)
        low, high = bounds(values, strata, seed=trial, draws=400)
        hits += low <= np.mean(np.arange(len(sizes))) <= high
    assert 0.93 < hits / 300 < 0.98

"""The picture of a sweep: differences from the paper's choice, and the noise that seeds make alone."""

import numpy as np
import pytest
from toy_table import record

from msrn.experiments.paper import TABLES
from msrn.report import sweeps
from msrn.report.pictures import Picture

TABLE = TABLES["table10"]
VALUES = {5: (0.30, 0.32, 0.34), 10: (0.35, 0.36, 0.37), 20: (0.33, 0.35, 0.34)}


def made(values=VALUES):
    return [
        record(f"K' = {count}", seed=seed, experiment="table10", profile="laptop", metrics={"f": f, "f_axes": f})
        for count, row in values.items() for seed, f in enumerate(row)
    ]  # fmt: skip


def group_of(records):
    [group] = sweeps.best_groups(TABLE, records)
    return group


def test_noise_is_that_of_a_difference_of_two_means_of_as_many_seeds():
    group = group_of(made())
    rows = np.array(list(VALUES.values()))
    pooled = np.sqrt(rows.var(1, ddof=1).mean())
    assert sweeps.noise(group, "f") == pytest.approx(2.4469 * pooled * np.sqrt(2 / 3), rel=1e-4)  # t of 6 degrees


def test_noise_holds_what_it_promises():
    """Two rows that differ in nothing but seeds lie inside of it in 95 of 100 cases."""
    rng, inside = np.random.default_rng(0), 0
    group = group_of(made())
    for _ in range(2000):
        drawn = rng.normal(0.34, 0.01, (3, 3))
        for row, values in zip(group.trained.values(), drawn, strict=True):
            for kept, value in zip(row, values, strict=True):
                kept.metrics["f"] = value
        inside += abs(drawn[0].mean() - drawn[1].mean()) <= sweeps.noise(group, "f")
    assert 0.935 < inside / 2000 < 0.965


def test_differences_are_from_the_paper_s_choice():
    seeds, printed = sweeps.differences(group_of(made()), "f")
    np.testing.assert_allclose(seeds["K' = 5"], [-0.06, -0.04, -0.02], atol=1e-12)
    assert printed == pytest.approx({"K' = 5": -0.005, "K' = 10": 0.0, "K' = 20": -0.002})


def test_the_picture_says_what_exceeds_the_noise():
    shown = sweeps.picture(TABLE, made())
    assert isinstance(shown, Picture) and "K' = 5 -0.040" in shown.alt and "beyond the noise: none" in shown.alt
    quiet = {count: (mean, mean + 1e-4, mean - 1e-4) for count, mean in ((5, 0.3), (10, 0.36), (20, 0.35))}
    assert "beyond the noise: K' = 5, K' = 20" in sweeps.picture(TABLE, made(quiet)).alt


def test_what_is_not_legible_is_not_drawn():
    records = [
        record(f"k_cos = {count}", seed=seed, experiment="table12", profile="laptop", metrics={"f": 0.3 + seed / 100})
        for count in (3, 6, 8) for seed in range(3)
    ]  # fmt: skip
    shown = sweeps.picture(TABLES["table12"], records)
    assert "printed" not in shown.alt and len(shown.figure.axes[0].get_lines()) == 4


def test_one_seed_has_no_noise():
    few = [one for one in made() if one.seed == 0]
    assert "msrn record table10 --seeds 0,1,2" in sweeps.picture(TABLE, few).data
    assert "msrn record table10" in sweeps.picture(TABLE, []).data

"""The claims of Tables 7 and 8 on records: which pairs are compared, in which seeds, what stands beside each row."""

import pytest
from toy_table import record

from msrn.experiments import ablation
from msrn.experiments.table import ABLATIONS

TABLE = ABLATIONS["table8"]

BEST, MIDDLE, WORST = (1.0, 2.0, 3.0, 4.0), (1.6, 2.5, 3.7, 4.5), (4.0, 5.5, 6.0, 7.0)


def rows(whole=BEST, fc=MIDDLE, nc=WORST, seeds=(0, 1, 2)):
    values = {"M-SRN": whole, "w/o FC": fc, "w/o NC": nc}
    return {name: [record(name, cd, seed) for seed in seeds] for name, cd in values.items()}


def cd_verdicts(found, profile="laptop"):
    said = ablation.verdicts(found, profile, TABLE)
    return {name: next((v.split(": ", 1)[1] for v, _ in said[name] if "CD" in v), None) for name in said}


def test_the_papers_order_is_reproduced():
    assert set(cd_verdicts(rows()).values()) == {"reproduced"}
    order = ablation.order(rows(), TABLE)["cd"]
    assert [(step.better, step.worse) for step in order] == [("M-SRN", "w/o FC"), ("w/o FC", "w/o NC")]
    assert [step.published for step in order] == pytest.approx([1.61 - 1.84, 1.84 - 3.81])


def test_the_order_fails_where_a_step_fails():
    assert cd_verdicts(rows(fc=WORST, nc=MIDDLE)) == {
        "w/o FC": "reproduced", "w/o NC": "reproduced", "M-SRN": "not reproduced",
    }  # fmt: skip
    assert cd_verdicts(rows(fc=BEST)) == {
        "w/o FC": "not reproduced", "w/o NC": "reproduced", "M-SRN": "not reproduced",
    }  # fmt: skip


def test_too_few_seeds_and_smoke_have_no_verdict():
    assert set(cd_verdicts(rows(seeds=(0, 1))).values()) == {"not evaluated: needs three seeds"}
    assert set(cd_verdicts(rows(), "smoke").values()) == {"not evaluated at this profile"}


def test_only_seeds_in_common_count():
    found = rows()
    found["w/o NC"] = [record("w/o NC", WORST, seed) for seed in (2, 1, 7)]
    steps = {(made.worse, made.metric): made for made in ablation.claims(found, TABLE)}
    assert len(steps["w/o NC", "cd"].per_seed) == 2 and len(steps["w/o FC", "cd"].per_seed) == 3
    assert cd_verdicts(found)["w/o NC"].startswith("not evaluated") and cd_verdicts(found)["w/o FC"] == "reproduced"


def test_a_row_without_records_is_no_claim():
    found = rows()
    found["w/o FC"] = []
    assert {made.worse for made in ablation.claims(found, TABLE)} == {"w/o NC"} and ablation.order(found, TABLE) == {}
    assert ablation.verdicts(found, "laptop", TABLE)["M-SRN"] == []


def test_table_7_has_a_row_above_the_whole_network():
    table = ABLATIONS["table7"]
    assert table.pairs == [("M-SRN", "M-SRN/OF"), ("M-SRN/GT", "M-SRN")]
    values = {"M-SRN/GT": BEST, "M-SRN": MIDDLE, "M-SRN/OF": WORST}
    found = {name: [record(name, cd, seed) for seed in (0, 1, 2)] for name, cd in values.items()}
    of_gt = next(made for made in ablation.claims(found, table) if made.better == "M-SRN/GT")
    assert of_gt.published == pytest.approx(3.25 - 3.41) and of_gt.verdict("laptop") == "reproduced"
    said = ablation.verdicts(found, "laptop", table)
    assert [verdict.split(":")[0] for verdict, _ in said["M-SRN/GT"]] == ["CD", "F"]  # beside its own row
    assert [verdict.split(":")[0] for verdict, _ in said["M-SRN"]] == ["order, CD", "order, F"]
    found["M-SRN/GT"] = [record("M-SRN/GT", WORST, seed) for seed in (0, 1, 2)]
    assert ablation.verdicts(found, "laptop", table)["M-SRN/GT"][0][0] == "CD: not reproduced"

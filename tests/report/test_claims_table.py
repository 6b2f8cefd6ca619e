"""The paper's claims: each can be judged where it says, and stands as the records have it."""

import re

import pytest
from shown import recorded as made
from shown import tables_of

from msrn import paths
from msrn.experiments import recorded
from msrn.experiments.claims import SENTENCES
from msrn.experiments.paper import MASKS, TABLES
from msrn.report import claims_table

EVERY = {**TABLES, MASKS.name: MASKS}


def of(claims: claims_table.Claims, words: str) -> list[list[str]]:
    return [line for line in claims_table.lines(claims) if words in line[0]]


def test_every_sentence_names_rows_and_metrics_of_its_table():
    for sentence in SENTENCES:
        assert bool(sentence.claims) != bool(sentence.settles), sentence.words
        names = {name for claim in sentence.claims for name in claim.rows()} | {row for row, _ in sentence.measured}
        assert not names or all(EVERY[sentence.table].row(name) for name in names)
        assert {metric for _, metric in sentence.measured} <= claims_table.MEASURES.keys()
    assert len({sentence.words for sentence in SENTENCES}) == len(SENTENCES)


def test_every_table_has_its_claims_from_here():
    assert all(table.claims for table in EVERY.values())
    claims = [claim for table in EVERY.values() for claim in table.claims]
    assert sorted(map(repr, claims)) == sorted(repr(claim) for sentence in SENTENCES for claim in sentence.claims)


def test_table_6_is_held_against_all_that_the_text_calls_weakly_supervised():
    others = {row.name for row in TABLES["table6"].rows} - {"Ours"}
    assert {name for claim in TABLES["table6"].claims for name in claim.rows()} == others | {"Ours"}


def test_records_judge_and_nothing_else_does():
    claims = claims_table.stand([*made("zoo"), *made("farm", seeds=(0,))])
    zoo, farm = sorted(of(claims, "M-SRN beats w/o NC"), key=lambda line: "farm" in line[2])
    assert zoo[1] == "−2.20" and zoo[2].startswith("zoo [laptop") and zoo[4:6] == ["3 of 3", "reproduced"]
    assert zoo[3].startswith("−3.12 [") and zoo[6].startswith("−1.56 [") and zoo[7] == "reproduced"
    assert farm[5] == "not evaluated: needs three seeds"
    assert [len(claims.judged), len(claims.measured)] == [3, 1]
    assert len(claims.judged) + len(claims.measured) + len(claims.open) == len(SENTENCES)
    assert f"{len(SENTENCES)} sentences" in claims_table.summary(claims)
    [sides] = [words for words in claims_table.measured_words(claims) if "input's side" in words]
    assert "w/o NC: mask IoU from the input's side 0.75" in sides


def test_a_deleted_record_takes_its_verdict_along():
    kept = [record for record in made("zoo") if record.variant != "w/o NC"]
    claims = claims_table.stand(kept)
    assert not of(claims, "w/o NC;") and len(of(claims, "M-SRN beats w/o FC")) == 1
    [words] = [
        words for words in claims_table.open_words(claims) if words.startswith("Without neighbour consistency sh")
    ]
    assert "Not evaluated: w/o NC not measured. What would settle it: three seeds of its rows (msrn record t" in words
    nothing = claims_table.stand([])
    assert (
        not nothing.judged and not nothing.measured and "Nothing is recorded yet" in claims_table.claims_html(nothing)
    )
    assert "nothing is recorded" in claims_table.claims_text(nothing)


def test_page_and_terminal_say_the_same():
    claims = claims_table.stand(made("zoo"))
    [rows] = tables_of(claims_table.claims_html(claims))
    text = claims_table.claims_text(claims)
    assert len(rows) == 1 + len(claims_table.lines(claims)) and rows[0][1:] == list(claims_table.HEAD[1:])
    for line in claims_table.lines(claims):
        assert line[3].split(" [")[0] in text
    assert "predictions of Splatter (msrn score --table table2)" in " ".join(text.split())


LINE = re.compile(r"^\|.*\| ([\w-]+) \| ([−+0-9][^|]*) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def known() -> set[tuple[str, ...]]:
    """Data set, difference, sign and verdict of every claim that recorded results judge."""
    claims = claims_table.stand(recorded.pool())
    return {(line[2].split(" [")[0], *line[3:6]) for line in claims_table.lines(claims)}


@pytest.mark.parametrize("row", LINE.findall((paths.ROOT / "README.md").read_text()))
def test_the_readme_says_what_the_records_say(row, known):
    assert tuple(cell.replace("*", "").strip() for cell in row) in known


def test_the_readme_has_such_lines():
    assert len(LINE.findall((paths.ROOT / "README.md").read_text())) >= 6

"""The tables under "Why": every measure of every row, and seeds against effects."""

import pytest
from shown import TABLE8, changed, recorded, tables_of

from msrn.report import breakdown


def test_every_measure_of_every_row_is_shown(toy_result, toy_data):
    rows = tables_of(breakdown.diagnosis_table(toy_result).data)[0]
    assert rows[0] == ["", "w/o FC", "w/o NC", "M-SRN", "by chance"]
    assert len(rows) == 1 + len(breakdown.LINES)
    body = {cells[0]: cells[1:] for cells in rows[1:]}
    attention = next(cells for name, cells in body.items() if name.startswith("attention"))
    assert attention[0] == "–" and attention[2].endswith("%")
    chosen = next(cells for name, cells in body.items() if name.startswith("candidates chosen"))
    assert all(cell.endswith("%") for cell in chosen[:3]) and chosen[3] == "–"


def test_too_many_images_are_left_out(toy_result, toy_data, monkeypatch):
    monkeypatch.setattr(breakdown, "MOST_IMAGES", 10)
    monkeypatch.setattr(breakdown, "diagnose", lambda *_: pytest.fail("diagnosed"))
    assert "60 images are too many" in breakdown.diagnosis_table(changed(toy_result)).data


def test_seeds_stand_against_effects():
    records = [made.model_copy(update={"seed": 5 - made.seed}) for made in recorded("zoo")]
    place = next(k for k, made in enumerate(records) if made.variant == "M-SRN" and made.seed == 4)
    objects = {**records[place].objects, "cd": [value + 0.6 for value in records[place].objects["cd"]]}
    records[place] = records[place].model_copy(update={"objects": objects})
    rows = {cells[0]: cells[1:] for cells in tables_of(breakdown.seeds_table(TABLE8, records).data)[0][1:]}
    pairs = ("M-SRN − w/o FC", "M-SRN − w/o NC", "w/o FC − w/o NC")
    assert list(rows) == [f"zoo, 100 steps, {cd}: {pair}" for pair in pairs for cd in ("CD", "CD per axis")]
    first = rows["zoo, 100 steps, CD: M-SRN − w/o FC"]
    assert first[3] == "−0.58, +0.02, −0.58" and first[1] == "0.35" and first[0].startswith("−0.38[")
    assert first[2] == "1.1" and rows["zoo, 100 steps, CD: w/o FC − w/o NC"][1:3] == ["0.00", "–"]
    assert "cannot be compared yet" in breakdown.seeds_table(TABLE8, recorded("zoo", seeds=(0,))).data

"""Rows: what they change, and training sets of another size."""

from dataclasses import replace

import numpy as np
import pytest
from toy import tiny_settings, toy_collection

from msrn.errors import MsrnError
from msrn.experiments.table import TABLE8, Variant, portion


def test_overrides_leave_the_rest():
    base = tiny_settings()
    row = Variant("x", overrides={"steps": 7})
    assert row.settings(base) == base.model_copy(update={"steps": 7}) and row.changes(base)
    assert not row.changes(row.settings(base)) and not Variant("x").changes(base)
    assert Variant("x", objects=3).changes(base) and Variant("x", views=3).changes(base)
    with pytest.raises(MsrnError, match="unknown setting 'step'"):
        Variant("x", overrides={"step": 7}).settings(base)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))


def test_a_portion_holds_whole_objects_or_even_views():
    whole = toy_collection(objects=5, views=4)
    assert TABLE8[0].training_rows(whole) is None
    fewer = portion(whole, Variant("x", objects=2).training_rows(whole))
    assert sorted(set(fewer.object_id)) == ["ball/0", "ball/1", "disc/0", "disc/1", "stick/0", "stick/1"]
    assert len(fewer) == 24 and np.bincount(fewer.category).tolist() == [8, 8, 8]
    two = portion(whole, Variant("x", views=2).training_rows(whole))
    assert set(two.object_id) == set(whole.object_id) and two.view.tolist() == [0, 2] * 15
    assert len(portion(whole, Variant("x", objects=9, views=9).training_rows(whole))) == len(whole)
    assert two.object_id[two.evaluation_index].tolist() == list(dict.fromkeys(whole.object_id))


def test_a_portion_keeps_the_columns_together_and_has_its_own_fingerprint():
    whole = toy_collection()
    rows = Variant("x", objects=2, views=3).training_rows(whole)
    made = portion(whole, rows)
    for name in ("images", "masks", "category", "object_id", "view"):
        assert np.array_equal(getattr(made, name), getattr(whole, name)[rows])
    prints = {made.fingerprint, whole.fingerprint, portion(whole, rows[:-1]).fingerprint}
    assert len(prints) == 3 and made.fingerprint == portion(whole, rows).fingerprint
    assert portion(replace(whole, masks=None), rows).masks is None

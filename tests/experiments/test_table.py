"""Tables as data: rows, columns, and the printed values of the paper."""

import pytest
from toy import tiny_settings

from msrn.errors import MsrnError
from msrn.experiments import paper
from msrn.experiments.paper import CATEGORIES, MASKS, TABLES
from msrn.experiments.table import Row
from msrn.settings import Settings


def test_a_row_changes_what_it_says_and_leaves_the_rest():
    base = tiny_settings()
    row = Row("x", settings={"steps": 7})
    assert row.settings_on(base) == base.model_copy(update={"steps": 7}) and row.trained
    assert Row("x", settings={}).settings_on(base) == base and not Row("x").trained
    with pytest.raises(MsrnError, match="unknown setting 'step'"):
        Row("x", settings={"step": 7}).settings_on(base)


@pytest.mark.parametrize("table", [*TABLES.values(), MASKS], ids=lambda table: table.name)
def test_every_table_is_whole(table):
    names = [row.name for row in table.rows]
    assert len(set(names)) == len(names) and table.ours in names and table.row(table.ours).trained
    keys = {column.key for column in table.columns} | set(table.metrics)
    for row in table.rows:
        assert set(row.printed) <= keys, row.name
        assert row.trained or row.printed or table.note, f"{row.name} is quoted without a value"
    for claim in table.claims:
        assert claim.rows() <= set(names), claim.words
    for name in table.changed:
        assert name in Settings.model_fields


def test_rows_of_table_8_change_one_setting_each():
    base = tiny_settings()
    changed = {
        row.name: {name for name, value in row.settings_on(base) if value != getattr(base, name)}
        for row in TABLES["table8"].rows
    }
    assert changed == {"w/o FC": {"feature_compensation"}, "w/o NC": {"neighbor_consistency"}, "M-SRN": set()}


def test_rows_of_a_sweep_change_the_same_setting_and_the_profile_paper_is_the_whole_method():
    table = TABLES["table11"]
    assert [row.settings for row in table.rows] == [{"neighbor_prototypes": k} for k in (2, 5, 8)]
    assert table.row(table.ours).settings_on(Settings()) == Settings()
    assert [column.metric for column in table.columns] == ["f", "f_axes"]


def test_a_table_may_have_a_column_a_category():
    table = TABLES["table5"]
    assert [column.key for column in table.columns] == list(CATEGORIES) and len(CATEGORIES) == 13
    assert table.row("Ours").printed["airplane"] == 0.91 and table.row("Ours").printed["vessel"] == 1.42
    assert table.row("TARS").printed == {"airplane": 1.25, "car": 1.48, "chair": 2.55}
    assert table.row("Splatter").printed == {"car": 1.15, "chair": 1.48}


def test_a_table_may_have_another_metric():
    table = TABLES["table6"]
    assert [column.title for column in table.columns] == ["3D IoU ↑ [%]", "Chamfer distance ↓", "CD per axis ↓"]
    assert table.row("CMR").printed == {"iou3d": 64.0} and table.row("CMR").supervision == "S+A+C"


def test_parameters_are_those_of_table_1():
    for name, value in paper.PARAMETERS.items():
        assert getattr(Settings(), name) == value, name
    assert len(paper.PARAMETERS) == 10


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(MsrnError, match=r"unknown row 'w/o NCC' of table8 \(did you mean w/o NC\?\)"):
        TABLES["table8"].row("w/o NCC")

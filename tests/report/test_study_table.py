"""The study's tables: what a row changed, its difference to the first, and what is not recorded."""

import pytest
from shown import Cells, tables_of
from toy_table import record

from msrn import paths
from msrn.experiments import paper
from msrn.experiments.table import RETRIEVAL, Variant
from msrn.report import curves, study_table
from msrn.store import files, results

ROWS = (
    Variant("together", question="The profile as it stands."),
    Variant("64 pixels", overrides={"image_size": 64}, question="Do finer images pay?", reference="together"),
    Variant("8 views", views=8, question="How many images?", reference="together"),
)
BASE = {"image_size": 32, "mesh_level": 2, "steps": 4000}


@pytest.fixture(autouse=True)
def study(tmp_path, monkeypatch):
    """Records given to it are what is recorded."""
    monkeypatch.setitem(paper.EXPERIMENTS, "study", paper.Experiment(ROWS, "val"))
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    (tmp_path / "study").mkdir()

    def keep(*made):
        for number, one in enumerate(made):
            files.write_json(tmp_path / "study" / f"{number}.json", results.to_json(one))

    return keep


def row(name, cd=(1.0, 2.0, 3.0, 4.0), seed=0, **changes):
    settings = {**BASE, **changes.pop("settings", {})}
    metrics = {"cd": 2.5, "f": 0.2, "mask_iou": 0.81, "pose_m1": 0.3, "pose_m2": 0.6}
    given = {"experiment": "study", "settings": settings, "metrics": metrics, "train_cpu_seconds": 150.0, **changes}
    return record(name, cd, seed, **given)


def body(shown) -> list[dict[str, list[str]]]:
    return [{cells[0]: cells[1:] for cells in rows[1:]} for rows in tables_of(shown)]


def test_nothing_recorded_is_said():
    assert "Nothing of the study is recorded yet" in study_table.html()
    assert not Cells(study_table.html()).rows


def test_a_row_says_what_it_changed_and_how_it_compares(study):
    finer = row("64 pixels", (2.0, 3.0, 4.0, 5.0), settings={"image_size": 64})
    study(row("8 views"), finer, row("together"), row(RETRIEVAL, kind="baseline", settings={}))
    [rows] = body(study_table.html())
    assert list(rows) == [
        "togetherThe profile as it stands.",
        "64 pixelsimage_size 64 for 32: do finer images pay?",
        "8 viewsat most 8 images an object: how many images?",
        RETRIEVAL,
    ]
    first, second, third, last = rows.values()
    assert first[1] == "" and second[1] == "+1.00[+1.00, +1.00]" and third[1] == "+0.00[+0.00, +0.00]"
    assert second[2:] == ["0.200", "0.81", "0.30", "0.60", "2.5", "0"] and last[3:] == [""] * 5
    assert (
        "val split (4 objects), profile laptop" in study_table.html()
        and "one training run, on CPU." in study_table.html()
    )


def test_differences_are_over_the_seeds_of_both(study):
    study(
        row("together"),
        row("together", (2.0, 3.0, 4.0, 5.0), 1),
        row("64 pixels", (4.0, 5.0, 6.0, 7.0), 1, device="GPU"),
    )
    [rows] = body(study_table.html())
    second = list(rows.values())[1]
    assert second[1] == "+2.00[+2.00, +2.00]" and second[-1] == "1"
    assert "on CPU for together, on GPU for 64 pixels" in study_table.html()
    study(row("together"), row("together", seed=2), row("64 pixels", seed=1))
    assert list(body(study_table.html())[0].values())[1][1] == "no seed in common"


def test_rows_that_train_nothing_name_no_device(study):
    study(row(RETRIEVAL, kind="baseline", settings={}))
    assert "processor minutes of one training run." in study_table.html()


def test_processor_time_is_shown_only_where_it_says_something(study):
    study(row("together"), row("64 pixels", device="GPU"), row("8 views", train_cpu_seconds=None))
    [rows] = body(study_table.html())
    assert [cells[-2] for cells in rows.values()] == ["2.5", "–", "–"]


def test_without_the_first_row_nothing_is_compared(study):
    study(row("64 pixels", settings={"image_size": 64}))
    [rows] = body(study_table.html())
    assert list(rows) == ["64 pixelsimage_size 64: do finer images pay?"] and rows.popitem()[1][1] == ""


def test_a_profile_that_moved_on_shows(study):
    study(row("together"), row("64 pixels", settings={"image_size": 64, "steps": 9000}))
    assert "image_size 64 for 32, steps 9,000 for 4,000" in study_table.html()


def test_data_sets_and_profiles_have_a_table_each(study):
    study(row("together"), row("together", dataset="zoo"), row("together", profile="laptop with steps 9"))
    assert len(body(study_table.html())) == 3


LENGTHS = (
    *ROWS,
    Variant("longer", overrides={"steps": 8000}, question="What do more steps buy?"),
    Variant("finer and longer", overrides={"steps": 8000, "image_size": 64}, question="And finer?"),
)


def test_lengths_are_those_of_the_same_network_and_seeds(study, monkeypatch):
    monkeypatch.setitem(paper.EXPERIMENTS, "study", paper.Experiment(LENGTHS, "val"))
    assert "one length only" in curves.study_lengths_html().data
    long = {"steps": 8000}
    study(
        *(row("together", seed=seed) for seed in (0, 1)),
        row("8 views"),
        row("longer", settings=long, metrics={"cd": 1.75, "f": 0.3, "mask_iou": 0.9, "pose_m2": 0.7}),
        row("finer and longer", settings={**long, "image_size": 64}),
        row(RETRIEVAL, kind="baseline", settings={}),
    )
    [((name, dataset), found)] = study_table.lengths(paper.recorded("study")).items()
    assert name == "together"
    assert {steps: [(r.variant, r.seed) for r in made] for steps, made in found.items()} == {
        4000: [("together", 0)],
        8000: [("longer", 0)],
    }
    shown = curves.study_lengths_html().data
    assert f"together on {dataset}, Chamfer distance: 2.50 at 4,000, 1.75 at 8,000" in shown and "<img" in shown

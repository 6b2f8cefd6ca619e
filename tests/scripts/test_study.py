"""The study: its rows, its commands, and its page, the committed one among them."""

import sys

import numpy as np
import pytest
import study
import study_table
from click.testing import CliRunner
from toy_table import record

from msrn import paths
from msrn.__main__ import main
from msrn.baselines import BASELINES
from msrn.data.procedural13.shapes import CATEGORIES
from msrn.errors import MsrnError
from msrn.evaluation.statistics import difference, pairs_by_seed
from msrn.experiments.table import Row, Table
from msrn.profiles import resolve
from msrn.store import results
from msrn.store.results import known_settings

RETRIEVAL = "retrieval, category known"
TOY = Table(
    "4.3",
    "A small study",
    "toy",
    (
        Row("together", settings={}, question="As it stands?"),
        Row("together, 64 pixels", settings={"image_size": 64}, question="Do finer images pay?"),
        Row("8 objects", settings={}, objects=8, question="How many objects?"),
        Row("many", settings={"image_size": 64, "steps": 8, "sigma": 2e-4, "candidates": 9}, question="And all of it?"),
    ),
    split="val",
    name="study",
)
BASE = {"image_size": 32, "mesh_level": 2, "steps": 4000}


def row(name: str, cd=(1.0, 2.0, 3.0, 4.0), seed=0, **changes):
    settings = {**BASE, **changes.pop("settings", {})}
    metrics = {"cd": 2.5, "f": 0.2, "mask_iou": 0.81, "pose_m1": 0.3, "pose_m2": 0.6}
    given = {"experiment": "study", "settings": settings, "metrics": metrics, "train_cpu_seconds": 150.0, **changes}
    return record(name, cd, seed, **given)


def yardstick(**changes):
    return row(
        RETRIEVAL, kind="baseline", settings={}, metrics={"cd": 2.5, "f": 0.2}, train_cpu_seconds=None, **changes
    )


def lines(*records) -> list[list[str]]:
    """The cells of all tables of the page, without their heads."""
    found = [line for line in study_table.markdown({TOY: records}).splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in found]
    return [line for line in cells if line[0] not in ("question", "---")]


# the committed study


@pytest.fixture(scope="module")
def recorded():
    return {table: results.recorded(table.name) for table in study.TABLES}


def test_the_committed_page_is_what_the_command_writes(tmp_path, monkeypatch):
    committed = (paths.ROOT / "book" / "study.md").read_text()
    (tmp_path / "book").mkdir()
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(study.cli, ["page"])
    assert done.output == "book/study.md: written\n"
    assert (tmp_path / "book" / "study.md").read_text() == committed


def test_every_recorded_row_is_a_row_of_the_study(recorded):
    for table, records in recorded.items():
        for one in records:
            assert (one.experiment, one.kind) == (table.name, "baseline" if one.variant in BASELINES else "model")
            if one.kind == "model":
                asked = table.row(one.variant).settings
                settings = known_settings(one.settings)
                assert {name: settings[name] for name in asked} == asked, one.variant


def test_rows_differ_in_name_question_and_settings():
    rows, base = [row for table in study.TABLES for row in table.rows], resolve("laptop", device="cpu").settings
    for words in ([row.name for row in rows], [row.question for row in rows]):
        assert len(set(words)) == len(words)
    for table in study.TABLES:
        made = [repr((row.settings_on(base), row.objects)) for row in table.rows]
        assert len(set(made)) == len(made) >= 4
    assert all("?" in row.question for row in rows) and all(table.split == "val" for table in study.TABLES)


def test_sparse_categories_and_the_others_are_all_there_are():
    assert sorted({**study.THREE, **study.TEN}) == sorted(CATEGORIES) and not {*study.THREE} & {*study.TEN}


def test_profiles_laptop_and_night_are_rows_of_the_study():
    """So that the page has their measurement, and a run of the one is a run of the other; night but for Lin's start."""
    laptop, night = resolve("laptop", device="cpu"), resolve("night", device="cpu")
    assert study.NOW.row("laptop, Lin from a half").settings_on(laptop.settings) == laptop.settings
    assert study.NOW.row("laptop").settings_on(laptop.settings) == laptop.settings.model_copy(update=study.CODE)
    assert study.NOW.row("night").settings_on(laptop.settings) == night.settings.model_copy(update=study.CODE)
    assert len(night.seeds) == 3


def chosen(records, dataset: str = study_table.CHOSEN_ON) -> dict[str, list]:
    """The trained rows on a data set."""
    rows: dict[str, list] = {}
    for one in records:
        if one.dataset == dataset and one.kind == "model":
            rows.setdefault(one.variant, []).append(one)
    return rows


def settled(rows: dict[str, list], first: str) -> dict[str, bool]:
    """Whether a row is worse than the first, of those whose interval leaves zero out."""
    pairs = {name: pairs_by_seed(made, rows[first]) for name, made in rows.items() if name != first}
    gaps = {name: difference(*zip(*both, strict=True), "cd") for name, both in pairs.items()}
    return {name: gap.mean > 0 for name, gap in gaps.items() if gap.excludes_zero}


def test_what_the_summary_says_is_so(recorded):
    now, before = (chosen(recorded[table]) for table in (study.NOW, study.BEFORE))
    found = settled(now, "laptop")
    assert found["laptop, azimuths learned"] and not found["laptop, poses known"]
    without, half, every = (now[f"laptop, {name}"] for name in ("without compensation", "Lin from a half", "all three"))
    assert all(len(made) == (3 if made in (without, half, every, now["laptop"]) else 1) for made in now.values())
    fixed, chosen_by, truly = (now[f"laptop, half random, {how}"] for how in ("fixed", "filtered", "filtered by truth"))
    assert settled({"chosen": chosen_by, "truth": truly, "fixed": fixed}, "fixed") == {"chosen": False, "truth": False}
    assert found["laptop, every candidate"] and found["laptop, two domains"] and "laptop, eight domains" not in found
    acting = settled({"without": without, "laptop": now["laptop"], "half": half, "every": every}, "without")
    assert acting == {"half": False} and found["laptop, Lin from a half"] is False and "laptop, all three" not in found
    elsewhere = chosen(recorded[study.NOW], "homeware")
    assert settled(elsewhere, "laptop") == {} and all(len(made) == 3 for made in elsewhere.values())
    half_there, code_there = (
        study_table.mean_of(made, "cd") for made in (elsewhere["laptop, Lin from a half"], elsewhere["laptop"])
    )
    assert half_there < code_there
    gaps = [
        study_table.mean_of([one], "cd") - study_table.mean_of([first], "cd")
        for one, first in zip(every, now["laptop"], strict=True)
    ]
    assert min(gaps) == gaps[0]
    for mine, theirs in pairs_by_seed(before["together, later decay"], before["together"]):
        assert mine.metrics["cd"] < theirs.metrics["cd"] and mine.metrics["f"] > theirs.metrics["f"]
    assert len(pairs_by_seed(before["together, later decay"], before["together"])) == 2
    assert settled(before, "together") == {
        "together, later decay": False,
        "both as printed": True,
        "together, pose prior": True,
        "together, 20 objects": True,
        "together, four times the steps": False,
    }
    means = {name: study_table.mean_of(made, "cd") for name, made in before.items() if name != "both as printed"}
    assert max(means, key=means.__getitem__) == "together, pose prior"
    assert 2 * before["together"][0].settings["steps"] == now["laptop"][0].settings["steps"]
    summary = study_table.markdown(recorded).split("\n\n")[2:6]
    assert summary[0].startswith("**Profile `laptop`") and summary[-1].startswith("**Before,**")
    assert len(" ".join(summary).split()) <= 290


# the page


def test_nothing_recorded_is_said():
    assert "Nothing is recorded yet." in study_table.markdown({TOY: []})
    assert not lines()


def test_a_row_says_what_it_changes_and_how_it_compares():
    finer = row("together, 64 pixels", (2.0, 3.0, 4.0, 5.0), settings={"image_size": 64})
    first, second, third, last = lines(yardstick(), row("8 objects"), finer, row("together"))
    assert first[:2] == ["As it stands?", "together"] and first[3] == "–"
    assert second[:2] == ["Do finer images pay?", "64 pixels: `image_size` 64 for 32"]
    assert second[3:] == ["+1.00 [+1.00, +1.00]", "–", "0.200", "0.81", "0.30", "0.60", "2.5", "0"]
    assert third[1] == "8 objects: at most 8 objects a category" and third[3] == "+0.00 [+0.00, +0.00]"
    assert last[:2] == [study_table.NO_TRAINING, RETRIEVAL] and last[3:] == [third[3], "–", "0.200", *["–"] * 5]


def test_many_changes_stand_below_the_table():
    made = row("many", settings={"image_size": 64, "steps": 8, "sigma": 2e-4, "candidates": 9})
    assert lines(row("together"), made)[1][1] == "many: 4 settings, listed below"
    below = study_table.markdown({TOY: [row("together"), made]}).split(":::")[2]
    assert "*many*: " in below and "`steps` 8 for 4,000" in below and "`sigma` 0.0002 for 0.0001" in below


def test_differences_are_over_the_seeds_of_both():
    first = [row("together"), row("together", (2.0, 3.0, 4.0, 5.0), 1)]
    second = lines(*first, row("8 objects", (4.0, 5.0, 6.0, 7.0), 1))[1]
    assert second[3] == "+2.00 [+2.00, +2.00]" and second[-1] == "1"
    assert lines(row("together"), row("8 objects", seed=1))[1][3] == "–"


def test_processor_time_is_shown_only_where_it_says_something():
    gpu, unknown = row("together, 64 pixels", device="GPU"), row("8 objects", train_cpu_seconds=None)
    assert [line[-2] for line in lines(row("together"), gpu, unknown)] == ["2.5", "–", "–"]


def test_without_the_first_row_a_row_is_told_from_what_the_profile_is_now():
    now = resolve("laptop", device="cpu").settings.model_dump(mode="json")
    [line] = lines(row("together, 64 pixels", settings={**now, "image_size": 64}))
    assert line[1] == "64 pixels: `image_size` 64 for 32" and line[3] == "–"


def test_a_profile_that_moved_on_shows():
    moved = row("together, 64 pixels", settings={"image_size": 64, "steps": 9000, "log_every": 3, "cue_size": 99})
    assert lines(row("together"), moved)[1][1] == "64 pixels: `image_size` 64 for 32, `steps` 9,000 for 4,000"
    other = row("together", profile="laptop with steps 9", settings={"steps": 9})
    assert lines(row("together"), other)[1][1] == "together (steps 9): `steps` 9 for 4,000"
    assert lines(row("together"), yardstick(profile="laptop with sigma 1"))[1][1] == f"{RETRIEVAL} (sigma 1)"


def test_data_sets_have_a_table_each():
    page = study_table.markdown({TOY: [row("together", dataset="zoo"), row("together", dataset="procedural13")]})
    assert page.index("## A small study: procedural13") < page.index("## A small study: zoo")
    assert page.count(":::{div}") == 2 and "**" not in page  # rows of the summary are missing


def test_a_row_that_the_study_does_not_have_is_refused():
    with pytest.raises(MsrnError, match="unknown row '64 pixel' of study"):
        study_table.markdown({TOY: [row("64 pixel")]})


def test_what_an_earlier_protocol_measured_does_not_stand_beside_the_rest():
    old, new = row("8 objects", protocol=1), row("together", protocol=2)
    assert [line[1] for line in lines(old, new)] == ["together"] and len(lines(old)) == 1
    assert ["earlier protocol" in study_table.markdown({TOY: [one]}) for one in (old, new)] == [True, False]


def test_sparse_categories_stand_apart_from_the_others_and_beside_the_row_without_compensation():
    few = {"1": 4}
    table = Table(
        "3.2", "Sparse", "toy",
        (
            Row("one sparse", settings={}, question="Sparse?", objects=few),
            Row("one sparse, w/o FC", settings={"feature_compensation": False}, question="Help?", objects=few),
        ),
        split="val", name="study-sparse",
    )  # fmt: skip

    def made(name, cd):
        of = row("together", cd).objects["category"]
        means = {f"cd.category.{c}": float(np.mean([v for v, k in zip(cd, of, strict=True) if k == c])) for c in of}
        return row(name, cd, metrics={"cd": 2.5, "f": 0.2, **means})

    records = [made("one sparse", (1.0, 2.0, 3.0, 4.0)), made("one sparse, w/o FC", (2.0, 3.0, 3.5, 4.5))]
    page = study_table.markdown({table: records})
    first, second = ([c.strip() for c in line.strip("|").split("|")] for line in page.splitlines() if "? |" in line)
    kinds = sorted(set(records[0].objects["category"]))
    assert kinds == ["1", "2"]
    assert first[:2] == ["Sparse?", "one sparse"] and second[:2] == ["Help?", "one sparse, w/o FC"]
    assert (
        second[3] == second[5] == "–" and first[3] != first[5] and first[3].startswith("−") and first[5].startswith("−")
    )
    assert "*at most 4 objects of 1*" in page and study_table.SPARSE_NOTE in page


# the commands


def test_record_asks_for_the_rows_of_the_study(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "msrn.experiments.record.record_table", lambda *given, only: asked.append((*given, only)) or ["a line"]
    )
    words = ["record", "--seeds", "0,2", "--budget", "90s", "--only", "laptop", "--only", "night"]
    done = CliRunner().invoke(study.cli, words)
    [(table, request, seconds, only)] = asked
    assert done.output == "a line\n" and table is study.NOW and (seconds, only) == (90, ("laptop", "night"))
    assert (request.label, request.dataset, request.seeds) == ("laptop", "procedural13", (0, 2))
    cases = (
        (["--only", "together"], [(study.BEFORE, ("together",))]),
        (["--only", "ten sparse"], [(study.SPARSE, ("ten sparse",))]),
        ([], [(study.NOW, ())]),
    )
    for words, expected in cases:
        asked.clear()
        CliRunner().invoke(study.cli, ["record", *words])
        assert [(table, only) for table, *_, only in asked] == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "one"], "--seeds one: expected whole numbers"),
        (["--budget", "25"], "--budget 25: expected a number and a unit"),
        (["--profile", "labtop"], "unknown profile 'labtop' (did you mean laptop?)"),
    ],
)
def test_a_mistake_is_one_line(monkeypatch, capsys, words, message):
    monkeypatch.setattr(sys, "argv", ["study.py", "record", *words])
    with pytest.raises(SystemExit) as left:
        main(study.cli)
    out, err = capsys.readouterr()
    assert left.value.code == 2 and out == "" and message in err and err.count("\n") == 1

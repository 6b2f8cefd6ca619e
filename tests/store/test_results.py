"""Records survive the way through JSON, and what does not fit the schema is refused in one line."""

import json
import os
import shutil
import subprocess

import pytest
from toy_table import record

from msrn import paths
from msrn.errors import MsrnError
from msrn.experiments.paper import TABLES
from msrn.store import results


def test_a_record_survives_json():
    made = record(cd=(1.23456789, 2.0, 3.0, 4.0))
    content = json.loads(json.dumps(results.to_json(made)))
    assert content["schema"] == results.SCHEMA and content["objects"]["cd"][0] == 1.23457
    again = results.from_json(content, "there")
    assert results.to_json(again) == content and again.variant == made.variant


def test_not_a_number_becomes_null_and_not_invalid_json():
    content = results.to_json(record(metrics={"cd": float("nan")}))
    assert content["metrics"]["cd"] is None
    json.loads(json.dumps(content, allow_nan=False))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 99}, "'schema'"),
        ({"seed": "one"}, "'seed'"),
        ({"colour": "red"}, "'colour'"),
        ({"n_objects": 3}, "columns of n_objects = 3"),
    ],
)
def test_what_does_not_fit_is_named(change, said):
    with pytest.raises(MsrnError, match=said) as error:
        results.from_json({**results.to_json(record()), **change}, "results/table8/a.json")
    assert "results/table8/a.json" in str(error.value) and "\n" not in str(error.value)


def test_recorded_results_are_read_in_order_and_torn_ones_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert results.recorded("table8") == []
    (tmp_path / "table8").mkdir()
    for name, variant in (("b", "w/o NC"), ("a", "M-SRN")):
        (tmp_path / "table8" / f"{name}.json").write_text(json.dumps(results.to_json(record(variant))))
    assert [found.variant for found in results.recorded("table8")] == ["M-SRN", "w/o NC"]
    (tmp_path / "table8" / "c.json").write_text('{"schema": 1, "exp')
    with pytest.raises(MsrnError, match="c.json: not readable as JSON"):
        results.recorded("table8")


def test_committed_results_fit_the_schema():
    folders = {path.name for path in paths.RESULTS.glob("*") if path.is_dir()}
    without_records = {"benchmarks", "meshes"}
    studies = {
        "study",
        "study-before",
        "study-sparse",
        "study-rates-unicorn",
        "study-rates-shapeclipper",
        "study-rates-dvr",
        "study-rates-cmr",
        "study-rates-ucmr",
    }
    assert folders <= {*TABLES, *studies, "masks", "density", *without_records}
    for name in folders - without_records:
        for kept in results.recorded(name):
            assert kept.experiment == name
            if name in TABLES and kept.kind == "model":
                TABLES[name].row(kept.variant)


def git(folder, *words) -> str:
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=surroundings).stdout.strip()


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git here")
def test_only_a_repository_whose_top_is_this_folder_says_the_commit(tmp_path, monkeypatch):
    """A ZIP unpacked inside of another repository, and ``GIT_DIR`` of a hook of one."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.setattr(results.paths, "ROOT", inner.resolve())
    assert results.source_state() == ("unknown", False)
    for folder in (inner.parent, inner):
        git(folder, "init", "-q")
        (folder / "file").write_text(folder.name)
        git(folder, "add", "file")
        git(folder, "commit", "-q", "-m", "one")
        if folder == inner.parent:
            assert results.source_state() == ("unknown", False)
            outer = git(folder, "rev-parse", "--short=12", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(inner.parent / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(inner.parent))
    commit = git(inner, "rev-parse", "--short=12", "HEAD")
    assert results.source_state() == (commit, False) and commit != outer
    (inner / "msrn").mkdir()
    (inner / "msrn" / "new.py").write_text("")
    assert results.source_state() == (commit, True)

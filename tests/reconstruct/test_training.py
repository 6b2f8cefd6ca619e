"""``msrn train FOLDER`` on photographs of one's own, and ``msrn reconstruct --run`` with what it made."""

import numpy as np
import pytest
from click.testing import CliRunner

from msrn.__main__ import cli
from msrn.profiles import resolve
from msrn.reconstruct import command, training
from msrn.reconstruct.training import counts_of

TINY = {"steps": 6, "stage_switch": 2, "cue_steps": 4, "cue_batch_size": 4, "batch_size": 4, "image_size": 16}


@pytest.fixture
def collection(tmp_path, scene):
    for name in ("box", "chair"):
        for number in range(12):
            path = tmp_path / "own" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            scene.rotate(3 * number, fillcolor=(222, 222, 230)).save(path)
    return tmp_path / "own"


def test_azimuths_are_counted_in_bins_around_theirs():
    assert counts_of(np.array([0.0, 359.0, 14.9, 15.1, 180.0])) == [3, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]


@pytest.mark.slow
def test_a_collection_trains_reports_and_reconstructs(collection, tmp_path, monkeypatch, cache):
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "runs"))
    request = resolve("smoke", "folder", str(collection), seeds=[0], device="cpu", settings=TINY)
    text, use = training.train(request, progress=False)
    assert "box" in text and "chair" in text and "mask IoU" in text and "CD" in text.splitlines()[3]
    run = use.split()[-1]
    made = {path.name for path in (tmp_path / "runs" / run).iterdir()}
    assert {"report.txt", "report.png", "network.safetensors"} <= made
    said = command.reconstruct(collection / "box" / "0.png", tmp_path / "out", run=run)
    assert said.startswith("1 of 1") and (tmp_path / "out/0.glb").is_file()
    again = list(training.train(request, progress=False))
    assert again == [text, use]
    done = CliRunner().invoke(cli, ["reconstruct", str(collection), "-o", str(tmp_path / "x"), "--run", "other"])
    assert "did you mean" in str(done.exception) or "unknown run" in str(done.exception)


def test_a_folder_without_photographs_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    done = CliRunner().invoke(cli, ["train", str(tmp_path / "empty"), "--profile", "smoke"])
    assert done.exit_code and "\n" not in str(done.exception)

"""Scarce GPU minutes at toy size on the CPU: every step runs, comes home small, and is not done again."""

import os
import shutil
import subprocess
import sys
import tarfile

import pytest
import small_checkpoints
import torch
from toy import tiny_settings, toy_candidates, toy_collection

from msrn import paths
from msrn.store import results
from msrn.training.runs import train_or_load

SCRIPT = "scripts/gpu_minutes.sh"


def spend(root, folder, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "TOY": "1", "PYTHON": sys.executable, "MSRN_RUNS": str(folder / "runs")}
    environment |= {"OMP_NUM_THREADS": "1", "OUT": str(folder / "out")}
    command = [str(root / SCRIPT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)


@pytest.mark.slow
def test_it_does_all_of_it_once_at_toy_size(tmp_path):
    root = tmp_path / "copy"  # results are kept beside the package
    for part in ("msrn", "params", "scripts", "tests"):
        shutil.copytree(paths.ROOT / part, root / part)  # with what Numba has compiled
    shutil.copy(paths.ROOT / "pyproject.toml", root)
    first = spend(root, tmp_path, "30")
    assert first.returncode == 0, first.stdout + first.stderr
    lines = dict(line.split(": ", 1) for line in first.stdout.splitlines() if ": " in line)
    for name in ("tests", "training", "together0", "data", "woNC-seed0"):
        assert lines[name].startswith("done, ") and lines[name].endswith(" s"), name
    parts = sorted((tmp_path / "out").glob("home.tar.*"))
    assert parts and sum(part.stat().st_size for part in parts) < 60e6
    whole = tmp_path / "home.tar"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    with tarfile.open(whole) as archive:
        archive.extractall(tmp_path / "came", filter="data")
    home = tmp_path / "came" / "home"
    records = [results.read(file) for file in sorted(home.glob("procedural13-4-*.json"))]
    assert {(record.variant, record.settings["steps"]) for record in records} == {("w/o NC", 20)}
    assert len(list(home.glob("*.pt"))) == 1 and (home / "training.json").exists()
    assert not (paths.RESULTS / "table8" / next(home.glob("procedural13-4-*.json")).name).exists()

    again = spend(root, tmp_path, "30")
    assert again.returncode == 0 and again.stdout.count(": done before") == 5, again.stdout + again.stderr


@pytest.mark.parametrize("minutes", [(), ("soon",), ("0",), ("1.5",)])
def test_minutes_are_a_whole_number(tmp_path, minutes):
    done = spend(paths.ROOT, tmp_path, *minutes)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "expected a whole number" in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_small_checkpoint_makes_the_same_shapes(tmp_path, monkeypatch):
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path))
    collection, s = toy_collection(), tiny_settings()
    run = train_or_load(s, collection, toy_candidates(collection, s.candidates), 0, "cpu", progress=False)
    torch.save(small_checkpoints.shrunk(run.folder), tmp_path / "small.pt")
    whole, small = run.network(), small_checkpoints.load(tmp_path / "small.pt")
    seen = whole.seen(torch.from_numpy(collection.images[:4].copy()))
    with torch.no_grad():
        expected, found = (network.shape(seen).vertices for network in (whole, small))
    assert (found - expected).abs().max() < 2e-3 * expected.abs().max() and not torch.equal(found, expected)
    names = {name.split(".")[0] for name in torch.load(tmp_path / "small.pt", weights_only=True)["network"]}
    assert "shape_encoder" in names and not names & set(small_checkpoints.BEHIND)
    assert set(small_checkpoints.BEHIND) < {name.split(".")[0] for name in whole.state_dict()}

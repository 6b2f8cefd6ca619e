"""Trained weights stay what they were, bit by bit, while the code around them is redrawn.

``bits.json`` holds the digests of three short trainings. Bits are those of a processor and a version of PyTorch, so
they are compared where both are the recorded ones; the size of every weight is compared everywhere.
"""

import hashlib
import json
import platform
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import tiny_settings, toy_candidates, toy_collection

from msrn import profiles
from msrn.experiments.paper import TABLES
from msrn.experiments.runner import WHOLE, Experiment, job_of, neighbors_of
from msrn.training.runs import train_or_load

FILE = Path(__file__).with_name("bits.json")
LIKE_LAPTOP = {
    "batches": "groups", "batch_size": 8, "azimuth_prior_weight": 2.0, "pose_prior_weight": 0.0, "decay_at": 0.8,
    "neighbor_scale": "own", "neighbor_samples": 1, "neighbor_prototypes": 1, "small_shape_code": 4,
    "small_texture_code": 8, "decoders": "vertices", "pose_every": 4, "reach_weight": 10.0,
}  # fmt: skip


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [
        line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "model\t", "cpu family"))
    ]
    return f"{platform.machine()}, {', '.join(dict.fromkeys(names))}, torch {torch.__version__}"


def train(name: str):
    if name == "smoke":
        request = profiles.resolve("smoke", settings={"log_every": 50, "checkpoint_every": 50})
        asked = Experiment(TABLES["table8"], request, progress=False)
        job = job_of(asked, WHOLE, 0)
        neighbors = neighbors_of(asked, job)
        return train_or_load(request.settings, job.train, neighbors, 0, "cpu", False).network()
    own = LIKE_LAPTOP if name == "groups" else {}
    settings = tiny_settings(**{"steps": 100, "log_every": 50, "checkpoint_every": 50, **own})
    images = toy_collection()
    return train_or_load(settings, images, toy_candidates(images, settings.candidates), 3, "cpu", False).network()


@pytest.mark.parametrize("name", ["toy", "groups", "smoke"])
def test_weights_are_what_they_were(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path))
    state, digest = train(name).state_dict(), hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode() + state[key].contiguous().numpy().tobytes())
    sizes = {key: round(float(np.abs(value.numpy().astype(float)).mean()), 6) for key, value in state.items()}
    kept = json.loads(FILE.read_text())[name]
    assert sizes == {key: pytest.approx(value, rel=0.02, abs=2e-3) for key, value in kept["sizes"].items()}
    if kept["machine"] == machine():
        assert digest.hexdigest()[:16] == kept["digest"]

"""Trained weights stay what they were, bit by bit, while the code around them is redrawn.

``bits.json`` holds the digests of three short trainings. Bits are those of a processor and a version of PyTorch, so
they are compared where both are among the recorded ones. The size of every weight is compared everywhere, after a few
steps: other processors round otherwise, and within 30 steps that has grown beyond what could be told from a mistake.
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

FEW = {"steps": 10, "stage_switch": 2, "shape_confidence": 0.0}  # enough for the bank to fill and act
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


def train(name: str, **schedule: float):
    """The weights after a schedule."""
    schedule |= {"log_every": 50, "checkpoint_every": 50}
    if name == "smoke":
        request = profiles.resolve("smoke", "homeware", settings={"prototypes": 4, "batch_size": 8, **schedule})
        asked = Experiment(TABLES["table8"], request, progress=False)
        job = job_of(asked, WHOLE, 0)
        neighbors = neighbors_of(asked, job)
        return train_or_load(request.settings, job.train, neighbors, 0, "cpu", False).network().state_dict()
    own = LIKE_LAPTOP if name == "groups" else {}
    settings = tiny_settings(**schedule | own)
    images = toy_collection()
    neighbors = toy_candidates(images, settings.candidates)
    return train_or_load(settings, images, neighbors, 3, "cpu", False).network().state_dict()


@pytest.fixture(params=["toy", "groups", "smoke"])
def recorded(request, tmp_path, monkeypatch):
    """A training's name and what is kept of it."""
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path))
    return request.param, json.loads(FILE.read_text())[request.param]


def test_weights_are_of_the_size_that_they_were(recorded):
    name, kept = recorded
    sizes = {key: float(np.abs(value.numpy().astype(float)).mean()) for key, value in train(name, **FEW).items()}
    assert sizes == {key: pytest.approx(value, rel=0.02, abs=3e-4) for key, value in kept["sizes"].items()}


def test_weights_are_what_they_were(recorded):
    name, kept = recorded
    if machine() not in kept["digests"]:
        pytest.skip(f"no bits are recorded for {machine()}")
    state, digest = train(name, steps=kept["steps"]), hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode() + state[key].contiguous().numpy().tobytes())
    assert digest.hexdigest()[:16] == kept["digests"][machine()]

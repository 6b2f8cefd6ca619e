"""The run store: find, resume or train, and never do it twice.

A run is (settings, data fingerprint, digest of the training code, seed). Its folder ``runs/NAME`` holds

    params.yaml      all settings, the seed and what the run was trained on
    checkpoint.pt    tensors only, written under a temporary name and renamed; checkpoint.previous.pt is the one before
    log.jsonl        one line per logged step
    result.json      what evaluation measured, written by ``scoring``

A second process that wants the same run waits for the first and then loads. Resuming repeats the uninterrupted run
bit by bit on the same CPU. Docstrings and comments do not enter the code digest, so explaining the code better costs
no training.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msrn import paths
from msrn.data import ImageCollection
from msrn.errors import MsrnError
from msrn.network import MSRN
from msrn.settings import FOREGROUND_SETTINGS, Settings
from msrn.store import code_digest as source
from msrn.store.checkpointing import Pace, complete, params_of, read_log
from msrn.store.files import find_checkpoint, read_json, write_json
from msrn.store.results import device_name
from msrn.training.batches import TrainingImages
from msrn.training.loop import train
from msrn.training.state import Training, load_network

TRAINING_PATH = (  # what decides a trained model: files and folders of the package
    "camera.py neighbors/candidates.py compensation.py distance_transform.py neighbors/features.py "
    "training/batches.py training/cuda_graphs.py losses.py memory.py neighbors/selection.py network.py "
    "neighbors/search.py training/steps.py threads.py training/loop.py training/state.py render "
    "data/collection.py"
).split()
Features = tuple[object, ...]
NOT_IN_IDENTITY = {"eval_points", "checkpoint_every"}  # settings that cannot change the trained model


@dataclass
class Run:
    """A finished run."""

    folder: Path
    settings: Settings
    seed: int
    categories: int
    how: str  # one line: loaded, resumed or trained, and why
    trained_now: bool

    @functools.cached_property
    def log(self) -> list[dict]:
        return read_log(self.folder)

    @property
    def seconds(self) -> float:
        """Training time, interruptions left out."""
        return self.log[-1]["seconds"] if self.log else 0.0

    @property
    def cpu_seconds(self) -> float | None:
        """Processor time of the training over all cores; None for a run that was begun before it was logged."""
        return self.log[-1].get("cpu_seconds") if self.log else None

    @property
    def device(self) -> str:
        """What it was trained on, such as ``CPU, 2 cores``."""
        return params_of(self.folder)["device"]

    @property
    def result(self) -> dict | None:
        return read_json(self.folder / "result.json")

    def write_result(self, result: dict) -> None:
        write_json(self.folder / "result.json", result)

    def network(self) -> MSRN:
        """The trained network, on the CPU, ready to reconstruct."""
        network = MSRN(self.settings, self.categories)
        state, _ = find_checkpoint(self.folder)
        if state is None:
            raise MsrnError(f"{self.folder}: its checkpoint is gone; delete that folder and run again")
        load_network(network, state)
        return network.eval()


def train_or_load(
    settings: Settings,
    collection: ImageCollection,
    candidates: np.ndarray | Callable[[], np.ndarray] | None,
    seed: int,
    device: str,
    progress: bool = True,
    label: str = "training",
    until: float | None = None,
    features: Features = (),
) -> Run:
    """The finished run for these inputs: loaded, resumed from its checkpoint, or trained.

    ``candidates`` (N, k_cos), or a function that finds them, is only used when there is something left to train.
    ``until`` is a time of ``time.monotonic`` past which training stops at its next log line, with ``OutOfTime``.
    ``features`` is the identity of the candidates' features where a request gave their weights.
    """
    folder = folder_of(settings, collection, seed, features)

    def begin() -> tuple[Training, Iterator[dict]]:
        found = None
        if settings.neighbor_consistency:
            found = candidates() if callable(candidates) else candidates
        images = TrainingImages(collection, found, settings, device)
        run = Training.start(settings, images, seed)
        return run, train(run, images)

    content = params_content(settings, collection, seed, device, features)
    pace = Pace(settings.steps, settings.log_every, settings.checkpoint_every)
    how, trained_now = complete(folder, content, pace, begin, label, progress, until)
    return Run(folder, settings, seed, len(collection.categories), how, trained_now)


# identity


def run_name(settings: Settings, collection: ImageCollection, seed: int, features: Features = ()) -> str:
    """DATASET-seedN-DIGEST: the same inputs always meet in the same folder."""
    identity = [identity_of(settings), collection.fingerprint, code_digest(), seed, *features]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return f"{collection.name}-seed{seed}-{digest}"


def folder_of(settings: Settings, collection: ImageCollection, seed: int, features: Features = ()) -> Path:
    """Where the run is stored."""
    return paths.runs_folder() / run_name(settings, collection, seed, features)


def last_step(settings: Settings, collection: ImageCollection, seed: int, features: Features = ()) -> int:
    """The last logged step of a run, 0 when there is none; cheap, loads no tensors."""
    records = read_log(folder_of(settings, collection, seed, features))
    return records[-1]["step"] if records else 0


def identity_of(settings: Settings) -> dict[str, Any]:
    """Settings that decide a trained model; those of the foreground module do by the collection's fingerprint."""
    left_out = NOT_IN_IDENTITY | FOREGROUND_SETTINGS
    return {name: value for name, value in settings.model_dump(mode="json").items() if name not in left_out}


def code_digest(entries: tuple[str, ...] = TRAINING_PATH) -> str:
    """Digest of some of the package's code, by default the training path's, without docstrings and comments."""
    return source.digest(tuple(entries))


def params_content(
    settings: Settings, collection: ImageCollection, seed: int, device: str, features: Features
) -> dict[str, Any]:
    """What ``params.yaml`` says of a run."""
    return {
        "dataset": collection.name,
        "split": collection.split,
        "fingerprint": collection.fingerprint,
        "code": code_digest(),
        "seed": seed,
        "device": device_name(device),
        "categories": list(collection.categories),
        "features": list(features),
        "settings": settings.model_dump(mode="json"),
    }


def list_runs() -> list[dict[str, Any]]:
    """What ``params.yaml``, the log and the files say of every run in the store, oldest first; loads no tensors."""
    found = []
    for file in sorted(paths.runs_folder().glob("*/params.yaml"), key=lambda path: path.stat().st_mtime):
        content, folder = params_of(file.parent), file.parent
        size = sum(part.stat().st_size for part in folder.iterdir())
        entry = {"name": folder.name, "readable": content is not None, "bytes": size}
        if content:
            last = [{"step": 0, "seconds": 0.0}, *read_log(folder)][-1]
            entry |= {
                "seed": content["seed"],
                "step": last["step"],
                "steps": content["settings"]["steps"],
                "seconds": last["seconds"],
                "current": content["code"] == code_digest(),
                "evaluated": read_json(folder / "result.json") is not None,
            }
        found.append(entry)
    return found

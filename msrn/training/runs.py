"""The run store: find, resume or train, and never do it twice.

A run is (settings, data fingerprint, digest of the training code, seed). Its folder ``runs/NAME`` is as
``store.checkpointing`` says, with ``result.json``, what evaluation measured.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from msrn import paths
from msrn.data.collection import ImageCollection
from msrn.network import MSRN
from msrn.settings import FOREGROUND_SETTINGS, Settings
from msrn.store.checkpointing import load_state, opened, params_of, read_log
from msrn.store.digest import code_digest, digest_of
from msrn.store.files import keep_json, kept_json, modified, size_of
from msrn.store.results import device_name
from msrn.training.batches import TrainingImages, has_candidates
from msrn.training.loop import train
from msrn.training.state import Training, load_network

CODE = (  # decides, by all it imports
    "msrn.training.loop", "msrn.neighbors.candidates", "msrn.neighbors.clusters", "msrn.neighbors.features",
)  # fmt: skip
WITH_AZIMUTHS = (*CODE, "msrn.neighbors.azimuths")  # where these are found before training
NOT_IN_IDENTITY = {"eval_points", "log_every", "checkpoint_every"}  # settings that cannot change the trained model
Features = tuple[object, ...]


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
        return kept_json(self.folder / "result.json")

    def write_result(self, result: dict) -> None:
        keep_json(self.folder / "result.json", result)

    def network(self) -> MSRN:
        """The trained network, on the CPU, ready to reconstruct."""
        network = MSRN(self.settings, self.categories)
        load_network(network, load_state(self.folder))
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
    azimuths: Callable[[], np.ndarray] | None = None,
) -> Run:
    """The finished run for these inputs: loaded, resumed from its checkpoint, or trained.

    ``candidates`` (N, k_cos), or a function that finds them, is only used when there is something left to train.
    ``until`` is a time of ``time.monotonic`` past which training stops at its next log line, with ``OutOfTime``.
    ``features`` is the identity of the candidates' features where a request gave their weights. ``azimuths`` finds
    those (N,) in degrees that settings take from look-alikes or from the truth.
    """
    path = folder_of(settings, collection, seed, features)
    content = params_content(settings, collection, seed, device, features)
    with opened(path, content, label, progress, until) as folder:
        if not folder.finished:
            found = None
            if has_candidates(settings):
                found = candidates() if callable(candidates) else candidates
            azimuth = azimuths() if settings.azimuths in ("look-alikes", "known") else None
            images = TrainingImages(collection, found, settings, device, azimuth)
            run = Training.start(settings, images, seed)
            folder.begin(run)
            with _threads(settings):
                train(run, images, folder)
    return Run(path, settings, seed, len(collection.categories), folder.how, not folder.finished)


@contextmanager
def _threads(settings: Settings) -> Iterator[None]:
    """Torch's threads, but a single one where encoders read stored features.

    Such a step is thousands of small operations: on two idle cores a second thread saves a seventh of its time (9.0 and
    7.8 ms), and beside other work, where threads spin as they wait for one another, it takes twelve times as long. What
    is trained is then the same on any number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if settings.encoder == "imagenet" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# identity


def run_name(settings: Settings, collection: ImageCollection, seed: int, features: Features = ()) -> str:
    """DATASET-seedN-DIGEST: the same inputs always meet in the same folder."""
    identity = [identity_of(settings), collection.fingerprint, _code(settings), seed, *features]
    return f"{collection.name}-seed{seed}-{digest_of(identity)[:12]}"


def folder_of(settings: Settings, collection: ImageCollection, seed: int, features: Features = ()) -> Path:
    """Where the run is stored."""
    return paths.runs_folder() / run_name(settings, collection, seed, features)


def last_step(settings: Settings, collection: ImageCollection, seed: int, features: Features = ()) -> int:
    """The last logged step of a run, 0 when there is none; cheap, loads no tensors."""
    records = read_log(folder_of(settings, collection, seed, features))
    return records[-1]["step"] if records else 0


def _code(settings: Settings) -> str:
    return code_digest(*(WITH_AZIMUTHS if settings.azimuths == "look-alikes" else CODE))


def identity_of(settings: Settings) -> dict[str, Any]:
    """Settings that decide a trained model; those of the foreground module do by the collection's fingerprint."""
    left_out = NOT_IN_IDENTITY | FOREGROUND_SETTINGS
    return {name: value for name, value in settings.model_dump(mode="json").items() if name not in left_out}


def params_content(
    settings: Settings, collection: ImageCollection, seed: int, device: str, features: Features
) -> dict[str, Any]:
    """What ``params.yaml`` says of a run."""
    return {
        "dataset": collection.name,
        "split": collection.split,
        "fingerprint": collection.fingerprint,
        "code": _code(settings),
        "seed": seed,
        "device": device_name(device),
        "categories": list(collection.categories),
        "features": list(features),
        "settings": settings.model_dump(mode="json"),
    }


def list_runs() -> list[dict[str, Any]]:
    """What ``params.yaml``, the log and the files say of every run in the store, oldest first; loads no tensors."""
    entries, current = [], {code_digest(*code) for code in (CODE, WITH_AZIMUTHS, ("msrn.foreground.finetune",))}
    files = sorted((when, file) for file in paths.runs_folder().glob("*/params.yaml") if (when := modified(file)))
    for _, file in files:
        content, folder = params_of(file.parent), file.parent
        size = size_of(folder)
        entry = {"name": folder.name, "readable": content is not None, "bytes": size}
        if content:
            last = [{"step": 0, "seconds": 0.0}, *read_log(folder)][-1]
            result = kept_json(folder / "result.json")
            entry |= {
                "seed": content["seed"],
                "step": last["step"],
                "steps": content["settings"]["steps"],
                "seconds": last["seconds"],
                "current": content["code"] in current,
                "evaluated": result is not None,
                "variant": (result or {}).get("variant"),
            }
        entries.append(entry)
    return entries

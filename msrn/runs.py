"""The run store: find, resume or train, and never do it twice.

A run is (settings, data fingerprint, digest of the training code, seed). Its folder ``runs/NAME`` holds

    params.yaml      all settings, the seed and what the run was trained on
    checkpoint.pt    tensors only, written under a temporary name and renamed; checkpoint.previous.pt is the one before
    log.jsonl        one line per logged step
    result.json      what evaluation measured, written by ``experiments``

A second process that wants the same run waits for the first and then loads. Resuming repeats the uninterrupted run
bit by bit on the same CPU. Docstrings and comments do not enter the code digest, so explaining the code better costs
no training.
"""

import ast
import contextlib
import functools
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tqdm import tqdm

from msrn import paths
from msrn.data import ImageCollection
from msrn.errors import MsrnError
from msrn.feed import TrainingImages
from msrn.network import MSRN
from msrn.records import device_name
from msrn.settings import Settings
from msrn.storage import find_checkpoint, held, read_json, save_checkpoint, write_json, write_text, writing
from msrn.train import Training, load_network, train

TRAINING_PATH = (  # what decides a trained model: files and folders of the package
    "camera.py candidates.py compensation.py distance.py features.py feed.py graphs.py losses.py memory.py "
    "neighbors.py network.py search.py threads.py train.py render data/collection.py"
).split()
NOT_IN_IDENTITY = {"eval_points", "checkpoint_every"}  # settings that cannot change the trained model


class OutOfTime(Exception):
    """The time that was given is over; the run has a checkpoint of its last step and goes on next time."""


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
        return _read_log(self.folder)

    @property
    def seconds(self) -> float:
        """Training time, interruptions left out."""
        return self.log[-1]["seconds"] if self.log else 0.0

    @property
    def device(self) -> str:
        """What it was trained on, such as ``CPU, 2 cores``."""
        return _params_of(self.folder)["device"]

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
) -> Run:
    """The finished run for these inputs: loaded, resumed from its checkpoint, or trained.

    ``candidates`` (N, k_cos), or a function that finds them, is only used when there is something left to train.
    ``until`` is a time of ``time.monotonic`` past which training stops at its next log line, with ``OutOfTime``.
    """
    folder = paths.runs_folder() / run_name(settings, collection, seed)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with held(folder / "lock"):
        state, note = find_checkpoint(folder)
        step = state["step"] if state else 0
        if not _params_of(folder):
            write_params(folder, settings, collection, seed, device)
        how = f"{label}: " + _how(folder, step, settings.steps, note)
        if step >= settings.steps:
            return Run(folder, settings, seed, len(collection.categories), how, trained_now=False)
        print(how, file=sys.stderr, flush=True)
        if settings.neighbor_consistency:
            candidates = candidates() if callable(candidates) else candidates
        else:
            candidates = None
        images = TrainingImages(collection, candidates, settings, device)
        run = Training.start(settings, images, seed)
        if state:
            run.restore(state)
        _train(run, images, settings, folder, progress, label, until)
    return Run(folder, settings, seed, len(collection.categories), how, trained_now=True)


def _how(folder: Path, step: int, steps: int, note: str) -> str:
    if step >= steps:
        return f"reused {folder.name}{note}: settings, data, training code and seed are unchanged"
    if step:
        return f"resuming {folder.name} at step {step:,} of {steps:,}{note}"
    return f"no run {folder.name} for these settings, data, code and seed yet{note}: training {steps:,} steps"


def _train(
    run: Training,
    images: TrainingImages,
    s: Settings,
    folder: Path,
    progress: bool,
    label: str,
    until: float | None,
) -> None:
    """Drive the loop of ``train.train``: log every record, checkpoint in intervals, show how long is left."""
    before = trim_log(folder, run.step)
    started = time.monotonic()
    bar = tqdm(
        total=s.steps, initial=run.step, desc=label, unit="step", disable=not progress, mininterval=1, file=sys.stderr
    )
    with bar:
        for record in train(run, images):
            record["seconds"] = round(before + time.monotonic() - started, 3)
            with writing(folder), open(folder / "log.jsonl", "a") as log:
                log.write(json.dumps(record) + "\n")
            bar.set_postfix_str(f"loss {record['total']:.3f}, IoU {record.get('mask_iou', float('nan')):.2f}", False)
            bar.update(run.step - bar.n)
            due = run.step // s.checkpoint_every > (run.step - s.log_every) // s.checkpoint_every
            over = until is not None and time.monotonic() > until
            if due or over or run.step == s.steps:
                check_weights(run, folder)
                save_checkpoint(run.state(), folder)
            if over and run.step < s.steps:
                raise OutOfTime(f"{label}: out of time at step {run.step:,} of {s.steps:,}; it goes on from there")


def check_weights(run: Training, folder: Path) -> None:
    """A loss can be finite and its gradient not: weights that are no numbers never replace a good checkpoint."""
    bad = [name for name, value in run.network.state_dict().items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise MsrnError(
            f"{folder}: {bad[0]} and {len(bad) - 1} other weights are not finite at step {run.step}; nothing was saved "
            "since the last good checkpoint: lower learning_rate, or look at the settings that differ"
        )


def trim_log(folder: Path, step: int) -> float:
    """Drop log lines after the checkpoint (they will come again) and a torn last one; the seconds spent until it."""
    kept = [record for record in _read_log(folder) if record["step"] <= step]
    write_text(folder / "log.jsonl", "".join(json.dumps(record) + "\n" for record in kept))
    return kept[-1]["seconds"] if kept else 0.0


def _read_log(folder: Path) -> list[dict]:
    """All whole lines; one torn by a kill is the last and comes again."""
    path, found = folder / "log.jsonl", []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            record = json.loads(line)
            if isinstance(record, dict) and {"step", "seconds"} <= record.keys():
                found.append(record)
    return found


# identity


def run_name(settings: Settings, collection: ImageCollection, seed: int) -> str:
    """DATASET-seedN-DIGEST: the same inputs always meet in the same folder."""
    identity = [identity_of(settings), collection.fingerprint, code_digest(), seed]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return f"{collection.name}-seed{seed}-{digest}"


def last_step(settings: Settings, collection: ImageCollection, seed: int) -> int:
    """The last logged step of a run, 0 when there is none; cheap, loads no tensors."""
    records = _read_log(paths.runs_folder() / run_name(settings, collection, seed))
    return records[-1]["step"] if records else 0


def identity_of(settings: Settings) -> dict[str, Any]:
    return {name: value for name, value in settings.model_dump(mode="json").items() if name not in NOT_IN_IDENTITY}


@functools.cache
def code_digest(entries: tuple[str, ...] = TRAINING_PATH) -> str:
    """Digest of some of the package's code, by default the training path's, without docstrings and comments."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for entry in entries:
        path = package / entry
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(package)}\n{_without_docstrings(file)}\n".encode())
    return digest.hexdigest()[:12]


def _without_docstrings(file: Path) -> str:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [child for child in body if not _is_text(child)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def write_params(folder: Path, settings: Settings, collection: ImageCollection, seed: int, device: str) -> None:
    content = {
        "dataset": collection.name,
        "split": collection.split,
        "fingerprint": collection.fingerprint,
        "code": code_digest(),
        "seed": seed,
        "device": device_name(device),
        "categories": list(collection.categories),
        "settings": settings.model_dump(mode="json"),
    }
    write_text(folder / "params.yaml", yaml.safe_dump(content, sort_keys=False))


def _params_of(folder: Path) -> dict[str, Any] | None:
    """What ``params.yaml`` says, or None where it is missing or damaged; the next use of the run writes it again."""
    try:
        content = yaml.safe_load((folder / "params.yaml").read_text())
        complete = {"settings", "seed", "code", "device"} <= content.keys() and "steps" in content["settings"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError):
        return None
    return content if complete else None


def list_runs() -> list[dict[str, Any]]:
    """What ``params.yaml``, the log and the files say of every run in the store, oldest first; loads no tensors."""
    found = []
    for file in sorted(paths.runs_folder().glob("*/params.yaml"), key=lambda path: path.stat().st_mtime):
        content, folder = _params_of(file.parent), file.parent
        size = sum(part.stat().st_size for part in folder.iterdir())
        entry = {"name": folder.name, "readable": content is not None, "bytes": size}
        if content:
            last = [{"step": 0, "seconds": 0.0}, *_read_log(folder)][-1]
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

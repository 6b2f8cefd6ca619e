"""Drive a training to its end, however often it is interrupted: what every folder of the run store has in common.

    params.yaml      all settings, the seed and what the run was trained on
    checkpoint.pt    tensors only, written under a temporary name and renamed; checkpoint.previous.pt is the one before
    log.jsonl        one line per logged step

A second process that wants the same folder waits for the first and then loads. What is trained decides, by (seed, step)
alone, what a step does; then resuming repeats the uninterrupted training bit by bit on the same CPU.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
import yaml
from tqdm import tqdm

from msrn.errors import MsrnError
from msrn.store.files import find_checkpoint, held, save_checkpoint, write_text, writing


class OutOfTime(Exception):
    """The time that was given is over; the run has a checkpoint of its last step and goes on next time."""


class Trainee(Protocol):
    """A training in progress."""

    network: torch.nn.Module
    step: int

    def state(self) -> dict: ...

    def restore(self, state: dict) -> None: ...


class Pace(NamedTuple):
    """In steps: the whole, between two lines of the log, between two checkpoints."""

    steps: int
    log_every: int
    checkpoint_every: int


def complete(
    folder: Path,
    content: dict[str, Any],
    pace: Pace,
    begin: Callable[[], tuple[Trainee, Iterator[dict]]],
    label: str,
    progress: bool = True,
    until: float | None = None,
) -> tuple[str, bool]:
    """Bring the training in ``folder`` to its end; one line that says how, and whether anything was trained.

    ``content`` goes into ``params.yaml``; ``begin`` starts the training and the walk through its records, one for each
    line of the log with ``total`` at least, and is called only when something is left to train.
    ``until`` is a time of ``time.monotonic`` past which it stops at the next line of the log, with ``OutOfTime``.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with held(folder / "lock"):
        state, note = find_checkpoint(folder)
        step = state["step"] if state else 0
        if not params_of(folder):
            write_text(folder / "params.yaml", yaml.safe_dump(content, sort_keys=False))
        how = f"{label}: " + _how(folder, step, pace.steps, note)
        if step >= pace.steps:
            return how, False
        print(how, file=sys.stderr, flush=True)
        trainee, records = begin()
        if state:
            trainee.restore(state)
        _drive(trainee, records, pace, folder, progress, label, until)
    return how, True


def _how(folder: Path, step: int, steps: int, note: str) -> str:
    if step >= steps:
        return f"reused {folder.name}{note}: settings, data, training code and seed are unchanged"
    if step:
        return f"resuming {folder.name} at step {step:,} of {steps:,}{note}"
    return f"no run {folder.name} for these settings, data, code and seed yet{note}: training {steps:,} steps"


def _drive(
    trainee: Trainee,
    records: Iterator[dict],
    pace: Pace,
    folder: Path,
    progress: bool,
    label: str,
    until: float | None,
) -> None:
    """Log every record, checkpoint in intervals, show how long is left."""
    before = trim_log(folder, trainee.step)
    started, began = time.monotonic(), time.process_time()
    bar = tqdm(
        total=pace.steps,
        initial=trainee.step,
        desc=label,
        unit="step",
        disable=not progress,
        mininterval=1,
        file=sys.stderr,
    )
    with bar:
        for record in records:
            record["seconds"] = round(before["seconds"] + time.monotonic() - started, 3)
            if "cpu_seconds" in before:
                record["cpu_seconds"] = round(before["cpu_seconds"] + time.process_time() - began, 3)
            with writing(folder), open(folder / "log.jsonl", "a") as log:
                log.write(json.dumps(record) + "\n")
            bar.set_postfix_str(_shown(record), False)
            bar.update(trainee.step - bar.n)
            due = trainee.step // pace.checkpoint_every > (trainee.step - pace.log_every) // pace.checkpoint_every
            over = until is not None and time.monotonic() > until
            if due or over or trainee.step == pace.steps:
                check_weights(trainee, folder)
                save_checkpoint(trainee.state(), folder)
            if over and trainee.step < pace.steps:
                raise OutOfTime(
                    f"{label}: out of time at step {trainee.step:,} of {pace.steps:,}; it goes on from there"
                )


def _shown(record: dict) -> str:
    """What the bar says of a record."""
    fit = f", IoU {record['mask_iou']:.2f}" if "mask_iou" in record else ""
    return f"loss {record['total']:.3f}{fit}"


def check_weights(trainee: Trainee, folder: Path) -> None:
    """A loss can be finite and its gradient not: weights that are no numbers never replace a good checkpoint."""
    bad = [name for name, value in trainee.network.state_dict().items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise MsrnError(
            f"{folder}: {bad[0]} and {len(bad) - 1} other weights are not finite at step {trainee.step}; nothing was "
            "saved since the last good checkpoint: lower learning_rate, or look at the settings that differ"
        )


def trim_log(folder: Path, step: int) -> dict[str, Any]:
    """Drop log lines after the checkpoint (they will come again) and a torn last one; the last line that is left."""
    kept = [record for record in read_log(folder) if record["step"] <= step]
    write_text(folder / "log.jsonl", "".join(json.dumps(record) + "\n" for record in kept))
    return kept[-1] if kept else {"seconds": 0.0, "cpu_seconds": 0.0}


def read_log(folder: Path) -> list[dict]:
    """All whole lines; one torn by a kill is the last and comes again."""
    path, found = folder / "log.jsonl", []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            record = json.loads(line)
            if isinstance(record, dict) and {"step", "seconds"} <= record.keys():
                found.append(record)
    return found


def params_of(folder: Path) -> dict[str, Any] | None:
    """What ``params.yaml`` says, or None where it is missing or damaged; the next use of the run writes it again."""
    try:
        content = yaml.safe_load((folder / "params.yaml").read_text())
        complete = {"settings", "seed", "code", "device"} <= content.keys() and "steps" in content["settings"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError):
        return None
    return content if complete else None

"""A folder of the run store while something is trained in it: what every training loop has in common.

    params.yaml      all settings, the seed and what the run was trained on
    checkpoint.pt    tensors only, written under a temporary name and renamed; checkpoint.previous.pt is the one before
    log.jsonl        one line per logged step

Each carries a digest of its content (``store.seal``).
A loop takes its folder with ``opened``, calls ``begin`` once, then ``write`` and ``save``. A second process that wants
the same folder waits for the first and then loads. What is trained decides, by (seed, step) alone, what a step does;
then resuming repeats the uninterrupted training bit by bit on the same CPU.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor
from tqdm import tqdm

from msrn.errors import MsrnError
from msrn.store.files import find_checkpoint, held, save_checkpoint, write_text, writing
from msrn.store.seal import Damaged, sealed, set_aside, unsealed
from msrn.store.stopping import Stopped, asked, noted, stopped


class OutOfTime(Exception):
    """The time that was given is over; the run has a checkpoint of its last step and goes on next time."""


class RunFolder:
    """The folder of a run, which this process holds.

    What is trained has ``network``, ``step``, ``state()`` (tensors and plain values) and ``restore(state)``.
    """

    def __init__(self, path: Path, steps: int, label: str, progress: bool, until: float | None) -> None:
        self.path, self.steps, self.label = path, steps, label
        self._progress, self._until, self.bar = progress, until, tqdm(disable=True)
        self.signals = contextlib.ExitStack()  # are noted until it is left
        self._state, note = find_checkpoint(path)
        step = self._state["step"] if self._state else 0
        self.finished = step >= steps
        if self.finished:
            how = f"reused {path.name}{note}: settings, data, training code and seed are unchanged"
        elif step:
            how = f"resuming {path.name} at step {step:,} of {steps:,}{note}"
        else:
            how = f"no run {path.name} for these settings, data, code and seed yet{note}: training {steps:,} steps"
        self.how = f"{label}: {how}"

    def begin(self, run: Any) -> None:
        """Put the checkpoint into ``run``, cut the log to it, note signals from here on, and let the clocks run."""
        self.signals.enter_context(noted())
        if self._state:
            run.restore(self._state)
            self._state = None
        self._before = trim_log(self.path, run.step)
        self._started = time.monotonic(), time.process_time()
        options = {"unit": "step", "disable": not self._progress, "mininterval": 1, "file": sys.stderr}
        self.bar = tqdm(total=self.steps, initial=run.step, desc=self.label, **options)

    def write(self, step: int, record: Mapping[str, Any]) -> None:
        """A line of the log, with the seconds so far; it needs a ``total``."""
        seconds, cpu_seconds = time.monotonic() - self._started[0], time.process_time() - self._started[1]
        line = {"step": step, **record, "seconds": round(self._before["seconds"] + seconds, 3)}
        if "cpu_seconds" in self._before:
            line["cpu_seconds"] = round(self._before["cpu_seconds"] + cpu_seconds, 3)
        with writing(self.path), open(self.path / "log.jsonl", "a", encoding="utf-8") as log:
            log.write(_log_line(line))
        fit = f", IoU {record['mask_iou']:.2f}" if "mask_iou" in record else ""
        self.bar.set_postfix_str(f"loss {record['total']:.3f}{fit}", False)
        self.bar.update(step - self.bar.n)

    def save(self, run: Any) -> None:
        """A checkpoint. A loss can be finite and its gradient not: weights that are no numbers never replace one."""
        bad = [name for name, value in run.network.state_dict().items() if not bool(torch.isfinite(value).all())]
        if bad:
            raise MsrnError(
                f"{self.path}: {bad[0]} and {len(bad) - 1} other weights are not finite at step {run.step}; nothing "
                "was saved since the last good checkpoint: lower learning_rate, or look at the settings that differ"
            )
        save_checkpoint(run.state(), self.path)

    @property
    def is_over(self) -> bool:
        """Whether to stop at this line of the log: the time is over, or a signal asks for it (``store.stopping``)."""
        return bool(asked()) or (self._until is not None and time.monotonic() > self._until)

    def ended(self, step: int) -> OutOfTime | Stopped:
        """What to raise then, after a checkpoint."""
        if asked():
            return stopped(self.label, step, self.steps)
        return OutOfTime(f"{self.label}: out of time at step {step:,} of {self.steps:,}; it goes on from there")


@contextlib.contextmanager
def opened(
    path: Path, content: dict[str, Any], label: str, progress: bool = True, until: float | None = None
) -> Iterator[RunFolder]:
    """Hold the folder ``path`` of a run; ``content`` is for ``params.yaml``, which also says how many steps it has.

    Where something is left to train, a line on standard error says so and why. ``until`` is a time of
    ``time.monotonic`` past which the training is to stop at its next log line. MsrnError before anything is done where
    the training is longer than this process may start.
    """
    refuse_long(path, content["settings"]["steps"], label)
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    with held(path / "lock"):
        if not params_of(path):
            if (path / "params.yaml").exists():
                set_aside(path / "params.yaml", "its digest or form is wrong", "is written again")
            write_text(path / "params.yaml", yaml.safe_dump(sealed(content), sort_keys=False))
        folder = RunFolder(path, content["settings"]["steps"], label, progress, until)
        if not folder.finished:
            print(folder.how, file=sys.stderr, flush=True)
        try:
            with folder.signals:
                yield folder
        finally:
            folder.bar.close()


def refuse_long(path: Path, steps: int, label: str) -> None:
    """Refuse to train what is not finished and has more steps than ``MSRN_MOST_STEPS`` allows, where that is set: the
    book sets it, so that no build of it trains."""
    most = os.environ.get("MSRN_MOST_STEPS", "")
    if most and not most.isdecimal():
        raise MsrnError(f"MSRN_MOST_STEPS = {most!r}: expected a whole number of training steps; or unset it")
    if most and steps > int(most):
        state, _ = find_checkpoint(path)
        if not state or state["step"] < steps:
            raise MsrnError(
                f"{label}: {steps:,} steps are not trained yet, and MSRN_MOST_STEPS allows {int(most):,} (the book "
                "sets it, which only shows): train first with msrn run, or make the book with MSRN_PROFILE=smoke"
            )


def summarise(terms: Sequence[Mapping[str, Tensor]], step: int) -> dict[str, Any]:
    """The mean of every term over the steps since the last log line that had it.

    One that was no number in any of them shows in its mean and is refused, so that no checkpoint follows it.
    """
    names = sorted({name for of_step in terms for name in of_step})
    means = {name: torch.stack([one[name].float() for one in terms if name in one]).mean(0) for name in names}
    record = {name: value.tolist() for name, value in means.items()}
    bad = [name for name, value in record.items() if not np.isfinite(value).all()]
    if bad:
        names = ", ".join(name for name in bad if name != "total") or "total"
        raise MsrnError(
            f"the loss is not finite before step {step} (term: {names}); the last good checkpoint is kept: "
            "lower learning_rate, or look at the data, then run again"
        )
    return record


def load_state(folder: Path) -> dict[str, Any]:
    """The checkpoint of a finished run."""
    state, _ = find_checkpoint(folder)
    if state is None:
        raise MsrnError(f"{folder}: its checkpoint is gone; delete that folder and run again")
    return state


def trim_log(folder: Path, step: int) -> dict[str, Any]:
    """Drop log lines after the checkpoint (they will come again) and damaged ones; the last line that is left."""
    records = [record for record in read_log(folder) if record["step"] <= step]
    write_text(folder / "log.jsonl", "".join(map(_log_line, records)))
    return records[-1] if records else {"seconds": 0.0, "cpu_seconds": 0.0}


def _log_line(record: Mapping[str, Any]) -> str:
    return json.dumps(sealed(record)) + "\n"


def read_log(folder: Path) -> list[dict]:
    """All whole lines; one torn by a kill is the last and comes again."""
    path, records = folder / "log.jsonl", []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not there yet, or gone, or a folder in its place
        return []
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError, Damaged):
            record = unsealed(json.loads(line))
            if {"step", "seconds"} <= record.keys():
                records.append(record)
    return records


def params_of(folder: Path) -> dict[str, Any] | None:
    """What ``params.yaml`` says, or None where it is missing or damaged; the next use of the run writes it again."""
    try:
        content = unsealed(yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8")))
        complete = {"settings", "seed", "code", "device"} <= content.keys() and "steps" in content["settings"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, Damaged):
        return None
    return content if complete else None

"""A place of its own for every command: an empty store, an empty cache, folders for what it writes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.numpy import load_file

from msrn.store import files

PATCHES = Path(__file__).parents[1] / "faults" / "toy_everywhere"
PASSING = {"created", "commit", "dirty", "digest", "seconds", "cpu_seconds", "train_seconds", "train_cpu_seconds"}
PASSING |= {"eval_seconds"}  # differ from run to run
SILENT = "lock", "checkpoint.previous.pt"  # say nothing of a result


class Place:
    """A folder in which a command is started, killed and looked at."""

    def __init__(self, folder: Path, toy: bool = True) -> None:
        self.folder = folder
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        names = {"MSRN_RUNS": "runs", "MSRN_CACHE": "cache", "MSRN_TEST_RESULTS": "results"}
        self.env = {**os.environ, **{name: str(folder / part) for name, part in names.items()}}
        self.env |= {"PYTHONPATH": str(PATCHES), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.env |= {"MSRN_TEST_TOY": "1"} if toy else {}

    def start(self, command: list[str], **env: str) -> subprocess.Popen:
        """A session of its own, so that no signal of this terminal reaches it; deaf to none."""
        with open(self.folder / "said", "ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", *command], cwd=self.folder, env=self.env | env, stdout=said, stderr=said,
                start_new_session=True, preexec_fn=hear,
            )  # fmt: skip

    def finish(self, command: list[str], **env: str) -> float:
        """Run to the end; the seconds that it took."""
        started = time.monotonic()
        status = self.start(command, **env).wait()
        assert status == 0, self.said[-3000:]
        return time.monotonic() - started

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text(errors="replace")

    def processes(self) -> list[int]:
        """All that work here, kernels and processes of runs among them, which have sessions of their own."""
        found, mark = [], f"MSRN_RUNS={self.env['MSRN_RUNS']}".encode()
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
            except OSError:  # gone, or somebody else's
                continue
        return found

    def be_quiet(self, patience: float = 60.0) -> None:
        """Wait until all that a killed process had started has ended by itself."""
        until = time.monotonic() + patience
        while left := self.processes():
            assert time.monotonic() < until, f"still at work: {left}"
            time.sleep(0.1)

    def content(self) -> dict[str, Any]:
        """What every file of runs, results and output says, times left out; nothing half-written may be there."""
        found = {}
        for part in ("runs", "results", "output"):
            for path in sorted((self.folder / part).rglob("*")):
                if path.is_file() and path.name not in SILENT and not path.name.endswith(".lock"):
                    found[str(path.relative_to(self.folder))] = said_by(path)
        return found


def hear() -> None:
    """Undo what nohup and a shell's background jobs are born with."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def said_by(path: Path) -> Any:
    if path.name == files.CURRENT:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: value.numpy().tobytes() for name, value in state["network"].items()}
    if path.suffix == ".safetensors":  # its head holds a date
        return {name: value.tobytes() for name, value in load_file(path).items()}
    if path.suffix == ".ipynb":  # its outputs hold times
        cells = json.loads(path.read_text())["cells"]
        return [cell["source"] for cell in cells if cell["cell_type"] == "markdown"]
    if path.suffix in (".json", ".jsonl"):
        return [lasting(json.loads(line)) for line in _documents(path)]
    return path.read_bytes()


def _documents(path: Path) -> list[str]:
    text = path.read_text()
    return text.splitlines() if path.suffix == ".jsonl" else [text]


def lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: lasting(inner) for key, inner in value.items() if key not in PASSING}
    return value

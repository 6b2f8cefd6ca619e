"""Files of the run store: checkpoints and small texts, each replaced whole or not at all; and locks.

A kill at any moment leaves the old file or the new one. What a full or read-only disk says becomes one line.
"""

import contextlib
import errno
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from msrn.errors import MsrnError

CURRENT, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
KEYS = {"network", "optimizer", "step"}  # of every state


def save_checkpoint(state: dict, folder: Path) -> None:
    """Replace ``checkpoint.pt`` by ``state`` (tensors and plain values); keep the one before as the previous one."""
    import torch  # here, since caches need the locks alone

    packed = io.BytesIO()
    torch.save(state, packed)
    new, current, previous = folder / "checkpoint.new.pt", folder / CURRENT, folder / PREVIOUS
    with writing(folder):
        try:
            with open(new, "wb") as file:
                file.write(packed.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            if current.exists():
                previous.unlink(missing_ok=True)
                os.link(current, previous)  # a second name, so that there is a whole checkpoint.pt at every moment
            new.replace(current)
        finally:
            new.unlink(missing_ok=True)


def find_checkpoint(folder: Path) -> tuple[dict | None, str]:
    """The newest whole checkpoint, or None where nothing was saved yet, and a note when the newest was torn."""
    import torch

    note = ""
    for name in (CURRENT, PREVIOUS):
        try:
            state = torch.load(folder / name, map_location="cpu", weights_only=True)
            if not isinstance(state, dict) or not state.keys() >= KEYS:
                raise ValueError("another program's file")
            return state, note
        except FileNotFoundError:
            continue
        except Exception as error:  # torch.load raises whatever a torn zip or pickle makes it stumble over
            note = f" (its {name} cannot be read: {type(error).__name__}; the one before is used)"
    if note:
        raise MsrnError(f"{folder}: no checkpoint there can be read; delete that folder and run again to train it anew")
    return None, note


@contextlib.contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold a run or a cache against other processes, which wait here; the lock is free again when its holder dies."""
    mutex = FileLock(lock)
    try:
        mutex.acquire(timeout=0)
    except Timeout:
        print(f"another process is at work in {lock.parent}: waiting for it", file=sys.stderr, flush=True)
        mutex.acquire()
    try:
        yield
    finally:
        mutex.release()


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say in one line what stood in the way of a write."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC or not str(error.strerror or ""):
            free = shutil.disk_usage(folder if folder.exists() else "/").free // 2**20
            raise MsrnError(f"{folder}: no room to write ({free} MB free); make room, then run again") from None
        raise MsrnError(f"{error.filename or folder}: cannot write: {error.strerror}") from None


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    new = path.with_name(path.name + ".new")
    with writing(path.parent):
        try:
            new.write_text(text)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


def write_json(path: Path, content: dict) -> None:
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path) -> dict | None:
    """The content, or None where the file is missing or torn (it is then made again)."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None

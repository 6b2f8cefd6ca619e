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
from msrn.store.seal import Damaged, check_archive, seal_archive, sealed, set_aside, unsealed

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
                for part in seal_archive(packed.getbuffer()):
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            if current.exists():
                _keep_previous(current, previous)
            new.replace(current)
        finally:
            new.unlink(missing_ok=True)
            previous.with_suffix(".new.pt").unlink(missing_ok=True)


def _keep_previous(current: Path, previous: Path) -> None:
    """A second name for the current checkpoint, so that there is a whole one at every moment; a copy of it where the
    disk has no second names, as FAT and some network disks."""
    other = previous.with_suffix(".new.pt")
    other.unlink(missing_ok=True)
    try:
        os.link(current, other)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        shutil.copyfile(current, other)
    other.replace(previous)


def find_checkpoint(folder: Path) -> tuple[dict | None, str]:
    """The newest whole checkpoint, or None where nothing whole was saved, and a note when the newest was not.

    One that is damaged is set aside. One that is whole and no state of ours is refused, where there is no other.
    """
    note, foreign = "", False
    for name in (CURRENT, PREVIOUS):
        try:
            return _load(folder / name), note
        except FileNotFoundError:
            continue
        except OSError as error:
            raise MsrnError(f"{folder / name} cannot be read ({error.strerror or error})") from None
        except Damaged as error:
            set_aside(folder / name, error, "the one before is used, or the training begins anew where there is none")
            note = f" (its {name} was damaged)"
        except ValueError as error:
            foreign, note = True, f" (its {name} cannot be read: {error}; the one before is used)"
    if foreign:
        raise MsrnError(f"{folder}: no checkpoint there can be read; delete that folder and run again to train it anew")
    return None, note


def _load(path: Path) -> dict:
    """A checkpoint; ``ValueError`` for a whole file that is none."""
    import torch

    with open(path, "rb") as file:
        check_archive(file)
        file.seek(0)
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises whatever another program's file makes it stumble over
            raise ValueError(type(error).__name__) from None
    if not isinstance(state, dict) or not state.keys() >= KEYS:
        raise ValueError("another program's file")
    return state


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


def modified(path: Path) -> float:
    """When a file was written, or 0 where it is not there, or no longer."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def size_of(folder: Path) -> int:
    """Bytes of all files under a folder. Links are not followed, and what vanishes meanwhile or may not be read is not
    counted."""
    total = 0
    for inner, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(inner, name)).st_size
    return total


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all; processes that write the same one take turns."""
    new, lock = (path.with_name(f"{path.name}.{kind}") for kind in ("new", "lock"))
    with writing(path.parent), FileLock(lock):
        try:
            new.write_bytes(content)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # where an open file cannot go, its lock takes it away
                lock.unlink()  # whoever waits for it sees that it is gone, and makes another


def write_json(path: Path, content: dict) -> None:
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path) -> dict | None:
    """The content, or None where the file is missing or torn (it is then made again)."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def keep_json(path: Path, content: dict) -> None:
    """Write what the store of runs keeps, with its digest."""
    write_json(path, sealed(content))


def kept_json(path: Path) -> dict | None:
    """The content of such a file; None where it is missing or not what was written, and what is damaged is set aside:
    it is then made again."""
    try:
        return unsealed(json.loads(path.read_text(encoding="utf-8")))
    except OSError:
        return None
    except (ValueError, Damaged) as error:
        set_aside(path, error if isinstance(error, Damaged) else "it is no JSON", "it is made again")
        return None

"""The packed cache: named arrays in one folder, written once, verified when opened, and mapped instead of read.

    cache_folder()/kind/key/            NAME.npy ..., manifest.json
    cache_folder()/kind/key.partial/    while it is written; renamed when it is whole; kept if it can be resumed
    cache_folder()/kind/key.lock        held by the one process that writes

A folder with its final name is therefore always whole, unless something else damaged it later: the manifest holds the
size and a digest of every file, and a cache that does not match them is built again. Arrays are memory-mapped
read-only, so a collection of any size opens at once and costs no memory.
"""

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from msrn.errors import MsrnError
from msrn.paths import cache_folder
from msrn.store.files import held

Make = Callable[[str, tuple[int, ...], str], np.ndarray]  # make(name, shape, dtype) -> a writable array in the cache
MANIFEST = "manifest.json"
BLOCK = 1 << 16
WORKERS = min(4, os.cpu_count() or 1)
BLOCKS = 1024  # files above BLOCK * BLOCKS (64 MiB) are verified by this many blocks spread evenly, smaller ones whole


def cached_arrays(kind: str, key: str, build: Callable[[Make], None], resume: bool = False) -> dict[str, np.ndarray]:
    """The arrays under ``kind``/``key``, each mapped read-only; ``build(make)`` writes them if they are not there.

    ``key`` must be a digest of all that the arrays depend on. ``build`` calls ``make(name, shape, dtype)`` for each
    array and fills what it gets, in as many pieces as it likes. However many processes ask at once, one builds and all
    get it. With ``resume`` what a ``build`` wrote that was interrupted or failed, however it did, is kept, and ``make``
    gives it to the next one, which must know by itself what of it is done; what was left of other keys is deleted.
    """
    folder = cache_folder() / kind / key
    if _is_whole(folder):
        return _open(folder)
    with _clear_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with held(folder.with_name(folder.name + ".lock")):
            if not _is_whole(folder):  # it may have been written while this process waited
                if folder.exists():
                    print(f"warning: {folder} is damaged: it is made again", file=sys.stderr, flush=True)
                _write(folder, build, resume)
    return _open(folder)


def _open(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in sorted(folder.glob("*.npy"))}


def _write(folder: Path, build: Callable[[Make], None], resume: bool) -> None:
    partial = _partial(folder)
    if resume:
        _delete_abandoned(folder)
    else:
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed; the lock is ours
    partial.mkdir(exist_ok=True)
    arrays: list[np.memmap] = []
    resumable = False

    def make(name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        try:
            arrays.append(_reserved_array(partial / f"{name}.npy", shape, np.dtype(dtype)))
        except OSError:  # most often a full disk, which the arrays that were reserved before would keep full
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return arrays[-1]

    try:
        build(make)
        for array in arrays:
            array.flush()
        files = {p.name: {"size": p.stat().st_size, "digest": _digest(p)} for p in sorted(partial.glob("*.npy"))}
        (partial / MANIFEST).write_text(json.dumps({"files": files}, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # a torn one
        partial.rename(folder)
    except BaseException:
        resumable = resume
        raise
    finally:
        arrays.clear()
        if not resumable:
            shutil.rmtree(partial, ignore_errors=True)


def _partial(folder: Path) -> Path:
    return folder.with_name(folder.name + ".partial")


def _delete_abandoned(folder: Path) -> None:
    """Delete what builds of other keys left beside ``folder``, unless a process is at it: its input has changed."""
    for partial in folder.parent.glob("*.partial"):
        if partial == _partial(folder):
            continue
        lock = FileLock(partial.with_suffix(".lock"))
        with suppress(Timeout), lock.acquire(timeout=0):
            shutil.rmtree(partial, ignore_errors=True)


def _reserved_array(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
    """A memory-mapped array whose disk space is taken now: a full disk is an error here, not a crash in mid-write.

    One that is there already, of that shape and type, is opened as it is; only a reserved file gets its name.
    """
    if path.exists():
        with suppress(ValueError, EOFError):  # torn, as a lost power supply leaves it
            array = np.load(path, mmap_mode="r+", allow_pickle=False)
            if (array.shape, array.dtype) == (shape, dtype):
                return array
    new = path.with_suffix(".new")
    np.lib.format.open_memmap(new, mode="w+", dtype=dtype, shape=shape)
    _reserve(new)
    new.replace(path)
    return np.load(path, mmap_mode="r+", allow_pickle=False)


def _reserve(path: Path) -> None:
    size = path.stat().st_size
    with open(path, "r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        header = len(file.read(BLOCK))  # elsewhere: write the zeros that the file claims to hold
        file.seek(header)
        for start in range(header, size, BLOCK):
            file.write(bytes(min(BLOCK, size - start)))


def _is_whole(folder: Path) -> bool:
    """Every file of the manifest is there with its size and digest; anything unreadable counts as torn."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        if not files or any((folder / name).stat().st_size != entry["size"] for name, entry in files.items()):
            return False
        with ThreadPoolExecutor(WORKERS) as pool:  # digests hold no lock: two cores halve the time to open
            digests = list(pool.map(_digest, [folder / name for name in files]))
        return digests == [entry["digest"] for entry in files.values()]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    size = path.stat().st_size
    step = max(BLOCK, size // BLOCKS)
    with open(path, "rb") as file:
        for start in range(0, size, step):
            file.seek(start)
            digest.update(file.read(BLOCK))
        file.seek(max(0, size - BLOCK))
        digest.update(file.read(BLOCK))
    return digest.hexdigest()


@contextmanager
def _clear_errors(folder: Path):
    """Turns what the disk says into one line that a user can act on."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            free = shutil.disk_usage(_existing(folder)).free / 1e6
            raise MsrnError(
                f"the disk is full: {folder} could not be written, {free:.0f} MB are free; make room there, or set "
                "MSRN_CACHE to a folder with more"
            ) from error
        raise MsrnError(
            f"the cache folder {folder.parent} cannot be written ({error.strerror or error}); set MSRN_CACHE to a "
            "folder that can"
        ) from error


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # Path.exists may raise

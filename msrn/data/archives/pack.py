"""Packing: one pass over an archive of image files turns it into the memory-mapped cache (``store.array_cache``).

An archive is packed piece by piece, on several threads; a piece is some images that lie together in the arrays. Its
digest is written behind it into the array ``digests``, which is thereby the list of what is done: a packing that was
interrupted at any moment goes on where it was, after it has checked what it finds against the digests, and only when
every piece has one is the cache whole. Together the digests are the content's, the same wherever the archive lies.

Time grows with the images: a picture and its mask take 0.4 ms of a core (``tests/benchmarks/bench_pack.py`` measures
it); memory does not grow but for the columns, since a piece is mapped while it is written and no longer. There
is one file an array and not many shards, because a slice of a mapped file costs the same at any place of it.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from msrn.data.archives.arrays import HEADERS
from msrn.data.archives.reading import SHOWN, named
from msrn.errors import MsrnError
from msrn.paths import cache_folder
from msrn.store.array_cache import Make, cached_arrays
from msrn.store.digest import digest_of

SIZE = 64  # pixels along an edge of a packed image, as the paper has
BYTES = SIZE * SIZE * 4 + 12  # of an image, its mask and its pose
WORKERS = min(4, os.cpu_count() or 1)  # more would wait for each other: a third of the time holds Python's lock

BLOCK = 512  # images of a piece that are mapped at a time

Rows = dict[str, np.ndarray]  # images (n, 3, H, W) uint8, masks (n, H, W) bool, pose (n, 3) float32
Window = Callable[[int, int], Rows]  # the rows from start to stop of a piece, mapped as long as they are held


@dataclass(frozen=True)
class Piece:
    """Some images that are packed together; ``fill`` writes all of its rows or raises a ``MsrnError``."""

    images: int
    fill: Callable[[Window], None]


@dataclass(frozen=True)
class Plan:
    """What to pack: the pieces in the order of their images, and the columns that need no image to be read."""

    title: str
    pieces: Sequence[Piece]
    columns: dict[str, np.ndarray]
    masks: bool = True


def open_packed(kind: str, key: str, plan: Callable[[], Plan]) -> dict[str, np.ndarray]:
    """``images``, ``masks``, ``pose``, ``digests`` and the columns, mapped; packed first if they are not there."""
    return cached_arrays(kind, key, lambda make: _pack(plan(), make), resume=True)


def columns_of(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a collection holds as it is packed, by the names that ``ImageCollection`` has for it."""
    return {name: arrays[name] for name in ("images", "category", "object_id", "view")}


def content_digest(arrays: dict[str, np.ndarray]) -> str:
    """Of all packed images, masks and poses."""
    return digest_of("packed", arrays["digests"].tobytes())


def _pack(plan: Plan, make: Make) -> None:
    count = sum(piece.images for piece in plan.pieces)
    digests = make("digests", (len(plan.pieces), 16), "uint8")
    for name, column in plan.columns.items():
        stored = make(name, column.shape, column.dtype.str)
        if not np.array_equal(stored, column):
            digests[:] = 0  # what was packed so far, if anything, is of other images
        stored[:] = column
    shapes = {"images": ((count, 3, SIZE, SIZE), "uint8"), "pose": ((count, 3), "float32")}
    if plan.masks:
        shapes["masks"] = ((count, SIZE, SIZE), "bool")
    files = {name: Path(make(name, *shape).filename) for name, shape in shapes.items()}
    print(f"{plan.title}: packing {count:,} images, once, into {cache_folder()}", file=sys.stderr, flush=True)
    with tqdm(total=count, desc=plan.title, unit="image", unit_scale=True, mininterval=0.5) as bar:
        problems = _fill_all(plan, files, digests, bar)
    if problems:
        first = "cannot be packed" if len(problems) < SHOWN else f"cannot be packed, {SHOWN} problems and maybe more"
        raise MsrnError(
            f"{plan.title} {first}: {named(problems, 3)}; put whole files there (data check names all); "
            "what was packed so far is kept"
        )
    if not digests.any(1).all():
        raise MsrnError(f"{plan.title}: only {digests.any(1).sum():,} of {len(digests):,} pieces were packed")


def _fill_all(plan: Plan, files: dict[str, Path], digests: np.ndarray, bar: tqdm) -> list[str]:
    """Fill the pieces that are not done yet; what is wrong with those that cannot be, at most ``SHOWN``."""
    problems: list[str] = []
    pool = ThreadPoolExecutor(WORKERS)
    waiting: dict[Future, int] = {}

    def collect(futures: Sequence[Future]) -> None:
        for future in futures:
            number = waiting.pop(future)
            try:
                digests[number] = future.result()
                bar.update(plan.pieces[number].images)
            except MsrnError as error:
                problems.extend({str(error)} - set(problems))  # many images may lack one model

    try:
        start = 0
        for number, piece in enumerate(plan.pieces):
            waiting[pool.submit(_do, piece, start, files, digests[number].tobytes())] = number
            start += piece.images
            if len(waiting) >= 2 * WORKERS:
                collect(wait(waiting, return_when=FIRST_COMPLETED).done)
            if len(problems) >= SHOWN:
                break
        collect(list(waiting))
    finally:
        pool.shutdown(cancel_futures=True)
    return problems


def _do(piece: Piece, start: int, files: dict[str, Path], digest: bytes) -> np.ndarray:
    """The digest (16,) of a piece that is packed now, unless what is there already has the digest ``digest``."""
    window = partial(_rows, files, start)
    if any(digest) and _digest(window, piece.images) == digest:
        return np.frombuffer(digest, np.uint8)
    piece.fill(window)
    return np.frombuffer(_digest(window, piece.images), np.uint8)


def _digest(window: Window, images: int) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for start in range(0, images, BLOCK):
        rows = window(start, min(start + BLOCK, images))
        for name in sorted(rows):
            digest.update(rows[name])
    return digest.digest()


def _rows(files: dict[str, Path], first: int, start: int, stop: int) -> Rows:
    rows = {}
    for name, path in files.items():
        with HEADERS:
            whole = np.load(path, mmap_mode="r")
        place = whole.offset + (first + start) * whole[:1].nbytes
        rows[name] = np.memmap(path, whole.dtype, "r+", place, (stop - start, *whole.shape[1:]))
    return rows

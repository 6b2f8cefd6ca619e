"""folder: your own photographs. A folder whose sub-folders are categories, images of any size and kind in them.

    ROOT/CATEGORY/anything.jpg ...             or, with splits of your own,
    ROOT/{train,val,test}/CATEGORY/anything.jpg ...
    ROOT/masks/CATEGORY/anything.png ...       optional, one for every photograph, bright where the object is
    ROOT/masks/{train,val,test}/CATEGORY/...   the same beside splits of your own

Folders in other letters (``Masks``), and ``valid`` for ``val``, do as well. A folder that holds photographs itself is
a category, whatever its name. Without splits of your own every tenth photograph is for validation and every fifth for
testing (``photo_folder.splits``). Photographs are turned as their EXIF data say, reduced to 128 pixels along the longer
side and padded to a square with their border's colours. Without masks the collection is raw, and the foreground module
(§3.1) makes some. With masks it is segmented already, on white.

What is no whole image is named, counted and left out before the rest is shared out. So is what cannot be read now,
which is not remembered. Other files are counted, since a category may lie a folder too deep.
There is no true shape. Reading costs some milliseconds a photograph, once; memory does not grow with their number.
"""

import hashlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import NoReturn

import numpy as np
from tqdm import tqdm

from msrn.data.archives.pack import WORKERS
from msrn.data.archives.reading import SHOWN, Unreadable, named, open_file, open_root
from msrn.data.collection import ImageCollection
from msrn.data.ground_truth import GroundTruth
from msrn.data.photo_folder.layout import NAME, Layout, Photograph, survey
from msrn.data.photo_folder.photograph import SIZE, reduced
from msrn.data.photo_folder.splits import SPLITS, split_files
from msrn.errors import MsrnError, printable
from msrn.store.array_cache import Make, cached_arrays
from msrn.store.digest import digest_of

VERSION = 1  # raise it when a photograph is reduced differently
BATCH = 256


def open_split(split: str, root: Path | None = None) -> ImageCollection:
    """One split of the photographs in the folder ``root``, reduced into the cache if they are not there yet."""
    root = open_root(NAME, root)
    layout = survey(root)
    if layout.own_splits and split not in layout.own_splits:
        raise MsrnError(f"{root} has folders for {', '.join(layout.own_splits)} and none for {split}: make one")
    files, arrays, left_out = _reduced(root, layout)
    left_out = [*layout.left_out, *left_out, *arrays["problems"].tolist()]
    if left_out:
        count = f"{len(left_out):,} of {len(layout.photographs) + len(layout.left_out):,}"
        _warn(f"{count} photographs of {root} are left out: {named(left_out, SHOWN)}")
    if layout.unread:
        _warn_once(
            f"files of {root} that are not read: {layout.unread}; expected CATEGORY/PHOTOGRAPH, of a kind in use"
        )
    first, last = np.searchsorted(arrays["split"], [SPLITS.index(split), SPLITS.index(split) + 1])
    mine = [photo for photo in layout.photographs if photo.split in ("", split)]
    if mine and (first == last if layout.own_splits else not len(arrays["split"])):
        of_split = f" of split {split!r}" if layout.own_splits else ""
        raise MsrnError(f"{root}: none of the {len(mine)} files{of_split} is a whole image")
    if first == last:
        raise MsrnError(
            f"{root}: no photograph for split {split!r} among {len(layout.categories)} categories: add some (three in "
            f"one do), or sort them into folders {', '.join(SPLITS)} of your own"
        )
    photographs = [files[place] for place in arrays["place"][first:last]]
    names = [each.name for each in photographs]
    content = arrays["content"][SPLITS.index(split)].tobytes()
    return ImageCollection(
        name=NAME,
        split=split,
        images=arrays["images"][first:last],
        masks=arrays["masks"][first:last] if layout.masked else None,
        category=np.array([layout.categories.index(each.category) for each in photographs]),
        object_id=np.array(names),
        view=np.zeros(len(photographs), np.int64),
        categories=tuple(layout.categories),
        fingerprint=digest_of(NAME, VERSION, split, layout.categories, content, names),
        evaluation_index=np.arange(len(photographs)),
        _truth=NoTruth(root),
    )


def _warn(line: str) -> None:
    print(printable(f"warning: {line}"), file=sys.stderr, flush=True)


_warn_once = lru_cache(maxsize=64)(_warn)  # a table opens its splits many times


@dataclass(frozen=True)
class NoTruth:
    """Photographs of one's own have no true shapes or poses."""

    root: Path

    def mesh(self, object_id: str) -> GroundTruth:
        self._refuse()

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise MsrnError(f"{self.root} holds photographs alone: there are no true shapes or poses to measure against")


# -------------------------------------------------------------------------------------------------------- the reduction


class Passing(Exception):
    """What stood in the way of reading some files now and may not later: it is not for the cache."""

    def __init__(self, problems: dict[Path, str]) -> None:
        self.problems = problems


def _reduced(root: Path, layout: Layout) -> tuple[list[Photograph], dict[str, np.ndarray], list[str]]:
    """The photographs that can be read now, all of them reduced, and why others cannot be read now."""
    files, stamps, left_out = [], [], []
    for photo in layout.photographs:
        try:
            stamps.append((photo.name, photo.split, *(_stamp(root, path) for path in (photo.path, photo.mask) if path)))
            files.append(photo)
        except MsrnError as error:
            left_out.append(str(error))
    if not files:
        raise MsrnError(f"{root}: none of its {len(left_out)} files can be read: {named(left_out, 1)}")
    key = digest_of(NAME, VERSION, SIZE, str(root), stamps)
    try:
        return files, cached_arrays(NAME, key, partial(_reduce, root, files, layout.masked)), left_out
    except Passing as passing:
        rest = [photo for photo in layout.photographs if photo.path not in passing.problems]
        found, arrays, more = _reduced(root, replace(layout, photographs=rest))
        return found, arrays, [*passing.problems.values(), *more]


def _stamp(root: Path, path: Path) -> tuple[int, int]:
    """Size and time of a file that can be read."""
    with open_file(root, path) as file:
        stat = os.fstat(file.fileno())
    return stat.st_size, stat.st_mtime_ns


def _reduce(root: Path, files: list[Photograph], masked: bool, make: Make) -> None:
    """Reduce the photographs, share them out, and bring the rows into the order of the splits. What is wrong with the
    others goes beside them; splits are of whole photographs alone."""
    images = make("images", (len(files), 3, SIZE, SIZE), "uint8")
    masks = make("masks", (len(files), SIZE, SIZE), "bool") if masked else None
    places, problems, passing = [], [], {}
    for place, result in enumerate(tqdm(_each(root, files), f"reading {root.name}", len(files), unit="image")):
        if isinstance(result, Unreadable):
            passing[files[place].path] = str(result)
        elif isinstance(result, MsrnError):
            problems.append(str(result))
        else:
            images[len(places)] = result[0]
            if masks is not None:
                masks[len(places)] = result[1]
            places.append(place)
    if passing:
        raise Passing(passing)
    split = _split_of([files[place] for place in places])
    order = np.argsort(split, kind="stable")
    make("place", (len(places),), "int64")[:] = np.array(places, np.int64)[order]
    make("split", (len(places),), "uint8")[:] = split[order]
    make("problems", (len(problems),), f"<U{max(map(len, problems), default=1)}")[:] = problems
    content = make("content", (len(SPLITS), 16), "uint8")
    for array in filter(lambda each: each is not None, (images, masks)):
        _reorder(array, order)
    for number in range(len(SPLITS)):
        digest = hashlib.blake2b(digest_size=16)
        for row in np.flatnonzero(split[order] == number):
            digest.update(images[row])
            if masks is not None:
                digest.update(masks[row])
        content[number] = np.frombuffer(digest.digest(), np.uint8)


def _split_of(photographs: list[Photograph]) -> np.ndarray:
    """The number of each one's split (N,)."""
    of_category: dict[str, list[Path]] = {}
    for photo in photographs:
        of_category.setdefault(photo.category, []).append(photo.path)
    shared = {} if not photographs or photographs[0].split else split_files(of_category)
    number = {path: SPLITS.index(split) for split, of in shared.items() for paths in of.values() for path in paths}
    found = [SPLITS.index(photo.split) if photo.split else number[photo.path] for photo in photographs]
    return np.array(found, np.uint8)


def _reorder(array: np.ndarray, order: np.ndarray) -> None:
    """``array[: len(order)] = array[order]`` with one row in memory."""
    moved = np.zeros(len(order), bool)
    for start in range(len(order)):
        if moved[start]:
            continue
        first, row = array[start].copy(), start
        while True:
            moved[row] = True
            if order[row] == start:
                break
            array[row] = array[order[row]]
            row = order[row]
        array[row] = first


def _each(root: Path, files: list[Photograph]) -> Iterator[tuple[np.ndarray, np.ndarray | None] | MsrnError]:
    """Each photograph reduced, or what is wrong with it, in order."""

    def read(photograph: Photograph) -> tuple[np.ndarray, np.ndarray | None] | MsrnError:
        try:
            return reduced(root, photograph.path, photograph.mask)
        except MsrnError as error:
            return error

    waiting = iter(files)
    with ThreadPoolExecutor(WORKERS) as pool:
        while batch := list(islice(waiting, BATCH)):
            yield from pool.map(read, batch)

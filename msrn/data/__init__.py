"""Readers of data sets (§4.1). Each returns an ``ImageCollection``, the one structure that flows through the house."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from msrn.data import homeware, procedural13
from msrn.data.collection import GroundTruth, ImageCollection
from msrn.errors import MsrnError, did_you_mean

__all__ = ["DATASETS", "SPLITS", "GroundTruth", "ImageCollection", "open_collection"]

SPLITS = ("train", "val", "test")

# name -> reader(split, root) -> ImageCollection
DATASETS: dict[str, Callable[[str, Path | None], ImageCollection]] = {
    "homeware": homeware.open_split,
    "procedural13": procedural13.open_split,
}


def open_collection(name: str, split: str, root: str | Path | None = None) -> ImageCollection:
    """One split (train, val or test) of a data set; ``root`` is the folder of one that is not embedded.

    ``procedural13-NUMBER`` is the generated set with that number of objects per category.
    """
    reader = _reader(name)
    if split not in SPLITS:
        raise MsrnError(f"unknown split {split!r}{did_you_mean(split, SPLITS)}; there are: {', '.join(SPLITS)}")
    return reader(split, Path(root).expanduser() if root is not None else None)


def _reader(name: str) -> Callable[[str, Path | None], ImageCollection]:
    if name in DATASETS:
        return DATASETS[name]
    if name.startswith(f"{procedural13.NAME}-"):
        return partial(procedural13.open_split, name=name)
    known = [*DATASETS, f"{procedural13.NAME}-NUMBER"]
    raise MsrnError(f"unknown dataset {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}")

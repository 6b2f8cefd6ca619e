"""Readers of data sets (§4.1). Each returns an ``ImageCollection``, the one structure that flows through the house."""

from collections.abc import Callable
from pathlib import Path

from msrn.data import homeware
from msrn.data.collection import GroundTruth, ImageCollection
from msrn.errors import MsrnError, did_you_mean

__all__ = ["DATASETS", "SPLITS", "GroundTruth", "ImageCollection", "open_collection"]

SPLITS = ("train", "val", "test")

# name -> reader(split, root) -> ImageCollection
DATASETS: dict[str, Callable[[str, Path | None], ImageCollection]] = {"homeware": homeware.open_split}


def open_collection(name: str, split: str, root: str | Path | None = None) -> ImageCollection:
    """One split (train, val or test) of a data set; ``root`` is the folder of one that is not embedded."""
    if name not in DATASETS:
        raise MsrnError(f"unknown dataset {name!r}{did_you_mean(name, DATASETS)}; there are: {', '.join(DATASETS)}")
    if split not in SPLITS:
        raise MsrnError(f"unknown split {split!r}{did_you_mean(split, SPLITS)}; there are: {', '.join(SPLITS)}")
    return DATASETS[name](split, Path(root).expanduser() if root is not None else None)

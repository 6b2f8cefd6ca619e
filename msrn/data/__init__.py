"""Readers of data sets (§4.1). Each returns an ``ImageCollection``, the one structure that flows through the house."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msrn.data.collection import ImageCollection
from msrn.data.ground_truth import GroundTruth
from msrn.data.homeware import reader as homeware
from msrn.data.homeware import wild
from msrn.data.pascal3d import reader as pascal3d
from msrn.data.photo_folder import reader as folder
from msrn.data.pix3d import reader as pix3d
from msrn.data.procedural13 import reader as procedural13
from msrn.data.shapenet import reader as shapenet
from msrn.errors import MsrnError, did_you_mean

__all__ = [
    "DATASETS",
    "QUESTIONS",
    "SPLITS",
    "STAND_INS",
    "WITHOUT_VAL",
    "GroundTruth",
    "ImageCollection",
    "cameras_known",
    "open_collection",
    "shapes_known",
]

SPLITS = ("train", "val", "test")
WITHOUT_VAL = ("pascal3d", "pascal3d-car")
# What a data set of the paper falls to where no folder of it is given: embedded, so that every table can be made.
STAND_INS = {
    "shapenet": "homeware",
    "pix3d": "homeware-wild",
    "pascal3d": "homeware-wild",
    "pascal3d-car": "homeware-wild",
}
QUESTIONS = {  # what results on a data set answer, in the order of a page
    "procedural13": "Generated and dense: close relatives of every object are in training, as in the paper's data. "
    "Here the paper's claim is tested.",
    "homeware": "Real and sparse: a few dozen training objects a category at most, each with few relatives. "
    "Here the method's limits show.",
    "homeware-wild": "Photographs without masks, the objects small, truncated and beside others.",
}
WITHOUT_SHAPES = ("folder",)  # photographs alone, without true shapes or poses
NUMBERED = (procedural13, wild, homeware)  # in this order: the name of the second begins with that of the third
ON_A_RING = ("homeware", "procedural13", "shapenet")  # cameras at one distance that look at the centre

# name -> reader(split, root) -> ImageCollection
DATASETS: dict[str, Callable[[str, Path | None], ImageCollection]] = {
    "folder": folder.open_split,
    "homeware": homeware.open_split,
    "homeware-wild": wild.open_split,
    "procedural13": procedural13.open_split,
    "shapenet": shapenet.open_split,
    "pix3d": pix3d.open_split,
    "pix3d-ours": partial(pix3d.open_split, ours=True),
    "pascal3d": pascal3d.open_split,
    "pascal3d-car": partial(pascal3d.open_split, name="pascal3d-car"),
}


def open_collection(name: str, split: str, root: str | Path | None = None) -> ImageCollection:
    """One split (train, val or test) of a data set; ``root`` is the folder of one that is not embedded.

    ``procedural13-NUMBER`` is the generated set with that number of objects per category, ``homeware-NUMBER`` and
    ``homeware-wild-NUMBER`` those with that number of images of each object.
    """
    reader = _reader(name)
    if split not in SPLITS:
        raise MsrnError(f"unknown split {split!r}{did_you_mean(split, SPLITS)}; there are: {', '.join(SPLITS)}")
    return reader(split, Path(root).expanduser() if root is not None else None)


def _reader(name: str) -> Callable[[str, Path | None], ImageCollection]:
    if name in DATASETS:
        return DATASETS[name]
    for module in NUMBERED:
        if name.startswith(f"{module.NAME}-"):
            return partial(module.open_split, name=name)
    names = [*DATASETS, *(f"{module.NAME}-NUMBER" for module in NUMBERED)]
    raise MsrnError(f"unknown dataset {name!r}{did_you_mean(name, names)}; there are: {', '.join(names)}")


def cameras_known(name: str) -> bool:
    """Whether all cameras of a data set are at one distance and look at the centre, as the network's own."""
    return re.sub(r"-\d+$", "", name) in ON_A_RING


def shapes_known(name: str) -> bool:
    """Whether a data set has true shapes and poses to measure against."""
    return name not in WITHOUT_SHAPES

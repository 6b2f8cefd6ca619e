"""procedural13: generated shapes of the paper's 13 categories (§4.1, Table 2), as many as one asks for.

``procedural13`` has 80 objects per category, ``procedural13-300`` has 300. An object is a function of its category and
its number alone (``procedural13.shapes``). So is its split: 70/10/20 by the number's last digit. A larger set holds the
smaller ones, split by split. ``drawing.views`` draws them; shapes are made again when evaluation asks.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from msrn.data.collection import ImageCollection
from msrn.data.drawing.views import PROTOCOL, VIEWS, DrawnObject, DrawnSet, open_drawn, poses_of, refuse_root
from msrn.data.ground_truth import GroundTruth
from msrn.data.procedural13.shapes import CATEGORIES, make_object
from msrn.errors import MsrnError
from msrn.store.digest import digest_of

NAME = "procedural13"
DEFAULT, LEAST = 80, 4  # objects per category; with four, every split holds one
SPLIT_OF_DIGIT = ("train", "test", "train", "val", "train", "train", "train", "test", "train", "train")
SAMPLED = 5  # objects per category whose vertices are in the fingerprint
VERSION = 1  # raise it when any shape changes that those do not show


def open_split(split: str, root: Path | None = None, name: str = NAME) -> ImageCollection:
    """One split of ``procedural13`` or ``procedural13-NUMBER``."""
    refuse_root(name, root)
    count = count_of(name)
    content = digest_of("procedural13", VERSION, PROTOCOL, count, shapes_digest(SAMPLED))
    return open_drawn(DrawnSet(name, CATEGORIES, objects_of(count), content, ProceduralTruth()), split, NAME)


def count_of(name: str) -> int:
    """The number of objects per category that a name stands for."""
    if name == NAME:
        return DEFAULT
    number = name.removeprefix(f"{NAME}-")
    if not re.fullmatch(r"[1-9][0-9]{0,6}", number) or int(number) < LEAST:
        raise MsrnError(
            f"dataset {name!r}: expected {NAME}, or {NAME}-NUMBER with the objects per category, a whole number of at "
            f"least {LEAST}, such as {NAME}-300"
        )
    return int(number)


def objects_of(count: int) -> list[DrawnObject]:
    """The objects of all splits, ordered by split, category and number."""
    rows = [
        DrawnObject(f"{category}/{index:04d}", category, SPLIT_OF_DIGIT[index % 10], _evaluation_view(place, index))
        for place, category in enumerate(CATEGORIES)
        for index in range(count)
    ]
    return sorted(rows, key=lambda row: row.split)  # stable


@lru_cache(maxsize=2)
def shapes_digest(count: int) -> str:
    """Of the first ``count`` objects of each category, to four decimals: the last bits differ between machines."""
    meshes = (make_object(category, index) for category in CATEGORIES for index in range(count))
    return digest_of(
        *(
            part
            for mesh in meshes
            for part in (
                np.rint(mesh.vertices.astype(np.float64) * 1e4).astype("<i4").tobytes(),
                mesh.faces.astype("<i4").tobytes(),
                mesh.face_colors.tobytes(),
            )
        )
    )


def _evaluation_view(category: int, index: int) -> int:
    """Spread over the circle within every category and split."""
    return (7 * (index // 10) + 3 * (index % 10) + 5 * category) % VIEWS


@dataclass(frozen=True)
class ProceduralTruth:
    """Shapes and cameras, for evaluation; holds nothing, so that it travels to worker processes."""

    def mesh(self, object_id: str) -> GroundTruth:
        return _mesh(object_id)

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        return poses_of(view)


@lru_cache(maxsize=256)
def _mesh(object_id: str) -> GroundTruth:
    category, index = object_id.split("/")
    mesh = make_object(category, int(index))
    for array in (mesh.vertices, mesh.faces, mesh.face_colors):
        array.flags.writeable = False
    return mesh

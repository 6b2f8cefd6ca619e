"""homeware: real furniture and cars, the data set that a fresh machine has (§4.1's protocol, on other objects).

193 objects of six categories, from libraries under CC0 and CC BY (``assets/HOMEWARE_CREDITS.md``), as meshes of at
most 4,000 faces with one colour a face, drawn by ``drawing.views``. The split is by object, written down in
``assets/homeware_split.csv`` with the one view of each object by which it is evaluated. ``homeware-NUMBER``
has so many views of each object, at equal turns from that one: a small set to try things on.
"""

import csv
import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from msrn.data.collection import ImageCollection
from msrn.data.drawing.views import PROTOCOL, VIEWS, DrawnObject, DrawnSet, open_drawn, poses_of, refuse_root
from msrn.data.ground_truth import GroundTruth
from msrn.data.subset import subset
from msrn.errors import MsrnError, torn_asset
from msrn.paths import ASSETS
from msrn.store.digest import digest_of

NAME = "homeware"
CATEGORIES = ("cabinet", "car", "chair", "lamp", "sofa", "table")


def open_split(split: str, root: Path | None = None, name: str = NAME) -> ImageCollection:
    """One split of ``homeware`` or ``homeware-NUMBER``, drawn into the cache if it is not there yet (all three splits
    and all views at once)."""
    refuse_root(name, root)
    count = count_of(name)
    mesh_path, objects = ASSETS / "homeware.npz", read_split(ASSETS / "homeware_split.csv")
    content = digest_of(read_asset(mesh_path), PROTOCOL, [row.object_id for row in objects])
    whole = open_drawn(DrawnSet(name, CATEGORIES, objects, content, HomewareTruth(mesh_path)), split, NAME)
    turned = whole.view - whole.view[whole.evaluation_index].repeat(VIEWS)
    return whole if count == VIEWS else subset(whole, np.flatnonzero(turned % (VIEWS // count) == 0))


def count_of(name: str) -> int:
    """The number of views of an object that a name stands for."""
    number = name.removeprefix(NAME).removeprefix("-")
    if name == NAME:
        return VIEWS
    if not re.fullmatch(r"[1-9][0-9]?", number) or VIEWS % int(number):
        raise MsrnError(
            f"dataset {name!r}: expected {NAME}, or {NAME}-NUMBER with the views of each object, a divisor of {VIEWS}, "
            f"such as {NAME}-8"
        )
    return int(number)


# ------------------------------------------------------------------------------------------------------------ the asset


def read_split(path: Path) -> list[DrawnObject]:
    """The rows of the split file, ordered by split, category and name."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [
                DrawnObject(row["object_id"], row["category"], row["split"], int(row["evaluation_view"]))
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise torn_asset(path, error) from error
    for row in rows:
        listed = row.category in CATEGORIES and row.split in ("train", "val", "test")
        if not listed or not 0 <= row.evaluation_view < VIEWS:
            raise torn_asset(path, f"the row of {row.object_id!r}")
    if {row.split for row in rows} != {"train", "val", "test"}:
        raise torn_asset(path, "a split without objects")
    return sorted(rows, key=lambda row: (row.split, row.category, row.object_id))


@dataclass(frozen=True)
class HomewareTruth:
    """Shapes and cameras of homeware, for evaluation; holds a path, so that it travels to worker processes."""

    path: Path

    def mesh(self, object_id: str) -> GroundTruth:
        meshes = read_meshes(self.path)
        if object_id not in meshes:
            raise torn_asset(self.path, f"no object {object_id!r}, which the split lists")
        return meshes[object_id]

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        return poses_of(view)


@lru_cache(maxsize=2)
def read_meshes(path: Path) -> dict[str, GroundTruth]:
    """All meshes of the asset by object. Vertices lie there as 16-bit steps across the unit cube."""
    try:
        with np.load(path, allow_pickle=False) as asset:
            names, colors = asset["object_id"], asset["face_colors"]
            vertices = (asset["vertices"].astype(np.float32) / 65535 - 0.5).astype(np.float32)
            faces = asset["faces"].astype(np.int32)
            vertex_end, face_end = np.cumsum(asset["vertex_count"]), np.cumsum(asset["face_count"])
        if vertex_end[-1] != len(vertices) or face_end[-1] != len(faces) or len(colors) != len(faces):
            raise ValueError("its arrays do not fit together")
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise torn_asset(path, error) from error
    for array in (vertices, faces, colors):
        array.flags.writeable = False
    vertex_start, face_start = np.r_[0, vertex_end[:-1]], np.r_[0, face_end[:-1]]
    return {
        str(name): GroundTruth(vertices[v0:v1], faces[f0:f1], colors[f0:f1])
        for name, v0, v1, f0, f1 in zip(names, vertex_start, vertex_end, face_start, face_end, strict=True)
    }


def read_asset(path: Path) -> bytes:
    """The content of a file that is part of the package."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise torn_asset(path, error) from error

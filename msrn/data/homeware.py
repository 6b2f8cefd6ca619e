"""homeware: real furniture and cars, the data set that a fresh machine has (§4.1's protocol, on other objects).

193 objects of six categories, from libraries under CC0 and CC BY (``assets/HOMEWARE_CREDITS.md``), as meshes of at
most 4,000 faces with one colour a face. Their images are drawn when they are first asked for, as those of ShapeNet in
Kato et al. [50] are: 24 azimuths at elevation 30, distance 2.732, 64 x 64 on white; at that distance the nearest corner
of an object as deep as it is wide, such as some cabinets, leaves the frame. The split is by object, written down in
``assets/homeware_split.csv`` with the one view of each object by which it is evaluated.
"""

import csv
import sys
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from msrn import camera
from msrn.data import zbuffer
from msrn.data.cache import Make, cached_arrays, digest_of
from msrn.data.collection import GroundTruth, ImageCollection
from msrn.errors import MsrnError
from msrn.paths import cache_folder

ASSETS = Path(__file__).resolve().parent / "assets"
CATEGORIES = ("cabinet", "car", "chair", "lamp", "sofa", "table")
VIEWS, ELEVATION, SIZE, SAMPLES = 24, 30.0, 64, 4
RENDERER = 1  # raise it when zbuffer.py draws differently, so that caches are drawn again
PROTOCOL = {
    "views": VIEWS, "elevation": ELEVATION, "distance": camera.DISTANCE, "field_of_view": camera.FIELD_OF_VIEW,
    "size": SIZE, "samples": SAMPLES, "ambient": zbuffer.AMBIENT, "diffuse": zbuffer.DIFFUSE, "light": zbuffer.LIGHT,
    "renderer": RENDERER,
}  # fmt: skip


def open_split(split: str, root: Path | None = None) -> ImageCollection:
    """One split of homeware, drawn into the cache if it is not there yet (all three splits at once)."""
    if root is not None:
        raise MsrnError(
            f"data_root is {str(root)!r}, but homeware is part of the package and has no folder: leave it out"
        )
    mesh_path, objects = ASSETS / "homeware.npz", read_split(ASSETS / "homeware_split.csv")
    content = digest_of(_read_bytes(mesh_path), PROTOCOL, [row.object_id for row in objects])
    arrays = cached_arrays("homeware", content, lambda make: _draw_all(mesh_path, objects, make))
    chosen = [index for index, row in enumerate(objects) if row.split == split]
    start, stop = chosen[0] * VIEWS, (chosen[-1] + 1) * VIEWS  # read_split keeps each split together
    mine = objects[chosen[0] : chosen[-1] + 1]
    return ImageCollection(
        name="homeware",
        split=split,
        images=arrays["images"][start:stop],
        masks=arrays["masks"][start:stop],
        category=np.repeat([CATEGORIES.index(row.category) for row in mine], VIEWS).astype(np.int64),
        object_id=np.repeat([row.object_id for row in mine], VIEWS),
        view=np.tile(np.arange(VIEWS), len(mine)),
        categories=CATEGORIES,
        fingerprint=digest_of(content, split, [(row.object_id, row.category, row.evaluation_view) for row in mine]),
        evaluation_index=np.array([k * VIEWS + row.evaluation_view for k, row in enumerate(mine)]),
        _truth=HomewareTruth(mesh_path),
    )


# ------------------------------------------------------------------------------------------------------------ the asset


@dataclass(frozen=True)
class SplitRow:
    object_id: str
    category: str
    split: str
    evaluation_view: int


def read_split(path: Path) -> list[SplitRow]:
    """The rows of the split file, ordered by split, category and name."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [
                SplitRow(row["object_id"], row["category"], row["split"], int(row["evaluation_view"]))
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _torn(path, error) from error
    for row in rows:
        known = row.category in CATEGORIES and row.split in ("train", "val", "test")
        if not known or not 0 <= row.evaluation_view < VIEWS:
            raise _torn(path, f"the row of {row.object_id!r}")
    if {row.split for row in rows} != {"train", "val", "test"}:
        raise _torn(path, "a split without objects")
    return sorted(rows, key=lambda row: (row.split, row.category, row.object_id))


@dataclass(frozen=True)
class HomewareTruth:
    """Shapes and cameras of homeware, for evaluation; holds a path, so that it travels to worker processes."""

    path: Path

    def mesh(self, object_id: str) -> GroundTruth:
        return read_meshes(self.path)[object_id]

    def poses(self, view: np.ndarray) -> np.ndarray:
        return poses_of(view)


def poses_of(view: np.ndarray) -> np.ndarray:
    """Azimuth, elevation, roll (N, 3) float32 in degrees of the views (N,)."""
    azimuth = np.asarray(view) * (360.0 / VIEWS)
    return np.stack([azimuth, np.full(len(azimuth), ELEVATION), np.zeros(len(azimuth))], axis=1).astype(np.float32)


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
        raise _torn(path, error) from error
    for array in (vertices, faces, colors):
        array.flags.writeable = False
    vertex_start, face_start = np.r_[0, vertex_end[:-1]], np.r_[0, face_end[:-1]]
    return {
        str(name): GroundTruth(vertices[v0:v1], faces[f0:f1], colors[f0:f1])
        for name, v0, v1, f0, f1 in zip(names, vertex_start, vertex_end, face_start, face_end, strict=True)
    }


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _torn(path, error) from error


def _torn(path: Path, reason: object) -> MsrnError:
    what = "is missing" if isinstance(reason, FileNotFoundError) else f"is torn ({reason})"
    return MsrnError(f"{path} {what}; it is part of the package: install msrn again, or git checkout the file")


# ----------------------------------------------------------------------------------------------------------- the images


def _draw_all(mesh_path: Path, objects: list[SplitRow], make: Make) -> None:
    meshes = read_meshes(mesh_path)
    missing = [row.object_id for row in objects if row.object_id not in meshes]
    if missing:
        raise _torn(mesh_path, f"no object {missing[0]!r}, which the split lists")
    images = make("images", (len(objects) * VIEWS, 3, SIZE, SIZE), "uint8")
    masks = make("masks", (len(objects) * VIEWS, SIZE, SIZE), "bool")
    print(f"homeware: drawing {len(images):,} images, once, into {cache_folder()}", file=sys.stderr, flush=True)
    for index, row in enumerate(tqdm(objects, desc="homeware", unit="object", mininterval=0.5)):
        rows = slice(index * VIEWS, (index + 1) * VIEWS)
        images[rows], masks[rows] = draw_views(meshes[row.object_id], np.arange(VIEWS))


def draw_views(mesh: GroundTruth, view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images (B, 3, H, W) and masks (B, H, W) of one object from the views (B,)."""
    azimuth, elevation, roll = torch.from_numpy(poses_of(view)).double().unbind(1)
    rotation = camera.rotation(azimuth, elevation, roll)  # (B, 3, 3)
    translation = rotation.new_tensor([0.0, 0.0, camera.DISTANCE]).expand(len(view), 3)
    vertices = torch.tensor(mesh.vertices, dtype=torch.float64).expand(len(view), -1, -1)  # (B, V, 3)
    projected = camera.project(vertices, rotation, translation).numpy()
    in_camera = (vertices @ rotation + translation[:, None]).numpy()
    return zbuffer.draw(projected, in_camera, mesh.faces, mesh.face_colors, SIZE, SAMPLES)

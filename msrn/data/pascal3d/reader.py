"""pascal3d: photographs of 12 classes with CAD models and viewpoints (§4.1), from Pascal3D+ 1.1 as it is published.

    ROOT/Annotations/CLASS_{pascal,imagenet}/ID.mat    record: objects with bbox, cad_index, viewpoint, ...
    ROOT/Images/CLASS_{pascal,imagenet}/ID.jpg|JPEG
    ROOT/CAD/CLASS/01.off ...  or  ROOT/CAD/CLASS.mat  vertices and faces
    ROOT/PASCAL/VOCdevkit/VOC2012/ImageSets/Main/{train,val}.txt

The paper follows CMR [31], which split two of the classes; its rule is taken for all twelve: train is VOC's train and
all of ImageNet, test is VOC's val, objects that are difficult, truncated or occluded are left out, and so are those
without a fine viewpoint: a number of it, of the model or of the box is empty or not finite. CMR's filter by structure
from motion, which needs its own results, is not taken. There is no val. ``pascal3d-car`` is the cars alone (Table 6).
The counts are printed when the archive is packed. An object whose photograph is missing, whose box is not in it, whose
cad_index is that of no model, or that has other such values, is left out, named and counted.

All indices and pixels of the annotations count from 1. The archive has no masks: images are raw crops at 1.2 times the
longer edge of the box, with the last pixels repeated beyond the edges, and training needs §3.1. True masks, which
evaluation and the row M-SRN/GT of Table 7 need, are those of the CAD models as the annotated cameras see them: the
paper does not say where its own are from, and SDF-SRN [33] makes them so. Every object of a photograph is an object of
its own; all test objects are evaluated.

Annotations are MATLAB files, of version 5 or 7.3, read once, in minutes, when a split is packed. The key of the packed
cache is a digest of the lists and of the names, sizes and times of the annotations and models: other photographs under
the same names are not noticed (delete the cache then).
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from msrn import camera
from msrn.data.archives.left_out import refuse_torn, sift, warn
from msrn.data.archives.matlab import read_mat
from msrn.data.archives.meshes import check_box, check_mesh, crop_of, cut, in_our_frame, read_mesh
from msrn.data.archives.pack import SIZE, Piece, Plan, Window, columns_of, content_digest, open_packed
from msrn.data.archives.poses import check_different, rows_of
from msrn.data.archives.reading import (
    exists,
    is_folder,
    listing,
    open_root,
    picture_size,
    read_picture,
    stat_of,
    wrong_root,
)
from msrn.data.collection import ImageCollection
from msrn.data.drawing.zbuffer import draw_layer
from msrn.data.ground_truth import GroundTruth
from msrn.data.pascal3d.annotations import Thing, folders_of, read_things, voc_ids
from msrn.errors import MsrnError
from msrn.store.digest import digest_of

NAME, VERSION = "pascal3d", 3  # raise the version when packing changes
CLASSES = (
    "aeroplane", "bicycle", "boat", "bottle", "bus", "car", "chair", "diningtable", "motorbike", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
MARGIN = 1.2
TURN = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64)  # v @ TURN: z is up and the front toward -y there
MISSING = " is missing"
PASSED = "without a fine viewpoint are passed over"
IMAGES = 32  # of a piece of the packing
SAMPLES = 4  # of a mask along the edge of a pixel


class Found(NamedTuple):
    """The objects of a split that can be packed, what is wrong with others, how many have no fine viewpoint, and what
    is wrong with annotations that cannot be read."""

    things: list[Thing]
    left_out: list[str]
    coarse: int
    torn: list[str]


def open_split(split: str, root: Path | None = None, name: str = NAME) -> ImageCollection:
    """One split, train or test, of ``pascal3d`` or of one of its classes, ``pascal3d-car``."""
    classes = classes_of(name)
    if split == "val":
        raise MsrnError(f"{name} has no val: by CMR's rule there are train and test")
    root = _checked(open_root(name, root))
    arrays = _packed(root, split, classes, name)
    ids = arrays["object_id"]
    warn(arrays["left_out"], len(ids), f"{name} {split}")
    return ImageCollection(
        name=name,
        split=split,
        **columns_of(arrays),
        masks=None,
        categories=classes,
        fingerprint=digest_of(name, VERSION, content_digest(arrays), ids.tolist(), arrays["cad"].tolist()),
        evaluation_index=np.arange(len(ids)),
        _true_masks=arrays["masks"],
        _truth=Pascal3DTruth(root, np.array(ids), np.array(arrays["cad"]), arrays["pose"]),
    )


def classes_of(name: str) -> tuple[str, ...]:
    """The classes that a name stands for."""
    if name == NAME:
        return CLASSES
    category = name.removeprefix(f"{NAME}-")
    if category not in CLASSES:
        raise MsrnError(f"dataset {name!r}: expected {NAME}, or {NAME}-CLASS with one of {', '.join(CLASSES)}")
    return (category,)


def _checked(root: Path) -> Path:
    if not all(is_folder(root / part) for part in ("Annotations", "Images", "CAD")):
        raise wrong_root(NAME, root, "the folders Annotations, Images and CAD", ["PASCAL3D+_release1.1"])
    return root


def key_of(root: Path, split: str, classes: Sequence[str]) -> str:
    """Of the lists and the names, sizes and times of the annotations and models."""
    files = []
    models = [path for name in classes for path in (root / "CAD" / name, root / "CAD" / f"{name}.mat") if exists(path)]
    for folder in (*folders_of(root, classes), *models):
        for path in [folder / name for name in listing(folder)] if is_folder(folder) else [folder]:
            stat = stat_of(path)
            files.append((folder.name, path.name, stat.st_size, stat.st_mtime_ns))
    return digest_of(NAME, VERSION, split, classes, sorted(voc_ids(root, "train")), sorted(voc_ids(root, "val")), files)


def usable(root: Path, split: str, classes: Sequence[str], name: str = NAME) -> Found:
    """The objects of a split, sifted."""
    entries = list(tqdm(read_things(root, split, classes), desc=f"{name} {split}: annotations", unit="object"))
    torn = [str(entry) for entry in entries if isinstance(entry, MsrnError)]
    fault = partial(_fault, root, cache(partial(count_models, root)))
    things, left_out = sift(
        [entry for entry in entries if isinstance(entry, Thing | str)], fault, f"{root}: {name} {split}"
    )
    return Found(things, left_out, entries.count(None), torn)


def _fault(root: Path, models: Callable[[str], int], thing: Thing | str) -> str:
    """What keeps an object from being used although all of its files may be whole."""
    if isinstance(thing, str):
        return thing
    count = models(thing.category)
    if count and thing.cad not in range(1, count + 1):
        return f"{thing.object_id}: cad_index is {thing.cad}: expected a whole number from 1 to {count}"
    if not exists(root / thing.image):
        return f"{thing.image}{MISSING}"
    try:
        size = picture_size(root, root / thing.image)
    except MsrnError:
        return ""  # it is torn: packing names it
    try:
        check_box(thing.box, size, thing.object_id)
    except MsrnError as error:
        return str(error)
    return ""


# ---------------------------------------------------------------------------------------------------------- the packing


def _packed(root: Path, split: str, classes: tuple[str, ...], name: str) -> dict[str, np.ndarray]:
    """The packed split; packed again when photographs that were missing are there now."""
    key, plan = key_of(root, split, classes), partial(_plan, root, split, classes, name)
    arrays = open_packed(f"{name}-{split}", key, plan)
    lacking = [line.removesuffix(MISSING) for line in arrays["left_out"].tolist() if line.endswith(MISSING)]
    there = [image for image in lacking if exists(root / image)]
    return open_packed(f"{name}-{split}", digest_of(key, there), plan) if there else arrays


def _plan(root: Path, split: str, classes: tuple[str, ...], name: str) -> Plan:
    things, left_out, coarse, torn = usable(root, split, classes, name)
    refuse_torn(torn, f"{name} {split}")
    counts = {category: sum(thing.category == category for thing in things) for category in classes}
    listing = ", ".join(f"{k} {n:,}" for k, n in counts.items())
    print(f"{name} {split} by CMR's rule: {listing}; {coarse:,} {PASSED}", file=sys.stderr)
    if not things:
        raise MsrnError(f"{root}: no object of {name} {split} among the annotations: is the archive whole?")
    check_different([thing.object_id for thing in things], root)
    groups = [things[start : start + IMAGES] for start in range(0, len(things), IMAGES)]
    return Plan(
        title=f"{name} {split}",
        pieces=[Piece(len(group), partial(_fill, root, group)) for group in groups],
        columns={
            "category": np.array([classes.index(thing.category) for thing in things]),
            "object_id": np.array([thing.object_id for thing in things]),
            "view": np.zeros(len(things), np.int64),
            "cad": np.array([thing.cad for thing in things]),
            "left_out": np.array(left_out, str),
        },
    )


def _fill(root: Path, things: Sequence[Thing], window: Window) -> None:
    rows = window(0, len(things))
    for number, thing in enumerate(things):
        rows["images"][number] = read_crop(root, thing)
        rows["masks"][number] = model_mask(root, thing)
        rows["pose"][number] = thing.pose


def read_crop(root: Path, thing: Thing) -> np.ndarray:
    """(3, H, W) uint8."""
    picture = read_picture(root, root / thing.image, "RGB")
    box = check_box(thing.box, (picture.shape[1], picture.shape[0]), f"{root}: {thing.object_id}")
    return cut(picture, crop_of(box, MARGIN)).transpose(2, 0, 1)


def model_mask(root: Path, thing: Thing) -> np.ndarray:
    """(H, W) bool: the pixels of the crop that the CAD model covers by half or more, seen by the annotated camera."""
    vertices, faces = _cad(root, thing.category, thing.cad)
    left, top, side = crop_of(thing.box, MARGIN)
    projected = points_in_photograph(thing, vertices)
    projected[:, :2] = (projected[:, :2] - [left, top]) / side * 2 - 1
    return draw_layer(projected, faces, np.zeros((len(faces), 3)), SIZE, SAMPLES)[..., 3] >= 0.5


def points_in_photograph(thing: Thing, points: np.ndarray) -> np.ndarray:
    """Where the annotated camera sees points (P, 3) of the CAD model as it stands: pixels from 0, and depth."""
    angles = (torch.tensor(angle, dtype=torch.float64) for angle in thing.pose)
    x, y, z = (points @ TURN @ camera.rotation(*angles).numpy() + [0, 0, thing.distance]).T
    return np.stack([thing.center[0] - thing.focal * x / z, thing.center[1] - thing.focal * y / z, z], 1)


# ------------------------------------------------------------------------------------------------------------ the truth


@dataclass(frozen=True, eq=False)
class Pascal3DTruth:
    """Shapes and cameras, for evaluation: CAD models are read from the archive when they are asked for."""

    root: Path
    object_id: np.ndarray  # (N,) in the order of the packed images, as are
    cad: np.ndarray  # (N,)
    pose: np.ndarray  # (N, 3)

    def mesh(self, object_id: str) -> GroundTruth:
        row = rows_of([object_id], self.object_id, self.root)[0]
        return _truth(self.root, str(self.object_id[row]).split("/")[0], int(self.cad[row]))

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        return np.asarray(self.pose[rows_of(object_id, self.object_id, self.root)])


@lru_cache(maxsize=256)  # there are 79 in all
def _truth(root: Path, category: str, cad: int) -> GroundTruth:
    return in_our_frame(*_cad(root, category, cad), TURN)


@lru_cache(maxsize=256)
def _cad(root: Path, category: str, cad: int) -> tuple[np.ndarray, np.ndarray]:
    return read_cad(root, category, cad)


def count_models(root: Path, category: str) -> int:
    """How many models a class has; 0 where none of them can be read, which packing says."""
    folder, file = root / "CAD" / category, root / "CAD" / f"{category}.mat"
    parted = (os.path.splitext(name) for name in (listing(folder) if is_folder(folder) else ()))
    most = max((int(stem) for stem, suffix in parted if suffix == ".off" and stem.isdecimal()), default=0)
    try:
        return max(most, len(np.atleast_1d(read_mat(root, file, category)))) if exists(file) else most
    except MsrnError:
        return most


def read_cad(root: Path, category: str, cad: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and faces (F, 3) of model ``cad``, counted from 1: its .off, or its place in CLASS.mat."""
    path = root / "CAD" / category / f"{cad:02d}.off"
    if exists(path):
        return read_mesh(root, path)
    path = root / "CAD" / f"{category}.mat"
    models = np.atleast_1d(read_mat(root, path, category))
    if not 1 <= cad <= len(models):
        raise MsrnError(f"{path} has {len(models)} models: expected one numbered {cad}, counted from 1")
    try:
        vertices, faces = (np.asarray(getattr(models[cad - 1], part), np.float64) for part in ("vertices", "faces"))
        return check_mesh(vertices.reshape(-1, 3), faces.reshape(-1, 3).astype(np.int64) - 1, path)
    except (AttributeError, TypeError, ValueError) as error:
        raise MsrnError(f"{path}: model {cad} has no vertices and faces ({error})") from None

"""pix3d: photographs of furniture with CAD models (§4.1), from the archive as it is published.

    ROOT/pix3d.json                     a list of images: img, mask, category, model, bbox, rot_mat, trans_mat, ...
    ROOT/img/CATEGORY/0001.jpg  ROOT/mask/CATEGORY/0001.png  ROOT/model/CATEGORY/NAME/model.obj

or as ShapeClipper [21] processed it, with square crops, single annotations and point clouds:

    ROOT/annotation/CATEGORY/0001.json  ROOT/img_processed/...  ROOT/mask_processed/...  ROOT/pointclouds/.../model.npy

Images are cut out at 1.2 times the longer edge of the box. Lists ``ROOT/lists/CATEGORY_SPLIT.txt``, one name a line,
are ShapeClipper's split, which the paper used; without them, or under the name ``pix3d-ours``, the split is ours and
the collection has that name: images that are neither truncated nor occluded, also not slightly, as in the official
evaluation, 70/10/20 by CAD model, so that no model is in two splits. With a mask for every image they are on white; in
an archive without the folder of masks they are raw, the last pixels repeated beyond their edges, and training needs
§3.1. A photograph whose mask is of another size, as the published archive has some, or that is itself of another size
than its annotation says, is left out, named and counted.

An object is what one photograph shows: that two photographs show one CAD model is part of the 3D annotation, which
training does not see. Every test image is evaluated. Poses are those of a camera that looks at the object.

The key of the packed cache is a digest of the annotations and the lists: other pictures under the same names are not
noticed (delete the cache then).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from msrn.data.cache import digest_of
from msrn.data.clouds import CloudTruth, centered_cloud
from msrn.data.collection import GroundTruth, ImageCollection
from msrn.data.left_out import sift, warn
from msrn.data.meshes import centered, check_box, crop_of, cut, in_our_frame, on_white, read_mesh
from msrn.data.pack import Piece, Plan, Window, content_digest, open_packed
from msrn.data.poses import angles, check_different, is_rotation, rows_of
from msrn.data.reading import (
    exists,
    is_folder,
    named,
    open_root,
    picture_size,
    read_array,
    read_bytes,
    read_names,
    read_picture,
    wrong_root,
)
from msrn.errors import MsrnError

NAME, VERSION = "pix3d", 2  # raise the version when packing changes
CATEGORIES = ("bed", "bookcase", "chair", "desk", "misc", "sofa", "table", "tool", "wardrobe")
SPLITS = ("train", "val", "test")
MARGIN = 1.2
SENSOR = 32.0  # mm of a photograph's width
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}  # of the CAD models of a category, in a split of ours
OUT = ("truncated", "occluded", "slightly_occluded")
FLAGS = {"true": True, "1": True, "false": False, "0": False}
TURN = np.diag([-1.0, 1.0, -1.0])  # models have x left, y up, z inward: their front is toward -z
IMAGES = 32  # of a piece of the packing


@dataclass(frozen=True)
class Photograph:
    """One image with what its annotation says."""

    object_id: str  # category/name, as chair/0001
    category: str
    image: str  # paths are relative to the root
    mask: str
    model: str
    box: tuple | None  # None: a square crop already, as of
    size: tuple[int, int] | None  # width and height of the photograph that the annotation is about
    rotation: tuple  # row by row
    translation: tuple
    focal: float  # in widths of the photograph
    whole: bool  # neither truncated nor occluded


@dataclass(frozen=True)
class Archive:
    """All that the annotations and lists of an archive say; the splits are in the order of category and name."""

    root: Path
    splits: Mapping[str, tuple[Photograph, ...]]
    official: bool  # by the lists
    masks: bool
    clouds: bool  # the processed form: the truth is points
    annotated: int  # images, also those that are in no split

    @property
    def name(self) -> str:
        return NAME if self.official else f"{NAME}-ours"

    @property
    def categories(self) -> tuple[str, ...]:
        present = {photo.category for split in self.splits.values() for photo in split}
        return tuple(name for name in CATEGORIES if name in present)


def open_split(split: str, root: Path | None = None, ours: bool = False) -> ImageCollection:
    """One split of the archive in the folder ``root``, packed into the cache if it is not there yet; with ``ours`` the
    lists are passed over."""
    archive = read_archive(open_root(NAME, root), ours)
    content = [vars(photo) for photo in archive.splits[split]]
    key = digest_of(NAME, VERSION, archive.masks, archive.categories, content)
    arrays = open_packed(f"{NAME}-{split}", key, partial(_plan, archive, split))
    ids = arrays["object_id"].tolist()
    warn(arrays["left_out"], len(ids), f"{archive.name} {split}")
    photos = {photo.object_id: photo for photo in archive.splits[split]}
    return ImageCollection(
        name=archive.name,
        split=split,
        images=arrays["images"],
        masks=arrays.get("masks"),
        category=arrays["category"],
        object_id=arrays["object_id"],
        view=arrays["view"],
        categories=archive.categories,
        fingerprint=digest_of(archive.name, VERSION, content_digest(arrays), ids),
        evaluation_index=np.arange(len(ids)),
        _truth=Pix3DTruth(archive.root, {name: photos[name] for name in ids}, archive.clouds, arrays["pose"]),
    )


# ------------------------------------------------------------------------------------------------------ the annotations


def read_archive(root: Path, ours: bool = False) -> Archive:
    """What the annotations of a resolved folder say, and its splits: by its lists, or ``ours``."""
    processed = not exists(root / "pix3d.json") and is_folder(root / "annotation")
    if not processed and not exists(root / "pix3d.json"):
        wanted = "pix3d.json, or the folders annotation, lists and img_processed"
        raise wrong_root(NAME, root, wanted, ["pix3d", "Pix3D"])
    lists = _read_lists(root)
    if processed and not lists:
        raise MsrnError(f"{root / 'lists'} has no CATEGORY_SPLIT.txt: expected the lists of the processed archive")
    photos = _read_processed(root, lists) if processed else _read_official(root)
    official = bool(lists) and not ours
    splits = _listed(root, photos, lists) if official else _our_split(photos)
    empty = [split for split in SPLITS if not splits[split]]
    if empty:
        raise MsrnError(f"{root}: no image for {' and '.join(empty)} among {len(photos):,} annotations: is it whole?")
    masks = root / f"mask{'_processed' * processed}"
    if exists(masks) and not is_folder(masks):
        raise MsrnError(f"{masks} is a file: expected the folder of the masks, or nothing")
    return Archive(root, splits, official, is_folder(masks), processed, len(photos))


def _read_official(root: Path) -> dict[tuple[str, str], Photograph]:
    """By category and name."""
    path = root / "pix3d.json"
    entries = _read_json(root, path)
    if not isinstance(entries, list) or not entries:
        raise MsrnError(f"{path} holds {type(entries).__name__}: expected a list of annotations")
    photos = {}
    for number, entry in enumerate(entries):
        photo = _photograph(entry, f"{path}: entry {number}", "")
        key = photo.category, Path(photo.image).stem
        if key in photos:
            raise MsrnError(f"{path}: {photo.object_id} occurs twice: expected every image once")
        photos[key] = photo
    return photos


def _read_processed(root: Path, lists: Mapping) -> dict[tuple[str, str], Photograph]:
    names = sorted({(category, name) for (category, _), listed in lists.items() for name in listed})
    found = {}
    for category, name in names:
        path = root / "annotation" / category / f"{name}.json"
        photo = _photograph(_read_json(root, path), str(path), "_processed")
        if photo.object_id != f"{category}/{name}":
            raise MsrnError(f"{path} is the annotation of {photo.object_id}: expected that of {category}/{name}")
        found[category, name] = photo
    return found


def _photograph(entry: Any, where: str, suffix: str) -> Photograph:
    """An annotation, checked; ``suffix`` is what ShapeClipper's tree appends to the folders of images and masks."""
    try:
        image, mask, model = (str(entry[key]) for key in ("img", "mask", "model"))
        category, box = str(entry["category"]), tuple(float(value) for value in entry["bbox"])
        rotation, translation = (np.array(entry[key], np.float64) for key in ("rot_mat", "trans_mat"))
        focal = float(entry["focal_length"]) / SENSOR
        size = None if suffix else tuple(int(length) for length in entry["img_size"])
        whole = not any([_flag(entry, key) for key in OUT])  # all are read
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise MsrnError(
            f"{where} lacks what an annotation of pix3d.json has ({type(error).__name__}: {error})"
        ) from None
    if category not in CATEGORIES:
        raise MsrnError(f"{where}: category {category!r}: expected one of {', '.join(CATEGORIES)}")
    placed = translation.shape == (3,) and np.isfinite(translation).all() and translation[2] > 0
    if rotation.shape != (3, 3) or not is_rotation(rotation) or not placed:
        raise MsrnError(f"{where}: rot_mat or trans_mat do not place the model before the camera")
    if not 0 < focal < np.inf:
        raise MsrnError(f"{where}: focal_length is {entry['focal_length']}: expected millimetres above 0")
    if len(box) != 4 or not np.isfinite(box).all():
        raise MsrnError(f"{where}: bbox is {list(box)}: expected four numbers, x0, y0, x1 and y1")
    if not suffix and (len(size) != 2 or min(size) < 1):
        raise MsrnError(f"{where}: img_size is {list(size)}: expected the width and height in pixels")
    if suffix:
        image, mask = (path.replace("/", f"{suffix}/", 1) for path in (image, mask))
    return Photograph(
        object_id=f"{category}/{Path(image).stem}",
        category=category,
        image=image,
        mask=mask,
        model=model,
        box=None if suffix else box,
        size=size,
        rotation=tuple(rotation.ravel().tolist()),
        translation=tuple(translation.tolist()),
        focal=focal,
        whole=whole,
    )


def _flag(entry: Mapping, key: str) -> bool:
    """Whether an image is truncated, say: what cannot be read must not count as whole."""
    said = str(entry[key]).lower()
    if said not in FLAGS:
        raise ValueError(f"{key} is {entry[key]!r}, expected true or false")
    return FLAGS[said]


def _read_json(root: Path, path: Path) -> Any:
    try:
        return json.loads(read_bytes(root, path))
    except (ValueError, RecursionError) as error:
        raise MsrnError(f"{path} is not whole JSON ({str(error).splitlines()[0]})") from None


# ----------------------------------------------------------------------------------------------------------- the splits


def _read_lists(root: Path) -> dict[tuple[str, str], list[str]]:
    """Names by category and split, of the lists that there are; a category must have all three."""
    folder = root / "lists"
    present = [name for name in CATEGORIES if any(exists(folder / f"{name}_{split}.txt") for split in SPLITS)]
    lists = {}
    for path, key in ((folder / f"{name}_{split}.txt", (name, split)) for name in present for split in SPLITS):
        lists[key] = [Path(line).stem for line in read_names(root, path)]
        check_different(lists[key], path)
    return lists


def _listed(root: Path, photos: Mapping, lists: Mapping) -> dict[str, tuple[Photograph, ...]]:
    """The splits of the lists: every name must be annotated, and stand in one split."""
    splits: dict[str, list[Photograph]] = {split: [] for split in SPLITS}
    owner: dict[tuple[str, str], str] = {}
    absent = []
    for (category, split), names in lists.items():
        for name in names:
            key = category, name
            if owner.setdefault(key, split) != split:
                raise MsrnError(f"{root / 'lists'}: {category}/{name} is in {owner[key]} and in {split}: expected one")
            if key in photos:
                splits[split].append(photos[key])
            else:
                absent.append(f"{category}/{name}")
    if absent:
        raise MsrnError(
            f"{root}: {len(absent)} names of the lists have no annotation, such as {named(absent, 3)}: is it whole?"
        )
    return {split: _ordered(chosen) for split, chosen in splits.items()}


def _our_split(photos: Mapping) -> dict[str, tuple[Photograph, ...]]:
    """70/10/20 of the CAD models of each category, drawn with seed 0; where there are three, each split has one."""
    splits: dict[str, list[Photograph]] = {split: [] for split in SPLITS}
    for category in CATEGORIES:
        mine = [photo for photo in photos.values() if photo.category == category and photo.whole]
        models = sorted({photo.model for photo in mine})
        order = [models[place] for place in np.random.default_rng(0).permutation(len(models))]
        val, test = (max(1, round(SHARES[split] * len(order))) if len(order) > 2 else 0 for split in ("val", "test"))
        owner = {model: "val" if k < val else "test" if k < val + test else "train" for k, model in enumerate(order)}
        for photo in mine:
            splits[owner[photo.model]].append(photo)
    return {split: _ordered(chosen) for split, chosen in splits.items()}


def _ordered(photos: Sequence[Photograph]) -> tuple[Photograph, ...]:
    return tuple(sorted(photos, key=lambda photo: photo.object_id))


# ---------------------------------------------------------------------------------------------------------- the packing


def usable(archive: Archive, split: str) -> tuple[list[Photograph], list[str]]:
    """The photographs of a split that can be packed, and what is wrong with each of the others."""
    return sift(archive.splits[split], partial(_fault, archive), f"{archive.root}: {archive.name} {split}")


def _fault(archive: Archive, photo: Photograph) -> str:
    """What keeps a photograph from being used although all of its files may be whole."""
    try:
        size = picture_size(archive.root, archive.root / photo.image)
        mask = picture_size(archive.root, archive.root / photo.mask) if archive.masks else size
    except MsrnError:
        return ""  # it is torn or missing: packing names it
    if photo.size and size != photo.size:
        return _differs(photo.image, size, photo.size, "its img_size")
    return "" if mask == size else _differs(photo.mask, mask, size, "as its photograph is")


def _differs(path: str, found: tuple[int, int], wanted: tuple[int, int], why: str) -> str:
    return f"{path} is {found[0]} x {found[1]} pixels: expected {wanted[0]} x {wanted[1]}, {why}"


def _plan(archive: Archive, split: str) -> Plan:
    chosen, left_out = usable(archive, split)
    groups = [chosen[start : start + IMAGES] for start in range(0, len(chosen), IMAGES)]
    return Plan(
        title=f"{archive.name} {split}",
        pieces=[Piece(len(group), partial(_fill, archive, group)) for group in groups],
        columns={
            "category": np.array([archive.categories.index(photo.category) for photo in chosen]),
            "object_id": np.array([photo.object_id for photo in chosen]),
            "view": np.zeros(len(chosen), np.int64),
            "left_out": np.array(left_out, str),
        },
        masks=archive.masks,
    )


def _fill(archive: Archive, photos: Sequence[Photograph], window: Window) -> None:
    rows = window(0, len(photos))
    for number, photo in enumerate(photos):
        picture, mask = read_photograph(archive.root, photo, archive.masks)
        rows["images"][number] = picture
        rows["pose"][number] = pose_of(photo)
        if archive.masks:
            rows["masks"][number] = mask


def read_photograph(root: Path, photo: Photograph, masked: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """The crop (3, H, W) uint8, on white where there is a mask, and its mask (H, W) bool or None."""
    picture = read_picture(root, root / photo.image, "RGB")
    size, boxed = (picture.shape[1], picture.shape[0]), photo.box is not None
    box = check_box(photo.box, size, f"{root}: {photo.object_id}") if boxed else (0, 0, *size)
    square = crop_of(box, MARGIN if boxed else 1.0)
    if not masked:
        return cut(picture, square).transpose(2, 0, 1), None
    mask = read_picture(root, root / photo.mask, "L", size) > 127
    cover = cut(mask.astype(np.uint8) * 255, square, 0) > 127
    return cut(on_white(picture, mask), square, 255).transpose(2, 0, 1), cover


def points_in_crop(photo: Photograph, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where the photograph's camera sees points (P, 3) of its model: (P, 2) in -1..1 across the crop; ``size`` of the
    photograph is (width, height)."""
    x, y, z = (points @ np.array(photo.rotation).reshape(3, 3).T + photo.translation).T
    pixel = np.stack([size[0] / 2 - photo.focal * size[0] * x / z, size[1] / 2 - photo.focal * size[0] * y / z], 1)
    left, top, side = crop_of(photo.box, MARGIN)
    return (pixel - [left, top]) / side * 2 - 1


def camera_of(photo: Photograph) -> tuple[np.ndarray, np.ndarray]:
    """R (3, 3) and T (3,): x_camera = v R + T for vertices v that ``TURN`` has brought into our frame."""
    return TURN @ np.array(photo.rotation).reshape(3, 3).T, np.array(photo.translation)


def pose_of(photo: Photograph) -> np.ndarray:
    """Azimuth, elevation and roll (3,) of the camera that looks at the object."""
    return angles(centered(*camera_of(photo)))


# ------------------------------------------------------------------------------------------------------------ the truth


@dataclass(frozen=True, eq=False)
class Pix3DTruth:
    """Shapes and cameras, for evaluation: models are read from the archive when they are asked for."""

    root: Path
    photos: Mapping[str, Photograph]  # in the order of the packed images
    clouds: bool
    pose: np.ndarray  # (N, 3)

    def mesh(self, object_id: str) -> GroundTruth | CloudTruth:
        read = _cloud if self.clouds else _model
        if object_id not in self.photos:
            raise MsrnError(f"{self.root}: {str(object_id)!r} is not among its {len(self.photos):,} objects")
        return read(self.root, self.photos[object_id].model)

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        return np.asarray(self.pose[rows_of(object_id, np.array(list(self.photos)), self.root)])


@lru_cache(maxsize=64)  # photographs share models
def _model(root: Path, model: str) -> GroundTruth:
    return in_our_frame(*read_mesh(root, root / model), TURN)


@lru_cache(maxsize=64)
def _cloud(root: Path, model: str) -> CloudTruth:
    """``model/chair/NAME/model.obj`` has its points in ``pointclouds/chair/NAME/model.npy``."""
    path = root / "pointclouds" / Path(model.split("/", 1)[-1]).with_suffix(".npy")
    points = read_array(root, path, (None, 3)).astype(np.float64)
    if len(points) < 100 or not np.isfinite(points).all() or not np.ptp(points, 0).max() > 0:
        raise MsrnError(f"{path} holds {len(points)} points: expected at least 100 finite ones")
    return centered_cloud(points @ TURN)

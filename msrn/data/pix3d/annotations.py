"""The annotations and splits of an archive of Pix3D, in both of its forms: see ``pix3d``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msrn.data.archives.left_out import refuse_torn
from msrn.data.archives.poses import check_different, is_rotation
from msrn.data.archives.reading import exists, is_folder, named, read_bytes, read_names, wrong_root
from msrn.errors import MsrnError, first_line

NAME = "pix3d"
CATEGORIES = ("bed", "bookcase", "chair", "desk", "misc", "sofa", "table", "tool", "wardrobe")
SPLITS = ("train", "val", "test")
SENSOR = 32.0  # mm of a photograph's width
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}  # of the CAD models of a category, in a split of ours
OUT = ("truncated", "occluded", "slightly_occluded")
FLAGS = {"true": True, "1": True, "false": False, "0": False}


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
    annotated: frozenset[str]  # objects, also those that are in no split
    torn: tuple[str, ...] = ()  # what is wrong with annotations that cannot be read

    @property
    def name(self) -> str:
        return NAME if self.official else f"{NAME}-ours"

    @property
    def categories(self) -> tuple[str, ...]:
        present = {photo.category for split in self.splits.values() for photo in split}
        return tuple(name for name in CATEGORIES if name in present)


# ------------------------------------------------------------------------------------------------------ the annotations


def read_archive(root: Path, ours: bool = False) -> Archive:
    """What the annotations of a resolved folder say, and its splits: by its lists, or ``ours``."""
    processed = not exists(root / "pix3d.json") and is_folder(root / "annotation")
    if not processed and not exists(root / "pix3d.json"):
        expected = "pix3d.json, or the folders annotation, lists and img_processed"
        raise wrong_root(NAME, root, expected, ["pix3d", "Pix3D"])
    lists = _read_lists(root)
    if processed and not lists:
        raise MsrnError(f"{root / 'lists'} has no CATEGORY_SPLIT.txt: expected the lists of the processed archive")
    photos, torn = _read_processed(root, lists) if processed else (_read_official(root), {})
    official = bool(lists) and not ours
    splits = _listed(root, photos, lists, torn) if official else _our_split(photos)
    empty = [split for split in SPLITS if not splits[split]]
    if empty and torn:
        refuse_torn(list(torn.values()), f"{root}: no image for {' and '.join(empty)}")
    if empty:
        raise MsrnError(f"{root}: no image for {' and '.join(empty)} among {len(photos):,} annotations: is it whole?")
    masks = root / f"mask{'_processed' * processed}"
    if exists(masks) and not is_folder(masks):
        raise MsrnError(f"{masks} is a file: expected the folder of the masks, or nothing")
    annotated = frozenset(f"{category}/{name}" for category, name in (*photos, *torn))
    return Archive(root, splits, official, is_folder(masks), processed, annotated, tuple(torn.values()))


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


def _read_processed(root: Path, lists: Mapping) -> tuple[dict[tuple[str, str], Photograph], dict]:
    """By category and name; and in the same way what is wrong with each annotation that cannot be read."""
    names = sorted({(category, name) for (category, _), listed in lists.items() for name in listed})
    photos, torn = {}, {}
    for category, name in names:
        try:
            photos[category, name] = _read_one(root, category, name)
        except MsrnError as error:
            torn[category, name] = str(error)
    return photos, torn


def _read_one(root: Path, category: str, name: str) -> Photograph:
    path = root / "annotation" / category / f"{name}.json"
    photo = _photograph(_read_json(root, path), str(path), "_processed")
    if photo.object_id != f"{category}/{name}":
        raise MsrnError(f"{path} is the annotation of {photo.object_id}: expected that of {category}/{name}")
    return photo


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
    in_front = translation.shape == (3,) and np.isfinite(translation).all() and translation[2] > 0
    if rotation.shape != (3, 3) or not is_rotation(rotation) or not in_front:
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
    value = str(entry[key]).lower()
    if value not in FLAGS:
        raise ValueError(f"{key} is {entry[key]!r}, expected true or false")
    return FLAGS[value]


def _read_json(root: Path, path: Path) -> Any:
    try:
        return json.loads(read_bytes(root, path))
    except (ValueError, RecursionError) as error:
        raise MsrnError(f"{path} is not whole JSON ({first_line(error)})") from None


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


def _listed(root: Path, photos: Mapping, lists: Mapping, torn: Mapping) -> dict[str, tuple[Photograph, ...]]:
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
            elif key not in torn:
                absent.append(f"{category}/{name}")
    if absent:
        raise MsrnError(
            f"{root}: {len(absent)} names of the lists have no annotation, such as {named(absent, 3)}: is it whole?"
        )
    return {split: _ordered(listed) for split, listed in splits.items()}


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
    return {split: _ordered(drawn) for split, drawn in splits.items()}


def _ordered(photos: Sequence[Photograph]) -> tuple[Photograph, ...]:
    return tuple(sorted(photos, key=lambda photo: photo.object_id))

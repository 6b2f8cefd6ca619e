"""The annotations of an archive of Pascal3D+ and the split by CMR's rule: see ``pascal3d``."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msrn.data.archives.matlab import read_mat
from msrn.data.archives.reading import exists, is_folder, listing, named, read_lines
from msrn.errors import MsrnError, first_line

SETS = Path("PASCAL", "VOCdevkit", "VOC2012", "ImageSets", "Main")
LEFT_OUT = ("difficult", "truncated", "occluded")
VIEW = ("azimuth", "elevation", "theta", "distance", "focal", "viewport", "px", "py")  # a fine viewpoint has all


@dataclass(frozen=True)
class Thing:
    """One annotated object of a photograph; pixels count from 0, a box ends behind its last."""

    object_id: str  # class/photograph_number, its place in the annotation from 0
    category: str
    image: str  # relative to the root
    box: tuple[float, float, float, float]
    cad: float  # from 1, as the files are called: a whole number in all that are used
    azimuth: float  # degrees, as elevation and theta
    elevation: float
    theta: float
    distance: float
    focal: float  # pixels
    center: tuple[float, float]  # where the camera's axis meets the photograph

    @property
    def pose(self) -> tuple[float, float, float]:
        """Azimuth, elevation, roll: our roll turns the other way."""
        return self.azimuth % 360, self.elevation, -self.theta


def folders_of(root: Path, classes: Sequence[str]) -> list[Path]:
    folders = [root / "Annotations" / f"{name}_{source}" for name in classes for source in ("pascal", "imagenet")]
    absent = [folder.name for folder in folders if not is_folder(folder)]
    if absent:
        names = ", ".join(listing(root / "Annotations")[:6]) or "nothing"
        raise MsrnError(f"{root / 'Annotations'} is not whole: {named(absent, 5)} missing; found {names}")
    return folders


def voc_ids(root: Path, split: str) -> frozenset[str]:
    """The photographs of a split of VOC 2012."""
    lines = read_lines(root, root / SETS / f"{split}.txt")
    if not lines:
        raise MsrnError(f"{root / SETS / f'{split}.txt'} is empty: expected a photograph on each line")
    return frozenset(line.split()[0] for line in lines)


def photographs_in(root: Path, folder: str) -> list[str]:
    """Names of the annotated photographs of a folder. Files that begin with a dot are macOS's own."""
    parted = (os.path.splitext(file) for file in listing(root / "Annotations" / folder))
    return [stem for stem, suffix in parted if suffix == ".mat" and stem[0] != "."]


def read_things(root: Path, split: str, classes: Sequence[str]) -> Iterator[Thing | str | MsrnError | None]:
    """The objects of a split in the order of class, source and photograph, as ``read_annotation`` gives them; what is
    wrong with an annotation that cannot be read comes in its place."""
    photographs = voc_ids(root, "train" if split == "train" else "val")
    shared = voc_ids(root, "train") & voc_ids(root, "val")
    if shared:
        raise MsrnError(f"{root / SETS}: train.txt and val.txt share photographs, such as {min(shared)}: expected none")
    for name in classes:
        for source in ("pascal", "imagenet") if split == "train" else ("pascal",):
            folder = f"{name}_{source}"
            for stem in photographs_in(root, folder):
                if source == "imagenet" or stem in photographs:
                    try:
                        yield from read_annotation(root, folder, stem, name)
                    except MsrnError as error:
                        yield error


def read_annotation(root: Path, folder: str, stem: str, category: str) -> Iterator[Thing | str | None]:
    """The objects of ``category`` in one photograph that CMR's rule keeps; None for one without a fine viewpoint, and
    for one with values that cannot be what is wrong with them."""
    path = root / "Annotations" / folder / f"{stem}.mat"
    record = read_mat(root, path, "record")
    try:
        for number, entry in enumerate(np.atleast_1d(record.objects)):
            if getattr(entry, "class") != category or any(np.any(getattr(entry, flag)) for flag in LEFT_OUT):
                continue  # a flag that is empty is not set
            object_id = f"{category}/{stem}_{number}"
            try:
                yield _thing(entry, category, _image(root, folder, stem), object_id)
            except (TypeError, ValueError) as error:
                yield f"{object_id}: {first_line(error)}"
    except (AttributeError, TypeError, ValueError) as error:
        raise MsrnError(f"{path} lacks what an annotation has ({type(error).__name__}: {error})") from None


def _number(struct: Any, name: str) -> float:
    """Not finite where the field is absent or empty, as many of ImageNet's objects have them."""
    value = getattr(struct, name, ())
    if np.size(value) > 1:
        raise ValueError(f"{name} has {np.size(value)} values: expected one number")
    return float(value) if np.size(value) else math.nan


def _thing(entry: Any, category: str, image: str, object_id: str) -> Thing | None:
    view, box = getattr(entry, "viewpoint", None), [float(value) for value in np.ravel(entry.bbox)]
    fine, cad = {name: _number(view, name) for name in VIEW}, _number(entry, "cad_index")
    if not np.isfinite([*fine.values(), cad, *box]).all() or not box:
        return None
    if not (fine["distance"] > 0 and fine["focal"] * fine["viewport"] > 0):
        return None
    if len(box) != 4:
        raise ValueError(f"bbox is {box}: expected four numbers, x0, y0, x1 and y1")
    x0, y0, x1, y1 = box
    return Thing(
        object_id=object_id,
        category=category,
        image=image,
        box=(x0 - 1, y0 - 1, x1, y1),
        cad=int(cad) if cad == int(cad) else cad,
        azimuth=fine["azimuth"],
        elevation=fine["elevation"],
        theta=fine["theta"],
        distance=fine["distance"],
        focal=fine["focal"] * fine["viewport"],
        center=(fine["px"] - 0.5, fine["py"] - 0.5),
    )


def _image(root: Path, folder: str, stem: str) -> str:
    """The photograph of an annotation: VOC writes jpg, ImageNet JPEG."""
    names = [f"Images/{folder}/{stem}{suffix}" for suffix in (".jpg", ".JPEG")]
    return next((name for name in names if exists(root / name)), names[folder.endswith("_imagenet")])

"""The older form of the ShapeNet renderings, as the code of Kato et al. [50] makes it and SoftRas reads it.

    ROOT/CATEGORY_{train,val,test}_images.npz   arr_0 (N, 24, 4, 64, 64) uint8: RGB on white and inverted, mask 0 or 255

RGB on white is 255 minus what is stored. The form has neither names of objects, which are numbered here, nor cameras,
nor surfaces but voxels of a thirty-second: it can be trained on, and what asks for a true shape or pose is told to take
the folder archive (``shapenet``). View k stands 15 k degrees from the first; in which direction is nowhere stored, and
readers differ from makers, so that no pose is given rather than one that may be mirrored.

A file is one compressed stream, so it is packed by one thread and anew when that was interrupted; memory holds one
object of it at a time.
"""

import os
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from msrn.data.archives.arrays import most_bytes, read_header, torn_arrays
from msrn.data.archives.pack import SIZE, Piece, Plan, Window, columns_of, content_digest, open_packed
from msrn.data.archives.reading import exists, open_file, stat_of
from msrn.data.collection import ImageCollection
from msrn.data.ground_truth import GroundTruth
from msrn.errors import MsrnError
from msrn.store.digest import digest_of

VIEWS, VERSION = 24, 2  # raise the version when packing changes
MEMBER = "arr_0"
WHOLE = (None, VIEWS, 4, SIZE, SIZE)


def is_archive(root: Path) -> bool:
    """Whether the folder holds files of this form."""
    return any(root.glob("*_images.npz"))


def open_split(split: str, root: Path, categories: Mapping[str, str]) -> ImageCollection:
    """One split of the files in ``root``, a resolved folder; ``categories`` names categories by their ids."""
    files = find_files(root, split, categories)
    counts = {name: count_objects(root, path) for name, path in files.items()}
    stats = [(path.name, (stat := stat_of(path)).st_size, stat.st_mtime_ns) for path in files.values()]
    key = digest_of("shapenet-npz", VERSION, split, stats)
    arrays = open_packed(f"shapenet-npz-{split}", key, partial(_plan, root, split, files, counts))
    ids = object_ids(counts)
    evaluation = np.arange(len(ids)) * VIEWS
    return ImageCollection(
        name="shapenet",
        split=split,
        **columns_of(arrays),
        masks=arrays["masks"],
        categories=tuple(counts),
        fingerprint=digest_of("shapenet-npz", VERSION, content_digest(arrays), counts),
        evaluation_index=evaluation,
        _truth=NoTruth(root),
    )


def find_files(root: Path, split: str, categories: Mapping[str, str]) -> dict[str, Path]:
    """The file of each category that has any, by its name."""
    ids = {path.name.split("_")[0] for path in root.glob("*_images.npz")} & set(categories)
    if not ids:
        raise MsrnError(
            f"{root} has no images of the 13 categories of Table 5: expected {next(iter(categories))}_*_images.npz"
        )
    files = {categories[entry]: root / f"{entry}_{split}_images.npz" for entry in sorted(ids, key=categories.get)}
    absent = [path.name for path in files.values() if not exists(path)]
    if absent:
        raise MsrnError(f"{root} is not a whole archive: {absent[0]} is missing, and {len(absent) - 1} more like it")
    return files


def count_objects(root: Path, path: Path) -> int:
    """How many objects a file has."""
    with _stream(root, path) as (_, shape):
        return shape[0]


def object_ids(counts: Mapping[str, int]) -> list[str]:
    """``airplane/00012`` is the thirteenth of its file."""
    return [f"{name}/{number:05d}" for name, count in counts.items() for number in range(count)]


def _plan(root: Path, split: str, files: Mapping[str, Path], counts: Mapping[str, int]) -> Plan:
    return Plan(
        title=f"shapenet {split}",
        pieces=[Piece(counts[name] * VIEWS, partial(_fill, root, path)) for name, path in files.items()],
        columns={
            "category": np.repeat(np.arange(len(counts)), np.array(list(counts.values())) * VIEWS),
            "object_id": np.repeat(object_ids(counts), VIEWS),
            "view": np.tile(np.arange(VIEWS), sum(counts.values())),
        },
    )


def _fill(root: Path, path: Path, window: Window) -> None:
    for number, packed in enumerate(read_objects(root, path)):
        rows = window(number * VIEWS, (number + 1) * VIEWS)
        rows["images"][:] = 255 - packed[:, :3]
        rows["masks"][:] = packed[:, 3] > 127
        rows["pose"][:] = np.nan  # see above


def read_objects(root: Path, path: Path):
    """The objects of a file one after the other, (24, 4, H, W) uint8 as stored."""
    size = VIEWS * 4 * SIZE * SIZE
    with _stream(root, path) as (member, shape):
        for number in range(shape[0]):
            content = member.read(size)
            if len(content) != size:
                raise MsrnError(f"{path} ends within object {number} of {shape[0]}")
            packed = np.frombuffer(content, np.uint8).reshape(WHOLE[1:])
            if packed[:, 3].max() == 1:
                raise MsrnError(
                    f"{path}: masks of object {number} hold 0 and 1 alone: expected 255 where it is, else 0"
                )
            yield packed
        if member.read(1):  # also makes the archive compare its checksum
            raise MsrnError(f"{path} holds more than the {shape[0]} objects that it names")


@contextmanager
def _stream(root: Path, path: Path):
    """The array of a file, open behind its header, and its shape."""
    try:
        with open_file(root, path) as file, zipfile.ZipFile(file) as packed:
            size = os.fstat(file.fileno()).st_size
            if f"{MEMBER}.npy" not in packed.namelist():
                raise MsrnError(f"{path} has no array arr_0: found {', '.join(packed.namelist()[:6]) or 'nothing'}")
            with packed.open(f"{MEMBER}.npy") as member:
                shape, fortran, dtype = read_header(member, most_bytes(packed, MEMBER, size, path), WHOLE, path)
                if fortran or dtype != np.uint8 or not shape[0]:
                    raise MsrnError(
                        f"{path}: {shape[0]} objects of {dtype}: expected at least one, of uint8 in C order"
                    )
                yield member, shape
    except MsrnError:
        raise
    except Exception as error:
        raise torn_arrays(path, error) from None


@dataclass(frozen=True)
class NoTruth:
    """Neither shapes nor cameras."""

    root: Path

    def mesh(self, object_id: str) -> GroundTruth:
        raise MsrnError(
            f"{self.root} holds the .npz form of the renderings, which has no surface of {object_id}: evaluate with "
            "the folder archive, the one with metadata.yaml"
        )

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        raise MsrnError(
            f"{self.root} holds the .npz form of the renderings, which has no cameras: take true poses from the folder "
            "archive, the one with metadata.yaml"
        )

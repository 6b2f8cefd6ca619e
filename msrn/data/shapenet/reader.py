"""shapenet: the renderings of Kato et al. [50] of 13 categories (§4.1), from the archive as it is published.

    ROOT/metadata.yaml                         {category id: {id: ..., name: "comma,separated"}}
    ROOT/CATEGORY/softras_{train,val,test}.lst one object a line
    ROOT/CATEGORY/OBJECT/image/0000.png ...    24 views, 64 x 64, white background
    ROOT/CATEGORY/OBJECT/mask/0000.png ...
    ROOT/CATEGORY/OBJECT/cameras.npz           world_mat_i, camera_mat_i, perhaps scale_mat_i (4, 4), i = 0..23
    ROOT/CATEGORY/OBJECT/pointcloud.npz        points, normals (P, 3), in -0.5..0.5

This is the folder archive that the code of differentiable volumetric rendering [52] published; ``shapenet_npz`` reads
the older form. Each split is packed on first use (``data.pack``). Its key is a digest of the lists and of the times at
which something was last added to, renamed in or deleted from the folders ``image`` and ``mask`` of an object, and
``cameras.npz`` written: that is noticed, and a picture that was overwritten in place is not (delete the cache then).
Opening therefore asks the disk three times per object; the images are not touched.

The frame is Unicorn's: the archive's x, toward which objects look, becomes our z. ``data check`` proves it by
projecting the true points. Test objects are seen in the view that pixelNeRF's list fixes, others in one that their
name does.
"""

import csv
import gzip
import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import yaml

from msrn.data.archives.clouds import CloudTruth, StoredCloud, centered_cloud
from msrn.data.archives.pack import Piece, Plan, Window, columns_of, content_digest, open_packed
from msrn.data.archives.poses import rows_of
from msrn.data.archives.reading import (
    SHOWN,
    exists,
    is_folder,
    listing,
    named,
    open_root,
    plain_name,
    read_bytes,
    read_names,
    unreadable,
    wrong_root,
)
from msrn.data.collection import ImageCollection
from msrn.data.shapenet import npz
from msrn.data.shapenet.files import VIEWS, read_image, read_mask, read_points, read_poses
from msrn.errors import MsrnError, first_line
from msrn.store.digest import digest_of

NAME, VERSION = "shapenet", 1  # raise the version when packing changes
CATEGORIES = {
    "02691156": "airplane", "02828884": "bench", "02933112": "cabinet", "02958343": "car", "03001627": "chair",
    "03211117": "display", "03636649": "lamp", "04401088": "phone", "04090263": "rifle", "04256520": "sofa",
    "03691459": "speaker", "04379243": "table", "04530566": "vessel",
}  # fmt: skip
SPLITS = ("train", "val", "test")
OBJECTS = 20  # of a piece of the packing
TEST_VIEWS = Path(__file__).resolve().parents[1] / "assets" / "shapenet_test_views.csv.gz"


@dataclass(frozen=True)
class Listed:
    """The objects of one category that a list file of the archive names."""

    folder: str  # the category's id
    category: str
    objects: tuple[str, ...]


def open_split(split: str, root: Path | None = None) -> ImageCollection:
    """One split of the archive in the folder ``root``, packed into the cache if it is not there yet."""
    root = open_root(NAME, root)
    if not exists(root / "metadata.yaml") and npz.is_archive(root):
        return npz.open_split(split, root, CATEGORIES)
    lists = read_lists(root, split)
    arrays = open_packed(f"{NAME}-{split}", key_of(root, split, lists), partial(_plan, root, split, lists))
    names = [f"{entry.category}/{name}" for entry in lists for name in entry.objects]
    evaluation = _evaluation_index(lists)
    return ImageCollection(
        name=NAME,
        split=split,
        **columns_of(arrays),
        masks=arrays["masks"],
        categories=tuple(entry.category for entry in lists),
        fingerprint=digest_of(NAME, VERSION, content_digest(arrays), names, evaluation.tolist()),
        evaluation_index=evaluation,
        _truth=ShapeNetTruth(root, {e.category: e.folder for e in lists}, np.array(names), arrays["pose"]),
    )


# ------------------------------------------------------------------------------------------------------------ the lists


def read_lists(root: Path, split: str, most: int = 3) -> list[Listed]:
    """The objects of a split, category by category; none may be in another split too. Of lists that are missing, empty
    or torn the message names ``most`` and counts the rest."""
    listed, torn = [], []
    for folder in read_categories(root):
        lists = {}
        for name in SPLITS:
            try:
                lists[name] = read_names(root, root / folder / f"softras_{name}.lst")
            except MsrnError as error:
                torn.append(str(error))
        if torn:
            continue
        for other in SPLITS:
            shared = sorted(set(lists[split]) & set(lists[other])) if other != split else []
            if shared:
                raise MsrnError(
                    f"{root / folder}: softras_{split}.lst and softras_{other}.lst share {len(shared)} objects, such "
                    f"as {shared[0]}: expected none"
                )
        listed.append(Listed(folder, CATEGORIES[folder], tuple(lists[split])))
    if torn:
        raise MsrnError(named(torn, most))
    return listed


def read_categories(root: Path) -> list[str]:
    """Ids of the categories of the archive, in the order of their names; further ones are named and left out."""
    if not exists(root / "metadata.yaml"):
        expected = f"metadata.yaml, or {next(iter(CATEGORIES))}_train_images.npz"
        raise wrong_root(NAME, root, expected, ["NMR_Dataset"])
    try:
        text = read_bytes(root, root / "metadata.yaml").decode("utf-8")
        content = yaml.load(text, yaml.BaseLoader)  # strings alone: without quotes 03001627 would be octal
        if not all(isinstance(entry, str) for entry in content):  # aliases of aliases would write out terabytes
            raise TypeError("an entry is not a text")
        ids = [plain_name(entry, root / "metadata.yaml") for entry in content]
    except MsrnError:
        raise
    except Exception as error:  # brackets in brackets without end are a RecursionError
        raise MsrnError(
            f"{root / 'metadata.yaml'} is not a YAML mapping of category ids ({first_line(error)})"
        ) from None
    others = [entry for entry in ids if entry not in CATEGORIES]
    if others:
        unknown = f"{', '.join(others[:5])} in {root / 'metadata.yaml'}: not among the 13 categories of Table 5"
        if len(others) == len(ids):
            raise MsrnError(f"{unknown}: expected ids such as {next(iter(CATEGORIES))}")
        print(f"{unknown}, left out", file=sys.stderr, flush=True)
    ids = sorted(set(ids) & set(CATEGORIES), key=CATEGORIES.get)
    absent = [entry for entry in ids if not is_folder(root / entry)]
    if absent:
        raise MsrnError(
            f"{root} is not a whole archive: metadata.yaml lists {len(ids)} categories, of which "
            f"{named([f'{entry} ({CATEGORIES[entry]})' for entry in absent], 5)} have no folder; found "
            f"{', '.join(listing(root)[:8])}"
        )
    if not ids:
        raise MsrnError(f"{root / 'metadata.yaml'} lists no category: expected ids such as {next(iter(CATEGORIES))}")
    return ids


def key_of(root: Path, split: str, lists: Sequence[Listed]) -> str:
    """Of the lists and the times of the folders: what of a changed archive is noticed. Names all missing objects."""
    times, absent = [], []
    for entry in lists:
        for name in entry.objects:
            folder = f"{root}/{entry.folder}/{name}"
            try:
                times += [os.stat(f"{folder}/{part}").st_mtime_ns for part in ("image", "mask", "cameras.npz")]
            except (FileNotFoundError, NotADirectoryError) as error:
                absent.append(os.path.relpath(error.filename, root))
            except OSError as error:
                raise unreadable(folder, error) from None
    if absent:
        raise MsrnError(
            f"{root} is not a whole archive: of {sum(len(e.objects) for e in lists):,} {split} objects "
            f"{len(absent):,} lack files: {named(absent, 3)}; data check names {SHOWN}"
        )
    return digest_of(NAME, VERSION, split, [(e.folder, e.objects) for e in lists], np.array(times, "<i8").tobytes())


@lru_cache(maxsize=1)
def test_views() -> dict[tuple[str, str], int]:
    """The source view of each test object, by category id and object: pixelNeRF's list."""
    try:
        with gzip.open(TEST_VIEWS, "rt", encoding="ascii") as file:
            return {(folder, name): int(view) for folder, name, view in csv.reader(file)}
    except (OSError, EOFError, ValueError) as error:
        raise MsrnError(f"{TEST_VIEWS} is torn ({error}); it is part of the package: install msrn again") from error


def evaluation_view(folder: str, name: str) -> int:
    """The view of an object by which it is evaluated; one that is not in the list gets its own by its name."""
    digest = hashlib.sha256(f"{folder}/{name}".encode()).digest()
    return test_views().get((folder, name), int.from_bytes(digest[:8], "big") % VIEWS)


def _evaluation_index(lists: Sequence[Listed]) -> np.ndarray:
    views = [evaluation_view(entry.folder, name) for entry in lists for name in entry.objects]
    return np.arange(len(views)) * VIEWS + np.array(views)


# ---------------------------------------------------------------------------------------------------------- the packing


def _plan(root: Path, split: str, lists: Sequence[Listed]) -> Plan:
    folders = [f"{root}/{entry.folder}/{name}" for entry in lists for name in entry.objects]
    names = np.array([f"{entry.category}/{name}" for entry in lists for name in entry.objects])
    groups = [folders[start : start + OBJECTS] for start in range(0, len(folders), OBJECTS)]
    return Plan(
        title=f"{NAME} {split}",
        pieces=[Piece(len(group) * VIEWS, partial(_fill, root, group)) for group in groups],
        columns={
            "category": np.repeat(np.arange(len(lists)), [len(entry.objects) * VIEWS for entry in lists]),
            "object_id": np.repeat(names, VIEWS),
            "view": np.tile(np.arange(VIEWS), len(folders)),
        },
    )


def _fill(root: Path, folders: Sequence[str], window: Window) -> None:
    rows = window(0, len(folders) * VIEWS)
    for number, folder in enumerate(folders):
        start = number * VIEWS
        rows["pose"][start : start + VIEWS] = read_poses(root, folder)
        for view in range(VIEWS):
            rows["images"][start + view] = read_image(root, folder, view)
            rows["masks"][start + view] = read_mask(root, folder, view)


# ------------------------------------------------------------------------------------------------------------ the truth


@dataclass(frozen=True, eq=False)
class ShapeNetTruth:
    """Shapes and cameras, for evaluation: points are read from the archive when they are asked for."""

    root: Path
    folder: dict[str, str]  # category -> its folder
    object_id: np.ndarray  # (M,) in the order of the packed images
    pose: np.ndarray  # (24 M, 3)

    def mesh(self, object_id: str) -> CloudTruth:
        """The object's points, centred and scaled to longest edge 1."""
        category, name = str(self.object_id[rows_of([object_id], self.object_id, self.root)][0]).split("/", 1)
        return StoredCloud(partial(_cloud, self.root, f"{self.root}/{self.folder[category]}/{name}"))

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        return np.asarray(self.pose[rows_of(object_id, self.object_id, self.root) * VIEWS + view])


@lru_cache(maxsize=32)  # 4 MB each; threads that evaluate ask for an object's twice
def _cloud(root: Path, folder: str) -> CloudTruth:
    return centered_cloud(*read_points(root, folder))

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

from msrn import camera
from msrn.data import shapenet_npz
from msrn.data.cache import digest_of
from msrn.data.clouds import CloudTruth, StoredCloud, centered_cloud
from msrn.data.collection import ImageCollection
from msrn.data.pack import SIZE, Piece, Plan, Window, content_digest, open_packed
from msrn.data.poses import angles, is_rotation, rows_of
from msrn.data.reading import (
    SHOWN,
    exists,
    is_folder,
    listing,
    named,
    open_root,
    plain_name,
    read_arrays,
    read_bytes,
    read_names,
    read_picture,
    said,
    unreadable,
    wrong_root,
)  # fmt: skip
from msrn.errors import MsrnError

NAME, VIEWS, VERSION = "shapenet", 24, 1  # raise the version when packing changes
CATEGORIES = {
    "02691156": "airplane", "02828884": "bench", "02933112": "cabinet", "02958343": "car", "03001627": "chair",
    "03211117": "display", "03636649": "lamp", "04401088": "phone", "04090263": "rifle", "04256520": "sofa",
    "03691459": "speaker", "04379243": "table", "04530566": "vessel",
}  # fmt: skip
SPLITS = ("train", "val", "test")
OBJECTS = 20  # of a piece of the packing
POINTS = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float64)  # the archive's points @ POINTS are in our frame
CAMERA = np.diag([-1.0, -1.0, 1.0])  # the archive's camera looks along z with x right and y down
NEAR = 0.05  # how far a camera may stand from where the renders of Kato et al. have it, in longest edges
TEST_VIEWS = Path(__file__).resolve().parent / "assets" / "shapenet_test_views.csv.gz"


@dataclass(frozen=True)
class Listed:
    """The objects of one category that a list file of the archive names."""

    folder: str  # the category's id
    category: str
    objects: tuple[str, ...]


def open_split(split: str, root: Path | None = None) -> ImageCollection:
    """One split of the archive in the folder ``root``, packed into the cache if it is not there yet."""
    root = open_root(NAME, root)
    if not exists(root / "metadata.yaml") and shapenet_npz.is_archive(root):
        return shapenet_npz.open_split(split, root, CATEGORIES)
    lists = read_lists(root, split)
    arrays = open_packed(f"{NAME}-{split}", key_of(root, split, lists), partial(_plan, root, split, lists))
    names = [f"{entry.category}/{name}" for entry in lists for name in entry.objects]
    evaluation = _evaluation_index(lists)
    return ImageCollection(
        name=NAME,
        split=split,
        images=arrays["images"],
        masks=arrays["masks"],
        category=arrays["category"],
        object_id=arrays["object_id"],
        view=arrays["view"],
        categories=tuple(entry.category for entry in lists),
        fingerprint=digest_of(NAME, VERSION, content_digest(arrays), names, evaluation.tolist()),
        evaluation_index=evaluation,
        _truth=ShapeNetTruth(root, {e.category: e.folder for e in lists}, np.array(names), arrays["pose"]),
    )


# ------------------------------------------------------------------------------------------------------------ the lists


def read_lists(root: Path, split: str) -> list[Listed]:
    """The objects of a split, category by category; none may be in another split too."""
    found = []
    for folder in read_categories(root):
        lists = {name: read_names(root, root / folder / f"softras_{name}.lst") for name in SPLITS}
        for other in SPLITS:
            shared = sorted(set(lists[split]) & set(lists[other])) if other != split else []
            if shared:
                raise MsrnError(
                    f"{root / folder}: softras_{split}.lst and softras_{other}.lst share {len(shared)} objects, such "
                    f"as {shared[0]}: expected none"
                )
        found.append(Listed(folder, CATEGORIES[folder], tuple(lists[split])))
    return found


def read_categories(root: Path) -> list[str]:
    """Ids of the categories of the archive, in the order of their names; further ones are named and left out."""
    if not exists(root / "metadata.yaml"):
        wanted = f"metadata.yaml, or {next(iter(CATEGORIES))}_train_images.npz"
        raise wrong_root(NAME, root, wanted, ["NMR_Dataset"])
    try:
        text = read_bytes(root, root / "metadata.yaml").decode("utf-8")
        content = yaml.load(text, yaml.BaseLoader)  # strings alone: without quotes 03001627 would be octal
        if not all(isinstance(entry, str) for entry in content):  # aliases of aliases would write out terabytes
            raise TypeError("an entry is not a text")
        ids = [plain_name(entry, root / "metadata.yaml") for entry in content]
    except MsrnError:
        raise
    except Exception as error:  # brackets in brackets without end are a RecursionError
        raise MsrnError(f"{root / 'metadata.yaml'} is not a YAML mapping of category ids ({said(error)})") from None
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


def read_image(root: Path, folder: str, view: int) -> np.ndarray:
    """(3, H, W) uint8 on white."""
    return read_picture(root, f"{folder}/image/{view:04d}.png", "RGB", (SIZE, SIZE)).transpose(2, 0, 1)


def read_mask(root: Path, folder: str, view: int) -> np.ndarray:
    """(H, W) bool. A view in which the object is too thin to be seen has none of it."""
    path = f"{folder}/mask/{view:04d}.png"
    mask = read_picture(root, path, "L", (SIZE, SIZE))
    if mask.max() == 1:
        raise MsrnError(f"{path} holds 0 and 1 alone: expected 255 where the object is and 0 elsewhere")
    return mask > 127


def read_poses(root: Path, folder: str) -> np.ndarray:
    """Azimuth, elevation and roll (24, 3) of an object's cameras."""
    return angles(read_cameras(root, folder)[0])


def read_cameras(root: Path, folder: str) -> tuple[np.ndarray, np.ndarray]:
    """R (24, 3, 3) and T (24, 3) in our frame: x_camera = x R + T for points that ``POINTS`` has turned into it.

    Cameras that look elsewhere than at the centre, or from another distance or with another lens than all of the
    renders, are refused: the network's camera would not fit them.
    """
    path = Path(folder, "cameras.npz")
    scales = [f"scale_mat_{view}" for view in range(VIEWS)]
    wanted = {f"world_mat_{view}": (None, 4) for view in range(VIEWS)} | {"camera_mat_0": (None, None)}
    lenses = {f"camera_mat_{view}": (None, None) for view in range(1, VIEWS)}
    found = read_arrays(root, path, wanted | lenses | {name: (4, 4) for name in scales}, optional=[*scales, *lenses])
    for name in wanted:
        if name.startswith("world_mat") and len(found[name]) not in (3, 4):
            raise MsrnError(f"{path}: {name} has the shape {found[name].shape}: expected (4, 4), or (3, 4)")
    world = np.stack([np.asarray(found[f"world_mat_{view}"][:3], np.float64) for view in range(VIEWS)])  # (24, 3, 4)
    if scales[0] in found:
        world = world @ np.stack([found.get(name, np.eye(4)) for name in scales])
    if not np.isfinite(world).all():
        raise MsrnError(f"{path}: a world_mat holds something else than numbers: expected a rotation and a translation")
    size = np.cbrt(np.maximum(np.linalg.det(world[:, :, :3]), 1e-12))[:, None, None]  # projections do not show it
    linear, offset = world[:, :, :3] / size, world[:, :, 3] / size[:, 0]
    if not is_rotation(linear):
        raise MsrnError(
            f"{path}: a world_mat does not turn and move points alone: expected a rotation and a translation"
        )
    away = np.abs(offset - [0, 0, camera.DISTANCE]).max(1)
    if not away.max() < NEAR:
        view = int(np.nanargmax(away))
        raise MsrnError(
            f"{path}: view {view} has the object at {offset[view].round(3).tolist()} before the camera: expected "
            f"[0, 0, {camera.DISTANCE}]"
        )
    for name in ["camera_mat_0", *(name for name in lenses if name in found)]:
        if min(found[name].shape) < 2 or not np.abs(found[name].diagonal()[:2] / camera.FOCAL - 1).max() < 0.01:
            raise MsrnError(f"{path}: {name} is another lens than that of {camera.FOCAL:.4f} in x and y")
    return POINTS.T @ linear.transpose(0, 2, 1) @ CAMERA, offset @ CAMERA


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


def read_points(root: Path, folder: str) -> tuple[np.ndarray, np.ndarray]:
    """The true points (P, 3) of an object as the archive places them, and their normals (P, 3), in our frame."""
    path = Path(folder, "pointcloud.npz")
    found = read_arrays(root, path, {"points": (None, 3), "normals": (None, 3)})
    points, normals = (found[name].astype(np.float64) @ POINTS for name in ("points", "normals"))
    if len(points) < 100 or len(points) != len(normals) or not np.isfinite(points).all():
        raise MsrnError(
            f"{path}: {len(points)} points and {len(normals)} normals: expected as many, finite, 100 or more"
        )
    if not 0.5 < np.ptp(points, 0).max() < 1.1 or np.abs(points).max() > 0.55:
        raise MsrnError(
            f"{path}: points from {points.min(0).round(2).tolist()} to {points.max(0).round(2).tolist()}: expected an "
            "object of longest edge 1 about the origin"
        )
    return points, normals

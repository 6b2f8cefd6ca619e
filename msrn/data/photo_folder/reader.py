"""folder: your own photographs. A folder whose sub-folders are categories, images of any size and kind in them.

    ROOT/CATEGORY/anything.jpg ...             or, with splits of your own,
    ROOT/{train,val,test}/CATEGORY/anything.jpg ...
    ROOT/masks/CATEGORY/anything.png ...       optional, one for every photograph, bright where the object is
    ROOT/masks/{train,val,test}/CATEGORY/...   the same beside splits of your own

Without splits of your own every tenth photograph is for validation and every fifth for testing
(``photo_folder.splits``). Photographs are turned as their EXIF data say, reduced to 128 pixels along the longer side
and padded to a square with their border's colours. Without masks the collection is raw, and the foreground module
(§3.1) makes some. With masks it is segmented already, on white. Files that are no whole image are named, counted and
left out.
There is no true shape. Reading costs some milliseconds a photograph, once; memory does not grow with their number.
"""

import hashlib
import io
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from msrn.data.archives.pack import WORKERS
from msrn.data.archives.reading import SHOWN, listing, named, open_file, open_root, wrong_root
from msrn.data.collection import ImageCollection
from msrn.data.ground_truth import GroundTruth
from msrn.data.photo_folder.splits import SPLITS, split_files
from msrn.errors import MsrnError, first_line
from msrn.store.array_cache import Make, cached_arrays
from msrn.store.digest import digest_of

NAME, VERSION = "folder", 1  # raise the version when a photograph is reduced differently
SIZE = 128
MASKS = "masks"
OF_CAMERAS = {".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"}  # counted, not read
BATCH = 256


@dataclass(frozen=True)
class Photograph:
    """A file of the folder."""

    name: str  # CATEGORY/FILE
    category: str
    path: Path
    mask: Path | None


def open_split(split: str, root: Path | None = None) -> ImageCollection:
    """One split of the photographs in the folder ``root``, reduced into the cache if they are not there yet."""
    root = open_root(NAME, root)
    categories, files = _photographs(root, split)
    if not files:
        raise MsrnError(
            f"{root}: no photograph for split {split!r} among {len(categories)} categories: add some (three in one "
            f"do), or sort them into folders {', '.join(SPLITS)} of your own"
        )
    stats = [(each.name, *_stamp(each.path), *(_stamp(each.mask) if each.mask else ())) for each in files]
    key, problems = digest_of(NAME, VERSION, SIZE, str(root.resolve()), split, stats), []
    arrays = cached_arrays(f"{NAME}-{split}", key, lambda make: problems.extend(_reduce(root, split, files, make)))
    whole = np.flatnonzero(arrays["whole"])
    if len(whole) < len(files):
        left_out = problems or [files[row].name for row in np.flatnonzero(~arrays["whole"])]
        line = f"warning: {len(left_out):,} of {len(files):,} files of {root} are left out: {named(left_out, SHOWN)}"
        print(line, file=sys.stderr, flush=True)
    if not len(whole):
        raise MsrnError(f"{root}: none of the {len(files)} files of split {split!r} is a whole image")
    photographs = [files[row] for row in whole]
    names = [each.name for each in photographs]
    return ImageCollection(
        name=NAME,
        split=split,
        images=arrays["images"][: len(whole)],
        masks=arrays["masks"][: len(whole)] if files[0].mask else None,
        category=np.array([categories.index(each.category) for each in photographs]),
        object_id=np.array(names),
        view=np.zeros(len(photographs), np.int64),
        categories=tuple(categories),
        fingerprint=digest_of(NAME, VERSION, split, categories, arrays["content"].tobytes(), names),
        evaluation_index=np.arange(len(photographs)),
        _truth=NoTruth(root),
    )


@dataclass(frozen=True)
class NoTruth:
    """Photographs of one's own have no true shapes or poses."""

    root: Path

    def mesh(self, object_id: str) -> GroundTruth:
        self._refuse()

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise MsrnError(f"{self.root} holds photographs alone: there are no true shapes or poses to measure against")


# ----------------------------------------------------------------------------------------------------------- the folder


def _photographs(root: Path, split: str) -> tuple[list[str], list[Photograph]]:
    """The categories of all splits, and the photographs of one, in the order of their names."""
    folders = [name for name in listing(root) if (root / name).is_dir() and not name.startswith(".")]
    own = set(folders) & set(SPLITS)
    if own and split not in own:
        raise MsrnError(f"{root} has folders for {', '.join(sorted(own))} and none for {split}: make one")
    bases = {name: root / name for name in own} or {split: root}
    categories = sorted({name for base in bases.values() for name in _categories(base)})
    if not categories:
        raise wrong_root(NAME, root, "a folder for each category, with photographs in them")
    masked, photographs = (root / MASKS).is_dir(), []
    folders = {category: bases[split] / category for category in categories}
    all_files = {category: _files(folder) if folder.is_dir() else [] for category, folder in folders.items()}
    files_of = all_files if own else split_files(all_files)[split]
    for category, files in all_files.items():
        masks = root / MASKS / (split if own else "") / category
        if masked:
            _check_stems(files)
        photographs += [
            Photograph(f"{category}/{path.name}", category, path, _mask(masks, path) if masked else None)
            for path in files_of[category]
        ]
    return categories, photographs


def _categories(base: Path) -> list[str]:
    """Folders that hold at least one photograph."""
    names = [name for name in listing(base) if (base / name).is_dir() and name != MASKS and not name.startswith(".")]
    return [name for name in names if _files(base / name)]


def _files(folder: Path) -> list[Path]:
    suffixes = Image.registered_extensions().keys() | OF_CAMERAS
    names = [name for name in listing(folder) if Path(name).suffix.lower() in suffixes and not name.startswith(".")]
    return [folder / name for name in names if (folder / name).is_file()]


def _check_stems(files: list[Path]) -> None:
    """Photographs that differ in their suffix alone would share a mask."""
    paths: dict[str, Path] = {}
    for path in files:
        if path.stem in paths:
            raise MsrnError(f"{path} and {paths[path.stem].name} would share a mask: give them names that differ")
        paths[path.stem] = path


def _mask(folder: Path, photograph: Path) -> Path:
    for path in (folder / f"{photograph.stem}.png", folder / photograph.name):
        if path.is_file():
            return path
    raise MsrnError(
        f"{photograph} has no mask: expected {folder / photograph.stem}.png, since there is a folder {MASKS}; add it, "
        "or take that folder away to have masks made"
    )


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise MsrnError(f"{path} cannot be read ({error.strerror or error})") from None
    return stat.st_size, stat.st_mtime_ns


# -------------------------------------------------------------------------------------------------------- the reduction


def _reduce(root: Path, split: str, files: list[Photograph], make: Make) -> list[str]:
    """Reduce the photographs of a split, whole ones together at the start of the arrays; what is wrong with others."""
    images = make("images", (len(files), 3, SIZE, SIZE), "uint8")
    masks = make("masks", (len(files), SIZE, SIZE), "bool") if files[0].mask else None
    whole, content = make("whole", (len(files),), "bool"), make("content", (16,), "uint8")
    digest, problems, row = hashlib.blake2b(digest_size=16), [], 0
    label = f"reading {root.name}/{split}"
    for number, result in enumerate(tqdm(_each(root, files), label, len(files), unit="image", mininterval=0.5)):
        if isinstance(result, MsrnError):
            problems.append(str(result))
            continue
        images[row] = result[0]
        digest.update(images[row])
        if masks is not None:
            masks[row] = result[1]
            digest.update(masks[row])
        whole[number], row = True, row + 1
    content[:] = np.frombuffer(digest.digest(), np.uint8)
    return problems


def _each(root: Path, files: list[Photograph]) -> Iterator[tuple[np.ndarray, np.ndarray | None] | MsrnError]:
    """Each photograph reduced, or what is wrong with it, in order."""

    def read(photograph: Photograph) -> tuple[np.ndarray, np.ndarray | None] | MsrnError:
        try:
            return _read(root, photograph)
        except MsrnError as error:
            return error

    waiting = iter(files)
    with ThreadPoolExecutor(WORKERS) as pool:
        while batch := list(islice(waiting, BATCH)):
            yield from pool.map(read, batch)


def _read(root: Path, photograph: Photograph) -> tuple[np.ndarray, np.ndarray | None]:
    """The photograph (3,S,S) uint8 and its mask (S,S) bool or None."""
    picture = _open(root, photograph.path)
    with _damage(photograph.path):
        image = _square(np.asarray(_colors(picture).resize(_fitting(picture.size), Image.Resampling.BOX)))
    if photograph.mask is None:
        return image.transpose(2, 0, 1), None
    mask = _open(root, photograph.mask)
    if mask.size != picture.size:
        raise MsrnError(
            f"{photograph.mask} is {mask.size[0]} x {mask.size[1]} pixels: expected {picture.size[0]} x "
            f"{picture.size[1]}, as {photograph.path.name} is"
        )
    gray = mask.convert("L").resize(_fitting(picture.size), Image.Resampling.BOX)
    inside = _square(np.asarray(gray)[..., None], 0)[..., 0] >= 128
    if not inside.any():
        raise MsrnError(f"{photograph.mask} is dark everywhere: expected 255 where the object is and 0 elsewhere")
    return np.where(inside[None], image.transpose(2, 0, 1), np.uint8(255)), inside


def _open(root: Path, path: Path) -> Image.Image:
    """The picture, turned upright."""
    with _damage(path), open_file(root, path) as file:
        picture = Image.open(io.BytesIO(file.read()))
        picture.load()
        return ImageOps.exif_transpose(picture)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """One line for whatever a damaged file makes Pillow raise."""
    try:
        yield
    except MsrnError:
        raise
    except Exception as error:  # its decoders raise anything at all
        camera = path.suffix.lower() in OF_CAMERAS
        reason = "a camera's own format: save it as JPG or PNG" if camera else first_line(error)
        raise MsrnError(f"{path} is not a whole image ({reason})") from None


def _colors(picture: Image.Image) -> Image.Image:
    """In RGB: transparent parts on white, 16 bits brought to 8."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        values = np.asarray(picture, np.float64)
        if not np.isfinite(values).all():
            raise ValueError("values that are no numbers")
        picture = Image.fromarray((values / max(values.max(), 1) * 255).clip(0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return picture.convert("RGB")


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    scale = SIZE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _square(image: np.ndarray, beyond: int | None = None) -> np.ndarray:
    """(h,w,C) in the middle of (S,S,C); beyond it the colours of the border, or one value."""
    rows, columns = SIZE - image.shape[0], SIZE - image.shape[1]
    around = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0))
    return np.pad(image, around, "edge") if beyond is None else np.pad(image, around, constant_values=beyond)

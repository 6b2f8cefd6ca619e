"""What lies in a folder of photographs: categories, splits, masks; and what of it is not read, which is always said."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from msrn.data.archives.reading import is_folder, listing, named, wrong_root
from msrn.data.photo_folder.photograph import OF_CAMERAS, SUFFIXES
from msrn.data.photo_folder.splits import SPLITS
from msrn.errors import MsrnError, printable
from msrn.paths import cache_folder, runs_folder

NAME, MASKS = "folder", "masks"
SPLIT_NAMES = {**{split: split for split in SPLITS}, "valid": "val", "validation": "val"}  # in any case of letters
LITTER = {"thumbs.db", "desktop.ini"}  # and hidden files
EXPECTED = "a folder for each category, with photographs in them"
SHOWN = 8  # folders that are named before the others are only counted


@dataclass(frozen=True)
class Photograph:
    """A file of the folder."""

    name: str  # CATEGORY/FILE
    category: str
    path: Path
    mask: Path | None
    split: str  # its owner's, or empty


@dataclass(frozen=True)
class Layout:
    """All of a folder, in the order of categories and names."""

    categories: list[str]
    photographs: list[Photograph]
    own_splits: list[str]
    masked: bool
    left_out: list[str]  # photographs that nobody can read here, and why
    unread: str  # in words: the other files that no category has


def survey(root: Path) -> Layout:
    """What lies in ``root``; ``MsrnError`` where no photograph can be told to be of a category."""
    folders = _folders(root)
    masks = _masks_folder(root, folders)
    own = _own_splits(root, [name for name in folders if name != masks])
    bases = {split: root / name for name, split in own.items()} or {"": root}
    found = {split: {n: _files(base / n) for n in _folders(base) if n != masks} for split, base in bases.items()}
    readable = {split: {n: [p for p in files if not _raw(p)] for n, files in of.items()} for split, of in found.items()}
    categories = sorted({name for of in readable.values() for name, files in of.items() if files})
    _check(root, categories, own, folders)
    photographs = [
        Photograph(printable(f"{name}/{path.name}"), printable(name), path, mask, split)
        for name in categories for split, of in readable.items()
        for path, mask in _with_masks(of.get(name, []), masks and root / masks / bases[split].relative_to(root) / name)
    ]  # fmt: skip
    raw = [path for of in found.values() for files in of.values() for path in files if _raw(path)]
    used = {str(path) for photo in photographs for path in (photo.path, photo.mask) if path} | {str(p) for p in raw}
    left_out = [f"{path} is in a camera's own format: save it as JPG or PNG" for path in raw]
    names = [printable(name) for name in categories]
    return Layout(names, photographs, sorted(own.values()), bool(masks), left_out, _unread(root, used))


def _check(root: Path, categories: list[str], own: dict[str, str], folders: list[str]) -> None:
    if not categories:
        raise wrong_root(NAME, root, EXPECTED, [name for name in folders if any(map(_files, _inside(root / name)))])
    if not own and {name.casefold() for name in categories} <= SPLIT_NAMES.keys():
        raise MsrnError(
            f"{root}: photographs lie in {', '.join(categories)} themselves: expected {categories[0]}/CATEGORY/..., "
            "or, for a category of such a name, another beside it"
        )


def _folders(base: Path) -> list[str]:
    return [name for name in listing(base) if not name.startswith(".") and is_folder(base / name)]


def _inside(base: Path) -> list[Path]:
    return [base / name for name in _folders(base)]


def _files(folder: Path) -> list[Path]:
    """The pictures that lie in a folder itself, by their suffixes."""
    names = [name for name in listing(folder) if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")]
    return [folder / name for name in names if (folder / name).is_file()]


def _raw(path: Path) -> bool:
    return path.suffix.lower() in OF_CAMERAS - Image.registered_extensions().keys()


def _masks_folder(root: Path, folders: list[str]) -> str:
    """Its name as it is written, or an empty text."""
    alike = [name for name in folders if name.casefold() == MASKS]
    if len(alike) > 1:
        raise MsrnError(f"{root} has the folders {' and '.join(alike)}: expected one for masks")
    return alike[0] if alike else ""


def _own_splits(root: Path, folders: list[str]) -> dict[str, str]:
    """Folders that are splits, with the split that each is: they hold categories. What holds photographs itself is a
    category, whatever its name."""
    own = {}
    for name in folders:
        split = SPLIT_NAMES.get(name.casefold())
        if split and _folders(root / name) and not _files(root / name):
            if split in own.values():
                raise MsrnError(f"{root} has several folders for {split}, among them {name}: expected one")
            own[name] = split
    return own


def _with_masks(files: list[Path], masks: Path | str) -> Iterator[tuple[Path, Path | None]]:
    """Photographs with their masks, of which each needs one of its own."""
    paths: dict[str, Path] = {}
    for path in files:
        if masks and path.stem in paths:
            raise MsrnError(f"{path} and {paths[path.stem].name} would share a mask: give them names that differ")
        paths[path.stem] = path
        yield path, _mask(masks, path) if masks else None


def _mask(folder: Path, photograph: Path) -> Path:
    for path in (folder / f"{photograph.stem}.png", folder / photograph.name):
        if path.is_file():
            return path
    raise MsrnError(
        f"{photograph} has no mask: expected {folder / photograph.stem}.png, since there is a folder {MASKS}; add it, "
        "or take that folder away to have masks made"
    )


def _unread(root: Path, used: set[str]) -> str:
    """Every other file, counted by folder; hidden ones and litter of other systems aside."""
    counts: Counter[str] = Counter()
    example: dict[str, str] = {}
    ours = {str(folder.resolve()) for folder in (cache_folder(), runs_folder())}
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(n for n in inner if not n.startswith(".") and os.path.join(folder, n) not in ours)
        links = [
            name for name in inner if os.path.islink(os.path.join(folder, name)) and not _leads(folder, name, used)
        ]
        for name in sorted(names) + links:
            if os.path.join(folder, name) not in used and not name.startswith(".") and name.lower() not in LITTER:
                counts[place := os.path.relpath(folder, root)] += 1
                example.setdefault(place, name)
    parts = [
        f"{count:,} in {'it' if place == '.' else place} (such as {example[place]})" for place, count in counts.items()
    ]
    return named(parts, SHOWN)


def _leads(folder: str, name: str, used: set[str]) -> bool:
    """Whether photographs were found behind a link to a folder."""
    start = os.path.join(folder, name) + os.sep
    return any(path.startswith(start) for path in used)

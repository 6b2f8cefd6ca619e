"""Photographs as the network takes them, from files of any size and kind, and the files of a folder.

As data set ``folder`` reads them: upright, 128 pixels along the longer side, in the middle of a square. A mask may come
beside a photograph or, where parts of it are transparent, in it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from msrn.data.archives.reading import listing, read_bytes
from msrn.data.photo_folder.layout import MASKS
from msrn.data.photo_folder.photograph import SIZE, SUFFIXES, fitting, reduced, squared, squared_mask, upright
from msrn.data.picture import colors
from msrn.errors import MsrnError

SHOWN = 384  # pixels along the longer side of what a sheet shows
OPAQUE = 250  # alpha from which a pixel is not transparent


@dataclass(frozen=True)
class Photograph:
    """A photograph in its square of S pixels."""

    image: np.ndarray  # (3, S, S) uint8
    mask: np.ndarray | None  # (S, S) bool, given
    inside: tuple[slice, slice]  # rows and columns that it fills; beyond are its border's colours
    shown: np.ndarray  # (h, w, 3) uint8, larger
    digest: str  # of the files

    @property
    def outside(self) -> np.ndarray:
        """The pixels (S, S) of the square beyond it."""
        beyond = np.ones(self.image.shape[1:], bool)
        beyond[self.inside] = False
        return beyond


def read(path: Path, mask: Path | None = None) -> Photograph:
    """The photograph in a file, with the mask in another one. MsrnError, one line, for what is no whole image."""
    content = _content(path)
    one = of_content(path, content)
    if mask is None:
        return one
    image, given = reduced(Path("/"), path.resolve(), mask.resolve())
    return replace(one, image=image, mask=given, digest=_digest(content + _content(mask)))


def _content(path: Path) -> bytes:
    """Of a file that the caller names: wherever a link leads."""
    real = path.resolve()
    return read_bytes(real.parent, real)


def of_content(path: Path, content: bytes) -> Photograph:
    """The photograph in the bytes of a file, which ``path`` names in errors; transparent parts are its mask."""
    picture = upright(path, content)
    image, alpha = squared(path, picture), _alpha(picture)
    shown = colors(picture)
    shown.thumbnail((SHOWN, SHOWN))
    width, height = fitting(picture.size)
    top, left = (SIZE - height) // 2, (SIZE - width) // 2
    inside = slice(top, top + height), slice(left, left + width)
    mask = None if alpha is None else squared_mask(alpha)
    return Photograph(image, mask, inside, np.asarray(shown), _digest(content))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:20]


def _alpha(picture: Image.Image) -> Image.Image | None:
    """The alpha of a picture that is transparent somewhere, and not everywhere."""
    if picture.mode not in ("RGBA", "LA", "PA") and "transparency" not in picture.info:
        return None
    alpha = picture.convert("RGBA").getchannel("A")
    least, most = alpha.getextrema()
    return alpha if least < OPAQUE <= most else None


def files_in(root: Path, without: Path | None = None) -> Iterator[Path]:
    """The photographs of a folder and its sub-folders but ``without``, in the order of their names; masks and hidden
    files are none."""
    for name in listing(root):
        path = root / name
        if name.startswith(".") or name == MASKS or path.resolve() == without:
            continue
        if path.is_dir():
            yield from files_in(path, without)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def mask_beside(masks: Path | None, photograph: Path, root: Path) -> Path | None:
    """The mask of a photograph in a folder of masks, which mirrors ``root``, or the file itself."""
    if masks is None or masks.is_file():
        return masks
    place = (masks / photograph.relative_to(root)).parent
    for file in (place / f"{photograph.stem}.png", place / photograph.name):
        if file.is_file():
            return file
    raise MsrnError(f"{photograph} has no mask: expected {place / photograph.stem}.png; add it, or leave --mask out")

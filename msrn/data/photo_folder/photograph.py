"""A photograph of any size and kind, and its mask, as the house takes them: the one place where a photograph is opened.

Upright as its EXIF data say, reduced to 128 pixels along the longer side, in the middle of a square, beyond which its
border's colours go on.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from msrn.data.archives.reading import read_bytes, why
from msrn.data.picture import colors, cover, load, mask_fault
from msrn.errors import MsrnError

SIZE = 128
OF_CAMERAS = {".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"}  # named, not read
SUFFIXES = Image.registered_extensions().keys() | OF_CAMERAS


T = TypeVar("T")


def reduced(root: Path, path: Path, mask: Path | None) -> tuple[np.ndarray, np.ndarray | None]:
    """The photograph (3,S,S) uint8, on white where a mask is given, and its mask (S,S) bool or None. MsrnError, one
    line, for what is no whole image or lies outside of ``root``; ``Unreadable`` where it cannot be read now."""
    picture, size = _opened(root, path)
    image = _converted(path, lambda: _in_square(picture, size))
    if mask is None:
        return image, None
    drawn, drawn_size = _opened(root, mask)
    if drawn_size != size:
        raise MsrnError(
            f"{mask} is {drawn_size[0]} x {drawn_size[1]} pixels: expected {size[0]} x {size[1]}, as {path.name} is"
        )
    inside = _converted(mask, lambda: _small_mask(drawn, size))
    if fault := mask_fault(inside):
        raise MsrnError(f"{mask} {fault}")
    inside = _square(inside[..., None], 0)[..., 0]
    return np.where(inside[None], image, np.uint8(255)), inside


def upright(path: Path, content: bytes) -> Image.Image:
    """The picture in the bytes of a file, turned as its EXIF data say; one of very many pixels comes smaller."""
    return _decoded(path, content)[0]


def squared(path: Path, picture: Image.Image) -> np.ndarray:
    """A picture in its square, (3,S,S) uint8."""
    return _converted(path, lambda: _in_square(picture, picture.size))


def squared_mask(gray: Image.Image) -> np.ndarray:
    """A mask in its square, (S,S) bool: where it, or the alpha of a cut-out, is at least half bright."""
    return _square(_small_mask(gray, gray.size)[..., None], 0)[..., 0]


def fitting(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture of this size in its square."""
    scale = SIZE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _opened(root: Path, path: Path) -> tuple[Image.Image, tuple[int, int]]:
    """The picture upright, and its (width, height) before it was made smaller, if it was."""
    return _decoded(path, read_bytes(root, path))


def _decoded(path: Path, content: bytes) -> tuple[Image.Image, tuple[int, int]]:
    return _converted(path, lambda: load(content, reduce=True, upright=True))


def _converted(path: Path, make: Callable[[], T]) -> T:
    """What ``make`` makes of a picture; one line for whatever a damaged file makes Pillow raise."""
    try:
        return make()
    except MemoryError:
        raise MsrnError(f"{path} needs more memory than there is: save it with fewer pixels") from None
    except Exception as error:  # its decoders raise anything at all
        camera = path.suffix.lower() in OF_CAMERAS
        reason = "a camera's own format: save it as JPG or PNG" if camera else why(error)
        raise MsrnError(f"{path} is not a whole image ({reason})") from None


def _in_square(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    small = colors(picture).resize(fitting(size), Image.Resampling.BOX)
    return _square(np.asarray(small)).transpose(2, 0, 1)


def _small_mask(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(cover(picture).resize(fitting(size), Image.Resampling.BOX)) >= 128


def _square(image: np.ndarray, beyond: int | None = None) -> np.ndarray:
    """(h,w,C) in the middle of (S,S,C); beyond it the colours of the border, or one value."""
    rows, columns = SIZE - image.shape[0], SIZE - image.shape[1]
    around = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0))
    return np.pad(image, around, "edge") if beyond is None else np.pad(image, around, constant_values=beyond)

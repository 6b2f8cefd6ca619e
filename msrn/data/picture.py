"""A picture that somebody else made: opened within bounds, its colours and, of a mask, what it covers.

Every reader opens pictures here, so that a file means the same to all. Values of more than 8 bits are divided by the
range that the file declares, never by what happens to be their largest.
"""

import io
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin
from scipy.ndimage import binary_erosion, binary_fill_holes

LARGE = 1 << 26
"""Pixels beyond which a photograph is read at a reduced size, and one at a time."""
REDUCED = 1024
"""The shorter side that such a one keeps, at least; nobody here looks at more."""
MOST = 1 << 30
"""Bytes that a decoder may hold at once."""
BORDER, ENCLOSED = 5, 4
"""A mask is only a border when nothing of it is BORDER pixels wide (of 128) and it encloses ENCLOSED times its area."""
EXPECTED = "expected 255 where the object is and 0 elsewhere"
PROGRAMS = ("EPS",)
"""Kinds that Pillow hands to another program: PostScript, which Ghostscript runs."""
ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")

Image.MAX_IMAGE_PIXELS = None  # Pillow's own bound refuses whole photographs of telephones; ``MOST`` is ours
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # 64 MiB: some cameras write megabytes of notes
_alone = Lock()


def load(content: bytes, formats: tuple[str, ...] | None = None, reduce: bool = False, upright: bool = False):
    """The picture, decoded, with 8 bits a channel, and its (width, height) as it was.

    ``reduce`` lets one of more than ``LARGE`` pixels come at a smaller size, which keeps a JPEG's cost low;
    ``upright`` turns it as its EXIF data say. Whatever a decoder raises is passed on, ``ValueError`` for what is ours.
    """
    if formats is None:
        Image.init()
        formats = tuple(kind for kind in Image.ID if kind not in PROGRAMS)
    picture = Image.open(io.BytesIO(content), formats=formats)
    size, pixels = picture.size, picture.width * picture.height
    jpeg = picture.format in ("JPEG", "MPO")
    if reduce and jpeg and pixels > LARGE:
        picture.draft(None, (REDUCED, REDUCED))
    held = pixels if picture.info.get("progressive") else picture.width * picture.height
    if held * _bytes(picture) > MOST:
        advice = "fewer pixels" if jpeg else "fewer pixels, or a JPEG,"
        raise ValueError(f"{size[0]:,} x {size[1]:,} pixels need more than 1 GiB to be read: {advice} will do")
    if pixels > LARGE:
        with _alone:
            picture = _eight_bits(_decoded(picture))
            factor = min(picture.size) // REDUCED
            picture = picture.reduce(factor) if reduce and factor > 1 and picture.mode != "P" else picture
    else:
        picture = _eight_bits(_decoded(picture))
    if not upright:
        return picture, size
    turned = picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return ImageOps.exif_transpose(picture), (size[1], size[0]) if turned else size


def colors(picture: Image.Image) -> Image.Image:
    """In RGB, transparent parts on white."""
    if _has_alpha(picture):
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def cover(picture: Image.Image) -> Image.Image:
    """A mask in grey: its alpha where that says anything, as in a cut-out, else its brightness."""
    if _has_alpha(picture):
        alpha = picture.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            return alpha
    return picture if picture.mode == "L" else picture.convert("L")


def mask_fault(inside: np.ndarray) -> str:
    """What is wrong with a mask (h, w) bool of some 128 pixels a side that holds no object, or an empty text."""
    if not inside.any():
        return f"is dark everywhere: {EXPECTED}"
    if inside.all():
        return f"covers the whole frame: {EXPECTED}"
    wide = binary_erosion(inside, np.ones((BORDER, BORDER)))
    if not wide.any() and binary_fill_holes(inside).sum() > ENCLOSED * inside.sum():
        return f"covers only a border: {EXPECTED}, all over the object"
    return ""


def _has_alpha(picture: Image.Image) -> bool:
    return picture.mode in ALPHA or "transparency" in picture.info


def _bytes(picture: Image.Image) -> int:
    """Of a decoded pixel."""
    return 4 if picture.mode in ("I", "F") else 2 if picture.mode.startswith("I;") else len(picture.getbands())


def _decoded(picture: Image.Image) -> Image.Image:
    picture.load()
    return picture


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey values of 12, 16 or 32 bits, or fractions, in 8 bits."""
    if picture.mode not in ("I", "F") and not picture.mode.startswith("I;"):
        return picture
    values, top = np.asarray(picture), _top(picture)
    if not np.isfinite(values).all():
        raise ValueError("values that are no numbers")
    if values.min() < 0 or values.max() > top:
        raise ValueError(
            f"grey values of {values.min():g} to {values.max():g}: expected 0 to {top:g}; save 8 or 16 bits"
        )
    brought = np.rint(values * (255 / np.float32(top))).astype(np.uint8)
    if getattr(picture, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        brought = 255 - brought
    made = Image.fromarray(brought)
    made.info.update({key: value for key, value in picture.info.items() if key == "exif"})
    return made


PHOTOMETRIC, WHITE_IS_ZERO, BITS, MOST_VALUE, LARGEST = 262, 0, 258, 281, 65535  # tags of TIFF


def _top(picture: Image.Image) -> float:
    """The value of white: as the file declares it, 1 of fractions, else that of 16 bits."""
    tags = getattr(picture, "tag_v2", {})
    if picture.mode == "F":
        return 1.0
    declared = tags.get(MOST_VALUE)
    if declared is not None:
        return float(np.max(declared)) or float(LARGEST)
    bits = int(np.max(tags.get(BITS, 16)))
    return float(2**bits - 1) if bits < 16 else float(LARGEST)

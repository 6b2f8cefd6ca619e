"""Pictures of every depth and size: the value that the file means, within bounds, or the reason why not."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from msrn.data import picture


def saved(image: Image.Image, kind: str = "PNG", **how) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **how)
    return content.getvalue()


def gray(content: bytes, **how) -> np.ndarray:
    return np.asarray(picture.colors(picture.load(content, **how)[0]))[..., 0]


VALUES = np.array([[0, 1000, 4095], [8000, 30000, 40000]], np.uint16)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_divided_by_257(kind):
    image = Image.fromarray(VALUES)
    found = gray(saved(image if kind != "PPM" else image.convert("I"), kind))
    np.testing.assert_array_equal(found, np.rint(VALUES / 257))


def test_a_declared_range_is_that_of_white():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[281] = 4095
    twelve = np.array([[0, 1000, 4095]], np.uint16)
    np.testing.assert_array_equal(gray(saved(Image.fromarray(twelve), "TIFF", tiffinfo=tags)), [[0, 62, 255]])


def test_twelve_packed_bits():
    """A TIFF of two pixels in three bytes, made by hand: 0x123 and 0xfff."""
    entries = [(256, 3, 2), (257, 3, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 3, 1), (279, 4, 3)]
    content = b"II*\0" + (12).to_bytes(4, "little") + b"\x12\x3f\xff\0" + len(entries).to_bytes(2, "little")
    for tag, kind, value in entries:
        content += tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little")
        content += value.to_bytes(4, "little")
    np.testing.assert_array_equal(gray(content + bytes(4)), [[round(0x123 * 255 / 4095), 255]])


def test_white_may_be_zero():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = 0
    content = saved(Image.fromarray(VALUES), "TIFF", tiffinfo=tags)
    if Image.open(io.BytesIO(content)).tag_v2[262] == 0:
        np.testing.assert_array_equal(gray(content), 255 - np.rint(VALUES / 257))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([[0.5, 873.0]], np.float32), "grey values of 0.5 to 873: expected 0 to 1"),
        (np.array([[-0.5, 0.3]], np.float32), "grey values of -0.5 to 0.3: expected 0 to 1"),
        (np.array([[0.5, np.inf]], np.float32), "values that are no numbers"),
        (np.array([[1, 70000]], np.int32), "grey values of 1 to 70000: expected 0 to 65535"),
    ],
)
def test_values_without_a_range_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        picture.load(saved(Image.fromarray(values), "TIFF"))


def test_fractions_are_of_white():
    np.testing.assert_array_equal(
        gray(saved(Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), "TIFF")), [[0, 128, 255]]
    )


def test_megabytes_of_text_are_no_reason():
    notes = PngInfo()
    notes.add_text("notes", "x" * 3_000_000, zip=True)
    assert (gray(saved(Image.new("L", (3, 2), 77), pnginfo=notes)) == 77).all()


@pytest.mark.parametrize("turned", [False, True])
def test_a_photograph_of_two_hundred_megapixels_is_read_reduced(turned):
    exif = Image.Exif()
    if turned:
        exif[0x0112] = 6
    large = Image.new("L", (20_000, 10_000), 90)
    large.paste(200, (0, 0, 10_000, 10_000))
    small, size = picture.load(saved(large, "JPEG", exif=exif, quality=50), reduce=True, upright=True)
    assert size == ((10_000, 20_000) if turned else (20_000, 10_000))
    assert picture.REDUCED <= min(small.size) <= 2 * picture.REDUCED
    shown = np.asarray(small.convert("L"))
    shown = shown if not turned else shown.T
    quarter = shown.shape[1] // 4
    assert abs(int(shown[5, quarter]) - 200) <= 2 and abs(int(shown[5, 3 * quarter]) - 90) <= 2


def test_what_needs_more_than_a_gigabyte_says_so():
    header = bytearray(saved(Image.new("RGB", (8, 4))))
    header[16:24] = (30_000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    with pytest.raises(
        ValueError, match="30,000 x 30,000 pixels need more than 1 GiB to be read: fewer pixels, or a JPEG"
    ):
        picture.load(bytes(header), reduce=True)

"""Photographs as people have them: every kind with the colours that it means, or the exact line that refuses it."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, features

from msrn.data.photo_folder.photograph import SIZE, reduced
from msrn.errors import MsrnError

LEFT, RIGHT = (200, 60, 40), (30, 90, 220)
GRAY_LEFT, GRAY_RIGHT = 99, 89  # of Pillow's L, which is ITU-R 601


def photograph(width: int = 64, height: int = 48) -> Image.Image:
    """Two colours, side by side."""
    image = Image.new("RGB", (width, height), LEFT)
    image.paste(RIGHT, (width // 2, 0, width, height))
    return image


def saved(image: Image.Image, kind: str, **how) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **how)
    return content.getvalue()


def read(tmp_path, content: bytes, name: str = "a.png") -> np.ndarray:
    (tmp_path / name).write_bytes(content)
    return reduced(tmp_path, tmp_path / name, None)[0]


def colors(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In the middle of the left and of the right half."""
    return image[:, SIZE // 2, SIZE // 4].astype(int), image[:, SIZE // 2, 3 * SIZE // 4].astype(int)


def close(found, wanted, by: int) -> bool:
    return bool(np.abs(np.subtract(found, wanted)).max() <= by)


FORMATS = {  # name -> (format, how it is saved, by how much its colours differ)
    "PNG": ("PNG", {}, 0),
    "PNG, uncompressed": ("PNG", {"compress_level": 0}, 0),
    "PNG, another profile": ("PNG", {"icc_profile": b"\0" * 128}, 0),
    "JPEG": ("JPEG", {"quality": 95}, 4),
    "JPEG, coarse": ("JPEG", {"quality": 20}, 12),
    "JPEG, progressive": ("JPEG", {"quality": 95, "progressive": True}, 4),
    "JPEG, whole colours": ("JPEG", {"quality": 95, "subsampling": 0}, 4),
    "JPEG, comment": ("JPEG", {"quality": 95, "comment": b"x" * 60_000}, 4),
    "BMP": ("BMP", {}, 0),
    "DIB": ("DIB", {}, 0),
    "GIF": ("GIF", {}, 0),
    "TIFF": ("TIFF", {}, 0),
    "TIFF, LZW": ("TIFF", {"compression": "tiff_lzw"}, 0),
    "TIFF, deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}, 0),
    "TIFF, packbits": ("TIFF", {"compression": "packbits"}, 0),
    "TIFF, JPEG": ("TIFF", {"compression": "jpeg", "quality": 95}, 6),
    "WebP": ("WEBP", {"quality": 95}, 8),
    "WebP, lossless": ("WEBP", {"lossless": True}, 0),
    "PPM": ("PPM", {}, 0),
    "TGA": ("TGA", {}, 0),
    "TGA, packed": ("TGA", {"compression": "tga_rle"}, 0),
    "PCX": ("PCX", {}, 0),
    "SGI": ("SGI", {}, 0),
    "ICO": ("ICO", {"sizes": [(64, 48)]}, 0),
    "JPEG 2000": ("JPEG2000", {}, 0),
    "MPO": ("MPO", {"quality": 95}, 4),
    "DDS": ("DDS", {}, 0),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_its_colours(tmp_path, name):
    kind, how, by = FORMATS[name]
    if kind == "JPEG2000" and not features.check("jpg_2000"):
        pytest.skip("Pillow was built without JPEG 2000")
    left, right = colors(read(tmp_path, saved(photograph(), kind, **how)))
    assert close(left, LEFT, by) and close(right, RIGHT, by)


def transparent(mode: str) -> Image.Image:
    """The right half is not there."""
    alpha = Image.new("L", (64, 48), 255)
    alpha.paste(0, (32, 0, 64, 48))
    image = photograph()
    image.putalpha(alpha)
    return image if mode == "RGBA" else image.convert(mode)


MODES = {  # name -> (picture, format, left, right)
    "L": (photograph().convert("L"), "PNG", [GRAY_LEFT] * 3, [GRAY_RIGHT] * 3),
    "L, TIFF": (photograph().convert("L"), "TIFF", [GRAY_LEFT] * 3, [GRAY_RIGHT] * 3),
    "P": (photograph().quantize(4), "PNG", LEFT, RIGHT),
    "RGBA": (transparent("RGBA"), "PNG", LEFT, [255] * 3),
    "RGBA, WebP": (transparent("RGBA"), "WEBP", LEFT, [255] * 3),
    "RGBA, TIFF": (transparent("RGBA"), "TIFF", LEFT, [255] * 3),
    "LA": (transparent("LA"), "PNG", [GRAY_LEFT] * 3, [255] * 3),
    "CMYK, TIFF": (photograph().convert("CMYK"), "TIFF", LEFT, RIGHT),
    "1": (Image.fromarray(np.tile(np.arange(64) < 32, (48, 1))), "PNG", [255] * 3, [0] * 3),
    "1, TIFF": (Image.fromarray(np.tile(np.arange(64) < 32, (48, 1))), "TIFF", [255] * 3, [0] * 3),
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_shows_its_colours(tmp_path, name):
    image, kind, *wanted = MODES[name]
    how = {"lossless": True} if kind == "WEBP" else {}
    left, right = colors(read(tmp_path, saved(image, kind, **how)))
    assert close(left, wanted[0], 2) and close(right, wanted[1], 2)


def test_a_palette_with_a_transparent_colour_lies_on_white(tmp_path):
    image = photograph().quantize(4)
    right = image.getpixel((60, 5))
    left, shown = colors(read(tmp_path, saved(image, "PNG", transparency=right)))
    assert close(left, LEFT, 2) and close(shown, 255, 0)


HALVES = np.tile(np.where(np.arange(64) < 32, 1.0, 0.25), (48, 1))
DEPTHS = {  # name -> (values of white, what is saved, the tag of the largest value)
    "16 bits": (65535, np.uint16, "PNG", None),
    "16 bits, dark": (20_000, np.uint16, "PNG", None),
    "16 bits, TIFF": (65535, np.uint16, "TIFF", None),
    "12 bits of 16, declared": (4095, np.uint16, "TIFF", 4095),
    "10 bits of 16, declared": (1023, np.uint16, "TIFF", 1023),
    "16 bits, PGM": (65535, np.int32, "PPM", None),
    "32 bits of 16": (65535, np.int32, "TIFF", None),
    "fractions": (1.0, np.float32, "TIFF", None),
    "fractions, dark": (0.5, np.float32, "TIFF", None),
}


@pytest.mark.parametrize("name", DEPTHS)
def test_every_depth_has_its_white(tmp_path, name):
    top, kind, file, declared = DEPTHS[name]
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if declared:
        tags[281] = declared
    how = {"tiffinfo": tags} if file == "TIFF" else {}
    image = Image.fromarray((HALVES * top).astype(kind))
    left, right = colors(read(tmp_path, saved(image, file, **how), "a.tif"))
    white = declared or (1.0 if kind is np.float32 else 65535)
    assert close(left, 255 * top / white, 1) and close(right, 255 * top * 0.25 / white, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_every_way_to_hold_a_camera(tmp_path, orientation, kind):
    """A picture that stands upright when it is turned as its EXIF data say: its first quarter is bright."""
    upright = np.zeros((64, 64), np.uint8)
    upright[:32, :32] = 250
    turns = [lambda a: a, np.fliplr, lambda a: np.rot90(a, 2), np.flipud, np.transpose]
    turns += [np.rot90, lambda a: np.rot90(a, 2).T, lambda a: np.rot90(a, -1)]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(turns[orientation - 1](upright)))
    shown = read(tmp_path, saved(image, kind, exif=exif))[0].astype(int)
    quarters = [shown[at : at + 20, to : to + 20].mean() for at in (20, 88) for to in (20, 88)]
    assert quarters[0] > 200 and max(quarters[1:]) < 50


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_of_several_pictures_in_a_file_the_first_is_seen(tmp_path, kind):
    others = [Image.new("RGB", (64, 48), "black") for _ in range(3)]
    how = {"lossless": True} if kind == "WEBP" else {}
    left, right = colors(read(tmp_path, saved(photograph(), kind, save_all=True, append_images=others, **how)))
    assert close(left, LEFT, 1) and close(right, RIGHT, 1)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 900), (5000, 3), (128, 128), (127, 129), (3000, 2000)])
def test_every_size_fills_its_square(tmp_path, size):
    image = read(tmp_path, saved(Image.new("RGB", size, LEFT), "PNG"))
    assert image.shape == (3, SIZE, SIZE) and close(image.transpose(1, 2, 0), LEFT, 0)


@pytest.mark.parametrize("name", ["a.JPG", "a.jpeg", "a.bmp", "a.tiff", "a.webp"])
def test_a_files_content_says_what_it_is(tmp_path, name):
    left, right = colors(read(tmp_path, saved(photograph(), "PNG"), name))
    assert close(left, LEFT, 0) and close(right, RIGHT, 0)


def refusal(tmp_path, content: bytes, name: str = "a.png") -> str:
    with pytest.raises(MsrnError) as caught:
        read(tmp_path, content, name)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / name} ") and "\n" not in said
    return said.removeprefix(f"{tmp_path / name} ")


NOTHING = {
    "empty": b"",
    "text": b"this is no picture",
    "a page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "zeros": bytes(5000),
    "a signature alone": b"\x89PNG\r\n\x1a\n",
    "video": b"\0\0\0\x18ftypmp42" + bytes(200),
    "half a signature": b"\xff\xd8",
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_is_no_picture_is_said(tmp_path, name):
    assert refusal(tmp_path, NOTHING[name]) == "is not a whole image (it is of another kind)"


@pytest.mark.parametrize("name", ["a.cr2", "a.CR3", "a.nef", "a.arw", "a.dng", "a.heic", "a.HEIF", "a.orf"])
def test_cameras_own_formats_are_said(tmp_path, name):
    wanted = "is not a whole image (a camera's own format: save it as JPG or PNG)"
    assert refusal(tmp_path, b"II*\0" + bytes(50), name) == wanted


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM"])
def test_half_a_file_is_no_whole_image(tmp_path, kind, share):
    noise = Image.effect_noise((90, 70), 60).convert("RGB")
    content = saved(noise, kind)
    assert refusal(tmp_path, content[: int(share * len(content))]).startswith("is not a whole image (")


FAULTY = {
    "no numbers": (np.array([[0.5, np.nan]], np.float32), "values that are no numbers"),
    "without end": (np.array([[0.5, np.inf]], np.float32), "values that are no numbers"),
    "metres": (np.array([[0.5, 80.0]], np.float32), "grey values of 0.5 to 80: expected 0 to 1; save 8 or 16 bits"),
    "below zero": (np.array([[-3, 9]], np.int32), "grey values of -3 to 9: expected 0 to 65535; save 8 or 16 bits"),
    "17 bits": (np.array([[0, 2**17]], np.int32), "grey values of 0 to 131072: expected 0 to 65535; save 8 or 16 bits"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_values_without_a_meaning_are_said(tmp_path, name):
    values, reason = FAULTY[name]
    assert refusal(tmp_path, saved(Image.fromarray(values), "TIFF"), "a.tif") == f"is not a whole image ({reason})"


@pytest.mark.parametrize("side", [50_000, 10**6])
def test_what_claims_too_much_is_said(tmp_path, side):
    content = bytearray(saved(photograph(), "PNG"))
    content[16:24] = side.to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    wanted = f"{side:,} x {side:,} pixels need more than 1 GiB to be read: fewer pixels, or a JPEG, will do"
    assert refusal(tmp_path, bytes(content)) == f"is not a whole image ({wanted})"

"""Masks as tools write them: where the object is, or the exact line that refuses them."""

import numpy as np
import pytest
from PIL import Image

from msrn.data.photo_folder.photograph import SIZE, reduced
from msrn.errors import MsrnError

SIDE = 64
INSIDE = np.zeros((SIDE, SIDE), np.uint8)
INSIDE[16:48, 8:40] = 255
WANTED = np.kron(INSIDE == 255, np.ones((SIZE // SIDE, SIZE // SIDE), bool))
WHITE, BLACK, FULL = (np.full((SIDE, SIDE, 3), value, np.uint8) for value in (255, 0, 255))
NOISE = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)


def layers(*arrays: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack(arrays))


def palette(*colors: int) -> Image.Image:
    image = Image.fromarray((INSIDE // 255).astype(np.uint8)).convert("P")
    image.putpalette(list(colors))
    return image


MASKS = {  # name -> (picture, file, how it is saved)
    "grey": (Image.fromarray(INSIDE), "m.png", {}),
    "grey, soft": (Image.fromarray(np.where(INSIDE, 200, 40).astype(np.uint8)), "m.png", {}),
    "two values": (Image.fromarray(INSIDE).convert("1"), "m.png", {}),
    "colours": (Image.fromarray(INSIDE).convert("RGB"), "m.png", {}),
    "16 bits": (Image.fromarray(INSIDE.astype(np.uint16) * 257), "m.png", {}),
    "fractions": (Image.fromarray((INSIDE / 255).astype(np.float32)), "m.tif", {}),
    "palette": (palette(0, 0, 0, 255, 255, 255), "m.png", {}),
    "palette of bright classes": (palette(0, 0, 0, 255, 220, 80), "m.png", {}),
    "palette, transparent around": (palette(90, 90, 90, 10, 10, 10), "m.png", {"transparency": 0}),
    "bitmap": (Image.fromarray(INSIDE), "m.bmp", {}),
    "GIF": (Image.fromarray(INSIDE), "m.gif", {}),
    "TIFF": (Image.fromarray(INSIDE), "m.tif", {}),
    "JPEG": (Image.fromarray(INSIDE), "m.jpg", {"quality": 95}),
    "WebP": (Image.fromarray(INSIDE).convert("RGB"), "m.webp", {"lossless": True}),
    "cut-out": (layers(NOISE, INSIDE), "m.png", {}),
    "cut-out of something dark": (layers(BLACK, INSIDE), "m.png", {}),
    "cut-out of something white": (layers(WHITE, INSIDE), "m.png", {}),
    "cut-out with soft edges": (layers(NOISE, np.where(INSIDE, 230, 20).astype(np.uint8)), "m.png", {}),
    "cut-out, WebP": (layers(NOISE, INSIDE), "m.webp", {"lossless": True, "exact": True}),
    "cut-out, TIFF": (layers(NOISE, INSIDE), "m.tif", {}),
    "cut-out in grey": (Image.fromarray(np.dstack([NOISE[..., 0], INSIDE]), "LA"), "m.png", {}),
    "opaque": (layers(np.repeat(INSIDE[..., None], 3, 2), FULL[..., 0]), "m.png", {}),
    "opaque in grey": (Image.fromarray(np.dstack([INSIDE, FULL[..., 0]]), "LA"), "m.png", {}),
}


def read(tmp_path, mask: Image.Image, name: str = "m.png", **how) -> np.ndarray:
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    mask.save(tmp_path / name, **how)
    image, inside = reduced(tmp_path, tmp_path / "a.png", tmp_path / name)
    assert (image.transpose(1, 2, 0)[~inside] == 255).all()
    return inside


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_is_where_the_object_is(tmp_path, name):
    image, file, how = MASKS[name]
    assert np.array_equal(read(tmp_path, image, file, **how), WANTED)


def test_a_mask_is_turned_like_its_photograph(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    assert np.array_equal(read(tmp_path, Image.fromarray(INSIDE), exif=exif), WANTED[::-1, ::-1])


def frame(thick: int, inset: int) -> Image.Image:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[inset : SIDE - inset, inset : SIDE - inset] = 255
    mask[inset + thick : SIDE - inset - thick, inset + thick : SIDE - inset - thick] = 0
    return Image.fromarray(mask)


EXPECTED = "expected 255 where the object is and 0 elsewhere"
WRONG = {
    "nothing": (Image.new("L", (SIDE, SIDE)), f"is dark everywhere: {EXPECTED}"),
    "ones": (Image.fromarray(INSIDE // 255), f"is dark everywhere: {EXPECTED}"),
    "dark classes": (palette(0, 0, 0, 128, 0, 0), f"is dark everywhere: {EXPECTED}"),
    "transparent": (layers(WHITE, BLACK[..., 0]), f"is dark everywhere: {EXPECTED}"),
    "a whole frame": (Image.new("L", (SIDE, SIDE), 255), f"covers the whole frame: {EXPECTED}"),
    "an opaque white layer": (layers(WHITE, FULL[..., 0]), f"covers the whole frame: {EXPECTED}"),
    "an edge": (frame(1, 0), f"covers only a border: {EXPECTED}, all over the object"),
    "an outline": (frame(1, 12), f"covers only a border: {EXPECTED}, all over the object"),
    "a small one": (Image.fromarray(INSIDE).resize((32, 32)), "is 32 x 32 pixels: expected 64 x 64, as a.png is"),
    "a wide one": (Image.new("L", (65, 64), 255), "is 65 x 64 pixels: expected 64 x 64, as a.png is"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mask_of_no_object_is_said(tmp_path, name):
    image, said = WRONG[name]
    with pytest.raises(MsrnError) as caught:
        read(tmp_path, image)
    assert str(caught.value) == f"{tmp_path / 'm.png'} {said}"


def test_half_a_mask_is_said(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    Image.fromarray(NOISE).save(tmp_path / "m.png")
    content = (tmp_path / "m.png").read_bytes()
    (tmp_path / "m.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(MsrnError) as caught:
        reduced(tmp_path, tmp_path / "a.png", tmp_path / "m.png")
    assert str(caught.value).startswith(f"{tmp_path / 'm.png'} is not a whole image (")

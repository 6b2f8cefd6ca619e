"""The page's answer to whatever is sent: a result, or one line of MsrnError."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from msrn.errors import MsrnError
from msrn.reconstruct import demo
from msrn.reconstruct.reconstructor import Reconstructor

KINDS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX", "SGI", "IM", "DDS", "EPS", "PDF")
NAMES = (
    "", ".", "..", "/", "../../etc/passwd", "a\0b.png", "a\nb.png", "\x1b[31mred", "<script>alert(1)</script>.png",
    "стул.png", "椅子", "\udcff.png", "C:\\x\\y.png", "a" * 5000, "con", "%2e%2e%2f", " ", "a.eps", ".png",
)  # fmt: skip
THRESHOLDS = ("0.5", "", "nan", "inf", "-1", "1", "0", "1e999", "0,5", "0x1", "٠.٥", "\0", "9" * 9999, "0.7", "1e-9")
RESULT = {"name", "line", "photograph", "mask", "glb"}


@pytest.fixture(scope="module")
def maker(network, pictures) -> Reconstructor:
    """It has answered once: Numba keeps what it has compiled, machine code, with an index that it unpickles."""
    maker = Reconstructor(network)
    assert answered(maker, sent(pictures[0]))
    return maker


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    """A photograph in many kinds."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    made = []
    for kind in KINDS:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind)
        made.append(file.getvalue())
    return made


def answered(maker, given, threshold="0.5") -> bool:
    """Whether there was a result; a line otherwise."""
    try:
        made = demo.answer(maker, given, threshold)
    except MsrnError as error:
        said = str(error)
        assert said and said.isprintable() and len(said) < 500, said
        return False
    assert made.keys() == RESULT and made["name"].isprintable() and "/" not in made["name"]
    return True


def sent(content: bytes, name: str = "box.png") -> list:
    return [SimpleNamespace(filename=name, body=content)]


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes of a picture, changed in the header, somewhere, cut, or repeated."""
    changed = bytearray(content)
    for place in rng.integers(
        0, min(len(content), int(rng.choice([32, 200, 10**9]))), int(rng.integers(1, 9))
    ).tolist():
        changed[place] = int(rng.choice([0, 1, 127, 128, 255, rng.integers(256)]))
    end = int(rng.integers(1, len(changed) + 1)) if rng.random() < 0.3 else len(changed)
    return bytes(changed[:end]) * int(rng.integers(1, 3))


def test_bytes_of_any_kind(maker, no_unpickling):
    rng = np.random.default_rng(1)
    for length in (0, 1, 2, 10, 100, 1000, 50_000):
        assert not answered(maker, sent(rng.bytes(length)))


def test_damaged_pictures(maker, pictures, no_unpickling):
    """Some are still pictures."""
    rng, results = np.random.default_rng(2), []
    for _ in range(8):
        results += [answered(maker, sent(damaged(content, rng))) for content in pictures]
    assert 10 < sum(results) < len(results) - 10


@pytest.mark.parametrize("name", NAMES)
def test_odd_names(maker, pictures, name):
    assert answered(maker, sent(pictures[0], name))
    assert not answered(maker, sent(b"torn", name))


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_odd_thresholds(maker, pictures, threshold):
    try:
        right = 0 < float(threshold) < 1
    except ValueError:
        right = False
    assert answered(maker, sent(pictures[0]), threshold) == right


@pytest.mark.parametrize("count", [0, 2, 1000])
def test_another_number_of_photographs(maker, pictures, count):
    assert not answered(maker, sent(pictures[0]) * count)

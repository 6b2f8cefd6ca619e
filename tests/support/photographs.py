"""Photographs without masks, settings small enough for a second, and a network file made by hand."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from msrn.profiles import make_settings
from msrn.settings import Settings

TINY = {
    "cue_size": 64, "cue_steps": 8, "cue_batch_size": 3, "cue_learning_rate": 1e-3, "memory_slots": 5,
    "memory_momentum": 0.5, "prototypes": 3, "neighbor_prototypes": 2, "foreground_confidence": 0.3,
}  # fmt: skip


def tiny(**overrides) -> Settings:
    return make_settings({**TINY, **overrides})


@dataclass(frozen=True, eq=False)
class Photographs:
    """The part of an ImageCollection that the foreground module may look at."""

    images: np.ndarray
    category: np.ndarray
    categories: tuple[str, ...]
    name: str = "photographs"
    split: str = "train"
    fingerprint: str = "photographs"
    masks: np.ndarray | None = None
    masks_from: str = "of the data set"
    origin: str = ""
    _true_masks: np.ndarray | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def has_true_masks(self) -> bool:
        return self._true_masks is not None

    def true_masks(self) -> np.ndarray:
        if self._true_masks is None:
            raise AssertionError("a true mask was read")
        return self._true_masks


def photographs(count: int = 7, categories: int = 3, shape: tuple[int, int] = (37, 91), **more) -> Photographs:
    """Bright rectangles of the category's colour on noise; the last category of several has no image."""
    rng = np.random.default_rng(0)
    category = np.arange(count) % max(1, categories - 1)
    images = rng.integers(0, 120, (count, 3, *shape), np.uint8)
    top, left = shape[0] // 4, shape[1] // 4
    for image, term in zip(images, category, strict=True):
        image[term % 3, top : -top or None, left : -left or None] = 255
    return Photographs(images, category, tuple(f"kind {i}" for i in range(categories)), **more)


def bright(images: np.ndarray) -> np.ndarray:
    """Stand-in for M_o (N,H,W) bool: where any channel is saturated."""
    return (images == 255).any(1)


# --------------------------------------------------------------------------------------------------- ONNX, byte by byte


FLOAT, DOUBLE = 1, 11  # ONNX's numbers for element types


def onnx_file(
    path: Path, given=(1, 3, 320, 320), made=(1, 1, 320, 320), operator: str = "ReduceMean", kind: int = FLOAT
) -> Path:
    """An ONNX file of one node that reduces the channels of its input: U2-Net's shapes in no time."""
    node = _text(1, "x") + _text(2, "y") + _text(4, operator)
    node += _message(5, _text(1, "axes") + _number(8, 1) + _number(20, 7))
    graph = (
        _message(1, node)
        + _text(2, "g")
        + _message(11, _value("x", given, kind))
        + _message(12, _value("y", made, kind))
    )
    path.write_bytes(_number(1, 8) + _message(7, graph) + _message(8, _text(1, "") + _number(2, 13)))
    return path


def _value(name: str, shape: tuple, kind: int) -> bytes:
    sides = b"".join(_message(1, _number(1, n) if isinstance(n, int) else _text(2, n)) for n in shape)
    return _text(1, name) + _message(2, _message(1, _number(1, kind) + _message(2, sides)))


def _varint(value: int) -> bytes:
    rest, low = value >> 7, value & 127
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


def _message(tag: int, content: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(content)) + content


def _text(tag: int, content: str) -> bytes:
    return _message(tag, content.encode())

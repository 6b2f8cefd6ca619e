"""What ``data check`` asks of an archive's reader: what is there, what of it cannot be read, and what can be proved."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from scipy.ndimage import binary_closing, binary_dilation

from msrn import camera
from msrn.errors import MsrnError

FINE = 4  # points are drawn this much finer than the mask, and their gaps closed, before both are compared

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One category of one split; each of ``units`` reads some of its files and gives what is wrong with them."""

    split: str
    category: str
    count: int
    images: int
    units: Sequence[Callable[[], list[str]]]
    published: int | None = None  # how many there should be, where that is known


class Proof(NamedTuple):
    """A convention that was tried on a sample of the archive: what came out, in words, and whether it holds; None for
    a note, of what cannot be proved or may differ."""

    text: str
    holds: bool | None


@dataclass(frozen=True)
class Survey:
    form: str  # which of the published forms it is, and how its splits were made
    counted: str  # what ``Part.count`` counts
    parts: Sequence[Part]
    proofs: Callable[[], Iterator[Proof]]
    left_out: Sequence[str] = ()  # what is wrong with each photograph that is not among the parts for it
    torn: Sequence[str] = ()  # what is wrong with files that would have said what belongs to the parts
    unread: Sequence[str] = ()  # what lies in the archive and belongs to no split, and why


def problems_of(readers: Sequence[Callable[[], object]]) -> list[str]:
    """What is wrong with the files that ``readers`` read, one file each."""
    problems = []
    for reader in readers:
        try:
            reader()
        except MsrnError as error:
            problems.append(str(error))
    return problems


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of ``items``, evenly spread."""
    return [items[place] for place in np.linspace(0, len(items) - 1, min(count, len(items))).astype(int)]


def iou_proof(convention: str, overlaps: Sequence[float], things: str, least: float) -> Proof:
    """Whether the mean IoU of a sample is above ``least``."""
    mean = float(np.mean(overlaps)) if overlaps else 0.0
    words = f"{convention} with a mean IoU of {mean:.3f} over {len(overlaps)} {things}, the least "
    return Proof(f"{words}{min(overlaps, default=0):.3f} (expected above {least})", mean > least)


def points_mask(points: np.ndarray, rotation: np.ndarray, translation: np.ndarray, size: int) -> np.ndarray:
    """The mask (H, W) of points (P, 3) on a surface through our camera R (3, 3), T (3,)."""
    arrays = (torch.from_numpy(np.ascontiguousarray(array, np.float64)) for array in (points, rotation, translation))
    projected = camera.project(*(array[None] for array in arrays))[0].numpy()
    return dots_mask(projected[projected[:, 2] > 0, :2], size)


def dots_mask(dots: np.ndarray, size: int) -> np.ndarray:
    """The mask (H, W) of many dots (P, 2) in -1..1 across the image."""
    pixel = np.floor((dots + 1) / 2 * size * FINE).astype(int)
    pixel = pixel[((pixel >= 0) & (pixel < size * FINE)).all(1)]
    hit = np.zeros((size * FINE, size * FINE), bool)
    hit[pixel[:, 1], pixel[:, 0]] = True
    return binary_closing(hit, np.ones((3, 3))).reshape(size, FINE, size, FINE).mean((1, 3)) >= 0.5


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((one & other).sum() / max(1, (one | other).sum()))


def white_outside(image: np.ndarray, mask: np.ndarray) -> float:
    """The share of pixels of an image (3, H, W) that are white, away from its mask (H, W)."""
    outside = ~binary_dilation(mask, np.ones((3, 3)))
    return float((image.min(0)[outside] >= 250).mean()) if outside.any() else 1.0

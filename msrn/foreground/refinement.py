"""Refined masks (Eq. 18), segmented images (Eq. 19), and the frame that the network sees them in.

The object is cut out with its mask's box, a margin and white around it, as the crops of the real data sets are that
come with a box for every object; a raw photograph has none. So a false region in a mask costs more than its pixels.
"""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional

MARGIN = 1.2
"""Side of the square that is cut out, in longest sides of the mask's box; 1.2 is the margin for Pix3D."""
CUE_SHARE = 0.3
"""Weight w of the cue where it and M_o are weighed. The paper only removes; weights near this one do alike."""
LEAST_PART = 0.1
"""A connected region of the mask counts for the box when it has at least this share of the largest one's area."""


class Cut(NamedTuple):
    """Images of a collection as the network sees them."""

    images: np.ndarray  # (N,3,S,S) uint8, on white
    masks: np.ndarray  # (N,S,S) bool
    true_masks: np.ndarray  # (N,S,S) bool, cut alike


def stretch(cue: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cues (N,h,w) enlarged to ``size`` and stretched to 0..1, each by its own least and largest value: (N,H,W).

    A cue of one value says nothing; it becomes 1, so that nothing is removed.
    """
    enlarged = functional.interpolate(torch.from_numpy(cue.astype(np.float32))[:, None], size, mode="bilinear")[:, 0]
    low, high = enlarged.amin((1, 2), keepdim=True), enlarged.amax((1, 2), keepdim=True)
    return torch.where(high > low, (enlarged - low) / (high - low).clamp_min(1e-6), 1.0).numpy()


def refine(coarse: np.ndarray, cue: np.ndarray, threshold: float) -> np.ndarray:
    """Eq. 18: M^s is M_o where M_f >= lambda and 0 elsewhere. (N,H,W) bool, (N,H,W) in 0..1 -> (N,H,W) bool."""
    return coarse & (cue >= threshold)


def weighed(soft: np.ndarray, cue: np.ndarray) -> np.ndarray:
    """In place of Eq. 18: (1 - w) M_o + w M_f in 0..1, with M_o soft, uint8; M^s is where it is at least one half.
    (N,H,W) twice -> (N,H,W).

    With w below one half the cue decides only where the network behind M_o is undecided: it can neither take away what
    that is sure of, as Eq. 18 does with every error of a coarse cue, nor leave out what both half believe.
    """
    return (1 - CUE_SHARE) * (soft / np.float32(255)) + CUE_SHARE * cue


def cut_out(images: np.ndarray, masks: np.ndarray, true_masks: np.ndarray, size: int) -> Cut:
    """Segmented images and their masks in the frame of each mask's box; the whole frame where a mask is empty.

    Eq. 19 on white instead of black, since the renderer's background is white. (N,3,H,W) uint8, (N,H,W) bool twice.
    """
    boxes = [square_box(mask) for mask in masks]
    colors = np.where(masks[:, None], images, np.uint8(255))

    def cut(pictures: np.ndarray, outside: int) -> np.ndarray:
        return np.stack([_resized(picture, box, size, outside) for picture, box in zip(pictures, boxes, strict=True)])

    shapes = (cut(255 * mask[:, None].astype(np.uint8), 0)[:, 0] >= 128 for mask in (masks, true_masks))
    return Cut(cut(colors, 255), *shapes)


def square_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Left, top, right, bottom, in pixels, of the square around a mask (H,W); it may reach beyond the image."""
    parts, count = ndimage.label(mask, np.ones((3, 3)))  # a thin slanting leg is one part
    if not count:
        return 0.0, 0.0, float(mask.shape[1]), float(mask.shape[0])
    areas = np.bincount(parts.ravel())[1:]
    large = np.flatnonzero(areas >= LEAST_PART * areas.max()) + 1
    rows, columns = np.nonzero(np.isin(parts, large))
    left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    half = MARGIN * max(right - left, bottom - top) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    return x - half, y - half, x + half, y + half


def _resized(image: np.ndarray, box: tuple[float, float, float, float], size: int, outside: int) -> np.ndarray:
    """The part ``box`` of an image (C,H,W) uint8 as (C,size,size), ``outside`` beyond its border; antialiased."""
    pad = int(np.ceil(max(0.0, -box[0], -box[1], box[2] - image.shape[2], box[3] - image.shape[1])))
    wide = np.pad(image, ((0, 0), (pad, pad), (pad, pad)), constant_values=outside)
    box = tuple(edge + pad for edge in box)
    channels = [Image.fromarray(channel).resize((size, size), Image.Resampling.BILINEAR, box) for channel in wide]
    return np.stack([np.asarray(channel) for channel in channels])

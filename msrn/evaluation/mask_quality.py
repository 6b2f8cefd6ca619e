"""How good masks are, against the true ones. Evaluation only."""

import numpy as np
from scipy import ndimage

TOLERANCE = 1 / 64
"""Distance, in sides of the image, within which two outlines agree: 2 pixels of 128."""


def mask_quality(masks: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    """``iou``, ``precision``, ``recall`` and ``boundary_f`` of each of N masks, (N,) in 0..1; (N,H,W) bool twice.

    A ratio of nothing to nothing, such as the precision of an empty mask, is 1 where the truth is empty too, else 0.
    """
    both, either = (masks & true).sum((1, 2)), (masks | true).sum((1, 2))
    return {
        "iou": _ratio(both, either, either == 0),
        "precision": _ratio(both, masks.sum((1, 2)), ~true.any((1, 2))),
        "recall": _ratio(both, true.sum((1, 2)), ~masks.any((1, 2))),
        "boundary_f": np.array([boundary_f(*pair) for pair in zip(masks, true, strict=True)]),
    }


def boundary_f(mask: np.ndarray, true: np.ndarray) -> float:
    """F-score of outlines (H,W): the shares of each that lie within ``TOLERANCE`` of the other, harmonic mean.

    An empty or a full mask has no outline; it agrees with its equal alone.
    """
    ours, theirs = outline(mask), outline(true)
    if not ours.any() or not theirs.any():
        return float(np.array_equal(mask, true))
    reach = TOLERANCE * max(mask.shape)
    precision = (ndimage.distance_transform_edt(~theirs)[ours] <= reach).mean()
    recall = (ndimage.distance_transform_edt(~ours)[theirs] <= reach).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def outline(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask (H,W) with a side toward the rest; the border of the image is no side."""
    return mask & ~ndimage.binary_erosion(mask, border_value=1)


def _ratio(part: np.ndarray, whole: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), otherwise.astype(float))

"""Quality of masks by hand and against a boundary F that compares every pixel with every other."""

import math

import numpy as np
import pytest

from msrn.evaluation.masks import TOLERANCE, boundary_f, mask_quality, outline

EMPTY, FULL = np.zeros((8, 8), bool), np.ones((8, 8), bool)


def square(size: int, top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def slow_outline(mask: np.ndarray) -> list[tuple[int, int]]:
    height, width = mask.shape
    beside = lambda i, j: [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]  # noqa: E731
    return [
        (i, j)
        for i in range(height)
        for j in range(width)
        if mask[i, j] and any(0 <= y < height and 0 <= x < width and not mask[y, x] for y, x in beside(i, j))
    ]


def slow_boundary_f(mask: np.ndarray, true: np.ndarray) -> float:
    ours, theirs = slow_outline(mask), slow_outline(true)
    if not ours or not theirs:
        return float((mask == true).all())
    reach = TOLERANCE * max(mask.shape)
    near = lambda points, others: sum(any(math.dist(p, o) <= reach for o in others) for p in points)  # noqa: E731
    precision, recall = near(ours, theirs) / len(ours), near(theirs, ours) / len(theirs)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def test_overlap_by_hand():
    mask, true = square(8, 0, 0, 4), square(8, 2, 0, 4)  # 16 pixels each, 8 in common
    found = mask_quality(mask[None], mask[None], true[None])
    assert found["iou"].tolist() == pytest.approx([8 / 24])
    assert found["precision"].tolist() == found["recall"].tolist() == [0.5]
    part = mask_quality(square(8, 0, 0, 2)[None], mask[None], mask[None])
    assert (part["precision"].item(), part["recall"].item(), part["iou"].item()) == (1.0, 0.25, 0.25)
    assert (part["removed_rightly"].item(), part["removed_wrongly"].item()) == (0.0, 0.75)


@pytest.mark.parametrize(
    ("mask", "true", "expected"),  # IoU, precision, recall, boundary F
    [
        (EMPTY, EMPTY, (1, 1, 1, 1)),
        (FULL, FULL, (1, 1, 1, 1)),
        (FULL, EMPTY, (0, 0, 0, 0)),
        (EMPTY, FULL, (0, 0, 0, 0)),
        (EMPTY, square(8, 1, 1, 3), (0, 0, 0, 0)),
        (square(8, 1, 1, 3), EMPTY, (0, 0, 0, 0)),
        (FULL, square(8, 0, 0, 4), (0.25, 0.25, 1, 0)),
    ],
)
def test_nothing_and_everything(mask, true, expected):
    found = mask_quality(mask[None], mask[None], true[None])
    assert tuple(found[name].item() for name in ("iou", "precision", "recall", "boundary_f")) == expected


def test_the_outline_is_where_the_rest_begins_and_not_the_border():
    assert np.array_equal(outline(square(6, 1, 1, 4)), square(6, 1, 1, 4) & ~square(6, 2, 2, 2))
    corner = outline(square(6, 0, 0, 3))
    assert sorted(zip(*np.nonzero(corner), strict=True)) == [(0, 2), (1, 2), (2, 0), (2, 1), (2, 2)]
    assert not outline(FULL).any()


def test_tolerance_is_two_pixels_of_128_and_one_of_64():
    for size, allowed in ((128, 2), (64, 1)):
        mask = square(size, 20, 20, 20)
        for shift in range(4):
            found = boundary_f(np.roll(mask, (0, shift), (0, 1)), mask)
            assert (found == 1.0) == (shift <= allowed), (size, shift)


def test_boundary_f_is_the_slow_one():
    rng = np.random.default_rng(0)
    for size in (12, 70, (20, 66)):
        shape = (size, size) if isinstance(size, int) else size
        for density in (0.02, 0.5):
            mask, true = rng.random((2, *shape)) < density
            mask[3:9, 3:9] = true[4:9, 2:9] = True
            assert boundary_f(mask, true) == pytest.approx(slow_boundary_f(mask, true))


def test_many_masks_at_once():
    masks = np.random.default_rng(1).random((3, 5, 9, 11)) < 0.5
    together = mask_quality(*masks)
    for i in range(5):
        alone = mask_quality(*masks[:, i : i + 1])
        assert all(together[name][i] == alone[name][0] for name in together)
    assert all(((values >= 0) & (values <= 1)).all() and values.shape == (5,) for values in together.values())

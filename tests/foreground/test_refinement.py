"""Refinement and cutting by hand: boxes, borders, specks, empty and full masks; true masks cut alike."""

import numpy as np
import pytest

from msrn.foreground.refinement import LEAST_PART, MARGIN, cut_out, refine, square_box, stretch, weighed


def rectangle(shape: tuple[int, int], top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def box(center: tuple[float, float], longest: float) -> list:
    """Left, top, right, bottom of the square around (x, y)."""
    half = MARGIN * longest / 2
    x, y = center
    return pytest.approx([x - half, y - half, x + half, y + half])


# ------------------------------------------------------------------------------------------------------- Eqs 18 and 19


def test_refine_removes_what_the_cue_is_too_weak_for():
    coarse = np.array([[[True, True, True, False]]])
    cue = np.array([[[0.39, 0.4, 1.0, 1.0]]])
    assert refine(coarse, cue, 0.4).tolist() == [[[False, True, True, False]]]
    assert refine(coarse, cue, 0.0).tolist() == coarse.tolist()
    assert not refine(coarse, np.full_like(cue, np.nan), 0.4).any()


def test_weigh_decides_where_the_network_is_undecided():
    soft = np.array([[[255, 204, 153, 102, 51, 0]]], np.uint8)  # 1, .8, .6, .4, .2, 0
    none, all_of_it = np.zeros((1, 1, 6), np.float32), np.ones((1, 1, 6), np.float32)
    # 0.7 soft + 0.3 cue >= 0.5, so without a cue soft >= .714 and with all of it soft >= .286
    assert (weighed(soft, none) >= 0.5).tolist() == [[[True, True, False, False, False, False]]]
    assert (weighed(soft, all_of_it) >= 0.5).tolist() == [[[True, True, True, True, False, False]]]
    mixed = np.array([[[0, 0, 0.5, 0.7, 0.7, 1]]], np.float32)  # .42 + .15, .28 + .21, .14 + .21
    assert (weighed(soft, mixed) >= 0.5).tolist() == [[[True, True, True, False, False, False]]]


def test_stretch_enlarges_and_uses_the_whole_range():
    cue = np.array([[[0.2, 0.4]], [[0.5, 0.5]], [[0.9, 0.1]]])
    made = stretch(cue, (2, 4))
    # pixel centres of four in two: at the border the value itself, then a quarter and three quarters between
    assert made[0] == pytest.approx(np.array([[0, 0.25, 0.75, 1]] * 2), abs=1e-6)
    assert (made[1] == 1).all()  # a cue without contrast says nothing, and removes nothing
    assert made[2] == pytest.approx(np.array([[1, 0.75, 0.25, 0]] * 2), abs=1e-6)
    assert stretch(np.random.default_rng(0).random((2, 8, 8)), (37, 91)).shape == (2, 37, 91)


# ------------------------------------------------------------------------------------------------------------ the box


def test_box_of_a_rectangle():
    found = square_box(rectangle((40, 60), 10, 20, 30, 34))
    assert list(found) == box((32, 15), 10)


def test_box_reaches_beyond_the_image():
    found = square_box(rectangle((20, 30), 0, 20, 0, 6))
    assert list(found) == box((3, 10), 20)
    assert found[0] < 0 and found[1] < 0 and found[3] > 20


def test_boxes_of_empty_full_and_tiny_masks():
    assert square_box(np.zeros((20, 30), bool)) == (0, 0, 30, 20)
    assert list(square_box(np.ones((20, 30), bool))) == box((15, 10), 30)
    assert list(square_box(rectangle((20, 30), 4, 5, 7, 8))) == box((7.5, 4.5), 1)


def test_specks_do_not_widen_the_box_and_parts_do():
    mask = rectangle((60, 60), 10, 30, 10, 30)  # 400 pixels
    expected = square_box(mask)
    speck = mask | rectangle((60, 60), 50, 56, 50, 56)  # 36, below a tenth
    part = mask | rectangle((60, 60), 50, 54, 50, 60)  # 40, a tenth
    assert LEAST_PART == 0.1 and square_box(speck) == expected
    assert list(square_box(part)) == box((35, 32), 50)


# ---------------------------------------------------------------------------------------------------------- cutting out


def test_cut_out_shows_the_object_in_the_middle_on_white():
    image = np.full((1, 3, 40, 50), 90, np.uint8)
    image[0, 0] = 200
    mask = rectangle((40, 50), 10, 20, 5, 15)[None]
    cut = cut_out(image, mask, mask, 24)  # a box of 12 pixels: two pixels for one
    expected = rectangle((24, 24), 2, 22, 2, 22)
    assert np.array_equal(cut.masks[0], expected) and np.array_equal(cut.true_masks, cut.masks)
    assert cut.masks.dtype == bool and cut.images.dtype == np.uint8
    assert cut.images[0, :, 12, 12].tolist() == [200, 90, 90]
    assert (cut.images[0, :, ~rectangle((24, 24), 1, 23, 1, 23)] == 255).all()


def test_an_object_at_the_border_is_padded_with_white_and_nothing():
    image = np.full((1, 3, 20, 20), 50, np.uint8)
    mask = rectangle((20, 20), 0, 10, 0, 10)[None]  # the box starts at -1
    cut = cut_out(image, mask, np.ones_like(mask), 12)
    assert np.array_equal(cut.masks[0], rectangle((12, 12), 1, 11, 1, 11))
    assert np.array_equal(cut.true_masks[0], rectangle((12, 12), 1, 12, 1, 12))  # none beyond the image
    assert (cut.images[0, :, 0] == 255).all() and (cut.images[0, :, 1:11, 1:11] == 50).all()


def test_true_masks_are_cut_by_the_box_of_the_mask():
    mask = rectangle((40, 40), 10, 20, 10, 20)[None]
    true = rectangle((40, 40), 15, 25, 10, 20)[None]
    cut = cut_out(np.zeros((1, 3, 40, 40), np.uint8), mask, true, 12)
    assert np.array_equal(cut.masks[0], rectangle((12, 12), 1, 11, 1, 11))
    assert np.array_equal(cut.true_masks[0], rectangle((12, 12), 6, 12, 1, 11))


def test_empty_and_full_masks_of_oblong_images():
    images = np.full((2, 3, 37, 91), 10, np.uint8)
    masks = np.stack([np.zeros((37, 91), bool), np.ones((37, 91), bool)])
    cut = cut_out(images, masks, ~masks, 64)
    assert (cut.images[0] == 255).all() and not cut.masks[0].any() and cut.true_masks[0].all()
    height, width = cut.masks[1].any(1).sum(), cut.masks[1].any(0).sum()
    assert abs(width - 64 / MARGIN) <= 1 and abs(height - 64 / MARGIN * 37 / 91) <= 1  # not distorted
    assert not cut.true_masks[1].any()

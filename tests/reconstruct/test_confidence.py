"""Signs, doubts and calibration on cases whose answer is known."""

import numpy as np
import pytest

from msrn.reconstruct import confidence
from msrn.reconstruct.confidence import Calibration

WHOLE = slice(None), slice(None)


def mask_of(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((64, 64), bool)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (mask_of((20, 40, 20, 40)), []),
        (mask_of(), ["no object was found"]),
        (mask_of((0, 1, 0, 1)), ["no object was found"]),
        (mask_of((0, 64, 0, 64)), ["covers the whole photograph"]),
        (mask_of((0, 30, 20, 40)), ["cut off at the top"]),
        (mask_of((40, 64, 44, 64)), ["cut off at the right and bottom"]),
        (mask_of((20, 40, 5, 25), (20, 40, 35, 55)), ["there may be 2 objects"]),
        (mask_of((20, 40, 5, 25), (20, 24, 35, 39)), []),  # a small part is no second object
        (mask_of((20, 40, 20, 40), (20, 21, 0, 3)), []),  # a speck at the border is not cut off
    ],
)
def test_doubts_of_a_mask(mask, said):
    found = confidence.doubts_of_mask(mask, WHOLE)
    assert len(found) == len(said) and all(words in doubt for words, doubt in zip(said, found, strict=True))


def test_the_border_is_the_photograph_s_and_not_its_square_s():
    mask = mask_of((16, 40, 20, 40))
    assert confidence.doubts_of_mask(mask, WHOLE) == []
    assert "cut off at the top" in confidence.doubts_of_mask(mask, (slice(16, 48), slice(0, 64)))[0]


def test_doubts_of_a_result():
    signs = {"fit": 0.8, "agreement": 1.0, "stability": 1.0, "familiarity": 0.9}
    calibration = Calibration(strange=0.5)
    assert confidence.doubts_of_result(signs, 0.9, calibration) == []
    assert confidence.doubts_of_result(signs, None, calibration) == []
    bad = confidence.doubts_of_result({**signs, "fit": 0.2, "familiarity": 0.4}, 0.1, calibration)
    expected = ("does not know", "does not fit", "mean shape")
    assert all(words in doubt for words, doubt in zip(expected, bad, strict=True))


def test_a_direction_s_length():
    lengths = confidence.resultant(np.array([[10.0, 10, 10, 10], [0, 90, 180, 270], [350, 10, 350, 10]]))
    np.testing.assert_allclose(lengths, [1, 0, np.cos(np.deg2rad(10))], atol=1e-12)


def test_centres_are_of_their_categories_and_familiar_to_what_they_are_of():
    rng = np.random.default_rng(0)
    features = np.concatenate([np.eye(8)[[0] * 40], np.eye(8)[[3] * 40]]) + 0.05 * rng.random((80, 8))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    centres, category = confidence.centres_of(features, np.repeat([0, 1], 40))
    assert category.tolist() == [0] * 40 + [1] * 40
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, rtol=1e-5)
    assert confidence.familiarity(features, centres).min() > 0.99
    assert confidence.familiarity(np.eye(8, dtype=np.float32)[[6]], centres)[0] < 0.2
    alike, terms = confidence.centres_of(features[:1].repeat(5, 0), np.zeros(5, int))
    assert len(alike) == len(terms) == 1  # five photographs that are the same


def test_calibration_finds_what_was_put_in():
    rng = np.random.default_rng(1)
    signs = rng.random((4000, 4))
    chance = 1 / (1 + np.exp(-(6 * signs[:, 0] - 3)))
    fitted = confidence.fitted(signs, rng.random(4000) < chance, strange=0.3)
    assert np.abs(fitted.confidence(signs) - chance).mean() < 0.03 and fitted.strange == 0.3
    assert Calibration(0.3).confidence(signs) is None

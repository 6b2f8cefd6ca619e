"""Azimuths modulo half or quarter turns from edges: found where edges go around a ring, and nowhere else."""

import numpy as np
import pytest

from msrn.neighbors import ring
from msrn.neighbors.ring import Ring, directions, possible_rings

OBJECTS, SIDES = 8, 24
OWNER = np.repeat(np.arange(OBJECTS), SIDES)
AZIMUTH = np.tile(np.radians(np.arange(SIDES) * 360.0 / SIDES), OBJECTS)
MASKS = np.ones((len(OWNER), 64, 64), bool)
ALL = np.arange(len(OWNER))


def waves(direction: np.ndarray, noise: float = 20.0) -> np.ndarray:
    """Images (n, 3, 64, 64) of plane waves along ``direction`` (n,) in radians."""
    generator = np.random.default_rng(0)
    row, column = np.mgrid[:64, :64] / 64
    direction = direction + generator.normal(scale=0.1, size=len(direction))
    along = column * np.cos(direction)[:, None, None] + row * np.sin(direction)[:, None, None]
    grey = 128 + 100 * np.sin(20 * along) + noise * generator.normal(size=along.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, None], 3, 1)


@pytest.mark.parametrize("turns", ring.TURNS)
def test_edges_that_repeat_give_azimuths_modulo_a_part_of_a_turn(turns):
    rings = possible_rings(waves(AZIMUTH * turns / 2), MASKS, ALL, OWNER)  # a wave has two directions, opposite ones
    told = {(r.turns, way): agreement for way, r in enumerate(rings) for agreement in [_agreement(r, turns)]}
    assert len(rings) == 4 and {r.turns for r in rings} == set(ring.TURNS)
    assert max(told.values()) > 0.93
    assert sorted(told.values())[-3] < 0.1  # one way round, by either number of turns


def _agreement(found: Ring, turns: int) -> float:
    return float(np.abs(np.exp(1j * (found.angle - turns * AZIMUTH)).mean()))


@pytest.mark.parametrize(
    "images",
    [
        np.random.default_rng(0).integers(0, 255, (len(OWNER), 3, 64, 64), np.uint8),
        np.zeros((len(OWNER), 3, 64, 64), np.uint8),
        np.random.default_rng(0).integers(0, 255, (OBJECTS, 3, 64, 64), np.uint8)[OWNER],
        np.random.default_rng(0).integers(0, 255, (1, 3, 64, 64), np.uint8)[0 * OWNER],
        np.random.default_rng(0).integers(0, 255, (len(OWNER), 3, 1, 8), np.uint8),
    ],
    ids=["noise", "no edges", "the same from all sides", "one and the same", "a row of pixels"],
)
def test_where_edges_tell_nothing_there_is_no_ring(images):
    masks = np.ones((len(images), *images.shape[2:]), bool)
    for order in (ALL, np.random.default_rng(1).permutation(ALL)):
        assert possible_rings(images, masks, order, OWNER[order]) == []


@pytest.mark.parametrize("seed", range(12))
def test_small_noise_gives_no_ring(seed):
    images = np.random.default_rng(seed).integers(0, 255, (len(OWNER), 3, 16, 16), np.uint8)
    assert possible_rings(images, MASKS[:, :16, :16], ALL, OWNER) == []


def test_images_without_an_edge_lie_on_no_ring_and_disturb_none():
    blank = np.random.default_rng(0).random(len(OWNER)) < 0.2
    images = waves(AZIMUTH)
    rings = possible_rings(images, MASKS & ~blank[:, None, None], ALL, OWNER)
    alone = possible_rings(images, MASKS, ALL[~blank], OWNER[~blank])
    assert len(rings) == len(alone) == 4
    for among, apart in zip(rings, alone, strict=True):
        assert np.isnan(among.angle[blank]).all()
        np.testing.assert_array_equal(among.angle[~blank], apart.angle)
        off = among.departure(OWNER, SIDES)
        assert (off[blank] == 0).all() and off[~blank].max() > ring.WEIGHT


def test_a_ring_is_the_same_every_time():
    first, again = (possible_rings(waves(AZIMUTH), MASKS, ALL, OWNER) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.angle, other.angle)


def test_few_images_or_a_single_object_have_no_ring():
    images = waves(AZIMUTH)
    few = ALL[: ring.FEWEST - 1]
    assert possible_rings(images, MASKS, few, few % 2) == []
    assert possible_rings(images, MASKS, ALL, np.zeros_like(OWNER)) == []


def test_views_of_one_object_are_no_neighbours():
    near = ring._near(directions(waves(AZIMUTH), MASKS, ALL), OWNER)
    row, column = near.nonzero()
    assert (OWNER[row] != OWNER[column]).all()
    assert near.shape == (len(OWNER), len(OWNER)) and abs(near - near.T).max() == 0


def test_directions_are_those_of_gradients_on_the_object():
    ramp = np.zeros((2, 3, 64, 64), np.float32)
    ramp[0] += np.arange(64)  # brighter to the right
    ramp[1] += np.arange(64)[:, None]  # brighter downwards
    ramp[:, :, :, 40:] = np.random.default_rng(0).random((24,))  # beside the mask
    masks = np.zeros((2, 64, 64), bool)
    masks[:, 10:30, 10:30] = True
    found = directions(ramp, masks, np.arange(2))
    assert found.argmax(1).tolist() == [0, ring.BINS // 4]
    np.testing.assert_allclose(found.max(1), 1, atol=1e-6)
    larger = np.repeat(np.repeat(ramp, 2, 2), 2, 3), np.repeat(np.repeat(masks, 2, 1), 2, 2)
    np.testing.assert_allclose(directions(*larger, np.arange(2)), found, atol=1e-6)


def test_departure_from_a_ring_is_least_at_its_azimuths_whatever_its_first():
    steps = np.arange(SIDES)
    for first in (0.0, 1.0):
        found = Ring(4 * 2 * np.pi * steps / SIDES + first, 4)
        off = found.departure(steps, SIDES)
        np.testing.assert_allclose(off[steps, steps], 0, atol=1e-6)
        np.testing.assert_allclose(off[steps, (steps + SIDES // 4) % SIDES], 0, atol=1e-6)
        np.testing.assert_allclose(off[steps, (steps + SIDES // 8) % SIDES], 2 * ring.WEIGHT, atol=1e-5)

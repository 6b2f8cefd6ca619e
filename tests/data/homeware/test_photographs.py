import numpy as np
import pytest
import torch

from msrn import camera
from msrn.data.homeware import photographs
from msrn.data.homeware import reader as homeware
from msrn.data.homeware.photographs import SIZE, draw_pose, take_photograph
from msrn.data.homeware.reader import read_meshes

MESHES = read_meshes(homeware.ASSETS / "homeware.npz")
NAMES = sorted(MESHES)
GREY = np.full((64, 128, 3), 0.5, np.float32)


def rng(seed):
    return np.random.default_rng([7, seed])


def box(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def test_a_photograph_follows_from_its_generator():
    mesh, others = MESHES[NAMES[0]], [MESHES[name] for name in NAMES[1:40]]
    image, mask = take_photograph(mesh, others, [GREY], rng(0))
    assert image.shape == (3, SIZE, SIZE) and image.dtype == np.uint8
    assert mask.shape == (SIZE, SIZE) and mask.dtype == np.bool_ and mask.any()
    again = take_photograph(mesh, others, [GREY], rng(0))
    np.testing.assert_array_equal(image, again[0])
    np.testing.assert_array_equal(mask, again[1])
    assert (take_photograph(mesh, others, [GREY], rng(1))[0] != image).any()


def test_the_mask_is_where_the_camera_projects_the_object():
    """Up to its size and place, which the pose leaves open: the projected box is laid onto the mask's."""
    whole = 0
    for seed, name in enumerate(NAMES[::8]):
        _, mask = take_photograph(MESHES[name], [], [GREY], rng(seed))
        found = box(mask)
        if found[:2].min() == 0 or found[2:].max() == SIZE or mask.sum() < 600:
            continue  # cut by the frame, or too small to measure
        pose = torch.tensor(draw_pose(rng(seed)), dtype=torch.float64)
        rotation, translation = camera.rotation(*pose)[None], torch.tensor([[0.0, 0.0, camera.DISTANCE]])
        points = torch.from_numpy(MESHES[name].points(20_000, 0)).double()[None]
        corners = torch.tensor(MESHES[name].vertices, dtype=torch.float64)[None]
        outline = camera.project(corners, rotation, translation)[0, :, :2].numpy()
        low, high = outline.min(0), outline.max(0)
        sides, true_sides = found[2:] - found[:2], high - low
        scale = sides.max() / true_sides.max()
        np.testing.assert_allclose(sides, scale * true_sides, atol=4)  # thin ends cover less than half a pixel
        middle = (found[2:] + found[:2]) / 2
        seen = camera.project(points, rotation, translation)[0, :, :2].numpy()
        pixel = np.floor((seen - (low + high) / 2) * scale + middle).astype(int).clip(0, SIZE - 1)
        near = np.pad(mask, 1)
        near = np.any([np.roll(near, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)], 0)[1:-1, 1:-1]
        assert near[pixel[:, 1], pixel[:, 0]].mean() > 0.95, name
        whole += 1
    assert whole >= 10


def test_shares_of_small_and_truncated_objects_are_the_protocols():
    thing = photographs._see(MESHES[NAMES[0]], (30.0, 30.0, 0.0), photographs._draw_light(rng(0)))
    generator = rng(1)
    placed = [photographs._draw_place(thing, generator) for _ in range(3000)]
    share = np.array([one.share for one in placed])
    out = np.array([(np.abs(one.centre) + one.half * one.share).max() > 1 + 1e-9 for one in placed])
    small = share < 0.425
    assert small.mean() == pytest.approx(photographs.SMALL, abs=0.025) and share.min() >= 0.25
    assert out.mean() == pytest.approx(photographs.TRUNCATED, abs=0.025) and not (small & out).any()
    assert ((share[~small & ~out] >= 0.45) & (share[~small & ~out] <= 0.9)).all()
    for one in np.array(placed, object)[out]:  # cut on one side, by no more than agreed
        beyond = (np.abs(one.centre) + one.half * one.share - 1) / (2 * one.half * one.share)
        assert beyond.min() < 1e-9 and 0.08 - 1e-9 <= beyond.max() <= 0.25 + 1e-9


def test_the_object_is_the_largest_thing_and_hardly_hidden():
    others = [MESHES[name] for name in NAMES[40:80]]
    hidden, alone = [], []
    for seed in range(12):
        _, mask = take_photograph(MESHES[NAMES[3 * seed]], others, [GREY], rng(seed))
        _, bare = take_photograph(MESHES[NAMES[3 * seed]], [], [GREY], rng(seed))
        hidden.append((bare & ~mask).sum() / bare.sum())
        alone.append((mask & ~bare).sum())
    assert max(alone) == 0 and max(hidden) < 2 * photographs.OCCLUDED * photographs.CLUTTER


def test_colours_are_pulled_toward_those_around():
    picture = np.full((SIZE, SIZE, 3), 0.2)
    layer = np.zeros((SIZE, SIZE, 4), np.float32)
    layer[40:80, 40:80] = [0.8, 0.6, 0.4, 1.0]
    for pull, expected in ((0.0, [0.8, 0.6, 0.4]), (0.5, [0.5, 0.4, 0.3]), (1.0, [0.2, 0.2, 0.2])):
        tuned = photographs._tuned(layer, picture, pull, 0.0)
        np.testing.assert_allclose(tuned[60, 60, :3], expected, atol=1e-5)
        np.testing.assert_array_equal(tuned[..., 3], layer[..., 3])
        assert not tuned[:40].any()
    np.testing.assert_allclose(photographs._tuned(layer, picture, 0.0, 0.5)[60, 60, :3], [0.5, 0.4, 0.3], atol=1e-5)


def test_the_shadow_falls_away_from_the_light():
    """A light at the camera's right throws the shadow to its left, onto the floor."""
    toward = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)  # +x is the right of a camera at +z
    light = photographs._Light(toward, 0.5, np.ones(3), 0.8, 0.0, 1.0)
    name = next(name for name in NAMES if name.startswith("cabinet"))
    thing = photographs._see(MESHES[name], (0.0, 30.0, 0.0), light).at(0.4, (0.0, 0.0))
    dark = 1 - thing.shadowed(np.ones((SIZE, SIZE, 3)), light)[..., 0]
    outside = dark * (thing.layer()[..., 3] == 0)
    left, right = outside[:, : SIZE // 2].sum(), outside[:, SIZE // 2 :].sum()
    assert left > 50 and left > 5 * right
    assert dark.max() == pytest.approx(0.8, abs=1e-3)


def test_poses_spread_over_the_circle_and_stay_in_range():
    azimuth, elevation, roll = np.array([draw_pose(rng(seed)) for seed in range(2000)]).T
    for order in (1, 2, 4):
        assert abs(np.exp(1j * order * np.deg2rad(azimuth)).mean()) < 0.06
    assert 15 <= elevation.min() < 16 and 44 < elevation.max() <= 45
    assert -5 <= roll.min() < -4.8 and 4.8 < roll.max() <= 5

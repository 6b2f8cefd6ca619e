"""Azimuths from look-alikes and silhouettes: a category whose front is known is put in order, whatever the start."""

import numpy as np
import pytest

from msrn.neighbors import azimuths, hull
from msrn.neighbors.azimuths import find_azimuths
from msrn.neighbors.hull import AZIMUTHS, SIDE, HullCamera

ELEVATION, ELLIPSOID = 30.0, (0.4, 0.28, 0.28)


@pytest.fixture(scope="module")
def view() -> HullCamera:
    return HullCamera(ELEVATION)


def chair(view: HullCamera, width: float, height: float) -> np.ndarray:
    """Which voxels (voxels,) a seat with a back fills; its front is toward +z."""
    x, y, z = view.voxels.T
    seat = (np.abs(x) < width) & (np.abs(y + 0.1) < 0.06) & (np.abs(z) < 0.35)
    back = (np.abs(x) < width) & (y > -0.1) & (y < height) & (np.abs(z + 0.3) < 0.06)
    return (seat | back).astype(np.float32)


@pytest.fixture(scope="module")
def chairs(view) -> dict[str, np.ndarray]:
    """Twelve chairs from all sides: features tell the side and, a little, the chair."""
    generator = np.random.default_rng(0)
    shapes = [view.silhouettes(chair(view, *size)) for size in generator.uniform((0.25, 0.25), (0.4, 0.45), (12, 2))]
    masks = np.concatenate(shapes).reshape(-1, SIDE, SIDE) > 0.5
    azimuth = np.tile(np.arange(AZIMUTHS) * 360.0 / AZIMUTHS, 12)
    owner = np.repeat(np.arange(12), AZIMUTHS)
    waves = np.stack([f(m * np.radians(azimuth)) for m in (1, 2, 3, 4) for f in (np.cos, np.sin)], 1)
    features = np.concatenate([waves, 0.3 * generator.normal(size=(12, 8))[owner]], 1)[:, :, None, None]
    order = generator.permutation(len(masks))
    names = np.array([f"chair/{number}" for number in owner])
    images = np.zeros((len(masks), 3, SIDE, SIDE), np.uint8)  # without an edge there is no ring
    columns = {"features": features, "images": images, "masks": masks, "object_id": names, "true": azimuth}
    return {name: values[order] for name, values in columns.items()} | {"category": np.zeros(len(masks), int)}


def agreement(found: np.ndarray, true: np.ndarray) -> float:
    """1 where azimuths differ by one turn of the category."""
    return float(np.abs(np.exp(1j * np.radians(found - true)).mean()))


def find(chairs: dict[str, np.ndarray], **changes: np.ndarray) -> np.ndarray:
    images = {name: values for name, values in chairs.items() if name != "true"} | changes
    return find_azimuths(**images, elevation=ELEVATION, ellipsoid=ELLIPSOID)


def test_a_category_is_put_in_order_all_around(chairs):
    found = find(chairs)
    assert agreement(found, chairs["true"]) > 0.97
    assert agreement(-found, chairs["true"]) < 0.3  # the way round is the camera's
    np.testing.assert_array_equal(found, find(chairs))


def test_categories_do_not_mix(chairs):
    twice = {name: np.concatenate([values, values]) for name, values in chairs.items()}
    twice["category"] = np.repeat([0, 1], len(chairs["masks"]))
    twice["object_id"] = np.char.add(np.repeat(["a/", "b/"], len(chairs["masks"])), twice["object_id"])
    found = find(twice)
    np.testing.assert_array_equal(found[: len(found) // 2], find(chairs))
    assert agreement(found[len(found) // 2 :], chairs["true"]) > 0.97


def test_images_beyond_the_most_take_the_azimuth_of_their_look_alikes(chairs, monkeypatch):
    monkeypatch.setattr(azimuths, "MOST", 200)
    assert agreement(find(chairs), chairs["true"]) > 0.95


def test_views_of_one_object_are_no_look_alikes(chairs):
    owner = np.unique(chairs["object_id"], return_inverse=True)[1]
    unit, _ = azimuths._unit(chairs["features"], np.arange(len(owner)))
    images = azimuths._images(unit, np.zeros((len(owner), 4), np.float32), owner)
    row, column = images.average.nonzero()
    assert (owner[row] != owner[column])[row != column].all()
    np.testing.assert_allclose(images.average.sum(1), 1, rtol=1e-5)
    assert not images.cosine[owner[:, None] == owner].any()


@pytest.mark.parametrize("objects", [1, 2])
def test_a_category_of_one_or_two_objects_still_has_azimuths(chairs, objects):
    some = np.isin(chairs["object_id"], np.unique(chairs["object_id"])[:objects])
    found = find({name: values[some] for name, values in chairs.items()})
    assert np.isnan(found).all() or ((found >= 0) & (found < 360)).all()


def test_a_category_that_looks_the_same_all_around_has_no_order(view, chairs):
    radius = np.hypot(view.voxels[:, 0], view.voxels[:, 2])
    lamp = view.silhouettes(((radius < 0.2) & (np.abs(view.voxels[:, 1]) < 0.4)).astype(np.float32))
    masks = np.repeat(lamp.reshape(-1, SIDE, SIDE)[:1] > 0.5, len(chairs["masks"]), 0)
    features = np.random.default_rng(1).normal(size=(len(masks), 8, 1, 1))
    assert np.isnan(find(chairs, masks=masks, features=features)).all()


def test_edges_bring_boxes_of_many_sizes_into_order_that_silhouettes_sort_by_size(view):
    generator = np.random.default_rng(0)
    boxes = [
        (np.abs(view.voxels) < 0.5 * edges).all(1).astype(np.float32)
        for edges in generator.uniform((0.3, 0.4, 0.3), (1.0, 0.7, 0.6), (20, 3))
    ]
    masks = np.concatenate([view.silhouettes(box) for box in boxes]).reshape(-1, SIDE, SIDE) > 0.5
    azimuth = np.tile(np.arange(AZIMUTHS) * 360.0 / AZIMUTHS, len(boxes))
    owner = np.repeat(np.arange(len(boxes)), AZIMUTHS)
    masks = masks.repeat(2, 1).repeat(2, 2)
    row, column = np.mgrid[: 2 * SIDE, : 2 * SIDE] / (2 * SIDE)
    slope = np.radians(2 * azimuth + 5 * generator.normal(size=len(azimuth)))  # of boards, the same on every face
    along = column * np.cos(slope)[:, None, None] + row * np.sin(slope)[:, None, None]
    boards = np.repeat((128 + 100 * np.sin(20 * along)).astype(np.uint8)[:, None], 3, 1)
    images = {
        "features": masks[:, None, ::2, ::2].astype(np.float32),
        "masks": masks,
        "category": np.zeros(len(masks), int),
        "object_id": np.array([f"box/{number}" for number in owner]),
    }
    plain, edged = (find(images | {"images": values}) for values in (np.zeros_like(boards), boards))
    right = agreement(4 * edged, 4 * azimuth)
    assert right > 0.9
    assert np.isnan(plain).all() or agreement(4 * plain, 4 * azimuth) < right - 0.2


def test_azimuths_are_even(chairs):
    count = np.bincount((find(chairs) * AZIMUTHS / 360).round().astype(int), minlength=AZIMUTHS)
    assert count.min() >= 6 and count.max() <= 24  # of 12 each


def test_the_hull_keeps_its_silhouettes_at_true_azimuths_and_loses_them_the_wrong_way_round(view):
    shape = chair(view, 0.35, 0.4)
    silhouettes, seen = view.silhouettes(shape), np.ones(AZIMUTHS, bool)
    kept = view.silhouettes(view.carve(silhouettes, seen))
    assert (kept >= silhouettes).all()  # a hull holds the shape
    assert np.abs(kept - silhouettes).mean() < 0.02
    backwards = silhouettes[-np.arange(AZIMUTHS) % AZIMUTHS]
    wrong = np.abs(view.silhouettes(view.carve(backwards, seen)) - backwards).mean()
    assert wrong > 3 * np.abs(kept - silhouettes).mean()


def test_mean_masks_and_distances_from_silhouettes():
    masks = np.random.default_rng(0).random((5, 6)).astype(np.float32)
    means, count = hull.mean_masks(masks, np.array([0, 0, 3, 3, 3]))
    assert count.tolist()[:4] == [2, 0, 0, 3]
    np.testing.assert_allclose(means[3], masks[2:].mean(0), rtol=1e-6)
    expected = [[np.square(mask - silhouette).mean() for silhouette in means] for mask in masks]
    np.testing.assert_allclose(hull.apart(masks, means), expected, atol=1e-6)

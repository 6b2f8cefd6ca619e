from dataclasses import replace

import numpy as np
import pytest

from msrn.data.collection import ImageCollection
from msrn.data.drawing.views import poses_of
from msrn.data.ground_truth import GroundTruth
from msrn.evaluation.metrics import chamfer_l1
from msrn.evaluation.neighbor_density import candidate_distances, nearest_half, neighbor_density

CUBE = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32) - 0.5
FACES = np.array([
    (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
    (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
], np.int32)  # fmt: skip


class Boxes:
    """Object ``n`` is a box of height n / 10."""

    def mesh(self, object_id):
        vertices = CUBE * np.array([1, int(object_id) / 10, 1], np.float32)
        return GroundTruth(vertices, FACES, np.zeros_like(FACES, np.uint8))

    def poses(self, object_id, view):
        return poses_of(view)


class Turned(Boxes):
    def poses(self, object_id, view):
        azimuth = np.array([0.0, 0.0, 90.0, 265.0])[view]
        return np.stack([azimuth, azimuth * 0 + 30, azimuth * 0], 1)


@pytest.fixture
def boxes():
    """Two categories of four and two boxes, each seen from azimuths 0, 30 and 45."""
    names, category = np.array(["1", "2", "3", "9", "4", "8"]), np.array([0, 0, 0, 0, 1, 1])
    return ImageCollection(
        name="boxes", split="train", images=np.zeros((18, 3, 2, 2), np.uint8), masks=None,
        category=category.repeat(3), object_id=names.repeat(3), view=np.tile([0, 2, 3], 6), categories=("low", "high"),
        fingerprint="", evaluation_index=np.arange(0, 18, 3), _truth=Boxes(),
    )  # fmt: skip


def next_object(shift):
    """Each image's two candidates: of the next object of its category, views ``shift`` and ``shift + 1`` further on."""
    rows = []
    for image in range(18):
        place, view = divmod(image, 3)
        other = (place + 1) % 4 if place < 4 else 9 - place
        rows.append([other * 3 + (view + shift) % 3, other * 3 + (view + shift + 1) % 3])
    return np.array(rows)


def test_distances_are_those_of_the_candidates(boxes):
    density = neighbor_density(boxes, next_object(0), points=500)
    clouds = {name: boxes.ground_truth(name).points(500, k) for k, name in enumerate(sorted(set(boxes.object_id)))}
    chain = [chamfer_l1(clouds[a], clouds[b]) for a, b in ("12", "23", "39", "91")]
    every = [chamfer_l1(clouds[a], clouds[b]) for a in "1239" for b in "1239" if a != b]
    assert density["low"]["neighbor_cd"] == pytest.approx(np.median(chain))
    assert density["low"]["random_cd"] == pytest.approx(np.median(every))
    assert (
        density["high"]["neighbor_cd"]
        == density["high"]["random_cd"]
        == pytest.approx(chamfer_l1(clouds["4"], clouds["8"]))
    )
    assert density["mean"]["neighbor_cd"] == pytest.approx(
        (density["low"]["neighbor_cd"] + density["high"]["neighbor_cd"]) / 2
    )


def test_shares_are_those_of_the_candidates(boxes):
    # Azimuths 0, 30, 45: more than 30 apart are only 0 and 45, two of the six ordered pairs of different views.
    same, others = (neighbor_density(boxes, next_object(shift), points=50)["low"] for shift in (0, 1))
    assert (same["other_view"], others["other_view"]) == (pytest.approx(1 / 6), pytest.approx(2 / 6))
    assert same["distinct_objects"] == 1


def test_sides_of_fronts(boxes):
    """Views 0, 1 and 2 of each box are from 0, 90 and 265 degrees: two sides for every front."""
    boxes = replace(boxes, _truth=Turned())
    front, side = np.tile([1, 2], (18, 1)), np.tile([0, 3], (18, 1))
    found = [neighbor_density(boxes, shown, points=50) for shown in (front, side, front * 0 + [0, 1])]
    assert [density["low"]["sides_of_fronts"] for density in found] == [1, 0, 0.5]
    assert np.isnan(
        neighbor_density(replace(boxes, view=boxes.view * 0 + 3), front, points=50)["low"]["sides_of_fronts"]
    )


def test_every_candidate_of_every_image_counts(boxes):
    """Against a loop over images and their candidates, across categories too."""
    candidates = np.random.default_rng(0).integers(0, 18, (18, 5))
    clouds = [boxes.ground_truth(name).points(200, k) for k, name in enumerate(sorted(set(boxes.object_id)))]
    place = {name: k for k, name in enumerate(sorted(set(boxes.object_id)))}
    density = neighbor_density(boxes, candidates, points=200)
    for number, name in enumerate(boxes.categories):
        values = [
            chamfer_l1(clouds[place[boxes.object_id[image]]], clouds[place[boxes.object_id[other]]])
            for image in np.flatnonzero(boxes.category == number)
            for other in candidates[image]
        ]
        assert density[name]["neighbor_cd"] == pytest.approx(np.median(values))


def test_the_nearest_half_is_that_of_the_most_alike_true_shapes(boxes):
    height = {0: 1, 3: 2, 6: 3, 9: 9}  # of the boxes that candidates show
    candidates = np.tile(list(height), (18, 1))
    assert candidate_distances(boxes, np.arange(18), candidates).shape == (18, 4)
    found = nearest_half(boxes, candidates)
    for own, expected in {1: [1, 2], 3: [3, 2], 9: [9, 3], 4: [3, 2], 8: [9, 3]}.items():
        for row in found[boxes.object_id == str(own)]:
            assert [height[image] for image in row] == expected
    assert nearest_half(boxes, candidates[:, :3]).shape == (18, 2)

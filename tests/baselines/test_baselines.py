"""Baselines: the right category, the nearest row, no leak from the evaluated split, seeded choice."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from msrn import camera
from msrn.baselines import BASELINES
from msrn.baselines.baseline import Given
from msrn.baselines.carved_hull import carved_hulls
from msrn.baselines.lookup import ellipsoid, random_object, similar_object, similar_object_of_category
from msrn.baselines.mean_shape import marching_tetrahedra, mean_shape
from msrn.data import GroundTruth
from msrn.data.drawing import views
from msrn.data.surface import sample_surface
from msrn.errors import MsrnError
from msrn.evaluation.metrics import nearest_distances
from msrn.profiles import make_settings


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Split(SimpleNamespace):
    def __len__(self) -> int:
        return len(self.object_id)


def split(prefix: str, objects: int, views: int, index=()) -> Split:
    """Objects of two categories in turn, some views of each; the meshes' first vertex tells the object."""
    ids = np.repeat([f"{prefix}{index}" for index in range(objects)], views)
    return Split(
        object_id=ids,
        category=np.repeat(np.arange(objects) % 2, views),
        categories=("chair", "table"),
        evaluation_index=np.array(index, int),
        ground_truth=lambda name: SimpleNamespace(
            vertices=np.full((3, 3), int(name.removeprefix(prefix))), faces=np.array([[0, 1, 2]])
        ),
    )


INDICES = (0, 4, 8, 10, 17)


@pytest.fixture()
def tested() -> Split:
    return split("test", 6, 3, INDICES)


@pytest.fixture()
def training() -> Split:
    return split("train", 10, 4)


@dataclass(frozen=True)
class WithFeatures(Given):
    """A random row of length 1 for each image."""

    def features(self, collection):
        return unit(np.random.default_rng(len(collection)).normal(size=(len(collection), 5)))


def names(surfaces) -> list[str]:
    return [f"train{int(vertices[0, 0])}" for vertices, _ in surfaces]


def test_ellipsoid_has_its_axes(tested, training):
    settings = make_settings({"ellipsoid": (1.0, 0.7, 0.5), "mesh_level": 2})
    shapes = ellipsoid(Given(tested, training, settings))
    assert len(shapes) == 5
    vertices, faces = shapes[1]
    assert (faces.min(), faces.max(), len(faces)) == (0, 161, 320)
    assert np.square(vertices / [1, 0.7, 0.5]).sum(1) == pytest.approx(1)


def test_random_object_is_of_the_category_and_seeded(tested, training):
    tested.evaluation_index = np.tile(INDICES, 60)
    inputs = Given(tested, training, make_settings({}))
    ids = names(random_object(inputs))
    category = dict(zip(training.object_id, training.category, strict=True))
    assert [category[name] for name in ids] == inputs.category.tolist()
    assert set(ids) == set(training.object_id)  # every object gets its turn
    assert ids == names(random_object(inputs))


@pytest.mark.parametrize("known", [True, False])
def test_the_most_similar_object_matches_a_loop(tested, training, known):
    inputs = WithFeatures(tested, training, make_settings({}))
    features, rows = inputs.features(tested), inputs.features(training)
    ids = names(similar_object_of_category(inputs) if known else similar_object(inputs))
    for index, answer in zip(INDICES, ids, strict=True):
        best, name = -2.0, None
        for row, object_id, category in zip(rows, training.object_id, training.category, strict=True):
            if (not known or category == tested.category[index]) and row @ features[index] > best:
                best, name = row @ features[index], object_id
        assert answer == name


def test_meshes_are_read_when_they_are_asked_for(tested, training):
    """However many objects a test split has, their meshes are never in memory together."""
    read, true = [], training.ground_truth
    training.ground_truth = lambda name: read.append(name) or true(name)
    shapes = random_object(Given(tested, training, make_settings({})))
    assert read == [] and len(shapes) == 5
    vertices, _ = shapes[1]
    assert read == [f"train{int(vertices[0, 0])}"]


def box(x: float, y: float, z: float) -> GroundTruth:
    """A box about the origin."""
    corners = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) * [x / 2, y / 2, z / 2]
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return GroundTruth(corners.astype(np.float32), np.array(faces, np.int32), np.zeros((12, 3), np.uint8))


@pytest.fixture()
def boxes() -> SimpleNamespace:
    """A category of three boxes of one length and width, and one of a single box, two images of each."""
    shapes = {"a": box(1, 0.2, 0.4), "b": box(1, 0.4, 0.4), "c": box(1, 0.6, 0.4), "d": box(0.3, 1, 0.5)}
    return SimpleNamespace(
        object_id=np.repeat(list(shapes), 2), category=np.repeat([0, 0, 0, 1], 2), categories=("low", "high"),
        ground_truth=shapes.get,
    )  # fmt: skip


def test_the_mean_shape_lies_in_the_middle_of_its_category(tested, boxes):
    tested.evaluation_index = np.array([0, 1, 3])
    low, again, high = mean_shape(Given(tested, boxes, make_settings({})))
    assert again is low
    assert np.ptp(high[0], axis=0) == pytest.approx([0.3, 1, 0.5], abs=0.03)
    # Occupied in two of three boxes, and of the mean's volume: the box of middle height.
    assert np.ptp(low[0], axis=0) == pytest.approx([1, 0.4, 0.4], abs=0.04)
    for vertices, faces in (low, high):
        assert vertices.mean(0) == pytest.approx(np.zeros(3), abs=0.02)
        points = sample_surface(vertices, faces, 500, 0)
        assert np.abs(points / (np.ptp(vertices, axis=0) / 2)).max(1) == pytest.approx(1, abs=0.12)  # all on the sides


def test_marching_tetrahedra_follow_a_smooth_field():
    axis = np.arange(24) - 11.5
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    vertices, faces = marching_tetrahedra(-np.sqrt(x**2 + y**2 + z**2), -8.0)
    assert np.linalg.norm(vertices - 11.5, axis=1) == pytest.approx(8, abs=0.05)
    corners = vertices[faces]
    doubled = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.linalg.norm(doubled, axis=1).sum() / 2 == pytest.approx(4 * np.pi * 64, rel=0.02)  # no gap, none twice
    edges = np.sort(np.unique(np.round(vertices, 6), axis=0, return_inverse=True)[1].reshape(-1)[faces], axis=1)
    real = edges[(np.diff(edges, axis=1) > 0).all(1)]
    counts = np.unique(np.concatenate([real[:, [0, 1]], real[:, [1, 2]], real[:, [0, 2]]]), axis=0, return_counts=True)
    assert set(counts[1].tolist()) == {2}  # closed: every edge has two sides


def seen_of(boxes: dict, blank: slice = slice(0)) -> SimpleNamespace:
    """Each box from all views, without masks where ``blank``."""
    view = np.arange(views.VIEWS)
    masks = np.concatenate([views.draw_views(mesh, view)[1] for mesh in boxes.values()])
    masks[blank] = False
    return SimpleNamespace(
        object_id=np.repeat(list(boxes), views.VIEWS),
        true_masks=lambda: masks,
        true_pose=lambda: views.poses_of(np.tile(view, len(boxes))),
        evaluation_index=np.array([30, 5]),  # a view of the second, then one of the first
    )


def test_a_hull_is_carved_by_the_masks_of_its_own_object():
    boxes = {"wide": box(1, 0.4, 0.5), "tall": box(0.3, 1, 0.4)}
    hulls = carved_hulls(Given(seen_of(boxes), None, make_settings({})))
    assert len(hulls) == 2
    for name, (vertices, faces) in zip(("tall", "wide"), hulls, strict=True):
        x, y, z = boxes[name].vertices.max(0)  # half an edge each
        roof = min(x, z) * np.tan(np.deg2rad(views.ELEVATION))  # and a keel, that no view tells from the box
        assert -vertices.min(0) == pytest.approx(vertices.max(0), abs=0.06 + roof / 2)
        near = camera.DISTANCE / (camera.DISTANCE - max(x, z))  # seen from the side, the near edge hides more behind it
        wider = vertices.max(0)[[0, 2]] - [x, z]
        assert (wider > -0.03).all() and (wider < (near - 1) * np.array([x, z]) + 0.03).all()
        assert y - 0.03 < vertices[:, 1].max() < y + roof + 0.03
        points, true = sample_surface(vertices, faces, 4000, 0), boxes[name].points(4000, 1)
        sides = np.abs(true[:, 1]) < y - 0.02  # of the box, which the hull holds
        assert nearest_distances(points, true[sides]).completeness.max() < 0.05


def test_a_hull_of_masks_that_share_no_place_is_refused():
    nothing = seen_of({"wide": box(1, 0.4, 0.5), "tall": box(0.3, 1, 0.4)}, slice(3, 4))
    with pytest.raises(MsrnError, match="masks of object wide share no place"):
        carved_hulls(Given(nothing, None, make_settings({})))[1]


@pytest.mark.parametrize("answer", [random_object, mean_shape, similar_object_of_category])
def test_a_category_without_training_objects_is_named(tested, training, answer):
    training.category = np.zeros(40, int)
    with pytest.raises(MsrnError, match="0 training objects of category table"):
        answer(WithFeatures(tested, training, make_settings({})))


def test_the_registry_names_what_each_depends_on():
    assert list(BASELINES) == [
        "starting ellipsoid", "mean shape, category known", "random object, category known",
        "retrieval, category known", "retrieval", "hull of all its masks, poses known",
    ]  # fmt: skip
    for made in BASELINES.values():
        assert made.meshes.__module__.startswith("msrn.baselines.")

"""Baselines: the right category, the nearest row, no leak from the evaluated split, seeded choice."""

from types import SimpleNamespace

import numpy as np
import pytest

from msrn import baselines
from msrn.baselines import retrieval
from msrn.errors import MsrnError


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def split(prefix: str, objects: int, views: int) -> SimpleNamespace:
    """Objects of two categories in turn, some views of each; the meshes' first vertex tells the object."""
    ids = np.repeat([f"{prefix}{index}" for index in range(objects)], views)
    return SimpleNamespace(
        object_id=ids,
        category=np.repeat(np.arange(objects) % 2, views),
        categories=("chair", "table"),
        ground_truth=lambda name: SimpleNamespace(
            vertices=np.full((3, 3), int(name.removeprefix(prefix))), faces=np.array([[0, 1, 2]])
        ),
    )


@pytest.fixture()
def tested() -> SimpleNamespace:
    return split("test", 6, 3)


@pytest.fixture()
def training() -> SimpleNamespace:
    return split("train", 10, 4)


INDICES = np.array([0, 4, 8, 10, 17])


def test_ellipsoid_has_its_axes():
    shapes = baselines.ellipsoid(3, (1.0, 0.7, 0.5), level=2)
    assert len(shapes) == 3
    vertices, faces = shapes[1]
    assert (faces.min(), faces.max(), len(faces)) == (0, 161, 320)
    assert np.square(vertices / [1, 0.7, 0.5]).sum(1) == pytest.approx(1)
    with pytest.raises(MsrnError, match="semi-axes"):
        baselines.ellipsoid(1, (1, 0, 1))


def test_random_object_is_of_the_category_and_seeded(tested, training):
    many = np.tile(INDICES, 60)
    ids = baselines.random_object(tested, many, training, seed=0)
    category = dict(zip(training.object_id, training.category, strict=True))
    assert [category[name] for name in ids] == tested.category[many].tolist()
    assert set(ids) == set(training.object_id)  # every object gets its turn
    assert (ids == baselines.random_object(tested, many, training, seed=0)).all()
    assert (ids != baselines.random_object(tested, many, training, seed=1)).any()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("at_once", [16_000_000, 50])
def test_nearest_object_matches_a_loop(tested, training, known, at_once, monkeypatch):
    monkeypatch.setattr(retrieval, "SIMILARITIES_AT_ONCE", at_once)
    generator = np.random.default_rng(0)
    features, rows = unit(generator.normal(size=(18, 5))), unit(generator.normal(size=(40, 5)))
    ids = baselines.nearest_object(tested, INDICES, training, features, rows, known_category=known)
    for index, found in zip(INDICES, ids, strict=True):
        best, name = -2.0, None
        for row, object_id, category in zip(rows, training.object_id, training.category, strict=True):
            if (not known or category == tested.category[index]) and row @ features[index] > best:
                best, name = row @ features[index], object_id
        assert found == name


def test_meshes_of_gives_the_named_objects(training):
    shapes = baselines.meshes_of(training, ["train7", "train2", "train7"])
    assert [int(vertices[0, 0]) for vertices, _ in shapes] == [7, 2, 7]


def test_refusals(tested, training):
    rows, wide = unit(np.ones((40, 5))), unit(np.ones((18, 6)))
    with pytest.raises(MsrnError, match="training, such as test0"):
        baselines.random_object(tested, INDICES, tested, 0)
    with pytest.raises(MsrnError, match="sizes 6 and 5"):
        baselines.nearest_object(tested, INDICES, training, wide, rows)
    with pytest.raises(MsrnError, match="each of 18 images"):
        baselines.nearest_object(tested, INDICES, training, rows, rows)
    with pytest.raises(MsrnError, match="another length than 1"):
        baselines.nearest_object(tested, INDICES, training, 2 * wide, rows)
    training.category = np.zeros(40, int)
    with pytest.raises(MsrnError, match="0 training objects of category table"):
        baselines.random_object(tested, INDICES, training, 0)
    training.categories = ("chair", "lamp")
    with pytest.raises(MsrnError, match="chair, lamp"):
        baselines.random_object(tested, INDICES, training, 0)

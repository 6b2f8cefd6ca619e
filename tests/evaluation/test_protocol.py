"""The protocol on small made-up objects: floors, alignments, summaries, differences, refusals."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from trimesh.creation import box

from msrn.data.outer_surface import sample_outer_surface
from msrn.data.surface import sample_surface
from msrn.errors import MsrnError
from msrn.evaluation import protocol
from msrn.evaluation.alignment import about_vertical, normalising
from msrn.evaluation.metrics import Distances, nearest_distances

POINTS = 1200
NAMES = ("bench", "step", "wall")


def normalise(vertices: np.ndarray) -> np.ndarray:
    return normalising(vertices).apply(vertices)


class Truth:
    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self.vertices, self.faces = normalise(vertices).astype(np.float32), faces.astype(np.int32)

    def points(self, count: int, seed: int) -> np.ndarray:
        return sample_surface(self.vertices, self.faces, count, seed).astype(np.float32)

    def outer_points(self, count: int, seed: int) -> np.ndarray:
        return sample_outer_surface(self.vertices, self.faces, count, seed).astype(np.float32)


def two_boxes(index: int) -> Truth:
    """A seat and a back, of another shape for each index."""
    generator = np.random.default_rng(index)
    seat, back = box((0.6 + 0.2 * generator.random(), 0.3, 0.6)), box((0.5, 1, 0.1 + 0.1 * generator.random()))
    vertices = np.concatenate([seat.vertices, back.vertices + [0.1, 0.4, -0.3]])
    return Truth(vertices, np.concatenate([seat.faces, back.faces + 8]))


@pytest.fixture(scope="module")
def collection() -> SimpleNamespace:
    """Five objects of two of three categories; the last object has two views."""
    truths = {f"object-{index}": two_boxes(index) for index in range(5)}
    return SimpleNamespace(
        object_id=np.array([*truths, "object-4"]),
        category=np.array([0, 0, 0, 2, 2, 2]),
        ground_truth=truths.__getitem__,
    )


def meshes(collection: SimpleNamespace, change=lambda vertices: vertices) -> list[protocol.Mesh]:
    truths = [collection.ground_truth(name) for name in collection.object_id[:5]]
    return [(change(truth.vertices), truth.faces) for truth in truths]


@pytest.fixture(scope="module")
def same(collection) -> protocol.ObjectMetrics:
    return protocol.evaluate_meshes(meshes(collection), collection, range(5), POINTS, seed=0)


@pytest.fixture(scope="module")
def squeezed(collection) -> protocol.ObjectMetrics:
    narrow = meshes(collection, lambda vertices: vertices * [1, 1, 0.5])
    return protocol.evaluate_meshes(narrow, collection, range(5), POINTS, seed=0)


def test_truth_against_itself_is_at_the_floor_of_sampling(collection, same):
    truth = collection.ground_truth("object-2")
    floor = nearest_distances(truth.outer_points(POINTS, 5), truth.outer_points(POINTS, 6)).chamfer_l1()
    for alignment in protocol.ALIGNMENTS:
        assert same.cd[alignment][2] == pytest.approx(floor, rel=0.08)
    dense = protocol.evaluate_meshes(meshes(collection)[:1], collection, [0], 16 * POINTS, seed=0)
    assert dense.cd["none"][0] == pytest.approx(same.cd["none"][0] / 4, rel=0.1)  # falls with the root of the points
    assert dense.f["none"][0] > same.f["none"][0]


def test_alignment_none_is_the_plain_metric(collection, squeezed):
    (vertices, faces), truth = meshes(collection)[1], collection.ground_truth("object-1")
    predicted = sample_outer_surface(normalise(vertices * [1, 1, 0.5]), faces, POINTS, [0, protocol.PREDICTED_STREAM])
    expected = nearest_distances(predicted, truth.outer_points(POINTS, 0))
    assert squeezed.cd["none"][1] == pytest.approx(expected.chamfer_l1(), rel=1e-6)
    assert squeezed.eq46["none"][1] == pytest.approx(expected.chamfer_eq46(POINTS), rel=1e-6)
    assert squeezed.f["none"][1] == pytest.approx(expected.f_score(), rel=1e-6)


def test_fewer_queries_estimate_the_same_numbers(collection, squeezed, monkeypatch):
    monkeypatch.setattr(protocol, "QUERIES", 300)
    narrow = meshes(collection, lambda vertices: vertices * [1, 1, 0.5])
    few = protocol.evaluate_meshes(narrow, collection, range(5), POINTS, seed=0)
    assert few.cd["none"] == pytest.approx(squeezed.cd["none"], rel=0.12)
    assert few.eq46["none"] == pytest.approx(squeezed.eq46["none"], rel=0.3)  # a sum over POINTS, not over 300


@pytest.mark.parametrize("degrees", [90, 98])
def test_search_undoes_a_turn_of_a_scaled_and_shifted_truth(collection, same, degrees):
    turn = about_vertical(degrees).linear.astype(np.float32)
    turned = meshes(collection, lambda vertices: 3 * vertices @ turn + 1)
    found = protocol.evaluate_meshes(turned, collection, range(5), POINTS, seed=0)
    assert (found.cd["none"] > 1.7 * same.cd["none"]).all()
    assert found.cd["search_icp"] == pytest.approx(same.cd["none"], rel=0.1)
    if degrees == 90:  # a multiple of the step of 15 degrees
        assert found.cd["search"] == pytest.approx(same.cd["none"], rel=0.1)


def test_each_step_of_alignment_lowers_cd_or_is_dropped(same, squeezed):
    for found in (same, squeezed):
        cd = found.cd
        assert (cd["icp"] <= cd["none"]).all()
        assert (cd["search"] <= cd["none"]).all()
        assert (cd["search_icp"] <= cd["search"]).all()
        assert (cd["search_icp_axes"] <= cd["search_icp"]).all()
    assert (squeezed.cd["search_icp_axes"] < 0.8 * squeezed.cd["search_icp"]).all()


def test_same_seed_same_numbers_whatever_the_threads(collection, same):
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        again = protocol.evaluate_meshes(meshes(collection), collection, range(5), POINTS, seed=0)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    other = protocol.evaluate_meshes(meshes(collection)[:1], collection, [0], POINTS, seed=1)
    for alignment in protocol.ALIGNMENTS:
        assert (again.cd[alignment] == same.cd[alignment]).all()
    assert other.cd["none"][0] != same.cd["none"][0]


def made_up(cd: list[float], ids: list[str], category: list[int], points: int = 10) -> protocol.ObjectMetrics:
    columns = {alignment: np.array(cd, float) for alignment in (*protocol.ALIGNMENTS, protocol.ALL_FACES)}
    columns["none"] = columns["none"] + 1
    return protocol.ObjectMetrics(np.array(ids), np.array(category), points, columns, columns, columns)


def test_summary_of_known_numbers():
    found = made_up([1, 3, 5, 9, 11], ["a", "b", "c", "d", "d"], [0, 0, 0, 2, 2])
    summary = found.summary(NAMES)
    assert summary["objects"] == 4  # d, seen twice, counts once, with the mean of its views
    assert summary["objects.bench"] == 3
    assert summary["points"] == 10
    assert summary["cd.category.bench"] == pytest.approx(3)
    assert summary["cd.category.wall"] == pytest.approx(10)
    assert "cd.category.step" not in summary
    assert summary["cd"] == summary["cd.search_icp"] == pytest.approx(6.5)
    assert summary["cd.none"] == pytest.approx(7.5)
    assert summary["cd.micro"] == pytest.approx((1 + 3 + 5 + 10) / 4)
    # Bench resampled from 1, 3, 5 spans 2, stretched by sqrt(3 / 2) and Student's 4.30 / 1.96; wall fixed.
    reach = 1.0 * (3 / 2) ** 0.5 * 4.303 / 1.96
    assert 6.5 - reach - 0.01 <= summary["cd.low"] < 6.5 < summary["cd.high"] <= 6.5 + reach + 0.01
    assert summary == found.summary(NAMES)


def test_bad_meshes_are_named(collection):
    good = meshes(collection)
    cases = [
        ((np.full((4, 3), np.nan), good[1][1]), "mesh for object object-1: vertices: 4 of 4 are not finite"),
        ((np.zeros((0, 3)), np.zeros((0, 3), int)), "mesh for object object-1: vertices: shape (0, 3)"),
        ((good[1][0], np.zeros((0, 3), int)), "F > 0"),
    ]
    for bad, words in cases:
        with pytest.raises(MsrnError) as error:
            protocol.evaluate_meshes([good[0], bad], collection, [0, 1], POINTS, 0)
        assert words in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(MsrnError, match="2 meshes for 3 images"):
        protocol.evaluate_meshes(good[:2], collection, [0, 1, 2], POINTS, 0)
    with pytest.raises(MsrnError, match="0 points"):
        protocol.evaluate_meshes(good[:1], collection, [0], 0, 0)


def test_an_error_of_one_object_ends_the_evaluation(collection):
    point = [(np.ones((3, 3)), np.array([[0, 1, 2]]))]
    with pytest.raises(MsrnError, match="single place"):
        protocol.evaluate_meshes(point + meshes(collection)[1:], collection, range(5), POINTS, 0)


def test_distances_are_a_pair_of_arrays(collection):
    found = protocol.align_and_measure(*(collection.ground_truth("object-0").points(200, s) for s in (1, 2)), np.eye(3))
    assert list(found) == list(protocol.ALIGNMENTS)
    assert all(isinstance(distances, Distances) for _, distances in found.values())


def test_what_is_hidden_counts_with_all_faces_alone(collection):
    """A box within the seat: the truth is as far from it as before, but for points of all faces."""
    truth = collection.ground_truth("object-0")
    engine = box((0.3, 0.15, 0.3)).vertices + truth.vertices[:8].mean(0)
    vertices = np.concatenate([truth.vertices, engine])
    filled = [(vertices, np.concatenate([truth.faces, box().faces + len(truth.vertices)]))]
    empty, full = (protocol.evaluate_meshes(m, collection, [0], POINTS, 0) for m in (meshes(collection)[:1], filled))
    for alignment in protocol.ALIGNMENTS:
        assert full.cd[alignment] == pytest.approx(empty.cd[alignment], rel=0.05)
    assert full.cd[protocol.ALL_FACES] > 1.1 * empty.cd[protocol.ALL_FACES]
    summary = full.summary(NAMES)
    assert summary["cd_axes"] == summary["cd.search_icp_axes"] and summary["cd_axes.low"] <= summary["cd_axes"]
    assert summary["f_axes.category.bench"] == full.f["search_icp_axes"][0]

"""3D IoU on solids of known overlap, on meshes with gaps, and on sets that are moved and scaled as a whole."""

from types import SimpleNamespace

import numpy as np
import pytest
from trimesh.creation import box, icosphere

from msrn.errors import MsrnError
from msrn.evaluation.volume import RESOLUTION, iou3d, solid_iou

VERTICES, FACES = (np.asarray(part) for part in (box((1, 1, 1)).vertices, box((1, 1, 1)).faces))
BALL, BALL_FACES = (np.asarray(part) for part in (icosphere(4, 0.5).vertices, icosphere(4, 0.5).faces))
HALF = 0.5 / RESOLUTION  # by which cubes at the surface thicken a solid


def cubes(vertices: np.ndarray) -> float:
    return solid_iou((vertices, FACES), (VERTICES, FACES))


def test_cubes_of_known_overlap():
    assert cubes(VERTICES) == 1
    assert cubes(VERTICES * [1, 1, 0.5]) == 0.5
    assert cubes(VERTICES * 0.5) == 1 / 8
    assert cubes(VERTICES * 2) == 1 / 8  # what sticks out counts
    assert cubes(VERTICES + [0.5, 0, 0]) == pytest.approx(1 / 3, abs=0.01)
    assert cubes(VERTICES + [0.5, 0.5, 0.5]) == pytest.approx(1 / 15, abs=0.01)
    assert cubes(VERTICES + [1.5, 0, 0]) == 0


def test_spheres_of_known_overlap():
    def lens(apart: float, radius: float) -> float:
        """IoU of two balls: a lens is two caps."""
        both = np.pi * (2 * radius - apart) ** 2 * (apart**2 + 4 * apart * radius) / (12 * apart)
        return both / (8 / 3 * np.pi * radius**3 - both)

    for apart in (0.2, 0.5, 0.8):
        found = solid_iou((BALL + [0, apart, 0], BALL_FACES), (BALL, BALL_FACES))
        assert found == pytest.approx(lens(apart, 0.5 + HALF), abs=0.015)
    inside = solid_iou((BALL, BALL_FACES), (VERTICES, FACES))
    assert inside == pytest.approx(4 / 3 * np.pi * (0.5 + HALF) ** 3, abs=0.015)


def test_a_mesh_need_not_be_watertight():
    """Faces apart by less than a cube leak nothing; without its lid a box is its walls."""
    apart = VERTICES[FACES] * (1 - 0.3 / RESOLUTION)  # each face has corners of its own
    apart += 0.2 / RESOLUTION * np.sign(apart.mean(1, keepdims=True))
    soup = apart.reshape(-1, 3), np.arange(36).reshape(12, 3)
    assert solid_iou(soup, (VERTICES, FACES)) > 0.8
    lidless = FACES[~(VERTICES[FACES][:, :, 1] > 0.4).all(1)]
    walls = (RESOLUTION**3 - (RESOLUTION - 2) ** 2 * (RESOLUTION - 1)) / RESOLUTION**3
    assert solid_iou((VERTICES, lidless), (VERTICES, FACES)) == walls
    assert solid_iou((VERTICES, FACES[:, ::-1]), (VERTICES, FACES)) == 1  # nor have its faces an order


def test_fine_and_coarse_faces_make_the_same_solid():
    fine = box((1, 1, 1)).subdivide().subdivide().subdivide()
    assert solid_iou((np.asarray(fine.vertices), np.asarray(fine.faces)), (VERTICES, FACES)) == 1


def collection(*edges: tuple[float, float, float]) -> SimpleNamespace:
    """Boxes, the longest edge 1, as true shapes."""
    truths = {f"car/{k}": SimpleNamespace(vertices=VERTICES * edge, faces=FACES) for k, edge in enumerate(edges)}
    return SimpleNamespace(object_id=np.array(list(truths)), ground_truth=truths.__getitem__)


LONG, FLAT = (0.5, 0.5, 1.0), (1.0, 0.25, 0.5)


def test_a_set_is_moved_and_scaled_as_a_whole():
    cars = collection(LONG, FLAT)
    moved = [(VERTICES * edge * 7 + [1, 2, 3], FACES) for edge in (LONG, FLAT)]
    assert iou3d(moved, cars, [0, 1]).tolist() == [100, 100]
    assert iou3d(moved[::-1], cars, [1, 0]).tolist() == [100, 100]
    one_smaller = [(VERTICES * LONG, FACES), (VERTICES * np.multiply(FLAT, 0.5), FACES)]  # scales 1, 2: 1.5 both
    assert iou3d(one_smaller, cars, [0, 1]) == pytest.approx([100 / 1.5**3, 100 * 0.75**3], abs=4)
    one_aside = [(VERTICES * LONG, FACES), (VERTICES * FLAT + [0.4, 0, 0], FACES)]  # half of it back, both
    assert iou3d(one_aside, cars, [0, 1]) == pytest.approx([300 / 7, 200 / 3], abs=4)


def test_a_turn_is_not_forgiven():
    cars = collection(LONG)
    turned = [(VERTICES * [1.0, 0.5, 0.5], FACES)]
    assert iou3d(turned, cars, [0]) == pytest.approx([100 / 3], abs=1)


def test_points_have_no_inside():
    assert iou3d([VERTICES], collection(LONG), [0]) is None


@pytest.mark.parametrize(
    ("vertices", "reason"),
    [
        (VERTICES * [1, 0, 1], "mesh for object car/1: its box is 1 × 0 × 1: expected a volume"),
        (VERTICES * np.nan, "mesh for object car/1: vertices: 8 of 8 are not finite"),
        (VERTICES * 100, "mesh for object car/0: vertices (8, 2)"),
    ],
)
def test_bad_meshes_are_named(vertices, reason):
    first = VERTICES[:, :2] if "(8, 2)" in reason else VERTICES * LONG
    with pytest.raises(MsrnError) as error:
        iou3d([(first, FACES), (vertices, FACES)], collection(LONG, FLAT), [0, 1])
    assert str(error.value).startswith(reason.split(" (8")[0])


def test_a_mesh_in_another_unit_is_named():
    cars = collection(*[LONG] * 5)
    mixed = [(VERTICES * LONG, FACES)] * 4 + [(VERTICES * np.multiply(LONG, 100), FACES)]
    with pytest.raises(MsrnError, match=r"mesh for object car/4: 80\.\d times as long as its true shape .* at most 4"):
        iou3d(mixed, cars, range(5))

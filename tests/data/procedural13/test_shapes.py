import numpy as np
import pytest

from msrn.data.drawing.views import draw_views
from msrn.data.procedural13.shapes import CATEGORIES, FAMILIES, make_object
from msrn.data.procedural13.shapes.dice import Dice, shade
from msrn.data.procedural13.shapes.part import area, doubled_normals, finish, join
from msrn.data.procedural13.shapes.solids import (
    FACING,
    box,
    cylinder,
    disc,
    ellipsoid,
    extrude,
    lathe,
    loft,
    panel,
    rounded_box,
    tapered,
    triangulate,
    tube,
    wedge,
)

RED, BLUE = (200, 20, 20), (20, 20, 200)
L_SHAPE = [(0, 0), (2, 0), (2, 1), (1, 1), (1, 3), (0, 3)]  # z, y; area 4
SOLIDS = {  # part, volume
    "box": (box(2, (0, 3), (1, 2), RED), 6),
    "tapered": (tapered((2, 2), (1, 1), (0, 3), RED), 7),
    "rounded_box": (rounded_box(2, 2, 2, 0.0001, RED), 8),
    "wedge": (wedge(2, (0, 3), (-1, 1), RED), 6),
    "extrude": (extrude(L_SHAPE, 0.5, RED), 2),
    "extrude clockwise": (extrude(L_SHAPE[::-1], 0.5, RED), 2),
    "cylinder": (cylinder(1, (0, 2), RED, sides=200), 2 * np.pi),
    "cone": (cylinder(1, (0, 3), RED, sides=200, top=0), np.pi),
    "lathe": (lathe([(0, 0), (1, 1), (0, 2)], RED, sides=200), 2 / 3 * np.pi),
    "ellipsoid": (ellipsoid((1, 2, 3), RED, rows=60, sides=100), 8 * np.pi),
    "tube": (tube([(0, 0, 0), (0, 0, 4)], 0.5, RED, sides=200), np.pi),
    "bent tube": (tube([(0, 0, 0), (0, 0, 4), (0, 3, 8)], 0.5, RED, sides=200), 9 * np.pi / 4),
}


def volume(part):
    return (part.vertices[part.faces[:, 0]] * doubled_normals(part.vertices, part.faces)).sum() / 6


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_are_closed_and_face_outward(name):
    part, expected = SOLIDS[name]
    edges = np.concatenate([part.faces[:, [0, 1]], part.faces[:, [1, 2]], part.faces[:, [2, 0]]])
    points = np.round(part.vertices, 9)
    ends = [(tuple(points[a]), tuple(points[b])) for a, b in edges]
    assert sorted(ends) == sorted((b, a) for a, b in ends)  # every edge is met by its neighbour, the other way
    assert volume(part) == pytest.approx(expected, rel=0.03)
    assert area(part.vertices, part.faces).min() > 0
    turned = part.turned("x", 40).turned("y", 50).turned("z", 60).moved(1, 2, 3)
    assert volume(turned) == pytest.approx(volume(part)) == pytest.approx(volume(part.mirrored()))


def test_ears_cover_a_polygon_once():
    outline = np.array([(0, 0), (4, 0), (4, 3), (3, 3), (3, 1), (2, 1), (2, 2), (1, 2), (1, 1), (0, 3)], float)
    triangles = outline[triangulate(outline)]
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    signed = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
    shoelace = (outline[:, 0] * np.roll(outline[:, 1], -1) - outline[:, 1] * np.roll(outline[:, 0], -1)).sum() / 2
    assert (signed > 0).all() and len(signed) == len(outline) - 2 and signed.sum() == pytest.approx(shoelace)


@pytest.mark.parametrize("facing", FACING)
def test_decals_face_where_they_say(facing):
    for part in (panel((1, 2, 3), (4, 5), facing, RED), disc((1, 2, 3), 2, facing, RED)):
        normals = doubled_normals(part.vertices, part.faces)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        np.testing.assert_allclose(normals, np.tile(FACING[facing][2], (len(normals), 1)), atol=1e-9)
        np.testing.assert_allclose(part.vertices.mean(0), [1, 2, 3], atol=1e-9)


def test_turns_follow_the_right_hand():
    part = panel((0, 1, 0), (0.1, 0.1), "+y", RED)
    np.testing.assert_allclose(part.turned("x", 90).vertices.mean(0), [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(part.turned("z", 90).vertices.mean(0), [-1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(part.turned("x", 90).turned("y", 90).vertices.mean(0), [1, 0, 0], atol=1e-12)


def test_colors_of_bands_and_paint():
    cone = loft([[(-1, y, -1), (-1, y, 1), (1, y, 1), (1, y, -1)] for y in (0, 1, 2)], [RED, BLUE, RED, BLUE])
    middle = cone.vertices[cone.faces].mean(1)[:, 1]
    assert (
        {tuple(c) for c in cone.colors[middle == 2]}
        == {BLUE}
        == {tuple(c) for c in cone.colors[(middle > 0) & (middle < 1)]}
    )
    fronted = box(1, 1, 1, RED).fronted(BLUE)
    blue = (fronted.colors == BLUE).all(1)
    assert blue.any() and not blue.all() and (fronted.vertices[fronted.faces[blue]][..., 2] == 0.5).all()


def test_finish_centres_scales_and_cleans():
    whole = join([box((0, 4), (0, 1), (0, 2), RED), panel((1, 1, 1), (0, 1), "+y", BLUE)])  # the panel has no area
    mesh = finish([whole])
    np.testing.assert_allclose(
        [mesh.vertices.min(0), mesh.vertices.max(0)], [[-0.5, -0.125, -0.25], [0.5, 0.125, 0.25]]
    )
    assert (mesh.face_colors == RED).all() and set(np.unique(mesh.faces)) == set(range(len(mesh.vertices)))


def test_dice_are_the_same_everywhere():
    dice = Dice(3, 14)
    assert [round(dice.unit(), 12) for _ in range(3)] == [0.933813352979, 0.136288515591, 0.53592771619]
    draws = np.array([dice.whole(2, 5) for _ in range(4000)])
    assert np.bincount(draws, minlength=7)[2:6].min() > 900 and set(draws) == {2, 3, 4, 5}
    assert np.mean([dice.between(-1, 3) for _ in range(4000)]) == pytest.approx(1, abs=0.06)
    assert shade(RED, 1) == RED and max(shade(RED, 0.5)) == 100 and min(shade(RED, 2)) == 245


@pytest.mark.parametrize("category", CATEGORIES)
def test_meshes_keep_the_contract(category):
    for index in range(40):
        mesh = make_object(category, index)
        assert mesh.vertices.dtype == np.float32 and mesh.faces.dtype == np.int32
        assert mesh.face_colors.dtype == np.uint8 and mesh.face_colors.shape == mesh.faces.shape
        assert 40 < len(mesh.faces) <= 2000 and set(np.unique(mesh.faces)) == set(range(len(mesh.vertices)))
        assert np.isfinite(mesh.vertices).all()
        assert area(mesh.vertices.astype(float), mesh.faces).min() > 1e-8, index
        low, high = mesh.vertices.min(0), mesh.vertices.max(0)
        assert (high - low).max() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose((low + high) / 2, 0, atol=1e-5)


@pytest.mark.parametrize("category", CATEGORIES)
def test_objects_differ_and_come_again_the_same(category):
    objects = [make_object(category, index) for index in range(12)]
    again = make_object(category, 7)
    np.testing.assert_array_equal(again.vertices, objects[7].vertices)
    np.testing.assert_array_equal(again.face_colors, objects[7].face_colors)
    assert len({mesh.vertices.tobytes() for mesh in objects}) == 12
    assert len({mesh.face_colors.tobytes() for mesh in objects}) == 12


@pytest.mark.parametrize("category", CATEGORIES)
def test_front_and_back_look_different(category):
    """Over the object, in levels of 255; 0 for one that is the same after a half turn, or mirrored front to back."""
    for index in (0, 1, 2, 3, 23):
        images, masks = draw_views(make_object(category, index), np.array([0, 12]))
        (front, back), seen = images.astype(float), masks.any(0)
        assert np.abs(front - back).mean(0)[seen].mean() > 8, index
        assert np.abs(front - back[..., ::-1]).mean(0)[seen].mean() > 8, index


@pytest.mark.parametrize(("category", "rear_is_higher"), [("chair", 1), ("sofa", 1), ("airplane", 1), ("rifle", -1)])
def test_the_front_is_toward_positive_z(category, rear_is_higher):
    """Backs of seats and tail fins stand at the rear; a rifle's butt hangs lower than its muzzle."""
    for index in range(12):
        points = make_object(category, index).points(4000, 0)
        reach = 0.7 * np.abs(points[:, 2]).max()
        rear, front = points[points[:, 2] < -reach], points[points[:, 2] > reach]
        assert rear_is_higher * (rear[:, 1].mean() - front[:, 1].mean()) > 0, index


def test_every_family_is_named_as_the_paper_names_it():
    assert CATEGORIES == tuple(sorted(FAMILIES)) and len(CATEGORIES) == 13

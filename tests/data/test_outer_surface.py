"""What can be seen of a mesh from outside: hidden parts are left out, all else is kept, uniform in area."""

import numpy as np
import pytest
from trimesh.creation import annulus, box, icosphere

from msrn.data import outer_surface
from msrn.data.drawing.zbuffer import draw_face
from msrn.data.outer_surface import sample_outer_surface
from msrn.data.surface import sample_faces, sample_surface
from msrn.errors import MsrnError


def joined(*meshes) -> tuple[np.ndarray, np.ndarray]:
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]
    return np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces)


def moved(mesh, *by: float):
    mesh.apply_translation(by)
    return mesh


def test_what_lies_within_is_left_out():
    points = sample_outer_surface(*joined(box((1, 0.5, 0.5)), icosphere(3, 0.2)), 5000, 0)
    assert points.shape == (5000, 3) and np.linalg.norm(points, axis=1).min() > 0.24


def test_parts_that_run_into_each_other_have_the_surface_of_their_union():
    """Two boxes overlap by half: of each the end within the other is hidden, and sides hide no less there."""
    left, right = moved(box((0.6, 0.4, 0.4)), -0.15, 0, 0), moved(box((0.6, 0.36, 0.36)), 0.15, 0, 0)
    points = sample_outer_surface(*joined(left, right), 20_000, 0)
    inside = (np.abs(points[:, 0]) < 0.14) & (np.abs(points[:, 1:]) < 0.185).all(1)
    assert inside.mean() < 0.002
    end = (points[:, 0] > 0.449).mean()  # of the right box's visible area
    area = 0.4 * 0.4 + 4 * 0.6 * 0.4 + (0.4**2 - 0.36**2) + 4 * 0.3 * 0.36 + 0.36**2
    assert end == pytest.approx(0.36**2 / area, rel=0.06)


@pytest.mark.parametrize("mesh", [icosphere(3, 0.5), annulus(0.3, 0.5, 0.2), box((1, 0.02, 0.6))])
def test_a_surface_that_hides_nothing_is_sampled_whole(mesh):
    """Also a hole through which one sees, and a sheet that is thinner than a pixel of the depth maps."""
    outer, whole = (sample(mesh.vertices, mesh.faces, 4000, 0) for sample in (sample_outer_surface, sample_surface))
    np.testing.assert_array_equal(outer, whole)


def test_an_open_mesh_is_seen_from_both_sides():
    sheet = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]]), np.array([[0, 1, 2]])
    assert sample_outer_surface(*sheet, 100, 0).shape == (100, 3)


@pytest.mark.parametrize("mesh", [joined(box((1, 0.5, 0.5)), icosphere(3, 0.2)), joined(annulus(0.3, 0.5, 0.2))])
def test_samples_that_are_left_out_of_the_depth_maps_change_nothing(mesh):
    """Against whole maps of all directions, drawn by the z-buffer that draws photographs."""
    vertices, faces = mesh[0].astype(float), mesh[1]
    points, face = sample_faces(vertices, faces, 2000, 0)
    turns, side, seen = outer_surface._turns(), outer_surface.SIDE, np.zeros(len(points), bool)
    for turn in turns:
        projected = np.array([outer_surface._seen_from(turn, vertex) for vertex in vertices])
        nearest, inverse_depth = np.full((side, side), -1, np.int32), np.zeros((side, side))
        for k, corners in enumerate(faces):
            draw_face(projected, corners, k, nearest, inverse_depth)
        x, y, depth = np.array([outer_surface._seen_from(turn, point) for point in points]).T
        place = ((y + 1) / 2 * side).astype(int), ((x + 1) / 2 * side).astype(int)
        seen |= (nearest[place] == face) | ((depth - outer_surface.TOLERANCE) * inverse_depth[place] <= 1)
    found = outer_surface._outside(points, face, vertices, faces, turns, side)
    np.testing.assert_array_equal(found, seen)


def test_place_and_size_do_not_matter():
    vertices, faces = joined(box((1, 0.5, 0.5)), icosphere(3, 0.2))
    points = sample_outer_surface(1000 * vertices + 5000, faces, 500, 3)
    np.testing.assert_allclose((points - 5000) / 1000, sample_outer_surface(vertices, faces, 500, 3), atol=1e-9)


def test_a_mesh_that_is_mostly_hidden_gives_as_many_points():
    inner = [moved(box((0.1, 0.1, 0.1)), *(0.12 * np.array([x, y, z]) - 0.36)) for x, y, z in np.ndindex(7, 7, 7)]
    vertices, faces = joined(box((1, 1, 1)), *inner)
    points = sample_outer_surface(vertices, faces, 3000, [4, 1])
    assert np.abs(points).max(1) == pytest.approx(0.5) and len(np.unique(points, axis=0)) == 3000
    assert (points == sample_outer_surface(vertices, faces, 3000, [4, 1])).all()


def test_bad_meshes_are_refused():
    with pytest.raises(MsrnError, match="without any area"):
        sample_outer_surface(np.zeros((3, 3)), np.array([[0, 1, 2]]), 10, 0)
    with pytest.raises(MsrnError, match="expected at least 1 point"):
        sample_outer_surface(box().vertices, box().faces, 0, 0)

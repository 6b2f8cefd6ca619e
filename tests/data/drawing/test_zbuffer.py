import math

import numpy as np
import pytest

from msrn.data.drawing import zbuffer


def slow_nearest(points, faces, size):
    """One ray a sample: cut every triangle's plane in the space where x and y are divided by z."""
    nearest = np.full((size, size), -1)
    for row in range(size):
        for column in range(size):
            sample = np.array([(2 * column + 1) / size - 1, (2 * row + 1) / size - 1])
            best = math.inf
            for index, face in enumerate(faces):
                corners = points[face]
                if (corners[:, 2] <= 0).any():
                    continue
                # the camera-space corner is (x z, y z, z): the ray t (x, y, 1) meets the plane where n . p = n . corner
                solid = np.column_stack([corners[:, :2] * corners[:, 2:], corners[:, 2]])
                normal = np.cross(solid[1] - solid[0], solid[2] - solid[0])
                ray = np.append(sample, 1.0)
                if abs(normal @ ray) < 1e-12:
                    continue
                depth = normal @ solid[0] / (normal @ ray)
                hit = depth * ray
                sides = [normal @ np.cross(solid[(k + 1) % 3] - solid[k], hit - solid[k]) for k in range(3)]
                if depth > 0 and min(sides) >= 0 and depth < best:
                    best, nearest[row, column] = depth, index
    return nearest


@pytest.mark.parametrize("seed", range(4))
def test_nearest_face_is_the_first_that_a_ray_meets(seed):
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.uniform(-1.4, 1.4, (12, 2)), rng.uniform(1, 4, (12, 1))], axis=1)
    points[0, 2] = -1.0  # behind the camera
    faces = rng.integers(0, 12, (9, 3))
    faces[3] = faces[3, 0]  # without area
    drawn = zbuffer.nearest_face(points[None], faces, 24)[0]
    expected = slow_nearest(points, faces, 24)
    assert (expected >= 0).any() and (expected < 0).any()
    np.testing.assert_array_equal(drawn, expected)


def test_empty_view_is_white_and_unmasked():
    points = np.array([[[5.0, 5, 1], [6, 5, 1], [5, 6, 1]]])
    images, masks = zbuffer.draw(points, points, np.array([[0, 1, 2]]), np.zeros((1, 3), np.uint8), 8, 2)
    assert (images == 255).all() and not masks.any()


def test_half_a_pixel_is_masked_and_blended_with_white():
    # Covers x < 0.125 of an image of 8 pixels: four whole columns and half of the fifth, which has 2 of 4 samples.
    square = np.array([[[-2.0, -2, 1], [0.125, -2, 1], [0.125, 2, 1], [-2, 2, 1]]])
    black = np.zeros((2, 3), np.uint8)
    images, masks = zbuffer.draw(square, square, np.array([[0, 1, 2], [0, 2, 3]]), black, 8, 4)
    assert masks[0, :, :5].all() and not masks[0, :, 5:].any()
    assert (images[0, :, :, :4] == 0).all() and (images[0, :, :, 4] == 128).all() and (images[0, :, :, 5:] == 255).all()


def test_both_sides_of_a_face_look_alike_and_light_comes_from_above():
    corners = np.array([[[-1.0, 0, 3], [1, 0, 3], [0, 0, 4]]])  # level, below the camera, seen on its upper side
    level = corners - [0, 1, 0]
    up, down = zbuffer.shade(level, np.array([[0, 1, 2], [2, 1, 0]]))[0]
    under = zbuffer.shade(corners + [0, 1, 0], np.array([[0, 1, 2]]))[0, 0]  # above the camera, seen from below
    assert up == down
    assert up > under == pytest.approx(zbuffer.AMBIENT)


def test_a_layer_over_white_is_what_draw_draws():
    rng = np.random.default_rng(5)
    points = np.concatenate([rng.uniform(-0.9, 0.9, (12, 2)), rng.uniform(1, 4, (12, 1))], axis=1)
    faces, colors = rng.integers(0, 12, (9, 3)), rng.integers(0, 256, (9, 3)).astype(np.uint8)
    images, masks = zbuffer.draw(points[None], points[None], faces, colors, 16, 3)
    lit = colors / 255 * zbuffer.shade(points[None], faces)[0][:, None]
    layer = zbuffer.draw_layer(points, faces, lit, 16, 3)
    assert layer.shape == (16, 16, 4) and layer.dtype == np.float32
    over_white = layer[..., :3] + 1 - layer[..., 3:]
    np.testing.assert_allclose(255 * over_white.transpose(2, 0, 1), images[0], atol=0.51)
    np.testing.assert_array_equal(layer[..., 3] >= 0.5, masks[0])


def test_a_face_toward_the_light_is_the_brightest():
    corners = np.array([[[-1.0, -1, 3], [1, -1, 3], [0, 1, 3]]])  # turned toward the camera, at -z from there
    faces = np.array([[0, 1, 2]])
    for light, expected in (((0, 0, -2), 1.0), ((0, 1, 0), 0.3), ((0, 1, -1), 0.3 + 0.7 / math.sqrt(2))):
        assert zbuffer.shade(corners, faces, light, ambient=0.3)[0, 0] == pytest.approx(expected, abs=1e-6)

"""The camera against its definition and against PyTorch3D's."""

import math

import pytest
import torch

from msrn import camera


def test_a_rotation_is_a_rotation():
    angles = torch.rand(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 360
    matrix = camera.rotation(*angles)
    torch.testing.assert_close(matrix @ matrix.mT, torch.eye(3, dtype=torch.float64).expand(20, 3, 3))
    torch.testing.assert_close(torch.det(matrix), torch.ones(20, dtype=torch.float64))


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (90, 0), (40, 30), (200, -20)])
def test_the_camera_stands_where_the_docstring_says(azimuth, elevation):
    a, e = math.radians(azimuth), math.radians(elevation)
    eye = camera.DISTANCE * torch.tensor([math.cos(e) * math.sin(a), math.sin(e), math.cos(e) * math.cos(a)])
    matrix = camera.rotation(torch.tensor(float(azimuth)), torch.tensor(float(elevation)), torch.tensor(0.0))
    torch.testing.assert_close(eye @ matrix, torch.tensor([0.0, 0.0, -camera.DISTANCE]), atol=1e-6, rtol=0)


def test_either_way_is_the_pose_and_that_of_the_azimuth_half_a_turn_on():
    azimuth, elevation, roll = torch.tensor([10.0, 200.0]), torch.tensor(30.0), torch.tensor(5.0)
    both = camera.either_way(camera.rotation(azimuth, elevation, roll)[:, None])
    expected = [camera.rotation(azimuth + turn, elevation, roll) for turn in (0.0, 180.0)]
    torch.testing.assert_close(both, torch.stack(expected, 1), atol=1e-6, rtol=0)


def test_agrees_with_pytorch3d():
    renderer = pytest.importorskip("pytorch3d.renderer")
    azimuth = torch.tensor([0.0, 35.0, 170.0, 300.0])
    expected, translation = renderer.look_at_view_transform(camera.DISTANCE, 30.0, azimuth)
    matrix = camera.rotation(azimuth, torch.tensor(30.0), torch.tensor(0.0))
    torch.testing.assert_close(matrix, expected, atol=1e-6, rtol=0)
    points = torch.rand(4, 7, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    cameras = renderer.FoVPerspectiveCameras(R=expected, T=translation, fov=camera.FIELD_OF_VIEW)
    screen = cameras.transform_points(points)[..., :2]  # PyTorch3D's x runs left and its y up
    ours = camera.project(points, matrix, translation)
    torch.testing.assert_close(ours[..., :2], -screen, atol=1e-5, rtol=0)


def test_right_is_right_and_up_is_up():
    points = torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])
    zero = torch.zeros(1)
    seen = camera.project(points, camera.rotation(zero, zero, zero), torch.tensor([[0.0, 0.0, camera.DISTANCE]]))[0]
    assert seen[0, 0] > 0.6 and abs(seen[0, 1]) < 1e-6
    assert seen[1, 1] < -0.6 and abs(seen[1, 0]) < 1e-6


def test_a_point_in_the_camera_gives_no_nan():
    point = torch.zeros(1, 1, 3, requires_grad=True)
    zero = torch.zeros(1)
    camera.project(point, camera.rotation(zero, zero, zero), torch.zeros(1, 3)).sum().backward()
    assert torch.isfinite(point.grad).all()

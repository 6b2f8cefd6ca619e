import pytest
import torch

from msrn.errors import MsrnError
from msrn.render import icosphere


@pytest.mark.parametrize(
    "level, vertices, faces", [(0, 12, 20), (1, 42, 80), (2, 162, 320), (3, 642, 1280), (4, 2562, 5120)]
)
def test_sizes(level, vertices, faces):
    points, triangles = icosphere(level)
    assert points.shape == (vertices, 3) and points.dtype == torch.float32
    assert triangles.shape == (faces, 3) and triangles.dtype == torch.int64
    assert triangles.unique().numel() == vertices


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_closed_unit_sphere_oriented_outward(level):
    points, faces = icosphere(level)
    assert torch.allclose(points.norm(dim=1), torch.ones(len(points)), atol=1e-6)
    assert len(points.unique(dim=0)) == len(points)
    a, b, c = points[faces].unbind(1)
    assert ((torch.linalg.cross(b - a, c - a) * (a + b + c)).sum(1) > 0).all()
    # Each directed edge occurs once and its reverse once: closed, and oriented the same way throughout.
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    directed = {tuple(edge) for edge in edges}
    assert len(directed) == len(edges) and directed == {(j, i) for i, j in directed}


def test_triangles_are_nearly_equal():
    points, faces = icosphere(3)
    a, b, c = points[faces].unbind(1)
    area = torch.linalg.cross(b - a, c - a).norm(dim=1)
    assert area.max() < 1.5 * area.min()


@pytest.mark.parametrize("level", [-1, 8, 1.0, True, "3"])
def test_bad_level(level):
    with pytest.raises(MsrnError, match="icosphere: level is"):
        icosphere(level)

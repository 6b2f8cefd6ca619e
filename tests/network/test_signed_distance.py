"""Shapes as signed distances: where they start, their meshes, and what happens where there is none."""

import numpy as np
import pytest
import torch
import trimesh
from toy import tiny_settings

from msrn.errors import MsrnError
from msrn.network import MSRN
from msrn.network.meshes import level_sets, stacked
from msrn.network.signed_distance import HALF, ColorField, SignedDistance, from_ellipsoid
from msrn.store.plain_settings import SIGNED_DISTANCE

CODES = torch.zeros(1, 4), torch.zeros(1, 8)


def ball(radius: float, middle=(0.0, 0.0, 0.0)) -> SignedDistance:
    """The distance from a ball, whatever the code."""
    distance = SignedDistance(4, (radius, radius, radius))
    distance.at = lambda points: lambda code: (points - torch.tensor(middle)).norm(dim=-1) - radius
    return distance


def solid(mesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)


def network(**changed) -> MSRN:
    torch.manual_seed(0)
    return MSRN(tiny_settings(**SIGNED_DISTANCE, **changed), 3).eval()


def images(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("middle", [(0.0, 0.0, 0.0), (0.21, -0.13, 0.05)])
def test_the_mesh_of_a_known_distance(middle):
    """A ball: its radius, its place, closed, and its faces turned outward, or the enclosed volume were negative."""
    [mesh] = level_sets(ball(0.3, middle), ColorField(8), *CODES, 32)
    radius = (mesh.vertices - torch.tensor(middle)).norm(dim=1)
    assert 0.297 < radius.min() and radius.max() < 0.301
    body = solid(mesh)
    assert body.is_watertight and body.is_winding_consistent
    assert body.volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.02)
    assert (mesh.colors == 0.5).all() and mesh.colors.shape == (len(mesh.faces), 3, 3)


def test_the_distance_from_an_ellipsoid():
    """Exact for a ball; of others 0 on the surface, with a slope of 1 across it."""
    points = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    round_one = from_ellipsoid(points, torch.tensor([0.3, 0.3, 0.3], dtype=torch.float64))
    torch.testing.assert_close(round_one, points.norm(dim=1) - 0.3)
    axes = torch.tensor([0.4, 0.2, 0.3], dtype=torch.float64)
    surface = (torch.nn.functional.normalize(points, dim=1) * axes).requires_grad_()
    distance = from_ellipsoid(surface, axes)
    torch.testing.assert_close(distance, torch.zeros_like(distance), atol=1e-9, rtol=0)
    [slope] = torch.autograd.grad(distance.sum(), surface)
    torch.testing.assert_close(slope.norm(dim=1), torch.ones_like(distance), atol=1e-6, rtol=0)
    assert from_ellipsoid(torch.zeros(1, 3), axes.float()).isfinite().all()


def test_the_first_shape_is_the_ellipsoid_in_grey():
    made = network(image_size=32).reconstruct(torch.rand(2, 3, 32, 32))
    for mesh in made.meshes:
        torch.testing.assert_close(mesh.vertices.abs().amax(0), torch.tensor([0.4, 0.28, 0.28]), atol=0.01, rtol=0)
        assert solid(mesh).is_watertight and solid(mesh).volume > 0 and (mesh.colors == 0.5).all()
    assert not made.empty.any()


def test_nothing_lies_outside_of_the_cube_and_what_reaches_its_sides_is_closed():
    distance = SignedDistance(4, (0.9, 0.3, 2.0))
    [mesh] = level_sets(distance, ColorField(8), *CODES, 24)
    body = solid(mesh)
    assert body.is_watertight and body.volume > 0
    np.testing.assert_allclose(body.bounds, [[-HALF, -0.3, -HALF], [HALF, 0.3, HALF]], atol=0.02)
    outside = torch.tensor([[[0.7, 0.0, 0.0], [0.0, 0.0, -0.61]]])
    torch.testing.assert_close(distance(CODES[0], outside)[0], torch.tensor([0.1, 0.01]))


def test_meshes_of_different_images_have_faces_of_their_own():
    one, generator = network(), torch.Generator().manual_seed(2)
    last = one.shape_head[-1], one.texture_head[-1], one.shape_decoder.rest[-1], one.texture_decoder.rest[-1]
    with torch.no_grad():
        for layer in last:
            layer.weight.copy_(0.1 * torch.randn(layer.weight.shape, generator=generator))
    one.open_codes(True)
    made = one.reconstruct(images())
    counts = [len(mesh.faces) for mesh in made.meshes]
    assert len(set(counts)) > 1 and not made.empty.any()
    for mesh in made.meshes:
        assert mesh.faces.max() == len(mesh.vertices) - 1 and mesh.colors.shape == (len(mesh.faces), 3, 3)
        assert solid(mesh).is_watertight and len({tuple(c) for c in mesh.colors.view(-1, 3).tolist()}) > 3
    with pytest.raises(MsrnError, match="faces of their own"):
        stacked(made.meshes)
    alone = one.reconstruct(images()[1:2]).meshes[0]
    torch.testing.assert_close(alone.vertices, made.meshes[1].vertices, atol=1e-5, rtol=0)


def test_the_ellipsoid_stands_in_for_an_empty_level_set_and_is_counted():
    one = network()
    with torch.no_grad():
        one.shape_decoder.rest[-1].bias.fill_(1.0)  # everywhere outside
    made = one.reconstruct(images())
    assert made.empty.tolist() == [True] * 3
    for mesh in made.meshes:
        assert torch.equal(mesh.vertices, one.ellipsoid) and mesh.faces is one.faces and (mesh.colors == 0.5).all()


def test_a_signed_distance_has_no_vertices_to_ask_for():
    with pytest.raises(MsrnError, match="decoders 'sdf' give no vertices"):
        network().shape(images())

"""Rays against the rasteriser: the same camera, the same silhouettes and surface; and gradients by differences."""

import pytest
import torch
from torch.autograd import gradcheck

from msrn import camera
from msrn.network.signed_distance import HALF, SignedDistance
from msrn.render import rays, soft_rasterize
from msrn.render.icosphere import icosphere

SIZE = 64


def cameras(dtype=torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Of three shapes, one each: from different sides, off the centre, one further away and rolled."""
    azimuth, roll = torch.tensor([20.0, 130.0, 250.0]), torch.tensor([0.0, 0.0, 30.0])
    rotation = camera.rotation(azimuth, torch.tensor(30.0), roll)[:, None]
    translation = torch.tensor([[0.1, -0.05, 2.732], [0.0, 0.0, 2.732], [-0.15, 0.1, 3.1]])[:, None]
    return rotation.to(dtype), translation.to(dtype)


@pytest.mark.parametrize("axes", [(0.4, 0.4, 0.4), (0.5, 0.2, 0.3)])
def test_rays_see_what_the_rasteriser_draws(axes):
    """The silhouettes agree but for some pixels at the outline, and rays meet the surface where faces have it."""
    distance, code = SignedDistance(4, axes), torch.zeros(3, 4)
    along = rays.rays(rays.pixels(SIZE, SIZE, (0, 0)), *cameras())
    found = rays.search(lambda points: distance(code, points), along, HALF)
    seen = rays.look(lambda points: distance(code, points), lambda points: points, along, found, 0.01)
    sphere, faces = icosphere(4)
    vertices = (sphere * torch.tensor(axes)).expand(3, -1, -1)
    rotation, translation = (x[:, 0] for x in cameras())
    places = vertices[:, faces]  # each corner's own place for its colour
    drawn, alpha, _ = soft_rasterize(camera.project(vertices, rotation, translation), faces, places, SIZE, 1e-7, 1e-5)
    ours, theirs = seen.alpha.view(3, SIZE, SIZE) > 0.5, alpha > 0.5
    assert ((ours & theirs).sum((1, 2)) / (ours | theirs).sum((1, 2))).min() > 0.99
    apart = (seen.surface.view(3, SIZE, SIZE, 3) - drawn.permute(0, 2, 3, 1))[ours & theirs].norm(dim=1)
    assert apart.mean() < 0.003 and apart.max() < 0.1  # a pixel at the outline looks along the surface


def test_pixels_are_those_of_a_lattice():
    centres = rays.pixels(32, 8, (1, 3)).view(8, 8, 2)
    assert centres[0, 0].tolist() == [(2 * 3 + 1) / 32 - 1, (2 * 1 + 1) / 32 - 1]  # x of the column, y of the row
    assert centres[2, 5].tolist() == [(2 * 23 + 1) / 32 - 1, (2 * 9 + 1) / 32 - 1]


def test_points_on_rays_are_projected_to_their_pixels():
    centres, pose = rays.pixels(16, 16, (0, 0)), cameras()
    along = rays.rays(centres, *pose)
    depth = 2 + torch.rand(3, 1, 256, 5, generator=torch.Generator().manual_seed(0))
    points = along.at(depth)
    assert points.shape == (3, 1, 256, 5, 3)
    back = camera.project(points[:, 0].flatten(1, 2), pose[0][:, 0], pose[1][:, 0])[..., :2].view(3, 256, 5, 2)
    torch.testing.assert_close(back, centres[None, :, None].expand_as(back), atol=1e-5, rtol=0)


def test_alpha_goes_by_the_least_distance_along_the_ray():
    """A ball of radius 0.3 whose centre a ray passes at 0.5: 0.2 away, so alpha is sigmoid(-0.2 / 0.1)."""
    origin, ahead = torch.tensor([0.5, 0.0, -3.0]), torch.tensor([0.0, 0.0, 1.0])
    along = rays.Rays(origin.view(1, 1, 1, 3), ahead.view(1, 1, 1, 3))

    def distance(points):
        return points.norm(dim=-1) - 0.3

    found = rays.search(distance, along, HALF)
    seen = rays.look(distance, lambda points: points, along, found, 0.1)
    assert not found.hit.any() and found.lowest.item() == pytest.approx(3.0, abs=0.01)
    assert seen.alpha.item() == pytest.approx(torch.sigmoid(torch.tensor(-2.0)).item(), abs=1e-3)
    torch.testing.assert_close(seen.log_transparency.exp(), 1 - seen.alpha)


def test_rays_that_miss_the_cube_see_nothing():
    origin = torch.tensor([[2.0, 0.0, -3.0], [0.0, 0.7, -3.0]])
    along = rays.Rays(torch.zeros(1, 1, 1, 3), torch.tensor([0.0, 0.0, 1.0]).expand(1, 1, 2, 3))
    along = along._replace(origin=origin[None, None])
    distance, code = SignedDistance(4, (2.0, 2.0, 2.0)), torch.zeros(1, 4)  # the whole cube
    found = rays.search(lambda points: distance(code, points), along, HALF)
    assert not found.hit.any() and found.lowest.isfinite().all()
    seen = rays.look(lambda points: distance(code, points), lambda points: points, along, found, 0.01)
    assert seen.alpha[0, 0].tolist() == pytest.approx([0.0, torch.sigmoid(torch.tensor(-10.0)).item()], abs=1e-4)


def test_gradients_are_those_of_differences():
    """With respect to the radius and the place of a ball, and to the camera: alpha, and colours that are the points.
    What the search finds is held fixed: of alpha that is its gradient, of the surface to first order, since at the
    points found the secant's slope is the ball's."""
    rotation, translation = (x[:1].double() for x in cameras(torch.float64))
    centres = rays.pixels(16, 4, (2, 2))

    def ball(radius, middle):
        return lambda points: (points - middle).norm(dim=-1) - radius

    def seen(radius, middle, rotation, translation, found=None):
        along, distance = rays.rays(centres, rotation, translation), ball(radius, middle)
        found = found or rays.search(distance, along, HALF)
        return found, rays.look(distance, lambda points: points, along, found, 0.05)

    given = [torch.tensor(0.31), torch.tensor([0.02, -0.04, 0.01]), rotation, translation]
    given = [value.double().requires_grad_() for value in given]
    found, _ = seen(*given)
    assert found.hit.any() and not found.hit.all()

    def outputs(*values):
        now = seen(*values, found=found)[1]
        return now.log_transparency, now.colors

    along = rays.rays(centres, rotation, translation)
    assert gradcheck(outputs, given, atol=1e-5)  # autograd itself
    # Against a new search: the whole rendering as a function of the radius.
    step = 1e-4
    high, low = (seen(given[0].detach() + sign * step, *given[1:])[1] for sign in (1, -1))
    by_differences = (high.log_transparency - low.log_transparency) / (2 * step)
    [gradient] = torch.autograd.grad(seen(*given)[1].log_transparency.sum(), given[:1])
    assert gradient.item() == pytest.approx(by_differences.sum().item(), rel=0.02)
    depth = [(one.colors - along.origin).norm(dim=-1)[found.hit] for one in (high, low)]
    by_differences = (depth[0] - depth[1]) / (2 * step)
    own = (seen(*given)[1].colors - along.origin).norm(dim=-1)[found.hit].sum()
    [gradient] = torch.autograd.grad(own, given[:1])
    assert gradient.item() == pytest.approx(by_differences.sum().item(), rel=0.15)


def test_the_eikonal_term_asks_for_slopes_of_one():
    points = torch.randn(2, 40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    factor = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    term = rays.eikonal(lambda x: factor * (x.norm(dim=-1) - 0.3), points)
    torch.testing.assert_close(term, torch.full((2,), 0.25, dtype=torch.float64))
    [gradient] = torch.autograd.grad(term.sum(), factor)
    assert gradient.item() == pytest.approx(2 * 2 * 0.5)

"""The renderer's backends for a CPU against the equations, against each other, and against what must always hold."""

import itertools
import math

import numpy as np
import pytest
import render_reference
import torch
from render_scenes import DEGENERATE, WHITE, crumpled, soup

from msrn.errors import MsrnError
from msrn.render import soft_rasterize

OWN = ("numba", "torch")
SIGMA = 1e-3


def render(scene, size=16, sigma=SIGMA, gamma=1e-2, background=(0.2, 0.5, 0.9), backend="numba", seed=0):
    """rgb, alpha, log_transparency and the gradients of a random weighting of them by vertices and colours."""
    vertices, faces, colors = scene
    vertices, colors = vertices.clone().requires_grad_(), colors.clone().requires_grad_()
    outputs = soft_rasterize(vertices, faces, colors, size, sigma, gamma, background, backend)
    draw = torch.Generator().manual_seed(seed)
    weights = [torch.randn(output.shape, generator=draw, dtype=torch.float64).to(output) for output in outputs]
    loss = sum((weight * output).sum() for weight, output in zip(weights, outputs, strict=True))
    return [output.detach() for output in outputs], torch.autograd.grad(loss, (vertices, colors))


def assert_close(actual, expected, relative):
    """Each tensor to a tolerance relative to its largest entry."""
    for a, b in zip(itertools.chain(*actual), itertools.chain(*expected), strict=True):
        assert a.shape == b.shape and a.isfinite().all() and b.isfinite().all()
        assert (a - b).abs().max() <= relative * max(1.0, float(b.abs().max())) if a.numel() else True


@pytest.mark.parametrize("backend", OWN)
@pytest.mark.parametrize("gamma", [1e-4, 1e-2, 1.0])  # the last lets the background through
def test_values_equal_the_equations(backend, gamma):
    vertices, faces, colors = soup(faces=6, batch=1)
    size, background = 9, (0.2, 0.5, 0.9)
    rgb, alpha, log_t = soft_rasterize(vertices, faces, colors, size, 1e-2, gamma, background, backend)
    triangles = vertices[0][faces].tolist()
    centre = [(2 * j + 1) / size - 1 for j in range(size)]
    for row, column in itertools.product(range(size), repeat=2):
        place = (centre[column], centre[row])
        expected = render_reference.pixel(triangles, colors[0].tolist(), *place, 1e-2, gamma, background)
        assert rgb[0, :, row, column].tolist() == pytest.approx(expected[0], abs=1e-9)
        assert float(alpha[0, row, column]) == pytest.approx(expected[1], abs=1e-12)
        assert float(log_t[0, row, column]) == pytest.approx(expected[2], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("level, gamma, sigma", [(0, 1e-4, 1e-4), (1, 1e-4, 1e-3), (1, 1e-2, 1e-3), (2, 1.0, 1e-2)])
def test_numba_equals_torch(level, gamma, sigma):
    scene = crumpled(level)
    kind = {"gamma": gamma, "sigma": sigma, "size": 20}
    assert_close(render(scene, **kind), render(scene, **kind, backend="torch"), 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_numba_equals_torch_on_soup(seed):
    scene = soup(faces=40, seed=seed, spread=1.5)
    assert_close(render(scene), render(scene, backend="torch"), 1e-9)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("faces", [1, 7, 8, 9])
def test_numba_fills_its_lanes_with_any_number_of_pixels_and_faces(size, faces):
    scene = soup(faces=faces, spread=1.2, seed=size)
    assert_close(render(scene, size), render(scene, size, backend="torch"), 1e-9)


@pytest.mark.parametrize("turn", range(0, 180, 15))
def test_no_pixel_within_reach_is_missed(turn):
    """Slivers at all angles, from much shorter than a pixel to much longer than the image."""
    draw = torch.Generator().manual_seed(turn)
    angle = math.radians(turn)
    along, across = torch.tensor([math.cos(angle), math.sin(angle)]), torch.tensor([-math.sin(angle), math.cos(angle)])
    length = 10 ** torch.linspace(-2, 3, 12).double()[:, None, None]
    corners = torch.rand(12, 3, 2, generator=draw, dtype=torch.float64) - 0.5
    corners = corners[..., :1] * length * along + 0.05 * corners[..., 1:] * across
    vertices = torch.cat([corners, torch.full((12, 3, 1), 2.0)], -1).reshape(1, 36, 3)
    scene = vertices, torch.arange(36).view(12, 3), torch.rand(1, 12, 3, 3, generator=draw, dtype=torch.float64)
    assert_close(render(scene, 24), render(scene, 24, backend="torch"), 1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("far", [1e6, 1e15, 1e18, 1e30])
def test_corners_far_outside_end_the_walk(dtype, far):
    vertices, faces, colors = soup(seed=1, dtype=dtype)
    vertices[:, :6, :2] *= far
    vertices[:, 8, 0] *= far
    outputs, gradients = render((vertices, faces, colors))
    assert all(tensor.isfinite().all() for tensor in itertools.chain(outputs, gradients))


def test_a_short_exponential_is_exact_to_float32():
    """At every softness of an outline, on both sides of it, and deep inside."""
    vertices = torch.tensor([[[-0.9, -0.9, 2], [0.9, -0.8, 2], [0.1, 0.9, 2]]])
    faces = torch.tensor([[0, 1, 2]])
    for sigma in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1):
        _, _, exact = soft_rasterize(vertices.double(), faces, None, 64, sigma, 1e-4)
        _, alpha, log_t = soft_rasterize(vertices, faces, None, 64, sigma, 1e-4)
        shared = (exact != 0) & (log_t != 0)  # the cut-off itself may fall either way
        assert torch.allclose(log_t[shared].double(), exact[shared], rtol=2e-4, atol=0)
        assert torch.allclose(alpha.double(), -torch.expm1(log_t.double()), rtol=3e-7, atol=0)


def test_an_image_to_which_only_zeros_come_back_is_passed_over():
    vertices, faces, colors = crumpled(1, batch=3)
    kept = torch.tensor([1.0, 0.0, 1.0]).double()

    def gradients(rows):
        leaves = vertices[rows].clone().requires_grad_(), colors[rows].clone().requires_grad_()
        rgb, alpha, log_t = soft_rasterize(leaves[0], faces, leaves[1], 16, SIGMA, 1e-2)
        loss = rgb.square().sum((1, 2, 3)) + alpha.sum((1, 2)) + log_t.sum((1, 2))
        return torch.autograd.grad((loss * kept[rows]).sum(), leaves)

    together = gradients([0, 1, 2])
    assert all((part[1] == 0).all() for part in together)
    for k in (0, 2):
        assert all(torch.equal(part[k], alone[0]) for part, alone in zip(together, gradients([k]), strict=True))


@pytest.mark.parametrize("dtype, relative", [(torch.float64, 1e-9), (torch.float32, 2e-3)])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_meshes(name, dtype, relative):
    vertices, faces, colors = DEGENERATE[name]()
    scene = vertices.to(dtype), faces, colors.to(dtype)
    if name == "very thin" and dtype == torch.float32:  # areas of 1e-7 hold a digit or two in float32: only stay finite
        relative = math.inf
    assert_close(render(scene), render(scene, backend="torch"), relative)


@pytest.mark.parametrize("backend", OWN)
def test_float32_is_close_to_float64(backend):
    vertices, faces, colors = crumpled()
    exact = render((vertices, faces, colors), backend=backend)
    short = render((vertices.float(), faces, colors.float()), backend=backend)
    assert all(tensor.dtype == torch.float32 for tensor in itertools.chain(*short))
    assert_close([[t.double() for t in part] for part in short], exact, 2e-4)


@pytest.mark.parametrize("backend", OWN)
@pytest.mark.parametrize("gamma", [1e-2, 1.0])
def test_gradcheck(backend, gamma):
    vertices, faces, colors = soup(faces=2, batch=2, seed=3)

    def draw(vertices, colors):
        return soft_rasterize(vertices, faces, colors, 5, 3e-2, gamma, WHITE, backend)

    inputs = vertices.requires_grad_(), colors.requires_grad_()
    assert torch.autograd.gradcheck(draw, inputs, eps=1e-6, atol=1e-5, rtol=1e-4, nondet_tol=0)


@pytest.mark.parametrize("backend", OWN)
@pytest.mark.parametrize("used", [(0,), (1,), (2,), (1, 2), (0, 2)])
def test_each_output_alone_has_its_own_gradient(backend, used):
    """Outputs that a loss leaves out send no gradient, and the rest is as if they were weighted with zero."""
    vertices, faces, colors = crumpled(0)
    weights = [torch.rand(2, 3, 12, 12).double(), torch.rand(2, 12, 12).double(), torch.rand(2, 12, 12).double()]

    def gradient(factors):
        leaves = vertices.clone().requires_grad_(), colors.clone().requires_grad_()
        outputs = soft_rasterize(leaves[0], faces, leaves[1], 12, SIGMA, 1e-2, WHITE, backend)
        loss = sum((outputs[k] * weights[k]).sum() * factor for k, factor in factors.items())
        loss.backward()
        return [leaf.grad if leaf.grad is not None else torch.zeros_like(leaf) for leaf in leaves]

    alone = gradient(dict.fromkeys(used, 1.0))
    among = gradient({k: float(k in used) for k in range(3)})
    assert_close([alone], [among], 1e-12)
    assert alone[0].abs().sum() > 0 and (alone[1].abs().sum() > 0) == (0 in used)


@pytest.mark.parametrize("needs", [(True, False), (False, True)])
def test_gradient_of_one_input_only(needs):
    vertices, faces, colors = crumpled(0)
    both = render((vertices, faces, colors), gamma=1e-2)[1]
    leaves = vertices.requires_grad_(needs[0]), colors.requires_grad_(needs[1])
    outputs = soft_rasterize(leaves[0], faces, leaves[1], 16, SIGMA, 1e-2, (0.2, 0.5, 0.9))
    draw = torch.Generator().manual_seed(0)
    loss = sum((torch.randn(out.shape, generator=draw, dtype=torch.float64) * out).sum() for out in outputs)
    loss.backward()
    for leaf, needed, expected in zip(leaves, needs, both, strict=True):
        assert torch.equal(leaf.grad, expected) if needed else leaf.grad is None


@pytest.mark.parametrize("backend", OWN)
def test_silhouettes_without_colors(backend):
    vertices, faces, colors = crumpled()
    _, alpha, log_t = soft_rasterize(vertices, faces, colors, 16, SIGMA, 1e-4, WHITE, backend)
    leaf = vertices.clone().requires_grad_()
    rgb, bare_alpha, bare_log_t = soft_rasterize(leaf, faces, None, 16, SIGMA, 1e-4, WHITE, backend)
    assert rgb is None and torch.equal(alpha, bare_alpha) and torch.equal(log_t, bare_log_t)
    bare_log_t.sum().backward()
    other = vertices.clone().requires_grad_()
    soft_rasterize(other, faces, colors, 16, SIGMA, 1e-4, WHITE, backend)[2].sum().backward()
    assert torch.equal(leaf.grad, other.grad)


@pytest.mark.parametrize("backend", [*OWN, "pytorch3d"])
def test_empty_image(backend):
    """Nothing on screen: the background, nothing covered, and gradients of zero."""
    if backend == "pytorch3d":
        pytest.importorskip("pytorch3d")
    for scene in (soup(faces=0), soup(spread=0.3)):
        scene[0][..., 1] += 9
        (rgb, alpha, log_t), gradients = render(scene, backend=backend)
        assert torch.allclose(rgb, torch.tensor([0.2, 0.5, 0.9]).double().view(1, 3, 1, 1).expand_as(rgb), atol=1e-15)
        assert (alpha == 0).all() and (log_t == 0).all()
        assert all((gradient == 0).all() for gradient in gradients)


@pytest.mark.parametrize("backend", OWN)
def test_deep_inside_the_logarithm_keeps_its_gradient(backend):
    """Where alpha is 1 to the last digit, log_transparency still falls as the face grows."""
    vertices = torch.tensor([[[-3.0, -3, 2], [3, -3, 2], [0, 4, 2]]], requires_grad=True)
    _, alpha, log_t = soft_rasterize(vertices, torch.tensor([[0, 1, 2]]), None, 4, 1e-4, 1e-4, WHITE, backend)
    assert (alpha == 1).all() and (log_t < -100).all() and log_t.isfinite().all()
    log_t.sum().backward()
    assert vertices.grad.isfinite().all() and vertices.grad.abs().max() > 1


@pytest.mark.parametrize("backend", OWN)
def test_many_faces_on_one_outline(backend):
    """150 equal faces multiply to 2^150 on their outline, which float32 cannot hold."""
    vertices = torch.tensor([[[0.0, -1, 2], [0, 1, 2], [2, 0, 2]]])
    faces = torch.tensor([[0, 1, 2]]).expand(150, 3)
    _, _, log_t = soft_rasterize(vertices, faces, None, 3, 1e-4, 1e-4, WHITE, backend)
    assert float(log_t[0, 1, 1]) == pytest.approx(-150 * math.log(2), rel=1e-5)


@pytest.mark.parametrize("backend", OWN)
def test_nearer_face_hides_the_other(backend):
    """Two faces that cover the image, 0.1 apart: whichever is nearer shows, whatever their order and orientation."""
    near = torch.tensor([[-9.0, -9, 2], [9, -9, 2], [0, 9, 2]])
    far = near[[1, 0, 2]] + torch.tensor([0, 0, 0.1])
    red, blue = torch.tensor([1.0, 0, 0]).expand(3, 3), torch.tensor([0, 0, 1.0]).expand(3, 3)
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    for corners, colors in ((torch.cat([near, far]), [red, blue]), (torch.cat([far, near]), [blue, red])):
        rgb, _, _ = soft_rasterize(corners[None], faces, torch.stack(colors)[None], 4, 1e-4, 1e-4, WHITE, backend)
        assert rgb[0, 0].min() > 0.9999 and rgb[0, 1:].max() < 1e-4


@pytest.mark.parametrize("backend", OWN)
def test_order_of_faces_changes_nothing(backend):
    vertices, faces, colors = crumpled()
    order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(0))
    outputs, (by_vertex, by_color) = render((vertices, faces, colors), backend=backend)
    shuffled, (other_by_vertex, other_by_color) = render((vertices, faces[order], colors[:, order]), backend=backend)
    assert_close([shuffled, [other_by_vertex, other_by_color]], [outputs, [by_vertex, by_color[:, order]]], 1e-9)


@pytest.mark.parametrize("backend", OWN)
def test_a_whole_pixel_shifts_the_image(backend):
    vertices, faces, colors = crumpled(scale=0.3)
    size, right, down = 16, 3, -2
    shift = torch.tensor([2 * right / size, 2 * down / size, 0], dtype=torch.float64)
    before, _ = render((vertices, faces, colors), size, backend=backend)
    after, _ = render((vertices + shift, faces, colors), size, backend=backend)
    inner = np.s_[..., 4:12, 4:12]
    for a, b in zip(after, before, strict=True):
        assert (b[inner] != b[..., :1, :1]).any()
        assert torch.allclose(a[inner], b.roll((down, right), (-2, -1))[inner], atol=1e-9)


@pytest.mark.parametrize("backend", OWN)
def test_mirrored_mesh_gives_the_mirrored_image(backend):
    vertices, faces, colors = crumpled()
    before, _ = render((vertices, faces, colors), backend=backend)
    after, _ = render((vertices * torch.tensor([-1.0, 1, 1]), faces, colors), backend=backend)
    for a, b in zip(after, before, strict=True):
        assert torch.allclose(a, b.flip(-1), atol=1e-9)


def test_threads_change_no_bit():
    scene = crumpled(2, batch=5, dtype=torch.float32)
    results = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        results.append(render(scene, gamma=1e-4))
        torch.set_num_threads(before)
    for a, b in zip(itertools.chain(*results[0]), itertools.chain(*results[1]), strict=True):
        assert torch.equal(a, b)


def test_each_image_is_drawn_as_if_alone():
    vertices, faces, colors = crumpled(batch=3)
    together = soft_rasterize(vertices, faces, colors, 16, SIGMA, 1e-4)
    for k in range(3):
        alone = soft_rasterize(vertices[k : k + 1], faces, colors[k : k + 1], 16, SIGMA, 1e-4)
        assert all(torch.equal(a[0], b[k]) for a, b in zip(alone, together, strict=True))


def test_views_and_narrow_integers_are_accepted():
    """What arrives may be expanded, transposed or int32."""
    vertices, faces, colors = crumpled(batch=1)
    wide = vertices.expand(3, -1, -1), faces.int(), colors.expand(3, -1, -1, -1)
    plain = vertices.repeat(3, 1, 1), faces, colors.repeat(3, 1, 1, 1)
    assert_close(render(wide), render(plain), 0)


def test_the_same_faces_are_checked_with_every_mesh():
    vertices, faces, colors = crumpled(1)
    soft_rasterize(vertices, faces, colors, 4, SIGMA, 1e-4)
    with pytest.raises(MsrnError, match=r"faces name vertices 0..41, but there are 41"):
        soft_rasterize(vertices[:, :41], faces, colors, 4, SIGMA, 1e-4)


BAD = {
    "vertices are (2, 42, 2)": lambda v, f, c: (v[..., :2], f, c, 8, 1e-4, 1e-4),
    "faces are (80, 3) torch.float32": lambda v, f, c: (v, f.float(), c, 8, 1e-4, 1e-4),
    "faces name vertices 0..41, but there are 40": lambda v, f, c: (v[:, :40], f, c, 8, 1e-4, 1e-4),
    "face_colors are (2, 80, 3)": lambda v, f, c: (v, f, c[..., 0], 8, 1e-4, 1e-4),
    "face_colors are (2, 80, 3, 3) torch.float32": lambda v, f, c: (v, f, c.float(), 8, 1e-4, 1e-4),
    "image_size is 0": lambda v, f, c: (v, f, c, 0, 1e-4, 1e-4),
    "sigma is 0": lambda v, f, c: (v, f, c, 8, 0, 1e-4),
    "gamma is nan": lambda v, f, c: (v, f, c, 8, 1e-4, float("nan")),
    "background is (1.0, 1.0)": lambda v, f, c: (v, f, c, 8, 1e-4, 1e-4, (1, 1)),
    "unknown backend 'nunba' (did you mean numba?)": lambda v, f, c: (v, f, c, 8, 1e-4, 1e-4, WHITE, "nunba"),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_one_clear_line(message):
    with pytest.raises(MsrnError) as raised:
        soft_rasterize(*BAD[message](*crumpled()))
    assert message in str(raised.value) and "\n" not in str(raised.value)

"""Every loss against a slow, obvious reference: values, gradients, and what must not change it."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from msrn import distance_transform, losses
from msrn.errors import MsrnError
from msrn.render import icosphere


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def pixels(size: int) -> list[tuple[int, int]]:
    return list(itertools.product(range(size), repeat=2))


def disc(size: int, row: float, column: float, radius: float) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def sphere(batch: int, level: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    vertices, faces = (torch.as_tensor(part) for part in icosphere(level))
    return vertices.double() + 0.2 * random(batch, *vertices.shape), faces.long()


# Eq. 39


def test_rgb_is_the_mean_distance_of_colours():
    image, rendered = random(2, 3, 4, 5), random(2, 3, 4, 5, seed=1)
    expected = []
    for one, other in zip(image, rendered, strict=True):
        distances = [math.dist(one[:, i, j].tolist(), other[:, i, j].tolist()) for i in range(4) for j in range(5)]
        expected.append(sum(distances) / 20)
    assert losses.rgb(image, rendered).tolist() == pytest.approx(expected, abs=1e-7)
    assert gradcheck(losses.rgb, (image, rendered.requires_grad_()))


def test_rgb_of_equal_images_is_nearly_zero_with_a_finite_gradient():
    image = random(1, 3, 4, 4).requires_grad_()
    loss = losses.rgb(image.detach(), image)
    loss.sum().backward()
    assert loss.item() == pytest.approx(1e-4)
    assert torch.equal(image.grad, torch.zeros_like(image))


# Eq. 40


def test_bce_is_the_mean_cross_entropy():
    mask, alpha = random(2, 4, 5) > 0.5, 0.01 + 0.98 * random(2, 4, 5, seed=1)
    terms = [
        [-math.log(a) if m else -math.log(1 - a) for m, a in zip(mask[b].flatten(), alpha[b].flatten(), strict=True)]
        for b in range(2)
    ]
    expected = [sum(row) / len(row) for row in terms]
    assert losses.bce(mask, torch.log1p(-alpha)).tolist() == pytest.approx(expected)
    assert gradcheck(lambda t: losses.bce(mask, t), torch.log1p(-alpha).requires_grad_())


def test_bce_gradient_of_a_covered_pixel_that_should_be_empty_does_not_fade():
    covered = torch.full((1, 1, 1), -200.0, requires_grad=True)  # alpha is exactly 1 in float32
    loss = losses.bce(torch.zeros(1, 1, 1, dtype=torch.bool), covered)
    loss.backward()
    assert loss.item() == 200 and covered.grad.item() == -1


@pytest.mark.parametrize("log_transparency", [0.0, -1e-30, -1e-12, -1e-4, -50.0, -1e4])
@pytest.mark.parametrize("inside", [True, False])
def test_bce_is_finite_everywhere(log_transparency, inside):
    value = torch.full((1, 2, 2), log_transparency, requires_grad=True)
    loss = losses.bce(torch.full((1, 2, 2), inside), value)
    loss.sum().backward()
    assert loss.isfinite().all() and value.grad.isfinite().all()
    assert loss.item() <= -math.log(losses.ALPHA_FLOOR) + 1e-4 or not inside


# Eq. 41


def printed_affinity(mask: torch.Tensor, rendered: torch.Tensor) -> float:
    """Eq. 41 as loops, on 64 x 64 pixels' worth of unit."""

    def one(source: torch.Tensor, target: torch.Tensor) -> float:
        at = [(k, m) for k, m in pixels(len(target)) if target[k, m] != 0]
        products = [
            [((i - k) ** 2 + (j - m) ** 2) * float(source[i, j]) * float(target[k, m]) for k, m in at]
            for i, j in pixels(len(source))
        ]
        return sum(min(row, default=0.0) for row in products)

    return (one(rendered, mask) + one(mask, rendered)) * (64 / len(mask)) ** 4


def soft_affinity(mask: torch.Tensor, rendered: torch.Tensor) -> float:
    """The form with distance transforms as loops: sum M' D(M) + sum M (1 - M') D(M' > 0.5)."""

    def nearest(i: int, j: int, target: torch.Tensor) -> float:
        return min(((i - k) ** 2 + (j - m) ** 2 for k, m in pixels(len(target)) if target[k, m]), default=0.0)

    total = 0.0
    for i, j in pixels(len(mask)):
        total += float(rendered[i, j]) * nearest(i, j, mask)
        total += float(mask[i, j] * (1 - rendered[i, j])) * nearest(i, j, rendered > 0.5)
    return total * (64 / len(mask)) ** 4


@pytest.mark.parametrize("seed", range(6))
def test_affinity_equals_the_printed_form_on_binary_masks(seed):
    mask, rendered = random(3, 8, 8, seed=seed) < 0.15, (random(3, 8, 8, seed=seed + 50) < 0.15).double()
    expected = [printed_affinity(m, r) for m, r in zip(mask, rendered, strict=True)]
    assert losses.affinity(mask, rendered).tolist() == pytest.approx(expected)
    assert losses.affinity(mask, rendered, literal=True).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("literal", [False, True])
def test_affinity_on_soft_masks(literal):
    mask, rendered = random(2, 6, 6) < 0.2, random(2, 6, 6, seed=1)
    reference = printed_affinity if literal else soft_affinity
    expected = [reference(m, r) for m, r in zip(mask, rendered, strict=True)]
    assert losses.affinity(mask, rendered, literal).tolist() == pytest.approx(expected)
    assert gradcheck(lambda r: losses.affinity(mask, r, literal), rendered.requires_grad_())


@pytest.mark.parametrize("literal", [False, True])
def test_images_against_several_renderings_of_each_are_as_those_one_by_one(literal):
    mask, image = random(2, 1, 6, 6) < 0.2, random(2, 1, 3, 6, 6)
    alpha, rendered = 0.01 + 0.9 * random(2, 4, 6, 6, seed=1), random(2, 4, 3, 6, 6, seed=2)
    together = losses.reconstruction(mask, image, alpha, torch.log1p(-alpha), rendered, 1e-3, literal)
    for k in range(4):
        one = losses.reconstruction(
            mask[:, 0], image[:, 0], alpha[:, k], torch.log1p(-alpha[:, k]), rendered[:, k], 1e-3, literal
        )
        for name, value in one.items():
            torch.testing.assert_close(together[name][:, k], value)


def test_affinity_pulls_inward_outside_and_outward_inside():
    mask = disc(16, 8, 5, 3)[None]
    rendered = (0.9 * disc(16, 8, 9, 3)[None].double() + 0.01).requires_grad_()
    losses.affinity(mask, rendered).sum().backward()
    assert (rendered.grad[~mask] > 0).all(), "what lies outside the true mask should go"
    missing = mask & (rendered.detach() < 0.5)
    assert (rendered.grad[missing] < 0).all(), "what is missing inside should come"


@pytest.mark.parametrize("literal", [False, True])
def test_affinity_of_an_empty_mask_or_equal_masks_is_zero(literal):
    full, empty = disc(8, 4, 4, 2)[None].double(), torch.zeros(1, 8, 8, dtype=torch.float64)
    for mask, rendered in [(full, empty), (empty, full), (empty, empty), (full, full)]:
        assert losses.affinity(mask, rendered, literal).item() == 0


def test_affinity_of_half_an_empty_batch_leaves_the_other_half_alone():
    mask = torch.stack([disc(8, 4, 4, 2), torch.zeros(8, 8, dtype=torch.bool)])
    rendered = random(2, 8, 8).requires_grad_()
    loss = losses.affinity(mask, rendered)
    loss.sum().backward()
    assert loss[0].item() == pytest.approx(soft_affinity(mask[0], rendered[0].detach()))
    assert loss[1] == 0 and rendered.grad.isfinite().all()


def test_affinity_means_the_same_at_every_resolution():
    """Two squares of 16 x 16 pixels of the 64 grid, 20 apart: the size of pixels changes the sum by a few per cent."""
    values = {}
    for size in (32, 64, 128):
        mask, rendered = torch.zeros(2, 1, 64, 64, dtype=torch.float64)
        mask[0, 10:26, 10:26] = rendered[0, 10:26, 30:46] = 1
        resized = [torch.nn.functional.interpolate(m[None], (size, size))[0] for m in (mask, rendered)]
        values[size] = losses.affinity(*resized).item()
    assert values[64] == 2 * 16 * sum(d * d for d in range(5, 21)), "by hand: rows of 16 px, columns 5 to 20 away"
    assert values[32] == pytest.approx(values[64], rel=0.1) and values[128] == pytest.approx(values[64], rel=0.1)


def test_affinity_does_not_depend_on_where_both_masks_lie():
    near = losses.affinity(disc(32, 10, 8, 4)[None], disc(32, 10, 12, 3)[None].double())
    moved = losses.affinity(disc(32, 18, 14, 4)[None], disc(32, 18, 18, 3)[None].double())
    assert near.item() == moved.item() > 0


# the distance transform under it


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 7), (2, 7, 1), (3, 9, 14), (2, 16, 16)])
@pytest.mark.parametrize("density", [0.0, 0.01, 0.1, 0.6, 1.0])
def test_squared_distance_is_exact_in_both_forms(shape, density):
    mask = random(*shape) < density
    _, height, width = shape
    for form in (distance_transform.squared_distance, distance_transform._squared_distance_torch):
        found = form(mask)
        for image, values in zip(mask.tolist(), found.tolist(), strict=True):
            at = [(k, m) for k in range(height) for m in range(width) if image[k][m]]
            for i, j in itertools.product(range(height), range(width)):
                assert values[i][j] == min(((i - k) ** 2 + (j - m) ** 2 for k, m in at), default=math.inf)


def test_squared_distance_of_wanted_pixels():
    generator = torch.Generator().manual_seed(0)
    mask, wanted = (torch.rand(2, 5, 9, 8, generator=generator) > share for share in (0.8, 0.5))
    mask[0, 0] = False
    expected = distance_transform.squared_distance(mask).where(wanted[:, :1], 0.0)
    assert torch.equal(distance_transform.squared_distance(mask, wanted[:, :1]), expected)


def test_squared_distance_takes_views():
    mask = random(4, 9, 6) < 0.2
    assert torch.equal(
        distance_transform.squared_distance(mask.transpose(1, 2)),
        distance_transform.squared_distance(mask).transpose(1, 2),
    )


# Eqs 42-43


def test_reconstruction_adds_its_terms_and_treats_images_separately():
    mask, image, rendered = random(3, 8, 8) < 0.4, random(3, 3, 8, 8, seed=1), random(3, 3, 8, 8, seed=2)
    alpha = 0.99 * random(3, 8, 8, seed=3)
    terms = losses.reconstruction(mask, image, alpha, torch.log1p(-alpha), rendered, affinity_weight=1e-3)
    assert set(terms) == {"rgb", "bce", "affinity", "total"} and all(t.shape == (3,) for t in terms.values())
    torch.testing.assert_close(terms["total"], terms["bce"] + 1e-3 * terms["affinity"] + terms["rgb"])

    order = torch.tensor([2, 0, 1])
    parts = (mask[order], image[order], alpha[order], torch.log1p(-alpha)[order], rendered[order])
    for name, value in losses.reconstruction(*parts, affinity_weight=1e-3).items():
        torch.testing.assert_close(value, terms[name][order])


# Eq. 45


def test_normal_consistency_is_the_mean_over_edges():
    vertices, faces = sphere(2)
    expected = []
    for mesh in vertices:
        normals = [torch.linalg.cross(mesh[b] - mesh[a], mesh[c] - mesh[a]) for a, b, c in faces.tolist()]
        costs = []
        for (f, one), (g, other) in itertools.combinations(enumerate(faces.tolist()), 2):
            if len(set(one) & set(other)) == 2:
                costs.append(1 - normals[f] @ normals[g] / (normals[f].norm() * normals[g].norm()))
        expected.append(sum(costs).item() / len(costs))
    assert losses.normal_consistency(vertices, faces).tolist() == pytest.approx(expected)


def test_laplacian_is_the_mean_over_vertices():
    vertices, faces = sphere(2)
    count = vertices.shape[1]
    adjacent = [sorted({v for face in faces.tolist() if i in face for v in face if v != i}) for i in range(count)]
    expected = [
        sum((mesh[adjacent[i]].mean(0) - mesh[i]).norm().item() for i in range(count)) / count for mesh in vertices
    ]
    assert losses.laplacian(vertices, faces).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["normal_consistency", "laplacian"])
def test_mesh_losses_have_true_gradients(name):
    vertices, faces = sphere(2, level=0)
    assert gradcheck(lambda v: getattr(losses, name)(v, faces), vertices.requires_grad_())


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("name", ["normal_consistency", "laplacian"])
def test_mesh_losses_equal_pytorch3d(name):
    pytest.importorskip("pytorch3d", reason="PyTorch3D is optional")
    from pytorch3d.loss import mesh_laplacian_smoothing, mesh_normal_consistency
    from pytorch3d.structures import Meshes

    theirs = {"normal_consistency": mesh_normal_consistency, "laplacian": mesh_laplacian_smoothing}[name]
    vertices, faces = sphere(3, level=2)
    ours, other = vertices.float().requires_grad_(), vertices.float().requires_grad_()
    loss, expected = getattr(losses, name)(ours, faces).mean(), theirs(Meshes(other, faces.expand(3, -1, -1)))
    loss.backward(), expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, other.grad, rtol=1e-4, atol=1e-7)


def test_mesh_losses_do_not_change_with_rigid_motion():
    vertices, faces = sphere(1)
    turn, _ = torch.linalg.qr(random(3, 3))
    moved = vertices @ (turn * turn.det().sign()) + random(3)
    for loss in (losses.normal_consistency, losses.laplacian):
        torch.testing.assert_close(loss(moved, faces), loss(vertices, faces))


def test_a_collapsed_mesh_has_finite_gradients():
    _, faces = sphere(1)
    vertices = torch.zeros(1, int(faces.max()) + 1, 3, requires_grad=True)
    (losses.normal_consistency(vertices, faces) + losses.laplacian(vertices, faces)).backward()
    assert vertices.grad.isfinite().all()


def test_an_open_mesh_is_refused():
    _, faces = sphere(1)
    with pytest.raises(ValueError, match="closed mesh"):
        losses.topology(faces[:-1])


def test_topology_is_found_once_for_a_tensor():
    _, faces = sphere(1)
    assert losses.topology(faces) is losses.topology(faces)
    assert losses.topology(faces.clone()) is not losses.topology(faces)


# Eqs 13-14


def test_contrastive_is_the_mean_over_positives():
    feature, positives, negatives = random(2, 5) - 0.5, random(3, 5, seed=1) - 0.5, random(4, 5, seed=2) - 0.5

    def similarity(a: torch.Tensor, b: torch.Tensor) -> float:
        return math.exp((a @ b / (a.norm() * b.norm())).item() / 0.99)

    expected = []
    for f in feature:
        against = sum(similarity(f, n) for n in negatives)
        costs = [-math.log(similarity(f, p) / (similarity(f, p) + against)) for p in positives]
        expected.append(sum(costs) / len(costs))
    assert losses.contrastive(feature, positives, negatives, 0.99).tolist() == pytest.approx(expected)
    assert gradcheck(lambda f: losses.contrastive(f, positives, negatives, 0.99), feature.requires_grad_())


@pytest.mark.parametrize(
    ("temperature", "positive", "negative", "expected"),
    [(0.99, 1, -1, 4.21), (0.99, 1, 0, 5.21), (0.99, 1, 1, 6.22), (0.07, 1, -1, 0.0), (0.07, 1, 1, 6.22)],
)
def test_contrastive_at_500_slots(temperature, positive, negative, expected):
    axes = {1: [1.0, 0.0], 0: [0.0, 1.0], -1: [-1.0, 0.0]}
    positives, negatives = torch.tensor([axes[positive]] * 500), torch.tensor([axes[negative]] * 500)
    loss = losses.contrastive(torch.tensor([[3.0, 0.0]]), positives, negatives, temperature)
    assert loss.item() == pytest.approx(expected, abs=0.005)


def test_contrastive_stays_finite_when_temperature_is_tiny_or_a_feature_zero():
    feature = torch.tensor([[1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    loss = losses.contrastive(feature, torch.tensor([[-1.0, 0.0]]), torch.tensor([[1.0, 0.0]]), 1e-3)
    loss.sum().backward()
    assert loss.tolist() == pytest.approx([2000, math.log(2)])
    assert feature.grad.isfinite().all()


# the pose prior


def test_pose_prior():
    assert losses.pose_prior(torch.eye(6)).item() == pytest.approx(0)
    assert losses.pose_prior(torch.full((3, 6), 1 / 6)).item() == pytest.approx(0)
    collapsed = torch.eye(6)[[2, 2, 2]]
    assert losses.pose_prior(collapsed).item() == pytest.approx((5 / 6 + 5 / 6) / 6)
    assert gradcheck(losses.pose_prior, random(3, 4).requires_grad_())


def sure_of(azimuth: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images that are sure of these azimuths, by one candidate after the other; all others look somewhere else."""
    azimuth = torch.tensor(azimuth, dtype=torch.float64)
    images, best = torch.arange(len(azimuth)), torch.arange(len(azimuth)) % 6
    all_azimuths = 123 * random(len(azimuth), 6).detach()
    all_azimuths[images, best] = azimuth
    return torch.eye(6, dtype=torch.float64)[best], all_azimuths


def test_azimuth_prior_is_an_unbiased_square():
    """Against the sum over pairs as it stands in the docstring; and its mean over small batches is that of all."""
    probabilities, azimuth, category = random(7, 4).softmax(1), 360 * random(7, 4), torch.tensor([0, 1, 0, 0, 1, 1, 2])
    total, pairs = 0.0, 0
    for b, c in itertools.permutations(range(7), 2):
        if category[b] == category[c]:
            for m in range(1, 5):
                f_b, f_c = ((probabilities[i] * torch.exp(1j * m * azimuth[i].deg2rad())).sum() for i in (b, c))
                total += (f_b * f_c.conj()).real.item()
                pairs += 1
    assert losses.azimuth_prior(probabilities, azimuth, category).item() == pytest.approx(total / pairs)
    # all 15 azimuths that are 24 degrees apart are even; so are pairs of them on average
    probabilities, azimuth = sure_of([24.0 * i for i in range(15)])
    small = [
        losses.azimuth_prior(probabilities[[b, c]], azimuth[[b, c]], torch.zeros(2))
        for b, c in itertools.combinations(range(15), 2)
    ]
    assert torch.stack(small).mean().item() == pytest.approx(-1 / 14)  # pairs drawn without replacement


def test_azimuth_prior_of_one_side_and_of_no_pair():
    probabilities, azimuth = sure_of([77.0] * 5)
    assert losses.azimuth_prior(probabilities, azimuth, torch.zeros(5)).item() == pytest.approx(1)
    assert losses.azimuth_prior(probabilities, azimuth, torch.arange(5)).item() == 0


def test_azimuth_prior_sees_what_the_pose_prior_does_not():
    """All candidates are in use, but each has turned as far to the front or the back as its bin lets it."""
    turned = sure_of([0, 30, 150, 180, 210, 330] * 3)
    spread = sure_of([-15, 45, 105, 165, 225, 285, 15, 75, 135, 195, 255, 315])
    assert losses.pose_prior(turned[0]).item() == losses.pose_prior(spread[0]).item() == pytest.approx(0)
    assert losses.azimuth_prior(*turned, torch.zeros(18)).item() == pytest.approx((18 * 5 / 54 - 1) / 17)
    assert losses.azimuth_prior(*spread, torch.zeros(12)).item() == pytest.approx(-1 / 11)


def test_azimuth_prior_does_not_care_where_zero_is():
    probabilities, azimuth, category = random(5, 4).softmax(1), 360 * random(5, 4), torch.tensor([0, 0, 1, 1, 1])
    turned = losses.azimuth_prior(probabilities, azimuth + 77, category)
    assert losses.azimuth_prior(probabilities, azimuth, category).item() == pytest.approx(turned.item())
    logits, angles = random(5, 4).requires_grad_(), (90 * random(5, 4)).detach().requires_grad_()
    assert gradcheck(lambda x, a: losses.azimuth_prior(x.softmax(1), a, category), (logits, angles))


def test_mask_iou_matches_counting():
    generator = np.random.default_rng(3)
    a, b = generator.random((2, 6, 5, 4)) < 0.4
    a[0], b[0] = False, False
    tensors = losses.mask_iou(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    assert tensors == pytest.approx(losses.mask_iou(a, b))
    for i, value in enumerate(tensors):
        both = sum(bool(a[i, y, x] and b[i, y, x]) for y in range(5) for x in range(4))
        either = sum(bool(a[i, y, x] or b[i, y, x]) for y in range(5) for x in range(4))
        assert value == pytest.approx(both / either if either else 1.0)
    with pytest.raises(MsrnError, match="boolean"):
        losses.mask_iou(a, b[..., :3])
    with pytest.raises(MsrnError, match="boolean"):
        losses.mask_iou(a.astype(float), b.astype(float))


# reach, and azimuths that are given


def test_only_images_without_a_given_azimuth_take_part_in_the_prior():
    probabilities, azimuth = random(5, 4).softmax(1), 360 * random(5, 4)
    category, given = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([math.nan, 20.0, math.nan, 30.0, 40.0])
    expected = losses.azimuth_prior(probabilities[[0, 2]], azimuth[[0, 2]], category[[0, 2]])
    found = losses.azimuth_prior(probabilities, azimuth, losses.apart(category, given))
    assert found.item() == pytest.approx(expected.item())
    nobody = losses.apart(category, torch.zeros(5))
    assert losses.azimuth_prior(probabilities, azimuth, nobody).item() == 0


def test_reach_against_every_pixel_and_vertex():
    mask = torch.stack([disc(8, 3, 3, 3.2), disc(8, 4, 5, 2.5)]).double()
    alpha, vertices = random(2, 8, 8), 2 * random(2, 5, 3, seed=1) - 1
    expected = []
    for m, a, points in zip(mask, alpha, vertices, strict=True):
        found = []
        for row, column in pixels(4):
            area = (slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2))
            centre = ((2 * column + 1) / 4 - 1, (2 * row + 1) / 4 - 1)
            nearest = min(math.dist(centre, point[:2].tolist()) ** 2 for point in points)
            found.append((float((m[area] * (1 - a[area])).sum()), nearest))
        barest = sorted(found, reverse=True)[:4]
        expected.append(sum(bare * nearest for bare, nearest in barest) / float(m.sum()))
    assert losses.reach(mask, alpha, vertices).tolist() == pytest.approx(expected)
    assert gradcheck(lambda moved: losses.reach(mask, alpha, moved), vertices.requires_grad_())


def test_reach_pulls_the_nearest_vertex_towards_what_is_bare_and_nothing_else():
    mask = torch.zeros(1, 8, 8, dtype=torch.float64)
    mask[:, 3:5, 6:] = 1  # bare pixels at the right
    vertices = torch.tensor([[[0.2, 0.0, 2.0], [-0.6, 0.0, 2.0]]], dtype=torch.float64, requires_grad=True)
    losses.reach(mask, torch.zeros_like(mask), vertices).sum().backward()
    assert vertices.grad[0, 0, 0] < 0 and not vertices.grad[0, 1].any()  # downhill is to the right
    assert losses.reach(mask, mask, vertices).item() == 0  # nothing is bare
    assert losses.reach(torch.zeros_like(mask), mask, vertices).item() == 0


def test_azimuth_likelihood_is_that_of_a_mixture_and_knows_the_circle():
    probability, azimuth = random(3, 4).softmax(1), 360 * random(3, 4, seed=1)
    given = 360 * random(3, seed=2)
    expected = [
        -math.log(sum(p * math.exp(20 * (math.cos(math.radians(a - g)) - 1)) for p, a in zip(ps, azs, strict=True)))
        for ps, azs, g in zip(probability.tolist(), azimuth.tolist(), given.tolist(), strict=True)
    ]
    assert losses.azimuth_likelihood(probability, azimuth, given).tolist() == pytest.approx(expected)
    turned = losses.azimuth_likelihood(probability, azimuth + 360, given - 720)
    torch.testing.assert_close(turned, losses.azimuth_likelihood(probability, azimuth, given))
    certain = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert torch.isfinite(
        losses.azimuth_likelihood(certain, torch.tensor([[0.0, 180.0]]).double(), torch.tensor([180.0]))
    )


def test_an_azimuth_that_was_not_given_costs_nothing():
    probability = random(2, 4).softmax(1).requires_grad_()
    azimuth = (360 * random(2, 4, seed=1)).requires_grad_()
    unlikely = losses.azimuth_likelihood(probability, azimuth, torch.tensor([math.nan, 30.0], dtype=torch.float64))
    unlikely.sum().backward()
    assert unlikely[0] == 0 and unlikely[1] > 0
    for gradient in (probability.grad, azimuth.grad):
        assert torch.isfinite(gradient).all() and not gradient[0].any() and gradient[1].any()


# Unicorn's terms


def test_colors_alone_are_a_mean_square():
    image, rendered = random(2, 1, 3, 4, 5), random(2, 3, 3, 4, 5, seed=1)
    terms = losses.colors_alone(image, rendered)
    assert terms["colors"].shape == (2, 3) and torch.equal(terms["colors"], terms["total"])
    for b, k in itertools.product(range(2), range(3)):
        pairs = zip(image[b, 0].flatten().tolist(), rendered[b, k].flatten().tolist(), strict=True)
        assert float(terms["colors"][b, k]) == pytest.approx(sum((p - q) ** 2 for p, q in pairs) / 60)


def test_the_perceptual_term_place_by_place():
    of_image, of_rendering = random(2, 1, 7, 3, 2) - 0.5, random(2, 3, 7, 3, 2, seed=1) - 0.5
    found = losses.perceptual(of_image, of_rendering)
    for b, k in itertools.product(range(2), range(3)):
        total = 0.0
        for y, x in itertools.product(range(3), range(2)):
            one, other = of_image[b, 0, :, y, x].tolist(), of_rendering[b, k, :, y, x].tolist()
            lengths = [math.sqrt(sum(value**2 for value in vector)) for vector in (one, other)]
            total += sum((p / lengths[0] - q / lengths[1]) ** 2 for p, q in zip(one, other, strict=True))
        assert float(found[b, k]) == pytest.approx(total / (3 * 2), rel=1e-5)
    torch.testing.assert_close(
        losses.perceptual(of_image, 3 * of_image), torch.zeros_like(found[:, :1]), atol=1e-12, rtol=0
    )
    nothing = torch.zeros(1, 7, 3, 2, requires_grad=True)  # features of length 0 have a finite gradient
    losses.perceptual(of_image[0], nothing).sum().backward()
    assert torch.isfinite(nothing.grad).all()
    given = of_rendering.double().requires_grad_()
    assert gradcheck(lambda x: losses.perceptual(of_image.double(), x), (given,))

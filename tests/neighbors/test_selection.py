"""Neighbours against brute force."""

import pytest
import torch

from msrn.neighbors import selection


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def nearest(z: torch.Tensor, prototypes: torch.Tensor, valid: torch.Tensor) -> int:
    best, domain = -float("inf"), -1
    for j, (prototype, ok) in enumerate(zip(prototypes.double(), valid, strict=True)):
        cosine = float(z.double() @ prototype / (z.double().norm() * prototype.norm()))
        if ok and cosine > best:
            best, domain = cosine, j
    return domain


@pytest.mark.parametrize("seed", range(4))
def test_selection_equals_brute_force(seed):
    z_s, z_candidates, prototypes = draw(7, 5, seed=seed), draw(7, 6, 5, seed=seed + 10), draw(3, 4, 5, seed=seed + 20)
    category = torch.arange(7) % 3
    valid = draw(3, 4, seed=seed + 30) > -0.5
    valid[2] = False  # a category without prototypes
    domain = selection.prototype_domain(z_s, category, prototypes, valid)
    found = selection.select(z_s, category, z_candidates, prototypes, valid)
    assert found.shape == (7, 6)
    for b, t in enumerate(category.tolist()):
        own = nearest(z_s[b], prototypes[t], valid[t])
        assert domain[b] == own
        assert found[b].tolist() == [nearest(z, prototypes[t], valid[t]) == own for z in z_candidates[b]]


def test_without_prototypes_every_candidate_is_a_neighbour():
    found = selection.select(
        draw(4, 5), torch.zeros(4).long(), draw(4, 6, 5), torch.zeros(1, 3, 5), torch.zeros(1, 3).bool()
    )
    assert found.all()


def test_selection_depends_on_directions_only_and_zero_codes_are_no_trouble():
    z_s, z_candidates, prototypes = draw(4, 5), draw(4, 6, 5, seed=1), draw(2, 3, 5, seed=2)
    category, valid = torch.tensor([0, 1, 0, 1]), torch.ones(2, 3).bool()
    found = selection.select(z_s, category, z_candidates, prototypes, valid)
    assert torch.equal(found, selection.select(3 * z_s, category, 0.1 * z_candidates, prototypes, valid))
    valid[:, 0] = False
    domain = selection.prototype_domain(torch.zeros(2, 5), torch.tensor([0, 1]), prototypes, valid)
    assert domain.tolist() == [1, 1], "the first valid one"


def test_a_sample_is_the_lowest_draws_with_equal_weights_that_sum_to_one():
    selected, numbers = draw(200, 6) > 0, torch.rand(200, 6, generator=torch.Generator().manual_seed(0))
    for count in (0, 1, 2, 6, 9):
        column, share = selection.sample(selected, numbers, count)
        for row in range(200):
            ranked = sorted(selected[row].nonzero()[:, 0].tolist(), key=lambda k: float(numbers[row, k]))
            expected = ranked[: count or 6]
            assert column[row][share[row] > 0].tolist() == expected
            assert share[row].sum() == pytest.approx(1.0 if expected else 0.0)
            assert share[row].unique().numel() <= 2

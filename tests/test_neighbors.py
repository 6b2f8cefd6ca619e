"""Candidates and neighbours against brute force; no candidate may ever show the same object."""

import numpy as np
import pytest
import torch

from msrn import neighbors
from msrn.errors import MsrnError


def unit(n: int, d: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, categories and object names of 80 images whose objects have 1 to 6 views each, shuffled."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(40), rng.integers(1, 7, 40))[:80]
    owner = rng.permutation(owner)
    return unit(80, 16, seed), owner % 3, np.array([f"object-{i}" for i in owner])


def brute(features, category, object_id, count, scope):
    rows = []
    for i in range(len(features)):
        allowed = [
            j
            for j in range(len(features))
            if object_id[j] != object_id[i] and (scope == "all" or category[j] == category[i])
        ]
        rows.append(sorted(allowed, key=lambda j: (-float(features[i].astype(float) @ features[j]), j))[:count])
    return np.array(rows)


@pytest.mark.parametrize("scope", ["category", "all"])
@pytest.mark.parametrize("seed", range(4))
def test_candidates_equal_brute_force(scope, seed):
    features, category, object_id = make(seed)
    found = neighbors.find_candidates(features, category, object_id, 6, scope)
    assert found.dtype == np.int64 and np.array_equal(found, brute(features, category, object_id, 6, scope))
    assert (object_id[found] != object_id[:, None]).all()
    assert scope == "all" or (category[found] == category[:, None]).all()


def test_blocks_do_not_change_the_candidates(monkeypatch):
    arguments = (*make(0), 5)
    expected = neighbors.find_candidates(*arguments)
    monkeypatch.setattr(neighbors, "BLOCK", 1)  # one image at a time
    assert np.array_equal(neighbors.find_candidates(*arguments), expected)


def test_equal_images_rank_by_number():
    features = np.tile(unit(1, 64), (30, 1))
    object_id = np.array([f"{i // 2}" for i in range(30)])
    found = neighbors.find_candidates(features, np.zeros(30, int), object_id, 4)
    assert [found[i].tolist() for i in (0, 3, 29)] == [[2, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 3]]


def test_twins_of_the_same_object_are_still_excluded():
    """Views of one object are each other's nearest by far. Asking for all other images gives those, each once."""
    features, object_id = np.repeat(unit(10, 8), 4, axis=0), np.repeat([f"o{i}" for i in range(10)], 4)
    found = neighbors.find_candidates(features, np.zeros(40, int), object_id, 36)
    for i, row in enumerate(found):
        assert set(row) == set(np.flatnonzero(object_id != object_id[i])) and len(set(row)) == 36


def test_too_few_other_images_is_one_line_that_says_what_to_do():
    features, category = unit(12, 4), np.array([0] * 8 + [1] * 4)
    object_id = np.array(list("aabbccdd") + list("eeef"))
    neighbors.find_candidates(features, category, object_id, 1, categories=("car", "lamp"))
    with pytest.raises(MsrnError, match=r"category 'lamp' .*only 1 images of other objects, fewer than the 3 .*most 1"):
        neighbors.find_candidates(features, category, object_id, 3, categories=("car", "lamp"))
    with pytest.raises(MsrnError, match="category 1 .*only 1 "):
        neighbors.find_candidates(features, category, object_id, 3)
    neighbors.find_candidates(features, category, object_id, 9, scope="all")
    with pytest.raises(MsrnError, match="the collection .*only 9 .*fewer than the 10 .*candidates"):
        neighbors.find_candidates(features, category, object_id, 10, scope="all")


# Eqs 35-38


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
    domain = neighbors.prototype_domain(z_s, category, prototypes, valid)
    found = neighbors.select(z_s, category, z_candidates, prototypes, valid)
    assert found.shape == (7, 6)
    for b, t in enumerate(category.tolist()):
        own = nearest(z_s[b], prototypes[t], valid[t])
        assert domain[b] == own
        assert found[b].tolist() == [nearest(z, prototypes[t], valid[t]) == own for z in z_candidates[b]]


def test_without_prototypes_every_candidate_is_a_neighbour():
    found = neighbors.select(
        draw(4, 5), torch.zeros(4).long(), draw(4, 6, 5), torch.zeros(1, 3, 5), torch.zeros(1, 3).bool()
    )
    assert found.all()


def test_selection_depends_on_directions_only_and_zero_codes_are_no_trouble():
    z_s, z_candidates, prototypes = draw(4, 5), draw(4, 6, 5, seed=1), draw(2, 3, 5, seed=2)
    category, valid = torch.tensor([0, 1, 0, 1]), torch.ones(2, 3).bool()
    found = neighbors.select(z_s, category, z_candidates, prototypes, valid)
    assert torch.equal(found, neighbors.select(3 * z_s, category, 0.1 * z_candidates, prototypes, valid))
    valid[:, 0] = False
    domain = neighbors.prototype_domain(torch.zeros(2, 5), torch.tensor([0, 1]), prototypes, valid)
    assert domain.tolist() == [1, 1], "the first valid one"


def test_a_sample_is_the_lowest_draws_with_equal_weights_that_sum_to_one():
    selected, numbers = draw(200, 6) > 0, torch.rand(200, 6, generator=torch.Generator().manual_seed(0))
    for count in (0, 1, 2, 6, 9):
        column, share = neighbors.sample(selected, numbers, count)
        for row in range(200):
            ranked = sorted(selected[row].nonzero()[:, 0].tolist(), key=lambda k: float(numbers[row, k]))
            expected = ranked[: count or 6]
            assert column[row][share[row] > 0].tolist() == expected
            assert share[row].sum() == pytest.approx(1.0 if expected else 0.0)
            assert share[row].unique().numel() <= 2

"""Feature compensation against Eqs 24-26 written out, and its quiet start."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from msrn.compensation import FeatureCompensation


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def make(size: int) -> FeatureCompensation:
    """A module whose Lin is not the identity any more."""
    module = FeatureCompensation(size).double()
    with torch.no_grad():
        module.lin.weight.copy_(draw(size, 2 * size, seed=9))
        module.lin.bias.copy_(draw(size, seed=8))
    return module


def test_forward_is_the_equations_row_by_row():
    z_s, values = draw(5, 4), draw(3, 2, 4, seed=1)
    valid = torch.tensor([[True, False], [True, True], [False, False]])
    module = make(4)
    rows = [values[t, c] for t in range(3) for c in range(2) if valid[t, c]]
    for z, found in zip(z_s, module(z_s, values, valid), strict=True):
        logits = [float(z @ p) for p in rows]
        weights = [math.exp(x) / sum(map(math.exp, logits)) for x in logits]
        z_plus = sum(w * p for w, p in zip(weights, rows, strict=True))
        expected = module.lin.weight @ torch.cat([z, z_plus]) + module.lin.bias
        torch.testing.assert_close(found, expected)


def test_affinity_is_a_distribution_over_the_valid_prototypes_of_all_categories():
    valid = torch.tensor([[True, True], [True, False]])
    affinity = FeatureCompensation(4).double().affinity(draw(3, 4), draw(2, 2, 4), valid)
    assert affinity.shape == (3, 2, 2) and (affinity[:, ~valid] == 0).all() and (affinity[:, valid] > 0).all()
    torch.testing.assert_close(affinity.sum((1, 2)), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_switching_on_leaves_the_code_as_it_is(scale):
    z_s, values = (scale * draw(16, 32)).float(), (scale * draw(6, 10, 32, seed=1)).float()
    module = FeatureCompensation(32)
    assert torch.equal(module(z_s, values, torch.ones(6, 10, dtype=torch.bool)), z_s)
    assert torch.equal(module(z_s, values, torch.rand(6, 10, generator=torch.Generator().manual_seed(0)) < 0.3), z_s)


def test_without_prototypes_nothing_is_added():
    z_s, module = draw(3, 4).requires_grad_(), make(4)
    values, valid = torch.zeros(2, 5, 4, dtype=torch.float64), torch.zeros(2, 5, dtype=torch.bool)
    found = module(z_s, values, valid)
    torch.testing.assert_close(found, z_s @ module.lin.weight[:, :4].T + module.lin.bias)
    found.sum().backward()
    assert z_s.grad.isfinite().all() and module.lin.weight.grad.isfinite().all()


def test_gradient_reaches_the_code_through_both_factors_and_never_the_prototypes():
    z_s, values, valid = draw(2, 3).requires_grad_(), draw(2, 2, 3, seed=1).requires_grad_(), torch.ones(2, 2).bool()
    module = make(3)
    assert gradcheck(lambda z: module(z, values.detach(), valid), z_s)
    module(z_s, values, valid).sum().backward()
    assert values.grad is None
    direct = module.lin.weight[:, :3].sum(0).expand(2, 3)
    assert not torch.allclose(z_s.grad, direct), "A depends on z_s too"


def test_the_order_of_prototypes_does_not_matter():
    z_s, values, valid = draw(4, 3), draw(2, 5, 3, seed=1), draw(2, 5, seed=2) > 0
    order = torch.tensor([3, 1, 4, 0, 2])
    module = make(3)
    torch.testing.assert_close(module(z_s, values, valid), module(z_s, values[:, order], valid[:, order]))


def test_making_the_module_draws_no_random_numbers():
    before = torch.get_rng_state()
    FeatureCompensation(8)
    assert torch.equal(before, torch.get_rng_state())


def test_the_mean_of_code_and_prototypes_is_where_lin_may_start():
    z_s, values, valid = draw(5, 4), draw(3, 2, 4, seed=1), torch.ones(3, 2, dtype=torch.bool)
    module = FeatureCompensation(4, "half").double()
    z_plus = (module.affinity(z_s, values, valid).flatten(1)) @ values.flatten(0, 1)
    torch.testing.assert_close(module(z_s, values, valid), (z_s + z_plus) / 2)


def test_cosines_over_a_temperature_do_not_depend_on_the_length_of_codes():
    z_s, values, valid = draw(5, 4), draw(3, 2, 4, seed=1), torch.tensor([[True, False], [True, True], [True, True]])
    module = FeatureCompensation(4, temperature=0.1).double()
    found = module.affinity(z_s, values, valid)
    torch.testing.assert_close(found, module.affinity(7 * z_s, values / 3, valid))
    for z, row in zip(z_s, found, strict=True):
        cosines = [float(z @ p / (z.norm() * p.norm())) for p in values[valid]]
        expected = torch.tensor([math.exp(c / 0.1) for c in cosines], dtype=torch.float64)
        torch.testing.assert_close(row[valid], expected / expected.sum())
    sharp = FeatureCompensation(4, temperature=0.01).double().affinity(z_s, values, valid)
    assert (sharp.amax((1, 2)) >= found.amax((1, 2))).all()
    assert torch.isfinite(module.affinity(torch.zeros(1, 4).double(), values, valid)).all()

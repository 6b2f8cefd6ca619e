"""The bank against one that writes sample by sample, and what its prototypes must be."""

import warnings

import pytest
import torch

from msrn import memory
from msrn.memory import MemoryBank, Prototypes


class SlowBank:
    """Eqs 16-17 one feature after the other."""

    def __init__(self, bank: MemoryBank):
        self.values = bank.values.clone()
        self.slots, self.momentum, self.fill_first = bank.values.shape[1], bank.momentum, bank.fill_first
        self.pointer = [0] * len(self.values)
        self.written = [set() for _ in self.values]

    def write(self, features: torch.Tensor, keys: torch.Tensor, accepted: torch.Tensor | None) -> None:
        for i, term in enumerate(keys.tolist()):
            if accepted is not None and not accepted[i]:
                continue
            slot = self.pointer[term]
            if self.fill_first and slot not in self.written[term]:
                self.values[term, slot] = features[i]
            else:
                self.values[term, slot] = self.momentum * self.values[term, slot] + (1 - self.momentum) * features[i]
            self.written[term].add(slot)
            self.pointer[term] = (slot + 1) % self.slots


def by_first(rows: torch.Tensor) -> torch.Tensor:
    return rows[rows[:, 0].argsort()]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("fill_first", [True, False])
@pytest.mark.parametrize("slots", [1, 2, 5, 100])
@pytest.mark.parametrize("gated", [True, False])
def test_write_equals_sample_by_sample(fill_first, slots, gated):
    """Random keys over batches that wrap around, and, with few slots, that write a slot several times at once."""
    bank = MemoryBank(3, slots, 4, momentum=0.7, fill_first=fill_first)
    slow = SlowBank(bank)
    generator = torch.Generator().manual_seed(slots)
    for batch in (1, 7, 16, 16, 3, 16, 16):
        features = torch.randn(batch, 4, generator=generator)
        keys = torch.randint(0, 3, (batch,), generator=generator)
        accepted = torch.rand(batch, generator=generator) < 0.7 if gated else None
        bank.write(features, keys, accepted)
        slow.write(features, keys, accepted)
        torch.testing.assert_close(bank.values, slow.values, rtol=1e-5, atol=1e-6)
        assert (bank.visits % slots).tolist() == slow.pointer
        assert bank.filled.tolist() == [len(w) if fill_first else slots for w in slow.written]


def test_a_batch_of_none_accepted_or_of_nothing_changes_nothing():
    bank = MemoryBank(2, 3, 4)
    bank.write(draw(3, 4), torch.tensor([0, 1, 1]))
    before = bank.values.clone(), bank.visits.clone()
    bank.write(draw(5, 4), torch.tensor([0, 1, 1, 0, 0]), torch.zeros(5, dtype=torch.bool))
    bank.write(draw(0, 4), torch.zeros(0, dtype=torch.long))
    assert torch.equal(bank.values, before[0]) and torch.equal(bank.visits, before[1])


def test_a_refused_feature_may_be_anything():
    bank = MemoryBank(1, 3, 2)
    bank.write(torch.tensor([[float("nan"), 1], [1, 2]]), torch.tensor([0, 0]), torch.tensor([False, True]))
    assert bank.values[0].tolist() == [[1, 2], [0, 0], [0, 0]]


def test_the_bank_keeps_no_graph_and_lives_in_the_state():
    bank, code = MemoryBank(2, 3, 4), draw(2, 4).requires_grad_()
    bank.write(code * 2, torch.tensor([0, 1]))
    assert not bank.values.requires_grad and not list(bank.parameters())
    copy = MemoryBank(2, 3, 4)
    copy.load_state_dict(bank.state_dict())
    for one in (bank, copy):
        one.write(draw(4, 4, seed=1), torch.tensor([0, 0, 0, 1]))
    assert torch.equal(bank.values, copy.values) and torch.equal(bank.visits, copy.visits)


def test_the_literal_start_is_a_seeded_normal_draw():
    bank = MemoryBank(2, 200, 8, fill_first=False, seed=3)
    assert torch.equal(bank.values, MemoryBank(2, 200, 8, fill_first=False, seed=3).values)
    assert abs(bank.values.mean()) < 0.1 and abs(bank.values.std() - 1) < 0.1
    assert bank.purify(3, seed=0).valid.all()


# purification


def test_prototypes_are_the_centres_of_well_separated_codes():
    bank, centres = MemoryBank(2, 60, 2), 10 * torch.tensor([[1.0, 0], [0, 1], [-1, 0]])
    for term, offset in ((0, 0.0), (1, 100.0)):
        codes = centres.repeat(20, 1) + offset + 0.1 * draw(60, 2)
        bank.write(codes, torch.full((60,), term))
        means = torch.stack([codes[i::3].mean(0) for i in range(3)])
        found = bank.purify(3, seed=0).values[term]
        torch.testing.assert_close(by_first(found), by_first(means), rtol=1e-5, atol=1e-5)


def test_prototypes_of_an_unfilled_bank_are_not_noise():
    """Every valid prototype lies among what was written; the rest is zero and marked."""
    bank = MemoryBank(3, 500, 4)
    assert not bank.purify(10, seed=0).valid.any()
    codes = 0.01 * draw(30, 4) + 5
    bank.write(codes, torch.zeros(30, dtype=torch.long))
    bank.write(codes[:4] + 1, torch.ones(4, dtype=torch.long))
    values, valid = bank.purify(10, seed=0)
    assert valid.sum(1).tolist() == [10, 4, 0]
    assert ((values[0] - 5).abs() < 0.1).all()
    torch.testing.assert_close(by_first(values[1, :4]), by_first(codes[:4] + 1))
    assert (values[~valid] == 0).all()


def test_the_literal_start_is_noise():
    """What fill_first is for: with the paper's start, 30 written codes hardly move the prototypes off N(0, 1)."""
    bank = MemoryBank(1, 500, 4, fill_first=False)
    bank.write(0.01 * draw(30, 4) + 5, torch.zeros(30, dtype=torch.long))
    assert bank.purify(10, seed=0).values.norm(dim=2).max() < 4 < 10


@pytest.mark.parametrize("different", [1, 2, 3, 5])
def test_repeated_codes_give_each_once_and_no_warning(different):
    bank = MemoryBank(1, 40, 3)
    codes = draw(different, 3).repeat(8, 1) * (1 + 1e-9 * draw(8 * different, 1))
    bank.write(codes, torch.zeros(len(codes), dtype=torch.long))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values, valid = bank.purify(3, seed=0)
    assert valid.sum() == min(different, 3)
    if different <= 3:
        torch.testing.assert_close(by_first(values[valid]), by_first(draw(different, 3)))


def test_repetition_weighs():
    """As many clusters as points, less one: the frequent ones keep their place."""
    bank = MemoryBank(1, 40, 1)
    codes = torch.tensor([[0.0]] * 30 + [[1.0]] * 5 + [[2.1]] * 5)
    bank.write(codes, torch.zeros(40, dtype=torch.long))
    assert sorted(bank.purify(2, seed=0).values.flatten().tolist()) == pytest.approx([0, 1.55])


def test_purification_is_bit_equal_for_a_seed_and_leaves_other_draws_alone():
    bank = MemoryBank(2, 300, 16)
    bank.write(draw(600, 16), torch.arange(600) % 2)
    state = torch.get_rng_state()
    first = bank.purify(10, seed=7)
    assert torch.equal(first.values, bank.purify(10, seed=7).values)
    assert not torch.equal(first.values, bank.purify(10, seed=8).values)
    assert torch.equal(state, torch.get_rng_state())


def test_refine_clusters_the_valid_prototypes_only():
    values = torch.tensor([[[0.0], [0.2], [5.0], [5.2], [99.0]], [[3.0], [99.0], [99.0], [99.0], [99.0]], [[99.0]] * 5])
    valid = torch.tensor([[True] * 4 + [False], [True] + [False] * 4, [False] * 5])
    refined = memory.refine(Prototypes(values, valid), 2, seed=0)
    assert refined.values.shape == (3, 2, 1) and refined.valid.tolist() == [[True, True], [True, False], [False, False]]
    assert sorted(refined.values[0].flatten().tolist()) == pytest.approx([0.1, 5.1])
    assert refined.values[1, 0] == 3

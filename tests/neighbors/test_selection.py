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


# ShapeClipper's choice


def test_odds_are_those_of_an_unlike_outline():
    masks, others = draw(3, 8, 8) > 0, draw(3, 4, 8, 8, seed=1) > 0.3
    others[1, 2] = masks[1]
    found = selection.odds_of_unlike(masks, others)
    for b in range(3):
        for k in range(4):
            both = sum(bool(p) and bool(q) for p, q in zip(masks[b].flatten(), others[b, k].flatten(), strict=True))
            either = sum(bool(p) or bool(q) for p, q in zip(masks[b].flatten(), others[b, k].flatten(), strict=True))
            assert float(found[b, k]) == pytest.approx((1 - both / either) ** 4, abs=1e-6)
    assert found[1, 2] == 0


def test_a_draw_by_odds_takes_each_as_often_as_they_say():
    odds, count = torch.tensor([0.05, 0.4, 0.0, 0.8, 0.15]), 40_000
    numbers = torch.rand(count, 5, generator=torch.Generator().manual_seed(0))
    column, share = selection.sample_by_odds(odds.expand(count, 5), numbers, 1)
    assert (share == 1).all() and column.shape == (count, 1)
    often = torch.bincount(column[:, 0], minlength=5) / count
    torch.testing.assert_close(often, odds / odds.sum(), atol=0.01, rtol=0)
    column, share = selection.sample_by_odds(odds.expand(count, 5), numbers, 2)
    assert (share == 0.5).all() and (column[:, 0] != column[:, 1]).all()
    second = sum(float(odds[i] / odds.sum() * odds[1] / (odds.sum() - odds[i])) for i in (0, 3, 4))  # after another
    both = (column == 1).any(1).float().mean()
    assert float(both) == pytest.approx(float(odds[1] / odds.sum()) + second, abs=0.01)


def test_all_candidates_weigh_what_a_draw_gives_on_average():
    odds = torch.tensor([[0.1, 0.3, 0.6], [0.0, 0.0, 0.0]])
    for count in (0, 3, 7):
        column, share = selection.sample_by_odds(odds, torch.full((2, 3), 0.5), count)
        weight = torch.zeros(2, 3).scatter(1, column, share)
        torch.testing.assert_close(weight, torch.tensor([[0.1, 0.3, 0.6], [1 / 3] * 3]))


# Unicorn's choice


def view_by_hand(code, azimuth, codes, azimuths, allowed, number) -> int | None:
    """Of one image, entry by entry."""
    low = 20 + 32 * int(5 * number)
    best = {True: (float("inf"), None), False: (float("inf"), None)}  # in the bin, and anywhere
    for place, (other, turn, may) in enumerate(zip(codes, azimuths, allowed, strict=True)):
        angle = abs(float(turn) - float(azimuth)) % 360
        inside = low <= min(angle, 360 - angle) <= low + 32
        distance = sum(float(a - b) ** 2 for a, b in zip(code, other, strict=True))
        for kind in {inside, False} if may else ():
            best[kind] = min(best[kind], (distance, place), key=lambda pair: pair[0])
    return best[True][1] if best[True][1] is not None else best[False][1]


@pytest.mark.parametrize("size", [3, 40])  # few, so that bins are empty, and many
def test_views_from_another_side_equal_entry_by_entry(size):
    code, codes = draw(60, 4), draw(size, 4, seed=1)
    azimuth, azimuths = draw(60, seed=2) * 200, draw(size, seed=3) * 200  # beyond a full turn
    numbers = torch.rand(60, generator=torch.Generator().manual_seed(4))
    allowed = draw(60, size, seed=5) > -0.7
    allowed[7] = False
    place, found = selection.from_another_side(code, azimuth, codes, azimuths, allowed, numbers)
    expected = [view_by_hand(*one[:2], codes, azimuths, *one[2:]) for one in zip(code, azimuth, allowed, numbers)]  # noqa: B905
    assert expected[7] is None and found.tolist() == [one is not None for one in expected]
    assert [int(p) for p, one in zip(place, expected, strict=True) if one is not None] == [
        one for one in expected if one is not None
    ]
    angle = (azimuths[place] - azimuth + 180) % 360 - 180
    bins = (angle.abs() - 20) // 32
    assert (bins == (5 * numbers).floor()).float().mean() > (0.85 if size == 40 else 0.2)


def test_the_own_angle_is_in_no_bin():
    code, azimuth = torch.zeros(1, 2), torch.tensor([30.0])
    codes, azimuths = torch.tensor([[0.0, 0.0], [9.0, 9.0]]), torch.tensor([30.0 + 360, 155.0])
    allowed = torch.ones(1, 2, dtype=torch.bool)
    place = [
        int(selection.from_another_side(code, azimuth, codes, azimuths, allowed, torch.tensor([n / 5]))[0])
        for n in range(5)
    ]
    assert place == [0, 0, 0, 1, 0]  # 125 degrees are in the fourth bin; the others are empty

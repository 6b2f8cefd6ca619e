"""Why a row of Table 8 came out as it did: what its neighbours and prototypes are, held against the truth.

The neighbour term (§3.3) teaches only if the neighbours that it chooses show another side, in a pose that agrees; the
compensation (§3.2) only if its prototypes differ and attention tells them apart. Training sees none of what is asked
here: true poses and shapes are read for evaluation alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from msrn.data.collection import ImageCollection
from msrn.evaluation.front_back import joined, share_told
from msrn.evaluation.metrics import chamfer_l1
from msrn.evaluation.neighbor_density import OTHER_VIEW, candidate_distances
from msrn.neighbors.selection import prototype_domain, select
from msrn.network import MSRN

OBJECTS = 4  # of each category, with all of their views
EVERY = 4  # of those images, one in so many is asked for its neighbours
AGREES = 30.0  # degrees by which a predicted turn between two images may be off
PAIRS, POINTS = 20, 1000  # pairs of objects of a category whose shapes are compared, points on each
SECTORS = 12  # of azimuth, by which the sides are counted from which a category is seen
SHUFFLES = 20  # random domains, for what chance gives
OF_NEIGHBORS = "chosen", "kept", "rejected", "same_category", "other_view", "agrees", "agrees_by_halves"


class Measure(NamedTuple):
    """A value, and what it would be if the network knew nothing; NaN where there is nothing to ask."""

    value: float = float("nan")
    chance: float = float("nan")


class Images(NamedTuple):
    """Some training images: what is true of them, and what the network says."""

    category: np.ndarray  # (B,)
    object_id: np.ndarray  # (B,)
    true: np.ndarray  # (B,) azimuth in degrees
    azimuth: np.ndarray  # (B,) predicted
    code: torch.Tensor  # z_s (B, Q)


def diagnose(network: MSRN, train: ImageCollection, candidates: np.ndarray, seed: int = 0) -> dict[str, Measure]:
    """What ``network`` makes of some training images and of their ``candidates`` (N, k); a measure for each line of
    ``breakdown.LINES``, which explains them."""
    rows = some_images(train, OBJECTS, seed)
    inputs = rows[::EVERY]
    look_up = _looked_at(network, train, np.union1d(rows, candidates[inputs]))
    asked = look_up(rows)
    return {
        **_neighbors(network, train, look_up, inputs, candidates[inputs]),
        "sides": _sides(asked, np.random.default_rng(seed)),
        "fronts": Measure(share_told(network, train, rows, seed), 0.5),
        **_domains(network, train, asked, np.random.default_rng(seed)),
        **_attention(network, asked),
    }


def neighbor_measures(
    network: MSRN, train: ImageCollection, candidates: np.ndarray, seed: int = 0
) -> dict[str, Measure]:
    """The measures of ``diagnose`` that are about neighbours."""
    inputs = some_images(train, OBJECTS, seed)[::EVERY]
    look_up = _looked_at(network, train, np.union1d(inputs, candidates[inputs]))
    return _neighbors(network, train, look_up, inputs, candidates[inputs])


def _looked_at(network: MSRN, train: ImageCollection, seen: np.ndarray) -> Callable[[np.ndarray], Images]:
    """Lets ``network`` look at the images ``seen``, in order; of these the result finds any again."""
    code, azimuth = (values.cpu() for values in joined(network, train, seen, ("code", "azimuth")))
    true = train.true_pose()[:, 0]

    def look_up(index: np.ndarray) -> Images:
        at = np.searchsorted(seen, index)
        category = np.asarray(train.category[index])
        return Images(category, train.object_id[index], true[index], azimuth.numpy()[at], code[at])

    return look_up


def some_images(train: ImageCollection, objects: int, seed: int) -> np.ndarray:
    """All images of ``objects`` random objects of each category, in order."""
    generator = np.random.default_rng(seed)
    names, first = np.unique(train.object_id, return_index=True)
    category = train.category[first]
    picks = [generator.permutation(names[category == term])[:objects] for term in range(len(train.categories))]
    return np.flatnonzero(np.isin(train.object_id, np.concatenate(picks)))


def _chosen(network: MSRN, inputs: Images, others: Images) -> np.ndarray:
    """Which candidates are neighbours, (B, k) bool."""
    if network.settings.neighbor_filter != "prototypes":  # none is refused
        return np.ones(others.category.shape, bool)
    prototypes = _prototypes(network, "neighbor_prototypes")
    return select(inputs.code, torch.from_numpy(inputs.category), others.code, *prototypes).numpy()


def _neighbors(
    network: MSRN, train: ImageCollection, look_up: Callable, rows: np.ndarray, candidates: np.ndarray
) -> dict[str, Measure]:
    """Eqs 35-38 on the images ``rows`` (B,) and their ``candidates`` (B, k), held against the truth."""
    if network.settings.neighbor_filter == "views":  # whose neighbours are no candidates
        return dict.fromkeys(OF_NEIGHBORS, Measure())
    inputs, others = look_up(rows), look_up(candidates)
    neighbors, distance = _chosen(network, inputs, others), candidate_distances(train, rows, candidates)
    apart = _kept_and_refused(distance, neighbors, inputs.category)
    turn = others.true - inputs.true[:, None]
    wrong = others.azimuth - inputs.azimuth[:, None] - turn
    alike, away = others.category == inputs.category[:, None], _angle(turn) > OTHER_VIEW

    def mean(values: np.ndarray, where: np.ndarray = neighbors) -> float:
        return float(values[where].mean()) if where.any() else float("nan")

    return {
        "chosen": Measure(float(neighbors.mean())),
        "kept": Measure(apart[0], apart[2]),
        "rejected": Measure(apart[1], apart[2]),
        "same_category": Measure(mean(alike), float(alike.mean())),
        "other_view": Measure(mean(away), float(away.mean())),
        "agrees": Measure(mean(_angle(wrong) < AGREES), AGREES / 180),
        "agrees_by_halves": Measure(mean(_angle(2 * wrong) < 2 * AGREES), AGREES / 90),
    }


def _kept_and_refused(distance: np.ndarray, kept: np.ndarray, category: np.ndarray) -> np.ndarray:
    """Distances (B, k) of the candidates kept, of those refused, and of all: means by category, then over those that
    have both (over all categories, where none has). Pooled, a category of unlike shapes that keeps many would count as
    a choice of far ones."""
    of_category = []
    for term in np.unique(category):
        mine, chosen = distance[category == term], kept[category == term]
        of_category.append([part.mean() if part.size else np.nan for part in (mine[chosen], mine[~chosen], mine)])
    means = np.array(of_category)  # (categories, 3)
    both = ~np.isnan(means).any(1)
    return (means[both] if both.any() else means).mean(0)


def _sides(images: Images, generator: np.random.Generator) -> Measure:
    """Effective number of sectors in which azimuths of a category lie, mean over categories. Where it is small, much of
    a category's shapes is never compared with an image."""

    def sectors(azimuth: np.ndarray) -> float:
        sector = (azimuth % 360 // (360 / SECTORS)).astype(int) % SECTORS
        numbers = []
        for term in np.unique(images.category):
            share = np.unique(sector[images.category == term], return_counts=True)[1] / (images.category == term).sum()
            numbers.append(np.exp(-(share * np.log(share)).sum()))
        return float(np.mean(numbers))

    return Measure(sectors(images.azimuth), sectors(generator.uniform(0, 360, len(images.azimuth))))


def _domains(
    network: MSRN, train: ImageCollection, images: Images, generator: np.random.Generator
) -> dict[str, Measure]:
    """What the prototypes P'' divide the images by: category, object, direction, shape."""
    values, valid = _prototypes(network, "neighbor_prototypes")
    if not valid.any():
        return dict.fromkeys(("told", "one_domain", "directions", "shapes"), Measure())
    domain = prototype_domain(images.code, torch.from_numpy(images.category), values, valid).numpy()
    random = [_shuffled(domain, images.category, generator) for _ in range(SHUFFLES)]

    def beside_chance(measure: Callable[[np.ndarray, Images], float]) -> Measure:
        return Measure(measure(domain, images), float(np.mean([measure(one, images) for one in random])))

    return {
        "told": _ownership(images, values, valid),
        "one_domain": beside_chance(_purity),
        "directions": beside_chance(_directions),
        "shapes": _shapes(train, domain, images, generator),
    }


def _ownership(images: Images, values: torch.Tensor, valid: torch.Tensor) -> Measure:
    """Share of codes whose nearest prototype of all categories is one of their own."""
    owner = torch.arange(len(values)).repeat_interleave(values.shape[1])[valid.flatten()].numpy()
    flat = functional.normalize(values.flatten(0, 1)[valid.flatten()], dim=1)
    nearest = owner[(functional.normalize(images.code, dim=1) @ flat.T).argmax(1).numpy()]
    return Measure(float((nearest == images.category).mean()), float((owner == images.category[:, None]).mean()))


def _purity(domain: np.ndarray, images: Images) -> float:
    """Share of an object's images in the domain that holds most of them, mean over objects."""
    counts = [
        np.unique(domain[images.object_id == name], return_counts=True)[1] for name in np.unique(images.object_id)
    ]
    return float(np.mean([count.max() / count.sum() for count in counts]))


def _directions(domain: np.ndarray, images: Images) -> float:
    """Resultant length of the true azimuths of a domain, mean over images: 1 when it holds a single direction."""
    _, group = np.unique(np.stack([images.category, domain]), axis=1, return_inverse=True)
    turns = np.exp(1j * np.radians(images.true))
    sums = np.abs(np.bincount(group.reshape(-1), turns.real) + 1j * np.bincount(group.reshape(-1), turns.imag))
    return float(sums.sum() / len(images.true))


def _shapes(train: ImageCollection, domain: np.ndarray, images: Images, generator: np.random.Generator) -> Measure:
    """CD between objects of images in one domain over that between objects of a category, median of categories."""
    names = images.object_id
    clouds = {name: train.ground_truth(name).points(POINTS, seed) for seed, name in enumerate(np.unique(names))}
    ratios = []
    for term in np.unique(images.category):
        pairs = generator.choice(np.flatnonzero(images.category == term), (PAIRS * 8, 2))
        pairs = pairs[names[pairs[:, 0]] != names[pairs[:, 1]]]
        together = pairs[domain[pairs[:, 0]] == domain[pairs[:, 1]]][:PAIRS]
        if len(together):
            near, far = (
                np.mean([chamfer_l1(clouds[names[a]], clouds[names[b]]) for a, b in some])
                for some in (together, pairs[:PAIRS])
            )
            ratios.append(near / far)
    return Measure(float(np.median(ratios)), 1.0) if ratios else Measure()


@torch.no_grad()
def _attention(network: MSRN, images: Images) -> dict[str, Measure]:
    """What Eqs 24-26 make of the images: attention on the own category, prototypes attended to, change of the code."""
    if not network.compensating:
        return dict.fromkeys(("attention", "attended", "change"), Measure())
    code, (values, valid) = images.code, _prototypes(network, "prototypes")
    module = network.compensation.cpu()
    affinity = module.affinity(code, values, valid)  # (B, T, C)
    own = affinity.sum(2).numpy()[np.arange(len(code)), images.category]
    entropy = -(affinity * affinity.clamp(min=1e-12).log()).sum((1, 2))
    change = (module(code, values, valid) - code).norm(dim=1) / code.norm(dim=1).clamp(min=1e-12)
    share = (valid.sum(1)[images.category] / valid.sum()).mean()
    return {
        "attention": Measure(float(own.mean()), float(share)),
        "attended": Measure(float(entropy.exp().mean()), float(valid.sum())),
        "change": Measure(float(change.mean()), 0.0),
    }


def _prototypes(network: MSRN, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    values, valid = network.get_prototypes(name)
    return values.cpu(), valid.cpu()


def _shuffled(domain: np.ndarray, category: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The same domains, dealt out at random within each category."""
    dealt = domain.copy()
    for term in np.unique(category):
        mine = np.flatnonzero(category == term)
        dealt[mine] = domain[generator.permutation(mine)]
    return dealt


def _angle(degrees: np.ndarray) -> np.ndarray:
    """The size of a turn, 0 to 180 degrees."""
    return np.abs((degrees + 180) % 360 - 180)

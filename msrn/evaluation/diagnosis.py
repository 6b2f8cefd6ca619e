"""Why a row of Table 8 came out as it did: what its neighbours and prototypes are, held against the truth.

The neighbour term (§3.3) teaches only if the neighbours that it chooses show another side, in a pose that agrees; the
compensation (§3.2) only if its prototypes differ and attention tells them apart. Training sees none of what is asked
here: true poses and shapes are read for evaluation alone.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from msrn.backbone import stored_inputs
from msrn.data.collection import ImageCollection
from msrn.evaluation import front_back as fronts
from msrn.evaluation.metrics import chamfer_l1
from msrn.evaluation.neighbor_density import OTHER_VIEW
from msrn.neighbors.selection import prototype_domain, select
from msrn.network import MSRN

OBJECTS = 4  # of each category, with all of their views
EVERY = 4  # of those images, one in so many is asked for its neighbours
AGREES = 30.0  # degrees by which a predicted turn between two images may be off
PAIRS, POINTS = 20, 1000  # pairs of objects of a category whose shapes are compared, points on each
SECTORS = 12  # of azimuth, by which the sides are counted from which a category is seen
SHUFFLES = 20  # random domains, for what chance gives
BATCH = 96


@dataclass(frozen=True)
class Measure:
    """A value, and what it would be if the network knew nothing."""

    value: float
    chance: float = float("nan")


NOTHING = Measure(float("nan"))


@dataclass(frozen=True)
class Diagnosis:
    """What one trained network says of the training images; a measure is not a number where there is nothing to ask."""

    chosen: Measure
    """Candidates that are neighbours; share."""
    same_category: Measure
    """Neighbours of the image's category; share, and that of all candidates."""
    other_view: Measure
    """Neighbours seen from another side, an azimuth more than 30 degrees away; share, and that of all candidates."""
    agrees: Measure
    """Neighbours whose predicted turn from the image is within 30 degrees of the true one; share."""
    agrees_by_halves: Measure
    """The same up to half turns."""
    sides: Measure
    """Sectors of azimuth from which the likeliest poses see a category: exponential of the entropy, mean of categories.
    Few of them: much of its shapes is never compared with an image."""
    fronts: Measure
    """Images that the shape of another object fits better the way round on which the poses of both agree than half a
    turn on; share. One half: shapes do not tell front from back."""
    told: Measure
    """Codes whose nearest prototype of all categories is one of their own; share."""
    one_domain: Measure
    """Views of an object that fall to the prototype to which most of them do; share."""
    directions: Measure
    """Resultant length of the true azimuths in a domain: 1 when it holds a single direction."""
    shapes: Measure
    """CD between two objects of a domain, over that of two of the category."""
    attention: Measure
    """Attention of the compensation on prototypes of the own category; share."""
    attended: Measure
    """Prototypes that it attends to: exponential of the entropy."""
    change: Measure
    """Relative change of the code by the compensation."""


@dataclass(frozen=True)
class Codes:
    """Codes (N, Q) and predicted azimuths (N,) of the images ``rows`` (N,), which are in order."""

    rows: np.ndarray
    code: torch.Tensor
    azimuth: np.ndarray

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Places of ``rows``."""
        return np.searchsorted(self.rows, rows)


def diagnose(network: MSRN, train: ImageCollection, candidates: np.ndarray, seed: int = 0) -> Diagnosis:
    """What ``network`` makes of some training images and of their ``candidates`` (N, k)."""
    rows = some_images(train, OBJECTS, seed)
    inputs = rows[::EVERY]
    codes = look(network, train, np.union1d(rows, candidates[inputs]))
    return Diagnosis(
        **_neighbors(network, train, candidates, inputs, codes),
        sides=_sides(train, rows, codes, np.random.default_rng(seed)),
        fronts=Measure(fronts.share_told(network, train, rows, seed), 0.5),
        **_domains(network, train, rows, codes, np.random.default_rng(seed)),
        **_attention(network, train, rows, codes),
    )


def some_images(train: ImageCollection, objects: int, seed: int) -> np.ndarray:
    """All images of ``objects`` random objects of each category, in order."""
    generator = np.random.default_rng(seed)
    names, first = np.unique(train.object_id, return_index=True)
    category = train.category[first]
    picks = [generator.permutation(names[category == term])[:objects] for term in range(len(train.categories))]
    return np.flatnonzero(np.isin(train.object_id, np.concatenate(picks)))


@torch.no_grad()
def look(network: MSRN, train: ImageCollection, rows: np.ndarray) -> Codes:
    """Encode the images ``rows``."""
    parts = []
    stored = stored_inputs(train, network.settings)
    for start in range(0, len(rows), BATCH):
        shapes = network.reconstruct(torch.from_numpy(np.ascontiguousarray(stored[rows[start : start + BATCH]])))
        parts.append((shapes.code.cpu(), shapes.azimuth.cpu()))
    code, azimuth = (torch.cat(column) for column in zip(*parts, strict=True))
    return Codes(rows, code, azimuth.numpy())


def _neighbors(
    network: MSRN, train: ImageCollection, candidates: np.ndarray, inputs: np.ndarray, codes: Codes
) -> dict[str, Measure]:
    """Eqs 35-38 on ``inputs`` (B,), held against the truth."""
    others = candidates[inputs]  # (B, k)
    own, theirs = codes.at(inputs), codes.at(others)
    category = torch.from_numpy(np.asarray(train.category[inputs]))
    prototypes = _prototypes(network, "neighbor_prototypes")
    neighbors = select(codes.code[own], category, codes.code[theirs], *prototypes).numpy()  # (B, k)
    true = train.true_pose()[:, 0]
    turn = true[others] - true[inputs][:, None]
    wrong = codes.azimuth[theirs] - codes.azimuth[own][:, None] - turn
    alike, away = train.category[others] == train.category[inputs][:, None], _angle(turn) > OTHER_VIEW

    def share(condition: np.ndarray) -> float:
        return float(condition[neighbors].mean()) if neighbors.any() else float("nan")

    return {
        "chosen": Measure(float(neighbors.mean())),
        "same_category": Measure(share(alike), float(alike.mean())),
        "other_view": Measure(share(away), float(away.mean())),
        "agrees": Measure(share(_angle(wrong) < AGREES), AGREES / 180),
        "agrees_by_halves": Measure(share(_angle(2 * wrong) < 2 * AGREES), AGREES / 90),
    }


def _sides(train: ImageCollection, rows: np.ndarray, codes: Codes, generator: np.random.Generator) -> Measure:
    """From how many sides the images ``rows`` are seen, and from how many they would be at random."""
    category, azimuth = np.asarray(train.category[rows]), codes.azimuth[codes.at(rows)]
    return Measure(_sectors(azimuth, category), _sectors(generator.uniform(0, 360, len(azimuth)), category))


def _sectors(azimuth: np.ndarray, category: np.ndarray) -> float:
    """Effective number of sectors in which azimuths of a category lie, mean over categories."""
    sector = (azimuth % 360 // (360 / SECTORS)).astype(int) % SECTORS
    numbers = []
    for term in np.unique(category):
        share = np.unique(sector[category == term], return_counts=True)[1] / (category == term).sum()
        numbers.append(np.exp(-(share * np.log(share)).sum()))
    return float(np.mean(numbers))


def _domains(
    network: MSRN, train: ImageCollection, rows: np.ndarray, codes: Codes, generator: np.random.Generator
) -> dict[str, Measure]:
    """What the prototypes P'' divide the images ``rows`` by: category, object, direction, shape."""
    values, valid = _prototypes(network, "neighbor_prototypes")
    if not valid.any():
        return {"told": NOTHING, "one_domain": NOTHING, "directions": NOTHING, "shapes": NOTHING}
    code, category = codes.code[codes.at(rows)], np.asarray(train.category[rows])
    domain = prototype_domain(code, torch.from_numpy(category), values, valid).numpy()
    names, azimuth = train.object_id[rows], train.true_pose()[rows, 0]
    random = [_shuffled(domain, category, generator) for _ in range(SHUFFLES)]
    return {
        "told": _ownership(code, category, values, valid),
        "one_domain": Measure(_purity(domain, names), float(np.mean([_purity(one, names) for one in random]))),
        "directions": Measure(
            _directions(domain, category, azimuth),
            float(np.mean([_directions(one, category, azimuth) for one in random])),
        ),
        "shapes": _shapes(train, domain, category, names, generator),
    }


def _ownership(code: torch.Tensor, category: np.ndarray, values: torch.Tensor, valid: torch.Tensor) -> Measure:
    owner = torch.arange(len(values)).repeat_interleave(values.shape[1])[valid.flatten()].numpy()
    flat = functional.normalize(values.flatten(0, 1)[valid.flatten()], dim=1)
    nearest = owner[(functional.normalize(code, dim=1) @ flat.T).argmax(1).numpy()]
    return Measure(float((nearest == category).mean()), float((owner == category[:, None]).mean()))


def _purity(domain: np.ndarray, names: np.ndarray) -> float:
    """Share of an object's images in the domain that holds most of them, mean over objects."""
    most = [np.unique(domain[names == name], return_counts=True)[1].max() for name in np.unique(names)]
    return float(np.mean(most / np.unique(names, return_counts=True)[1]))


def _directions(domain: np.ndarray, category: np.ndarray, azimuth: np.ndarray) -> float:
    """Resultant length of the azimuths of a domain, mean over images."""
    _, group = np.unique(np.stack([category, domain]), axis=1, return_inverse=True)
    turns = np.exp(1j * np.radians(azimuth))
    sums = np.abs(np.bincount(group.reshape(-1), turns.real) + 1j * np.bincount(group.reshape(-1), turns.imag))
    return float(sums.sum() / len(azimuth))


def _shapes(
    train: ImageCollection, domain: np.ndarray, category: np.ndarray, names: np.ndarray, generator: np.random.Generator
) -> Measure:
    """CD between objects of images in one domain over that between objects of a category, medians of categories."""
    clouds = {name: train.ground_truth(name).points(POINTS, seed) for seed, name in enumerate(np.unique(names))}
    ratios = []
    for term in np.unique(category):
        mine = np.flatnonzero(category == term)
        pairs = generator.choice(mine, (PAIRS * 8, 2))
        pairs = pairs[names[pairs[:, 0]] != names[pairs[:, 1]]]
        together = pairs[domain[pairs[:, 0]] == domain[pairs[:, 1]]][:PAIRS]
        if len(together):
            near, far = (
                np.mean([chamfer_l1(clouds[names[a]], clouds[names[b]]) for a, b in some])
                for some in (together, pairs[:PAIRS])
            )
            ratios.append(near / far)
    return Measure(float(np.median(ratios)), 1.0) if ratios else NOTHING


@torch.no_grad()
def _attention(network: MSRN, train: ImageCollection, rows: np.ndarray, codes: Codes) -> dict[str, Measure]:
    """What Eqs 24-26 make of the images ``rows``."""
    if not network.compensating:
        return {"attention": NOTHING, "attended": NOTHING, "change": NOTHING}
    code, category = codes.code[codes.at(rows)], np.asarray(train.category[rows])
    values, valid = _prototypes(network, "prototypes")
    module = network.compensation.cpu()
    affinity = module.affinity(code, values, valid)  # (B, T, C)
    own = affinity.sum(2).numpy()[np.arange(len(code)), category]
    entropy = -(affinity * affinity.clamp(min=1e-12).log()).sum((1, 2))
    change = (module(code, values, valid) - code).norm(dim=1) / code.norm(dim=1).clamp(min=1e-12)
    share = (valid.sum(1)[category] / valid.sum()).mean()
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

"""How dense a data set is around its neighbours (§3.3): what the neighbour term can teach on it. Evaluation only.

The neighbour term takes a candidate image for another view of the input's shape. How far that is from true is a
property of the data and of the features, measured here with the true shapes and poses, which training never sees.
"""

from dataclasses import dataclass

import numpy as np

from msrn.data import ImageCollection
from msrn.metrics import CHAMFER_UNIT, tree

OTHER_VIEW = 30.0  # degrees of azimuth from which on a candidate shows another side


@dataclass(frozen=True)
class Density:
    """Of one category, or the mean over categories."""

    neighbor_cd: float
    """Median CD between an object and the objects of its images' candidates, each counted as often as it is chosen."""
    random_cd: float
    """Median CD between an object and random other objects of its category."""
    other_view: float
    """Share of candidates whose azimuth differs from the image's by more than 30 degrees."""
    same_object: float
    """Share of candidates that show the image's own object: 0, or the search is broken."""
    same_category: float
    """Share of candidates of the image's category."""
    distinct_objects: float
    """Objects among an image's candidates, mean."""


def neighbor_density(
    collection: ImageCollection, candidates: np.ndarray, points: int = 2000, seed: int = 0, objects: int = 20
) -> dict[str, Density]:
    """Density by category, and under ``mean`` the mean over categories.

    ``candidates`` (N, count) are image numbers, as ``neighbors.find_candidates`` gives. CD is in the paper's unit,
    between ``points`` on each of two surfaces in their true pose; at most ``objects`` of a category are drawn at random
    to be compared with all objects of their candidates and ``objects`` random ones. Shares are over all images.
    """
    names, first, owner = np.unique(collection.object_id, return_index=True, return_inverse=True)
    category = collection.category[first]  # (objects,)
    azimuth = collection.true_pose()[:, 0]
    turn = np.abs((azimuth[candidates] - azimuth[:, None] + 180) % 360 - 180)  # (N, count)
    chosen = owner[candidates]
    distance = _Distance(collection, names, points, seed)
    generator = np.random.default_rng(seed)
    found = {}
    for number, name in enumerate(collection.categories):
        mine = np.flatnonzero(category == number)
        near, far = [], []
        for place in generator.permutation(mine)[:objects]:
            values, counts = np.unique(chosen[owner == place], return_counts=True)
            near += [np.repeat(distance(place, other), count) for other, count in zip(values, counts, strict=True)]
            others = generator.permutation(mine[mine != place])[:objects]
            far += [distance(place, other) for other in others]
        images = collection.category == number
        found[name] = Density(
            neighbor_cd=float(np.median(np.concatenate(near))),
            random_cd=float(np.median(far)) if far else float("nan"),
            other_view=float((turn[images] > OTHER_VIEW).mean()),
            same_object=float((chosen[images] == owner[images, None]).mean()),
            same_category=float((category[chosen[images]] == number).mean()),
            distinct_objects=float(np.mean([len(set(row)) for row in chosen[images].tolist()])),
        )
    fields = Density.__dataclass_fields__
    found["mean"] = Density(*(float(np.nanmean([getattr(row, key) for row in found.values()])) for key in fields))
    return found


class _Distance:
    """CD between two objects by place; points, trees and distances are kept, since the same pairs come again."""

    def __init__(self, collection: ImageCollection, names: np.ndarray, points: int, seed: int) -> None:
        self._collection, self._names, self._points, self._seed = collection, names, points, seed
        self._clouds: dict = {}
        self._known: dict[tuple[int, int], float] = {}

    def __call__(self, one: int, other: int) -> float:
        pair = (int(min(one, other)), int(max(one, other)))
        if pair not in self._known:
            (points, points_tree), (others, others_tree) = self._cloud(pair[0]), self._cloud(pair[1])
            ways = others_tree.query(points)[0].mean(), points_tree.query(others)[0].mean()
            self._known[pair] = float(CHAMFER_UNIT * 0.5 * sum(ways))
        return self._known[pair]

    def _cloud(self, place: int) -> tuple:
        if place not in self._clouds:  # a seed each, or equal shapes would get equal points
            truth = self._collection.ground_truth(str(self._names[place]))
            points = truth.points(self._points, self._seed + place)
            self._clouds[place] = points, tree(points)
        return self._clouds[place]

"""How dense a data set is around its neighbours (§3.3): what the neighbour term can teach on it. Evaluation only.

The neighbour term takes a candidate image for another view of the input's shape. How far that is from true is a
property of the data and of the features, measured here with the true shapes and poses, which training never sees.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from tqdm import tqdm

from msrn.data import ImageCollection
from msrn.metrics import CHAMFER_UNIT, tree

OTHER_VIEW = 30.0  # degrees of azimuth from which on a candidate shows another side
OTHERS = 20  # random objects that each one is compared with, at most


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
    collection: ImageCollection,
    candidates: np.ndarray,
    points: int = 2000,
    seed: int = 0,
    objects: int | None = None,
    progress: bool = False,
) -> dict[str, Density]:
    """Density by category, and under ``mean`` the mean over categories.

    ``candidates`` (N, count) are image numbers, as ``candidates.find_candidates`` gives. CD is in the paper's unit,
    between ``points`` on each of two surfaces in their true pose; every object, or at most ``objects`` of a category
    drawn at random, is compared with all objects of its candidates and with ``OTHERS`` random ones. Shares are over all
    images.
    """
    names, first, owner = np.unique(collection.object_id, return_index=True, return_inverse=True)
    category = collection.category[first]  # (objects,)
    azimuth = collection.true_pose()[:, 0]
    chosen = owner[candidates]  # (N, count)
    generator = np.random.default_rng(seed)
    found = {}
    for number, name in enumerate(tqdm(collection.categories, "density", unit="category", disable=not progress)):
        mine = np.flatnonzero(category == number)
        near, far = [], []  # pairs of objects, each as often as it counts
        for place in generator.permutation(mine)[:objects]:
            near += [(place, other) for other in chosen[owner == place].flat]
            far += [(place, other) for other in generator.permutation(mine[mine != place])[:OTHERS]]
        distance = _distances(collection, names, near + far, points, seed)
        images = np.flatnonzero(collection.category == number)
        turn = np.abs((azimuth[candidates[images]] - azimuth[images, None] + 180) % 360 - 180)
        found[name] = Density(
            neighbor_cd=float(np.median(distance[: len(near)])),
            random_cd=float(np.median(distance[len(near) :])) if far else float("nan"),
            other_view=float((turn > OTHER_VIEW).mean()),
            same_object=float((chosen[images] == owner[images, None]).mean()),
            same_category=float((category[chosen[images]] == number).mean()),
            distinct_objects=float(np.mean([len(set(row)) for row in chosen[images].tolist()])),
        )
    fields = Density.__dataclass_fields__
    found["mean"] = Density(*(float(np.nanmean([getattr(row, key) for row in found.values()])) for key in fields))
    return found


def table_rows(density: Mapping[str, Density]) -> list[tuple[str, ...]]:
    """A table: a header, then a line per category and one for their mean."""
    header = ("", "CD to candidates", "CD to random others", "other view", "distinct objects")
    lines = [
        (name, f"{d.neighbor_cd:.1f}", f"{d.random_cd:.1f}", f"{d.other_view:.0%}", f"{d.distinct_objects:.1f}")
        for name, d in density.items()
    ]
    return [header, *lines]


def _distances(
    collection: ImageCollection, names: np.ndarray, pairs: list[tuple[int, int]], points: int, seed: int
) -> np.ndarray:
    """CD (pairs,) of pairs of objects, each different one measured once, on as many threads as torch has."""
    different, place = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True)
    with ThreadPoolExecutor(torch.get_num_threads()) as workers:

        def cloud(number: int) -> tuple[np.ndarray, cKDTree]:  # a seed each, or equal shapes would get equal points
            drawn = collection.ground_truth(str(names[number])).points(points, seed + int(number))
            return drawn, tree(drawn)

        def distance(pair: np.ndarray) -> float:
            (one, of_one), (other, of_other) = clouds[pair[0]], clouds[pair[1]]
            return CHAMFER_UNIT * 0.5 * (of_other.query(one)[0].mean() + of_one.query(other)[0].mean())

        objects = np.unique(different)
        clouds = dict(zip(objects, workers.map(cloud, objects), strict=True))
        return np.array(list(workers.map(distance, different)))[place.ravel()]

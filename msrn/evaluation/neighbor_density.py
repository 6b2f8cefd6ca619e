"""How dense a data set is around its neighbours (§3.3): what the neighbour term can teach on it. Evaluation only.

The neighbour term takes a candidate image for another view of the input's shape. How far that is from true is a
property of the data and of the features, measured here with the true shapes and poses, which training never sees.
"""

import time

import numpy as np
from tqdm import tqdm

from msrn.data.collection import ImageCollection
from msrn.evaluation.alignment import Cloud
from msrn.evaluation.metrics import Distances
from msrn.settings import Settings
from msrn.store import results
from msrn.store.digest import code_digest, digest_of
from msrn.store.results import Record
from msrn.threads import workers

OTHER_VIEW = 30.0  # degrees of azimuth from which on a candidate shows another side
FRONT, SIDE = 15.0, 60.0  # degrees off the axis from front to back, up to which a view is along it, from which across
OTHERS = 20  # random objects that each one is compared with, at most
POINTS = 2000  # on each surface


def neighbor_density(
    collection: ImageCollection, candidates: np.ndarray, points: int = POINTS, progress: bool = False
) -> dict[str, dict[str, float]]:
    """The measures of each category, and under ``mean`` their means over categories; NaN where there is nothing.

    ``candidates`` (N, count) are image numbers, as ``candidates.find_candidates`` gives. CD is in the paper's unit,
    between ``points`` on each of two surfaces in their true pose: between an object and all objects of its images'
    candidates, each counted as often as it is chosen, and between it and ``OTHERS`` random ones of its category;
    medians. Shares are over all images.
    """
    names, first, owner = np.unique(collection.object_id, return_index=True, return_inverse=True)
    category = collection.category[first]  # (objects,)
    azimuth = collection.true_pose()[:, 0]
    off = 90 - np.abs(azimuth % 180 - 90)  # 0 from the front or the back, 90 from a side
    neighbors = owner[candidates]  # (N, count)
    generator = np.random.default_rng(0)
    densities = {}
    for number, name in enumerate(tqdm(collection.categories, "density", unit="category", disable=not progress)):
        mine = np.flatnonzero(category == number)
        near, far = [], []  # pairs of objects, each as often as it counts
        for place in generator.permutation(mine):
            near += [(place, other) for other in neighbors[owner == place].flat]
            far += [(place, other) for other in generator.permutation(mine[mine != place])[:OTHERS]]
        distance = _distances(collection, names, near + far, points)
        images = np.flatnonzero(collection.category == number)
        turn = np.abs((azimuth[candidates[images]] - azimuth[images, None] + 180) % 360 - 180)
        fronts = images[off[images] <= FRONT]
        densities[name] = {
            "neighbor_cd": float(np.median(distance[: len(near)])),
            "random_cd": float(np.median(distance[len(near) :])) if far else float("nan"),
            "other_view": float((turn > OTHER_VIEW).mean()),  # candidates from another side
            # Candidates from a side, where depth shows, of images from the front or the back; a third by chance.
            "sides_of_fronts": float((off[candidates[fronts]] >= SIDE).mean()) if len(fronts) else float("nan"),
            "distinct_objects": float(np.mean([len(set(row)) for row in neighbors[images].tolist()])),  # of an image
        }
    columns = {key: np.array([row[key] for row in densities.values()]) for key in next(iter(densities.values()))}
    finite = {key: column[np.isfinite(column)] for key, column in columns.items()}
    densities["mean"] = {key: float(column.mean()) if len(column) else float("nan") for key, column in finite.items()}
    return densities


def nearest_half(collection: ImageCollection, candidates: np.ndarray) -> np.ndarray:
    """Of the candidates (N, k) of each image those whose true shapes are nearest to its own, (N, ceil(k / 2)), nearest
    first. A pair of objects is measured once."""
    distance = candidate_distances(collection, np.arange(len(candidates)), candidates)
    order = np.argsort(distance, axis=1, kind="stable")[:, : (candidates.shape[1] + 1) // 2]
    return np.take_along_axis(candidates, order, 1)


def candidate_distances(collection: ImageCollection, images: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """CD (B, k) between the true shapes of ``images`` (B,) and of their candidates (B, k)."""
    names, owner = np.unique(collection.object_id, return_inverse=True)
    pairs = [(mine, other) for mine, row in zip(owner[images], owner[candidates], strict=True) for other in row]
    return _distances(collection, names, pairs, POINTS).reshape(candidates.shape)


def _distances(collection: ImageCollection, names: np.ndarray, pairs: list[tuple[int, int]], points: int) -> np.ndarray:
    """CD (pairs,) of pairs of objects, each different one measured once."""
    different, place = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True)
    clouds = {  # a seed each, or equal shapes would get equal points
        number: Cloud(collection.ground_truth(str(names[number])).points(points, int(number)))
        for number in np.unique(different)
    }

    def distance(pair: np.ndarray) -> float:
        one, other = (clouds[number] for number in pair)
        return Distances(other.tree.query(one.points)[0], one.tree.query(other.points)[0]).chamfer_l1()

    with workers() as pool:
        return np.array(list(pool.map(distance, different)))[place.ravel()]


def evaluation_digest(train: ImageCollection, candidates: np.ndarray) -> str:
    """Digest of all that a record of density depends on."""
    return digest_of(train.fingerprint, code_digest("msrn.data.ground_truth", __name__), POINTS, candidates.tobytes())


def measure(train: ImageCollection, candidates: np.ndarray, s: Settings, label: str, progress: bool = True) -> Record:
    """The density of a training split under the candidates of some settings, as a record: metrics by measure, and by
    ``MEASURE.category.NAME``."""
    start = time.perf_counter()
    densities = neighbor_density(train, candidates, progress=progress)
    means = densities.pop("mean")
    by_category = {f"{key}.category.{name}": v for name, row in densities.items() for key, v in row.items()}
    return Record(
        experiment="density",
        variant="density",
        kind="density",
        dataset=train.name,
        fingerprint=train.fingerprint,
        profile=label,
        seed=0,
        settings={name: value for name, value in s if name.startswith("candidate")},
        metrics=means | by_category,
        units={"neighbor_cd": "as cd", "random_cd": "as cd"},
        objects={},
        points=POINTS,
        n_objects=len(train.evaluation_index),
        n_images=len(train),
        features=s.features,
        masks="none",
        evaluation=evaluation_digest(train, candidates),
        device=results.device_name("cpu"),
        train_seconds=0.0,
        eval_seconds=time.perf_counter() - start,
        **results.provenance(),
    )

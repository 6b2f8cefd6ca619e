"""How dense a data set is around its neighbours (§3.3): what the neighbour term can teach on it. Evaluation only.

The neighbour term takes a candidate image for another view of the input's shape. How far that is from true is a
property of the data and of the features, measured here with the true shapes and poses, which training never sees.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from tqdm import tqdm

from msrn.data.collection import ImageCollection
from msrn.evaluation.metrics import CHAMFER_UNIT, tree
from msrn.settings import Settings
from msrn.store import results
from msrn.store.digest import code_digest, digest_of
from msrn.store.results import Record

OTHER_VIEW = 30.0  # degrees of azimuth from which on a candidate shows another side
FRONT, SIDE = 15.0, 60.0  # degrees off the axis from front to back, up to which a view is along it, from which across
OTHERS = 20  # random objects that each one is compared with, at most
POINTS = 2000  # on each surface


@dataclass(frozen=True)
class Density:
    """Of one category, or the mean over categories."""

    neighbor_cd: float
    """Median CD between an object and the objects of its images' candidates, each counted as often as it is chosen."""
    random_cd: float
    """Median CD between an object and random other objects of its category."""
    other_view: float
    """Share of candidates whose azimuth differs from the image's by more than 30 degrees."""
    sides_of_fronts: float
    """Share of the candidates of images from the front or the back that are from a side, where depth shows; a third by
    chance. NaN where no image is from there."""
    same_object: float
    """Share of candidates that show the image's own object: 0, or the search is broken."""
    same_category: float
    """Share of candidates of the image's category."""
    distinct_objects: float
    """Objects among an image's candidates, mean."""


def neighbor_density(
    collection: ImageCollection,
    candidates: np.ndarray,
    points: int = POINTS,
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
    off = 90 - np.abs(azimuth % 180 - 90)  # 0 from the front or the back, 90 from a side
    neighbors = owner[candidates]  # (N, count)
    generator = np.random.default_rng(seed)
    densities = {}
    for number, name in enumerate(tqdm(collection.categories, "density", unit="category", disable=not progress)):
        mine = np.flatnonzero(category == number)
        near, far = [], []  # pairs of objects, each as often as it counts
        for place in generator.permutation(mine)[:objects]:
            near += [(place, other) for other in neighbors[owner == place].flat]
            far += [(place, other) for other in generator.permutation(mine[mine != place])[:OTHERS]]
        distance = _distances(collection, names, near + far, points, seed)
        images = np.flatnonzero(collection.category == number)
        turn = np.abs((azimuth[candidates[images]] - azimuth[images, None] + 180) % 360 - 180)
        fronts = images[off[images] <= FRONT]
        densities[name] = Density(
            neighbor_cd=float(np.median(distance[: len(near)])),
            random_cd=float(np.median(distance[len(near) :])) if far else float("nan"),
            other_view=float((turn > OTHER_VIEW).mean()),
            sides_of_fronts=float((off[candidates[fronts]] >= SIDE).mean()) if len(fronts) else float("nan"),
            same_object=float((neighbors[images] == owner[images, None]).mean()),
            same_category=float((category[neighbors[images]] == number).mean()),
            distinct_objects=float(np.mean([len(set(row)) for row in neighbors[images].tolist()])),
        )
    columns = zip(*map(astuple, densities.values()), strict=True)
    densities["mean"] = Density(*(_mean([value for value in column if np.isfinite(value)]) for column in columns))
    return densities


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _distances(
    collection: ImageCollection, names: np.ndarray, pairs: list[tuple[int, int]], points: int, seed: int
) -> np.ndarray:
    """CD (pairs,) of pairs of objects, each different one measured once, on as many threads as torch has."""
    different, place = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True)
    with ThreadPoolExecutor(torch.get_num_threads()) as workers:

        def cloud(number: int) -> tuple[np.ndarray, cKDTree]:  # a seed each, or equal shapes would get equal points
            sample = collection.ground_truth(str(names[number])).points(points, seed + int(number))
            return sample, tree(sample)

        def distance(pair: np.ndarray) -> float:
            (one, of_one), (other, of_other) = clouds[pair[0]], clouds[pair[1]]
            return CHAMFER_UNIT * 0.5 * (of_other.query(one)[0].mean() + of_one.query(other)[0].mean())

        objects = np.unique(different)
        clouds = dict(zip(objects, workers.map(cloud, objects), strict=True))
        return np.array(list(workers.map(distance, different)))[place.ravel()]


def evaluation_digest(train: ImageCollection, candidates: np.ndarray) -> str:
    """Digest of all that a record of density depends on."""
    return digest_of(train.fingerprint, code_digest(__name__), POINTS, candidates.tobytes())


def measure(train: ImageCollection, candidates: np.ndarray, s: Settings, label: str, progress: bool = True) -> Record:
    """The density of a training split under the candidates of some settings, as a record: metrics by measure, and by
    ``MEASURE.category.NAME``."""
    start = time.perf_counter()
    densities = neighbor_density(train, candidates, progress=progress)
    means = asdict(densities.pop("mean"))
    by_category = {f"{key}.category.{name}": v for name, row in densities.items() for key, v in asdict(row).items()}
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

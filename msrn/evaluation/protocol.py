"""The evaluation protocol of §4.2: sample, align, score; the same for every method and baseline.

Every prediction is centred and scaled to longest edge 1, then aligned in five ways, each reported:

    none             not at all (the frames are equated by the caller, with the predicted and the true pose)
    icp              rigid ICP from there
    search           the best of 24 turns about the vertical
    search_icp       the same and then rigid ICP, at a scale taken in the orientation found: the headline
    search_icp_axes  the same and then a scale of each axis, as Unicorn's evaluator

A step of alignment is kept only when it lowers CD, so CD never rises from none to icp, or from none to search_icp_axes.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from msrn.data.surface import check_mesh, check_points, sample_surface
from msrn.errors import MsrnError
from msrn.evaluation.alignment import IDENTITY, Cloud, Motion, icp, match, normalising, renormalised, search_rotation
from msrn.evaluation.metrics import Distances
from msrn.evaluation.statistics import interval_of, macro_mean, object_means

ALIGNMENTS = ("none", "icp", "search", "search_icp", "search_icp_axes")
HEADLINE = "search_icp"
UNITS = {
    "cd": "100 x half-sum of mean nearest distances, unsquared, longest true edge = 1",
    "eq46": "sum of squared nearest distances over `points` points of each cloud, longest true edge = 1",
    "f": "F-score at 0.01 of the longest true edge, 0 to 1",
}
QUERIES = 5_000  # points of each cloud whose nearest neighbour among all of the other cloud is measured
ALIGN_POINTS = 3_000  # points of each cloud that alignment sees
PREDICTED_STREAM = 1  # beside the seed, so that prediction and truth are sampled independently

Mesh = tuple[np.ndarray, np.ndarray]  # vertices (V, 3), faces (F, 3)
Surface = Mesh | np.ndarray  # or points (P, 3), where there is no mesh


class Surfaces(Sequence):
    """Surfaces that ``read`` gives for ``keys``, each whenever it is asked for: thousands fit into no memory."""

    def __init__(self, read: Callable[[Any], Surface], keys: Sequence[Any]) -> None:
        self.read, self.keys = read, keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, place: int) -> Surface:
        return self.read(self.keys[place])


@dataclass(frozen=True)
class ObjectMetrics:
    """What was measured on each evaluated image; ``UNITS`` says in what."""

    object_id: np.ndarray
    """(M,) the objects' names; one occurs more than once when several of its views are evaluated."""
    category: np.ndarray
    """(M,) int."""
    points: int
    """Points of each surface; a cloud that has fewer gives all of them."""
    cd: dict[str, np.ndarray]
    """(M,) for each of ``ALIGNMENTS``; likewise below."""
    eq46: dict[str, np.ndarray]
    f: dict[str, np.ndarray]

    def per_object(self, metric: str = "cd", alignment: str = HEADLINE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(ids, categories, values), one entry for each object in the order of ids, its views averaged."""
        return object_means(self.object_id, self.category, getattr(self, metric)[alignment])

    def summary(self, categories: Sequence[str]) -> dict[str, float]:
        """A flat mapping for a result file: ``objects``, ``points``, ``objects.NAME`` and, for METRIC in cd, eq46, f,
        ``METRIC.ALIGNMENT``, the macro mean (the mean of the means of the categories that occur).

        Of the headline alignment also ``METRIC`` (the same macro mean), ``METRIC.low`` and ``METRIC.high`` (its 95 %
        interval), ``METRIC.micro`` (mean over objects) and ``METRIC.category.NAME``.
        """
        ids, category, _ = self.per_object()
        summary: dict[str, float] = {"objects": len(ids), "points": self.points}
        present = {int(term): categories[term] for term in np.unique(category)}
        summary |= {f"objects.{name}": int((category == term).sum()) for term, name in present.items()}
        for metric in UNITS:
            values = self.per_object(metric)[2]
            whole = interval_of(values, category)
            summary |= {metric: whole.mean, f"{metric}.low": whole.low, f"{metric}.high": whole.high}
            summary[f"{metric}.micro"] = float(values.mean())
            for term, name in present.items():
                summary[f"{metric}.category.{name}"] = float(values[category == term].mean())
            for alignment in ALIGNMENTS:
                summary[f"{metric}.{alignment}"] = macro_mean(self.per_object(metric, alignment)[2], category)
        return summary


def evaluate_meshes(
    surfaces: Sequence[Surface], collection: Any, indices: Sequence[int], points: int, seed: int, progress: bool = False
) -> ObjectMetrics:
    """Score one mesh (vertices (V, 3), faces (F, 3)) or cloud (P, 3) for each of the images ``indices``.

    Surfaces come in the truth's frame as well as the method knows it: a model's as v @ R_predicted @ R_true.T. Of the
    collection, ``object_id``, ``category`` and ``ground_truth`` are read. ``points`` are taken of each surface; the
    nearest distance to all of them is measured from at most ``QUERIES`` points of the other surface, which estimates
    the same means (and Eq. 46's sums, scaled up to ``points``) at a fraction of the time. The number of points matters:
    two samples of one surface are apart by a distance that falls with its root, and that is the floor of every value.
    A cloud of fewer than ``points`` has a higher floor: compare it with care.
    """
    indices = np.asarray(indices, int)
    if not len(surfaces) or len(surfaces) != len(indices) or points < 1:
        counts = f"{len(surfaces)} meshes for {len(indices)} images, {points} points"
        raise MsrnError(f"evaluation: {counts}: expected a mesh for each image, and at least one mesh and point")
    ids = collection.object_id[indices]
    for surface, name in zip(surfaces, ids, strict=True):  # a bad one is named before any work
        check_surface(surface, f"for object {name}")
    reading = threading.Lock()  # a collection's files may not bear two readers

    def score(row: int) -> dict[str, Distances]:
        with reading:
            surface, truth = surfaces[row], collection.ground_truth(ids[row])
        predicted, extent = surface_points(check_surface(surface, f"for object {ids[row]}"), points, seed)
        return align_and_measure(predicted, np.asarray(truth.points(points, seed), np.float64), extent)

    # Threads, since the k-d trees work outside of Python's lock.
    outcomes = Parallel(os.cpu_count(), prefer="threads", return_as="generator")(map(delayed(score), range(len(ids))))
    scores = list(tqdm(outcomes, "evaluating", len(ids), unit="object", disable=not progress))

    def column(measure: Callable[[Distances], float]) -> dict[str, np.ndarray]:
        return {name: np.array([measure(distances[name]) for distances in scores]) for name in ALIGNMENTS}

    cd, f = column(Distances.chamfer_l1), column(Distances.f_score)
    eq46 = column(lambda distances: distances.chamfer_eq46(points))
    return ObjectMetrics(ids, collection.category[indices], points, cd, eq46, f)


def check_surface(surface: Surface, name: str) -> Surface:
    """The mesh or cloud as float64 and int64, refused when empty, misshapen, not finite or out of range."""
    if isinstance(surface, np.ndarray):
        return check_points(surface, f"points {name}")
    return check_mesh(*surface, name=f"mesh {name}")


def surface_points(surface: Surface, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (P, 3) of a prediction in random order and what spans its bounding box (V, 3), both normalised.

    A mesh is sampled, P = ``count``; vertices of no face do not count. Of a cloud as many are drawn without
    replacement, or all of them where it has no more.
    """
    stream = [seed, PREDICTED_STREAM]
    if isinstance(surface, np.ndarray):
        cloud = normalising(surface).apply(surface)
        return cloud[np.random.default_rng(stream).permutation(len(cloud))[:count]], cloud
    vertices, faces = surface
    extent = vertices[np.unique(faces)]
    motion = normalising(extent)
    return sample_surface(motion.apply(vertices), faces, count, stream), motion.apply(extent)


def align_and_measure(predicted: np.ndarray, true: np.ndarray, extent: np.ndarray) -> dict[str, Distances]:
    """Distances under each of ``ALIGNMENTS`` between points of a normalised prediction (P, 3) and of the truth (P', 3).

    ``extent`` (V, 3), the prediction's vertices, gives its bounding box. Points are in random order, as sampled. After
    the search, ICP runs twice: what it finds is brought to longest edge 1 again in the orientation found, since up to
    7.5 degrees off, where the nearest step of the search may leave a box, that edge is up to 12 % too long.
    """
    clouds = Cloud(predicted), Cloud(true)
    few, target = predicted[:ALIGN_POINTS], true[:ALIGN_POINTS]

    def better(motion: Motion, start: tuple[Motion, Distances] | None = None) -> tuple[Motion, Distances]:
        """The motion with its distances, or ``start`` where that has the lower CD on all points."""
        outcome = motion, match(*clouds, motion, QUERIES)[2]
        return start if start and start[1].chamfer_l1() <= outcome[1].chamfer_l1() else outcome

    def refined(motion: Motion, fit_scale: bool = False) -> Motion:
        return motion.then(icp(motion.apply(few), target, fit_scale))

    none = better(IDENTITY)
    rigid = better(refined(IDENTITY), none)
    search = better(search_rotation(few, target, extent), none)
    search_icp = better(refined(search[0]), search)
    search_icp = better(refined(renormalised(search_icp[0], extent)), search_icp)
    axes = better(refined(search_icp[0], fit_scale=True), search_icp)
    steps = (none, rigid, search, search_icp, axes)
    return {name: distances for name, (_, distances) in zip(ALIGNMENTS, steps, strict=True)}

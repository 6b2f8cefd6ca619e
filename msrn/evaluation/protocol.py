"""The evaluation protocol of §4.2: sample, align, score; the same for every method and baseline.

Points are taken of what can be seen of a mesh from outside, of truth and prediction alike. Every prediction is centred
and scaled to longest edge 1, then aligned in five ways, each reported:

    none             not at all (the frames are equated by the caller, with the predicted and the true pose)
    icp              rigid ICP from there
    search           the best of 24 turns about the vertical
    search_icp       the same and then rigid ICP, at a scale taken in the orientation found: the headline
    search_icp_axes  the same and then a scale of each axis, as Unicorn's evaluator: the headline *per axis*

At the first headline's alignment, points of all faces are measured too, of inner ones as well (``all_faces``).

A step of alignment is kept only when it lowers CD, so CD never rises from none to icp, or from none to search_icp_axes.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from msrn.data.outer_surface import sample_outer_surface
from msrn.data.surface import check_mesh, check_points, sample_surface
from msrn.errors import MsrnError
from msrn.evaluation.alignment import IDENTITY, Cloud, Motion, icp, match, normalising, renormalised, search_rotation
from msrn.evaluation.metrics import Distances
from msrn.evaluation.statistics import interval_of, macro_mean, object_means
from msrn.threads import workers

ALIGNMENTS = ("none", "icp", "search", "search_icp", "search_icp_axes")
ALL_FACES = "all_faces"
HEADLINE, PER_AXIS = "search_icp", "search_icp_axes"
HEADLINES = {"": HEADLINE, "_axes": PER_AXIS}  # by what follows the name of a metric
VERSION = 2  # of this protocol, in every record; in the first one inner faces were sampled too
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
    """(M,) for each of ``ALIGNMENTS`` and ``ALL_FACES``; likewise below."""
    eq46: dict[str, np.ndarray]
    f: dict[str, np.ndarray]

    def per_object(self, metric: str = "cd", alignment: str = HEADLINE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(ids, categories, values), one entry for each object in the order of ids, its views averaged."""
        return object_means(self.object_id, self.category, getattr(self, metric)[alignment])

    def summary(self, categories: Sequence[str]) -> dict[str, float]:
        """A flat mapping for a result file: ``objects``, ``points``, ``objects.NAME`` and, for METRIC in cd, eq46, f,
        ``METRIC.ALIGNMENT``, the macro mean (the mean of the means of the categories that occur).

        Of the headline also ``METRIC`` (the same macro mean), ``METRIC.low`` and ``METRIC.high`` (its 95 % interval),
        ``METRIC.micro`` (mean over objects) and ``METRIC.category.NAME``; of that per axis the same as ``METRIC_axes``.
        """
        ids, category, _ = self.per_object()
        summary: dict[str, float] = {"objects": len(ids), "points": self.points}
        present = {int(term): categories[term] for term in np.unique(category)}
        summary |= {f"objects.{name}": int((category == term).sum()) for term, name in present.items()}
        for metric, (ending, headline) in itertools.product(UNITS, HEADLINES.items()):
            values, name = self.per_object(metric, headline)[2], f"{metric}{ending}"
            whole = interval_of(values, category)
            summary |= {name: whole.mean, f"{name}.low": whole.low, f"{name}.high": whole.high}
            summary[f"{name}.micro"] = float(values.mean())
            for term, title in present.items():
                summary[f"{name}.category.{title}"] = float(values[category == term].mean())
        for metric, alignment in itertools.product(UNITS, (*ALIGNMENTS, ALL_FACES)):
            summary[f"{metric}.{alignment}"] = macro_mean(self.per_object(metric, alignment)[2], category)
        return summary


def evaluate_meshes(
    surfaces: Sequence[Surface], collection: Any, indices: Sequence[int], points: int, seed: int, progress: bool = False
) -> ObjectMetrics:
    """Score one mesh (vertices (V, 3), faces (F, 3)) or cloud (P, 3) for each of the images ``indices``.

    Surfaces come in the truth's frame as well as the method knows it: a model's as v @ R_predicted @ R_true.T. Of the
    collection, ``object_id``, ``category`` and ``ground_truth`` are read. ``points`` are taken of each surface; the
    nearest distance to all of them is measured from at most ``QUERIES`` points of the other surface, which estimates
    the same means (and Eq. 46's sums, scaled up to ``points``) at a fraction of the time. Of a cloud all points count.
    The number of points matters: two samples of one surface are apart by a distance that falls with its root, and that
    is the floor of every value. A cloud of fewer than ``points`` has a higher floor: compare it with care.
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
        outer, whole, extent = surface_points(check_surface(surface, f"for object {ids[row]}"), points, seed)
        true, true_whole = (draw(points, seed).astype(np.float64) for draw in (truth.outer_points, truth.points))
        steps = align_and_measure(outer, true, extent)
        inner_too = match(Cloud(whole), Cloud(true_whole), steps[HEADLINE][0], QUERIES)[2]
        return {name: distances for name, (_, distances) in steps.items()} | {ALL_FACES: inner_too}

    with workers() as pool:  # threads, since the k-d trees work outside of Python's lock
        outcomes = pool.map(score, range(len(ids)))
        scores = list(tqdm(outcomes, "evaluating", len(ids), unit="object", disable=not progress))

    def column(measure: Callable[[Distances], float]) -> dict[str, np.ndarray]:
        return {name: np.array([measure(distances[name]) for distances in scores]) for name in scores[0]}

    cd, f = column(Distances.chamfer_l1), column(Distances.f_score)
    eq46 = column(lambda distances: distances.chamfer_eq46(points))
    return ObjectMetrics(ids, collection.category[indices], points, cd, eq46, f)


def check_surface(surface: Surface, name: str) -> Surface:
    """The mesh or cloud as float64 and int64, refused when empty, misshapen, not finite or out of range."""
    if isinstance(surface, np.ndarray):
        return check_points(surface, f"points {name}")
    return check_mesh(*surface, name=f"mesh {name}")


def surface_points(surface: Surface, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (P, 3) of a prediction's outer surface and of all of its faces, in random order, and what spans its
    bounding box (V, 3), all normalised.

    A mesh is sampled, P = ``count``; vertices of no face do not count. Of a cloud, whose inside is not known, as many
    are drawn without replacement, or all of them where it has no more.
    """
    stream = [seed, PREDICTED_STREAM]
    if isinstance(surface, np.ndarray):
        cloud = normalising(surface).apply(surface)
        points = cloud[np.random.default_rng(stream).permutation(len(cloud))[:count]]
        return points, points, cloud
    vertices, faces = surface
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    extent = vertices[used]
    motion = normalising(extent)
    mesh = motion.apply(vertices), faces, count, stream
    return sample_outer_surface(*mesh), sample_surface(*mesh), motion.apply(extent)


def align_and_measure(
    predicted: np.ndarray, true: np.ndarray, extent: np.ndarray
) -> dict[str, tuple[Motion, Distances]]:
    """The motion and the distances under each of ``ALIGNMENTS``, between points of a normalised prediction (P, 3) and
    of the truth (P', 3).

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
    return dict(zip(ALIGNMENTS, (none, rigid, search, search_icp, axes), strict=True))

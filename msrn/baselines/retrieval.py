"""Baselines that answer with a training object: one at random, or the one whose image looks most alike (Eqs 28-31).

Evaluation only: they read the true shapes of training objects.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msrn.errors import MsrnError
from msrn.evaluation.protocol import Mesh

SIMILARITIES_AT_ONCE = 16_000_000  # cosines in memory at a time


def random_object(collection: Any, indices: Sequence[int], training: Any, seed: int) -> np.ndarray:
    """(M,) ids: for each of the images ``indices``, a random training object of the same category."""
    indices = _check_sets(collection, indices, training)
    generator = np.random.default_rng(seed)
    ids, first = np.unique(training.object_id, return_index=True)
    by_category = {term: ids[training.category[first] == term] for term in np.unique(collection.category[indices])}
    _check_filled(by_category, collection)
    return np.array([generator.choice(by_category[term]) for term in collection.category[indices]])


def nearest_object(
    collection: Any,
    indices: Sequence[int],
    training: Any,
    features: np.ndarray,
    training_features: np.ndarray,
    known_category: bool = True,
) -> np.ndarray:
    """(M,) ids: for each of the images ``indices``, the object in the training image of the largest cosine.

    ``features`` and ``training_features`` hold a row of length 1 for every image (N, D) of either collection. With
    ``known_category`` only training images of the image's category count, else all do.
    """
    indices = _check_sets(collection, indices, training)
    features = _check_features(features, len(collection.object_id), "features")
    training_features = _check_features(training_features, len(training.object_id), "training features")
    if features.shape[1] != training_features.shape[1]:
        sizes = f"{features.shape[1]} and {training_features.shape[1]}"
        raise MsrnError(f"retrieval: features of sizes {sizes}: expected those of one network for both collections")
    category = collection.category[indices] if known_category else np.zeros(len(indices), int)
    training_category = training.category if known_category else np.zeros(len(training.object_id), int)
    pools = {term: np.flatnonzero(training_category == term) for term in np.unique(category)}
    _check_filled(pools, collection)
    nearest = np.empty(len(indices), int)
    for term, pool in pools.items():
        asked = np.flatnonzero(category == term)
        nearest[asked] = pool[_nearest_rows(features[indices[asked]], training_features[pool])]
    return np.asarray(training.object_id)[nearest]


class TrueMeshes(Sequence):
    """The true meshes of training objects, each read when it is asked for: thousands of them fit into no memory."""

    def __init__(self, training: Any, ids: Sequence[str]) -> None:
        self.training, self.ids = training, ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: int) -> Mesh:
        truth = self.training.ground_truth(self.ids[place])
        return truth.vertices, truth.faces


def meshes_of(training: Any, ids: Sequence[str]) -> Sequence[Mesh]:
    """The true meshes of the training objects ``ids``."""
    return TrueMeshes(training, ids)


def _nearest_rows(rows: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """(M,) for each of the unit ``rows`` (M, D), the index of the row of ``pool`` (N, D) of the largest cosine."""
    block = max(1, SIMILARITIES_AT_ONCE // len(pool))
    return np.concatenate([(rows[at : at + block] @ pool.T).argmax(1) for at in range(0, len(rows), block)])


def _check_sets(collection: Any, indices: Sequence[int], training: Any) -> np.ndarray:
    """``indices`` as an array; the two collections must name the same categories and share no object."""
    indices = np.asarray(indices, int).reshape(-1)
    if tuple(collection.categories) != tuple(training.categories):
        raise MsrnError(
            f"baseline: categories {', '.join(collection.categories)} against {', '.join(training.categories)} in "
            "training: expected two splits of one data set"
        )
    shared = np.intersect1d(np.asarray(collection.object_id)[indices], training.object_id)
    if len(shared):
        raise MsrnError(f"baseline: {len(shared)} evaluated objects are in training, such as {shared[0]}: expected 0")
    return indices


def _check_features(features: np.ndarray, images: int, name: str) -> np.ndarray:
    features = np.asarray(features)
    if features.ndim != 2 or len(features) != images or not np.isfinite(features).all():
        raise MsrnError(f"retrieval: {name} {features.shape}: expected a finite row for each of {images} images")
    if np.abs(np.linalg.norm(features, axis=1) - 1).max() > 1e-3:
        raise MsrnError(f"retrieval: {name} have rows of another length than 1: divide each by its norm")
    return features


def _check_filled(pools: dict[int, np.ndarray], collection: Any) -> None:
    for term, pool in pools.items():
        if not len(pool):
            name = collection.categories[term]
            raise MsrnError(f"baseline: 0 training objects of category {name}: expected 1 or more")

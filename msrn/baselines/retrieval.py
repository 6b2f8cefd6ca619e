"""Baselines that answer with the training object whose image looks most alike (Eqs 28-31), in its category or any."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msrn.baselines.baseline import Baseline, Given
from msrn.baselines.random_object import check_pools, check_sets, meshes_of
from msrn.errors import MsrnError
from msrn.evaluation.protocol import Mesh

SIMILARITIES_AT_ONCE = 16_000_000  # cosines in memory at a time


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
    indices = check_sets(collection, indices, training)
    features = _check_features(features, len(collection.object_id), "features")
    training_features = _check_features(training_features, len(training.object_id), "training features")
    if features.shape[1] != training_features.shape[1]:
        sizes = f"{features.shape[1]} and {training_features.shape[1]}"
        raise MsrnError(f"retrieval: features of sizes {sizes}: expected those of one network for both collections")
    category = collection.category[indices] if known_category else np.zeros(len(indices), int)
    training_category = training.category if known_category else np.zeros(len(training.object_id), int)
    pools = {term: np.flatnonzero(training_category == term) for term in np.unique(category)}
    check_pools(pools, collection)
    nearest = np.empty(len(indices), int)
    for term, pool in pools.items():
        rows = np.flatnonzero(category == term)
        nearest[rows] = pool[_nearest_rows(features[indices[rows]], training_features[pool])]
    return np.asarray(training.object_id)[nearest]


def _nearest_rows(rows: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """(M,) for each of the unit ``rows`` (M, D), the index of the row of ``pool`` (N, D) of the largest cosine."""
    block = max(1, SIMILARITIES_AT_ONCE // len(pool))
    return np.concatenate([(rows[at : at + block] @ pool.T).argmax(1) for at in range(0, len(rows), block)])


def _check_features(features: np.ndarray, images: int, name: str) -> np.ndarray:
    features = np.asarray(features)
    if features.ndim != 2 or len(features) != images or not np.isfinite(features).all():
        raise MsrnError(f"retrieval: {name} {features.shape}: expected a finite row for each of {images} images")
    if np.abs(np.linalg.norm(features, axis=1) - 1).max() > 1e-3:
        raise MsrnError(f"retrieval: {name} have rows of another length than 1: divide each by its norm")
    return features


def _baseline(name: str, known_category: bool) -> Baseline:
    def meshes(inputs: Given) -> Sequence[Mesh]:
        features = inputs.features(inputs.test), inputs.features(inputs.train)
        ids = nearest_object(inputs.test, inputs.index, inputs.train, *features, known_category)
        return meshes_of(inputs.train, ids)

    return Baseline(name, __name__, meshes, Given.features_depend)


CATEGORY_KNOWN, ANY_CATEGORY = _baseline("retrieval, category known", True), _baseline("retrieval", False)

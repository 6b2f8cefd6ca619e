"""Clusters of images in place of their categories, for a yardstick: how much of the method the labels carry.

The paper's second limitation (§5): "M-SRN still requires category labels for images". Here k-means on the features of
Eqs 28-30 groups the training images instead. No label is read, nor which images show one object: views of one may fall
into several clusters, as they may where nobody sorted the images.
"""

from dataclasses import replace

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from msrn.data.collection import ImageCollection

MOST = 10_000
"""Images that k-means sees at most, drawn by the seed; the others join the cluster whose centre is nearest."""

BLOCK = 4096
"""Images that join at once."""


def in_clusters(collection: ImageCollection, features: np.ndarray, seed: int = 0) -> ImageCollection:
    """The images with as many clusters in place of their categories. The content and its fingerprint stay; a run knows
    by its settings what its categories are."""
    count = len(collection.categories)
    names = tuple(f"cluster {number + 1}" for number in range(count))
    return replace(collection, category=find_clusters(features, count, seed), categories=names)


def find_clusters(features: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """The cluster, in 0..count-1, of each image by its unit features: (N,D) -> (N,) int64.

    One thread: the same sums in the same order on every machine.
    """
    some = np.sort(np.random.default_rng(seed).permutation(len(features))[:MOST])
    with threadpool_limits(1):
        means = KMeans(count, n_init=10, random_state=seed).fit(features[some])
        parts = [means.predict(features[start : start + BLOCK]) for start in range(0, len(features), BLOCK)]
    return np.concatenate(parts).astype(np.int64)

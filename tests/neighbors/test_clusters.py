"""Clusters in place of categories, against loops; no label decides them."""

from dataclasses import replace

import numpy as np
import pytest
from toy import toy_collection

from msrn.neighbors import clusters


def blobs(count: int, groups: int, size: int, spread: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows around ``groups`` random directions, and the group of each."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, count)
    rows = rng.normal(size=(groups, size))[group] + spread * rng.normal(size=(count, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), group


@pytest.mark.parametrize(("most", "block"), [(10_000, 4096), (60, 7)])
@pytest.mark.parametrize("seed", range(3))
def test_groups_that_lie_apart_are_found(monkeypatch, seed, most, block):
    """Also where k-means sees a part of the images and the others join block by block."""
    monkeypatch.setattr(clusters, "MOST", most)
    monkeypatch.setattr(clusters, "BLOCK", block)
    features, group = blobs(200, 4, 16, 0.05, seed)
    found = clusters.find_clusters(features, 4, seed)
    assert found.dtype == np.int64 and len(set(zip(group.tolist(), found.tolist(), strict=True))) == 4


@pytest.mark.parametrize("seed", range(3))
def test_every_image_lies_in_the_cluster_whose_mean_is_nearest(seed):
    features, _ = blobs(150, 5, 6, 1.0, seed)
    found = clusters.find_clusters(features, 5, seed)
    means = [np.mean([row for row, k in zip(features, found, strict=True) if k == one], 0) for one in range(5)]
    for row, mine in zip(features, found, strict=True):
        assert mine == min(range(5), key=lambda k: np.square(row - means[k]).sum())
    assert np.array_equal(found, clusters.find_clusters(features, 5, seed))


def test_images_keep_all_but_their_categories():
    images = toy_collection()
    features, _ = blobs(len(images), 3, 8, 0.3, 0)
    made = clusters.in_clusters(images, features, 1)
    assert made.categories == ("cluster 1", "cluster 2", "cluster 3") and set(made.category) == {0, 1, 2}
    assert made.images is images.images and made.fingerprint == images.fingerprint
    other = replace(images, category=images.category[::-1].copy(), object_id=images.object_id[::-1].copy())
    assert np.array_equal(clusters.in_clusters(other, features, 1).category, made.category)  # reads neither

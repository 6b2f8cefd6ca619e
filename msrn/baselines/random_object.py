"""Baseline that answers with a random training object of the image's category, which it is told."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from msrn.baselines.baseline import Baseline
from msrn.errors import MsrnError
from msrn.evaluation.protocol import Mesh

SEED = 0


def random_object(collection: Any, indices: Sequence[int], training: Any, seed: int) -> np.ndarray:
    """(M,) ids: for each of the images ``indices``, a random training object of the same category."""
    indices = check_sets(collection, indices, training)
    generator = np.random.default_rng(seed)
    ids, first = np.unique(training.object_id, return_index=True)
    by_category = {term: ids[training.category[first] == term] for term in np.unique(collection.category[indices])}
    check_pools(by_category, collection)
    return np.array([generator.choice(by_category[term]) for term in collection.category[indices]])


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


def check_sets(collection: Any, indices: Sequence[int], training: Any) -> np.ndarray:
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


def check_pools(pools: dict[int, np.ndarray], collection: Any) -> None:
    for term, pool in pools.items():
        if not len(pool):
            name = collection.categories[term]
            raise MsrnError(f"baseline: 0 training objects of category {name}: expected 1 or more")


BASELINE = Baseline(
    "random object, category known",
    __name__,
    lambda inputs: meshes_of(inputs.train, random_object(inputs.test, inputs.index, inputs.train, SEED)),
    lambda inputs: [inputs.train.fingerprint],
)

"""Baselines that look a shape up: the ellipsoid that training starts from, a random object, the most similar object."""

import numpy as np
from sklearn.metrics import pairwise_distances_argmin

from msrn.baselines.baseline import Given
from msrn.evaluation.protocol import Mesh, Surfaces
from msrn.render.icosphere import icosphere


def ellipsoid(inputs: Given) -> list[Mesh]:
    """The ellipsoid X of Eq. 6, the same for every image."""
    vertices, faces = icosphere(inputs.settings.mesh_level)
    return [(vertices.numpy() * np.asarray(inputs.settings.ellipsoid), faces.numpy())] * len(inputs.index)


def random_object(inputs: Given) -> Surfaces:
    """A random training object of the image's category, which the row is told."""
    generator, objects = np.random.default_rng(0), inputs.training_objects()
    return _true_meshes(inputs, [generator.choice(objects[term]) for term in inputs.category])


def similar_object(inputs: Given) -> Surfaces:
    """The object in the most similar training image (Eqs 28-31)."""
    return _retrieved(inputs, np.zeros(len(inputs.index), int), np.zeros(len(inputs.train), int))


def similar_object_of_category(inputs: Given) -> Surfaces:
    """The same among training images of the image's category, which the row is told."""
    inputs.training_objects()  # none of a category is refused
    return _retrieved(inputs, inputs.category, inputs.train.category)


def _retrieved(inputs: Given, category: np.ndarray, training_category: np.ndarray) -> Surfaces:
    """Of unit rows the nearest is the one of the largest cosine."""
    features, training_features = inputs.features(inputs.test)[inputs.index], inputs.features(inputs.train)
    nearest = np.empty(len(category), int)
    for term in np.unique(category):
        rows, pool = np.flatnonzero(category == term), np.flatnonzero(training_category == term)
        nearest[rows] = pool[pairwise_distances_argmin(features[rows], training_features[pool])]
    return _true_meshes(inputs, inputs.train.object_id[nearest])


def _true_meshes(inputs: Given, ids: np.ndarray | list[str]) -> Surfaces:
    """The true meshes of training objects."""

    def read(name: str) -> Mesh:
        truth = inputs.train.ground_truth(name)
        return truth.vertices, truth.faces

    return Surfaces(read, ids)

"""Rows that stand beside the models in a table, measured by the same protocol (``msrn.evaluate``).

Each gives one mesh (vertices (V, 3), faces (F, 3)) for every evaluated image, in the truth's frame. The two that copy a
training object read its true shape, which no model ever sees: they tell how far apart the objects of a data set are.
"""

from msrn.baselines.ellipsoid import ellipsoid
from msrn.baselines.retrieval import meshes_of, nearest_object, random_object

__all__ = ["ellipsoid", "meshes_of", "nearest_object", "random_object"]

"""Rows that stand beside the models in a table, measured by the same protocol (``msrn.evaluate``).

Each gives one mesh (vertices (V, 3), faces (F, 3)) for every evaluated image, in the truth's frame. All but the
ellipsoid read true shapes of training objects, which no model ever sees: they tell how far apart the objects of a data
set are, and what a reconstruction must beat to be one.
"""

from msrn.baselines.ellipsoid import ellipsoid
from msrn.baselines.mean_shape import mean_shape
from msrn.baselines.retrieval import meshes_of, nearest_object, random_object

__all__ = ["ellipsoid", "mean_shape", "meshes_of", "nearest_object", "random_object"]

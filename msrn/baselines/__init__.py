"""Rows that stand beside the models in a table, measured by the same protocol (``msrn.evaluation.protocol``).

Each gives one mesh (vertices (V, 3), faces (F, 3)) for every evaluated image, in the truth's frame. The mean shape,
random objects and retrieval read true shapes of training objects, which no model ever sees: they tell how far apart the
objects of a data set are, and what a reconstruction must beat to be one. Meshes fitted to the object's own masks tell
how much of its shape masks give away.
"""

from msrn.baselines.ellipsoid import ellipsoid
from msrn.baselines.mean_shape import mean_shape
from msrn.baselines.retrieval import meshes_of, nearest_object, random_object
from msrn.baselines.silhouettes import fitted

__all__ = ["ellipsoid", "fitted", "mean_shape", "meshes_of", "nearest_object", "random_object"]

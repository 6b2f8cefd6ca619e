"""Rows that train nothing, a file each, so that nobody takes the others for more than they are. Evaluation only."""

from msrn.baselines import ellipsoid, mean_shape, random_object, retrieval, silhouettes
from msrn.baselines.baseline import Baseline, Given

__all__ = ["BASELINES", "Baseline", "Given"]

# in the order of the tables
BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        ellipsoid.BASELINE,
        mean_shape.BASELINE,
        random_object.BASELINE,
        retrieval.CATEGORY_KNOWN,
        retrieval.ANY_CATEGORY,
        silhouettes.BASELINE,
    )
}

"""How sure the network may be of a reconstruction, and what speaks against it: said, and never hidden.

Four signs, none of which needs the truth:

    fit           IoU of the mesh's mask at the found pose with the photograph's
    agreement     length of the mean direction of the azimuths that slightly changed photographs give, 0 to 1
    stability     1 - the mean distance of the vertices that they give, where the longest edge of an object is 1
    familiarity   cosine of its features (EfficientNet-Lite2's) to the nearest centre of the training images'

*Confidence* is a logistic regression on them, the probability that the mesh is nearer to the true shape than the mean
shape of its category is. It is fitted on photographs of val whose true shapes are known (``scripts/pack_network.py``);
a network without such photographs has signs and no confidence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

SIGNS = ("fit", "agreement", "stability", "familiarity")
CENTRES = 64  # of a category, at most
STRANGE = 0.05  # share of known photographs that are taken for strange
DOUBTFUL = 0.5  # confidence below which a line says so
LEAST_FIT = 0.5  # mask IoU below which the mesh does not fit its photograph
LEAST_AREA = 0.002  # of the photograph: a smaller mask is no object that can be seen
SECOND = 0.3  # area of a second part of the mask, beside the largest, that may be another object
CUT = 0.1  # share of the mask's own side that lies on the photograph's border


@dataclass(frozen=True)
class Calibration:
    """What was learned from photographs whose true shapes are known; without ``weights`` there were none."""

    strange: float  # familiarity below which a photograph is strange
    weights: Sequence[float] = ()  # of ``SIGNS``, each after its mean was taken away and divided by its deviation
    bias: float = 0.0
    means: Sequence[float] = ()
    deviations: Sequence[float] = ()

    def confidence(self, signs: np.ndarray) -> np.ndarray | None:
        """Probabilities (N,) for signs (N, 4), or None where nothing is calibrated."""
        if not len(self.weights):
            return None
        scaled = (signs - np.array(self.means)) / np.array(self.deviations)
        return 1 / (1 + np.exp(-(scaled @ np.array(self.weights) + self.bias)))


def fitted(signs: np.ndarray, good: np.ndarray, strange: float) -> Calibration:
    """The calibration by photographs with ``signs`` (N, 4) of which the reconstruction is ``good`` (N,) bool."""
    from sklearn.linear_model import LogisticRegression

    means, deviations = signs.mean(0), signs.std(0) + 1e-6
    model = LogisticRegression().fit((signs - means) / deviations, good)
    return Calibration(
        strange, model.coef_[0].tolist(), float(model.intercept_[0]), means.tolist(), deviations.tolist()
    )


def centres_of(features: np.ndarray, category: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (C, Q) of unit length of features (N, Q), at most ``CENTRES`` a category, and the category
    (C,) of each."""
    found, terms = [], []
    for term in np.unique(category):
        rows = features[category == term]
        count = min(CENTRES, len(np.unique(rows, axis=0)))
        with threadpool_limits(1):
            centres = KMeans(count, n_init=4, random_state=0).fit(rows).cluster_centers_
        found.append(centres / np.linalg.norm(centres, axis=1, keepdims=True))
        terms += [term] * count
    return np.concatenate(found).astype(np.float32), np.array(terms, np.int64)


def familiarity(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Cosine (N,) of features (N, Q) to the nearest of the centres (C, Q)."""
    return (features @ centres.T).max(1)


def resultant(azimuths: np.ndarray) -> np.ndarray:
    """Length of the mean direction (N,) of azimuths (N, A) in degrees: 1 where all agree."""
    return np.abs(np.exp(1j * np.deg2rad(azimuths)).mean(1))


def doubts_of_mask(mask: np.ndarray, inside: tuple[slice, slice]) -> list[str]:
    """What speaks against a mask (S, S) bool of a photograph that fills the rows and columns ``inside``."""
    seen = mask[inside]
    if seen.sum() < LEAST_AREA * seen.size:
        return ["no object was found: the mesh means nothing"]
    if seen.all():
        return ["the mask covers the whole photograph"]
    found = []
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    sides = {"left": seen[:, 0], "right": seen[:, -1], "top": seen[0], "bottom": seen[-1]}
    side = min(len(rows), len(columns))
    if at := [name for name, edge in sides.items() if edge.sum() > max(2, CUT * side)]:
        found.append(f"the object is cut off at the {' and '.join(at)}")
    parts, count = ndimage.label(seen, np.ones((3, 3)))
    areas = np.sort(np.bincount(parts.ravel())[1:])[::-1]
    large = int((areas >= SECOND * areas[0]).sum())
    if count > 1 and large > 1:
        found.append(f"there may be {large} objects: the mask has as many large parts, and all are taken for one")
    return found


def doubts_of_result(signs: Mapping[str, float], confidence: float | None, calibration: Calibration) -> list[str]:
    """What speaks against a reconstruction with these signs."""
    found = []
    if signs["familiarity"] < calibration.strange:
        found.append("the network does not know this kind of object or picture")
    if signs["fit"] < LEAST_FIT:
        found.append(f"the mesh does not fit the photograph (mask IoU {signs['fit']:.2f})")
    if confidence is not None and confidence < DOUBTFUL:
        found.append(f"the mean shape of its category is probably nearer to the truth (confidence {confidence:.2f})")
    return found

"""What a baseline is given, and what it gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from msrn.data.collection import ImageCollection
from msrn.errors import MsrnError
from msrn.evaluation.protocol import Mesh
from msrn.neighbors.features import extract_features, features_identity
from msrn.settings import Settings


@dataclass(frozen=True)
class Given:
    """The images of a table as its whole network sees them."""

    test: ImageCollection
    train: ImageCollection
    settings: Settings
    weights: Mapping[str, str] = field(default_factory=dict)  # files of networks that no package carries
    device: str = "cpu"
    progress: bool = False

    @property
    def index(self) -> np.ndarray:
        """The images to answer, (M,)."""
        return self.test.evaluation_index

    @property
    def names(self) -> np.ndarray:
        """Their objects, (M,)."""
        return self.test.object_id[self.index]

    @property
    def category(self) -> np.ndarray:
        """Their categories, (M,)."""
        return self.test.category[self.index]

    def training_objects(self) -> dict[int, np.ndarray]:
        """Names of the training objects of each category of the images to answer."""
        ids, first = np.unique(self.train.object_id, return_index=True)
        objects = {term: ids[self.train.category[first] == term] for term in np.unique(self.category)}
        for term, names in objects.items():
            if not len(names):
                name = self.test.categories[term]
                raise MsrnError(f"baseline: 0 training objects of category {name}: expected 1 or more")
        return objects

    def features(self, collection: ImageCollection) -> np.ndarray:
        """Eqs 28-30, (N, D) unit rows."""
        name, weights = self.settings.features, self.weights.get("clip")
        return extract_features(collection, name, weights, self.progress, self.device)

    def features_depend(self) -> list[Any]:
        return [self.train.fingerprint, *features_identity(self.settings.features, self.weights.get("clip"))]


class Baseline(NamedTuple):
    """A row that trains nothing."""

    meshes: Callable[[Given], Sequence[Mesh]]  # one for each of ``Given.index``
    depends: Callable[[Given], list[Any]]  # all that they depend on besides the test split and the code

"""What a baseline is given, and what it gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from msrn.data.collection import ImageCollection
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
    quick: bool = False  # at profile smoke, of whose minute fitting meshes to masks would take half

    @property
    def index(self) -> np.ndarray:
        """The images to answer, (M,)."""
        return self.test.evaluation_index

    def features(self, collection: ImageCollection) -> np.ndarray:
        """Eqs 28-30, (N, D) unit rows."""
        name, weights = self.settings.features, self.weights.get("clip")
        return extract_features(collection, name, weights, self.progress, self.device)

    def features_depend(self) -> list[Any]:
        return [self.train.fingerprint, *features_identity(self.settings.features, self.weights.get("clip"))]


@dataclass(frozen=True)
class Baseline:
    """A row that trains nothing."""

    name: str
    module: str  # whose code makes the meshes
    meshes: Callable[[Given], Sequence[Mesh]]  # one for each of ``Given.index``
    depends: Callable[[Given], list[Any]]  # all that they depend on besides the test split and the code
    settings: tuple[str, ...] = ()  # settings that they depend on
    needs_cameras: bool = False  # whether every camera of the data set must be known, and minutes be there

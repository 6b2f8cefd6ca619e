"""The one structure that flows through the house (§4.1): many images, of many objects, of several categories.

Training sees images, masks, category labels and which images show one object, as the paper's does. Poses, shapes and,
where training must find them, true masks are there too, because evaluation needs them, behind three methods that
nothing on the training path may call.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from msrn.errors import MsrnError, did_you_mean

if TYPE_CHECKING:  # what samples true shapes decides no training
    from msrn.data.ground_truth import GroundTruth


class Truth(Protocol):
    """What a reader knows and training must not: where shapes and poses come from."""

    def mesh(self, object_id: str) -> "GroundTruth": ...

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class ImageCollection:
    """N images of one split of a data set; arrays of any size, since they are memory-mapped."""

    name: str
    split: str
    images: np.ndarray  # (N, 3, H, W) uint8, on white; raw photographs where there are no masks
    masks: np.ndarray | None  # (N, H, W) bool
    category: np.ndarray  # (N,) int64, into ``categories``
    object_id: np.ndarray  # (N,) str
    view: np.ndarray  # (N,) int64; names an image among those of its object
    categories: tuple[str, ...]
    fingerprint: str  # digest of the content, the same wherever it lies
    evaluation_index: np.ndarray  # (M,) int64: one fixed image per object, its citable test view
    _truth: Truth = field(repr=False)
    masks_from: str = "of the data set"  # where the masks come from, in words
    origin: str = ""  # the fingerprint before the foreground module segmented the images; empty when it did not
    _true_masks: np.ndarray | None = field(default=None, repr=False)  # (N, H, W) bool, where ``masks`` are not true

    def __post_init__(self) -> None:
        masks = (self.masks, self._true_masks)
        for array in (self.images, *masks, self.category, self.object_id, self.view, self.evaluation_index):
            if array is not None:
                array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.images)

    def ground_truth(self, object_id: str) -> "GroundTruth":
        """The true shape of an object of this split. Evaluation only."""
        if object_id not in self.object_id[self.evaluation_index]:
            raise MsrnError(
                f"object {object_id!r} is not in {self.name}/{self.split}"
                f"{did_you_mean(object_id, self.object_id[self.evaluation_index])}; "
                "object_id of the collection lists those that are"
            )
        return self._truth.mesh(object_id)

    def true_pose(self) -> np.ndarray:
        """The camera of each image, (N, 3) float32: azimuth, elevation and roll in degrees. Evaluation only."""
        return self._truth.poses(self.object_id, self.view)

    @property
    def has_true_masks(self) -> bool:
        """Whether masks of this collection can be evaluated."""
        return self.masks is not None or self._true_masks is not None

    def true_masks(self) -> np.ndarray:
        """The pixels that truly show the object, (N, H, W) bool. Evaluation only."""
        masks = self.masks if self._true_masks is None else self._true_masks
        if not self.has_true_masks:
            raise MsrnError(f"data set {self.name!r} has no true masks: masks of it cannot be evaluated")
        return masks

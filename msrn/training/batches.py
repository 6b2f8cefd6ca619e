"""What training reads, step by step (§4.3): images, masks, categories and candidate neighbours; never a pose or a mesh.

The inputs of a step are a function of (seed, step) alone. They stay uint8 until they are on the device. Next to a GPU a
thread reads ahead into page-locked memory, so that the GPU never waits for a disk or a copy. Memory does not grow with
N: a step reads B (k_cos + 1) images from the memory map.
"""

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from msrn.backbone import as_floats, spatial_features
from msrn.data.collection import ImageCollection
from msrn.errors import MsrnError
from msrn.neighbors.selection import MEMORY
from msrn.settings import Settings

GROUPS = 4  # of a batch, each of one category, where batches are of groups
AHEAD = 3  # steps read in advance next to a GPU


@dataclass
class Batch:
    """Images (B, 3, H, W) in 0..1, masks (B, H, W) of 0 and 1, categories (B,), and what the encoders see of them."""

    image: Tensor
    mask: Tensor
    category: Tensor
    seen: Tensor


class TrainingImages:
    """A collection with masks and, for the neighbour term, its candidates (N, k_cos)."""

    def __init__(
        self,
        collection: ImageCollection,
        candidates: np.ndarray | None,
        s: Settings,
        device: str,
        azimuth: np.ndarray | None = None,
    ):
        if collection.masks is None:
            raise MsrnError(f"data set {collection.name!r} has no masks: training needs them; make masks first")
        if s.batch_size > len(collection.category):
            raise MsrnError(
                f"setting batch_size = {s.batch_size}: the {collection.split} split of {collection.name!r} has only "
                f"{len(collection.category)} images; choose a smaller batch"
            )
        images = np.bincount(collection.category, minlength=len(collection.categories))
        for name, number in zip(collection.categories, images.tolist(), strict=True):
            if number < s.prototypes:
                raise MsrnError(
                    f"category {name!r} has {number} training images, fewer than the setting prototypes = "
                    f"{s.prototypes} needs: lower it to at most {number}, add images or leave the category out"
                )
            if s.batches == "groups" and number * GROUPS < s.batch_size:
                raise MsrnError(
                    f"category {name!r} has {number} training images, fewer than a quarter of the setting batch_size = "
                    f"{s.batch_size}: lower it to at most {number * GROUPS}, or choose batches 'mixed'"
                )
        self.images, self.masks, self.category = collection.images, collection.masks, collection.category
        self.features = spatial_features(collection) if s.encoder == "imagenet" else None
        self.candidates, self.device, self.settings, self.azimuth = candidates, device, s, azimuth
        self.owner = np.unique(collection.object_id, return_inverse=True)[1]  # the object of each image
        self.count, self.categories = len(collection.category), len(collection.categories)
        self.batch_size = s.batch_size
        self._epochs: dict[tuple[int, int], np.ndarray] = {}
        if not self.steps_per_epoch:
            raise MsrnError(
                f"setting batches = 'groups': {self.count} training images fill no batch of {GROUPS} groups of one "
                "category; choose a smaller batch_size, or batches 'mixed'"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the collection; the images left over sit out this epoch."""
        return sum(len(rows) // self._together for rows in self._sources) // (self.batch_size // self._together)

    def indices(self, seed: int, step: int) -> np.ndarray:
        """Row numbers (B,) of the batch at ``step``: each epoch walks through batches of its own, drawn at random."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return self._epoch(seed, epoch)[position]

    @property
    def _together(self) -> int:
        """Images that a batch takes from one source at a time."""
        return self.batch_size // GROUPS if self.settings.batches == "groups" else self.batch_size

    @functools.cached_property
    def _sources(self) -> list[np.ndarray]:
        """Rows among which the images of a batch, or of a group, are drawn."""
        if self.settings.batches == "mixed":
            return [np.arange(self.count)]
        return [np.flatnonzero(self.category == term) for term in range(self.categories)]

    def _epoch(self, seed: int, epoch: int) -> np.ndarray:
        """The batches of an epoch, (steps_per_epoch, B); the last two are kept, since reading ahead crosses over."""
        if (seed, epoch) not in self._epochs:
            generator, together = np.random.default_rng((seed, epoch)), self._together
            shuffled = [generator.permutation(rows) for rows in self._sources]
            groups = [rows[: len(rows) // together * together] for rows in shuffled]
            groups = np.concatenate(groups).reshape(-1, together)
            if len(self._sources) > 1:
                groups = generator.permutation(groups)
            self._epochs = dict([*self._epochs.items()][-1:])
            whole = self.steps_per_epoch * self.batch_size
            self._epochs[seed, epoch] = groups.reshape(-1)[:whole].reshape(-1, self.batch_size)
        return self._epochs[seed, epoch]

    def inputs(self, seed: int, step: int) -> dict[str, Tensor]:
        """What ``step`` reads, as tensors on the CPU: ``rows``, ``image``, ``mask``, ``category`` of the batch and, for
        a step that draws neighbours, the candidates' ``candidate_rows``, ``candidate_image``, ``candidate_mask`` and a
        number in 0..1 for each, ``draw`` (B, k), by which neighbours are drawn. Where they come from a memory, these
        are its ``recent`` rows (M,), which of them show ``another`` object (B, M), and ``draw`` (B, 1)."""
        rows = self.indices(seed, step)
        tensors = {
            "rows": torch.from_numpy(rows),
            "category": torch.from_numpy(np.asarray(self.category[rows], np.int64)),
            **self.read(rows),
        }
        if self.azimuth is not None:
            tensors["azimuth"] = torch.from_numpy(np.asarray(self.azimuth[rows], np.float32))
        if not has_neighbors(step, self.settings):
            return tensors
        if has_candidates(self.settings):
            candidates = np.asarray(self.candidates[rows])
            tensors["candidate_rows"] = torch.from_numpy(candidates)
            tensors |= {f"candidate_{name}": values for name, values in self.read(candidates).items()}
        else:
            recent = self.recent(seed, step)
            tensors["recent"] = torch.from_numpy(recent)
            tensors["another"] = torch.from_numpy(self.owner[rows, None] != self.owner[recent])
        size = candidates.shape if has_candidates(self.settings) else (len(rows), 1)
        draw = np.random.default_rng((seed, step)).random(size, np.float32)
        return tensors | {"draw": torch.from_numpy(draw)}

    def read(self, rows: np.ndarray) -> dict[str, Tensor]:
        """What is stored of the images ``rows`` (...), as tensors on the CPU: ``image`` (..., 3, h, w), ``mask`` and,
        where the encoders see them, ``features``."""
        arrays = {"image": self.images, "mask": self.masks, "features": self.features}
        return {name: torch.from_numpy(np.asarray(of[rows])) for name, of in arrays.items() if of is not None}

    def recent(self, seed: int, step: int) -> np.ndarray:
        """What a first-in, first-out memory of ``MEMORY`` images holds before ``step``: the rows (M,), each once, of
        the last that were in a batch since the stage switch."""
        first = max(self.settings.stage_switch, step - -(-MEMORY // self.batch_size))
        return np.unique(np.concatenate([self.indices(seed, at) for at in range(first, step)])[-MEMORY:])

    def stream(self, seed: int, step: int) -> Iterator[dict[str, Tensor]]:
        """The inputs of ``step`` and of all that follow, on the device."""
        if self.device == "cpu":
            while True:
                yield self.inputs(seed, step)
                step += 1
        with ThreadPoolExecutor(1) as reader:
            waiting = [reader.submit(self._pinned, seed, step + ahead) for ahead in range(AHEAD)]
            while True:
                tensors = waiting.pop(0).result()
                waiting.append(reader.submit(self._pinned, seed, step + AHEAD))
                yield {name: value.to(self.device, non_blocking=True) for name, value in tensors.items()}
                step += 1

    def _pinned(self, seed: int, step: int) -> dict[str, Tensor]:
        return {name: value.pin_memory() for name, value in self.inputs(seed, step).items()}


def is_pose_step(step: int, s: Settings) -> bool:
    """Whether this is a pose step; the others are shape steps. Cameras of a multiplex first find the template."""
    return step % s.pose_every == 0 or (s.azimuths == "multiplex" and step < s.stage_switch)


def has_neighbors(step: int, s: Settings) -> bool:
    """Whether a step draws neighbours: for the neighbour term, or to judge poses on their shapes."""
    right_kind = s.pose_shape == "neighbor" or not is_pose_step(step, s)
    first = s.stage_switch if has_candidates(s) else s.stage_switch + 1  # when the memory holds a batch
    return s.neighbor_consistency and step >= first and right_kind


def has_candidates(s: Settings) -> bool:
    """Whether neighbours come from candidates that were found before training, and not from a memory."""
    return s.neighbor_consistency and s.neighbor_filter != "views"


def prepare(image: Tensor, mask: Tensor, category: Tensor, size: int, features: Tensor | None = None) -> Batch:
    """Stored images (B, 3, h, w) uint8 and masks (B, h, w) bool averaged to ``size``; the encoders see the images, or
    their spatial features (B, Q, h', w') where these are stored."""
    covered = _shrink(mask[:, None].float(), size)[:, 0]
    image = _shrink(image.float(), size) / 255
    return Batch(image, (covered > 0.5).float(), category, image if features is None else as_floats(features))


def _shrink(values: Tensor, size: int) -> Tensor:
    """Average the areas under ``size`` x ``size`` pixels."""
    width = values.shape[-1]
    if width == size:
        return values
    if width % size == 0 and values.shape[-2] == width:
        side = width // size  # of an area; summing whole images is faster than pooling, which goes pixel by pixel
        return sum(values[..., i::side, j::side] for i in range(side) for j in range(side)) / side**2
    return functional.interpolate(values, (size, size), mode="area")

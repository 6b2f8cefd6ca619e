"""Foreground perception in its place: data -> foreground -> candidates -> training (the left part of Figure 1a).

A collection with masks passes through. A raw one gets off-the-shelf masks, the perceptron is fine-tuned on its training
split, and every split is segmented: each once and kept, and each goes on where it was interrupted. Memory does not grow
with N. A raw collection of N images costs N looks of U2-Net, most of the time on a machine without a GPU.
"""

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from msrn import paths
from msrn.data.collection import ImageCollection
from msrn.errors import MsrnError
from msrn.foreground import ccam
from msrn.foreground.encoders import encoder_identity
from msrn.foreground.finetune import RawImages, Tuning, tune
from msrn.foreground.perceptron import Perceptron
from msrn.foreground.refinement import cut_out
from msrn.foreground.saliency import Saliency
from msrn.foreground.segmenter import BATCH, Segmenter
from msrn.settings import FOREGROUND_SETTINGS, Settings
from msrn.store.array_cache import Make, cached_arrays
from msrn.store.checkpointing import load_state, opened, params_of, read_log
from msrn.store.digest import code_digest, digest_of
from msrn.store.results import device_name

SIZE = 64
"""Side of the images that come out, as of all data sets."""
OCCUPIED, EMPTY = 1, 2  # states of a segmented image: whether it has any foreground
LEARNED = ("refined", "ccam")  # masks for which something is trained
OF_REFINEMENT = {"refinement", "cue_threshold"}
OF_TUNING = FOREGROUND_SETTINGS - {"masks", *OF_REFINEMENT} | {"memory_slots", "memory_momentum", "memory_fill_first"}


@dataclass(frozen=True)
class Foreground(Segmenter):
    """What turns photographs of the data set of ``train`` into segmented images."""

    train: ImageCollection
    settings: Settings
    seed: int
    device: str = "cpu"
    progress: bool = True
    until: float | None = None  # of time.monotonic, past which fine-tuning stops with checkpointing.OutOfTime
    weights: Mapping[str, str] = field(default_factory=dict)  # a request's: files of ``saliency`` and ``cue``

    def __post_init__(self) -> None:
        s, train = self.settings, self.train
        if s.categories == "clusters" and s.masks == "refined" and train.masks is None:
            raise MsrnError(
                f"setting categories = 'clusters': categories teach the cues that refine the masks of {train.name}; "
                "set masks to off-the-shelf as well"
            )

    @functools.cached_property
    def saliency(self) -> Saliency:
        """The network behind M_o."""
        return Saliency(self.weights.get("saliency"))

    @property
    def name(self) -> str:
        """Where the masks come from, in words, as records have it."""
        if self.settings.masks == "true":
            return "true masks"
        if self.settings.masks == "ccam":
            return f"class-agnostic activation maps of {self.settings.cue_encoder}"
        cues = f", refined by {self.settings.cue_encoder} cues" if self.settings.masks == "refined" else ""
        return f"{self.saliency.name}{cues}"

    @property
    def perceptron(self) -> Perceptron | ccam.ActivationHead:
        """Fine-tuned on the training split, loaded, or resumed; a line on standard error says which."""
        return self._tuned[0]

    @functools.cached_property
    def _tuned(self) -> tuple[Perceptron | ccam.ActivationHead, str]:
        s, categories, weights = self.settings, self.train.categories, self.weights.get("cue")
        content = {
            "dataset": self.train.name,
            "split": self.train.split,
            "fingerprint": self.train.fingerprint,
            "code": self._code,
            "seed": self.seed,
            "device": device_name(self.device),
            "categories": list(categories),
            "settings": {**s.model_dump(mode="json"), "steps": s.cue_steps},
        }
        label = f"foreground cues, seed {self.seed}"
        with opened(self._folder, content, label, self.progress, self.until) as folder:
            if not folder.finished:
                images = RawImages(self.train, self.saliency, s, self.device)
                if s.masks == "ccam":
                    run, learn = ccam.Contrasting.start(s, self.seed, self.device, weights), ccam.contrast
                else:
                    run, learn = Tuning.start(s, len(categories), self.seed, self.device, weights), tune
                folder.begin(run)
                learn(run, images, folder)
        if self.progress and folder.finished:
            print(folder.how, file=sys.stderr, flush=True)
        with torch.random.fork_rng(devices=[]):  # its random start, soon replaced, is nobody else's business
            agnostic = s.masks == "ccam"
            network = ccam.ActivationHead(s, weights) if agnostic else Perceptron(s, len(categories), weights=weights)
        network.load_state_dict(load_state(self._folder)["network"])
        return network.to(self.device, memory_format=torch.channels_last).eval(), folder.how

    @property
    def how(self) -> str:
        """One line: whether the fine-tuning was loaded, resumed or made, and why."""
        return self._tuned[1]

    @property
    def log(self) -> list[dict]:
        """The log of the fine-tuning, a record every few steps."""
        records = read_log(self._folder)
        if not records:
            raise MsrnError(f"{self._folder}: its log.jsonl is gone; delete that folder and run again")
        return records

    @property
    def tuned_on(self) -> str:
        """The device of the fine-tuning."""
        return (params_of(self._folder) or {}).get("device", device_name(self.device))

    @property
    def _code(self) -> str:
        return code_digest("msrn.foreground.ccam" if self.settings.masks == "ccam" else "msrn.foreground.finetune")

    @property
    def _folder(self) -> Path:
        """Of the fine-tuning, in the run store."""
        settings = {name: value for name, value in self.settings.model_dump(mode="json").items() if name in OF_TUNING}
        identity = [settings, self.train.fingerprint, self._code, self.seed]
        identity += [self.saliency.identity]  # M_o has a say in the sign
        identity += encoder_identity(self.settings.cue_encoder, self.weights.get("cue"))
        return paths.runs_folder() / f"{self.train.name}-foreground-seed{self.seed}-{digest_of(identity)[:12]}"

    def apply(self, collection: ImageCollection) -> ImageCollection:
        """``collection`` segmented, or as it is when it has masks. Its images without any foreground stay, empty."""
        if collection.masks is not None:
            return collection
        key = self._key(collection)
        arrays = cached_arrays("foreground", key, lambda make: self._segment(collection, make), resume=True)
        empty = int((arrays["state"] == EMPTY).sum())
        if empty:
            print(
                f"warning: {collection.name}/{collection.split}: no foreground was found in {empty:,} of "
                f"{len(collection):,} images ({self.name}); they are left out of training",
                file=sys.stderr,
                flush=True,
            )
        return replace(
            collection,
            images=arrays["images"],
            masks=arrays["masks"],
            fingerprint=key,
            origin=collection.fingerprint,
            masks_from=self.name,
            _true_masks=arrays.get("true_masks"),
        )

    def _key(self, collection: ImageCollection) -> str:
        """Digest of all that the segmented images depend on."""
        kind = self.settings.masks
        parts = [collection.fingerprint, kind, SIZE, code_digest(__name__)]
        if kind not in ("true", "ccam"):
            parts += [self.saliency.identity]
        if kind in LEARNED:
            parts += [self._folder.name, *(getattr(self.settings, name) for name in sorted(OF_REFINEMENT))]
        return digest_of(*parts)

    def _segment(self, collection: ImageCollection, make: Make) -> None:
        """Segment block by block; one that was interrupted goes on. Categories are known in training alone; elsewhere
        the perceptron has to say."""
        if self.settings.masks not in ("true", "ccam"):
            self.saliency.complete(collection.images, self.progress)
        if self.settings.masks in LEARNED:
            _ = self.perceptron  # fine-tuned before the bar below
        count, shape = len(collection), (len(collection), SIZE, SIZE)
        arrays = {"images": make("images", (count, 3, SIZE, SIZE), "uint8"), "masks": make("masks", shape, "bool")}
        if collection.has_true_masks:
            arrays["true_masks"] = make("true_masks", shape, "bool")
        state = make("state", (count,), "uint8")  # of each image; an array begins as zeros
        starts = [start for start in range(0, count, BATCH) if not state[start : start + BATCH].all()]
        label = f"segmenting {collection.name}/{collection.split}"
        for start in tqdm(starts, label, unit="batch", disable=not self.progress, mininterval=1):
            rows = slice(start, start + BATCH)
            images, masks = np.asarray(collection.images[rows]), self._masks(collection, rows)
            true = collection.true_masks()[rows] if collection.has_true_masks else masks
            cut = cut_out(images, masks, true, SIZE)._asdict()
            for name in arrays:
                arrays[name][rows] = cut[name]
            state[rows] = np.where(cut["masks"].any((1, 2)), OCCUPIED, EMPTY)  # last, so that it vouches for the rest

    def _masks(self, collection: ImageCollection, rows: slice) -> np.ndarray:
        if self.settings.masks == "true":
            return np.asarray(collection.true_masks()[rows])
        category = collection.category[rows] if collection.split == "train" else None
        return self.masks(np.asarray(collection.images[rows]), category)

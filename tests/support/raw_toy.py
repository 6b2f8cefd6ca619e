"""The toy collection as raw photographs, and off-the-shelf masks of them that need no network."""

from dataclasses import replace

import numpy as np
from toy import tiny_settings
from toy_table import toy_split, use_toy

from msrn.foreground import pipeline
from msrn.profiles import Request

CUES = {"cue_size": 64, "cue_steps": 4, "cue_batch_size": 6, "cue_frozen": True, "refinement": "weigh"}


class Coarse:
    """M_o: the true mask, and a false stripe at the left of the image."""

    name, identity = "a stripe", "coarse"

    def __init__(self, weights=None) -> None:
        pass

    def complete(self, images, progress=True) -> None:
        pass

    def maps(self, images, progress=True) -> np.ndarray:
        soft = (np.asarray(images) < 255).any(1) * np.uint8(255)
        soft[:, :, :2] = 200
        return soft

    def masks(self, images, progress=True) -> np.ndarray:
        return self.maps(images) >= 128


def raw_split(name: str, split: str, root: str | None = None):
    """A split without masks; the first training image shows nothing."""
    made = toy_split(name, split)
    images, masks = made.images.copy(), made.masks.copy()
    if split == "train":
        images[0], masks[0] = 255, False
    return replace(made, name=name, images=images, masks=None, _true_masks=masks)


def raw_request(profile: str = "laptop", seeds: tuple[int, ...] = (0,), **overrides) -> Request:
    return Request(profile, "raw toy", None, seeds, "cpu", tiny_settings(**{**CUES, **overrides}))


def use_raw_toy(patch, folder) -> None:
    patch.setenv("MSRN_RUNS", str(folder / "runs"))
    patch.setenv("MSRN_CACHE", str(folder / "cache"))
    patch.setattr(pipeline, "Saliency", Coarse)
    patch.setattr(pipeline, "SIZE", 16)
    use_toy(patch, raw_split)

"""What the package efficientnet-lite-pytorch 0.1.0 made of three photographs, with the weights that are used here.

``efficientnet_reference.json`` holds eight sums of the features of every part, from before timm took its place.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from msrn.data.homeware.panoramas import read_panorama
from msrn.paths import ASSETS

REFERENCE = json.loads(Path(__file__).with_suffix(".json").read_text())


def pictures() -> Tensor:
    """The middle of three panoramas, (3,3,64,64) in 0..1."""
    photographs = [read_panorama(ASSETS / "panoramas" / f"{name}.jpg") for name in ("apartment", "city", "meadow")]
    middles = [(p.shape[0] // 2 - 32, p.shape[1] // 2 - 32) for p in photographs]
    crops = [p[y : y + 64, x : x + 64] for p, (y, x) in zip(photographs, middles, strict=True)]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def eight_sums(features: Tensor) -> list[list[float]]:
    """Of features (B,Q) or (B,Q,h,w), averaged over positions, the sums over eight groups of channels, (B,8)."""
    means = features.mean((2, 3)) if features.ndim == 4 else features
    return means.unflatten(1, (8, -1)).sum(2).tolist()

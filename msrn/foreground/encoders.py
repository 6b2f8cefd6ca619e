"""The encoder E_p of Eq. 7: a classifier trained on ILSVRC, cut where BAS [43] cuts it, at an eighth of the resolution.

    lower   image (B,3,H,W) -> an eighth of the resolution; may be held fixed
    upper   -> F (B,Q_f,H/8,W/8), with the stride of its first layer taken out, as BAS does
    tail    F, or F without its foreground -> (B,Q,h,w), from which a 1x1 convolution reads class scores

No weights are fetched. EfficientNet-Lite0's come in a package, and timm has its code; torchvision's VGG16
and ResNet-50 come from a file.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from msrn.backbone import efficientnet_lite, lite0_file
from msrn.errors import MsrnError, first_line

IMAGENET = (torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))
LITE = (torch.tensor(127 / 255), torch.tensor(128 / 255))  # (255 x - 127) / 128


class Encoder(NamedTuple):
    """The parts of E_p, with pre-trained weights."""

    lower: nn.Module
    upper: nn.Module
    tail: nn.Module
    features: int  # Q_f
    channels: int  # channels after the tail
    scale: tuple[Tensor, Tensor]  # subtracted from and divided into images in 0..1


def load_encoder(name: str, weights: str | None) -> Encoder:
    """E_p by its name in ``cue_encoder``, for images of any size; ``weights`` is torchvision's file of it."""
    if name == "efficientnet-lite0":
        return _lite()
    path, build = _weights_file(name, weights), _vgg16 if name == "vgg16" else _resnet50
    try:
        return build(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load and load_state_dict raise whatever a foreign file makes them stumble over
        raise MsrnError(
            f"weights.cue = {weights!r}: not torchvision's weights of {name} ({first_line(error)})"
        ) from error


def encoder_identity(name: str, weights: str | None) -> list[str]:
    """What the pre-trained weights are, for the identity of what is tuned from them: a name with a digest of theirs."""
    if name == "efficientnet-lite0":
        return [lite0_file().name]  # which holds one
    return [name, sha256_of(_weights_file(name, weights))[:16]]


def _weights_file(name: str, weights: str | None) -> Path:
    if weights is None:
        raise MsrnError(f"cue_encoder = {name!r}: needs torchvision's file in weights.cue, or use efficientnet-lite0")
    return weights_file("cue", weights, f"give torchvision's ImageNet weights of {name}")


def weights_file(key: str, weights: str, advice: str) -> Path:
    """The file of a request's ``weights``, of which ``key`` is the network."""
    path = Path(weights).expanduser()
    if not path.is_file():
        raise MsrnError(f"weights.{key} = {weights!r}: no such file; {advice}")
    return path


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lite() -> Encoder:
    """EfficientNet-Lite0: F are the 112 channels that it has at a sixteenth, here at an eighth.

    Dilated, so that the layers behind the removed stride see what they were trained on. BAS does without, and trains a
    hundred epochs.
    """
    network = efficientnet_lite("tf_efficientnet_lite0", lite0_file())
    blocks = [block for stage in network.blocks for block in stage]
    blocks[5].conv_dw.stride = (1, 1)  # the block that would halve the resolution
    for block in blocks[6:11]:  # dilated, these keep their reach: every second place of F is what they were trained for
        layer = block.conv_dw
        layer.dilation, layer.padding = (2, 2), tuple(2 * width for width in layer.padding)
    lower = nn.Sequential(network.conv_stem, network.bn1, *blocks[:5])  # timm's bn1 and bn2 end in the activation
    tail = nn.Sequential(nn.MaxPool2d(2), *blocks[11:], network.conv_head, network.bn2)
    return Encoder(lower, nn.Sequential(*blocks[5:11]), tail, 112, network.num_features, LITE)


def _vgg16(weights: dict) -> Encoder:
    """F is conv4_3, with 512 channels; as in BAS the tail is conv5 with two new convolutions of 1024."""
    from torchvision.models import vgg16

    with torch.device("meta"):  # most of its weights are in the classifier, which is left out
        convolutions = vgg16(init_weights=False).features
    own = {name[9:]: value for name, value in weights.items() if name.startswith("features.")}
    convolutions.load_state_dict(own, assign=True)
    layers = list(convolutions)
    new = (nn.Conv2d(512, 1024, 3, padding=1), nn.ReLU(), nn.Conv2d(1024, 1024, 3, padding=1), nn.ReLU())
    lower, upper = nn.Sequential(*layers[:17]), nn.Sequential(*layers[17:23])  # up to pool3, conv4_1 to conv4_3
    tail = nn.Sequential(nn.MaxPool2d(2), *layers[24:30], *new)
    return Encoder(lower, upper, tail, 512, 1024, IMAGENET)


def _resnet50(weights: dict) -> Encoder:
    """F is layer3, with 1024 channels, at stride 1; the tail halves it and runs layer4 at stride 1, as in BAS."""
    from torchvision.models import resnet50

    network = resnet50()
    network.load_state_dict(weights)
    for layer in (network.layer3, network.layer4):
        layer[0].conv2.stride = layer[0].downsample[0].stride = (1, 1)
    stem = (network.conv1, network.bn1, network.relu, network.maxpool)
    lower = nn.Sequential(*stem, network.layer1, network.layer2)
    return Encoder(lower, network.layer3, nn.Sequential(nn.MaxPool2d(2), network.layer4), 1024, 2048, IMAGENET)

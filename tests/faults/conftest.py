"""The commands that faults are tried on, and the photographs that one of them trains on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msrn import paths


@pytest.fixture(scope="session")
def own_photographs(tmp_path_factory) -> Path:
    """Small cut-outs of two categories, read on white and without masks: these are found, then all is learned."""
    folder, rng = tmp_path_factory.mktemp("photographs") / "own", np.random.default_rng(0)
    y, x = np.mgrid[:24, :24] / 12 - 1
    for category, stretch in (("ball", 1.0), ("bar", 2.5)):
        (folder / category).mkdir(parents=True)
        for number in range(8):
            inside = (x * rng.uniform(1.2, 1.8)) ** 2 + (stretch * y) ** 2 < 1
            pixels = np.dstack([rng.integers(0, 200, (24, 24, 3)), 255 * inside]).astype(np.uint8)
            Image.fromarray(pixels, "RGBA").save(folder / category / f"{number}.png")
    return folder


SMOKE = ["--profile", "smoke", "--device", "cpu", "--set=eval_points=100", "--set=image_size=16"]
FEW = "--set=batch_size=8", "--set=candidates=3", "--set=prototypes=3"  # for sixteen photographs


@pytest.fixture(scope="session")
def recording() -> list[str]:
    return ["msrn", "record", "table8", *SMOKE, "--only", "M-SRN", "--only", "w/o NC"]


@pytest.fixture(scope="session")
def commands(own_photographs, recording) -> dict[str, list[str]]:
    """Each in the form that takes least time."""
    notebook = paths.NOTEBOOKS / "table8_ablation.ipynb"
    settings = "settings: {eval_points: 100, image_size: 16}"
    return {
        "run": ["msrn", "run", "table8", *SMOKE],
        "record": recording,
        "train": ["msrn", "train", str(own_photographs), *SMOKE, *FEW],
        "reconstruct": ["msrn", "reconstruct", str(paths.ASSETS / "photographs"), "-o", "output"],
        "notebook": ["papermill", str(notebook), "runs/table8.ipynb", "-p", "profile", "smoke", "-y", settings],
    }

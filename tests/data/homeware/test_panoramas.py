import math
import re

import numpy as np
import pytest
import torch
from PIL import Image

from msrn import camera
from msrn.data.homeware import reader as homeware
from msrn.data.homeware.panoramas import PANORAMAS, crop, read_panorama
from msrn.errors import MsrnError

FOLDER = homeware.ASSETS / "panoramas"
NAMES = [name for names in PANORAMAS.values() for name in names]


def directions(height):
    """A panorama whose pixels hold the direction (x, y, z) in which they lie."""
    lat, lon = np.meshgrid(
        (0.5 - (np.arange(height) + 0.5) / height) * np.pi,
        (0.5 - (np.arange(2 * height) + 0.5) / (2 * height)) * 2 * np.pi,
        indexing="ij",
    )
    return np.stack((np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)), -1).astype(np.float32)


def test_every_panorama_is_in_one_split_there_and_credited():
    assert len(set(NAMES)) == len(NAMES) and all(PANORAMAS.values())
    assert {path.stem for path in FOLDER.iterdir()} == set(NAMES)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 6_000_000
    text = (homeware.ASSETS / "HOMEWARE_WILD_CREDITS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\S.*) \| (\w+)\.exr \| CC0 1\.0 \|$", text, re.MULTILINE)
    assert {(name, split) for name, split, _, _ in rows} == {(n, s) for s, names in PANORAMAS.items() for n in names}
    assert len({(package, there) for _, _, package, there in rows}) == len(NAMES)  # none twice


@pytest.mark.parametrize("name", NAMES)
def test_panoramas_are_whole_pictures(name):
    pixels = read_panorama(FOLDER / f"{name}.jpg")
    assert pixels.dtype == np.float32 and pixels.shape[1] == 2 * pixels.shape[0] >= 512
    assert 0 <= pixels.min() < 0.1 and 0.8 < pixels.max() <= 1 and 0.15 < pixels.mean() < 0.75
    # Neither torn where its ends meet nor anywhere noise.
    seam = np.abs(pixels[:, 0] - pixels[:, -1]).mean()
    assert seam < 3 * np.abs(np.diff(pixels, axis=1)).mean() + 0.02


@pytest.mark.parametrize("pose", [(0, 0, 0), (77, 20, 5), (200, -15, -4), (359, 40, 0)])
def test_a_direction_is_seen_where_the_camera_projects_it(pose):
    size, field_of_view = 96, 65.0
    seen = crop(directions(512), pose, field_of_view, size)
    rotation = camera.rotation(*torch.tensor(pose, dtype=torch.float64))
    rng = np.random.default_rng(0)
    found = 0
    for direction in rng.normal(size=(300, 3)):
        direction /= np.linalg.norm(direction)
        point = torch.from_numpy(direction)[None, None]
        focal = 1 / math.tan(math.radians(field_of_view / 2))
        x, y, depth = camera.project(point, rotation[None], torch.zeros(1, 3, dtype=torch.float64), focal)[0, 0]
        if depth > 0 and max(abs(x), abs(y)) < 0.97:
            column, row = (int((value + 1) / 2 * size) for value in (x, y))
            assert np.linalg.norm(seen[row, column] - direction) < 0.02
            found += 1
    assert found > 10


def test_the_horizon_is_level_and_longitudes_wrap():
    seen = crop(directions(128), (180.0, 0.0, 0.0), 60.0, 33)  # looks along +z from behind, at the middle column
    np.testing.assert_allclose(seen[16, 16], [0, 0, 1], atol=0.03)
    np.testing.assert_allclose(seen[16, :, 1], 0, atol=0.03)
    across = crop(directions(128), (0.0, 0.0, 0.0), 60.0, 33)  # along -z, where the panorama's ends meet
    np.testing.assert_allclose(np.linalg.norm(across, axis=-1), 1, atol=0.01)  # halves of the wrong ends would cancel
    assert (np.diff(across[16, :, 0]) > 0).all()


@pytest.mark.parametrize("damage", ["missing", "truncated", "no picture", "square"])
def test_a_bad_panorama_is_refused_in_one_line_that_names_it(tmp_path, damage):
    path = tmp_path / "city.jpg"
    if damage == "truncated":
        content = (FOLDER / "city.jpg").read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif damage == "no picture":
        path.write_bytes(b"<html>not found</html>")
    elif damage == "square":
        Image.new("RGB", (64, 64)).save(path)
    with pytest.raises(MsrnError) as caught:
        read_panorama(path)
    message = str(caught.value)
    assert str(path) in message and "install msrn again" in message and "\n" not in message
    assert ("is missing" if damage == "missing" else "is torn") in message

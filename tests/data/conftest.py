"""Homeware as every test sees it, and empty caches and small assets for those that damage them."""

import pytest

from msrn.data import homeware, open_collection


@pytest.fixture(scope="session")
def collections():
    """All three splits of homeware, from the cache of whoever runs the tests: drawn at most once."""
    return {split: open_collection("homeware", split) for split in ("train", "val", "test")}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small_assets(tmp_path, monkeypatch):
    """A copy of the asset whose split lists four objects, so that its cache is drawn in a moment."""
    folder = tmp_path / "assets"
    folder.mkdir()
    (folder / "homeware.npz").write_bytes((homeware.ASSETS / "homeware.npz").read_bytes())
    lines = (homeware.ASSETS / "homeware_split.csv").read_text().splitlines(keepends=True)
    chosen = [next(line for line in lines[1:] if f",{split}," in line) for split in ("train", "val", "test")]
    second = [line for line in lines[1:] if ",train," in line][1]
    (folder / "homeware_split.csv").write_text("".join([lines[0], *chosen, second]))
    monkeypatch.setattr(homeware, "ASSETS", folder)
    return folder

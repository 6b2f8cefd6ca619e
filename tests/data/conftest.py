"""Homeware as every test sees it, and empty caches and small assets for those that damage them."""

import os

import pytest

from msrn.data import open_collection
from msrn.data.archives import reading
from msrn.data.homeware import reader as homeware


@pytest.fixture(scope="session")
def collections():
    """All three splits of homeware, from the cache of whoever runs the tests: drawn at most once."""
    return {split: open_collection("homeware", split) for split in ("train", "val", "test")}


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


@pytest.fixture
def deny(monkeypatch):
    """``deny(folder)`` takes all permissions of a folder away, and with ``listed=True`` that of reading names not.

    The system's calls are replaced, since to the superuser nothing is denied.
    """

    def denied(folder, listed=False):
        def guarded(call, also_itself=False):
            def asked(path, *given, **named):
                place = os.path.normpath(os.fsdecode(path)) if not isinstance(path, int) else ""
                if place.startswith(f"{folder}{os.sep}") or (also_itself and place == str(folder)):
                    raise PermissionError(13, "Permission denied", path)
                return call(path, *given, **named)

            return asked

        for name in ("stat", "lstat", "scandir"):
            monkeypatch.setattr(os, name, guarded(getattr(os, name)))
        monkeypatch.setattr(os, "listdir", guarded(os.listdir, also_itself=not listed))
        monkeypatch.setattr(reading, "open", guarded(open), raising=False)

    return denied

"""An empty cache and run store for every test of the foreground, so that nothing is found that it did not make."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "runs"))
    return tmp_path / "cache"

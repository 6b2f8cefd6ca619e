"""Where things live. Every path is resolved from the package, because papermill runs in the caller's folder while
JupyterLab, nbval and the book run in the notebook's."""

import os
from pathlib import Path

import platformdirs

ROOT = Path(__file__).resolve().parents[1]
PARAMS = ROOT / "params"
RESULTS = ROOT / "results"
NOTEBOOKS = ROOT / "notebooks"
ASSETS = ROOT / "msrn" / "data" / "assets"  # part of the package


def cache_folder() -> Path:
    """Rendered views and features, safe to delete: ``MSRN_CACHE`` or the user's cache folder."""
    return Path(os.environ.get("MSRN_CACHE") or platformdirs.user_cache_dir("msrn")).expanduser()


def runs_folder() -> Path:
    """Trained models with their logs and results: ``MSRN_RUNS`` or ``runs/`` beside the package."""
    return Path(os.environ.get("MSRN_RUNS") or ROOT / "runs").expanduser()

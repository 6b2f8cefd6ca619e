"""What ``msrn doctor`` says: versions, devices, caches, and what is missing and what that disables."""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from msrn import paths
from msrn.errors import first_line
from msrn.profiles import profiles
from msrn.store.results import device_name, source_state, version


def report() -> Iterator[str]:
    """The report, line by line, so that slow imports show as they come."""
    commit, dirty = source_state()
    yield "Versions"
    changes = " with uncommitted changes" if dirty else ""
    yield _line("msrn", f"{version('msrn')} in {paths.ROOT}, commit {commit}{changes}")
    yield _line("Python", f"{platform.python_version()} at {sys.executable}")
    for name in ("torch", "numpy", "numba", "scipy", "papermill", "jupyter-book", "plotly"):
        yield _line(name, version(name))
    yield "Devices"
    yield _line("CPU", f"{device_name('cpu')}, {platform.machine()}")
    yield _line("CUDA", _cuda())
    yield "Folders"
    yield _line("caches", _size(paths.cache_folder(), "rendered views and features; made on first use, safe to delete"))
    yield _line("runs", _size(paths.runs_folder(), "trained models and their results; made by the first table"))
    yield _line("disk", _free(paths.runs_folder()))
    yield _line("profiles", ", ".join(profiles()))
    yield "Optional parts"
    for name, state, disables in optional_parts():
        yield _line(name, state if not disables else f"{state}: {disables}")


def optional_parts() -> Iterator[tuple[str, str, str]]:
    """(name, state, what its absence disables or '')."""
    try:
        importlib.import_module("pytorch3d._C")
        yield "pytorch3d", "installed", ""
    except (ImportError, OSError) as error:  # a wheel for another torch fails while it is linked
        disables = "its comparison with our renderer is skipped; nothing else needs it"
        yield "pytorch3d", f"missing ({first_line(error)})", disables
    clip = "EfficientNet-Lite2 stands in, by that name; with a file of them: --set features=clip --weights clip=PATH"
    yield "CLIP weights", "not in any package", clip
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    yield "Chromium", chromium or "missing", "" if chromium else "the tests that open the book in it are skipped"
    if any(paths.cache_folder().glob("homeware*")):
        yield "homeware images", "drawn", ""
    else:
        yield "homeware images", "not drawn yet", "the first run does it, in a minute"


def _cuda() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    return "none: profile paper and device cuda are not available; profile laptop needs none"


def _size(folder: Path, meaning: str) -> str:
    if not folder.exists():
        return f"{folder}: nothing yet ({meaning})"
    total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{folder}: {total / 2**20:,.0f} MB ({meaning})"


def _free(folder: Path) -> str:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = "" if os.access(existing, os.W_OK) else "; NOT WRITABLE: set MSRN_RUNS to a folder that is"
    return f"{shutil.disk_usage(existing).free / 2**30:,.1f} GB free{writable}"


def _line(name: str, value: str) -> str:
    return f"  {name:<16} {value}"

"""What ``msrn doctor`` says: versions, devices, caches, and what is missing and what that disables."""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from msrn import paths
from msrn.errors import MsrnError, first_line
from msrn.profiles import profiles
from msrn.store.files import size_of
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
    cache, runs = _known(paths.cache_folder), paths.runs_folder()
    caches = "rendered views and features; made on first use, safe to delete"
    yield _line("caches", cache if isinstance(cache, str) else f"{_size(cache, caches)}{_closed(cache, 'MSRN_CACHE')}")
    yield _line("runs", _size(runs, "trained models and their results; made by the first table"))
    yield _line("disk", f"{shutil.disk_usage(_existing(runs)).free / 2**30:,.1f} GB free{_closed(runs, 'MSRN_RUNS')}")
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
    cache = _known(paths.cache_folder)
    if isinstance(cache, Path) and any(cache.glob("homeware*")):
        yield "homeware images", "drawn", ""
    else:
        yield "homeware images", "not drawn yet", "the first run does it, in a minute"


def _cuda() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    return "none: profile paper and device cuda are not available; profile laptop needs none"


def _size(folder: Path, meaning: str) -> str:
    if not os.path.exists(folder):
        return f"{folder}: nothing yet ({meaning})"
    return f"{folder}: {size_of(folder) / 2**20:,.0f} MB ({meaning})"


def _known(folder: Callable[[], Path]) -> Path | str:
    """A folder, or why there is none."""
    try:
        return folder()
    except MsrnError as error:
        return str(error)


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if os.path.exists(parent))


def _closed(folder: Path, variable: str) -> str:
    return "" if os.access(_existing(folder), os.W_OK) else f"; NOT WRITABLE: set {variable} to a folder that is"


def _line(name: str, value: str) -> str:
    return f"  {name:<16} {value}"

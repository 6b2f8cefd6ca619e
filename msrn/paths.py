"""Where things live. Every path is resolved from the package, because papermill runs in the caller's folder while
JupyterLab, nbval and the book run in the notebook's."""

import atexit
import getpass
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import platformdirs

from msrn.errors import MsrnError

ROOT = Path(__file__).resolve().parents[1]
PARAMS = ROOT / "params"
RESULTS = ROOT / "results"
NOTEBOOKS = ROOT / "notebooks"
ASSETS = ROOT / "msrn" / "data" / "assets"  # part of the package


def cache_folder() -> Path:
    """Rendered views and features, safe to delete: ``MSRN_CACHE`` or the user's cache folder."""
    if given := _given("MSRN_CACHE"):
        return given
    try:  # without HOME, for a user whom the system has no name for: an error or, in older versions, the letter ~
        folder = Path(platformdirs.user_cache_dir("msrn"))
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():
        raise MsrnError("no home folder is known for this user: set MSRN_CACHE to a folder that can be written")
    return folder


def runs_folder() -> Path:
    """Trained models with their logs and results: ``MSRN_RUNS`` or ``runs/`` beside the package."""
    return _given("MSRN_RUNS") or ROOT / "runs"


def _given(variable: str) -> Path | None:
    """The folder that an environment variable names. A relative one is meant from where the first process stands; the
    kernel of a notebook stands elsewhere, so from then on the variable holds the whole path."""
    if not (text := os.environ.get(variable)):
        return None
    if not os.path.isabs(text):
        text = os.path.abspath(os.path.expanduser(text))
        os.environ[variable] = text
    return Path(text)


def settle() -> None:
    """What libraries take for granted and containers have not: a name of the user, a home, a place for Numba."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # torch asks for it when it is imported
        os.environ["USER"] = f"uid{os.getuid()}"
    home = Path(os.path.expanduser("~"))
    if not (home.is_absolute() and _writable(home)) and os.environ.get("MSRN_CACHE"):
        os.environ["HOME"] = str(cache_folder() / "home")  # for Jupyter, which papermill starts
        with suppress(OSError):
            Path(os.environ["HOME"]).mkdir(parents=True, exist_ok=True)
    _place_compiled_code()


def _writable(folder: Path) -> bool:
    existing = next(parent for parent in (folder, *folder.parents) if os.path.exists(parent))
    return os.access(existing, os.W_OK)


def _place_compiled_code() -> None:
    """Where Numba keeps what it compiled: beside the package, else under the cache folder, else in a folder that this
    process deletes. Numba itself ends with an error when neither the package nor a home can be written."""
    kernels = ROOT / "msrn" / "render"
    places = [place for place in (kernels, kernels / "__pycache__") if os.path.exists(place)]
    if os.environ.get("NUMBA_CACHE_DIR") or all(os.access(place, os.W_OK) for place in places):
        return
    try:
        folder = cache_folder() / "numba"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, MsrnError):
        folder = Path(tempfile.mkdtemp(prefix="msrn-numba-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:  # which has read the variable by now
        sys.modules["numba"].config.CACHE_DIR = str(folder)


for _variable in ("MSRN_CACHE", "MSRN_RUNS"):
    _given(_variable)

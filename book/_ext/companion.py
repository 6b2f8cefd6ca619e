"""Sphinx extension of the book: what jupyter-book alone does not do.

- Libraries of the pages are copied out of installed packages, so that the book is complete without a network: MathJax
  for the pages with formulas, plotly.js for the pages with a mesh that turns.
- Executed notebooks are cached by jupyter-cache under a hash of their cells alone; here the cache is emptied whenever
  the package, the profiles, the recorded results, the environment or the stored runs changed.
- The page of choices is filled from the docstrings of the settings.
- The book shows and never trains. A page whose runs all lie trained and scored in the store is executed under their
  profile, every other one under profile smoke, with recorded results beside. No process of a build can start a training
  longer than smoke's (``MSRN_MOST_STEPS``), whatever a page asks for.
"""

import hashlib
import importlib.util
import os
import shutil
from pathlib import Path

import choices
from sphinx.application import Sphinx

from msrn import paths, profiles
from msrn.data import open_collection
from msrn.errors import MsrnError
from msrn.exhibits import NAME
from msrn.experiments.paper import MASKS, TABLES
from msrn.experiments.runner import Experiment, jobs_of
from msrn.foreground.pipeline import Foreground

# Not under html_static_path: jupyter-book loads every script found there on every page.
OFFLINE = "offline"
MATHJAX_PARTS = ("tex-mml-chtml.js", "a11y", "input", "output", "sre", "ui")
CHOICES_PAGE, CHOICES_MARK = "book/choices", "<!-- settings -->"
SMOKE, RECORDED = "smoke", "laptop"  # profiles of pages without stored runs, and of recorded results
# What a page trains, by the exhibit that it shows: rows of a table.
TRAINS = {name: (name, [row.name for row in table.trained]) for name, table in TABLES.items()}
TRAINS |= {name: ("table8", ["M-SRN"]) for name in ("section3", "section3_2", "section3_3")}
TUNES = {"section3_1": ["M-SRN"], "figure8": ["M-SRN", "without L_for"]}  # rows of ``MASKS``


def setup(app: Sphinx) -> dict[str, bool]:
    # Executed notebooks inherit all of them. MSRN_BOOK tells msrn.report which profile the recorded results are of, and
    # that the page brings plotly.js.
    wanted = os.environ.get("MSRN_PROFILE") or RECORDED
    smoke = profiles.resolve(SMOKE, device="cpu").settings
    profiles.resolve(wanted, device="cpu")  # refused now
    os.environ["MSRN_BOOK"] = RECORDED if wanted == SMOKE else wanted
    os.environ["MSRN_MOST_STEPS"] = str(max(smoke.steps, smoke.cue_steps))
    app.add_config_value("msrn_profile", wanted, "env")
    app.connect("source-read", choose_profile)
    app.connect("builder-inited", copy_libraries)
    app.connect("env-get-outdated", forget_stale_outputs)
    app.connect("source-read", fill_choices)
    app.connect("html-page-context", load_plotly)
    app.connect("build-finished", remember_digest)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def choose_profile(app: Sphinx, page: str, source: list[str]) -> None:
    """Before a page is parsed, which executes its notebook."""
    exhibit = NAME.match(Path(page).name)
    wanted = app.config.msrn_profile
    os.environ["MSRN_PROFILE"] = wanted if exhibit and stored(exhibit[0], wanted) else SMOKE


def stored(exhibit: str, profile: str) -> bool:
    """Whether all that the page of an exhibit trains under a profile lies in the store of runs."""
    try:
        if exhibit in TUNES:
            return _tuned(profile, TUNES[exhibit])
        return exhibit in TRAINS and _scored(profile, *TRAINS[exhibit])
    except MsrnError:  # a fine-tuning that is not there, or a profile that this machine cannot execute
        return False


def _scored(profile: str, name: str, rows: list[str]) -> bool:
    """Whether rows of a table lie there, trained and scored."""
    table = TABLES[name]
    request = profiles.resolve(profile, data=table.data)
    if not any(paths.runs_folder().glob(f"{request.dataset}*-seed*/result.json")):
        return False  # without opening the images, which are rendered on first use
    experiment = Experiment(table, request, progress=False)
    work = [(table.row(row), seed) for seed in request.seeds for row in rows]
    jobs = (job for item in work for job in jobs_of(experiment, *item))
    return all(job.finished and (job.folder / "result.json").exists() for job in jobs)


def _tuned(profile: str, rows: list[str]) -> bool:
    """Whether the foreground cues of rows of ``MASKS`` lie there, fine-tuned with the first seed."""
    request = profiles.resolve(profile, data=MASKS.data)
    if not any(paths.runs_folder().glob(f"{request.dataset}-foreground-seed*")):
        return False
    train = open_collection(request.dataset, "train", request.data_root)
    for row in rows:
        s = MASKS.row(row).settings_on(request.settings)
        cues = Foreground(train, s, request.seeds[0], request.device, False, weights=request.weights)
        if cues.log[-1]["step"] < s.cue_steps:
            return False
    return True


def copy_libraries(app: Sphinx) -> None:
    """Put MathJax and plotly.js into the built book."""
    target = Path(app.outdir, OFFLINE)
    mathjax = _package_folder("mathjax") / "static" / "mathjax" / "es5"
    for part in MATHJAX_PARTS:
        _copy(mathjax / part, target / "mathjax" / part)
    _copy(_package_folder("plotly") / "package_data" / "plotly.min.js", target / "plotly.min.js")


def load_plotly(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Add plotly.js (5 MB) to the pages that show a plotly figure, ahead of the figure's own script."""
    if "plotly-graph-div" in context.get("body", ""):
        app.add_js_file(f"../{OFFLINE}/plotly.min.js")  # file names are relative to _static


def fill_choices(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the settings in place of the mark in ``book/choices.md``."""
    if page == CHOICES_PAGE:
        source[0] = source[0].replace(CHOICES_MARK, choices.markdown())
        for file in (paths.ROOT / "msrn" / "settings.py", Path(choices.__file__), *paths.PARAMS.glob("*.yaml")):
            app.env.note_dependency(str(file))


def forget_stale_outputs(app: Sphinx, env: object, added: set, changed: set, removed: set) -> list[str]:
    """When what is behind them changed since the last build, empty the cache of outputs and read again the notebooks
    and the page of choices."""
    if _digest_file(app).exists() and _digest_file(app).read_text(encoding="utf-8") == digest(app):
        return []
    shutil.rmtree(app.env.mystnb_config.execution_cache_path, ignore_errors=True)
    return [page for page in env.found_docs if page == CHOICES_PAGE or env.doc2path(page).endswith(".ipynb")]


def remember_digest(app: Sphinx, error: Exception | None) -> None:
    """Runs made by the build itself are part of what it showed, hence a digest from its end."""
    if error is None:
        _digest_file(app).write_text(digest(app), encoding="utf-8")


def digest(app: Sphinx) -> str:
    """Fingerprint of all that an executed notebook's outputs follow from, the notebook itself excepted."""
    files = [file for folder in ("msrn", "params", "results") for file in (paths.ROOT / folder).rglob("*")]
    files += [paths.ROOT / "requirements.lock", *paths.runs_folder().rglob("result.json")]
    value = hashlib.sha256(app.config.msrn_profile.encode())
    for file in sorted(file for file in files if file.is_file() and file.suffix != ".pyc"):
        value.update(str(file).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return value.hexdigest()


def _digest_file(app: Sphinx) -> Path:
    return Path(app.doctreedir, "companion.digest")


def _package_folder(name: str) -> Path:
    """Where a package lies, without importing it."""
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)

"""The book builds without a warning, is complete without a network, and its pages work when opened from the disk."""

import os
import shutil
import subprocess
import sys
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import choices
import companion
import pytest
import raw_toy
from toy import tiny_settings, toy_candidates, toy_collection

from msrn import paths, profiles
from msrn.errors import MsrnError
from msrn.experiments.paper import TABLES
from msrn.foreground.pipeline import Foreground
from msrn.training.runs import train_or_load

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --virtual-time-budget=20000"
).split()
TABLE8_PAGE = "notebooks/table8_ablation.html"
FOREIGN = ("unpkg.com", "jsdelivr", "cdnjs", "cdn.", 'from "http', "from 'http", 'import("http', "@import")
FOLLOWING = ["book/choices", "notebooks/table8_ablation"]  # pages that are read again
BEHIND = ("msrn/module.py", "params/smoke.yaml", "results/a.json", "requirements.lock")  # the outputs of a notebook
# What a browser fetches by itself, as against the href of a link that a reader may follow.
FETCHED = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("embed", "src"),
    ("object", "data"),
    ("link", "href"),
}


class Page(HTMLParser):
    """What a built page links to, fetches and shows."""

    def __init__(self, file: Path):
        super().__init__()
        self.file, self.ids, self.links, self.fetched, self.images, self.code = file, set(), [], [], [], []
        self._inside = ""
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, pairs: list) -> None:
        attributes = dict(pairs)
        self._inside = tag
        self.ids |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        self.fetched += [value for name, value in pairs if (tag, name) in FETCHED and value]
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append(attributes)

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            self.code.append(data)


class Book:
    def __init__(self, folder: Path, log: str):
        self.folder, self.log = folder, log

    @cached_property
    def pages(self) -> dict[Path, Page]:
        files = [file for file in self.folder.rglob("*.html") if not {"_static", "offline"} & set(file.parts)]
        return {file: Page(file) for file in files}


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Book:
    output = tmp_path_factory.mktemp("book")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "-n", "-W", "--keep-going"]
    done = subprocess.run(
        [*command, "--path-output", output, paths.ROOT], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return Book(output / "_build" / "html", done.stdout)


def test_pages_of_the_contents_are_there(book):
    names = {str(file.relative_to(book.folder)) for file in book.pages}
    assert {"index.html", "book/start.html", "book/choices.html", "book/bibliography.html", TABLE8_PAGE} <= names


def test_no_page_fetches_from_a_foreign_host(book):
    for file, page in book.pages.items():
        for address in page.fetched:
            assert urlsplit(address).scheme in ("", "data") and not address.startswith("//"), f"{file}: {address[:200]}"
        for code in page.code:
            for word in FOREIGN:
                assert word not in code, f"{file}: {word}"
    for file in (book.folder / "_static").rglob("*.css"):
        text = file.read_text()
        assert "@import url(http" not in text and "url(http" not in text and "url(//" not in text, file


def test_internal_links_and_anchors_resolve(book):
    for file, page in book.pages.items():
        for address in [*page.links, *page.fetched]:
            parts = urlsplit(address)
            if parts.scheme or address.startswith("//"):
                continue
            target = Path(os.path.normpath(file.parent / unquote(parts.path))) if parts.path else file
            where = f"{file.relative_to(book.folder)} -> {address}"
            assert target.is_file(), where
            if parts.fragment and target in book.pages:
                assert unquote(parts.fragment) in book.pages[target].ids, where


def test_every_image_says_what_it_shows(book):
    for file, page in book.pages.items():
        for image in page.images:
            words = image.get("alt") or ""
            # Where none is given, Sphinx puts the file's name.
            assert words and not words.endswith((".png", ".svg", ".jpeg")), f"{file}: {str(image)[:200]}"


def test_no_page_says_that_a_cell_failed(book):
    for file in book.pages:
        assert "Traceback (most recent call last)" not in file.read_text(), file


class Opening(HTMLParser):
    """The words of a page's article ahead of its first table, but for code, and what is folded."""

    SILENT = ("pre", "style", "script", "details")

    def __init__(self, file: Path):
        super().__init__()
        self.words, self.found, self._on, self._silent, self._done = [], False, False, 0, False
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, pairs: list) -> None:
        self._on |= tag == "article"
        self._silent += tag in self.SILENT
        self._done |= self._on and tag == "table"
        self.found |= ("class", "found") in pairs and not self._done

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in self.SILENT

    def handle_data(self, data: str) -> None:
        if self._on and not self._silent and not self._done:
            self.words += data.split()


@pytest.mark.parametrize("name", TABLES)
def test_a_results_page_has_its_verdict_and_its_table_within_the_first_120_words(book, name):
    [page] = (book.folder / "notebooks").glob(f"{name}_*.html")
    opening = Opening(page)
    assert opening.found and len(opening.words) <= 120, f"{len(opening.words)}: {' '.join(opening.words)}"


@pytest.mark.skipif(not CHROMIUM, reason="no chromium on the path; .ci/run installs it from Debian")
@pytest.mark.parametrize(
    ("page", "shown"),
    [("book/start.html", ["<mjx-container"]), (TABLE8_PAGE, ["<mjx-container", "js-plotly-plot", "main-svg"])],
)
def test_pages_render_from_the_disk(book, tmp_path, page, shown):
    """Formulas are set and the mesh is drawn by the book's own copies, with every host out of reach."""
    offline = ["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr"]
    command = [CHROMIUM, *QUIET, *offline, f"--user-data-dir={tmp_path}", "--dump-dom", f"file://{book.folder / page}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    for mark in shown:
        assert mark in done.stdout, f"{page}: no {mark}"
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not [line for line in console if "Uncaught" in line or "net::" in line]


@pytest.mark.parametrize(
    ("content", "check"),
    [
        ('<script src="https://example.org/a.js"></script>', test_no_page_fetches_from_a_foreign_host),
        ('<link href="//example.org/a.css">', test_no_page_fetches_from_a_foreign_host),
        ('<script>import Plotly from "https://example.org/p.js"</script>', test_no_page_fetches_from_a_foreign_host),
        ('<a href="missing.html">x</a>', test_internal_links_and_anchors_resolve),
        ('<a href="#missing">x</a>', test_internal_links_and_anchors_resolve),
        ('<img src="data:image/png;base64,AA">', test_every_image_says_what_it_shows),
        ('<img src="a.png" alt="../_images/a.png">', test_every_image_says_what_it_shows),
    ],
)
def test_the_checks_find_what_they_look_for(tmp_path, content, check):
    (tmp_path / "page.html").write_text(f"<html><body>{content}</body></html>")
    with pytest.raises(AssertionError):
        check(Book(tmp_path, ""))


def test_choices_come_from_the_settings():
    text = choices.markdown()
    for name, field in profiles.Settings.model_fields.items():
        assert f"`{name}`" in text
        assert (f"(choice-{name})=" in text) == ("Choice:" in field.description)
    assert "Paper: K′ = 10. Here: 10" in text
    assert "| `batch_size` | 16 | 16 |" in text


def test_choices_show_where_profiles_differ():
    values = {name: profiles.resolve(profile=name, device="cpu").settings.image_size for name in choices.PROFILES}
    row = next(line for line in choices.markdown().splitlines() if line.startswith("| `image_size`"))
    wanted = [str(values["paper"])] + [str(v) if v != values["paper"] else "–" for v in list(values.values())[1:]]
    assert [cell.strip() for cell in row.split("|")[3:-1]] == wanted


def test_the_page_of_choices_holds_the_settings():
    app = SimpleNamespace(env=SimpleNamespace(note_dependency=lambda file: None))
    source = [(paths.ROOT / "book" / "choices.md").read_text()]
    companion.fill_choices(app, "book/choices", source)
    assert choices.markdown() in source[0] and "<!--" not in source[0]


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A Sphinx application, as far as the cache of outputs is concerned, over a small project."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "runs"))
    for name in (*BEHIND, "cache/outputs", "doc/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("before")
    environment = SimpleNamespace(
        mystnb_config=SimpleNamespace(execution_cache_path=str(tmp_path / "cache")),
        found_docs=["book/start", "book/choices", "notebooks/table8_ablation"],
        doc2path=lambda page: f"{page}.ipynb" if page.startswith("notebooks") else f"{page}.md",
    )
    return SimpleNamespace(
        env=environment, doctreedir=str(tmp_path / "doc"), config=SimpleNamespace(msrn_profile="smoke")
    )


def test_outputs_are_kept_while_nothing_changed(build, tmp_path):
    companion.remember_digest(build, None)
    assert companion.forget_stale_outputs(build, build.env, set(), set(), set()) == []
    assert (tmp_path / "cache" / "outputs").exists()


@pytest.mark.parametrize("changed", BEHIND)
def test_outputs_are_forgotten_when_something_behind_them_changed(build, tmp_path, changed):
    companion.remember_digest(build, None)
    (tmp_path / changed).write_text("after")
    assert companion.forget_stale_outputs(build, build.env, set(), set(), set()) == FOLLOWING
    assert not (tmp_path / "cache").exists()


def test_outputs_are_forgotten_when_a_run_was_stored(build, tmp_path):
    companion.remember_digest(build, None)
    (tmp_path / "runs" / "new").mkdir(parents=True)
    (tmp_path / "runs" / "new" / "result.json").write_text("{}")
    assert companion.forget_stale_outputs(build, build.env, set(), set(), set()) == FOLLOWING


def test_a_failed_build_is_not_remembered(build, tmp_path):
    companion.remember_digest(build, RuntimeError("stopped"))
    assert companion.forget_stale_outputs(build, build.env, set(), set(), set()) == FOLLOWING


@pytest.fixture
def set_up(monkeypatch, tmp_path):
    """The extension as a build sets it up, with a store of runs of its own."""
    for name in ("MSRN_BOOK", "MSRN_PROFILE", "MSRN_MOST_STEPS"):
        monkeypatch.setenv(name, "")  # so that what the extension sets is taken back
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path))
    app = SimpleNamespace(connect=lambda *_: None, config=SimpleNamespace())
    app.add_config_value = lambda name, value, _: setattr(app.config, name, value)
    companion.setup(app)
    return app


def test_no_process_of_a_build_starts_a_training_longer_than_smokes(set_up, tmp_path, monkeypatch):
    raw_toy.use_raw_toy(monkeypatch, tmp_path)
    smoke = profiles.resolve("smoke").settings
    collection = toy_collection()
    long, short = (tiny_settings(steps=steps, stage_switch=1) for steps in (smoke.steps + 1, 4))
    with pytest.raises(MsrnError, match=f"{smoke.steps + 1} steps are not trained yet, and MSRN_MOST_STEPS allows"):
        train_or_load(long, collection, toy_candidates(collection, long.candidates), 0, "cpu", progress=False)
    raw, s = raw_toy.raw_split("raw toy", "train"), raw_toy.raw_request(cue_steps=smoke.steps + 1).settings
    cues = Foreground(raw, s, seed=0, progress=False)
    with pytest.raises(MsrnError, match="foreground cues, seed 0: "):
        _ = cues.perceptron
    assert not (tmp_path / "runs").exists()
    train_or_load(short, collection, toy_candidates(collection, short.candidates), 0, "cpu", progress=False)
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_every_training_takes_its_folder_where_long_ones_are_refused():
    files = [file for part in ("msrn", "notebooks", "book") for file in (paths.ROOT / part).rglob("*.*")]
    texts = {file.name: file.read_text() for file in files if file.suffix in (".py", ".ipynb")}
    assert [name for name, text in texts.items() if "RunFolder(" in text] == ["checkpointing.py"]


def page_profile(app, page: str) -> str:
    companion.choose_profile(app, f"notebooks/{page}", [""])
    return os.environ["MSRN_PROFILE"]


def test_a_page_shows_a_laptop_run_only_when_all_that_it_trains_is_stored(set_up, tmp_path, monkeypatch):
    def jobs_of(experiment, row, seed):
        folder = tmp_path / f"{experiment.request.dataset}-{row.name.replace('/', '')}-seed{seed}"
        return [SimpleNamespace(folder=folder, finished=folder.exists())]

    monkeypatch.setattr(companion, "jobs_of", jobs_of)
    pages = "table8_ablation", "table2_shapenet", "section3_3_neighbors", "table7_foreground_masks", "figure5"
    assert {page_profile(set_up, page) for page in pages} == {"smoke"}
    for row in ("wo FC", "wo NC", "M-SRN"):
        assert page_profile(set_up, "table8_ablation") == "smoke"
        (folder := tmp_path / f"homeware-{row}-seed0").mkdir()
        assert page_profile(set_up, "table8_ablation") == "smoke"  # trained, not scored
        (folder / "result.json").write_text("{}")
    assert [page_profile(set_up, page) for page in pages] == ["laptop", "smoke", "laptop", "smoke", "smoke"]


def test_a_page_about_masks_shows_cues_only_when_their_fine_tuning_is_stored(set_up, tmp_path, monkeypatch):
    steps = profiles.resolve("laptop").settings.cue_steps
    monkeypatch.setattr(companion, "open_collection", lambda *_: None)
    tuned = {0.1: 0, 0.0: 0}  # steps by the weight of the contrast

    def foreground(train, s, *_, **__):
        return SimpleNamespace(log=[{"step": tuned[s.contrast_weight]}])

    monkeypatch.setattr(companion, "Foreground", foreground)
    (tmp_path / "homeware-wild-foreground-seed0-x").mkdir()
    found = []
    for weight in (0.1, 0.0):
        found.append([page_profile(set_up, page) for page in ("section3_1_foreground", "figure8_foreground_masks")])
        tuned[weight] = steps
    assert found == [["smoke", "smoke"], ["laptop", "smoke"]]
    assert page_profile(set_up, "figure8_foreground_masks") == "laptop"


def test_a_profile_that_cannot_be_executed_here_falls_back(set_up, monkeypatch):
    monkeypatch.setattr(profiles.torch.cuda, "is_available", lambda: False)
    set_up.config.msrn_profile = "paper"
    assert page_profile(set_up, "table8_ablation") == page_profile(set_up, "figure8_foreground_masks") == "smoke"


def test_a_misspelled_profile_stops_the_build(set_up, monkeypatch):
    monkeypatch.setenv("MSRN_PROFILE", "labtop")
    with pytest.raises(MsrnError, match="did you mean laptop"):
        companion.setup(set_up)

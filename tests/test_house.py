"""The structure of the package: imports go one way, modules stay small, and a training image's way is short."""

import ast
import re
import sys

import numpy as np
import pytest
import torch
from toy import tiny_settings, toy_candidates, toy_collection

from msrn.paths import ROOT
from msrn.training import loop
from msrn.training.batches import TrainingImages
from msrn.training.state import Training

PACKAGE = ROOT / "msrn"
# From the left: what stands in a place imports from its own and from those before it alone.
FLOW = (
    ("errors", "paths", "threads", "camera"),
    ("settings", "store"),
    ("render", "distance_transform", "memory", "compensation"),
    ("data", "backbone", "losses", "network"),
    ("profiles",),
    ("foreground",),
    ("neighbors", "doctor"),
    ("training",),
    ("evaluation",),
    ("baselines",),
    ("experiments",),
    ("report",),
    ("reconstruct",),
    ("exhibits",),
    ("__main__",),
)
PLACE = {name: place for place, names in enumerate(FLOW) for name in names}
KERNELS = ("numba_kernels.py", "triton_kernels.py")
LINES = {"experiments": 1123, "report": 2050}


def modules() -> dict[str, ast.Module]:
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if "__pycache__" not in file.parts]
    names = {file: ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files}
    return {name: ast.parse(file.read_text()) for file, name in names.items()}


def imports(tree: ast.Module, known: set[str]) -> set[str]:
    """The modules of the package that a module imports anywhere."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name for name in whole if name in known} | ({node.module} if not whole <= known else set())
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name in known and name != "msrn"}


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    trees = modules()
    return {name: imports(tree, set(trees)) for name, tree in trees.items() if name != "msrn"}


def room(module: str) -> str:
    return module.split(".")[1]


def test_every_module_has_its_place_in_the_flow(graph):
    assert {room(name) for name in graph} == set(PLACE)


def test_no_module_imports_from_its_right(graph):
    wrong = [
        f"{name} imports {other}" for name, others in graph.items() for other in others
        if PLACE[room(other)] > PLACE[room(name)]
    ]  # fmt: skip
    assert not wrong


def test_no_circle(graph):
    done, above = set(), []

    def visit(name: str) -> None:
        assert name not in above, f"a circle: {' -> '.join([*above[above.index(name) :], name])}"
        if name not in done:
            above.append(name)
            for other in graph[name]:
                visit(other)
            done.add(above.pop())

    for name in graph:
        visit(name)


def test_the_checks_find_what_they_look_for():
    tree = ast.parse(
        "def f():\n    from msrn.report import html\n    import msrn.losses\nfrom msrn.data.views import x\n"
    )
    known = {"msrn.report.html", "msrn.losses", "msrn.data.views", "msrn.data"}
    assert imports(tree, known) == {"msrn.report.html", "msrn.losses", "msrn.data.views"}


def test_the_top_is_seen_at_a_glance():
    assert len([path for path in PACKAGE.iterdir() if path.name != "__pycache__"]) <= 27


def test_modules_stay_small():
    long = {file.name: len(file.read_text().splitlines()) for file in PACKAGE.rglob("*.py") if file.name not in KERNELS}
    assert not {name: lines for name, lines in long.items() if lines > 300}
    for folder, most in LINES.items():
        assert sum(len(file.read_text().splitlines()) for file in (PACKAGE / folder).glob("*.py")) <= most, folder


def test_tests_mirror_the_package():
    """A test lies where what it tests lies; fixtures come from conftest, not from imports."""
    here = ROOT / "tests"
    others = {"support", "benchmarks", "corpus", "faults", "scripts", "__pycache__"}
    for folder in [
        path for path in here.rglob("*") if path.is_dir() and not others & set(path.relative_to(here).parts)
    ]:
        assert (PACKAGE / folder.relative_to(here)).is_dir(), folder
    wrong = re.compile("noqa" + ": F811")
    assert not [file for file in here.rglob("*.py") if wrong.search(file.read_text())]


def test_a_training_image_passes_through_twelve_modules_at_most():
    """From the collection to the loss, in a pose step and a shape step with compensation: the modules whose functions
    are handed tensors or arrays. Numba's kernels are compiled, so no profiler sees them."""
    s = tiny_settings()
    collection = toy_collection()
    images = TrainingImages(collection, toy_candidates(collection, s.candidates), s, "cpu")
    run, passed = Training.start(s, images, 0), {"msrn.data.collection", "msrn.render.numba_kernels"}
    run.network.compensating = True

    def look(frame, event, _) -> None:
        name = frame.f_globals.get("__name__", "")
        if event == "call" and name.startswith("msrn.") and any(map(_holds_pixels, frame.f_locals.values())):
            passed.add(name)

    sys.setprofile(look)
    try:
        for run.step in (0, 1):
            loop.take_step(run, images.inputs(0, run.step))
    finally:
        sys.setprofile(None)
    assert "msrn.losses" in passed and "msrn.network" in passed and len(passed) <= 12, sorted(passed)


def _holds_pixels(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_pixels, value.values()))
    return isinstance(value, torch.Tensor | np.ndarray) or isinstance(value, TrainingImages)

"""The digest of code: what a module reaches by its imports changes it; explanations and addresses do not."""

from pathlib import Path

import pytest
from toy import toy_collection

from msrn.evaluation.score import evaluation_digest
from msrn.store import digest
from msrn.store.digest import code_digest, digest_of
from msrn.training import runs

FILES = {
    "loop.py": "import os\n\nfrom msrn.errors import MsrnError\nfrom msrn.part import shape as form\n"
    "from msrn.part.size import Size\n\n\ndef f(x):\n    return form.g(Size(x))\n",
    "part/__init__.py": "",
    "part/shape.py": "def g(x):\n    from msrn.lazy import h\n\n    return h(x)\n",
    "part/size.py": "class Size:\n    size = 2\n",
    "lazy.py": "def h(x):\n    return x\n",
    "errors.py": "class MsrnError(Exception):\n    number = 1\n",
    "other.py": "from msrn.loop import f\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(digest, "ROOT", tmp_path)
    monkeypatch.setattr(digest, "_digests", {})
    for name, text in FILES.items():
        (tmp_path / "msrn" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "msrn" / name).write_text(text)
    return tmp_path / "msrn"


def anew(module: str = "msrn.loop") -> str:
    digest._digests.clear()
    return code_digest(module)


def test_explanations_do_not_enter(package):
    before = anew()
    (package / "loop.py").write_text(
        FILES["loop.py"].replace("def f(x):", '"""Loop."""\n\ndef f(x):  # one\n    """f."""')
    )
    (package / "part" / "size.py").write_text('class Size:\n    """Class."""\n\n    size = (2)\n    """Attribute."""\n')
    (package / "part" / "notes.txt").write_text("not code")
    assert anew() == before and len(before) == 12


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("loop.py", "def f", "def F"),
        ("loop.py", "shape as form", "size as form"),
        ("loop.py", "import os", "import sys as os"),
        ("part/size.py", "2", "3"),
        ("part/shape.py", "import h", "import k as h"),
        ("lazy.py", "return x", "return 2 * x"),  # two imports away, and asked for by a call alone
    ],
)
def test_code_does_however_deep(package, file, old, new):
    before = anew()
    (package / file).write_text(FILES[file].replace(old, new))
    assert anew() != before


def test_code_that_is_not_imported_does_not(package):
    before, other = anew(), anew("msrn.other")
    (package / "other.py").write_text("from msrn.loop import f as g\n")
    (package / "part" / "new.py").write_text("x = 1\n")
    (package / "errors.py").write_text("class MsrnError(Exception):\n    number = 2\n")  # decides no number
    assert anew() == before and anew("msrn.other") != other


def test_a_file_that_moves_changes_nothing(package):
    before = anew(), anew("msrn.other")
    (package / "late").mkdir()
    for old, new in (("part/size.py", "a_size.py"), ("part/shape.py", "late/shape.py"), ("lazy.py", "late/lazy.py")):
        (package / old).rename(package / new)
    (package / "late" / "shape.py").write_text(FILES["part/shape.py"].replace("msrn.lazy", "msrn.late.lazy"))
    (package / "loop.py").write_text(
        "import os\n\nfrom msrn.a_size import Size\nfrom msrn.errors import MsrnError\n"
        "from msrn.late import shape as form\n" + FILES["loop.py"].partition("Size\n")[2]
    )
    assert (anew(), anew("msrn.other")) == before


def test_of_two_backends_it_matters_which_is_taken_when(package):
    lines = (
        "def f(x):\n    if x:\n        from msrn.{} import g\n    else:\n        from msrn.{} import g\n    return g\n"
    )
    (package / "loop.py").write_text(lines.format("part.shape", "part.size"))
    before = anew()
    (package / "loop.py").write_text(lines.format("part.size", "part.shape"))
    assert anew() != before


def test_imports_for_type_checkers_do_not_enter(package):
    before = anew("msrn.lazy")
    hints = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from msrn.{} import f\n"
    (package / "lazy.py").write_text(hints.format("loop") + FILES["lazy.py"])
    hinted = anew("msrn.lazy")
    (package / "lazy.py").write_text(hints.format("other") + FILES["lazy.py"])
    assert before != hinted == anew("msrn.lazy")


def test_circles_and_relative_imports_are_refused(package):
    (package / "lazy.py").write_text("def h(x):\n    from msrn.loop import f\n")
    with pytest.raises(ImportError, match="each other: msrn.loop -> msrn.part.shape -> msrn.lazy -> msrn.loop"):
        anew("msrn.other")
    (package / "lazy.py").write_text("from .part import shape\n")
    with pytest.raises(ImportError, match="msrn.lazy: an import relative to its place"):
        anew()


def test_texts_that_are_values_enter_and_bodies_of_text_alone_stay_code(package):
    digests = []
    for body in ('"""Only this."""', "pass", 'return "text"', 'return "other"'):
        (package / "lazy.py").write_text(f"def h(x):\n    {body}\n")
        digests.append(anew("msrn.lazy"))
    assert digests[0] == digests[1] and len(set(digests)) == 3


def test_what_decides_a_training(monkeypatch):
    monkeypatch.setattr(digest, "_digests", {})
    code_digest(*runs.WITH_AZIMUTHS)
    reached = {name.removeprefix("msrn.") for name in digest._digests}
    backends = {f"render.{name}_backend" for name in ("numba", "triton", "torch", "pytorch3d")}  # chosen when asked for
    assert (
        reached
        >= {"losses", "memory", "camera", "training.steps", "neighbors.candidates", "data.collection"} | backends
    )
    assert {name.partition(".")[0] for name in reached if "." in name} == {
        "training", "neighbors", "render", "data", "foreground", "network",
    }  # fmt: skip
    monkeypatch.setattr(digest, "_digests", {})
    code_digest("msrn.data.procedural13.template")  # the generated shape that some rows begin with
    template = {name.removeprefix("msrn.") for name in digest._digests}
    data = {name for name in reached if name.startswith("data")}
    assert data == {"data.collection"} | {name for name in template if name.startswith("data")}
    assert not [name for name in data if name.endswith("reader") or "archives" in name or "homeware" in name]
    assert {name for name in reached if name.startswith("foreground")} == {"foreground.encoders"}  # EfficientNet


def test_masks_do_not_follow_the_training_loop(monkeypatch):
    monkeypatch.setattr(digest, "_digests", {})
    code_digest("msrn.foreground.pipeline")
    assert "msrn.foreground.finetune" in digest._digests
    assert not [name for name in digest._digests if name.startswith(("msrn.training", "msrn.render", "msrn.network"))]


def test_scores_do_not_follow_the_training_loop(monkeypatch):
    monkeypatch.setattr(digest, "_digests", {})
    code_digest("msrn.evaluation.protocol", "msrn.evaluation.inference")
    assert "msrn.evaluation.metrics" in digest._digests and "msrn.render.numba_kernels" in digest._digests
    assert not [name for name in digest._digests if name.startswith("msrn.training")]


def test_digest_tells_parts_apart():
    assert digest_of("a", "b") != digest_of("ab") != digest_of(b"ab")
    assert digest_of({"x": 1, "y": 2}) == digest_of({"y": 2, "x": 1})


def test_scores_follow_how_true_shapes_are_sampled(monkeypatch):
    monkeypatch.setattr(digest, "_digests", {})
    evaluation_digest(toy_collection(), 100, "msrn.baselines.lookup")
    assert {f"msrn.data.{name}" for name in ("ground_truth", "outer_surface", "archives.clouds")} <= set(
        digest._digests
    )

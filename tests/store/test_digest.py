"""The digest of code: what it says changes it, how it is explained does not."""

from pathlib import Path

import pytest

from msrn.store import code_digest


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(code_digest, "__file__", str(tmp_path / "source.py"))
    (tmp_path / "part").mkdir()
    (tmp_path / "a.py").write_text("def f(x):\n    return 1\n")
    (tmp_path / "part" / "b.py").write_text("class B:\n    size = 2\n")
    return tmp_path


def digest() -> str:
    code_digest.digest.cache_clear()
    return code_digest.digest(("a.py", "part"))


@pytest.fixture(autouse=True)
def forget():
    yield
    code_digest.digest.cache_clear()


def test_explanations_do_not_enter(package):
    before = digest()
    (package / "a.py").write_text('"""Module."""\n\n\ndef f(x):  # one\n    """Function."""\n\n    return (1)\n')
    (package / "part" / "b.py").write_text('class B:\n    """Class."""\n\n    size = 2\n    """Attribute."""\n')
    (package / "part" / "notes.txt").write_text("not code")
    assert digest() == before and len(before) == 12


@pytest.mark.parametrize("change", ["value", "name", "file", "moved"])
def test_code_does(package, change):
    before = digest()
    if change == "value":
        (package / "part" / "b.py").write_text("class B:\n    size = 3\n")
    elif change == "name":
        (package / "a.py").write_text("def g(x):\n    return 1\n")
    elif change == "file":
        (package / "part" / "c.py").write_text("")
    else:
        (package / "part" / "b.py").rename(package / "part" / "c.py")
    assert digest() != before


def test_texts_that_are_values_enter_and_bodies_of_text_alone_stay_code(package):
    (package / "a.py").write_text('def f():\n    """Only this."""\n')
    empty = digest()
    (package / "a.py").write_text("def f():\n    pass\n")
    assert digest() == empty
    (package / "a.py").write_text('def f():\n    return "text"\n')
    one = digest()
    (package / "a.py").write_text('def f():\n    return "other"\n')
    assert digest() != one

"""What tests of several folders share: an empty cache, and the toy table, made once a module."""

import _pickle
import pickle

import pytest
from toy_table import toy_request, use_toy

from msrn.experiments import runner
from msrn.experiments.paper import TABLES


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_unpickling(monkeypatch):
    """Unpickling raises, and fails the test however the error is caught. torch's reader of weights alone has a class of
    its own, which makes nothing but tensors and plain values."""
    calls = []

    def refuse(*_, **__):
        calls.append("unpickled")
        raise pickle.UnpicklingError("nothing may be unpickled")

    refuser = type("Unpickler", (), {"__init__": refuse})  # a class: torch makes another of it
    for module in (pickle, _pickle):
        for name, other in {"load": refuse, "loads": refuse, "Unpickler": refuser}.items():
            monkeypatch.setattr(module, name, other)
    monkeypatch.setattr(pickle, "_Unpickler", refuser)
    yield calls
    assert not calls


@pytest.fixture
def toy_data(monkeypatch):
    """The toy collection in place of every data set."""
    use_toy(monkeypatch)


@pytest.fixture(scope="module")
def toy_result(tmp_path_factory):
    """Table 8 on the toy collection."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSRN_RUNS", str(tmp_path_factory.mktemp("runs")))
        use_toy(patch)
        yield runner.make(TABLES["table8"], toy_request(), progress=False)

"""What tests of several folders share: an empty cache, and the toy table, made once a module."""

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

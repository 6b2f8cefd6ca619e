"""The toy table for every test that asks for it, made once a module."""

import pytest
from toy_table import toy_features, toy_request, toy_split

from msrn.experiments import ablation


@pytest.fixture
def toy_data(monkeypatch):
    monkeypatch.setattr("msrn.experiments.runner.open_collection", toy_split)
    monkeypatch.setattr("msrn.experiments.runner.extract_features", toy_features)


@pytest.fixture(scope="module")
def toy_result(tmp_path_factory):
    """A finished toy table, made once per module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSRN_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.setattr("msrn.experiments.runner.open_collection", toy_split)
        patch.setattr("msrn.experiments.runner.extract_features", toy_features)
        yield ablation.table8(toy_request(), progress=False)

"""What every test shares: few threads, a folder for runs that is thrown away, and the small profile.

The user's cache of rendered views is left alone, since making it is the expensive part; a test that needs an empty one
sets ``MSRN_CACHE`` itself. Notebooks that nbval executes inherit these variables, which is why this file stands at the
root: ``pytest notebooks`` alone must not train at the laptop's size.
"""

import os
import tempfile

import pytest
import torch


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that tests start: threads that wait would spin
    os.environ.setdefault("MSRN_PROFILE", "smoke")
    if not hasattr(config, "workerinput"):  # the workers of pytest-xdist, beside each other, have the same store
        config.msrn_runs = tempfile.TemporaryDirectory(prefix="msrn-test-runs-")
        os.environ["MSRN_RUNS"] = config.msrn_runs.name


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "msrn_runs"):
        config.msrn_runs.cleanup()

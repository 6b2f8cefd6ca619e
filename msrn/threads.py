"""One number of threads for torch and Numba."""

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch


@contextmanager
def numba_threads() -> Iterator[None]:
    """Run Numba's parallel loops on as many threads as torch has.

    When Numba's pool starts it sets the number of OpenMP threads of the whole process, torch's among them; a training
    would then go on with another number than it began with, and would not repeat its bits when it resumes.
    """
    torchs, numbas = torch.get_num_threads(), numba.get_num_threads()
    numba.set_num_threads(min(torchs, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(numbas)
        if torch.get_num_threads() != torchs:
            torch.set_num_threads(torchs)

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


@contextmanager
def several_threads() -> Iterator[bool]:
    """Whether to run a loop's parallel form, on as many threads as torch has, or its serial one.

    One thread needs no pool, which costs milliseconds to wake on a busy machine and does not survive a fork.
    """
    if min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS) < 2:
        yield False
        return
    with numba_threads():
        yield True

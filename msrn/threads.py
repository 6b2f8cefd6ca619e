"""One number of threads for torch, Numba, and the libraries below NumPy."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numba
import torch
from threadpoolctl import threadpool_limits


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


@contextmanager
def workers(device: str = "cpu") -> Iterator[ThreadPoolExecutor]:
    """On the CPU a worker for each of torch's threads, which computes on that thread alone, elsewhere one.

    Small work is split badly: on two cores, two batches of convolutions side by side take a third of the time of two
    batches one after the other with two threads each, and threads of k-d trees and of BLAS that wait for one another
    keep cores from others. Besides, what is computed is then the same on any number of cores.
    """
    threads = torch.get_num_threads()
    count = threads if torch.device(device).type == "cpu" else 1
    with threadpool_limits(1, user_api="blas"):  # which all threads share
        pool = ThreadPoolExecutor(count, initializer=_compute_alone)
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)


def _compute_alone() -> None:
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="openmp")  # of this thread, in each library

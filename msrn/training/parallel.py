"""Several runs of a table at once, each in a process of its own with its share of the cores.

A step on small images is many small operations, of whose time a second thread saves no more than a third
(``bench_step.py``), so runs side by side, on a thread each, are done sooner than one after the other on all threads. At
most one run more than there are cores is under way: three rows keep two cores busy to the end. Each process takes some
0.8 GB at profile laptop. On a GPU runs follow each other: there a step is one graph that fills the device.

Whether runs go side by side, and on how many threads, depends on the table and the machine alone, not on what is left
to train, so that a run that resumes repeats the bits of an uninterrupted one.
"""

import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import torch
from joblib.externals import loky
from tqdm import tqdm

from msrn.errors import MsrnError
from msrn.store import stopping
from msrn.store.checkpointing import OutOfTime, read_log
from msrn.store.files import write_text

WORTH = 1000  # steps of a whole table; fewer are done before other processes have started
SEMAPHORES = "/dev/shm"  # where Linux keeps them
POLL = 1.0  # seconds between two looks at the logs


class Work(NamedTuple):
    """A run that is waiting to be trained."""

    label: str
    folder: Path  # where it logs
    steps: int
    train: Callable  # without arguments, picklable


def threads_each(runs: int, steps: int, device: str) -> int:
    """Threads of each run of a table of ``runs`` with ``steps`` in all; 0 where they had better follow each other."""
    cores = torch.get_num_threads()
    apart = device == "cpu" and cores > 1 and runs > 1 and steps >= WORTH
    return max(1, cores // runs) if apart else 0


def train(work: Sequence[Work], threads: int, progress: bool = True) -> Iterator[tuple[Path, Any]]:
    """Call the ``train`` of each and yield its folder with what it returned, or with what stopped it, as each is done:
    one that cannot go on stops no other. ``Stopped`` at the end where a signal came, to this process or to one of them:
    then each is saved."""
    if not work:
        return
    if not _semaphores():
        print(f"{SEMAPHORES} is missing or full: {len(work)} runs one after the other", file=sys.stderr, flush=True)
        yield from _in_turn(work, threads)
        return
    at_once = min(len(work), torch.get_num_threads() + 1)
    with tempfile.TemporaryDirectory(prefix="msrn-") as folder, stopping.noted():
        yield from _side_by_side(work, at_once, threads, Path(folder) / "stop", progress)


def _side_by_side(
    work: Sequence[Work], at_once: int, threads: int, stop: Path, progress: bool
) -> Iterator[tuple[Path, Any]]:
    """The file ``stop`` holds the signal that came, for those who wait for no signal."""
    calls = (joblib.delayed(_named)(item.folder, item.label, item.train, os.getpid(), stop) for item in work)
    with joblib.parallel_config("loky", inner_max_num_threads=threads):
        results = joblib.Parallel(at_once, return_as="generator_unordered")(calls)
    stopped = []
    try:
        with _watched(work, at_once, stop, progress):
            for folder, outcome in results:
                if isinstance(outcome, stopping.Stopped):
                    stopped.append(outcome)
                else:
                    yield folder, outcome
        if stopped:
            raise stopping.Stopped("\n".join(map(str, stopped)), stopped[0].number)
    except loky.process_executor.TerminatedWorkerError:
        raise MsrnError(
            f"one of {at_once} training processes was killed, likely for want of memory; run again, and every run goes "
            "on from its last checkpoint (with OMP_NUM_THREADS=1, one after the other)"
        ) from None
    finally:  # so that the memory is free again, and the next processes see the environment as it then is
        loky.get_reusable_executor().shutdown(kill_workers=True)


def _semaphores() -> bool:
    """Whether processes can share semaphores here, without which no other can be given work."""
    try:
        multiprocessing.get_context("spawn").Semaphore(1)
    except (OSError, ImportError):
        return False
    return True


def _in_turn(work: Sequence[Work], threads: int) -> Iterator[tuple[Path, Any]]:
    """The same in this process, on as many threads each, on which the bits depend."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for item in work:
            try:
                yield item.folder, item.train()
            except (MsrnError, OutOfTime) as stopped:
                yield item.folder, stopped
    finally:
        torch.set_num_threads(before)


def _named(folder: Path, label: str, call: Callable[[], Any], parent: int, stop: Path) -> tuple[Path, Any]:
    with stopping.noted(child=True):
        if stop.exists():
            return folder, stopping.Stopped(f"{label}: not begun", int(stop.read_text()))
        threading.Thread(target=_look_at, args=(parent, stop), daemon=True).start()
        try:
            return folder, call()
        except (MsrnError, OutOfTime, stopping.Stopped) as stopped:
            return folder, stopped


def _look_at(parent: int, stop: Path) -> None:
    """End this process when the one that started it was killed, as nobody waits for what it does; and hear of a signal
    that came to that one."""
    while os.getppid() == parent:
        if stop.exists():
            stopping.ask(int(stop.read_text()))
        time.sleep(POLL)
    os._exit(1)


@contextmanager
def _watched(work: Sequence[Work], at_once: int, stop: Path, progress: bool) -> Iterator[None]:
    """One bar over the steps of all runs, moved by what they log; and a signal is passed on."""
    over = threading.Event()
    bar = tqdm(
        total=sum(item.steps for item in work),
        initial=sum(_steps(work)),
        desc=f"{len(work)} runs, {at_once} at once",
        unit="step",
        disable=not progress,
    )

    def watch() -> None:
        while not over.wait(POLL):
            if stopping.asked() and not stop.exists():
                write_text(stop, str(stopping.asked()))
            _show(bar, work)
        _show(bar, work)

    watcher = threading.Thread(target=watch, daemon=True)
    with bar:
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def _steps(work: Sequence[Work]) -> list[int]:
    """How far each run is by its log."""
    logs = [read_log(item.folder) for item in work]
    return [log[-1]["step"] if log else 0 for log in logs]


def _show(bar: tqdm, work: Sequence[Work]) -> None:
    steps = _steps(work)
    going = (pair for pair in zip(work, steps, strict=True) if 0 < pair[1] < pair[0].steps)
    bar.set_postfix_str(", ".join(f"{item.label} {100 * step // item.steps} %" for item, step in going), False)
    bar.update(sum(steps) - bar.n)

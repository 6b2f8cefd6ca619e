"""Runs of a table at once: each in its own process with its own threads, the same bits, nothing lost."""

import os
import signal
import subprocess
import sys
import time

import numba
import pytest
import torch

from msrn import profiles
from msrn.errors import MsrnError
from msrn.experiments import runner
from msrn.experiments.paper import TABLES
from msrn.experiments.runner import Experiment, job_of, outcomes, train
from msrn.store import files
from msrn.training import parallel
from msrn.training.parallel import Work


def threads() -> tuple[int, int]:
    return torch.get_num_threads(), numba.get_num_threads()


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def works(folder, *calls) -> list[Work]:
    return [Work(f"run {i}", folder / str(i), 10, call) for i, call in enumerate(calls)]


@pytest.mark.parametrize(
    ("cores", "runs", "steps", "device", "expected"),
    [
        (2, 3, 15_000, "cpu", 1),
        (8, 3, 15_000, "cpu", 2),
        (8, 9, 45_000, "cpu", 1),
        (2, 3, 60, "cpu", 0),  # done before other processes have started
        (2, 1, 5_000, "cpu", 0),
        (1, 3, 15_000, "cpu", 0),
        (16, 3, 15_000, "cuda", 0),
    ],
)
def test_share_of_the_cores(monkeypatch, cores, runs, steps, device, expected):
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    assert parallel.threads_each(runs, steps, device) == expected


def test_each_has_its_own_process_and_threads(tmp_path, two_cores):
    results = dict(parallel.train(works(tmp_path, threads, os.getpid, threads), 1, progress=False))
    first, second, third = (results[tmp_path / str(i)] for i in range(3))
    assert first == third == (1, 1) and second != os.getpid()


def test_what_stops_one_is_returned(tmp_path, two_cores):
    results = dict(parallel.train(works(tmp_path, fails, threads), 1, progress=False))
    assert isinstance(results[tmp_path / "0"], MsrnError) and results[tmp_path / "1"] == (1, 1)


def test_one_bar_over_all_that_is_logged(tmp_path, two_cores, capsys):
    work = works(tmp_path, threads, threads)
    for item, step in zip(work, (5, 8), strict=True):
        item.folder.mkdir()
        (item.folder / "log.jsonl").write_text(f'{{"step": {step}, "seconds": 1}}\n')
    assert len(list(parallel.train(work, 1))) == 2
    shown = capsys.readouterr().err
    assert "2 runs, 2 at once" in shown and "13/20" in shown and "run 0 50 %, run 1 80 %" in shown


def test_a_killed_process_is_named(tmp_path, two_cores):
    with pytest.raises(MsrnError, match="2 training processes was killed.*goes on from its last checkpoint"):
        list(parallel.train(works(tmp_path, killed, killed), 1, progress=False))


ORPHANS = """
import pathlib, time
from msrn.training import parallel

def train():
    for beat in range(600):
        pathlib.Path("beat").write_text(str(beat))
        time.sleep(0.1)

work = [parallel.Work("run", pathlib.Path("log"), 10, train)] * 2
list(parallel.train(work, 1, progress=False))
"""


def test_killed_itself_it_leaves_nothing_at_work(tmp_path):
    beat = tmp_path / "beat"
    parent = subprocess.Popen([sys.executable, "-c", ORPHANS], cwd=tmp_path)
    while not beat.exists():
        assert parent.poll() is None
        time.sleep(0.2)
    parent.kill()
    parent.wait()
    time.sleep(5 * parallel.POLL)  # of a minute that they would go on
    last = beat.read_text()
    time.sleep(1)
    assert beat.read_text() == last


STOPPED = """
import os, pathlib, time
import torch; torch.set_num_threads(1)
from msrn.store import stopping
from msrn.training import parallel

def train():
    pathlib.Path(f"begun {os.getpid()}").touch()
    for step in range(600):
        time.sleep(0.1)
        if stopping.asked():
            raise stopping.stopped("run", step, 600)

work = [parallel.Work(f"run {i}", pathlib.Path("log"), 10, train) for i in range(3)]
print(list(parallel.train(work, 1, progress=False)))
"""


def test_a_signal_stops_every_run_gently(tmp_path):
    """The one process that it came to tells the others; a run that waits is not begun."""
    parent = subprocess.Popen([sys.executable, "-c", STOPPED], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while len(list(tmp_path.glob("begun *"))) < 2:
        assert parent.poll() is None
        time.sleep(0.2)
    parent.send_signal(signal.SIGTERM)
    said = parent.communicate(timeout=60)[1]
    assert said.count("SIGTERM: the training stops at its next line") == 1
    assert said.count("run: stopped by SIGTERM at step") == 2 and said.count("run 2: not begun") == 1
    assert parent.returncode


@pytest.fixture
def experiment(tmp_path, monkeypatch, two_cores):
    """Table 8 at profile smoke, cut short, as if it were worth several processes."""
    monkeypatch.setattr(parallel, "WORTH", 0)
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "together"))
    request = profiles.resolve("smoke", "homeware", device="cpu", settings={"steps": 6, "eval_points": 100})
    return Experiment(TABLES["table8"], request, progress=False)


def test_runs_are_the_same_bits_and_a_broken_one_stops_no_other(experiment, tmp_path, monkeypatch):
    rows, work_of = experiment.table.rows, runner._work
    breaking = lambda *given: [  # noqa: E731
        work._replace(train=fails) if work.label.startswith(rows[0].name) else work for work in work_of(*given)
    ]
    monkeypatch.setattr(runner, "_work", breaking)
    done = {}
    with pytest.raises(MsrnError, match="not finite"):
        for outcome in outcomes(experiment, [(row, 0) for row in rows]):
            done[outcome.row.name] = outcome
    assert done.keys() == {"w/o NC", "M-SRN"}
    assert all(outcome.run.trained_now and "training 6 steps" in outcome.run.how for outcome in done.values())
    monkeypatch.undo()
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "alone"))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = train(experiment, job_of(experiment, rows[2], 0))
    finally:
        torch.set_num_threads(before)
    together = done["M-SRN"].run
    assert together.folder.name == alone.folder.name and together.folder != alone.folder
    states = [files.find_checkpoint(run.folder)[0]["network"] for run in (together, alone)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def fails() -> None:
    raise MsrnError("the loss is not finite")


def refuse() -> None:
    raise MsrnError("so it goes")


def test_without_semaphores_runs_follow_each_other_on_as_many_threads(tmp_path, monkeypatch, capsys):
    """As where /dev/shm is missing or full."""
    monkeypatch.setattr(parallel, "_semaphores", lambda: False)
    before, seen = torch.get_num_threads(), []
    works_ = works(tmp_path, lambda: seen.append(torch.get_num_threads()) or os.getpid(), refuse, os.getpid)
    first, second, third = (found for _, found in parallel.train(works_, 2, progress=False))
    assert first == third == os.getpid() and isinstance(second, MsrnError) and seen == [2]
    assert torch.get_num_threads() == before
    assert "/dev/shm is missing or full: 3 runs one after the other" in capsys.readouterr().err


def test_semaphores_are_missed_before_work_is_given(monkeypatch):
    assert parallel._semaphores()

    class Full:
        def Semaphore(self, value):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(parallel.multiprocessing, "get_context", lambda kind: Full())
    assert not parallel._semaphores()

"""The run store: found, resumed, trained once; killed at any moment; torn files, full disks, two processes."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
import yaml
from toy import tiny_settings, toy_candidates, toy_collection

from msrn.errors import MsrnError
from msrn.store import checkpointing, files
from msrn.training import runs

TESTS = Path(__file__).parent


@pytest.fixture
def store(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def run_once(seed: int = 0, until: float | None = None, **overrides) -> runs.Run:
    collection = toy_collection()
    s = tiny_settings(**overrides)
    candidates = lambda: toy_candidates(collection, s.candidates)  # noqa: E731
    return runs.train_or_load(s, collection, candidates, seed, "cpu", progress=False, until=until)


def weights(run: runs.Run) -> dict[str, torch.Tensor]:
    return run.network().state_dict()


def same(a: runs.Run, b: runs.Run) -> bool:
    first, second = weights(a), weights(b)
    return all(torch.equal(first[name], second[name]) for name in first)


def steps_of(run: runs.Run) -> list:
    return [{name: value for name, value in record.items() if not name.endswith("seconds")} for record in run.log]


def test_trained_then_reused(store):
    first, second = run_once(), run_once()
    assert first.trained_now and "training 24 steps" in first.how
    assert not second.trained_now and "reused" in second.how and "unchanged" in second.how
    assert first.folder == second.folder and same(first, second)
    assert {file.name for file in first.folder.iterdir()} >= {"params.yaml", "checkpoint.pt", "log.jsonl"}
    assert yaml.safe_load((first.folder / "params.yaml").read_text())["fingerprint"] == "toy"
    assert [record["step"] for record in first.log] == list(range(2, 25, 2))
    assert first.seconds > 0 and first.cpu_seconds > 0 and first.device.startswith("CPU, ")


def test_a_run_begun_before_processor_time_was_logged_has_none(store):
    folder = run_once().folder
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    old = [{key: value for key, value in line.items() if key not in ("cpu_seconds", "digest")} for line in lines]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    assert checkpointing.trim_log(folder, 24) == old[-1] and run_once().cpu_seconds is None


def test_candidates_are_not_asked_for_when_nothing_is_left_to_train(store):
    run_once()
    forbidden = lambda: pytest.fail("candidates were searched again")  # noqa: E731
    assert not runs.train_or_load(tiny_settings(), toy_collection(), forbidden, 0, "cpu", progress=False).trained_now


def test_what_makes_another_run(store):
    name = lambda seed=0, fingerprint="toy", features=(), **more: runs.run_name(  # noqa: E731
        tiny_settings(**more), toy_collection(fingerprint=fingerprint), seed, features
    )
    assert name() == name(eval_points=300) == name(checkpoint_every=8) == name(log_every=4)
    others = name(1), name(fingerprint="other"), name(steps=26), name(neighbor_consistency=False)
    assert len({name(), *others, name(features=("clip", "a")), name(features=("clip", "b"))}) == 7


def test_other_code_of_azimuths_renames_the_runs_that_learn_from_them_alone(monkeypatch):
    ways, known = ("learned", "look-alikes", "known"), runs.code_digest
    name = lambda way: runs.run_name(tiny_settings(azimuths=way), toy_collection(), 0)  # noqa: E731
    before = [name(way) for way in ways]
    changed = lambda *modules: known(*modules) + "changed" * ("msrn.neighbors.azimuths" in modules)  # noqa: E731
    monkeypatch.setattr(runs, "code_digest", changed)
    assert [way for way, old in zip(ways, before, strict=True) if name(way) != old] == ["look-alikes"]


KILLED = textwrap.dedent(
    """
    import signal, sys; sys.path[:0] = {tests!r}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born deaf to it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and those of nohup to this
    import torch; torch.set_num_threads(1)
    import test_runs; from test_runs import run_once
    run_once(**test_runs.LONG)
    """
)
LONG = {"steps": 200, "log_every": 2, "checkpoint_every": 10}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSRN_RUNS", str(tmp_path_factory.mktemp("undisturbed")))
        return run_once(**LONG)


@pytest.mark.parametrize(
    ("kill", "after"), [(signal.SIGKILL, 30), (signal.SIGINT, 60), (signal.SIGTERM, 40), (signal.SIGHUP, 20)]
)
def test_killed_and_resumed_is_bit_equal(store, undisturbed, kill, after):
    script = KILLED.format(tests=[str(TESTS), str(TESTS.parent / "support")])
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not any(len(log.read_text().splitlines()) > after // 2 for log in store.glob("*/log.jsonl")):
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(kill)
    said = process.communicate()[1]
    if kill != signal.SIGKILL:  # it is saved first
        state, last = files.find_checkpoint(next(store.iterdir()))[0], checkpointing.read_log(next(store.iterdir()))[-1]
        assert state["step"] == last["step"] < 200
        assert f"{kill.name}: the training stops at its next line" in said and f"stopped by {kill.name} at step" in said
    resumed = run_once(**LONG)
    assert "resuming" in resumed.how and resumed.trained_now
    assert same(resumed, undisturbed)
    assert steps_of(resumed) == steps_of(undisturbed)


def interrupted(store: Path, monkeypatch, at: int) -> Path:
    """A run folder whose training stopped after the checkpoint at step ``at``."""
    real = files.save_checkpoint

    def stop(state, folder):
        real(state, folder)
        if state["step"] == at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpointing, "save_checkpoint", stop)
        with pytest.raises(KeyboardInterrupt):
            run_once()
    return next(store.iterdir())


def test_a_torn_checkpoint_falls_back_to_the_one_before(store, monkeypatch, tmp_path):
    folder = interrupted(store, monkeypatch, at=16)
    content = (folder / "checkpoint.pt").read_bytes()
    (folder / "checkpoint.pt").write_bytes(content[: len(content) // 2])
    run = run_once()
    assert "resuming" in run.how and "step 12" in run.how and "checkpoint.pt was damaged" in run.how
    assert (folder / "checkpoint.pt.damaged").read_bytes() == content[: len(content) // 2]
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "undisturbed"))
    assert same(run, run_once())


def test_two_torn_checkpoints_are_set_aside_and_the_run_begins_anew(store, monkeypatch, capsys, tmp_path):
    folder = interrupted(store, monkeypatch, at=16)
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        (folder / name).write_bytes(b"torn")
    run = run_once()
    assert "training 24 steps" in run.how and capsys.readouterr().err.count("is damaged") == 2
    assert (folder / "checkpoint.pt.damaged").read_bytes() == b"torn"
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "undisturbed"))
    assert same(run, whole := run_once()) and steps_of(run) == steps_of(whole)


def test_a_checkpoint_with_code_in_it_is_not_executed(store):
    folder = run_once().folder
    torch.save({"step": 24, "evil": os.system}, folder / "checkpoint.pt")
    (folder / "checkpoint.previous.pt").unlink()
    with pytest.raises(MsrnError, match="no checkpoint there can be read"):
        run_once()


def test_a_torn_log_line_is_dropped(store, monkeypatch):
    folder = interrupted(store, monkeypatch, at=16)
    with open(folder / "log.jsonl", "a") as log:
        log.write('{"step": 18, "tot')
    run = run_once()
    assert [record["step"] for record in run.log] == list(range(2, 25, 2))


def test_a_full_disk_is_one_line_and_keeps_the_last_checkpoint(store, monkeypatch):
    folder = interrupted(store, monkeypatch, at=8)
    kept = (folder / "checkpoint.pt").read_bytes()

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(MsrnError, match="no room to write") as caught:
            run_once()
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    assert (folder / "checkpoint.pt").read_bytes() == kept
    assert not list(folder.glob("*.new*"))
    assert run_once().trained_now  # with room again, it goes on


def test_a_folder_that_cannot_be_made_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "file"))
    with pytest.raises(MsrnError, match="cannot write"):
        run_once()


def test_two_processes_share_one_training(store):
    script = (
        KILLED.format(tests=[str(TESTS), str(TESTS.parent / "support")]).replace("run_once(", "run = run_once(")
        + "print(run.trained_now)"
    )
    both = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(process.communicate(timeout=200)[0].strip() for process in both) == ["False", "True"]
    assert len(list(store.iterdir())) == 1


@pytest.mark.parametrize(("encoder", "expected"), [("imagenet", 1), ("small", 2)])
def test_small_operations_have_one_thread(store, monkeypatch, encoder, expected):
    """Where encoders read stored features; whoever asked has its threads back."""
    seen = []
    monkeypatch.setattr(runs, "train", lambda *arguments: seen.append(torch.get_num_threads()))
    monkeypatch.setattr(runs.Training, "start", lambda *arguments: None)
    monkeypatch.setattr(runs, "TrainingImages", lambda *arguments: None)
    monkeypatch.setattr(checkpointing.RunFolder, "begin", lambda *arguments: None)
    torch.set_num_threads(2)
    try:
        run_once(encoder=encoder)
        assert seen == [expected] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_results_are_kept_whole(store):
    run = run_once()
    assert run.result is None
    run.write_result({"cd": 1.0})
    assert run_once().result == {"cd": 1.0}
    (run.folder / "result.json").write_text('{"cd": ')
    assert run.result is None  # torn: measured again


def test_status_lists_runs_without_loading_tensors(store, monkeypatch):
    interrupted(store, monkeypatch, at=8)
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("a checkpoint was loaded"))
    (row,) = runs.list_runs()
    assert (row["step"], row["steps"], row["seed"], row["current"], row["evaluated"]) == (8, 24, 0, True, False)
    assert row["bytes"] > 1000 and json.dumps(row)


def test_out_of_time_stops_at_a_log_line_and_goes_on_from_there(store, monkeypatch, tmp_path):
    with pytest.raises(checkpointing.OutOfTime, match="step 2 of 24"):
        run_once(until=time.monotonic())
    resumed = run_once()
    assert "resuming" in resumed.how and "step 2 of 24" in resumed.how
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "undisturbed"))
    assert same(resumed, run_once())


def test_a_line_after_the_last_checkpoint_is_written_again_as_it_was(store, monkeypatch, tmp_path):
    """Stopped between a line of the log and the checkpoint that is due at it."""
    real, stopped = checkpointing.RunFolder.save, pytest.raises(KeyboardInterrupt)

    def stop(folder, run):
        if run.step == 16:
            raise KeyboardInterrupt
        real(folder, run)

    with monkeypatch.context() as patch, stopped:
        patch.setattr(checkpointing.RunFolder, "save", stop)
        run_once()
    log = checkpointing.read_log(next(store.iterdir()))
    assert log[-1]["step"] == 16 and "step 12 of 24" in (resumed := run_once()).how
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "undisturbed"))
    assert same(resumed, whole := run_once()) and steps_of(resumed) == steps_of(whole)


def test_weights_that_are_no_numbers_never_replace_a_checkpoint(store, monkeypatch):
    folder = interrupted(store, monkeypatch, at=8)
    kept = (folder / "checkpoint.pt").read_bytes()
    real = checkpointing.RunFolder.save

    def poisoned(folder, run):
        if run.step == 12:
            with torch.no_grad():
                run.network.shape_head[0].weight[0, 0] = float("inf")
        real(folder, run)

    monkeypatch.setattr(checkpointing.RunFolder, "save", poisoned)
    with pytest.raises(MsrnError, match="not finite at step 12") as caught:
        run_once()
    assert "\n" not in str(caught.value)
    assert (folder / "checkpoint.pt").read_bytes() == kept


@pytest.mark.parametrize("content", [{"step": 24}, [1, 2]])
def test_a_foreign_checkpoint_counts_as_torn(store, monkeypatch, content):
    folder = interrupted(store, monkeypatch, at=16)
    torch.save(content, folder / "checkpoint.pt")
    assert "checkpoint.pt cannot be read" in run_once().how


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"{a: [", None])
def test_damaged_small_files_are_listed_and_mended(store, damage):
    folder = run_once().folder
    for name in ("params.yaml", "result.json"):
        (folder / name).unlink(missing_ok=True)
        if damage is not None:
            (folder / name).write_bytes(damage)
    with open(folder / "log.jsonl", "ab") as log:
        log.write(b"{}\n\xff\n")
    assert all(not row["readable"] for row in runs.list_runs())
    run = run_once()
    assert not run.trained_now and run.device.startswith("CPU") and run.result is None and len(run.log) == 12
    assert [row["readable"] for row in runs.list_runs()] == [True]

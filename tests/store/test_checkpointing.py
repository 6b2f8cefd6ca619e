"""The driver of trainings by itself, with one that only counts; test_runs.py kills and tears real ones."""

import time
from pathlib import Path

import pytest
import torch

from msrn.errors import MsrnError
from msrn.store import checkpointing
from msrn.store.checkpointing import Pace

CONTENT = {"settings": {"steps": 6}, "seed": 0, "code": "1", "device": "CPU"}


class Counter:
    """A training whose only weight is its step."""

    def __init__(self, steps: int):
        self.network, self.step, self.steps = torch.nn.Linear(1, 1), 0, steps

    def state(self) -> dict:
        return {"network": self.network.state_dict(), "optimizer": {}, "step": self.step}

    def restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.step = state["step"]

    def records(self, every: int):
        while self.step < self.steps:
            self.step = min(self.steps, self.step + every)
            self.network.weight.data.fill_(float(self.step))
            yield {"step": self.step, "total": 1.0 / self.step}


def count(folder: Path, steps: int = 6, until: float | None = None, **more) -> tuple[str, bool]:
    def begin():
        counter = Counter(steps)
        return counter, counter.records(2)

    return checkpointing.complete(folder, CONTENT, Pace(steps, 2, 4), begin, "counting", until=until, **more)


def test_nothing_is_begun_when_nothing_is_left(tmp_path, capsys):
    how, now = count(tmp_path / "run")
    assert now and "counting: no run run" in how and how in capsys.readouterr().err
    forbidden = lambda: pytest.fail("begun again")  # noqa: E731
    how, now = checkpointing.complete(tmp_path / "run", CONTENT, Pace(6, 2, 4), forbidden, "counting")
    assert not now and "reused run" in how
    assert not capsys.readouterr().err


def test_records_need_a_total_and_nothing_more(tmp_path, capsys):
    count(tmp_path)
    assert "loss 0.167" in capsys.readouterr().err
    assert checkpointing._shown({"total": 0.5, "mask_iou": 0.25}) == "loss 0.500, IoU 0.25"
    assert [line.keys() for line in checkpointing.read_log(tmp_path)] == [
        {"step", "total", "seconds", "cpu_seconds"}
    ] * 3


def test_checkpoints_come_in_their_intervals_and_at_the_end(tmp_path, monkeypatch):
    saved, real = [], checkpointing.save_checkpoint
    monkeypatch.setattr(
        checkpointing, "save_checkpoint", lambda state, to: [saved.append(state["step"]), real(state, to)]
    )
    count(tmp_path, steps=13, progress=False)
    assert saved == [4, 8, 12, 13]


def test_time_is_kept_across_interruptions(tmp_path):
    with pytest.raises(checkpointing.OutOfTime, match="counting: out of time at step 2 of 6"):
        count(tmp_path, until=time.monotonic() - 1, progress=False)
    before = checkpointing.read_log(tmp_path)[-1]["seconds"]
    assert "resuming" in count(tmp_path, progress=False)[0]
    log = checkpointing.read_log(tmp_path)
    assert [line["step"] for line in log] == [2, 4, 6] and log[-1]["seconds"] >= before


def test_out_of_time_at_the_last_step_is_finished(tmp_path):
    assert count(tmp_path, steps=2, until=time.monotonic() - 1, progress=False)[1]


def test_params_are_written_before_training_and_again_when_damaged(tmp_path):
    def refuse():
        raise MsrnError("no data")

    with pytest.raises(MsrnError, match="no data"):
        checkpointing.complete(tmp_path, CONTENT, Pace(6, 2, 4), refuse, "counting")
    assert checkpointing.params_of(tmp_path) == CONTENT and checkpointing.read_log(tmp_path) == []
    (tmp_path / "params.yaml").write_text("seed: [")
    count(tmp_path, progress=False)
    assert checkpointing.params_of(tmp_path) == CONTENT

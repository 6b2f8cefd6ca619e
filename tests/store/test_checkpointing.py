"""The folder of a training, with one that only counts; test_runs.py kills and tears real ones."""

import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock, Timeout

from msrn.errors import MsrnError
from msrn.store import checkpointing
from msrn.store.checkpointing import RunFolder, opened, summarise

CONTENT = {"settings": {"steps": 6}, "seed": 0, "code": "1", "device": "CPU"}


class Counter:
    """A training whose only weight is its step."""

    def __init__(self):
        self.network, self.step = torch.nn.Linear(1, 1), 0

    def state(self) -> dict:
        return {"network": self.network.state_dict(), "optimizer": {}, "step": self.step}

    def restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.step = state["step"]


def count(path: Path, steps: int = 6, until: float | None = None, progress: bool = True) -> RunFolder:
    """Count to ``steps``: a line every 2 steps, a checkpoint every 4 and at the end, as the loops of trainings do."""
    content = {**CONTENT, "settings": {"steps": steps}}
    with opened(path, content, "counting", progress, until) as folder:
        if not folder.finished:
            folder.begin(counter := Counter())
            while counter.step < steps:
                counter.step = min(steps, counter.step + 2)
                counter.network.weight.data.fill_(float(counter.step))
                folder.write(counter.step, {"total": 1.0 / counter.step})
                over = folder.is_over and counter.step < steps
                if counter.step % 4 == 0 or counter.step == steps or over:
                    folder.save(counter)
                if over:
                    raise folder.ended(counter.step)
    return folder


def test_nothing_is_begun_when_nothing_is_left(tmp_path, capsys):
    first = count(tmp_path / "run")
    assert not first.finished and "counting: no run run" in first.how and first.how in capsys.readouterr().err
    again = count(tmp_path / "run")
    assert again.finished and "reused run" in again.how
    assert not capsys.readouterr().err


def test_records_need_a_total_and_nothing_more(tmp_path, capsys):
    count(tmp_path)
    assert "loss 0.167" in capsys.readouterr().err
    assert [line.keys() for line in checkpointing.read_log(tmp_path)] == [
        {"step", "total", "seconds", "cpu_seconds"}
    ] * 3


def test_the_bar_says_how_well_masks_fit_where_that_is_known(tmp_path, capsys):
    with opened(tmp_path, CONTENT, "counting") as folder:
        folder.begin(Counter())
        folder.write(6, {"total": 0.5, "mask_iou": 0.25})
    assert "6/6" in (shown := capsys.readouterr().err) and "loss 0.500, IoU 0.25" in shown


def test_means_are_over_the_steps_that_had_a_term():
    steps = [{"total": torch.tensor(1.0), "pose": torch.tensor([1.0, 2.0])}, {"total": torch.tensor(3)}]
    assert summarise(steps, 2) == {"total": 2.0, "pose": [1.0, 2.0]}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_term_that_was_no_number_in_any_step_is_named(bad):
    steps = [{"total": torch.tensor(value), "rgb": torch.tensor([0.0, value])} for value in (1.0, bad, 1.0)]
    with pytest.raises(MsrnError, match=r"not finite before step 7 \(term: rgb\)"):
        summarise(steps, 7)
    with pytest.raises(MsrnError, match=r"not finite before step 7 \(term: total\)"):
        summarise([{"total": one["total"]} for one in steps], 7)


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
    assert "resuming" in count(tmp_path, progress=False).how
    log = checkpointing.read_log(tmp_path)
    assert [line["step"] for line in log] == [2, 4, 6] and log[-1]["seconds"] >= before


def test_out_of_time_at_the_last_step_is_finished(tmp_path):
    assert not count(tmp_path, steps=2, until=time.monotonic() - 1, progress=False).finished
    assert count(tmp_path, steps=2).finished


def test_params_are_written_before_training_and_again_when_damaged(tmp_path):
    with pytest.raises(MsrnError, match="no data"), opened(tmp_path, CONTENT, "counting"):
        raise MsrnError("no data")
    assert checkpointing.params_of(tmp_path) == CONTENT and checkpointing.read_log(tmp_path) == []
    (tmp_path / "params.yaml").write_text("seed: [")
    count(tmp_path, progress=False)
    assert checkpointing.params_of(tmp_path) == CONTENT


def test_the_folder_is_held_until_it_is_left(tmp_path):
    with opened(tmp_path, CONTENT, "counting"), pytest.raises(Timeout):
        FileLock(tmp_path / "lock").acquire(timeout=0)
    with FileLock(tmp_path / "lock").acquire(timeout=0):
        pass


def test_a_checkpoint_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(MsrnError, match="its checkpoint is gone; delete that folder and run again"):
        checkpointing.load_state(tmp_path)


def test_a_process_may_be_kept_from_long_trainings(tmp_path, monkeypatch):
    """A training of more steps is refused before anything is done, and one that is finished is loaded."""
    path = tmp_path / "run"
    monkeypatch.setenv("MSRN_MOST_STEPS", "5")
    with pytest.raises(MsrnError, match="counting: 6 steps are not trained yet, and MSRN_MOST_STEPS allows 5"):
        count(path)
    assert not path.exists()
    monkeypatch.setenv("MSRN_MOST_STEPS", "6")
    assert not count(path, progress=False).finished
    monkeypatch.setenv("MSRN_MOST_STEPS", "0")
    assert count(path, progress=False).finished
    monkeypatch.setenv("MSRN_MOST_STEPS", "few")
    with pytest.raises(MsrnError, match="MSRN_MOST_STEPS = 'few': expected a whole number"):
        count(path)

"""Recorded masks: what a row holds and what is kept. How they are shown is tested in report/test_mask_table.py."""

from dataclasses import replace

import numpy as np
import pytest
from raw_toy import Coarse, raw_request, raw_split, use_raw_toy
from toy_table import toy_split

from msrn import paths
from msrn.errors import MsrnError
from msrn.evaluation import masks
from msrn.experiments import record as recording
from msrn.store import results

COARSE, REFINED, PRINTED = "off-the-shelf", "M-SRN", "Eq. 18 as printed"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    use_raw_toy(monkeypatch, tmp_path)
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    return tmp_path / "results" / "masks"


def lines(only=(COARSE, REFINED, PRINTED), seconds=600.0, **asked) -> list[str]:
    return list(recording.record_masks(raw_request(**asked), seconds, progress=False, only=only))


def of_row(name):
    return next(record for record in results.recorded("masks") if record.variant == name)


def test_rows_are_kept_once(folder):
    assert [line.endswith("written") for line in lines(seeds=(0, 1))] == [True] * 5  # off-the-shelf once
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert all("unchanged" in line for line in lines(seeds=(0, 1)))
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("*.json")} and len(before) == 5


def test_the_numbers_are_those_of_the_masks(folder):
    lines(only=(COARSE, PRINTED), cue_threshold=0.0)
    coarse, printed = of_row(COARSE), of_row(PRINTED)
    test = raw_split("raw toy", "test")
    true = test.true_masks()
    given = (test.images < 255).any(1)
    given[:, :, :2] = True
    iou = (given & true).sum((1, 2)) / (given | true).sum((1, 2))
    ids = np.unique(test.object_id)
    expected = [iou[test.object_id == name].mean() for name in ids]
    assert coarse.objects["object_id"] == ids.tolist() and coarse.objects["iou"] == pytest.approx(expected, abs=1e-5)
    assert coarse.metrics["recall"] == 1 and coarse.curves == {} and not coarse.trained and coarse.kind == "masks"
    assert printed.objects["iou"] == coarse.objects["iou"]  # a threshold of 0 removes nothing
    assert printed.metrics["removed_rightly"] == printed.metrics["removed_wrongly"] == 0
    at = dict(zip(printed.curves["threshold"], printed.curves["test"], strict=True))
    assert at[0] == pytest.approx(coarse.metrics["iou"], abs=1e-5)
    assert printed.metrics["iou_oracle"] >= max(printed.curves["test"]) - 1e-5
    best = int(np.argmax(printed.curves["val"]))
    assert printed.metrics["iou_best_on_val"] == pytest.approx(printed.curves["test"][best], abs=1e-5)
    assert printed.metrics["cues_per_second"] > 0 and printed.train_seconds > 0 and len(printed.settings) < 25


def test_data_without_val_have_no_best_threshold(folder, monkeypatch):
    monkeypatch.setattr(masks, "WITHOUT_VAL", ("raw toy",))
    lines(only=(PRINTED,))
    printed = of_row(PRINTED)
    assert printed.curves["val"] == [] and len(printed.curves["test"]) == len(printed.curves["threshold"])
    assert "iou_best_on_val" not in printed.metrics and "iou_oracle" in printed.metrics


def test_time_over_goes_on(folder):
    assert lines(only=(REFINED, PRINTED), seconds=0)[-1] == "out of time: the same command goes on"
    assert len(list(folder.glob("*.json"))) == 1
    assert ["unchanged" in line for line in lines(only=(REFINED, PRINTED))] == [True, False]


def test_data_that_come_with_masks_are_refused(folder, monkeypatch):
    monkeypatch.setattr(masks, "open_collection", toy_split)
    with pytest.raises(MsrnError, match="comes with masks: choose one without"):
        lines()


def test_photographs_without_truth_are_refused_before_any_work(folder, monkeypatch):
    untrue = lambda name, split, root: replace(raw_split(name, split), _true_masks=None)  # noqa: E731
    monkeypatch.setattr(masks, "open_collection", untrue)
    monkeypatch.setattr(recording, "Foreground", lambda *a: pytest.fail("work was begun"))
    with pytest.raises(MsrnError, match="has no true masks"):
        lines()


def test_a_log_that_is_gone_is_named(folder):
    lines(only=(REFINED,))
    [log] = paths.runs_folder().glob("*foreground*/log.jsonl")
    log.unlink()
    next(folder.glob("*.json")).unlink()
    with pytest.raises(MsrnError, match=r"its log\.jsonl is gone; delete that folder"):
        lines(only=(REFINED,))


def test_ccam_is_recorded_once_a_seed_and_asks_no_saliency(folder, monkeypatch):
    monkeypatch.setattr(Coarse, "maps", lambda *given, **named: pytest.fail("U2-Net was asked"))
    assert [line.endswith("written") for line in lines(only=("CCAM",), seeds=(0, 1))] == [True, True]
    assert all("unchanged" in line for line in lines(only=("CCAM",), seeds=(0, 1)))
    made, true = of_row("CCAM"), raw_split("raw toy", "test").true_masks()
    assert made.masks == "class-agnostic activation maps of efficientnet-lite0" and made.trained
    assert made.curves["test"][0] == pytest.approx(true.mean((1, 2)).mean(), rel=0.05)  # at 0 it is all of the image
    assert 0 < made.metrics["removed_rightly"] < 1 and made.metrics["iou"] > made.curves["test"][0]


def test_unknown_rows_are_refused(folder):
    with pytest.raises(MsrnError, match=r"unknown row 'M-SNR' of masks \(did you mean M-SRN\?\)"):
        lines(only=("M-SNR",))


def test_a_torn_record_is_named(folder):
    folder.mkdir(parents=True)
    (folder / "a.json").write_text('{"row"')
    with pytest.raises(MsrnError, match=r"a\.json: not readable as JSON"):
        results.recorded("masks")

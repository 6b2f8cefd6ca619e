"""Recorded mask quality: what a row holds, what is kept, how rows compare and what the tables say of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from raw_toy import raw_request, raw_split, use_raw_toy
from shown import tables_of
from toy_table import toy_split

from msrn import paths
from msrn.errors import MsrnError
from msrn.evaluation import masks as mask_quality
from msrn.evaluation.masks import COARSE, PRINTED, PRINTED_WITHOUT, REFINED, WITHOUT, MaskRecord
from msrn.report import mask_pictures, mask_table


@pytest.fixture
def results(tmp_path, monkeypatch):
    use_raw_toy(monkeypatch, tmp_path)
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    return tmp_path / "results" / "masks"


def lines(only=(COARSE, REFINED, PRINTED), seconds=600.0, **asked) -> list[str]:
    return list(mask_quality.record(raw_request(**asked), seconds, progress=False, only=only))


def test_rows_are_kept_once(results):
    said = lines(seeds=(0, 1))
    assert [line.endswith("written") for line in said] == [True] * 5  # off-the-shelf once, the others by seed
    before = {path: path.stat().st_mtime_ns for path in results.glob("*.json")}
    assert all("unchanged" in line for line in lines(seeds=(0, 1)))
    assert before == {path: path.stat().st_mtime_ns for path in results.glob("*.json")} and len(before) == 5


def test_the_numbers_are_those_of_the_masks(results):
    lines(only=(COARSE, PRINTED), cue_threshold=0.0)
    coarse, printed = (next(r for r in mask_quality.recorded() if r.row == name) for name in (COARSE, PRINTED))
    test = raw_split("raw toy", "test")
    true = test.true_masks()
    masks = (test.images < 255).any(1)
    masks[:, :, :2] = True
    iou = (masks & true).sum((1, 2)) / (masks | true).sum((1, 2))
    ids = np.unique(test.object_id)
    expected = [iou[test.object_id == name].mean() for name in ids]
    assert coarse.objects["object_id"] == ids.tolist() and coarse.objects["iou"] == pytest.approx(expected, abs=1e-5)
    assert coarse.metrics["recall"] == 1 and coarse.thresholds == {} and coarse.images_per_second == 0
    assert printed.objects["iou"] == coarse.objects["iou"]  # a threshold of 0 removes nothing
    assert printed.metrics["removed_rightly"] == printed.metrics["removed_wrongly"] == 0
    at = dict(zip(printed.thresholds["value"], printed.thresholds["test"], strict=True))
    assert at[0] == pytest.approx(coarse.metrics["iou"], abs=1e-5)
    assert printed.metrics["iou_oracle"] >= max(printed.thresholds["test"]) - 1e-5
    best = int(np.argmax(printed.thresholds["val"]))
    assert printed.metrics["iou_best_on_val"] == pytest.approx(printed.thresholds["test"][best], abs=1e-5)
    assert printed.images_per_second > 0 and printed.tune_seconds > 0 and len(printed.settings) < 25


def test_data_without_val_have_no_best_threshold(results, monkeypatch):
    monkeypatch.setattr(mask_quality, "WITHOUT_VAL", ("raw toy",))
    lines()
    printed = next(record for record in mask_quality.recorded() if record.row == PRINTED)
    assert printed.thresholds["val"] == [] and len(printed.thresholds["test"]) == len(printed.thresholds["value"])
    assert "iou_best_on_val" not in printed.metrics and "iou_oracle" in printed.metrics
    shown = tables_of(mask_table.quality_html(mask_quality.recorded()))[0]
    assert "–" in next(line for line in shown if line[0].startswith(PRINTED))


def test_time_over_goes_on(results):
    assert lines(only=(REFINED, PRINTED), seconds=0)[-1] == "out of time: the same command goes on"
    assert len(list(results.glob("*.json"))) == 1
    assert ["unchanged" in line for line in lines(only=(REFINED, PRINTED))] == [True, False]


def test_data_that_come_with_masks_are_refused(results, monkeypatch):
    monkeypatch.setattr(mask_quality, "open_collection", toy_split)
    with pytest.raises(MsrnError, match="comes with masks: choose one without"):
        lines()


def test_photographs_without_truth_are_refused_before_any_work(results, monkeypatch):
    untrue = lambda name, split, root: replace(raw_split(name, split), _true_masks=None)  # noqa: E731
    monkeypatch.setattr(mask_quality, "open_collection", untrue)
    monkeypatch.setattr(mask_quality, "Foreground", lambda *a: pytest.fail("work was begun"))
    with pytest.raises(MsrnError, match="has no true masks"):
        lines()


def test_a_log_that_is_gone_is_named(results):
    lines(only=(REFINED,))
    [log] = paths.runs_folder().glob("*foreground*/log.jsonl")
    log.unlink()
    next(results.glob("*.json")).unlink()
    with pytest.raises(MsrnError, match=r"its log\.jsonl is gone; delete that folder"):
        lines(only=(REFINED,))


def test_unknown_rows_are_refused():
    with pytest.raises(MsrnError, match=r"unknown row 'M-SNR' of masks \(did you mean M-SRN\?\)"):
        mask_quality.row("M-SNR")


def test_a_torn_record_is_named(results):
    results.mkdir(parents=True)
    (results / "a.json").write_text('{"row"')
    with pytest.raises(MsrnError, match=r"a\.json: key"):
        mask_quality.recorded()


def made(row: str, iou, seed: int = 0, **changes) -> MaskRecord:
    columns = ("iou", "precision", "recall", "boundary_f", "removed_rightly", "removed_wrongly")
    columns += ("iou_best_on_val", "iou_oracle")
    values = {
        "row": row, "seed": seed, "dataset": "d", "fingerprint": "f", "profile": "laptop", "settings": {},
        "saliency": "U2-Net-p", "metrics": {name: float(np.mean(iou)) for name in columns},
        "objects": {"object_id": list("abcd"), "category": list("1122"), **{name: list(iou) for name in columns}},
        "thresholds": {} if row == COARSE else {"value": [0.0, 0.4], "val": [0.5, 0.6], "test": [0.5, 0.55]},
        "n_images": 8, "evaluation": "e", "device": "CPU", "tune_seconds": 60.0, "tune_cpu_seconds": 50.0,
        "images_per_second": 0.0 if row == COARSE else 20.0, "commit": "c", "dirty": False, "packages": {},
        "created": "now",
    }  # fmt: skip
    return MaskRecord(**{**values, **changes})


LOW, HIGH = (0.5, 0.6, 0.7, 0.65), (0.55, 0.66, 0.74, 0.70)


def three(row, iou):
    return [made(row, np.add(iou, 0.001 * seed), seed) for seed in range(3)]


def test_claims_follow_the_rule():
    good = mask_table.conclusions(
        [made(COARSE, LOW), *three(REFINED, HIGH), *three(WITHOUT, LOW), *three(PRINTED, (0.4, 0.5, 0.7, 0.65))]
    )
    assert [": reproduced." in text for text in good] == [False, True, True, False] and "3 of 3 seeds" in good[1]
    assert "Eq. 18 as printed beat the off-the-shelf ones: not reproduced. IoU −0.0" in good[0]
    bad = mask_table.conclusions([made(COARSE, HIGH), *three(REFINED, LOW), *three(WITHOUT, LOW)])
    assert [": not reproduced." in text for text in bad] == [True, True] and "0 of 3 seeds" in bad[0]
    few = mask_table.conclusions([made(COARSE, LOW), made(REFINED, HIGH)])
    assert len(few) == 1 and "not evaluated: needs three seeds" in few[0]
    apart = mask_table.conclusions([made(REFINED, HIGH, 1), made(WITHOUT, LOW, 2)])
    assert apart == ["Refined masks (M-SRN) beat those without L_for: not evaluated, no seed in common."]
    [silent] = mask_table.conclusions(
        [made(COARSE, LOW), *(r.model_copy(update={"profile": "smoke"}) for r in three(REFINED, HIGH))]
    )
    assert "not evaluated at this profile" in silent
    assert mask_table.conclusions([made(COARSE, LOW)]) == []


def removing(row, iou, rightly, wrongly, seed):
    """A record of Eq. 18: what is removed of M_o's false and true pixels, object by object."""
    plain = made(row, iou, seed)
    objects = {**plain.objects, "removed_wrongly": list(wrongly)}
    metrics = {**plain.metrics, "removed_rightly": rightly, "removed_wrongly": float(np.mean(wrongly))}
    return plain.model_copy(update={"objects": objects, "metrics": metrics})


def test_why_eq_18_gains_or_not():
    coarse = made(COARSE, LOW).model_copy(
        update={"metrics": {"iou": 0.6, "precision": 0.75}}
    )  # 0.2 of the union: false
    for wrongly, words in ((0.11, "cannot gain here"), (0.09, "gains here")):
        [why] = [
            text
            for text in mask_table.conclusions([coarse, removing(PRINTED, LOW, 0.5, [wrongly] * 4, 0)])
            if text.startswith("Why")
        ]
        assert words in why and "about 20% is false" in why and "less than 10% of" in why


def test_cues_that_left_the_object_are_named_and_the_rest_is_compared():
    on, off = (0.1, 0.1, 0.1, 0.1), (0.1, 0.1, 0.9, 0.8)
    without = [removing(PRINTED_WITHOUT, LOW, 0.5, off if seed == 1 else on, seed) for seed in range(3)]
    better = [removing(PRINTED, np.add(LOW, (0.02, 0.02, 0.04, 0.04)), 0.5, on, seed) for seed in range(3)]
    without[1] = without[1].model_copy(update={"objects": {**without[1].objects, "iou": [0.5, 0.6, 0.0, 0.0]}})
    *_, text = mask_table.conclusions([*better, *without])
    assert "in 2 (seed 1) without L_for, and in no category of any seed with it" in text
    assert "L_for changes IoU by +0.030 [" in text and text.endswith("as printed.")  # what was lost does not count
    *_, text = mask_table.conclusions([*better, *(removing(PRINTED_WITHOUT, LOW, 0.5, on, seed) for seed in range(3))])
    assert text == "With and without L_for, every category's cue stays on the object in every seed."


def test_the_table_shows_every_row_in_order():
    [rows] = tables_of(mask_table.quality_html([*three(REFINED, HIGH), made(COARSE, LOW), *three(PRINTED, LOW)]))
    assert [row[0].split("What")[0].split("As ")[0].split("The ")[0] for row in rows[1:]] == [
        COARSE,
        REFINED,
        PRINTED,
    ]
    coarse, refined = rows[1], rows[2]
    assert coarse[2] == "" and refined[2].startswith("+0.0") and refined[-1] == "0, 1, 2" and "λ 0.4" in refined[-3]
    assert "No masks are recorded yet" in mask_table.quality_html([])
    assert "0.8 core minutes" in mask_table.quality_html(three(REFINED, HIGH))


def test_pictures_have_words(results):
    found = [made(COARSE, LOW), *three(REFINED, HIGH)]
    drawn = mask_pictures.threshold_figure([*found, *three(PRINTED, LOW)]).axes[0]
    assert [line.get_label() for line in drawn.lines] == [REFINED, COARSE]  # Eq. 18 as printed has the same cues
    assert "highest, 0.550, at 0.4" in mask_pictures.threshold_alt(found)
    request = raw_request()
    photographs = mask_quality.Photographs.of(request)
    ours = mask_quality.foreground_of(mask_quality.row(REFINED), 0, request, photographs, progress=False)
    rows = mask_pictures.typical_photographs(photographs.test, ours.saliency)
    assert photographs.test.category[rows].tolist() == [0, 1, 2]
    kept = np.flatnonzero(photographs.test.category != 1)  # a category of one photograph has none for testing
    fewer = replace(
        photographs.test,
        images=photographs.test.images[kept],
        category=photographs.test.category[kept],
        _true_masks=photographs.test.true_masks()[kept],
    )
    assert fewer.category[mask_pictures.typical_photographs(fewer, ours.saliency)].tolist() == [0, 2]
    columns = mask_pictures.columns_of_figure8(ours, ours, photographs.test, rows)
    assert list(columns) == list(mask_pictures.COLUMNS) and all(len(shown) == 3 for shown in columns.values())
    untrue = mask_pictures.columns_of_figure8(ours, ours, replace(photographs.test, _true_masks=None), rows)
    assert list(untrue) == [title for title in mask_pictures.COLUMNS if not title.endswith(mask_pictures.TRUE)]
    assert "IoU" not in mask_pictures.columns_alt(untrue, list("abc"))
    iou = mask_pictures.coarse_iou(photographs.test, ours.saliency)
    assert len(iou) == len(photographs.test) and 0 < iou.min() and iou.max() < 1  # the stripe is false
    assert sum(patch.get_height() for patch in mask_pictures.histogram_figure(iou).axes[0].patches) == len(iou)
    assert f"Mean {iou.mean():.2f}" in mask_pictures.histogram_alt(iou)
    figure = mask_pictures.columns_figure(columns, ["a", "b", "c"])
    assert len(figure.axes) == 21 and "IoU of (c) off-the-shelf: 0." in mask_pictures.columns_alt(columns, list("abc"))
    assert len(mask_pictures.tuning_figure(ours.log).axes) == 6 and "area of the cue" in mask_pictures.tuning_alt(
        ours.log
    )
    assert json.loads(json.dumps(ours.log))[-1]["step"] == 4

"""Table 7 end to end on raw toy photographs: each row sees its own masks, and training leaves empty images out."""

from dataclasses import replace

import pytest
from raw_toy import raw_request, raw_split, use_raw_toy
from toy_table import toy_split

from msrn.data.photo_folder.reader import NoTruth
from msrn.errors import MsrnError
from msrn.experiments import runner
from msrn.experiments.paper import TABLES
from msrn.experiments.record import record_table
from msrn.experiments.runner import Experiment, job_of, jobs_of
from msrn.foreground import cue_check
from msrn.profiles import Request
from msrn.report import breakdown, conclusions, gallery
from msrn.report.results_table import sheet_of
from msrn.report.words import WITHOUT_SHAPES

TABLE7 = TABLES["table7"]
WHOLE, TRUE = TABLE7.row("M-SRN"), TABLE7.row("M-SRN/GT")


def asked(**settings) -> Experiment:
    return Experiment(TABLE7, raw_request(**settings), progress=False)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        use_raw_toy(patch, tmp_path_factory.mktemp("raw"))
        yield runner.make(TABLE7, raw_request(), progress=False)


def test_each_row_names_its_masks(result):
    masks = {outcome.row.name: outcome.record.masks for outcome in result.outcomes}
    assert masks == {
        "M-SRN/OF": "a stripe", "M-SRN/GT": "true masks", "M-SRN": "a stripe, refined by efficientnet-lite0 cues",
    }  # fmt: skip
    assert len({outcome.run.folder for outcome in result.outcomes}) == 3
    assert result.test.masks_from == masks["M-SRN"]


def test_rows_are_of_the_same_photographs(result):
    """Segmented differently, so trained apart, but one group of records."""
    raw = raw_split("raw toy", "test")
    assert {outcome.record.fingerprint for outcome in result.outcomes} == {raw.fingerprint} != {result.test.fingerprint}
    assert {tuple(outcome.record.objects["object_id"]) for outcome in result.outcomes} == {
        tuple(sorted(set(raw.object_id.tolist())))
    }


def test_an_image_without_foreground_is_kept_and_not_trained_on(monkeypatch, tmp_path, capsys):
    use_raw_toy(monkeypatch, tmp_path)
    experiment = asked()
    whole, job = experiment.open("train"), job_of(experiment, TRUE, 0)
    segmented = job.foreground.apply(whole)
    assert len(segmented) == len(whole) and not segmented.masks[0].any() and (segmented.images[0] == 255).all()
    assert len(job.train) == len(whole) - 1 and job.train.masks.any((1, 2)).all()
    assert segmented.fingerprint != job.train.fingerprint
    replace(job.foreground, progress=True).apply(whole)
    assert "no foreground was found in 1 of 60 images (true masks)" in capsys.readouterr().err


def test_a_cue_on_the_background_is_said_before_training_and_again_when_masks_are_loaded(monkeypatch, tmp_path, capsys):
    use_raw_toy(monkeypatch, tmp_path)
    monkeypatch.setattr(cue_check, "by_category", lambda foreground: {"chair": 0.2, "sofa": -0.31})
    for _ in range(2):
        jobs_of(asked(), WHOLE, 0)
        assert "The cue of sofa is no stronger" in capsys.readouterr().err
    jobs_of(asked(), TRUE, 0)  # true masks need no cue
    assert "no stronger" not in capsys.readouterr().err


def test_images_with_masks_need_no_cue(toy_data, monkeypatch):
    monkeypatch.setattr(cue_check, "by_category", lambda foreground: pytest.fail("a cue was fine-tuned"))
    jobs_of(Experiment(TABLES["table8"], raw_request(), progress=False), WHOLE, 0)


def test_again_everything_is_loaded(result):
    outcome = result.outcomes[0]
    with pytest.MonkeyPatch.context() as patch:
        use_raw_toy(patch, outcome.run.folder.parents[1])
        again = runner.make(TABLE7, raw_request(), progress=False)
    assert not any(made.run.trained_now for made in again.outcomes)
    assert again.outcomes[0].record.created == outcome.record.created


def own(monkeypatch, tmp_path) -> Request:
    """Photographs of one's own in place of a data set: no true shapes, poses or masks."""
    use_raw_toy(monkeypatch, tmp_path)
    untrue = lambda *given: replace(raw_split(*given), _truth=NoTruth(tmp_path), _true_masks=None)  # noqa: E731
    monkeypatch.setattr(runner, "open_collection", untrue)
    return replace(raw_request(), dataset="folder")


def test_photographs_of_ones_own_make_what_needs_no_truth(monkeypatch, tmp_path):
    result = runner.make(TABLE7, own(monkeypatch, tmp_path), progress=False)
    assert [outcome.row.name for outcome in result.outcomes] == ["M-SRN/OF", "M-SRN"] and not result.baselines
    for outcome in result.outcomes:
        record = outcome.record
        assert 0 < record.metrics["mask_iou"] <= 1 and "cd" not in record.objects and "pose_m1" not in record.metrics
        assert not record.curves and len(record.objects["mask_iou"]) == record.n_objects == 15
    sheet = sheet_of(result)
    shown = {line.name: line.cells[-1].text for line in sheet.lines}
    assert shown["M-SRN/GT"] == "–" and shown["M-SRN"].startswith("0.") and WITHOUT_SHAPES in sheet.notes
    told = conclusions.conclusions(result)
    assert WITHOUT_SHAPES in told and not any("CD" in text or "Directions" in text for text in told[:2])
    assert "no true shapes" in breakdown.category_table(result).data
    learned = breakdown.learned_table(result).data
    assert "pose" not in learned and "M-SRN/GT" not in learned
    picture = gallery.objects_picture(result, gallery.typical_objects(result))
    assert "nan" not in picture.alt and "truth" not in picture.alt


@pytest.mark.parametrize("make", (runner.make, lambda *given, **how: [*record_table(*given, 60, **how)]))
def test_where_distances_are_asked_for_such_photographs_are_refused_before_any_work(monkeypatch, tmp_path, make):
    request, table = own(monkeypatch, tmp_path), TABLES["table8"] if make is runner.make else TABLE7
    with pytest.raises(MsrnError, match="there are no true shapes or poses to measure against"):
        make(table, request, progress=False)
    assert not list((tmp_path / "runs").glob("*"))


def test_data_with_masks_are_refused(monkeypatch, tmp_path):
    use_raw_toy(monkeypatch, tmp_path)
    monkeypatch.setattr(runner, "open_collection", toy_split)
    with pytest.raises(MsrnError, match="Table 7 is about masks, which raw toy comes with: choose photographs with"):
        runner.make(TABLE7, raw_request(), progress=False)
    blind = lambda *given: replace(toy_split(*given), masks=None)  # noqa: E731
    monkeypatch.setattr(runner, "open_collection", blind)
    with pytest.raises(MsrnError, match="Table 7 has a row with true masks, of which raw toy has none: choose"):
        runner.make(TABLE7, raw_request(), progress=False)


def test_settings_of_the_foreground_reach_the_network_by_its_images_alone(monkeypatch, tmp_path):
    use_raw_toy(monkeypatch, tmp_path)
    one, other = asked(), asked(refinement="remove", cue_threshold=0.2)
    prints = [job_of(experiment, WHOLE, seed).train.fingerprint for experiment in (one, other) for seed in (0, 1)]
    assert len(set(prints)) == 4
    of_truth = [job_of(experiment, TRUE, seed).train.fingerprint for experiment in (one, other) for seed in (0, 1)]
    assert len(set(of_truth)) == 1

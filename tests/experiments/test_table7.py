"""Table 7 end to end on raw toy photographs: each row sees its own masks, and training leaves empty images out."""

from dataclasses import replace

import pytest
from raw_toy import raw_request, raw_split, use_raw_toy
from toy_table import toy_split

from msrn.data.photo_folder.reader import NoTruth
from msrn.errors import MsrnError
from msrn.experiments import ablation, paper
from msrn.experiments.runner import Bench, suited
from msrn.experiments.table import TABLE7
from msrn.foreground import cue_check
from msrn.profiles import Request
from msrn.report import conclusions, results_table


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        use_raw_toy(patch, tmp_path_factory.mktemp("raw"))
        yield ablation.table7(raw_request(), progress=False)


def test_each_row_names_its_masks(table):
    said = {outcome.variant.name: outcome.record.masks for outcome in table.outcomes}
    assert said == {
        "M-SRN/OF": "a stripe", "M-SRN/GT": "true masks", "M-SRN": "a stripe, refined by efficientnet-lite0 cues",
    }  # fmt: skip
    assert len({outcome.run.folder for outcome in table.outcomes}) == 3
    assert table.test.masks_from == said["M-SRN"]


def test_rows_are_of_the_same_photographs(table):
    """Segmented differently, so trained apart, but one group of records."""
    raw = raw_split("raw toy", "test")
    assert {outcome.record.fingerprint for outcome in table.outcomes} == {raw.fingerprint} != {table.test.fingerprint}
    assert {tuple(outcome.record.objects["object_id"]) for outcome in table.outcomes} == {
        tuple(sorted(set(raw.object_id.tolist())))
    }


def test_an_image_without_foreground_is_kept_and_not_trained_on(table, monkeypatch, tmp_path, capsys):
    use_raw_toy(monkeypatch, tmp_path)
    bench = Bench("table7", raw_request(), progress=False)
    under = bench.under(TABLE7[1], 0)  # true masks
    assert len(under.whole) == len(bench.whole) and not under.whole.masks[0].any()
    assert len(under.train) == len(bench.whole) - 1 and under.train.masks.any((1, 2)).all()
    assert under.rows.tolist() == list(range(1, len(bench.whole)))
    assert (under.whole.images[0] == 255).all() and under.whole.fingerprint != under.train.fingerprint
    loud = replace(bench.foreground(TABLE7[1], 0), progress=True)
    loud.apply(bench.whole)
    assert "no foreground was found in 1 of 60 images (true masks)" in capsys.readouterr().err


def test_a_cue_on_the_background_is_said_before_training_and_again_when_masks_are_loaded(monkeypatch, tmp_path, capsys):
    use_raw_toy(monkeypatch, tmp_path)
    monkeypatch.setattr(cue_check, "by_category", lambda foreground: {"chair": 0.2, "sofa": -0.31})
    row = TABLE7[2]
    assert row.name == "M-SRN"
    for _ in range(2):
        bench = Bench("table7", raw_request(), progress=False)
        bench.under(row, 0)
        assert "for sofa -0.31: look at them" in capsys.readouterr().err
    bench.under(TABLE7[1], 0)  # true masks need no cue
    assert "look at them" not in capsys.readouterr().err


def test_the_table_says_what_the_paper_claims(table):
    text = results_table.table_text(table, "notebooks/table7_foreground_masks.ipynb")
    assert text.startswith("Table 7 on raw toy") and "12 categories of Pascal3D+" in text
    for printed in ("3.62", "3.25", "3.41", "0.164", "0.186", "0.173"):
        assert printed in text
    assert "not evaluated: needs three seeds" in text


def test_again_everything_is_loaded(table, monkeypatch):
    outcome = table.outcomes[0]
    with pytest.MonkeyPatch.context() as patch:
        use_raw_toy(patch, outcome.run.folder.parents[1])
        again = ablation.table7(raw_request(), progress=False)
    assert again.trained_now == 0 and again.outcomes[0].record.created == outcome.record.created


def test_photographs_without_true_shapes_are_refused_before_any_work(monkeypatch, tmp_path):
    use_raw_toy(monkeypatch, tmp_path)
    untrue = lambda *asked: replace(raw_split(*asked), _truth=NoTruth(tmp_path))  # noqa: E731
    monkeypatch.setattr("msrn.experiments.runner.open_collection", untrue)
    with pytest.raises(MsrnError, match="there are no true shapes or poses to measure against"):
        Bench("table7", raw_request(), progress=False)


def test_data_with_masks_are_replaced_loudly(capsys):
    request = Request("smoke", "homeware", None, (0,), "cpu", raw_request().settings)
    assert suited("table7", request).dataset == "homeware-wild-2"
    assert "homeware-wild-2 instead" in capsys.readouterr().err
    for name, dataset in (("table8", "homeware"), ("table7", "folder"), ("study", "homeware")):
        asked = replace(request, dataset=dataset)
        assert suited(name, asked) is asked
    assert not capsys.readouterr().err
    with pytest.raises(MsrnError, match="Table 7 is about masks, which shapenet comes with"):
        suited("table7", replace(request, dataset="shapenet", data_root="/nowhere"))


def test_other_data_with_masks_are_refused(monkeypatch, tmp_path):
    use_raw_toy(monkeypatch, tmp_path)
    monkeypatch.setattr("msrn.experiments.runner.open_collection", toy_split)
    with pytest.raises(MsrnError, match="Table 7 is about masks, which raw toy comes with: choose photographs with"):
        ablation.table7(raw_request(), progress=False)
    blind = lambda *asked: replace(toy_split(*asked), masks=None)  # noqa: E731
    monkeypatch.setattr("msrn.experiments.runner.open_collection", blind)
    with pytest.raises(MsrnError, match="Table 7 has a row with true masks, of which raw toy has none: choose"):
        ablation.table7(raw_request(), progress=False)


def test_settings_of_the_foreground_reach_the_network_by_its_images_alone(monkeypatch, tmp_path):
    use_raw_toy(monkeypatch, tmp_path)
    bench = Bench("table7", raw_request(), progress=False)
    other = Bench("table7", raw_request(refinement="remove"), progress=False)
    row = TABLE7[2]
    assert bench.under(row, 0).train.fingerprint != other.under(row, 0).train.fingerprint
    assert bench.under(row, 0).train.fingerprint != bench.under(row, 1).train.fingerprint  # other cues
    of_truth = [made.under(TABLE7[1], seed).train.fingerprint for made in (bench, other) for seed in (0, 1)]
    assert len(set(of_truth)) == 1


def test_recorded_conclusions_say_which_row_is_better_than_which():
    said = " ".join(conclusions.recorded_conclusions(paper.recorded("table7")))
    assert ": M-SRN better than M-SRN/OF: " in said and "; M-SRN/GT better than M-SRN: " in said

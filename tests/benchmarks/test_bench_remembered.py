"""The benchmark of remembered codes runs, and encoding anew changes what is chosen and nothing else."""

import json
from unittest.mock import patch

import bench_remembered
import numpy as np
import pytest
import torch
from toy import tiny_settings, toy_collection

from msrn.neighbors import selection
from msrn.training import steps
from msrn.training.batches import TrainingImages
from msrn.training.state import Training


@pytest.fixture
def run_and_inputs():
    """A training whose remembered codes of all images are wrong, and what its next shape step reads."""
    s = tiny_settings(neighbor_prototypes=2, stage_switch=0)
    collection = toy_collection()
    drawn = np.random.default_rng(0).integers(len(collection), size=(len(collection), s.candidates))
    images = TrainingImages(collection, drawn, s, "cpu")
    run = Training.start(s, images, seed=0)
    run.network.open_codes(True)
    torch.manual_seed(0)
    run.codes.normal_()
    run.codes_valid.fill_(True)
    values, valid = run.network.get_prototypes("neighbor_prototypes")
    values.normal_()
    valid.fill_(True)
    return run, images.inputs(0, 1)


def test_neighbours_are_chosen_by_new_codes_and_the_remembered_ones_stay(run_and_inputs):
    run, inputs = run_and_inputs
    encoded, before = bench_remembered.EncodedCandidates(), run.codes.clone()
    code = bench_remembered.encode(run, inputs)
    prototypes = run.network.get_prototypes("neighbor_prototypes")
    own = torch.randn(len(inputs["rows"]), code.shape[-1])
    made = encoded(run, own, torch.ones(len(own), dtype=torch.bool), inputs, 0)
    chosen, by_memory = (
        selection.select(own, inputs["category"], z, *prototypes) for z in (code, before[inputs["candidate_rows"]])
    )
    assert float(made.count) == pytest.approx(float(chosen.sum(1).float().mean())) and not chosen.equal(by_memory)
    assert encoded.agreement() == pytest.approx(float((chosen == by_memory).float().mean()))
    assert encoded.agreement() is None  # asked twice in a row
    assert run.codes.equal(before) and run.codes_valid.all()


def test_codes_just_remembered_choose_alike(run_and_inputs):
    run, inputs = run_and_inputs
    run.codes[inputs["candidate_rows"]] = bench_remembered.encode(run, inputs)
    encoded, known = bench_remembered.EncodedCandidates(), torch.ones(len(inputs["rows"]), dtype=torch.bool)
    code = run.codes[inputs["rows"]]
    kept = steps.draw_neighbors(run, code, known, inputs, 1)
    with patch.object(steps, "draw_neighbors", encoded):
        anew = steps.draw_neighbors(run, code, known, inputs, 1)
    assert anew.rows.equal(kept.rows) and anew.share.equal(kept.share) and encoded.agreement() == 1


def test_it_runs_at_profile_smoke(tmp_path, capsys):
    file = tmp_path / "remembered.json"
    bench_remembered.main(f"--profile smoke --dataset homeware --domains 2 --json {file}".split())
    report = json.loads(file.read_text())
    count = len(report["steps"])
    begun = [share is not None for share in report["agreement"]]
    assert begun.index(True) == [step > report["stage_switch"] for step in report["steps"]].index(True)
    for curves in report["curves"].values():
        assert {len(curve) for curve in curves.values()} == {count} and curves["neighbor"][-1] > 0
    first = [curves["mask_iou"][: begun.index(True)] for curves in report["curves"].values()]
    assert first[0] == first[1]  # the same weights, batches and draws
    assert min(report["processor_seconds"].values()) > 0 and set(report["val_difference"]) == {"cd", "f"}
    assert "codes agree on" in capsys.readouterr().out

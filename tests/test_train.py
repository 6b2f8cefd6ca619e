"""The training loop: what it may read, stages, determinism, the two kinds of step, and how it stops."""

import dataclasses

import numpy as np
import pytest
import torch
from toy import tiny_settings, toy_candidates, toy_collection

from msrn import train as training
from msrn.errors import MsrnError
from msrn.train import Training, TrainingImages, train


def start(s, seed: int = 0, collection=None):
    collection = collection or toy_collection()
    images = TrainingImages(collection, toy_candidates(collection, s.candidates), s, "cpu")
    return Training.start(s, len(collection.categories), seed, "cpu"), images


def finish(s, seed: int = 0):
    run, images = start(s, seed)
    return run, list(train(run, images, s))


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    s = tiny_settings()
    (first, log), (second, again), (other, _) = finish(s), finish(s), finish(s, seed=1)
    assert same(first.network.state_dict(), second.network.state_dict())
    assert log == again
    assert not same(first.network.state_dict(), other.network.state_dict())


@pytest.mark.parametrize("stop", [2, 8, 14, 22])
def test_resumed_from_any_log_line_is_bit_equal(stop, tmp_path):
    s = tiny_settings()
    whole, log = finish(s)
    run, images = start(s)
    records = []
    for record in train(run, images, s):
        records.append(record)
        if run.step == stop:
            break
    torch.save(run.state(), tmp_path / "state.pt")
    resumed, images = start(s, seed=0)
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    records += list(train(resumed, images, s))
    assert same(whole.network.state_dict(), resumed.network.state_dict())
    assert records == log


def test_training_learns_and_logs_what_it_promises():
    s = tiny_settings(steps=120, stage_switch=40, log_every=20, checkpoint_every=20)
    _, log = finish(s)
    assert [record["step"] for record in log] == list(range(20, 121, 20))
    assert log[-1]["mask_iou"] > log[0]["mask_iou"]
    assert log[-1]["bce"] < log[0]["bce"]
    for name in ("rgb", "bce", "affinity", "normal", "laplacian", "pose_prior", "total", "mask_iou", "pose_histogram"):
        assert name in log[0]
    for name in ("neighbor", "n_re", "accepted"):
        assert name not in log[0] and name in log[-1]
    assert len(log[0]["pose_histogram"]) == s.pose_candidates
    assert sum(log[0]["pose_histogram"]) == pytest.approx(1)


def test_nothing_on_the_training_path_reads_a_pose_or_a_mesh():
    """Only the five arrays of §4.3 exist here; anything else that training asked for would be an attribute error."""
    whole = toy_collection()  # its truth raises when it is read

    @dataclasses.dataclass(frozen=True)
    class Visible:
        name = "toy"
        split = "train"
        images, masks, category, object_id = whole.images, whole.masks, whole.category, whole.object_id
        categories, fingerprint = whole.categories, whole.fingerprint

    s = tiny_settings()
    run, _ = start(s)
    images = TrainingImages(Visible(), toy_candidates(whole, s.candidates), s, "cpu")
    assert list(train(run, images, s))
    with pytest.raises(AssertionError, match="true poses"):
        whole.true_pose()
    with pytest.raises(AssertionError, match="true mesh"):
        whole.ground_truth("ball/0")


def test_a_pose_step_moves_poses_only_and_a_shape_step_the_rest():
    s = tiny_settings(stage_switch=0, feature_compensation=False)
    run, images = start(s)
    pose_branch = ("pose_encoder", "probability_head", "angle_head", "translation_head")
    stepper = train(run, images, s.model_copy(update={"log_every": 1}))
    for step in range(4):
        before = {name: weight.detach().clone() for name, weight in run.network.named_parameters()}
        next(stepper)
        moved = {name.split(".")[0] for name, w in run.network.named_parameters() if not torch.equal(w, before[name])}
        if step % 2 == 0:
            assert moved <= set(pose_branch) and moved
        else:
            assert not moved & set(pose_branch) and "shape_decoder" in moved and "texture_decoder" in moved


def test_stages():
    s = tiny_settings(steps=40, stage_switch=8, decay_at=0.5)
    run, images = start(s)
    for _ in train(run, images, s):
        at = run.step - 1  # the step that was just made
        assert run.network.open_codes == (at >= 8)
        if at < max(8, images.steps_per_epoch):
            assert not run.network.compensating
        assert run.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * (0.2 if at >= 20 else 1))
    assert run.network.compensating
    assert run.network.prototypes_valid.any(1).all()
    assert run.network.bank.filled.min() > 0


def test_variants_leave_their_part_out():
    without_fc, _ = finish(tiny_settings(feature_compensation=False))
    assert not without_fc.network.compensating
    _, log = finish(tiny_settings(neighbor_consistency=False))
    assert all("neighbor" not in record for record in log)


def test_no_neighbour_at_all_costs_nothing(monkeypatch):
    monkeypatch.setattr(
        training.neighbors, "select", lambda z, c, candidates, *p: torch.zeros(candidates.shape[:2], dtype=torch.bool)
    )
    _, log = finish(tiny_settings())
    assert log[-1]["neighbor"] == 0 and log[-1]["n_re"] == 0
    assert np.isfinite(log[-1]["total"])


def test_an_epoch_sees_every_image_once():
    s = tiny_settings(batch_size=12)
    _, images = start(s)
    epochs = [np.concatenate([images.indices(0, e * 5 + i) for i in range(5)]) for e in range(2)]
    for rows in epochs:
        assert sorted(rows) == list(range(60))
    assert not np.array_equal(*epochs)


def test_images_are_averaged_to_the_size_that_is_asked_for():
    collection = toy_collection(size=32)
    _, images = start(tiny_settings(image_size=16), collection=collection)
    batch = images.batch(np.array([3, 0]))
    expected = collection.images[[3, 0]].reshape(2, 3, 16, 2, 16, 2).mean((3, 5)) / 255
    np.testing.assert_allclose(batch.image.numpy(), expected, atol=1e-6)
    share = collection.masks[[3, 0]].reshape(2, 16, 2, 16, 2).mean((2, 4))
    np.testing.assert_array_equal(batch.mask.numpy(), share > 0.5)


def test_a_nan_stops_at_its_step_and_names_its_term(monkeypatch):
    real, calls = training.losses.laplacian, []

    def poisoned(vertices, faces):
        calls.append(1)
        return real(vertices, faces) * (float("nan") if len(calls) == 3 else 1)

    monkeypatch.setattr(training.losses, "laplacian", poisoned)
    s = tiny_settings(log_every=1)
    run, images = start(s)
    with pytest.raises(MsrnError, match=r"not finite at step 5 \(term: laplacian\)") as caught:
        list(train(run, images, s))
    assert "\n" not in str(caught.value)
    assert run.step == 5
    assert all(torch.isfinite(weight).all() for weight in run.network.parameters())


def test_bad_collections_are_refused():
    whole = toy_collection()
    with pytest.raises(MsrnError, match=r"batch_size = 100.*only 60 images"):
        start(tiny_settings(batch_size=100))
    with pytest.raises(MsrnError, match="no masks"):
        start(tiny_settings(), collection=dataclasses.replace(whole, masks=None))
    with pytest.raises(MsrnError, match="prototypes"):
        start(tiny_settings(prototypes=21))

"""The training loop: what it may read, stages, determinism, the two kinds of step, and how it stops."""

import collections
import dataclasses
import itertools

import numpy as np
import pytest
import torch
from log_lines import LogLines
from toy import tiny_settings, toy_candidates, toy_collection

from msrn import camera, losses
from msrn.errors import MsrnError
from msrn.neighbors import selection
from msrn.render import soft_rasterize
from msrn.store.plain_settings import IMAGES_ALONE, MULTIPLEX
from msrn.training import batches, loop, steps
from msrn.training.batches import TrainingImages, has_neighbors, is_pose_step, prepare
from msrn.training.loop import train
from msrn.training.state import Training


def start(s, seed: int = 0, collection=None):
    collection = collection or toy_collection()
    images = TrainingImages(collection, toy_candidates(collection, s.candidates), s, "cpu")
    return Training.start(s, images, seed), images


def finish(s, seed: int = 0):
    run, images = start(s, seed)
    train(run, images, log := LogLines())
    return run, log


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    s = tiny_settings()
    (first, log), (second, again), (other, _) = finish(s), finish(s), finish(s, seed=1)
    assert same(first.network.state_dict(), second.network.state_dict())
    assert log == again
    assert not same(first.network.state_dict(), other.network.state_dict())


def test_noise_in_the_bank_is_of_the_seed_too():
    s = tiny_settings(memory_fill_first=False)
    first, again, other = (start(s, seed)[0].network.bank.values for seed in (0, 0, 1))
    assert first.any() and torch.equal(first, again) and not torch.equal(first, other)


def test_a_training_that_moves_to_another_device_keeps_what_is_of_the_device():
    run, _ = start(tiny_settings())
    state = run.state()
    state["optimizer"]["param_groups"][0]["capturable"] = True  # as a GPU leaves it, for steps recorded as a graph
    run.restore(state)
    assert run.optimizer.param_groups[0]["capturable"] is False


class Stop(Exception):
    pass


@pytest.mark.parametrize("stop", [2, 8, 14, 22])
@pytest.mark.parametrize(
    "changed", [{}, {"pose_shape": "neighbor"}, {"batches": "groups", "batch_size": 8}, IMAGES_ALONE, MULTIPLEX]
)
def test_resumed_from_any_log_line_is_bit_equal(stop, changed, tmp_path):
    s = tiny_settings(**changed)
    whole, log = finish(s)
    run, images = start(s)

    def interrupt():
        if run.step == stop:
            raise Stop

    with pytest.raises(Stop):
        train(run, images, first := LogLines(interrupt))
    torch.save(run.state(), tmp_path / "state.pt")
    resumed, images = start(s, seed=0)
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    train(resumed, images, rest := LogLines())
    assert same(whole.network.state_dict(), resumed.network.state_dict())
    assert first + rest == log


@pytest.mark.parametrize("batch_size", [6, 1])  # epochs of 10 steps, and of 60, in the middle of which the switch is
def test_lines_of_the_log_decide_nothing_but_the_log(batch_size):
    s = tiny_settings(steps=64, batch_size=batch_size)
    (often, many), (seldom, few) = finish(s), finish(s.model_copy(update={"log_every": 16}))
    assert same(often.network.state_dict(), seldom.network.state_dict()) and often.network.compensating
    assert len(many) == 32 and [line["step"] for line in few] == [16, 32, 48, 64]
    whole = [line["total"] for line in many[8:16]]
    assert few[1]["total"] == pytest.approx(np.mean(whole), rel=1e-4)


def test_when_prototypes_are_made(monkeypatch):
    """At the switch (8), at epochs (of 60), and every 50 steps of the switch's epoch while a category has none."""
    seen, real = [], loop.purify
    s = tiny_settings(steps=130, batch_size=1)
    run, images = start(s)
    monkeypatch.setattr(loop, "purify", lambda *given, seed: [seen.append(run.step), real(*given, seed)])
    train(run, images, LogLines())
    assert seen == [8, 50, 60, 120]
    monkeypatch.setattr(loop, "LOOK_EVERY", 20)
    seen.clear()
    run, images = start(s)
    train(run, images, LogLines())
    assert seen == [8, 20, 60, 120]  # content with what it saw at 20
    seen.clear()
    run, images = start(s.model_copy(update={"stage_switch": 70, "shape_confidence": 1.0}))  # nothing is accepted
    train(run, images, LogLines())
    assert seen == [70, 80, 100, 120] and not run.network.compensating


@pytest.mark.parametrize(
    ("log_every", "saved"), [(2, [4, 8, 12, 16, 20, 23]), (3, [6, 9, 12, 18, 21, 23]), (8, [8, 16, 23]), (99, [23])]
)
def test_checkpoints_come_at_the_first_line_since_they_were_due_and_at_the_end(log_every, saved):
    run, images = start(tiny_settings(steps=23).model_copy(update={"log_every": log_every, "checkpoint_every": 4}))
    log, steps = LogLines(), []
    log.save = lambda run: steps.append(run.step)
    train(run, images, log)
    assert steps == saved and log[-1]["step"] == 23


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
    train(run, images, log := LogLines())
    assert log
    with pytest.raises(AssertionError, match="true poses"):
        whole.true_pose()
    with pytest.raises(AssertionError, match="true mesh"):
        whole.ground_truth("ball/0")


def test_a_pose_step_moves_poses_only_and_a_shape_step_the_rest():
    s = tiny_settings(steps=4, stage_switch=0, feature_compensation=False)
    run, images = start(s.model_copy(update={"log_every": 1}))
    pose_branch = ("pose_encoder", "probability_head", "angle_head", "translation_head")
    weights = lambda: {name: weight.detach().clone() for name, weight in run.network.named_parameters()}  # noqa: E731
    before = [weights()]
    train(run, images, LogLines(lambda: before.append(weights())))
    for step, (old, new) in enumerate(itertools.pairwise(before)):
        moved = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
        if step % 2 == 0:
            assert moved <= set(pose_branch) and moved
        else:
            assert not moved & set(pose_branch) and "shape_decoder" in moved and "texture_decoder" in moved


def test_what_pose_steps_may_add():
    name, s = "azimuth_prior", tiny_settings(azimuth_prior_weight=0.1, log_every=1, checkpoint_every=1)
    for record in finish(s)[1]:
        expected = record.get("pose_expected", 0) + s.pose_prior_weight * record.get("pose_prior", 0)
        if record["step"] % 2:
            assert record["total"] == pytest.approx(expected + 0.1 * record[name])
        else:
            assert name not in record
    assert not any(name in record for record in finish(tiny_settings())[1])


def test_stages():
    s = tiny_settings(steps=40, stage_switch=8, decay_at=0.5)
    run, images = start(s)

    def check():
        at = run.step - 1  # the step that was just made
        live = [s.small_shape_code, s.small_texture_code] if at < 8 else [s.shape_code, s.texture_code]
        assert [run.network.live_shape.sum(), run.network.live_texture.sum()] == live
        if at < max(8, images.steps_per_epoch):
            assert not run.network.compensating
        assert run.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * (0.2 if at >= 20 else 1))

    train(run, images, log := LogLines(check))
    assert len(log) == 20 and run.network.compensating
    assert run.network.prototypes_valid.any(1).all()
    assert run.network.bank.filled.min() > 0


def test_variants_leave_their_part_out():
    without_fc, _ = finish(tiny_settings(feature_compensation=False))
    assert not without_fc.network.compensating
    _, log = finish(tiny_settings(neighbor_consistency=False))
    assert all("neighbor" not in record for record in log)


def test_no_neighbour_at_all_costs_nothing(monkeypatch):
    monkeypatch.setattr(
        selection, "select", lambda z, c, candidates, *p: torch.zeros(candidates.shape[:2], dtype=torch.bool)
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


def test_batches_of_groups_hold_four_categories_at_most():
    collection = toy_collection()  # 3 categories of 20 images: 6 groups of 3 images each
    _, images = start(tiny_settings(batch_size=12, batches="groups"), collection=collection)
    assert images.steps_per_epoch == 3 * 6 // 4
    epochs = [
        [images.indices(0, e * images.steps_per_epoch + i) for i in range(images.steps_per_epoch)] for e in (0, 1)
    ]
    for epoch in epochs:
        rows = np.concatenate(epoch)
        assert len(rows) == len(set(rows)) == 48
        groups = [collection.category[group] for batch in epoch for group in batch.reshape(4, 3)]
        assert all(len(set(group)) == 1 for group in groups)
        assert any(len(set(collection.category[batch])) > 1 for batch in epoch)
    assert not np.array_equal(*map(np.concatenate, epochs))


@pytest.mark.parametrize("size", [32, 16])
def test_images_are_averaged_to_the_size_that_is_asked_for(size):
    collection = toy_collection(size=32)
    rows = np.array([3, 0])
    stored = torch.from_numpy(collection.images[rows]), torch.from_numpy(collection.masks[rows])
    batch = prepare(*stored, torch.zeros(2), size)
    # Every stored pixel is repeated size times along both sides; then equal blocks are averaged.
    repeated = [x.repeat(size, -2).repeat(size, -1) for x in (collection.images[rows] / 255, collection.masks[rows])]
    image, share = (x.reshape(*x.shape[:-2], size, 32, size, 32).mean((-3, -1)) for x in repeated)
    np.testing.assert_allclose(batch.image.numpy(), image, atol=1e-6)
    np.testing.assert_array_equal(batch.mask.numpy(), share > 0.5)


def test_reading_ahead_gives_the_inputs_of_every_step_in_turn(monkeypatch):
    """What a CUDA device gets, with the copies to it left out."""
    s = tiny_settings(stage_switch=4, batch_size=12)
    _, images = start(s)
    expected = [images.inputs(0, step) for step in range(3, 13)]
    assert ["draw" in inputs for inputs in expected] == [False, False] + [True, False] * 4
    monkeypatch.setattr(images, "device", "elsewhere")
    monkeypatch.setattr(images, "_pinned", images.inputs)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *a, **k: tensor)
    for inputs, wanted in zip(images.stream(0, 3), expected, strict=False):
        assert same(inputs, wanted)


def test_remembered_codes_are_those_of_the_last_batch_since_the_switch():
    s = tiny_settings(stage_switch=4, steps=9, log_every=1, checkpoint_every=1)
    run, images = start(s)
    train(run, images, LogLines())
    seen = {int(row): step for step in range(4, 9) for row in images.indices(0, step)}
    assert set(run.codes_valid.nonzero()[:, 0].tolist()) == set(seen)
    last = images.indices(0, 8)  # a pose step: the weights of the shape branch are still those it was made with
    batch = prepare(*(images.inputs(0, 8)[name] for name in ("image", "mask", "category")), s.image_size)
    with torch.no_grad():
        code = run.network.encode_shape(batch.image)[0]
    torch.testing.assert_close(run.codes[last], code)


def test_a_nan_stops_at_the_next_log_line_and_names_its_term(monkeypatch):
    real, calls = losses.laplacian, []

    def poisoned(vertices, faces):
        calls.append(1)
        return real(vertices, faces) * (float("nan") if len(calls) == 3 else 1)

    monkeypatch.setattr(losses, "laplacian", poisoned)
    run, images = start(tiny_settings(log_every=2))
    with pytest.raises(MsrnError, match=r"not finite before step 6 \(term: laplacian\)") as caught:
        train(run, images, log := LogLines())
    assert "\n" not in str(caught.value)
    assert [line["step"] for line in log] == [2, 4]


def test_bad_collections_are_refused():
    whole = toy_collection()
    with pytest.raises(MsrnError, match=r"batch_size = 100.*only 60 images"):
        start(tiny_settings(batch_size=100))
    with pytest.raises(MsrnError, match="'ball' has 3 training.*a quarter.*batch_size = 16: lower.*at most 12, or"):
        few = dataclasses.replace(whole, category=np.repeat([0, 1, 2], [3, 28, 29]))
        TrainingImages(few, None, tiny_settings(batch_size=16, batches="groups"), "cpu")
    with pytest.raises(MsrnError, match="batches = 'groups': 18 training images fill no batch of 4 groups"):
        TrainingImages(toy_collection(3, 2), None, tiny_settings(batch_size=16, batches="groups"), "cpu")
    with pytest.raises(MsrnError, match="no masks"):
        start(tiny_settings(), collection=dataclasses.replace(whole, masks=None))
    with pytest.raises(MsrnError, match="'ball' has 20 training images, fewer.*prototypes = 21.*at most 20, add"):
        start(tiny_settings(prototypes=21, memory_slots=32))


@pytest.mark.parametrize("whose, supervised", [("neighbor", False), ("own", True)])
def test_neighbours_supervise_the_own_axis_scale_alone(whose, supervised):
    run, images = start(tiny_settings(neighbor_scale=whose, axis_scale=0.5))
    train(run, images, LogLines())
    step = next(i for i in range(run.step) if has_neighbors(i, run.settings))
    inputs = images.inputs(run.seed, step)
    shape = run.network.shape(prepare(inputs["image"], inputs["mask"], inputs["category"], 16).image)
    run.network.zero_grad(set_to_none=True)
    _, views = steps.neighbor_views(run, shape, inputs)
    steps.render_and_compare(run.network, views)[0]["total"].sum().backward()
    moved = [weight.grad is not None and bool(weight.grad.any()) for weight in run.network.scale_head.parameters()]
    assert any(moved) == supervised
    assert any(weight.grad is not None and bool(weight.grad.any()) for weight in run.network.shape_head.parameters())


def trained(kind, **changed):
    """A training at its end and the inputs of a ``kind`` of step that draws neighbours."""
    run, images = start(tiny_settings(**changed))
    train(run, images, LogLines())
    s = run.settings
    step = next(i for i in range(run.step) if has_neighbors(i, s) and is_pose_step(i, s) == (kind == "pose"))
    return run, images.inputs(run.seed, step)


def test_poses_may_be_judged_on_the_shapes_of_neighbours():
    run, inputs = trained("pose", pose_shape="neighbor")
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], 16)
    shape, rows = steps.shape_for_poses(run, batch, inputs)
    assert all(row in of for row, of in zip(rows, inputs["candidate_rows"], strict=True))
    collection = toy_collection()
    theirs = prepare(*(torch.from_numpy(x[rows]) for x in (collection.images, collection.masks)), batch.category, 16)
    torch.testing.assert_close(shape.code, run.network.shape(theirs.image).code)
    before = run.codes.clone()
    steps.pose_step(run, inputs)
    torch.testing.assert_close(run.codes[rows], shape.code)
    others = np.setdiff1d(np.arange(len(before)), rows)
    assert not torch.equal(before[rows], shape.code) and torch.equal(run.codes[others], before[others])


def test_poses_are_judged_on_the_own_shape_before_the_switch_and_without_neighbours():
    for changed in ({}, {"pose_shape": "neighbor", "neighbor_consistency": False}):
        s = tiny_settings(**changed)
        assert not any(is_pose_step(i, s) and has_neighbors(i, s) for i in range(24))
    for every in (2, 4):
        s = tiny_settings(pose_shape="neighbor", pose_every=every)
        asked = [i for i in range(24) if is_pose_step(i, s) and has_neighbors(i, s)]
        assert asked == list(range(8, 24, every))


def test_an_image_whose_code_is_not_known_yet_has_every_candidate_as_neighbour():
    run, inputs = trained("shape")
    code, known = torch.zeros(6, 4), torch.tensor([True] * 3 + [False] * 3)
    assert steps.draw_neighbors(run, code, ~known & known, inputs, 1).count == 3
    fewer = steps.draw_neighbors(run, code, known, inputs, 0)
    assert (fewer.share[3:] > 0).all() and fewer.rows.shape == (6, 3) and len(fewer.batch.image) == 18


def test_where_the_truth_has_chosen_every_candidate_is_a_neighbour():
    run, inputs = trained("shape", neighbor_filter="known")
    far = torch.full((6, 4), 1e3)  # in whatever domain
    assert steps.draw_neighbors(run, far, torch.ones(6, dtype=torch.bool), inputs, 1).count == 3


def test_the_bank_may_remember_the_mean_over_candidates():
    run, inputs = trained("shape", bank_codes="look-alikes")
    shape = run.network.shape(prepare(inputs["image"], inputs["mask"], inputs["category"], 16).seen)
    rows, code = inputs["candidate_rows"], shape.code.detach()
    for i, found in enumerate(steps.code_for_bank(run, shape, inputs)):
        known = [run.codes[row] for row in rows[i] if run.codes_valid[row]]
        torch.testing.assert_close(found, torch.stack([code[i], *known]).mean(0))
    run.codes_valid[:] = False
    assert torch.equal(steps.code_for_bank(run, shape, inputs), code)
    run, inputs = trained("shape")
    shape = run.network.shape(prepare(inputs["image"], inputs["mask"], inputs["category"], 16).seen)
    assert torch.equal(steps.code_for_bank(run, shape, inputs), shape.code.detach())


# Rows after ShapeClipper and Unicorn


def test_unlike_silhouettes_are_drawn_and_none_is_refused():
    run, inputs = trained("shape", neighbor_filter="silhouettes")
    far = torch.full((6, 4), 1e3)  # in whatever domain
    near = steps.draw_neighbors(run, far, torch.ones(6, dtype=torch.bool), inputs, 1)
    masks = toy_collection().masks
    for rows, row, number, drawn in zip(
        inputs["candidate_rows"], inputs["rows"], inputs["draw"], near.rows, strict=True
    ):
        overlap = [(masks[row] & masks[other]).sum() / (masks[row] | masks[other]).sum() for other in rows]
        arrival = [-np.log(1 - float(u)) / (1 - iou) ** 4 for u, iou in zip(number, overlap, strict=True)]
        assert drawn == rows[np.argmin(arrival)]
    assert near.count == 3 and (near.share == 1).all()


@pytest.mark.parametrize(("memory", "batch_size"), [(20, 6), (4, 6), (1024, 6), (20, 16)])
def test_the_memory_is_first_in_first_out(monkeypatch, memory, batch_size):
    monkeypatch.setattr(batches, "MEMORY", memory)
    _, images = start(tiny_settings(neighbor_filter="views", batch_size=batch_size, stage_switch=5))
    queue = collections.deque(maxlen=memory)
    for step in range(5, 40):
        if step > 5:
            assert images.recent(0, step).tolist() == sorted(set(queue))
        queue.extend(images.indices(0, step).tolist())


def test_a_memory_holds_nothing_at_the_switch_itself():
    s = tiny_settings(neighbor_filter="views", stage_switch=9)
    assert not has_neighbors(9, s) and has_neighbors(11, s) and not has_neighbors(12, s)  # a pose step
    assert has_neighbors(9, s.model_copy(update={"neighbor_filter": "silhouettes"}))


def test_neighbours_from_the_memory_are_read_when_they_are_chosen(monkeypatch):
    monkeypatch.setattr(batches, "MEMORY", 24)
    run, _ = trained("shape", neighbor_filter="views")
    step, collection = 23, toy_collection()
    inputs = run.images.inputs(run.seed, step)
    seen = prepare(inputs["image"], inputs["mask"], inputs["category"], 16).seen
    code = run.network.encode_shape(seen)[0].detach()
    near = steps.draw_neighbors(run, code, torch.ones(6, dtype=torch.bool), inputs, 0)
    recent = run.images.recent(run.seed, step)
    last = {row for at in range(19, 23) for row in run.images.indices(run.seed, at).tolist()}
    assert set(recent) == last and len(recent) < len(collection)
    for i, (row, chosen) in enumerate(zip(inputs["rows"], near.rows, strict=True)):
        others = [one for one in recent if collection.object_id[one] != collection.object_id[row]]
        low = 20 + 32 * int(5 * inputs["draw"][i, 0])
        angle = {one: abs(float((run.azimuths[one] - run.azimuths[row] + 180) % 360 - 180)) for one in others}
        inside = [one for one in others if low <= angle[one] <= low + 32] or others
        assert int(chosen) == min(inside, key=lambda one: float((run.codes[one] - code[i]).square().sum()))
        assert torch.equal(near.batch.image[i], torch.from_numpy(collection.images[int(chosen)] / np.float32(255)))
        assert torch.equal(near.batch.mask[i], torch.from_numpy(collection.masks[int(chosen)].copy()).float())
    assert near.count == 1 and near.share.tolist() == [[1.0]] * 6


def test_remembered_azimuths_are_those_of_the_likeliest_pose():
    other, images = start(tiny_settings(steps=8, log_every=1, checkpoint_every=1))
    train(other, images, LogLines())
    assert other.azimuths.isnan().all()  # nothing asks for them
    run, images = start(tiny_settings(steps=8, log_every=1, checkpoint_every=1, neighbor_filter="views"))
    train(run, images, LogLines())
    seen = {row for step in range(8) for row in images.indices(0, step).tolist()}
    assert set(run.azimuths.isfinite().nonzero()[:, 0].tolist()) == seen
    inputs = images.inputs(0, 7)  # a shape step: the pose branch is still that it was made with
    with torch.no_grad():
        poses = run.network.poses(prepare(inputs["image"], inputs["mask"], inputs["category"], 16).seen)
    likeliest = [float(one[p.argmax()]) for one, p in zip(poses.azimuth, poses.probability, strict=True)]
    np.testing.assert_allclose(run.azimuths[inputs["rows"]].numpy(), likeliest, rtol=1e-5)


def test_by_images_alone_masks_and_categories_reach_no_weight():
    """Other masks and other categories: every weight is the same bit by bit, and nothing is in the bank."""
    s, whole = tiny_settings(**IMAGES_ALONE, steps=16), toy_collection()
    generator = np.random.default_rng(3)
    other = dataclasses.replace(
        whole, masks=generator.random(whole.masks.shape) > 0.5, category=generator.permutation(whole.category)
    )
    made = []
    for collection in (whole, other):
        images = TrainingImages(collection, None, s, "cpu")
        run = Training.start(s, images, 0)
        train(run, images, log := LogLines())
        assert "neighbor" in log[-1] and not {"bce", "affinity", "accepted"} & log[-1].keys()
        made.append(run)
    assert same(*(run.network.state_dict() for run in made))
    assert not made[0].network.bank.filled.any() and not made[0].network.compensating


def test_images_alone_are_compared_by_colours_over_white():
    run, images = start(tiny_settings(**IMAGES_ALONE))
    inputs = images.inputs(0, 1)
    batch = prepare(inputs["image"], inputs["mask"], inputs["category"], 16)
    poses, shape, colors = run.network.poses(batch.seen), run.network.shape(batch.seen), run.network.paint(batch.seen)
    views = steps.Views(shape.vertices, colors, poses.rotation, poses.translation, batch.image, batch.mask)
    terms, _ = steps.render_and_compare(run.network, views)
    assert terms.keys() == {"colors", "total"} and torch.equal(terms["colors"], terms["total"])
    for k in range(run.settings.pose_candidates):
        seen = camera.project(shape.vertices, poses.rotation[:, k], poses.translation[:, k])
        surface, alpha, _ = soft_rasterize(seen, run.network.faces, colors, 16, run.settings.sigma, run.settings.gamma)
        shown = alpha[:, None] * surface + (1 - alpha[:, None])
        expected = [(a - b).square().sum() / (3 * 16 * 16) for a, b in zip(shown, batch.image, strict=True)]
        torch.testing.assert_close(terms["colors"][:, k], torch.stack(expected))


def test_the_perceptual_term_is_added_with_its_weight():
    log = finish(tiny_settings(**IMAGES_ALONE, perceptual_weight=10.0, steps=2, log_every=1, checkpoint_every=1))[1]
    s, line = tiny_settings(), log[1]  # a shape step before the switch
    parts = (
        line["colors"]
        + 10 * line["perceptual"]
        + s.normal_weight * line["normal"]
        + s.laplacian_weight * line["laplacian"]
    )
    assert line["perceptual"] > 0 and line["total"] == pytest.approx(parts, rel=1e-5)

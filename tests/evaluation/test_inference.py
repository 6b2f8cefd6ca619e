"""What networks say of images: meshes of one template and meshes with faces of their own come out alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import tiny_settings, toy_candidates
from toy_table import toy_split

from msrn import camera
from msrn.evaluation import examples, volume
from msrn.evaluation.inference import image_metrics, predict
from msrn.evaluation.protocol import HEADLINE, evaluate_meshes
from msrn.evaluation.score import Label, score_run
from msrn.experiments.paper import TABLES
from msrn.network import MSRN
from msrn.store import meshes
from msrn.store.plain_settings import SIGNED_DISTANCE
from msrn.training import runs

ROWS = np.array([0, 5, 21, 42, 59])


def network(**changed) -> MSRN:
    """One whose every image has another shape."""
    torch.manual_seed(0)
    made, generator = MSRN(tiny_settings(**changed), 3).eval(), torch.Generator().manual_seed(1)
    last = [made.shape_head[-1], made.texture_head[-1]]
    last += [decoder.rest[-1] for decoder in (made.shape_decoder, made.texture_decoder) if hasattr(decoder, "rest")]
    with torch.no_grad():
        for layer in last:
            layer.weight.copy_(0.1 * torch.randn(layer.weight.shape, generator=generator))
    made.open_codes(True)
    return made


@pytest.fixture(scope="module")
def split():
    return toy_split("toy", "test")


def apart(one: MSRN) -> MSRN:
    """The network, but that each mesh has faces of its own, equal to the others', and every second in another order."""
    whole = one.reconstruct

    def reconstruct(stored):
        made = whole(stored)
        own = [mesh._replace(faces=mesh.faces.clone()) for mesh in made.meshes]
        own[::2] = [mesh._replace(faces=mesh.faces.flip(0), colors=mesh.colors.flip(0)) for mesh in own[::2]]
        return replace(made, meshes=own)

    one.reconstruct = reconstruct
    return one


def test_meshes_with_faces_of_their_own_are_measured_as_those_that_share_them(split):
    together, each = predict(network(), split, ROWS), predict(apart(network()), split, ROWS)
    assert len({id(mesh.faces) for mesh in together.meshes}) == 1
    assert len({id(mesh.faces) for mesh in each.meshes}) == len(ROWS)
    np.testing.assert_array_equal(together.mask_iou, each.mask_iou)
    for one, other in zip(together.meshes, each.meshes, strict=True):
        np.testing.assert_array_equal(one.vertices, other.vertices)
    pose, found = split.true_pose()[ROWS], []
    for views in (together, each):
        shapes = views.meshes_in_true_frame(pose)
        found.append(evaluate_meshes(shapes, split, ROWS, 2000, 0).cd[HEADLINE])
        found.append(volume.iou3d(shapes, split, ROWS))
    np.testing.assert_array_equal(found[1], found[3])
    np.testing.assert_allclose(found[0], found[2], rtol=0.1)  # other points are drawn from faces in another order
    np.testing.assert_array_equal(found[0][1::2], found[2][1::2])  # in the same order the same
    taken = each.take([3, 1])
    assert taken.meshes[0] is each.meshes[3] and taken.azimuth.tolist() == each.azimuth[[3, 1]].tolist()


def test_meshes_of_a_batch_are_turned_as_each_alone(split):
    """As when all vertices were turned in one product."""
    views = predict(network(), split, ROWS)
    pose = split.true_pose()[ROWS]
    true = camera.rotation(*torch.from_numpy(pose).unbind(1)).numpy()
    whole = np.stack([mesh.vertices for mesh in views.meshes]) @ views.rotation @ true.transpose(0, 2, 1)
    for (vertices, _), wanted in zip(views.meshes_in_true_frame(pose), whole, strict=True):
        np.testing.assert_array_equal(vertices, wanted)


def test_level_sets_are_predicted_and_their_colours_stay_with_their_faces(split):
    one = network(**SIGNED_DISTANCE)
    views = predict(one, split, ROWS)
    assert len({len(mesh.faces) for mesh in views.meshes}) > 1 and not views.empty.any()
    alone = predict(one, split, ROWS[2:3])
    np.testing.assert_array_equal(alone.meshes[0].faces, views.meshes[2].faces)
    for mesh in views.meshes:
        assert mesh.colors.shape == mesh.faces.shape and mesh.colors.dtype == np.uint8
    assert np.isfinite(views.mask_iou).all() and (views.mask_iou > 0).all()


def test_where_a_level_set_is_empty_it_is_said_and_counted(split, capsys):
    one = network(**SIGNED_DISTANCE)
    every = np.arange(len(split))
    views = predict(one, split, every)
    assert "empty" not in image_metrics(views, split) and image_metrics(views, split, True)["empty"] == 0
    assert not capsys.readouterr().err
    with torch.no_grad():
        one.shape_decoder.rest[-1].bias.fill_(9.0)
    views = predict(one, split, every)
    said = "warning: 60 of 60 images have a signed distance without an inside: the ellipsoid stands in"
    assert said in capsys.readouterr().err
    assert image_metrics(views, split, True)["empty"] == 1
    shapes = views.take(ROWS).meshes_in_true_frame(split.true_pose()[ROWS])
    assert np.isfinite(evaluate_meshes(shapes, split, ROWS, 500, 0).cd[HEADLINE]).all()


@pytest.mark.parametrize(("table", "row"), [("table2", "ShapeClipper"), ("table6", "ShapeClipper")])
def test_a_row_of_signed_distances_is_trained_scored_and_kept(table, row, split, tmp_path, monkeypatch):
    """From a row of a table to its record and to the meshes of a figure."""
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path))
    train, s = toy_split("toy", "train"), TABLES[table].row(row).settings_on(tiny_settings(eval_points=500))
    run = runs.train_or_load(s, train, toy_candidates(train, s.candidates), 0, "cpu", False)
    record = score_run(run, Label(table, row, "toy"), split, False, TABLES[table].metrics)
    assert all(np.isfinite(record.metrics[name]) for name in (*TABLES[table].metrics, "mask_iou", "lost", "pose_m1"))
    assert record.metrics["empty"] == 0 and "empty" in record.units
    kept = examples.meshes_of(run, record, split, record.objects["object_id"][:3])
    assert all(mesh.faces.max() < len(mesh.vertices) for mesh in kept.shapes)
    monkeypatch.setattr("msrn.paths.RESULTS", tmp_path / "results")
    assert meshes.write(kept).endswith(": written")
    again = meshes.read(meshes.recorded()[record.evaluation])
    (vertices, faces), colors = again.of(record.objects["object_id"][1])
    np.testing.assert_array_equal(faces, kept.shapes[1].faces)
    assert len(vertices) == len(kept.shapes[1].vertices) and len(colors) == len(faces)

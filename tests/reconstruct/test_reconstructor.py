"""From a photograph to a mesh: masks, frames and signs, and the same mesh that a table's network makes."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from msrn.data import open_collection
from msrn.foreground.refinement import cut_out
from msrn.network import MSRN
from msrn.network.meshes import plain
from msrn.reconstruct import files, packed
from msrn.reconstruct.packing import looked_at
from msrn.reconstruct.photographs import Photograph
from msrn.reconstruct.reconstructor import Reconstructor, changed, shift
from msrn.render.icosphere import icosphere
from msrn.store.plain_settings import SIGNED_DISTANCE, make_settings

WHOLE = slice(None), slice(None)


def square(mask: np.ndarray | None = None) -> Photograph:
    image = np.full((3, 128, 128), 220, np.uint8)
    image[:, 40:90, 30:80] = np.array([200, 30, 30], np.uint8)[:, None, None]
    return Photograph(image, mask, WHOLE, image.transpose(1, 2, 0), "x")


def test_a_given_mask_is_taken_as_it_is_and_seen_as_in_training(network):
    mask = np.zeros((128, 128), bool)
    mask[40:90, 30:80] = True
    photograph = square(mask)
    [found] = Reconstructor(network)([photograph])
    np.testing.assert_array_equal(found.mask, mask)
    cut = cut_out(photograph.image[None], mask[None], mask[None], 64)
    with torch.inference_mode():
        wanted = network.network.reconstruct(torch.from_numpy(cut.images))
    np.testing.assert_allclose(found.vertices, wanted.meshes[0].vertices.numpy(), atol=1e-6)
    np.testing.assert_allclose(found.corner_colors, wanted.meshes[0].colors.numpy(), atol=1e-6)
    assert found.azimuth == pytest.approx(float(wanted.azimuth[0])) and found.given


def test_nothing_outside_of_the_photograph_is_foreground(network):
    narrow = square()
    narrow = Photograph(narrow.image, None, (slice(0, 128), slice(40, 70)), narrow.shown, "x")
    [found] = Reconstructor(network)([narrow])
    assert not found.mask[:, :40].any() and not found.mask[:, 70:].any()


def test_a_batch_is_its_photographs_one_by_one(network):
    maker = Reconstructor(network)
    mask = np.zeros((128, 128), bool)
    mask[50:80, 40:100] = True
    photographs = [square(), square(mask)]
    for both, alone in zip(maker(photographs), [maker([one])[0] for one in photographs], strict=True):
        np.testing.assert_allclose(both.vertices, alone.vertices, atol=1e-5)
        assert both.signs == pytest.approx(alone.signs, abs=1e-4) and both.category == alone.category


def test_an_empty_mask_is_said_and_still_makes_a_mesh(network):
    [found] = Reconstructor(network)([square(np.zeros((128, 128), bool))])
    assert "no object was found" in found.doubts[0] and np.isfinite(found.vertices).all()


def test_small_changes_move_and_darken_and_keep_white_white():
    image = torch.full((1, 3, 64, 64), 255, dtype=torch.uint8)
    image[:, :, 24:40, 24:40] = 51
    moved = changed(image, 0.25, 0.0, 1.0, 1.0)[0, 0]
    np.testing.assert_allclose(moved[24:40, 32:48], 0.2, atol=1e-5)  # a quarter of half an image: eight pixels
    assert float(moved[0, 0]) == 1
    large = changed(image, 0.0, 0.0, 2.0, 1.0)[0, 0] < 0.5
    assert abs(int(large.sum()) - 32 * 32) <= 130
    dark = changed(image, 0.0, 0.0, 1.0, 0.9)[0, 0]
    assert float(dark[30, 30]) == pytest.approx(0.18, abs=1e-3) and float(dark[0, 0]) == 1


def test_the_category_is_the_perceptron_s_or_without_one_the_nearest_image_s(network, monkeypatch):
    maker = Reconstructor(network)
    scores = torch.zeros(1, 2, 1, 1)
    monkeypatch.setattr(maker.perceptron, "scores", lambda features: scores.expand(len(features), -1, -1, -1))
    for term, name in enumerate(network.categories):
        scores.zero_()[:, term] = 1.0
        assert maker([square()])[0].category == name
    alone = replace(network, perceptron=None)
    nearest = [replace(alone, centre_category=np.full(4, term)) for term in (0, 1)]
    assert [Reconstructor(one)([square()])[0].category for one in nearest] == list(network.categories)


@pytest.mark.slow
def test_every_test_photograph_of_homeware_wild_passes():
    """Small ones, cut ones and crowded ones among them."""
    raw = open_collection("homeware-wild-2", "test")
    found = looked_at(packed.read(packed.SHIPPED), raw, np.arange(len(raw)))
    assert len(found) == len(raw)
    for one in found:
        assert np.isfinite(one.vertices).all() and 0 <= one.confidence <= 1 and one.signs["fit"] >= 0
        assert one.category in raw.categories
        mesh = trimesh.load(io.BytesIO(files.as_glb(one)), file_type="glb", force="mesh")
        np.testing.assert_allclose(mesh.bounds, [one.vertices.min(0), one.vertices.max(0)], atol=1e-6)
    right = np.mean([one.category == raw.categories[term] for one, term in zip(found, raw.category, strict=True)])
    assert right > 0.5  # of six


def test_signed_distances_make_meshes_of_photographs(network):
    """Each with faces of its own, in every kind of file; stable is what moves little, here to the nearest vertex."""
    s = make_settings({**network.settings.model_dump(), **SIGNED_DISTANCE})
    torch.manual_seed(0)
    made = MSRN(s, len(network.categories))
    made.open_codes(True)
    with torch.no_grad():
        made.shape_head[-1].weight.normal_(0, 0.3)
        made.shape_decoder.rest[-1].weight.normal_(0, 0.1)
    mask = np.zeros((128, 128), bool)
    mask[50:80, 40:100] = True
    inside = slice(0, 128), slice(0, 128)
    photographs = [replace(one, inside=inside) for one in (square(mask), square(mask.T))]
    found = Reconstructor(replace(network, settings=s, network=made.eval()))(photographs)
    assert len({len(one.faces) for one in found}) == 2
    for one, photograph in zip(found, photographs, strict=True):
        assert one.faces.max() < len(one.vertices) and one.corner_colors.shape == (len(one.faces), 3, 3)
        assert 0.8 < one.signs["stability"] <= 1 and np.isfinite(list(one.signs.values())).all()
        assert files.as_glb(one) and files.as_ply(one) and files.as_obj(one) and files.sheet(one, photograph, "a")


def test_a_shape_that_stays_has_gone_nowhere_and_one_that_moves_goes_as_far():
    sphere, faces = icosphere(2)
    mesh = plain(0.3 * sphere, faces)
    moved = torch.tensor([0.0, 0.0, 0.01])
    for other in (faces, faces.clone()):  # of one template, and with faces of its own
        assert float(shift(mesh, plain(mesh.vertices.clone(), other))) == pytest.approx(0, abs=1e-4)
        assert float(shift(mesh, plain(mesh.vertices + moved, other))) == pytest.approx(0.01, rel=1e-3)

"""What compensation attends to, as shapes."""

import numpy as np
import pytest
import torch

from msrn.backbone import stored_inputs
from msrn.evaluation.attention import attended
from msrn.network.meshes import stacked

COUNT = 3


@pytest.fixture
def network(toy_result):
    """A trained one of the toy collection, with a prototype that is not valid and one that is an image's own code."""
    network = toy_result.of("M-SRN")[0].run.network()
    prototypes = network.get_prototypes("prototypes")
    code = network.reconstruct(images_of(network, toy_result, [0])).code[0]
    network.compensating = True
    prototypes.values[0, 0], prototypes.valid[:] = 200 * code, True  # all attention of image 0
    prototypes.values[1, 0], prototypes.valid[1, 0] = 400 * code, False
    return network


def images_of(network, toy_result, rows):
    return torch.from_numpy(stored_inputs(toy_result.test, network.settings)[rows])


def test_meshes_weights_and_categories_are_those_of_equation_24(toy_result, network):
    rows = [0, 5, 12]
    found = attended(network, toy_result.test, rows, COUNT)
    made = network.reconstruct(images_of(network, toy_result, rows))
    np.testing.assert_allclose(found.meshes[:, 0], stacked(made.meshes)[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(found.azimuth, made.azimuth.numpy(), atol=1e-4)
    affinity = network.compensation.affinity(made.code, *network.get_prototypes("prototypes"))
    assert found.weight.shape == found.category.shape == (3, COUNT)
    for k, row in enumerate(affinity):
        best = sorted(((float(weight), term) for term, some in enumerate(row) for weight in some), reverse=True)[:COUNT]
        np.testing.assert_allclose(found.weight[k], [weight for weight, _ in best], rtol=1e-5)
        assert found.category[k].tolist() == [term for _, term in best]
    assert (found.category[0][0], float(found.weight[0][0])) == (0, pytest.approx(1.0, abs=0.05))


def test_no_more_prototypes_are_found_than_there_are(toy_result, network):
    prototypes = network.get_prototypes("prototypes")
    prototypes.valid[:] = False
    prototypes.valid[2, :2] = True
    found = attended(network, toy_result.test, [0, 5], COUNT)
    assert found.weight.shape == (2, 2) and found.meshes.shape[1] == 3 and (found.category == 2).all()
    np.testing.assert_allclose(found.weight.sum(1), 1, rtol=1e-5)


def test_a_prototype_is_drawn_as_an_image_with_its_code_would_be(toy_result, network):
    found = attended(network, toy_result.test, [0], COUNT)
    prototypes, seen = network.get_prototypes("prototypes"), network.seen(images_of(network, toy_result, [0]))
    _, scale = network.encode_shape(seen)
    code = network.compensation(prototypes.values[0, :1], *prototypes)
    where = () if network.settings.decoders == "vertices" else (network.sphere,)
    expected = (network.ellipsoid + network.shape_decoder(code, *where)) * scale[:, None]
    np.testing.assert_allclose(found.meshes[0, 1], expected[0].detach().numpy(), atol=1e-6)

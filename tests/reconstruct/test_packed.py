"""A packed network comes back as it was, in half precision; a flipped bit, a torn file and another's are named."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from msrn.errors import MsrnError
from msrn.reconstruct import packed


@pytest.fixture
def file(network, tmp_path):
    path = tmp_path / "network.safetensors"
    packed.write(path, network)
    return path


def test_what_is_packed_comes_back(network, file):
    again = packed.read(file)
    assert (again.settings, again.categories) == (network.settings, network.categories)
    assert dict(again.about) == {"trained on": "nothing"} and len(again.digest) == 20
    signs = np.random.default_rng(0).random((5, 4))
    np.testing.assert_array_equal(again.calibration.confidence(signs), network.calibration.confidence(signs))
    assert again.calibration.strange == network.calibration.strange
    np.testing.assert_allclose(again.centres, network.centres, atol=1e-3)
    for mine, other in ((network.network, again.network), (network.perceptron, again.perceptron)):
        others = other.state_dict()
        for name, value in mine.state_dict().items():
            torch.testing.assert_close(others[name].double(), value.double(), rtol=1e-3, atol=1e-4)


def test_only_what_training_changed_of_the_perceptron_is_stored(network, file):
    stored = {name for name in load_file(file) if name.startswith("perceptron.")}
    assert "perceptron.scorer.weight" in stored and not any(name.startswith("perceptron.lower") for name in stored)


def test_every_flipped_bit_is_found(file, tmp_path):
    content, rng = file.read_bytes(), np.random.default_rng(0)
    for place in rng.integers(0, len(content), 60).tolist():
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        bad = tmp_path / "bad.safetensors"
        bad.write_bytes(damaged)
        with pytest.raises(MsrnError, match="bad.safetensors: not a whole network") as error:
            packed.read(bad)
        assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize("length", [0, 7, 200, 5000])
def test_a_torn_file_is_one_line(file, length):
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(MsrnError, match="not a whole network"):
        packed.read(file)


def test_another_program_s_file_and_none_are_named(tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(save({"x": torch.zeros(2)}))
    with pytest.raises(MsrnError, match="not a whole network"):
        packed.read(other)
    with pytest.raises(MsrnError, match="no such file"):
        packed.read(tmp_path / "none")


def test_another_format_is_refused(file):
    tensors = load_file(file)
    text = json.dumps({"format": 99})
    file.write_bytes(save(tensors, {"msrn": text, "digest": packed._digest(tensors, text)}))
    with pytest.raises(MsrnError, match="format 99, expected 1"):
        packed.read(file)


SHAPE = "not a whole network .its memory bank has the shape .2, 16, .*: expected"


@pytest.mark.parametrize(
    ("settings", "categories", "said"),
    [
        ({"memory_slots": 100_000}, 2, SHAPE),
        ({"memory_slots": 100_000, "prototypes": 100_000, "neighbor_prototypes": 100_000}, 2, SHAPE),
        ({"memory_slots": 10**9}, 2, "net.*: not a network of this msrn .setting memory_slots = 1000000000"),
        ({}, 1_000_000, SHAPE),
        (
            {"prototypes": 10**9},
            2,
            "net.*: not a network of this msrn .setting prototypes = 1000000000: expected at most",
        ),
        ({"mesh_level": 30}, 2, "net.*: not a network of this msrn .setting mesh_level = 30"),
    ],
)
def test_a_file_that_claims_a_larger_network_than_it_holds_is_refused(file, settings, categories, said):
    """The network would be made before it is filled: of some terabytes."""
    tensors = load_file(file)
    with safe_open(file, "pt") as opened:
        meta = json.loads(opened.metadata()["msrn"])
    meta["settings"] |= settings
    meta["categories"] = [str(number) for number in range(categories)]
    text = json.dumps(meta)
    file.write_bytes(save(tensors, {"msrn": text, "digest": packed._digest(tensors, text)}))
    with pytest.raises(MsrnError, match=said):
        packed.read(file)


def test_nothing_is_unpickled(no_unpickling, file):
    assert packed.read(file).categories == ("box", "chair")
    file.write_bytes(pickle.dumps({"network": 1}))
    with pytest.raises(MsrnError, match="not a whole network"):
        packed.read(file)


def test_weights_that_half_precision_cannot_hold_are_refused(network, tmp_path):
    huge = replace(network, centres=np.full_like(network.centres, 1e9))
    with pytest.raises(MsrnError, match="half precision"):
        packed.write(tmp_path / "x", huge)
    assert not list(tmp_path.iterdir())


def test_the_network_that_comes_with_msrn_is_whole_and_small():
    assert packed.SHIPPED.stat().st_size <= 15_000_000
    network = packed.read(packed.SHIPPED)
    assert network.perceptron is not None and len(network.calibration.weights) == 4
    assert set(network.categories) == {"cabinet", "car", "chair", "lamp", "sofa", "table"}

"""Meshes as they are recorded: small files that belong to a result."""

import json
from dataclasses import replace

import numpy as np
import pytest
from toy_table import record

from msrn import paths
from msrn.errors import MsrnError
from msrn.store import meshes, results
from msrn.store.meshes import Meshes

MOST_BYTES = 10_000_000


def made(names=("a", "b"), **changes) -> Meshes:
    rng, shapes = np.random.default_rng(0), []
    for count in range(5, 5 + len(names)):  # vertices, of which no two meshes have as many
        faces = np.resize(np.arange(count), (count - 1, 3))
        colors = rng.integers(0, 255, (count - 1, 3), np.uint8)
        shapes.append(meshes.packed(rng.uniform(-0.5, 0.5, (count, 3)), faces, colors))
    about = meshes.about(record(**changes), "toy-seed0-0123")
    inputs = rng.integers(0, 255, (len(names), 3, 8, 8), np.uint8)
    return Meshes(np.array(names), np.array([1.0, 2.5]), shapes, about, inputs)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    return tmp_path / "meshes"


def test_what_is_written_is_read_again(folder):
    assert meshes.recorded() == {}
    assert meshes.write(made(evaluation="one")).endswith("table8-toy-laptop-m-srn-seed0.npz: written")
    assert meshes.write(made(evaluation="one")).endswith(": unchanged")
    meshes.write(made(evaluation="two", variant="w/o NC"))
    assert set(meshes.recorded()) == {"one", "two"}
    found = meshes.read(meshes.recorded()["one"])
    for name in (*meshes.OF_OBJECTS, "inputs"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made(), name))
    for mesh, wanted in zip(found.shapes, made().shapes, strict=True):
        for part, other in zip(mesh, wanted, strict=True):
            np.testing.assert_array_equal(part, other)
            assert part.dtype == other.dtype
    assert found.about["run"] == "toy-seed0-0123" and found.about["fingerprint"] == "x" and found.about["seed"] == 0
    (vertices, faces), colors = found.of("b")
    np.testing.assert_array_equal(vertices, made().shapes[1].vertices)
    np.testing.assert_array_equal(found.input_of("b"), made().inputs[1].transpose(1, 2, 0))
    assert faces.shape == colors.shape == (5, 3) and found.cd_of(["b", "a"]) == [2.5, 1.0]


def test_files_of_meshes_that_share_their_faces_are_read(folder):
    """As they were written before meshes had faces of their own, and what the network saw was kept."""
    folder.mkdir()
    about, vertices = json.dumps(made(evaluation="one").about), np.zeros((2, 5, 3), np.float16)
    vertices[1] = 0.5
    faces, colors = np.eye(4, 3, dtype=np.uint16), np.full((2, 4, 3), 7, np.uint8)
    arrays = {"vertices": vertices, "faces": faces, "face_colors": colors, "object_id": np.array(["a", "b"])}
    np.savez_compressed(folder / "old.npz", about=np.array(about), cd=np.array([1.0, 2.0]), **arrays)
    found = meshes.read(meshes.recorded()["one"])
    (read, own_faces), own_colors = found.of("b")
    assert found.input_of("b") is None
    assert (read == 0.5).all() and (own_faces == faces).all() and (own_colors == 7).all()


def test_a_mesh_with_more_vertices_than_its_numbers_can_name_is_refused():
    many = np.zeros((2**16 + 1, 3))
    with pytest.raises(MsrnError, match="a mesh of 65,537 vertices is not kept: expected 65,536 at most"):
        meshes.packed(many, np.array([[0, 1, 2**16]]), np.zeros((1, 3), np.uint8))


@pytest.mark.parametrize("content", [b"torn", b""])
def test_a_torn_file_is_one_line(folder, content):
    meshes.write(made())
    [file] = folder.glob("*.npz")
    file.write_bytes(content)
    for read in (lambda: meshes.read(file), meshes.recorded):
        with pytest.raises(MsrnError, match=r"m-srn-seed0.npz: not readable as meshes .* restore it from git"):
            read()


def test_what_is_recorded_here_belongs_to_results_and_is_small():
    files = sorted((paths.RESULTS / "meshes").glob("*.npz"))
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    for file in files:
        found = meshes.read(file)
        mine = [one for one in results.recorded(found.about["experiment"]) if one.variant == found.about["variant"]]
        [result] = [one for one in mine if one.evaluation == found.about["evaluation"]]
        cd = dict(zip(result.objects["object_id"], result.objects["cd"], strict=True))
        np.testing.assert_allclose(found.cd, [cd[name] for name in found.object_id.tolist()], rtol=1e-5)
        for mesh in found.shapes:
            assert np.isfinite(mesh.vertices).all() and mesh.faces.max() < len(mesh.vertices)
            assert mesh.faces.shape == mesh.face_colors.shape


@pytest.mark.parametrize(
    "inputs", [np.zeros((1, 3, 8, 8), np.uint8), np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 3, 8, 8))]
)
def test_pictures_that_do_not_belong_to_the_meshes_are_one_line(folder, inputs):
    meshes.write(replace(made(evaluation="one"), inputs=inputs))
    with pytest.raises(MsrnError, match=r"not readable as meshes \(inputs are .*, expected \(2, 3, S, S\) uint8\)"):
        meshes.read(meshes.recorded()["one"])

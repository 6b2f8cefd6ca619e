"""No reader unpickles anything, of whole files or of hostile ones, or takes the memory that a file merely claims."""

import io
import json
import os
import pickle
import resource
import struct
import zipfile

import numpy as np
import pascal3d_archive
import pix3d_archive
import pytest
import shapenet_archive
import torch
from checked import report
from matlab73 import write_mat
from PIL import EpsImagePlugin, Image

from msrn import paths
from msrn.data import open_collection
from msrn.data.drawing.zbuffer import draw_layer
from msrn.data.homeware.reader import read_meshes
from msrn.data.pascal3d.reader import CLASSES
from msrn.data.photo_folder.photograph import reduced
from msrn.data.pix3d import reader as pix3d
from msrn.errors import MsrnError
from msrn.evaluation.surface_files import FORMATS, read_surface
from msrn.store import files, meshes
from msrn.store.array_cache import cached_arrays
from msrn.store.keyed_cache import KeyedCache
from msrn.store.results import recorded

CAR = "02958343"


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, place):
        self.place = str(place)

    def __reduce__(self):
        return os.mkdir, (self.place,)


@pytest.fixture(scope="module", autouse=True)
def kernels():
    """Numba keeps what it has compiled, machine code, with an index that it unpickles: here before anything is guarded.
    Whoever may write there may run anything in any case."""
    draw_layer(np.eye(3) + [0, 0, 2], np.array([[0, 1, 2]]), np.zeros((1, 3)), 8, 1)


def test_the_guard_sees_what_numpy_and_torch_unpickle(no_unpickling, tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object))
    torch.save({"a": [1]}, tmp_path / "a.pt")
    for read in (
        lambda: np.load(tmp_path / "a.npy", allow_pickle=True),
        lambda: torch.load(tmp_path / "a.pt", weights_only=False),
        lambda: pickle.loads(b"."),
    ):
        with pytest.raises(pickle.UnpicklingError, match="nothing may be unpickled"):
            read()
        assert no_unpickling
        no_unpickling.clear()


@pytest.mark.parametrize("save", [pascal3d_archive.packed, write_mat])
def test_pascal3d(cache, no_unpickling, tmp_path, save):
    pascal3d_archive.write_archive(tmp_path / "a", CLASSES, 2, save)
    assert (
        len(open_collection("pascal3d-car", "train", tmp_path / "a")) == 3 and not report(tmp_path / "a", "pascal3d")[1]
    )
    bad = next((tmp_path / "a" / "Annotations" / "car_imagenet").iterdir())
    bad.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    assert f"{bad} is not a whole MATLAB" in "\n".join(report(tmp_path / "a", "pascal3d")[0])
    assert not (tmp_path / "sprung").exists()


def test_pix3d(cache, no_unpickling, tmp_path):
    entries = pix3d_archive.write_official(tmp_path / "a", {"chair": 3})
    pix3d_archive.write_processed(tmp_path / "b", tmp_path / "a", entries)
    for root in (tmp_path / "a", tmp_path / "b"):
        assert len(open_collection("pix3d", "train", root)) and not report(root, "pix3d")[1]
    bad = next((tmp_path / "b" / "pointclouds").rglob("*.npy"))
    np.save(bad, np.array([[Trap(tmp_path / "sprung")] * 3], object))
    pix3d._cloud.cache_clear()
    assert "nothing is unpickled" in "\n".join(report(tmp_path / "b", "pix3d")[0])
    assert not (tmp_path / "sprung").exists()


def test_shapenet(cache, no_unpickling, tmp_path):
    shapenet_archive.write_archive(tmp_path / "a", {CAR: {"train": ["a"], "val": ["v"], "test": ["t"]}}, points=60_000)
    shapenet_archive.write_npz(tmp_path / "b", {CAR: {"train": 1, "val": 1, "test": 1}})
    for root in (tmp_path / "a", tmp_path / "b"):
        assert len(open_collection("shapenet", "train", root)) == 24 and not report(root)[1]
    trap = np.array([Trap(tmp_path / "sprung")], object)
    np.savez(tmp_path / "a" / CAR / "a" / "pointcloud.npz", points=trap, normals=trap)
    np.savez(tmp_path / "b" / f"{CAR}_train_images.npz", trap)
    for root in (tmp_path / "a", tmp_path / "b"):
        assert "nothing is unpickled" in "\n".join([*report(root)[0], report(root)[1]])
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("ending", FORMATS)
def test_surfaces(no_unpickling, tmp_path, ending):
    (tmp_path / f"a{ending}").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(MsrnError):
        read_surface(tmp_path, tmp_path / f"a{ending}")
    assert not (tmp_path / "sprung").exists()


def test_the_package_s_own_files(no_unpickling):
    read_meshes.cache_clear()
    assert len(read_meshes(paths.ASSETS / "homeware.npz")) > 100
    assert recorded("table8") and meshes.recorded()
    for path in meshes.recorded().values():
        assert meshes.read(path).about["run"]


def test_caches(cache, no_unpickling, tmp_path):
    def build(make):
        make("a", (3,), "int64")[:] = 1, 2, 3

    for _ in range(2):  # made, then opened
        assert cached_arrays("kind", "key", build)["a"].tolist() == [1, 2, 3]
    np.save(cache / "kind" / "key" / "a.npy", np.array([Trap(tmp_path / "sprung")] * 3, object))
    assert cached_arrays("kind", "key", build)["a"].tolist() == [1, 2, 3]
    KeyedCache("kind", "one").add({b"k": pickle.dumps(Trap(tmp_path / "sprung"))})
    assert KeyedCache("kind", "one").find([b"k"]) and not (tmp_path / "sprung").exists()


def test_checkpoints(no_unpickling, tmp_path):
    state = {"network": {"w": torch.arange(3.0)}, "optimizer": {}, "step": 4}
    files.save_checkpoint(state, tmp_path)
    assert files.find_checkpoint(tmp_path)[0]["network"]["w"].tolist() == [0, 1, 2]
    for _ in range(2):  # the one before as well
        files.save_checkpoint(state | {"more": Trap(tmp_path / "sprung")}, tmp_path)
    with pytest.raises(MsrnError, match="no checkpoint there can be read"):
        files.find_checkpoint(tmp_path)
    assert not (tmp_path / "sprung").exists()


# ----------------------------------------------------------------------------------------------------- claims of sizes


def glb(count: int) -> bytes:
    """A triangle mesh of ``count`` vertices that the file does not hold."""
    accessors = [{"componentType": 5126, "count": count, "type": "VEC3"}]
    accessors += [{"componentType": 5125, "count": 3, "type": "SCALAR"}]
    meshes = [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}]
    scene = {"scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}], "meshes": meshes, "accessors": accessors}
    text = json.dumps({"asset": {"version": "2.0"}, **scene}).encode()
    text += b" " * (-len(text) % 4)
    return b"glTF" + struct.pack("<IIII", 2, 20 + len(text), len(text), 0x4E4F534A) + text


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10  # MiB


def test_a_glb_that_claims_what_it_does_not_hold(tmp_path):
    (tmp_path / "a.glb").write_bytes(glb(300_000_000))  # 3.4 GiB of zeros
    before = peak()
    with pytest.raises(MsrnError, match="300,000,003 values that it does not hold, more than 5,000,000"):
        read_surface(tmp_path, tmp_path / "a.glb")
    assert peak() - before < 200


def claimed(shape: tuple[int, ...], content: bytes) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f2", "fortran_order": False, "shape": shape})
    return header.getvalue() + content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (claimed((2**40,), b""), "vertices.npy claims the shape (1099511627776,)"),
        (claimed((2**20 * 40,), bytes(2**20 * 80)), "more than 67,108,864 bytes"),  # 80 kB in the file
        (claimed((1,), b"").replace(b"<f2", b"|O8"), "vertices.npy claims the shape"),
        (b"no array", "not readable as meshes ("),
    ],
)
def test_recorded_meshes_that_claim_more_than_they_hold(no_unpickling, tmp_path, content, said):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("vertices.npy", content)
    with pytest.raises(MsrnError) as caught:
        meshes.read(tmp_path / "a.npz")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_no_other_program_is_started_for_a_picture(tmp_path, monkeypatch):
    """PostScript is a program, and Ghostscript runs it."""
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: started.append("gs"))
    Image.new("RGB", (20, 20)).save(tmp_path / "a.eps")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.eps").read_bytes())
    for name in ("a.eps", "a.png"):
        with pytest.raises(MsrnError, match=f"{name} is not a whole image"):
            reduced(tmp_path, tmp_path / name, None)
    assert not started

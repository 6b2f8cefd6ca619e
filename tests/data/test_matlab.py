"""MATLAB 7.3 gives what MATLAB 5 gives; and HDF5 that MATLAB never writes is refused, nothing outside being read."""

import types

import h5py
import numpy as np
import pytest
from matlab73 import write_array, write_head, write_mat
from pascal3d_archive import struct_array
from scipy.io import savemat

from msrn.data.matlab import read_mat
from msrn.errors import MsrnError

THINGS = [
    {"class": "car", "bbox": np.array([1.5, 2, 30, 40]), "cad_index": 3.0, "viewpoint": np.zeros((0, 0))},
    {"class": "Büro", "bbox": np.array([1.0, 2, 3, 4]), "cad_index": 1.0, "viewpoint": {"distance": 7.0, "text": ""}},
]
RECORD = {
    "filename": "a b.jpg",
    "imgsize": np.array([240.0, 180, 3]),
    "empty": "",
    "objects": struct_array(THINGS),
    "matrix": np.arange(6.0).reshape(2, 3),
    "one": struct_array(THINGS[:1]),
}


def plain(value):
    """Objects of either reader as dicts and lists."""
    if hasattr(value, "_fieldnames"):
        return {name: plain(getattr(value, name)) for name in value._fieldnames}
    if isinstance(value, types.SimpleNamespace):
        return {name: plain(content) for name, content in vars(value).items()}
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray) and not value.size:
        return "empty"
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value or "empty"


@pytest.mark.parametrize("packed", [True, False])
def test_both_versions_are_read_alike(tmp_path, packed):
    savemat(tmp_path / "five.mat", {"record": RECORD, "other": 1.0})
    write_mat(tmp_path / "seven.mat", {"record": RECORD, "other": 1.0}, packed)
    five, seven = (plain(read_mat(tmp_path, tmp_path / f"{name}.mat", "record")) for name in ("five", "seven"))
    one = (
        seven["one"][0] if isinstance(seven["one"], list) else seven["one"]
    )  # an array of one, as np.atleast_1d has it
    assert {**seven, "one": one} == {**five, "empty": "empty"}
    assert seven["objects"][1]["class"] == "Büro" and seven["matrix"] == [[0, 1, 2], [3, 4, 5]]
    for name in ("five", "seven"):
        assert read_mat(tmp_path, tmp_path / f"{name}.mat", "other") == 1


def test_cells_are_lists(tmp_path):
    write_mat(tmp_path / "a.mat", {"record": {"names": ["one", 2.0]}})
    assert read_mat(tmp_path, tmp_path / "a.mat", "record").names == ["one", 2.0]


def refusal(path, name="record"):
    with pytest.raises(MsrnError) as caught:
        read_mat(path.parent.resolve(), path, name)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def hostile(path, fill):
    """A 7.3 file whose struct ``record`` is filled by ``fill(file, group)``."""
    with h5py.File(path, "w", userblock_size=512) as file:
        fill(file, file.create_group("record"))
    write_head(path)
    return path


@pytest.fixture
def outside(tmp_path):
    """A readable HDF5 file beside the root."""
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        write_array(file, "secret", np.ones((2, 2)), "double", False)
    (tmp_path / "numbers.bin").write_bytes(bytes(800))
    (tmp_path / "root").mkdir()
    return tmp_path


def test_links_are_not_followed(outside):
    target = str(outside / "outside.h5")
    for place, link in enumerate(
        (h5py.ExternalLink(target, "/secret"), h5py.SoftLink("/record"), h5py.SoftLink("/no"))
    ):

        def fill(file, group, link=link):
            group["field"] = link

        said = refusal(hostile(outside / "root" / f"{place}.mat", fill))
        assert said.endswith("field is a link")

    def whole(file, group):
        file["linked"] = h5py.ExternalLink(target, "/secret")

    assert refusal(hostile(outside / "root" / "w.mat", whole), "linked").endswith("linked is a link")


def test_content_of_other_files_is_not_read(outside):
    def external(file, group):
        stored = [(str(outside / "numbers.bin"), 0, 800)]
        group.create_dataset("field", (100,), "f8", external=stored)

    def virtual(file, group):
        layout = h5py.VirtualLayout((2, 2), "f8")
        layout[:] = h5py.VirtualSource(str(outside / "outside.h5"), "secret", (2, 2))
        group.create_virtual_dataset("field", layout)

    def filtered(file, group):
        group.create_dataset("field", data=np.zeros(1000), compression="lzf")

    for name, fill in (("external", external), ("virtual", virtual), ("filtered", filtered)):
        said = refusal(hostile(outside / "root" / f"{name}.mat", fill))
        assert "stored in another file or in another way than MATLAB" in said


@pytest.mark.parametrize("options", [{"chunks": (1024, 1024)}, {"chunks": (1024, 1024), "compression": "gzip"}, {}])
def test_a_claim_of_4_gb_is_refused_before_memory_is_taken(tmp_path, options):
    """Of an array that was never written, so that its file is small."""
    path = hostile(
        tmp_path / "a.mat", lambda file, group: group.create_dataset("field", (2**14, 2**15), "f8", **options)
    )
    assert path.stat().st_size < 10_000
    assert "claims 4,294,967,296 bytes" in refusal(path)


def test_many_arrays_that_are_one_are_read_once(tmp_path):
    """References may name one value a thousand times; together they claim no more than it does."""

    def fill(file, group):
        refs = file.create_group("#refs#")
        write_array(refs, "a", np.zeros((1000, 1000)), "double", True)
        cells = group.create_dataset("field", data=np.array([[refs["a"].ref]] * 1000, h5py.ref_dtype))
        cells.attrs["MATLAB_class"] = np.bytes_(b"cell")

    found = read_mat(tmp_path, hostile(tmp_path / "a.mat", fill), "record").field
    assert len(found) == 1000 and len({id(entry) for entry in found}) == 1


def test_values_that_contain_themselves_are_refused(tmp_path):
    def ring(file, group):
        group["field"] = group

    def refers(file, group):
        made = group.create_dataset("field", (1, 1), h5py.ref_dtype)
        made.attrs["MATLAB_class"] = np.bytes_(b"cell")
        made[0, 0] = made.ref

    def deep(file, group):
        for _ in range(200):
            group = group.create_group("field")

    for name, fill in (("ring", ring), ("refers", refers), ("deep", deep)):
        assert "contains itself" in refusal(hostile(tmp_path / f"{name}.mat", fill))


def test_other_content_is_refused(tmp_path):
    def words(file, group):
        group.create_dataset("field", data=["a", "b"], dtype=h5py.string_dtype())

    def pairs(file, group):
        group.create_dataset("field", data=np.zeros(3, [("a", "f8"), ("b", "i4")]))

    def nowhere(file, group):
        group.create_dataset("field", (2, 1), h5py.ref_dtype)[:] = h5py.Reference()
        group["field"].attrs["MATLAB_class"] = np.bytes_(b"cell")

    def half(file, group):
        made = group.create_dataset("field", (1, 1), h5py.ref_dtype)
        write_array(file, "value", np.ones((1, 1)), "double", False)
        made[0, 0] = file["value"].ref
        write_array(group, "other", np.ones((1, 1)), "double", False)

    for name, fill, said in (
        ("words", words, "field holds object"),
        ("pairs", pairs, "field holds [('a'"),
        ("nowhere", nowhere, "not a whole MATLAB 7.3 file (ValueError"),
        ("half", half, "half a struct"),
    ):
        assert said in refusal(hostile(tmp_path / f"{name}.mat", fill))


def test_torn_files_are_one_line(tmp_path):
    path = tmp_path / "a.mat"
    write_mat(path, {"record": RECORD})
    assert refusal(path, "recrod").endswith("has no variable recrod")
    content = path.read_bytes()
    for cut in (20, 512, 700, len(content) // 2, len(content) - 100):
        path.write_bytes(content[:cut])
        refusal(path)


def test_damaged_bytes_are_one_line_or_harmless(tmp_path):
    """Single bytes turned over: whatever HDF5 makes of it, nothing else than a refusal is raised."""
    path = tmp_path / "a.mat"
    write_mat(path, {"record": RECORD})
    content = path.read_bytes()
    refused = 0
    for place in np.random.default_rng(0).integers(512, len(content), 200):
        damaged = bytearray(content)
        damaged[place] ^= 255
        path.write_bytes(damaged)
        try:
            read_mat(tmp_path, path, "record")
        except MsrnError as error:
            refused += "\n" not in str(error)
    assert refused > 5

"""MATLAB 7.3 gives what MATLAB 5 gives; and HDF5 that MATLAB never writes is refused, nothing outside being read."""

import struct
import types
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from matlab73 import write_array, write_head, write_mat
from pascal3d_archive import struct_array
from scipy.io import savemat

from msrn.data.archives import matlab, matlab5
from msrn.data.archives.matlab import read_mat
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


# ----------------------------------------------------------------------------------------------------- hostile MATLAB 5


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def value(kind, shape, *content, name=b""):
    """An miMATRIX of a class."""
    head = [element(6, struct.pack("<II", kind, 0)), element(5, struct.pack(f"<{len(shape)}i", *shape))]
    return element(14, b"".join([*head, element(1, name), *content]))


def names(*fields, length=8):
    """The names of a struct's fields."""
    return struct.pack("<HHi", 5, 4, length) + element(1, b"".join(field.ljust(length, b"\0") for field in fields))


def five(path, *elements):
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"".join(elements))
    return path


def record(*content, kind=2, shape=(1, 1)):
    return value(kind, shape, *content, name=b"record")


NUMBER = value(6, (1, 1), element(9, struct.pack("<d", 7.0)))


def test_a_file_of_single_elements_is_read(tmp_path):
    """What the following files are made of is what MATLAB writes."""
    content = record(names(b"one", b"text"), NUMBER, value(4, (1, 2), element(16, b"ab")))
    for stored in (content, element(15, zlib.compress(content))[: 8 + len(zlib.compress(content))]):
        found = read_mat(tmp_path, five(tmp_path / "a.mat", value(16, (1, 1), name=b"odd"), stored), "record")
        assert (found.one, found.text) == (7, "ab")


@pytest.mark.parametrize("lying", [False, True])
def test_cells_within_cells_are_refused(tmp_path, lying):
    """20,000 of them overflow the stack of scipy; also where each claims to be so short that they seem to lie beside
    each other."""
    inner = NUMBER
    for _ in range(20_000):
        inner = value(1, (1, 1), inner)
        if lying:
            inner = inner[:4] + struct.pack("<I", 40) + inner[8:]
    said = refusal(five(tmp_path / "a.mat", record(inner, kind=1)))
    assert ("is cut off" if lying else "values within values, deeper than 32") in said


@pytest.mark.parametrize("kind", [1, 2, 4, 6])
@pytest.mark.parametrize("shape", [(10_000, 10_000), (2**31 - 1, 0), (-5, -5), (2**16,) * 4])
def test_dimensions_that_the_bytes_cannot_hold_are_refused(tmp_path, kind, shape):
    """A struct array without fields of 200 bytes took 3 GB and half a minute."""
    content = names(length=8) if kind == 2 else element(2, b"")
    said = refusal(five(tmp_path / "a.mat", record(content, kind=kind, shape=shape)))
    assert "a value claims the shape" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (record(element(19, bytes(8)), kind=6), "type 19 where numbers"),
        (record(element(60_000, bytes(8)), kind=6), "type 60000 where numbers"),
        (record(element(16, bytes(8)), kind=6), "type 16 where numbers"),
        (record(NUMBER, kind=16), "a value of class 16: expected"),
        (record(element(16, b"ab"), kind=4, shape=()), "a value with 0 dimensions"),
        (record(NUMBER, NUMBER, kind=1), "does not fill its element"),
        (record(names(b"one", length=0), NUMBER), "a struct without names"),
        (record(names(b"a" * 8), NUMBER), "names that have no end"),
        (record(names(*[b"a"] * 1001), *[NUMBER] * 1001), "more than 1,000 fields"),
        (record(names(), *[], shape=(150, 1)), "a value claims the shape (150, 1)"),
        (element(14, element(6, struct.pack("<II", 17, 0)) + element(1, b"record") + NUMBER), "a value of class 17"),
        (element(15, zlib.compress(element(15, b""))), "type 15 where a variable was expected"),
        (element(15, b"torn"), "while decompressing"),
        (element(14, bytes(16))[:-4], "claims 16 bytes: 12 are left"),
    ],
)
def test_values_that_scipy_would_stumble_over_are_refused(tmp_path, content, said):
    assert said in refusal(five(tmp_path / "a.mat", content))


def test_what_packs_too_well_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "MOST", 10**6)
    content = zlib.compress(record(element(9, bytes(8 * 10**6)), kind=6, shape=(1000, 1000)))
    assert "a variable of more than 1,000,000 bytes" in refusal(five(tmp_path / "a.mat", element(15, content)))
    monkeypatch.setattr(matlab5, "VALUES", 999)
    assert "more than 999 values" in refusal(
        five(tmp_path / "a.mat", record(*[element(14, b"")] * 999, kind=1, shape=(999, 1)))
    )
    assert "more than 999 variables" in refusal(five(tmp_path / "a.mat", *[value(6, (0, 0), name=b"x")] * 1000))


def test_damaged_bytes_of_version_5_are_one_line_or_harmless(tmp_path):
    savemat(tmp_path / "a.mat", {"record": RECORD})
    assert refusals(tmp_path / "a.mat", first=0, count=300) > 50


def refusals(path: Path, first: int, count: int) -> int:
    """How often a record is refused, in one line, with single bytes from ``first`` on turned over."""
    content, number = path.read_bytes(), 0
    for place in np.random.default_rng(0).integers(first, len(content), count):
        damaged = bytearray(content)
        damaged[place] ^= 255
        path.write_bytes(damaged)
        try:
            read_mat(path.parent, path, "record")
        except MsrnError as error:
            number += "\n" not in str(error)
    return number


def test_few_bytes_that_stand_for_many_values_are_refused(tmp_path, monkeypatch):
    """References cost a byte or less each in a packed file, and a thousand when they are structs."""

    def fill(file, group, count=20_000):
        one = file.create_group("#refs#").create_dataset("a", data=np.ones((1, 1)))
        for name in ("one", "two"):
            group.create_dataset(name, data=np.full((count, 1), one.ref, h5py.ref_dtype), compression="gzip")

    path = hostile(tmp_path / "a.mat", fill)
    assert path.stat().st_size < 20_000 and len(read_mat(tmp_path, path, "record")) == 20_000
    monkeypatch.setattr(matlab, "VALUES", 70_000)
    assert "has 40,000 entries: expected at most 70,000 in all" in refusal(path)
    monkeypatch.setattr(matlab, "VALUES", 10_000)
    assert "has 20,000 entries: expected at most 10,000 in all" in refusal(path)


def test_an_array_of_zeros_that_is_larger_than_any_is_refused(tmp_path):
    def fill(file, group):
        made = group.create_dataset("field", (65, 2**20), "u1", chunks=(1, 2**20), compression="gzip")
        made[:] = 0

    assert "claims 68,157,440 bytes of shape (65, 1048576): expected at most" in refusal(
        hostile(tmp_path / "a.mat", fill)
    )


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
    write_mat(tmp_path / "a.mat", {"record": RECORD})
    assert refusals(tmp_path / "a.mat", first=512, count=200) > 5

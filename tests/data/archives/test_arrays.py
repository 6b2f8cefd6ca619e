"""Hostile arrays: each is refused in one line before memory is taken, and nothing is unpickled."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from msrn.data.archives import arrays
from msrn.errors import MsrnError


def refusal(call, *given):
    with pytest.raises(MsrnError) as caught:
        call(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def header(shape, dtype="<f4"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def pack(path, content, name="points.npy", compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as packed:
        packed.writestr(name, content)
    return path


def points_of(path, shape=(None, 3)):
    return arrays.read_arrays(path.parent, path, {"points": shape})


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_those_that_numpy_wrote(tmp_path, write, order):
    points = np.asarray(np.random.default_rng(0).normal(size=(50, 3)), np.float16, order=order)
    write(tmp_path / "a.npz", points=points, other=np.zeros(3))
    np.testing.assert_array_equal(points_of(tmp_path / "a.npz")["points"], points)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_claim_of_4_gb_in_a_kilobyte_is_refused_before_memory_is_taken(tmp_path, compression):
    path = pack(tmp_path / "a.npz", header((2**30 // 3, 3)) + bytes(600), compression=compression)
    assert path.stat().st_size < 1100
    assert "claims 4,294,967,2" in refusal(points_of, path)


def test_a_directory_that_lies_about_sizes_is_refused(tmp_path):
    path = pack(tmp_path / "a.npz", header((2**30 // 3, 3)) + bytes(600))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 20 : at + 28] = b"\xf0\xff\xff\xff" * 2  # sizes in the central directory
    path.write_bytes(content)
    assert "a.npz" in refusal(points_of, path)


@pytest.mark.parametrize("shape", [(-1, 3), (-(2**40), -3), (2**62, 3), (10**30, 3), (0, 2**62)])
def test_absurd_shapes_are_refused(tmp_path, shape):
    assert "a.npz" in refusal(points_of, pack(tmp_path / "a.npz", header(shape) + bytes(60)))


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.savez(tmp_path / "a.npz", points=np.array([[Trap(), 1, 2]], object))
    assert "nothing is unpickled" in refusal(points_of, tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Trap()))
    assert "not a whole .npz" in refusal(points_of, tmp_path / "b.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an array of numpy"),
        (b"\x93NUMPY\x01\x00\xff\xff", "header of 65535 bytes"),
        (b"\x93NUMPY\x01\x00\x10\x00__import__('os')", "not a whole .npz"),
        (header((4, 3)) + bytes(40), "another length than its shape (4, 3) says"),
        (header((4, 3)) + bytes(100), "another length than its shape"),
        (header((4, 2)) + bytes(32), "has the shape (4, 2): expected (any, 3)"),
        (header((4, 3), "<U4") + bytes(192), "holds <U4: expected numbers"),
    ],
)
def test_torn_arrays_are_one_line(tmp_path, content, said):
    assert said in refusal(points_of, pack(tmp_path / "a.npz", content))


def test_members_that_lead_out_are_never_written(tmp_path):
    path = pack(tmp_path / "a.npz", header((1, 3)) + bytes(12), name="../../points.npy")
    assert "no array points" in refusal(points_of, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_truncated_and_wrong_archives_are_one_line(tmp_path):
    np.savez(tmp_path / "a.npz", points=np.zeros((100, 3)))
    content = (tmp_path / "a.npz").read_bytes()
    for cut in (0, 10, 500, len(content) - 5):
        (tmp_path / "a.npz").write_bytes(content[:cut])
        assert "not a whole .npz" in refusal(points_of, tmp_path / "a.npz")
    damaged = bytearray(content)
    damaged[300] ^= 255
    (tmp_path / "a.npz").write_bytes(damaged)
    assert "CRC" in refusal(points_of, tmp_path / "a.npz")


def literal(shape):
    """An array whose header has ``shape`` written as it is."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(12)


@pytest.mark.parametrize("shape", ["(True, 3)", "(" * 4000, "-" * 5000 + "1", "1" * 5000, "(1e999, 3)", "('a', 3)"])
def test_hostile_headers_are_one_line(tmp_path, shape):
    (tmp_path / "a.npy").write_bytes(literal(shape))
    assert "a.npy" in refusal(arrays.read_array, tmp_path, tmp_path / "a.npy", (None, 3))
    path = pack(tmp_path / "a.npz", literal(shape))
    assert "a.npz" in refusal(points_of, path)
    assert "a.npz" in refusal(arrays.check_arrays, tmp_path, path, {"points": (None, 3)})


def test_arrays_that_unpack_to_more_than_any_has_are_refused(tmp_path):
    """Zeros pack a thousand times; a megabyte would fill a gigabyte."""
    points = np.zeros((1_500_000, 3))
    path = tmp_path / "a.npz"
    np.savez_compressed(path, points=points, normals=points)
    assert path.stat().st_size < 100_000 and len(points_of(path)["points"]) == 1_500_000
    said = refusal(arrays.read_arrays, tmp_path, path, {"points": (None, 3), "normals": (None, 3)})
    assert "claims 36,000,000 bytes of shape (1500000, 3): expected at most 31,108,864" in said
    np.savez_compressed(path, points=np.zeros((3_000_000, 3)))
    for read in (arrays.read_arrays, arrays.check_arrays):
        said = refusal(read, tmp_path, path, {"points": (None, 3)})
        assert "claims 72,000,000 bytes of shape (3000000, 3): expected at most 67,108,864" in said

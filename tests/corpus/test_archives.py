"""Files of published archives: arrays, meshes, pictures with the right values, or the exact line that refuses them."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from msrn.data.archives.arrays import read_array, read_arrays
from msrn.data.archives.meshes import read_mesh
from msrn.data.archives.reading import read_names, read_picture
from msrn.errors import MsrnError

POINTS = np.arange(300, dtype=np.float64).reshape(100, 3) / 7


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def npz(how: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", how) as packed:
        for name, member in members.items():
            packed.writestr(f"{name}.npy", member)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["<f8", "<f4", ">f4", "<f2", "<i4", ">i8", "|u1", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_any_kind_of_number_is_read(tmp_path, kind, order):
    array = np.asarray(POINTS.astype(kind), order=order)
    (tmp_path / "a.npy").write_bytes(npy(array))
    np.testing.assert_array_equal(read_array(tmp_path, tmp_path / "a.npy", (None, 3)), array)


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_arrays_are_read_by_name(tmp_path, how):
    (tmp_path / "a.npz").write_bytes(npz(how, points=npy(POINTS), other=npy(np.arange(3))))
    np.testing.assert_array_equal(read_arrays(tmp_path, tmp_path / "a.npz", {"points": (None, 3)})["points"], POINTS)


class Trap:
    def __reduce__(self):
        return os.system, ("exit 1",)


CUT, WHOLE = npy(POINTS)[:-40], npy(POINTS)
ARRAYS = {  # name -> (content, what is said)
    "another shape": (npy(np.zeros((5, 4))), "an array has the shape (5, 4): expected (any, 3)"),
    "one axis": (npy(np.zeros(5)), "an array has the shape (5,): expected (any, 3)"),
    "cut": (CUT, "an array has another length than its shape (100, 3) says"),
    "too long": (WHOLE + b"1234", "an array has another length than its shape (100, 3) says"),
    "pickled": (pickle.dumps(Trap()), "holds something that is not an array of numpy"),
    "empty": (b"", "holds something that is not an array of numpy"),
    "text": (b"1 2 3\n", "holds something that is not an array of numpy"),
    "texts": (npy(np.array([["a", "b", "c"]])), "an array holds <U1: expected numbers; nothing is unpickled"),
    "objects": (npy(np.array([[Trap()] * 3], object)), "an array holds object: expected numbers; nothing is unpickled"),
    "complex": (npy(np.zeros((2, 3), complex)), "an array holds complex128: expected numbers; nothing is unpickled"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_none_is_said(tmp_path, name):
    content, said = ARRAYS[name]
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(MsrnError) as caught:
        read_array(tmp_path, tmp_path / "a.npy", (None, 3))
    parted = " " if said.startswith("holds") else ": "
    assert str(caught.value) == f"{tmp_path / 'a.npy'}{parted}{said}"


SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
MESHES = {  # file -> (text, faces)
    "a.obj": (SQUARE + "f 1 2 3\nf 1 3 4\n", 2),
    "quad.obj": (SQUARE + "f 1 2 3 4\n", 2),
    "texture.obj": (SQUARE + "vt 0 0\nvn 0 0 1\nf 1/1/1 2/1/1 3/1/1\n", 1),
    "material.obj": ("mtllib ../../nowhere.mtl\nusemtl x\n" + SQUARE + "f 1 2 3\n", 1),
    "windows.obj": ((SQUARE + "f 1 2 3\n").replace("\n", "\r\n"), 1),
    "comments.obj": ("# made by hand\n" + SQUARE + "o part\ng group\ns off\nf 1 2 3\n", 1),
    "a.off": ("OFF\n4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n3 0 2 3\n", 2),
    "line.off": ("OFF 4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n", 1),
    "notes.off": ("# by hand\nOFF\n\n4 1 0 # counts\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n", 1),
}


@pytest.mark.parametrize("name", MESHES)
def test_a_mesh_is_read_as_it_stands(tmp_path, name):
    text, count = MESHES[name]
    (tmp_path / name).write_bytes(text.encode())
    vertices, faces = read_mesh(tmp_path, tmp_path / name)
    assert len(faces) == count and np.ptp(vertices[np.unique(faces)], 0).tolist() == [1, 1, 0]


WRONG = {  # file -> (text, how the line goes on)
    "cut.off": (
        "OFF\n4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n",
        " is not a whole mesh (ValueError: 4 of 4 vertices and 1 of 2 faces: is it cut off?)",
    ),
    "far.obj": (SQUARE + "f 1 2 9\n", " "),
    "bare.obj": (SQUARE, " "),
    "empty.obj": ("", " "),
    "empty.off": ("", " is not a whole mesh ("),
    "text.off": ("no mesh at all", " is not a whole mesh ("),
    "a.stl": ("solid x", " is no mesh of a kind that the archives have: expected an .obj or .off"),
    "a.glb": ("glTF", " is no mesh of a kind that the archives have: expected an .obj or .off"),
    "point.obj": ("v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", " has no extent: the vertices of all 1 faces are one point"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_mesh_that_is_none_is_said(tmp_path, name):
    text, said = WRONG[name]
    (tmp_path / name).write_bytes(text.encode())
    with pytest.raises(MsrnError) as caught:
        read_mesh(tmp_path, tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}{said}") and "\n" not in str(caught.value)


NAMES = {  # text -> names
    "unix": (b"a\nb\n", ["a", "b"]),
    "windows": (b"a\r\nb\r\n", ["a", "b"]),
    "a mark first": ("\ufeffa\nb".encode(), ["a", "b"]),
    "empty lines": (b"\na\n\n \nb\n\n", ["a", "b"]),
    "other scripts": ("стул\n椅子\n".encode(), ["стул", "椅子"]),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_read(tmp_path, name):
    (tmp_path / "l.txt").write_bytes(NAMES[name][0])
    assert read_names(tmp_path, tmp_path / "l.txt") == NAMES[name][1]


PLAIN = "expected the plain name of a file or folder, without a path"
LISTS = {
    "empty": (b"", "is empty: expected a name on each line; is the archive whole?"),
    "twice": (b"a\nb\na\n", "names 'a' twice: expected every name once"),
    "up": (b"../a\n", f"names '../a': {PLAIN}"),
    "root": (b"/etc/passwd\n", f"names '/etc/passwd': {PLAIN}"),
    "Latin-1": ("stühle\n".encode("latin-1"), "is not UTF-8 text (invalid start byte at byte 2)"),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_none_is_said(tmp_path, name):
    (tmp_path / "l.txt").write_bytes(LISTS[name][0])
    with pytest.raises(MsrnError) as caught:
        read_names(tmp_path, tmp_path / "l.txt")
    assert str(caught.value) == f"{tmp_path / 'l.txt'} {LISTS[name][1]}"


SIXTEEN = np.array([[0, 1000, 40000, 65535]], np.uint16)
ALPHA = np.zeros((2, 2, 4), np.uint8)
ALPHA[0, 0] = 10, 20, 30, 255
PICTURES = {  # name -> (picture, mode, values)
    "16 bits": (Image.fromarray(SIXTEEN), "RGB", np.rint(SIXTEEN / 257)[..., None].repeat(3, 2)),
    "a mask of 16 bits": (Image.fromarray(SIXTEEN), "L", np.rint(SIXTEEN / 257)),
    "a cut-out as a mask": (Image.fromarray(ALPHA), "L", [[255, 0], [0, 0]]),
    "a cut-out": (Image.fromarray(ALPHA), "RGB", [[[10, 20, 30], [255] * 3], [[255] * 3] * 2]),
    "grey": (Image.fromarray(np.array([[5, 250]], np.uint8)), "RGB", [[[5] * 3, [250] * 3]]),
    "two values": (Image.fromarray(np.array([[True, False]])), "L", [[255, 0]]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_archives_pictures_mean_what_photographs_do(tmp_path, name):
    image, mode, values = PICTURES[name]
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path, tmp_path / "a.png", mode), values)

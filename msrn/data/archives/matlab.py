"""Variables of MATLAB files: version 5, and 7.3, which is HDF5. Structs are objects with attributes, their arrays are
arrays of those, texts are texts, numbers lose their dimensions of length 1: as ``scipy.io.loadmat`` gives them.

In a file of version 7.3 a struct is a group, an array of structs is one whose fields hold references to values, arrays
have their dimensions reversed, and the attribute ``MATLAB_class`` says what a value is. HDF5 can do much that MATLAB
does not: links to other files, content stored in them, filters loaded from the system. All of that is refused, and so
is an array that claims more than its file could hold, or than any needs. ``matlab5`` does the same for version 5.
"""

import io
import math
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.io import loadmat

from msrn.data.archives.arrays import LARGEST, RATIO
from msrn.data.archives.matlab5 import DEEPEST, VALUES, check_variable
from msrn.data.archives.reading import read_bytes
from msrn.errors import MsrnError

DEFLATE, SHUFFLE, CHECKSUM = 1, 2, 3  # filters that every HDF5 has
PACKED = RATIO[zipfile.ZIP_DEFLATED]
MOST = 4 * LARGEST  # bytes of a variable; models of a class lie in one


def read_mat(root: Path, path: Path, name: str) -> Any:
    """The variable ``name`` of a file under ``root``."""
    content = read_bytes(root, path)
    if content[:10] == b"MATLAB 7.3":
        return _read_hdf5(content, path, name)
    try:
        check_variable(content, name, MOST)
        variables = loadmat(io.BytesIO(content), struct_as_record=False, squeeze_me=True, variable_names=[name])
    except Exception as error:  # scipy raises whatever a torn file makes it stumble over
        raise _torn(path, "5", error) from None
    if name not in variables:
        raise MsrnError(f"{path} has no variable {name}")
    return variables[name]


def _torn(path: Path, version: str, error: Exception) -> MsrnError:
    reason = (str(error).splitlines() or ["cut off"])[0]
    return MsrnError(f"{path} is not a whole MATLAB {version} file ({type(error).__name__}: {reason})")


def _read_hdf5(content: bytes, path: Path, name: str) -> Any:
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            return _Reader(file, path, len(content)).variable(name)
    except MsrnError:
        raise
    except Exception as error:  # nor does h5py keep to few kinds
        raise _torn(path, "7.3", error) from None


class _Reader:
    """Values of one open file, each read once however often it is referred to."""

    def __init__(self, file: Any, path: Path, size: int) -> None:
        import h5py  # here, since few archives need it

        self.h5py, self.file, self.path = h5py, file, path
        self.budget = min(size * PACKED, MOST)  # bytes that all arrays together may claim
        self.entries = VALUES  # how many entries cells and arrays of structs may have, all together
        self.objects: dict[int, Any] = {}  # by address in the file; None while it is being read

    def variable(self, name: str) -> Any:
        if name not in list(self.file):
            raise MsrnError(f"{self.path} has no variable {name}")
        return self._value(self._member(self.file, name), 0)

    def _member(self, group: Any, name: str) -> Any:
        """What lies in a group under a name; to ask in any other way whether it is there would follow a link."""
        if group.id.links.get_info(name.encode()).type != self.h5py.h5l.TYPE_HARD:
            raise self._refusal(f"{name} is a link")
        return group[name]

    def _value(self, node: Any, depth: int) -> Any:
        address = self.h5py.h5o.get_info(node.id).addr
        if depth > DEEPEST or self.objects.get(address, self) is None:
            raise self._refusal("a value contains itself")
        if address not in self.objects:
            self.objects[address] = None
            reader = self._struct if isinstance(node, self.h5py.Group) else self._array
            self.objects[address] = reader(node, depth)
        return self.objects[address]

    def _struct(self, group: Any, depth: int) -> Any:
        """A struct, or the array of structs (n,) whose fields are references."""
        members = {name: self._member(group, name) for name in group}
        fields = {name: self._value(node, depth + 1) for name, node in members.items()}
        columns = [isinstance(fields[name], list) and not _class(node) for name, node in members.items()]
        if not any(columns):
            return SimpleNamespace(**fields)
        if not all(columns) or len({len(column) for column in fields.values()}) > 1:
            raise self._refusal(f"{group.name} is half a struct and half an array of them")
        structs = np.empty(len(next(iter(fields.values()))), object)
        self._count(len(structs) * len(fields), group)
        for row in range(len(structs)):
            structs[row] = SimpleNamespace(**{name: column[row] for name, column in fields.items()})
        return structs

    def _array(self, node: Any, depth: int) -> Any:
        if "MATLAB_empty" in node.attrs and node.attrs["MATLAB_empty"]:
            return "" if _class(node) == "char" else np.zeros(0)
        self._check(node)
        if self._refers(node):
            self._count(math.prod(node.shape), node)
        content = np.asarray(node[()]).T
        if self._refers(node):
            return [self._value(self.file[reference], depth + 1) for reference in content.ravel(order="F")]
        if _class(node) == "char":
            return content.ravel(order="F").astype("<u2").tobytes().decode("utf-16-le", "replace")
        content = content.squeeze()
        return content if content.ndim else content[()]

    def _check(self, node: Any) -> None:
        """What MATLAB never writes, and arrays larger than their file."""
        filters = node.id.get_create_plist()
        kinds = {filters.get_filter(place)[0] for place in range(filters.get_nfilters())}
        if node.external or node.is_virtual or not kinds <= {DEFLATE, SHUFFLE, CHECKSUM}:
            raise self._refusal(f"{node.name} is stored in another file or in another way than MATLAB does it")
        if not self._refers(node) and node.dtype.kind not in "buif":
            raise self._refusal(f"{node.name} holds {node.dtype}")
        claimed = math.prod(node.shape) * node.dtype.itemsize
        most = min(node.id.get_storage_size() * (PACKED if DEFLATE in kinds else 1), self.budget, LARGEST)
        if claimed > most:
            raise MsrnError(
                f"{self.path}: {node.name} claims {claimed:,} bytes of shape {node.shape}: expected at most {most:,}"
            )
        self.budget -= claimed

    def _count(self, more: int, node: Any) -> None:
        """Each takes a thousand times the bytes that it has in a packed file."""
        self.entries -= more
        if self.entries < 0:
            raise self._refusal(f"{node.name} has {more:,} entries: expected at most {VALUES:,} in all")

    def _refusal(self, reason: str) -> MsrnError:
        return MsrnError(f"{self.path} is not a MATLAB 7.3 file as MATLAB writes it: {reason}")

    def _refers(self, node: Any) -> bool:
        return self.h5py.check_ref_dtype(node.dtype) is self.h5py.Reference


def _class(node: Any) -> str:
    name = node.attrs.get("MATLAB_class", b"")
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)

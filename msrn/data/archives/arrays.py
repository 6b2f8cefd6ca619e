"""Arrays of numbers from .npz and .npy files of others: nothing unpickled, nothing larger than its file could hold.

Each function says in one line what is wrong with a file: which, what was found, what was expected.
"""

import io
import math
import os
import threading
import zipfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from msrn.data.archives.reading import named, open_file, read_bytes
from msrn.errors import MsrnError, first_line

RATIO = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}  # the most bytes that one byte of a member can stand for
LARGEST = 64 * 2**20  # bytes of arrays that are read whole: an object's points take five, but zeros pack well
HEADERS = threading.Lock()  # Python 3.11 fails now and then where two threads read literals, as a header is, at once
Shape = Sequence[int | None]  # None: any length


def read_arrays(root: Path, path: Path, shapes: Mapping[str, Shape], optional: Sequence[str] = ()) -> dict:
    """Arrays of numbers of an .npz by name, each of the wanted shape; those of ``optional`` may be absent."""
    try:
        content = read_bytes(root, path)
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            present = {name.removesuffix(".npy") for name in packed.namelist() if name.endswith(".npy")}
            absent = [name for name in shapes if name not in present and name not in optional]
            if absent:
                names = ", ".join(sorted(present)[:6]) or "none"
                raise MsrnError(f"{path} has no array {absent[0]}: expected {named(list(shapes), 3)}; found {names}")
            arrays, budget = {}, LARGEST
            for name in [name for name in shapes if name in present]:
                with packed.open(f"{name}.npy") as member:
                    most = min(most_bytes(packed, name, len(content), path), budget)
                    arrays[name] = _read_content(member, most, shapes[name], path)
                    budget -= arrays[name].nbytes
            return arrays
    except MsrnError:
        raise
    except Exception as error:  # a header alone can make numpy raise a dozen kinds
        raise torn_arrays(path, error) from None


def check_arrays(root: Path, path: Path, shapes: Mapping[str, Shape]) -> None:
    """Like ``read_arrays``, but of the arrays only the headers are read."""
    try:
        with open_file(root, path) as file, zipfile.ZipFile(file) as packed:
            size = os.fstat(file.fileno()).st_size
            for name in shapes:
                if f"{name}.npy" not in packed.namelist():
                    raise MsrnError(f"{path} has no array {name}")
                with packed.open(f"{name}.npy") as member:
                    read_header(member, min(most_bytes(packed, name, size, path), LARGEST), shapes[name], path)
    except MsrnError:
        raise
    except Exception as error:
        raise torn_arrays(path, error) from None


def read_array(root: Path, path: Path, shape: Shape) -> np.ndarray:
    """The array of numbers in an .npy."""
    content = read_bytes(root, path)
    try:
        return _read_content(io.BytesIO(content), min(len(content), LARGEST), shape, path)
    except MsrnError:
        raise
    except Exception as error:
        raise MsrnError(f"{path} is not a whole .npy ({first_line(error)})") from None


def torn_arrays(path: Path, error: Exception) -> MsrnError:
    return MsrnError(f"{path} is not a whole .npz ({type(error).__name__}: {first_line(error)})")


def most_bytes(packed: zipfile.ZipFile, name: str, file_size: int, path: Path) -> int:
    """How many bytes the member of an array can hold, whatever it claims: more do not fit into the file."""
    info = packed.getinfo(f"{name}.npy")
    if info.compress_type not in RATIO:
        raise MsrnError(f"{path}: {info.filename} is compressed in another way than numpy does it")
    return min(info.compress_size, file_size) * RATIO[info.compress_type]


def _read_content(member: BinaryIO, most: int, expected: Shape, path: Path) -> np.ndarray:
    shape, fortran, dtype = read_header(member, most, expected, path)
    content = member.read(math.prod(shape) * dtype.itemsize)
    if len(content) != math.prod(shape) * dtype.itemsize or member.read(1):
        raise MsrnError(f"{path}: an array has another length than its shape {shape} says")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def read_header(member: BinaryIO, most: int, expected: Shape, path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and type of the array that begins here, refused if it claims more than ``most`` bytes."""
    start = member.read(10)
    if start[:6] != b"\x93NUMPY" or len(start) < 10 or start[6] not in (1, 2, 3):
        raise MsrnError(f"{path} holds something that is not an array of numpy")
    length = start[8:10] if start[6] == 1 else start[8:10] + member.read(2)
    header = int.from_bytes(length, "little")
    if header > 10_000:
        raise MsrnError(f"{path}: an array has a header of {header} bytes: expected at most 10,000")
    shape, fortran, dtype = _parse_header(start[6], length + member.read(header))
    if dtype.kind not in "buif":
        raise MsrnError(f"{path}: an array holds {dtype}: expected numbers; nothing is unpickled")
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > most or min(shape, default=0) < 0:
        raise MsrnError(f"{path}: an array claims {claimed:,} bytes of shape {shape}: expected at most {most:,}")
    if len(shape) != len(expected) or any(b is not None and a != b for a, b in zip(shape, expected, strict=True)):
        lengths = ", ".join("any" if length is None else str(length) for length in expected)
        raise MsrnError(f"{path}: an array has the shape {shape}: expected ({lengths})")
    return shape, fortran, dtype


@lru_cache(maxsize=256)  # cameras repeat one header thousands of times
def _parse_header(version: int, header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    reader = np.lib.format.read_array_header_1_0 if version == 1 else np.lib.format.read_array_header_2_0
    with HEADERS:
        shape, fortran, dtype = reader(io.BytesIO(header))
    if any(isinstance(length, bool) for length in shape):  # to numpy's own check they are numbers
        raise ValueError(f"shape is not valid: {shape}")
    return shape, fortran, dtype

"""Writes MATLAB 7.3 files as MATLAB lays them out in HDF5; nothing here is the readers'.

A user block of 512 bytes begins with MATLAB's text. Arrays have their dimensions reversed, since HDF5 counts by rows
and MATLAB by columns. A struct is a group; a field of an array of structs is a dataset of references into ``#refs#``.
"""

from pathlib import Path

import h5py
import numpy as np

TEXT = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan 06 10:00:00 2014 HDF5 schema 1.00 ."


def write_mat(path: Path, variables: dict, packed: bool = True) -> None:
    """``packed``: in chunks, compressed, as MATLAB does with all but the smallest arrays."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            write_value(file, file, name, value, packed)
    write_head(path)


def write_head(path: Path) -> None:
    with open(path, "r+b") as file:
        file.write(TEXT.ljust(116) + bytes(8) + b"\x00\x02IM")


def write_value(file: h5py.File, group: h5py.Group, name: str, value: object, packed: bool = True) -> None:
    if isinstance(value, dict):
        made = group.create_group(name)
        made.attrs["MATLAB_class"] = np.bytes_(b"struct")
        for field, content in value.items():
            write_value(file, made, field, content, packed)
    elif isinstance(value, np.ndarray) and value.dtype.names:
        made = group.create_group(name)
        made.attrs["MATLAB_class"] = np.bytes_(b"struct")
        for field in value.dtype.names:
            column = [[reference(file, content, packed) for content in row] for row in value[field].T]
            made.create_dataset(field, data=np.array(column, h5py.ref_dtype))
    elif isinstance(value, list):  # a cell array
        column = [[reference(file, content, packed)] for content in value]
        made = group.create_dataset(name, data=np.array(column, h5py.ref_dtype))
        made.attrs["MATLAB_class"] = np.bytes_(b"cell")
    elif isinstance(value, str):
        write_array(group, name, np.frombuffer(value.encode("utf-16-le"), "<u2").reshape(1, -1), "char", packed)
        group[name].attrs["MATLAB_int_decode"] = np.int32(2)
    else:
        write_array(group, name, np.atleast_2d(np.asarray(value, np.float64)), "double", packed)


def write_array(group: h5py.Group, name: str, value: np.ndarray, kind: str, packed: bool) -> None:
    if value.size:
        options = {"compression": "gzip", "compression_opts": 3, "chunks": value.T.shape} if packed else {}
        made = group.create_dataset(name, data=value.T, **options)
    else:
        made = group.create_dataset(name, data=np.array(value.shape, np.uint64))
        made.attrs["MATLAB_empty"] = np.uint8(1)
    made.attrs["MATLAB_class"] = np.bytes_(kind.encode())


def reference(file: h5py.File, value: object, packed: bool) -> h5py.Reference:
    refs = file.require_group("#refs#")
    name = f"r{len(refs)}"
    refs.create_group(f"{name}_taken")  # a value may need references of its own
    write_value(file, refs, name, value, packed)
    return refs[name].ref

"""Meshes and point clouds from files that somebody else wrote: nothing unpickled, nothing outside of their folder."""

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import trimesh

from msrn.data.archives.arrays import read_arrays
from msrn.data.archives.meshes import read_mesh
from msrn.data.archives.reading import open_file, read_bytes, stat_of
from msrn.errors import MsrnError, first_line
from msrn.evaluation.protocol import Surface, check_surface

FORMATS = (".obj", ".ply", ".off", ".glb", ".stl", ".npz", ".xyz")
LARGEST_FILE = 2**29  # bytes: text of about five million vertices
LARGEST = 5_000_000  # vertices, or points; of an .npz also 64 MiB
FEWEST = 100  # points of a cloud


def kind_of(path: Path | str) -> str:
    """The ending of a file's name in small letters, such as ``.obj``."""
    return os.path.splitext(path)[1].lower()


def read_turned(root: Path, file: tuple[Path, np.ndarray]) -> Surface:
    """The surface of a file under ``root``, turned by its matrix (3, 3) as v @ turn."""
    path, turn = file
    surface = read_surface(root, path)
    return surface @ turn if isinstance(surface, np.ndarray) else (surface[0] @ turn, surface[1])


def content_digest(root: Path, path: Path) -> str:
    """Of the bytes of a file under the resolved folder ``root``, which is refused if it is empty or too large."""
    size = stat_of(path).st_size
    if not 0 < size <= LARGEST_FILE:
        raise MsrnError(f"{path} has {size:,} bytes: expected 1 to {LARGEST_FILE:,}")
    return hashlib.sha256(read_bytes(root, path)).hexdigest()


def read_surface(root: Path, path: Path) -> Surface:
    """The mesh or cloud of a file under the resolved folder ``root``, as it stands; a scene's parts are joined.

    Faces keep their order, and with it a sample of the surface its points, but where an .obj has several materials or
    a .glb several parts.
    """
    surface = check_surface(_read(root, path), f"of {path}")
    cloud = isinstance(surface, np.ndarray)
    points = surface if cloud else surface[0]
    if len(points) > LARGEST:
        raise MsrnError(f"{path} has {len(points):,} points: expected at most {LARGEST:,}; simplify it")
    if cloud and len(points) < FEWEST:
        raise MsrnError(f"{path} has {len(points)} points and no faces: expected at least {FEWEST} points, or a mesh")
    if cloud and not np.ptp(points, axis=0).max() > 0:
        raise MsrnError(f"{path} has no extent: all of its {len(points)} points are one")
    if not cloud and not _twice_area(*surface).max() > 0:
        raise MsrnError(f"{path} has no area: none of its {len(surface[1])} faces has any")
    return surface


def _read(root: Path, path: Path) -> Surface:
    kind = kind_of(path)
    try:
        if kind in (".obj", ".off"):
            return read_mesh(root, path)
        if kind == ".npz":
            with open_file(root, path) as file, zipfile.ZipFile(file) as packed:
                arrays = packed.namelist()
            name = arrays[0].removesuffix(".npy") if len(arrays) == 1 else "points"
            return read_arrays(root, path, {name: (None, 3)})[name]
        content = read_bytes(root, path)
        if kind == ".xyz":
            return np.loadtxt(io.BytesIO(content), ndmin=2)[:, :3]  # colours or normals may follow
        _check_content(content)
        return _joined(trimesh.load(io.BytesIO(content), kind[1:], process=False, force="scene"), kind == ".ply")
    except MsrnError:
        raise
    except Exception as error:  # trimesh and numpy raise whatever a torn file makes them stumble over
        raise MsrnError(f"{path} is not a whole {kind} ({type(error).__name__}: {first_line(error)})") from None


def _check_content(content: bytes) -> None:
    """What trimesh passes over: a text .ply that was cut off, coding that it takes for zeros, and zeros that a .glb
    claims without holding them."""
    header, _, body = content.partition(b"end_header")
    if header.startswith(b"ply") and b"format ascii" in header:
        expected = sum(int(line.split()[2]) for line in header.splitlines() if line.startswith(b"element"))
        lines = sum(bool(line.strip()) for line in body.splitlines())
        if lines < expected:
            raise ValueError(f"{lines} of {expected} lines: is it cut off?")
    for coding in (b"KHR_draco_mesh_compression", b"EXT_meshopt_compression"):
        if content.startswith(b"glTF") and coding in content:
            raise ValueError(f"it uses {coding.decode()}: write it without compression")
    if content.startswith(b"glTF"):
        length = int.from_bytes(content[12:16], "little")
        accessors = json.loads(content[20 : 20 + length]).get("accessors", [])
        claimed = sum(int(each["count"]) for each in accessors if "bufferView" not in each)
        if claimed > LARGEST:
            raise ValueError(f"{claimed:,} values that it does not hold, more than {LARGEST:,}")


def _joined(scene: trimesh.Scene, points: bool) -> Surface:
    """The triangles of a scene, each part where its transforms put it; without any its points, where they may be."""
    parts = [(scene.geometry[name], place) for place, name in map(scene.graph.get, scene.graph.nodes_geometry)]
    meshes = [part for part in parts if len(getattr(part[0], "faces", ()))]
    shapes = meshes or [part for part in parts if points and isinstance(part[0], trimesh.PointCloud)]
    if not shapes:
        raise ValueError("it has no faces")
    sizes = [len(part.vertices) for part, _ in shapes]
    if sum(sizes) > LARGEST:  # a part that is placed a thousand times counts as often
        raise ValueError(f"{sum(sizes):,} points, more than {LARGEST:,}")
    vertices = np.concatenate([part.vertices @ place[:3, :3].T + place[:3, 3] for part, place in shapes])
    if not meshes:
        return vertices
    starts = np.cumsum([0, *sizes[:-1]])
    return vertices, np.concatenate([part.faces + start for (part, _), start in zip(shapes, starts, strict=True)])


def _twice_area(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,)"""
    corner, first, second = vertices[faces].swapaxes(0, 1)
    return np.linalg.norm(np.cross(first - corner, second - corner), axis=1)

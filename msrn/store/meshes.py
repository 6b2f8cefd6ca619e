"""Meshes of a figure's objects as they are recorded: ``results/meshes/*.npz``, small, and without pickled objects.

A file belongs to a recorded result by the digest of its evaluation: without that result no page shows it.
"""

import contextlib
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from msrn import paths
from msrn.errors import MsrnError, first_line
from msrn.store import results
from msrn.store.results import Record

KEYS = (
    "experiment", "variant", "dataset", "fingerprint", "profile", "seed", "points", "protocol", "evaluation", "commit",
    "created",
)  # fmt: skip
OF_OBJECTS, JOINED = ("object_id", "cd"), ("vertices", "faces", "face_colors")
MOST_VERTICES = 2**16
LARGEST = 64 * 2**20  # bytes of all arrays of a file; those that are recorded have a thousandth


class Packed(NamedTuple):
    """A mesh as it is kept."""

    vertices: np.ndarray  # (V, 3) float16, a step of 0.0005 at most where the longest true edge is 1
    faces: np.ndarray  # (F, 3) uint16
    face_colors: np.ndarray  # (F, 3) uint8


@dataclass(frozen=True)
class Meshes:
    """What one run made of G test objects, a mesh each in the frame of the truth."""

    object_id: np.ndarray  # (G,) str
    cd: np.ndarray  # (G,) as recorded
    shapes: list[Packed]  # G
    about: dict[str, Any]  # ``KEYS`` of the record, and ``run``, the name of the run: data set, seed, digest
    inputs: np.ndarray | None = None  # (G, 3, S, S) uint8, what the network saw of each; None in older files

    def of(self, name: str) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """The mesh of an object, vertices (V, 3) and faces (F, 3), and its colours (F, 3)."""
        mesh = self.shapes[self.object_id.tolist().index(name)]
        return (mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64)), mesh.face_colors

    def input_of(self, name: str) -> np.ndarray | None:
        """What the network saw of an object (S, S, 3), where that is known."""
        return None if self.inputs is None else self.inputs[self.object_id.tolist().index(name)].transpose(1, 2, 0)

    def cd_of(self, names: Sequence[str]) -> list[float]:
        known = dict(zip(self.object_id.tolist(), self.cd.tolist(), strict=True))
        return [known[name] for name in names]


def packed(vertices: np.ndarray, faces: np.ndarray, face_colors: np.ndarray) -> Packed:
    """A mesh as it is kept; MsrnError where it has more vertices than numbers of 16 bits can name."""
    if len(vertices) > MOST_VERTICES:
        raise MsrnError(f"a mesh of {len(vertices):,} vertices is not kept: expected {MOST_VERTICES:,} at most")
    return Packed(vertices.astype(np.float16), faces.astype(np.uint16), face_colors)


def about(record: Record, run: str) -> dict[str, Any]:
    """Which run of which data the meshes of a record are of."""
    return {key: getattr(record, key) for key in KEYS} | {"run": run}


def write(meshes: Meshes) -> str:
    """Keep them beside the results, unless they are there already; a line that says so."""
    a, content = meshes.about, io.BytesIO()
    file = results.file_of("meshes", f"{a['experiment']}-{a['dataset']}", a["profile"], a["variant"], a["seed"])
    arrays = {name: getattr(meshes, name) for name in OF_OBJECTS}
    if meshes.inputs is not None:
        arrays["inputs"] = meshes.inputs
    for name, parts in zip(JOINED, zip(*meshes.shapes, strict=True), strict=True):
        arrays |= {name: np.concatenate(parts), f"count_{name}": np.array([len(part) for part in parts])}
    np.savez_compressed(content, about=np.array(json.dumps(a)), **arrays)
    return results.keep(file.with_suffix(".npz"), content.getvalue())


def read(path: Path) -> Meshes:
    """The meshes in ``path``."""
    with _opened(path) as file:
        return Meshes(*(file[name] for name in OF_OBJECTS), _shapes(file), _about(file), _inputs(file))


def _shapes(file: np.lib.npyio.NpzFile) -> list[Packed]:
    """The meshes one after the other or, in files from before meshes had faces of their own, all with the same ones."""
    arrays = {name: file[name] for name in JOINED}
    if arrays["vertices"].ndim == 3:
        arrays["faces"] = [arrays["faces"]] * len(arrays["vertices"])
        return [Packed(*parts) for parts in zip(*arrays.values(), strict=True)]
    ends = {name: np.cumsum(file[f"count_{name}"]) for name in JOINED}
    for name, values in arrays.items():
        if ends[name][-1] != len(values):
            raise ValueError(f"{name} are {len(values)}, expected {ends[name][-1]}")
    return [Packed(*parts) for parts in zip(*(np.split(arrays[n], ends[n][:-1]) for n in JOINED), strict=True)]


def _inputs(file: np.lib.npyio.NpzFile) -> np.ndarray | None:
    if "inputs" not in file:
        return None
    inputs, count = file["inputs"], len(file["object_id"])
    if inputs.dtype != np.uint8 or inputs.ndim != 4 or inputs.shape[:2] != (count, 3):
        raise ValueError(f"inputs are {inputs.shape} {inputs.dtype}, expected ({count}, 3, S, S) uint8")
    return inputs


def recorded() -> dict[str, Path]:
    """The file of each evaluation that has one."""
    found = {}
    for path in sorted((paths.RESULTS / "meshes").glob("*.npz")):
        with _opened(path) as file:
            found[_about(file)["evaluation"]] = path
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    try:
        with np.load(path, allow_pickle=False) as file:
            _check_claims(file)
            yield file
    except Exception as error:  # a torn header alone can make numpy raise a dozen kinds
        raise MsrnError(
            f"{path}: not readable as meshes ({first_line(error)}); restore it from git, or delete it"
        ) from None


def _check_claims(file: np.lib.npyio.NpzFile) -> None:
    """No array is larger than its member, nor all of them than ``LARGEST``: numpy believes what headers claim."""
    if sum(member.file_size for member in file.zip.infolist()) > LARGEST:
        raise ValueError(f"more than {LARGEST:,} bytes")
    for info in file.zip.infolist():
        with file.zip.open(info) as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(member)
            if math.prod(shape) * dtype.itemsize > info.file_size - member.tell():
                raise ValueError(f"{info.filename} claims the shape {shape}")


def _about(file: np.lib.npyio.NpzFile) -> dict[str, Any]:
    return json.loads(str(file["about"]))

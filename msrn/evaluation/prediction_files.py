"""Predictions of another system from a folder: a mesh or point cloud for each evaluated object, in a stated frame.

Meshes are .obj, .ply, .off, .glb or .stl; clouds are .ply without faces, .npz (one array, or one called ``points``) or
.xyz (a point a line). Files are named by object (``chair/abc.obj``) or by evaluated image, the object and its view
(``chair/abc-3.obj``, ``chair/abc_03.obj``). Instead of ``/`` a name may have ``-``, ``_`` or ``__``, and case does not
matter. Predictions of other views are not scored.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import trimesh

from msrn import camera
from msrn.data.collection import ImageCollection
from msrn.errors import MsrnError, did_you_mean, first_line
from msrn.evaluation.alignment import search_rotation
from msrn.evaluation.metrics import chamfer_l1
from msrn.evaluation.protocol import Surface, Surfaces, check_surface, surface_points
from msrn.store.digest import digest_of

FORMATS = (".obj", ".ply", ".off", ".glb", ".stl", ".npz", ".xyz")
FRAMES = {
    "y-up": "y up, front toward +z, as the truth",
    "z-up": "z up, front toward -y",
    "camera": "the camera of the image: x left, y up, z into the scene",
}
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # (x, y, z) -> (x, z, -y), a quarter turn about x
SAMPLE, SAMPLE_POINTS = 10, 2_000  # predictions that ``frame_warning`` looks at, and points of each
BETTER = 0.75  # of the distance: a turn that gains as much is no chance


@dataclass(frozen=True)
class Predicted:
    """The predictions of a folder that are scored: of M' of the M images of ``collection.evaluation_index``."""

    surfaces: Sequence[Surface]  # (M') meshes or clouds in the truth's frame, each read when it is asked for
    indices: np.ndarray  # (M') images of the collection
    missing: tuple[str, ...]  # objects without a prediction; a mean over the others is none over all
    extra: tuple[str, ...]  # meshes and clouds that name nothing evaluated
    digest: str  # of the shapes, what each is of, and the frame


def read_predictions(folder: str | Path, collection: ImageCollection, frame: str) -> Predicted:
    """Match the files of ``folder`` to the evaluated images of ``collection``; ``frame`` is one of ``FRAMES``.

    Of names by object and names by image those count that fit more files. Each file is read here, so that a bad one is
    refused before any work, and again whenever its surface is asked for: they are never in memory together.
    """
    if frame not in FRAMES:
        options = "; ".join(f"{name} ({words})" for name, words in FRAMES.items())
        raise MsrnError(f"frame {frame!r}{did_you_mean(frame, FRAMES)}: expected one of {options}")
    files = _surface_files(Path(folder))
    index = np.asarray(collection.evaluation_index)
    images = list(zip(collection.object_id[index].tolist(), collection.view[index].tolist(), strict=True))
    by_object, by_image = [_key(name) for name, _ in images], [_key(f"{name}-{view}") for name, view in images]
    keys = max(by_object, by_image, key=lambda keys: sum(key in files for key in keys))
    rows = [row for row, key in enumerate(keys) if key in files]
    if not rows:
        (name, view), one = images[0], next(iter(files.values())).name
        hint = f"expected such as {name}.obj, {name.replace('/', '-')}.ply or, by evaluated image, {name}-{view}.glb"
        raise MsrnError(f"{folder}: none of {len(files)} files, such as {one}, names an object: {hint}")
    paths = [files[keys[row]] for row in rows]
    turned = list(zip(paths, _turns(collection, index[rows], frame), strict=True))
    shapes = [digest_of(*(array.tobytes() for array in _arrays(read_surface(path)))) for path in paths]
    others = files.keys() - {keys[row] for row in rows}
    return Predicted(
        surfaces=Surfaces(_read_turned, turned),
        indices=index[rows],
        missing=tuple(name for row, (name, _) in enumerate(images) if row not in set(rows)),
        extra=tuple(str(files[key].relative_to(folder)) for key in sorted(others)),
        digest=digest_of(frame, list(zip([images[row] for row in rows], shapes, strict=True))),
    )


def frame_warning(predicted: Predicted, collection: ImageCollection) -> str:
    """One line about axes that are surely wrong, or an empty one; it takes seconds, however many files there are.

    Of ``SAMPLE`` predictions, a quarter or half turn about x, followed by the search about the vertical, brings them
    much nearer to the truth.
    """
    rows = np.unique(np.linspace(0, len(predicted.indices) - 1, SAMPLE).astype(int))
    cd = []
    for row in rows:
        points, _ = surface_points(predicted.surfaces[row], SAMPLE_POINTS, 0)
        truth = collection.ground_truth(collection.object_id[predicted.indices[row]]).points(SAMPLE_POINTS, 0)
        turns = [points @ np.linalg.matrix_power(Z_UP, quarters) for quarters in range(4)]
        cd.append([chamfer_l1(search_rotation(cloud, truth, cloud).apply(cloud), truth) for cloud in turns])
    mean = np.mean(cd, 0)  # (4,)
    best = int(mean.argmin())
    if mean[best] >= BETTER * mean[0]:
        return ""
    gain = f"CD {mean[best]:.3g} in place of {mean[0]:.3g}, over {len(rows)} of them"
    return f"predictions turned by {360 - 90 * best} degrees about x are much better ({gain}): is their frame another?"


def _turns(collection: ImageCollection, indices: np.ndarray, frame: str) -> np.ndarray:
    """(M', 3, 3) from the stated frame to the truth's, for row vectors."""
    if frame != "camera":
        return np.broadcast_to(Z_UP if frame == "z-up" else np.eye(3), (len(indices), 3, 3))
    pose = np.asarray(collection.true_pose()[indices], np.float64)
    return camera.rotation(*torch.from_numpy(pose).unbind(1)).numpy().transpose(0, 2, 1)


def _surface_files(folder: Path) -> dict[str, Path]:
    """The meshes and clouds in a folder and the folders in it, by what their names come down to."""
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in FORMATS and path.is_file():
            key = _key(path.relative_to(folder).with_suffix("").as_posix())
            if key in files:
                raise MsrnError(f"{files[key]} and {path} are of one object: keep one of them")
            files[key] = path
    if not files:
        raise MsrnError(f"{folder} holds no mesh or point cloud: expected a folder with files {', '.join(FORMATS)}")
    return files


def _key(name: str) -> str:
    """A name in small letters, with one sign between its parts and no zeros before a last number."""
    return re.sub("-0+(?=[0-9]+$)", "-", re.sub("[/_-]+", "-", name.lower()))


def _arrays(surface: Surface) -> Sequence[np.ndarray]:
    return [surface] if isinstance(surface, np.ndarray) else surface


def _read_turned(file: tuple[Path, np.ndarray]) -> Surface:
    """The surface of a file, turned by its matrix (3, 3) as v @ turn."""
    path, turn = file
    vertices, *faces = _arrays(read_surface(path))
    return (vertices @ turn, *faces) if faces else vertices @ turn


def read_surface(path: Path) -> Surface:
    """The mesh or cloud of a file as it stands; a scene's parts are joined. Nothing is unpickled."""
    try:
        surface = check_surface(_parse(path.suffix.lower(), path.read_bytes()), "of the file")
        surface_points(surface, 1, 0)  # which needs an extent, and faces with an area
    except Exception as error:  # trimesh and numpy raise whatever a torn file makes them stumble over
        reason = str(error) if isinstance(error, MsrnError) else f"{type(error).__name__}: {first_line(error)}"
        raise MsrnError(f"{path} cannot be scored: {reason}") from None
    return surface


def _parse(kind: str, content: bytes) -> Surface:
    if kind == ".npz":
        arrays = np.load(io.BytesIO(content), allow_pickle=False)
        return arrays[arrays.files[0] if len(arrays.files) == 1 else "points"]
    if kind == ".xyz":
        return np.loadtxt(io.BytesIO(content), ndmin=2)[:, :3]  # colours or normals may follow
    options = {"skip_materials": True, "maintain_order": True} if kind == ".obj" else {}
    shape = trimesh.load(io.BytesIO(content), kind[1:], process=False, **options)
    if isinstance(shape, trimesh.PointCloud) and kind == ".ply":
        return np.asarray(shape.vertices)
    mesh = shape.to_mesh() if isinstance(shape, trimesh.Scene) else shape
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)

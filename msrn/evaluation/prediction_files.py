"""Predictions of another system from a folder: a mesh or point cloud for each evaluated object, in a stated frame.

Meshes are .obj, .ply, .off, .glb or .stl; clouds are .ply without faces, .npz (one array, or one called ``points``) or
.xyz (a point a line). A file is named by its object (``chair/abc.obj``) or by its evaluated image, the object and its
view (``chair/abc-3.obj``, ``chair/abc_03.obj``). Instead of ``/`` a name may have ``-``, ``_`` or ``__``, and case does
not matter, unless two objects differ in nothing else. Predictions of other views are not scored.
"""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from msrn import camera
from msrn.data.archives.reading import is_folder, unreadable
from msrn.data.collection import ImageCollection
from msrn.errors import MsrnError, did_you_mean
from msrn.evaluation.alignment import search_rotation
from msrn.evaluation.metrics import nearest_distances
from msrn.evaluation.protocol import Surface, Surfaces, surface_points
from msrn.evaluation.surface_files import FORMATS, content_digest, kind_of, read_turned
from msrn.store.digest import digest_of

FRAMES = {
    "y-up": "y up, front toward +z, as the truth",
    "z-up": "z up, front toward -y",
    "camera": "the camera of the image: x left, y up, z into the scene",
}
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # (x, y, z) -> (x, z, -y), a quarter turn about x
SAMPLE, SAMPLE_POINTS = 10, 2_000  # predictions that ``frame_warning`` looks at, and points of each
FLAT = 1e-6  # of the extent: what is thinner is flat
FAR = 1_000  # extents from the origin: single precision then leaves steps of a ten-thousandth of the extent
BETTER = 0.75  # of the distance: a turn that gains as much is no chance

Subject = tuple[str, int | None]  # what a file is of: an object, or one view of it


@dataclass(frozen=True)
class Predicted:
    """The predictions of a folder that are scored: of M' of the M images of ``collection.evaluation_index``."""

    surfaces: Sequence[Surface]  # (M') meshes or clouds in the truth's frame, each read when it is asked for
    indices: np.ndarray  # (M') images of the collection
    missing: tuple[str, ...]  # objects without a prediction; a mean over the others is none over all
    extra: tuple[str, ...]  # files that name nothing evaluated, and of another format those of objects in ``missing``
    digest: str  # of the files' contents, what each is of, and the frame
    by: str  # what files are named by, "object" or "image"


def check_place(folder: str | Path, frame: str) -> None:
    """Refuse what is no folder, and an unknown frame."""
    if frame not in FRAMES:
        options = "; ".join(f"{name} ({words})" for name, words in FRAMES.items())
        raise MsrnError(f"frame {frame!r}{did_you_mean(frame, FRAMES)}: expected one of {options}")
    if not is_folder(folder):
        raise MsrnError(f"{folder} is no folder: expected one with predictions ({', '.join(FORMATS)})")


def read_predictions(folder: str | Path, collection: ImageCollection, frame: str) -> Predicted:
    """Match the files of ``folder`` to the evaluated images of ``collection``; ``frame`` is one of ``FRAMES``.

    A file named by object stands for the object's evaluated image. Refused are two files for one object, a name that
    fits two, names by object beside names by image, and a folder in which no name fits. Each file is read here for the
    digest and again whenever its surface is asked for: one is in memory at a time for each thread that asks.
    """
    check_place(folder, frame)
    root = Path(folder).resolve()
    index = np.asarray(collection.evaluation_index)
    images = list(zip(collection.object_id[index].tolist(), collection.view[index].tolist(), strict=True))
    files, other = _matched(root, images)
    by = {"object" if view is None else "image": file for (_, view), file in files.items()}
    if len(by) > 1:
        raise MsrnError(f"{root}: {by['object']} names an object and {by['image']} an image: name all files alike")
    (by,) = by
    subjects = [(name, view if by == "image" else None) for name, view in images]
    rows = [row for row, subject in enumerate(subjects) if subject in files]
    missing = tuple(dict.fromkeys(subject[0] for subject in subjects if subject not in files))
    paths = [root / files[subjects[row]] for row in rows]
    if frame == "camera" and len(set(paths)) < len(paths):
        raise MsrnError(f"{root}: an object has several evaluated images, each with a camera: name files by image")
    turns = _turns(collection, index[rows], frame)
    contents = [
        (*subjects[row], kind_of(path), content_digest(root, path)) for row, path in zip(rows, paths, strict=True)
    ]
    return Predicted(
        surfaces=Surfaces(partial(read_turned, root), list(zip(paths, turns, strict=True))),
        indices=index[rows],
        missing=missing,
        extra=tuple(file for file, subject in other.items() if subject is None or subject[0] in missing),
        digest=digest_of(frame, contents),
        by=by,
    )


def frame_warning(predicted: Predicted, collection: ImageCollection) -> str:
    """One line about axes that are surely wrong, or an empty one; it takes seconds, however many files there are.

    Looks at ``SAMPLE`` predictions. All are flat; all lie so far from the origin that single precision has cost them
    detail (the protocol centres them in double precision); or a quarter or half turn about x, followed by the search
    about the vertical, brings them much nearer to the truth.
    """
    rows = np.unique(np.linspace(0, len(predicted.indices) - 1, SAMPLE).astype(int))
    flat, far, cd = [], [], []
    for row in rows:
        surface = predicted.surfaces[row]
        vertices = surface if isinstance(surface, np.ndarray) else surface[0]
        low, high = vertices.min(0), vertices.max(0)
        far.append(np.abs(low + high).max() / 2 > FAR * (high - low).max())
        points = surface_points(surface, SAMPLE_POINTS, 0)[0]
        spread = np.linalg.svd(points - points.mean(0), compute_uv=False)
        flat.append(spread[2] < FLAT * spread[0])
        truth = collection.ground_truth(collection.object_id[predicted.indices[row]]).outer_points(SAMPLE_POINTS, 0)
        turns = [points @ np.linalg.matrix_power(Z_UP, quarters) for quarters in range(4)]
        turns = [search_rotation(cloud, truth, cloud).apply(cloud) for cloud in turns]
        cd.append([nearest_distances(cloud, truth).chamfer_l1() for cloud in turns])
    if all(flat):
        return f"all of {len(rows)} predictions looked at are flat: expected shapes with a width, a height and a depth"
    if all(far):
        return f"predictions lie over {FAR:,} times their extent from the origin: centre them before they are written"
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


def _matched(root: Path, images: Sequence[tuple[str, int]]) -> tuple[dict[Subject, str], dict[str, Subject | None]]:
    """The surface files under ``root`` by what they are of, and all other files with what they seem to be of."""
    exact, folded = defaultdict(set), defaultdict(set)
    for name, view in images:
        for sign in "/-_":
            exact[f"{name}{sign}{view}"].add((name, view))
        exact[name].add((name, None))
        folded[_fold(name)].add((name, None))
        folded[_fold(name), view].add((name, view))
    files, other = {}, {}
    for file in _files(root):
        stem = os.path.splitext(file)[0]
        key = _fold(stem)
        image = re.fullmatch("(.+)-([0-9]{1,9})", key)
        loose = folded[key] | (folded[image[1], int(image[2])] if image else set())
        fits = sorted(exact.get(stem, loose), key=str)
        if kind_of(file) not in FORMATS or not fits:
            other[file] = fits[0] if fits else None
        elif len(fits) > 1:
            options = " or ".join(map(_name_of, fits))
            raise MsrnError(f"{root}: {file} may be {options}: name it by folder and file exactly as one of them")
        elif fits[0] in files:
            raise MsrnError(f"{root}: {files[fits[0]]} and {file} are both of {_name_of(fits[0])}: keep one of them")
        else:
            files[fits[0]] = file
    if not files:
        raise _nothing_fits(root, [file for file in other if kind_of(file) in FORMATS], images)
    return files, other


def _nothing_fits(root: Path, files: Sequence[str], images: Sequence[tuple[str, int]]) -> MsrnError:
    if not files:
        return MsrnError(f"{root} holds no mesh or point cloud: expected files {', '.join(FORMATS)}")
    (name, view), near = images[0], did_you_mean(os.path.splitext(files[0])[0], [name for name, _ in images])
    hint = f"expected such as {name}.obj, {name.replace('/', '-')}.ply or, by evaluated image, {name}-{view}.glb"
    return MsrnError(f"{root}: none of {len(files)} files, such as {files[0]}{near}, names an object: {hint}")


def _files(root: Path) -> list[str]:
    """The files under ``root``; with them links to folders, which nobody follows, and folders named as a surface."""

    def refuse(error: OSError) -> None:
        raise unreadable(error.filename, error)

    paths = []
    for folder, folders, names in os.walk(root, onerror=refuse):
        odd = [name for name in folders if kind_of(name) in FORMATS or os.path.islink(os.path.join(folder, name))]
        paths += [Path(folder, name).relative_to(root).as_posix() for name in names + odd]
    return sorted(paths)


def _name_of(subject: Subject) -> str:
    return subject[0] if subject[1] is None else f"{subject[0]}, view {subject[1]}"


def _fold(name: str) -> str:
    return re.sub("[/_-]+", "-", name.lower())

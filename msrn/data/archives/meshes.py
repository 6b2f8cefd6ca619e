"""Meshes of archives, which are CAD models as .obj or .off, and crops of the photographs that they belong to."""

import io
import os
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from msrn.data.archives.clouds import GRAY
from msrn.data.archives.pack import SIZE
from msrn.data.archives.reading import read_bytes
from msrn.data.ground_truth import GroundTruth
from msrn.errors import MsrnError


def read_mesh(root: Path, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) float64 and faces (F, 3) int64 of an .obj or .off as they stand; materials are left alone.

    An .off says how many it has. An .obj does not: one that was cut off behind a face cannot be told from a whole one.
    """
    kind = os.path.splitext(path)[1][1:].lower()
    if kind not in ("obj", "off"):  # trimesh reads many kinds more, archives and scenes among them
        raise MsrnError(f"{path} is no mesh of a kind that the archives have: expected an .obj or .off")
    content = read_bytes(root, path)
    try:
        if kind == "off":
            _check_whole(content)
        options = {"skip_materials": True, "maintain_order": True} if kind == "obj" else {}
        mesh = trimesh.load(io.BytesIO(content), file_type=kind, process=False, force="mesh", **options)
        vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    except Exception as error:  # trimesh raises whatever a torn file makes it stumble over
        raise MsrnError(f"{path} is not a whole mesh ({type(error).__name__}: {error})".splitlines()[0]) from None
    return check_mesh(vertices, faces, path)


def _check_whole(content: bytes) -> None:
    """As many lines of vertices and faces as the header of an .off says; trimesh takes what there is."""
    text = "\n".join(line.partition("#")[0] for line in content.decode("utf-8", "replace").splitlines())
    header, *lines = [words for line in text.partition("OFF")[2].splitlines() if (words := line.split())]
    vertices, faces = int(header[0]), int(header[1])
    whole = sum(len(words) > int(words[0]) for words in lines[vertices : vertices + faces])
    if len(lines) < vertices or whole < faces:
        counts = f"{min(len(lines), vertices)} of {vertices} vertices and {whole} of {faces} faces"
        raise ValueError(f"{counts}: is it cut off?")


def check_mesh(vertices: np.ndarray, faces: np.ndarray, path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """The mesh with indices counted from its first vertex, or what is wrong with it."""
    if not len(vertices) or not len(faces) or not np.isfinite(vertices).all():
        raise MsrnError(f"{path} has {len(vertices)} vertices and {len(faces)} faces: expected a finite mesh")
    if faces.min() < -len(vertices) or faces.max() >= len(vertices):
        raise MsrnError(f"{path} has a face with vertex {faces.max() + 1} of {len(vertices)}")
    if not np.ptp(vertices[np.unique(faces)], 0).max() > 0:
        raise MsrnError(f"{path} has no extent: the vertices of all {len(faces)} faces are one point")
    return vertices, np.where(faces < 0, faces + len(vertices), faces)


def in_our_frame(vertices: np.ndarray, faces: np.ndarray, turn: np.ndarray) -> GroundTruth:
    """The truth of a mesh that ``turn`` (3, 3) brings into our frame as v @ turn: centred, longest edge 1, grey.

    Vertices of no face do not count.
    """
    vertices = vertices @ turn
    surface = vertices[np.unique(faces)]
    low, high = surface.min(0), surface.max(0)
    vertices = (vertices - (low + high) / 2) / (high - low).max()
    gray = np.full((len(faces), 3), GRAY, np.uint8)
    return GroundTruth(vertices.astype(np.float32), faces.astype(np.int32), gray)


def crop_of(box: tuple[float, float, float, float], margin: float) -> tuple[float, float, float]:
    """The square (left, top, side) about the middle of a box (x0, y0, x1, y1), ``margin`` times its longer edge."""
    x0, y0, x1, y1 = box
    side = margin * max(x1 - x0, y1 - y0)
    return (x0 + x1 - side) / 2, (y0 + y1 - side) / 2, side


def cut(picture: np.ndarray, square: tuple[float, float, float], fill: int | None = None) -> np.ndarray:
    """The square of a picture (H, W, ...) uint8 at our size, each pixel the mean of what it covers.

    Beyond the picture's edges ``fill``, or by default their last pixels.
    """
    left, top, side = square
    y, x = (np.arange(np.floor(start), np.ceil(start + side)).astype(int) for start in (top, left))
    part = picture[y.clip(0, picture.shape[0] - 1)][:, x.clip(0, picture.shape[1] - 1)]
    if fill is not None:
        part[(y < 0) | (y >= picture.shape[0])] = fill
        part[:, (x < 0) | (x >= picture.shape[1])] = fill
    box = (left - x[0], top - y[0], left - x[0] + side, top - y[0] + side)
    return np.asarray(Image.fromarray(part).resize((SIZE, SIZE), Image.Resampling.BOX, box=box))


def check_box(box: object, size: tuple[int, int], what: str) -> tuple[float, float, float, float]:
    """A box (x0, y0, x1, y1) in pixels that touches a picture of ``size`` (width, height) and has an area."""
    try:
        x0, y0, x1, y1 = (float(value) for value in box)
    except (TypeError, ValueError):
        raise MsrnError(f"{what}: its box is {box!r}: expected four numbers") from None
    width, height = size
    inside = np.isfinite([x0, y0, x1, y1]).all() and x0 < min(x1, width) and y0 < min(y1, height) and x1 > 0 and y1 > 0
    if not inside or max(x1 - x0, y1 - y0) > 4 * max(size):
        raise MsrnError(f"{what}: its box is {[x0, y0, x1, y1]} in a picture of {width} x {height}: expected one in it")
    return x0, y0, x1, y1


def on_white(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture (H, W, 3) where its mask (H, W) bool is set, white elsewhere."""
    return np.where(mask[..., None], picture, np.uint8(255))


def centered(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """R (3, 3) of the camera at the same place that looks at the object: x R turned so that T (3,) lies on the axis.

    What a crop shows is what that camera sees, but for the slant of the image plane.
    """
    axis = translation / np.linalg.norm(translation)
    cosine, cross = axis[2], np.array([axis[1], -axis[0], 0.0])  # the turn from the axis to (0, 0, 1), about axis x z
    skew = np.array([[0, -cross[2], cross[1]], [cross[2], 0, -cross[0]], [-cross[1], cross[0], 0]])
    turn = np.eye(3) + skew + skew @ skew / (1 + cosine)
    return rotation @ turn.T

"""Face-coloured pieces of a mesh: what the primitives return and the families put together."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from msrn.data.ground_truth import GroundTruth

Color = tuple[float, float, float]  # 0..255
Where = Callable[[np.ndarray, np.ndarray], np.ndarray]  # centres (F, 3), unit normals (F, 3) -> (F,) bool
SMALLEST = 1e-9  # faces of less area (longest edge 1) are dropped


@dataclass(frozen=True)
class Part:
    """A piece with outward faces. Every method returns a new one."""

    vertices: np.ndarray  # (V, 3) float64
    faces: np.ndarray  # (F, 3) int64
    colors: np.ndarray  # (F, 3) float64, 0..255

    def moved(self, x: float = 0, y: float = 0, z: float = 0) -> "Part":
        return Part(self.vertices + np.array([x, y, z]), self.faces, self.colors)

    def turned(self, axis: str, degrees: float) -> "Part":
        """Turned about an axis through the origin, by the right-hand rule: about x, up goes to the front."""
        first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        vertices = self.vertices.copy()
        vertices[:, first] = cosine * self.vertices[:, first] - sine * self.vertices[:, second]
        vertices[:, second] = sine * self.vertices[:, first] + cosine * self.vertices[:, second]
        return Part(vertices, self.faces, self.colors)

    def scaled(self, x: float = 1, y: float = 1, z: float = 1) -> "Part":
        return Part(self.vertices * np.array([x, y, z]), self.faces, self.colors)

    def mirrored(self) -> "Part":
        """Left for right."""
        return Part(self.vertices * np.array([-1, 1, 1]), self.faces[:, ::-1], self.colors)

    def painted(self, color: Color, where: Where) -> "Part":
        """Faces that ``where`` picks by centre and normal, in another colour."""
        normals = doubled_normals(self.vertices, self.faces)
        normals /= np.maximum(np.sqrt((normals**2).sum(1, keepdims=True)), 1e-12)
        mask = where(self.vertices[self.faces].sum(1) / 3, normals)
        return Part(self.vertices, self.faces, np.where(mask[:, None], np.array(color, float), self.colors))

    def fronted(self, color: Color) -> "Part":
        """Faces that look to the front, in another colour."""
        return self.painted(color, lambda centre, normal: normal[:, 2] > 0.7)


def mirror_pair(part: Part) -> list[Part]:
    """The part and its image on the other side."""
    return [part, part.mirrored()]


def join(parts: Iterable[Part]) -> Part:
    parts = list(parts)
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    return Part(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=False)]),
        np.concatenate([part.colors for part in parts]),
    )


def finish(parts: Iterable[Part]) -> GroundTruth:
    """The parts as one object: bounding box centred, longest edge 1, no faces without area, no unused vertices."""
    whole = join(parts)
    low, high = whole.vertices[whole.faces].min((0, 1)), whole.vertices[whole.faces].max((0, 1))
    vertices = (whole.vertices - (low + high) / 2) / (high - low).max()
    solid = area(vertices, whole.faces) > SMALLEST
    corners, faces = np.unique(whole.faces[solid], return_inverse=True)
    colors = np.clip(np.rint(whole.colors[solid]), 0, 255).astype(np.uint8)
    return GroundTruth(vertices[corners].astype(np.float32), faces.reshape(-1, 3).astype(np.int32), colors)


def area(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area (F,) of each face."""
    return np.sqrt((doubled_normals(vertices, faces) ** 2).sum(1)) / 2


def doubled_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Outward normals (F, 3), twice as long as their faces are large."""
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    (x, y, z), (u, v, w) = (b - a).T, (c - a).T  # written out: np.cross takes ten times as long on so few
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=1)

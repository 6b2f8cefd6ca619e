"""Writes archives of ShapeNet's renderings as their makers do: the layouts are theirs, nothing is the readers'.

Objects are a few boxes each, drawn as filled polygons. In the folder archive's frame (y up) they look along +x; the
camera of view k stands at azimuth 15 k from there, 30 degrees up, with axes x right, y down, z forward.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

VIEWS, SIZE, FINE = 24, 64, 4
FOCAL, DISTANCE = 3.7320509, 2.732
CUBE = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
SIDES = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
NORMALS = np.array([(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)], float)


class Boxes:
    """An object with a front: a long body, a tower at its front (+x) and a fin on one side (+z)."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        length, width, height = 1.0, random.uniform(0.3, 0.5), random.uniform(0.15, 0.3)
        parts = [
            ((0, 0, 0), (length, height, width)),
            ((0.35, height, 0), (0.2, random.uniform(0.3, 0.5), 0.2)),
            ((random.uniform(-0.3, 0.1), 0, width / 2 + 0.1), (0.15, 0.1, 0.2)),
        ]
        corners = np.stack([CUBE * size + center for center, size in parts])  # (3, 8, 3)
        low, high = corners.min((0, 1)), corners.max((0, 1))
        self.corners = (corners - (low + high) / 2) / (high - low).max()
        self.colors = random.integers(20, 220, (3, 6, 3))

    def sample(self, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(seed)
        quads = self.corners[:, SIDES].reshape(-1, 4, 3)  # (18, 4, 3)
        first, second = quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0]
        area = np.linalg.norm(np.cross(first, second), axis=1)
        chosen = random.choice(18, count, p=area / area.sum())
        u, v = random.random((2, count, 1))
        return quads[chosen, 0] + u * first[chosen] + v * second[chosen], np.tile(NORMALS, (3, 1))[chosen]

    def draw(self, world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image (64, 64, 3) on white and mask (64, 64) by the painter's algorithm, sides sorted by their far corner."""
        canvas = Image.new("RGB", (SIZE * FINE, SIZE * FINE), "white")
        cover = Image.new("L", canvas.size)
        camera = self.corners @ world[:3, :3].T + world[:3, 3]
        sides = [(camera[box][list(side)], self.colors[box, k]) for box in range(3) for k, side in enumerate(SIDES)]
        for corners, color in sorted(sides, key=lambda side: -side[0][:, 2].mean()):
            flat = (FOCAL * corners[:, :2] / corners[:, 2:] + 1) / 2 * SIZE * FINE
            polygon = [tuple(point) for point in flat.tolist()]
            ImageDraw.Draw(canvas).polygon(polygon, fill=tuple(int(c) for c in color))
            ImageDraw.Draw(cover).polygon(polygon, fill=255)
        pool = lambda picture, *c: np.asarray(picture).reshape(SIZE, FINE, SIZE, FINE, *c).mean((1, 3))  # noqa: E731
        return pool(canvas, 3).round().astype(np.uint8), pool(cover) > 127.5


def world_matrix(azimuth: float, elevation: float = 30.0) -> np.ndarray:
    a, e = np.deg2rad([azimuth, elevation])
    center = DISTANCE * np.array([np.cos(e) * np.cos(a), np.sin(e), -np.cos(e) * np.sin(a)])
    forward = -center / np.linalg.norm(center)
    right = np.cross(forward, (0, 1, 0))
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = right, np.cross(forward, right), forward
    matrix[:3, 3] = -matrix[:3, :3] @ center
    return matrix


def write_model(folder: Path, thing: Boxes, points: int = 20_000) -> None:
    cameras, lens = {}, np.diag([FOCAL, FOCAL, 1.0, 1.0])
    for part in ("image", "mask"):
        (folder / part).mkdir(parents=True)
    for view in range(VIEWS):
        world = world_matrix(15.0 * view)
        image, mask = thing.draw(world)
        Image.fromarray(image).save(folder / "image" / f"{view:04d}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "mask" / f"{view:04d}.png")
        cameras |= {
            f"world_mat_{view}": world,
            f"world_mat_inv_{view}": np.linalg.inv(world),
            f"camera_mat_{view}": lens,
            f"camera_mat_inv_{view}": np.linalg.inv(lens),
        }
    np.savez(folder / "cameras.npz", **cameras)
    cloud, normals = thing.sample(points)
    np.savez(folder / "pointcloud.npz", points=cloud.astype(np.float32), normals=normals.astype(np.float32))


def write_archive(root: Path, lists: dict[str, dict[str, list[str]]], points: int = 20_000) -> Path:
    """``lists``: category id -> split -> objects; each object is another one."""
    root.mkdir(parents=True)
    entries = [f"'{folder}':\n  id: '{folder}'\n  name: some,names\n" for folder in lists]
    (root / "metadata.yaml").write_text("".join(entries))
    number = 0
    for folder, splits in lists.items():
        for split, names in splits.items():
            for name in names:
                write_model(root / folder / name, Boxes(number), points)
                number += 1
            (root / folder / f"softras_{split}.lst").write_text("".join(f"{n}\n" for n in names), encoding="utf-8")
    return root


def write_npz(root: Path, counts: dict[str, dict[str, int]]) -> Path:
    """The form of Kato et al.: RGB on white, inverted, and the mask, in one array."""
    root.mkdir(parents=True)
    number = 0
    for folder, splits in counts.items():
        for split, count in splits.items():
            packed = np.zeros((count, VIEWS, 4, SIZE, SIZE), np.uint8)
            for row in range(count):
                for view in range(VIEWS):
                    image, mask = Boxes(number).draw(world_matrix(15.0 * view))
                    packed[row, view, :3] = 255 - image.transpose(2, 0, 1)
                    packed[row, view, 3] = mask * 255
                number += 1
            np.savez_compressed(root / f"{folder}_{split}_images.npz", packed)
    return root

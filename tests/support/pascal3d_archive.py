"""Writes archives in the layout of Pascal3D+ 1.1, MATLAB files and all; nothing here is the readers'.

CAD models have z up and their front toward -y. A camera at azimuth a (from -y toward +x) and elevation e looks at the
origin from ``distance``; a point appears at px + s x / depth, py - s y / depth with s = focal * viewport, x right and y
up in the camera, turned counter-clockwise by theta. Pixels count from 1, as all indices in the files do.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.io import savemat
from shapenet_archive import SIDES, Boxes

WIDTH, HEIGHT, VIEWPORT, FOCAL = 240, 180, 3000.0, 1.0
packed = partial(savemat, do_compression=True)
FRONT = np.array([[0, -1, 0], [0, 0, 1], [1, 0, 0]])  # v @ FRONT: the boxes' front, +x, becomes -y, and y becomes z
TRIANGLES = np.array([t for side in SIDES for t in (side[:3], (side[0], *side[2:]))])


def cad(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (24, 3) and faces (36, 3) from 0."""
    faces = np.concatenate([TRIANGLES + 8 * box for box in range(3)])
    return (Boxes(seed).corners @ FRONT).reshape(-1, 3), faces


def project(points: np.ndarray, view: dict) -> np.ndarray:
    """Pixels (P, 2) counted from 1."""
    a, e, theta = np.deg2rad([view["azimuth"], view["elevation"], view["theta"]])
    place = view["distance"] * np.array([np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)])
    inward = -place / np.linalg.norm(place)
    right = np.cross(inward, (0, 0, 1))
    right /= np.linalg.norm(right)
    up = np.cross(right, inward)
    x, y, depth = ((points - place) @ np.stack([right, up, inward], 1)).T
    scale = view["focal"] * view["viewport"]
    x, y = scale * x / depth, scale * y / depth
    x, y = np.cos(theta) * x - np.sin(theta) * y, np.sin(theta) * x + np.cos(theta) * y
    return np.stack([view["px"] + x, view["py"] - y], 1)


def viewpoint(number: int) -> dict:
    random = np.random.default_rng(number)
    return {
        "azimuth": float(random.uniform(0, 360)),
        "elevation": float(random.uniform(-5, 40)),
        "theta": float(random.uniform(-15, 15)),
        "distance": float(random.uniform(25, 35)),
        "focal": FOCAL,
        "px": float(WIDTH / 2 + random.uniform(-20, 20)),
        "py": float(HEIGHT / 2 + random.uniform(-15, 15)),
        "viewport": VIEWPORT,
        "azimuth_coarse": 0.0,
        "elevation_coarse": 0.0,
        "error": 0.1,
        "interval_azimuth": 2.0,
        "interval_elevation": 2.0,
        "num_anchor": 8.0,
        "ob_type": "car",
    }


def annotated(category: str, seed: int, cad_index: int, view: dict | None, **flags: int) -> tuple[dict, np.ndarray]:
    """An entry of ``record.objects``, and the pixels of the model's corners."""
    seen = project(cad(seed)[0], view if view and view["distance"] else viewpoint(0))
    entry = {
        "class": category,
        "bbox": np.array([*seen.min(0), *seen.max(0)]),
        "polygon": np.zeros((0, 0)),
        "truncated": 0.0,
        "occluded": 0.0,
        "difficult": 0.0,
        "cad_index": float(cad_index),
        "anchors": {"left": {"location": np.zeros((0, 0)), "status": 2.0}},
        "viewpoint": np.zeros((0, 0)) if view is None else view,
    }
    return {**entry, **{name: float(value) for name, value in flags.items()}}, seen


def struct_array(entries: list[dict]) -> np.ndarray:
    """A 1 x n struct array of MATLAB."""
    made = np.zeros((1, len(entries)), [(name, object) for name in entries[0]])
    for place, entry in enumerate(entries):
        for name, value in entry.items():
            made[0, place][name] = value
    return made


def write_photograph(
    root: Path, folder: str, stem: str, entries: list[tuple[dict, np.ndarray]], save: Callable = packed
) -> None:
    picture = Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 90))
    for entry, seen in entries:
        for box in range(3):
            for side in SIDES:
                polygon = [tuple(point - 0.5) for point in seen[8 * box : 8 * box + 8][list(side)]]
                ImageDraw.Draw(picture).polygon(polygon, fill=(200, 60, 60))
        del entry
    suffix = ".jpg" if folder.endswith("pascal") else ".JPEG"
    for part in ("Images", "Annotations"):
        (root / part / folder).mkdir(parents=True, exist_ok=True)
    picture.save(root / "Images" / folder / f"{stem}{suffix}", format="JPEG", quality=95)
    size = np.array([WIDTH, HEIGHT, 3.0])
    record = {"filename": f"{stem}{suffix}", "imgsize": size, "objects": struct_array([entry for entry, _ in entries])}
    save(root / "Annotations" / folder / f"{stem}.mat", {"record": record})


def write_cads(root: Path, category: str, seeds: list[int], save: Callable = packed) -> None:
    folder = root / "CAD" / category
    folder.mkdir(parents=True)
    entries = []
    for number, seed in enumerate(seeds, 1):
        vertices, faces = cad(seed)
        lines = ["OFF", f"{len(vertices)} {len(faces)} 0"]
        lines += [" ".join(f"{value:.6f}" for value in vertex) for vertex in vertices]
        lines += ["3 " + " ".join(str(corner) for corner in face) for face in faces]
        (folder / f"{number:02d}.off").write_text("\n".join(lines) + "\n")
        entries.append({"vertices": vertices, "faces": faces + 1.0, "left": np.zeros((1, 3))})
    save(root / "CAD" / f"{category}.mat", {category: struct_array(entries)})


def write_archive(root: Path, classes: tuple[str, ...], photographs: int = 6, save: Callable = packed) -> None:
    """Of each class two models and ``photographs`` of ImageNet and of VOC, these in turn train and val.

    ``save`` writes the MATLAB files: ``packed``, or ``matlab73.write_mat``.
    """
    train, val = [], []
    for place, category in enumerate(classes):
        seeds = [10 * place + 1, 10 * place + 2]
        write_cads(root, category, seeds, save)
        for number in range(photographs):
            for source in ("imagenet", "pascal"):
                view = viewpoint(1000 * place + 2 * number + (source == "pascal"))
                thing = annotated(category, seeds[number % 2], number % 2 + 1, view)
                stem = f"n0{place}_{number}" if source == "imagenet" else f"2008_{100 * place + number:06d}"
                write_photograph(root, f"{category}_{source}", stem, [thing], save)
                if source == "pascal":
                    (val if number % 2 else train).append(stem)
    sets = root / "PASCAL" / "VOCdevkit" / "VOC2012" / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("\n".join(train) + "\n")
    (sets / "val.txt").write_text("\n".join(val) + "\n")

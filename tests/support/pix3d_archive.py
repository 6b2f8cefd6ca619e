"""Writes archives in the layout of Pix3D, official and as ShapeClipper processed it; nothing here is the readers'.

Photographs are drawn through the published camera: at the origin, x left, y up, z inward, a sensor of 32 mm, the model
at rot_mat v + trans_mat. Models are boxes in their canonical view: front toward -z.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from shapenet_archive import SIDES, Boxes

WIDTH, HEIGHT, FOCAL = 200, 150, 35.0
CANONICAL = np.array([[0, 0, -1], [0, 1, 0], [-1, 0, 0]])  # v @ CANONICAL: the boxes' front, +x, becomes -z


def model_vertices(seed: int) -> np.ndarray:
    """(3, 8, 3), a box each."""
    return Boxes(seed).corners @ CANONICAL


def obj_text(seed: int) -> str:
    lines = ["mtllib ../../../outside.mtl", "o thing", "vn 0 0 1", "usemtl paint"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in model_vertices(seed).reshape(-1, 3)]
    for box in range(3):
        lines += ["f " + " ".join(f"{8 * box + corner + 1}//1" for corner in side) for side in SIDES]
    return "\n".join(lines) + "\n"


def rotation(azimuth: float, elevation: float) -> np.ndarray:
    """Column vectors: the model turned about y, then tilted toward the camera."""
    a, e = np.deg2rad([azimuth, elevation])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(e), -np.sin(e)], [0, np.sin(e), np.cos(e)]])
    return tilt @ turn


def draw(seed: int, turn: np.ndarray, place: np.ndarray) -> tuple[Image.Image, Image.Image, list[int]]:
    """A photograph with a wallpaper, its mask, and the box [x0, y0, x1, y1]."""
    random = np.random.default_rng(seed)
    picture = Image.fromarray(random.integers(0, 120, (HEIGHT, WIDTH, 3), np.uint8))
    mask = Image.new("L", picture.size)
    corners = model_vertices(seed) @ turn.T + place
    x, y, z = np.moveaxis(corners, -1, 0)
    pixels = WIDTH * FOCAL / 32
    flat = np.stack([WIDTH / 2 - pixels * x / z, HEIGHT / 2 - pixels * y / z], -1)  # (3, 8, 2)
    for box in range(3):
        for side in SIDES:
            polygon = [tuple(point) for point in flat[box][list(side)].tolist()]
            ImageDraw.Draw(picture).polygon(polygon, fill=(220, 180, 150))
            ImageDraw.Draw(mask).polygon(polygon, fill=255)
    low, high = flat.min((0, 1)), flat.max((0, 1))
    return picture, mask, [int(v) for v in (*np.floor(low), *np.ceil(high))]


def entries_of(models: dict[str, int], images: int, suffix: str = "png") -> list[dict]:
    """``images`` annotations of each category, going round its models."""
    found = []
    for category, count in models.items():
        for number in range(images):
            azimuth, elevation = 37.0 * number, 10.0 + number
            turn = rotation(azimuth, elevation)
            place = np.array([0.1 * (number % 3 - 1), 0.05 * (number % 2), 2.2])
            found.append(
                {
                    "img": f"img/{category}/{number + 1:04d}.{suffix}",
                    "mask": f"mask/{category}/{number + 1:04d}.png",
                    "category": category,
                    "img_size": [WIDTH, HEIGHT],
                    "2d_keypoints": [[[-1.0, -1.0]]],
                    "img_source": "ikea",
                    "model": f"model/{category}/thing_{number % count}/model.obj",
                    "model_raw": None,
                    "model_source": "ikea",
                    "3d_keypoints": "model/keypoints.txt",
                    "voxel": f"model/{category}/thing_{number % count}/voxel.mat",
                    "rot_mat": turn.tolist(),
                    "trans_mat": place.tolist(),
                    "focal_length": FOCAL,
                    "cam_position": (-turn.T @ place).tolist(),
                    "inplane_rotation": 0.0,
                    "truncated": number % 10 == 7,
                    "occluded": number % 10 == 8,
                    "slightly_occluded": number % 10 == 9,
                    "azimuth": azimuth,
                    "elevation": elevation,
                    "seed": sum(category.encode()) + number % count,
                }
            )
    return found


def write_official(root: Path, models: dict[str, int], images: int = 20) -> list[dict]:
    """The annotations, which the tests read too; those that the archive does not have are taken out of the file."""
    entries = entries_of(models, images)
    for entry in entries:
        picture, mask, entry["bbox"] = draw(entry["seed"], np.array(entry["rot_mat"]), np.array(entry["trans_mat"]))
        for path in (entry["img"], entry["mask"], entry["model"]):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
        picture.save(root / entry["img"])
        mask.save(root / entry["mask"])
        (root / entry["model"]).write_text(obj_text(entry["seed"]))
    ours = ("azimuth", "elevation", "seed")
    (root / "pix3d.json").write_text(json.dumps([{k: v for k, v in e.items() if k not in ours} for e in entries]))
    return entries


def write_lists(root: Path, entries: list[dict]) -> None:
    """Every fifth image is test, every seventh of the others val."""
    (root / "lists").mkdir()
    for category in {entry["category"] for entry in entries}:
        names = [Path(entry["img"]).name for entry in entries if entry["category"] == category]
        test = names[::5]
        val = [name for name in names if name not in test][::7]
        train = [name for name in names if name not in test + val]
        for split, mine in (("train", train), ("val", val), ("test", test)):
            (root / "lists" / f"{category}_{split}.txt").write_text("\n".join(mine) + "\n")


def write_processed(root: Path, official: Path, entries: list[dict]) -> None:
    """ShapeClipper's tree: square crops of side 1.2 max(h, w), one annotation a file, points instead of models."""
    for entry in entries:
        x0, y0, x1, y1 = entry["bbox"]
        side = 1.2 * max(x1 - x0, y1 - y0)
        left, top = (x0 + x1 - side) / 2, (y0 + y1 - side) / 2
        for folder, path in (("img_processed", entry["img"]), ("mask_processed", entry["mask"])):
            target = root / folder / path.split("/", 1)[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.open(official / path).crop((left, top, left + side, top + side)).save(target)
        name = Path(entry["img"]).stem
        annotation = root / "annotation" / entry["category"] / f"{name}.json"
        annotation.parent.mkdir(parents=True, exist_ok=True)
        annotation.write_text(json.dumps(entry))
        cloud = root / "pointclouds" / entry["model"][6:].replace(".obj", ".npy")
        cloud.parent.mkdir(parents=True, exist_ok=True)
        np.save(cloud, (Boxes(entry["seed"]).sample(3000)[0] @ CANONICAL).astype(np.float32))
    write_lists(root, entries)


def spoil_mask(root: Path, entry: dict) -> None:
    """As the published archive has of img/table/1749.jpg and another: the mask is of another size than its image."""
    Image.new("L", (WIDTH, HEIGHT - 1), 255).save(root / entry["mask"])

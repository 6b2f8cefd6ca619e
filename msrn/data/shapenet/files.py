"""The files of one object of the ShapeNet renderings, in our frame: pictures, cameras, points; see ``shapenet``."""

from pathlib import Path

import numpy as np

from msrn import camera
from msrn.data.archives.arrays import read_arrays
from msrn.data.archives.pack import SIZE
from msrn.data.archives.poses import angles, is_rotation
from msrn.data.archives.reading import read_picture
from msrn.errors import MsrnError

VIEWS = 24
POINTS = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float64)  # the archive's points @ POINTS are in our frame
CAMERA = np.diag([-1.0, -1.0, 1.0])  # the archive's camera looks along z with x right and y down
NEAR = 0.05  # how far a camera may stand from where the renders of Kato et al. have it, in longest edges


def read_image(root: Path, folder: str, view: int) -> np.ndarray:
    """(3, H, W) uint8 on white."""
    return read_picture(root, f"{folder}/image/{view:04d}.png", "RGB", (SIZE, SIZE)).transpose(2, 0, 1)


def read_mask(root: Path, folder: str, view: int) -> np.ndarray:
    """(H, W) bool. A view in which the object is too thin to be seen has none of it."""
    path = f"{folder}/mask/{view:04d}.png"
    mask = read_picture(root, path, "L", (SIZE, SIZE))
    if mask.max() == 1:
        raise MsrnError(f"{path} holds 0 and 1 alone: expected 255 where the object is and 0 elsewhere")
    return mask > 127


def read_poses(root: Path, folder: str) -> np.ndarray:
    """Azimuth, elevation and roll (24, 3) of an object's cameras."""
    return angles(read_cameras(root, folder)[0])


def read_cameras(root: Path, folder: str) -> tuple[np.ndarray, np.ndarray]:
    """R (24, 3, 3) and T (24, 3) in our frame: x_camera = x R + T for points that ``POINTS`` has turned into it.

    Cameras that look elsewhere than at the centre, or from another distance or with another lens than all of the
    renders, are refused: the network's camera would not fit them.
    """
    path = Path(folder, "cameras.npz")
    scales = [f"scale_mat_{view}" for view in range(VIEWS)]
    worlds = {f"world_mat_{view}": (None, 4) for view in range(VIEWS)} | {"camera_mat_0": (None, None)}
    lenses = {f"camera_mat_{view}": (None, None) for view in range(1, VIEWS)}
    arrays = read_arrays(root, path, worlds | lenses | {name: (4, 4) for name in scales}, optional=[*scales, *lenses])
    for name in worlds:
        if name.startswith("world_mat") and len(arrays[name]) not in (3, 4):
            raise MsrnError(f"{path}: {name} has the shape {arrays[name].shape}: expected (4, 4), or (3, 4)")
    world = np.stack([np.asarray(arrays[f"world_mat_{view}"][:3], np.float64) for view in range(VIEWS)])  # (24, 3, 4)
    if scales[0] in arrays:
        world = world @ np.stack([arrays.get(name, np.eye(4)) for name in scales])
    if not np.isfinite(world).all():
        raise MsrnError(f"{path}: a world_mat holds something else than numbers: expected a rotation and a translation")
    size = np.cbrt(np.maximum(np.linalg.det(world[:, :, :3]), 1e-12))[:, None, None]  # projections do not show it
    linear, offset = world[:, :, :3] / size, world[:, :, 3] / size[:, 0]
    if not is_rotation(linear):
        raise MsrnError(
            f"{path}: a world_mat does not turn and move points alone: expected a rotation and a translation"
        )
    away = np.abs(offset - [0, 0, camera.DISTANCE]).max(1)
    if not away.max() < NEAR:
        view = int(np.nanargmax(away))
        raise MsrnError(
            f"{path}: view {view} has the object at {offset[view].round(3).tolist()} before the camera: expected "
            f"[0, 0, {camera.DISTANCE}]"
        )
    for name in ["camera_mat_0", *(name for name in lenses if name in arrays)]:
        if min(arrays[name].shape) < 2 or not np.abs(arrays[name].diagonal()[:2] / camera.FOCAL - 1).max() < 0.01:
            raise MsrnError(f"{path}: {name} is another lens than that of {camera.FOCAL:.4f} in x and y")
    return POINTS.T @ linear.transpose(0, 2, 1) @ CAMERA, offset @ CAMERA


def read_points(root: Path, folder: str) -> tuple[np.ndarray, np.ndarray]:
    """The true points (P, 3) of an object as the archive places them, and their normals (P, 3), in our frame."""
    path = Path(folder, "pointcloud.npz")
    arrays = read_arrays(root, path, {"points": (None, 3), "normals": (None, 3)})
    points, normals = (arrays[name].astype(np.float64) @ POINTS for name in ("points", "normals"))
    if len(points) < 100 or len(points) != len(normals) or not np.isfinite(points).all():
        raise MsrnError(
            f"{path}: {len(points)} points and {len(normals)} normals: expected as many, finite, 100 or more"
        )
    if not 0.5 < np.ptp(points, 0).max() < 1.1 or np.abs(points).max() > 0.55:
        raise MsrnError(
            f"{path}: points from {points.min(0).round(2).tolist()} to {points.max(0).round(2).tolist()}: expected an "
            "object of longest edge 1 about the origin"
        )
    return points, normals

"""A hard z-buffer, which draws the images that stand in for photographs (§4.1: the renders of Kato et al. [50]).

Not the differentiable projection of §3.3, which is ``msrn.render``: this one answers only "which face is nearest at
this sample", at several samples a pixel, and is used once, when a data set is drawn into its cache.

The light turns with the camera: it stands above the camera's left shoulder. It tells faces of one colour apart, and
since every view of every object is lit alike, shading does not give away the azimuth, which the network must find.
"""

import math
from collections.abc import Sequence

import numpy as np
from numba import njit, prange

from msrn.threads import numba_threads

AMBIENT = 0.5  # the rest is the light's
LIGHT = (0.45, 0.63, -0.63)  # toward the light, in camera axes (X left, Y up, Z into the scene)
BACKGROUND = 255


def draw(
    projected: np.ndarray, in_camera: np.ndarray, faces: np.ndarray, face_colors: np.ndarray, size: int, samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images (B, 3, H, W) uint8 on white and masks (B, H, W) bool, H = W = ``size``, of one mesh in B views.

    ``projected`` (B, V, 3) is in normalised image coordinates with depth, ``in_camera`` (B, V, 3) in camera axes (for
    the light), ``faces`` (F, 3), ``face_colors`` (F, 3) uint8. Each pixel averages ``samples`` x ``samples`` samples;
    the mask holds pixels of which the object covers at least half. Faces are two-sided.
    """
    nearest = nearest_face(projected, faces, size * samples)
    with numba_threads():
        return _resolve(nearest, np.array(face_colors, np.uint8), shade(in_camera, faces), size, samples)


def nearest_face(projected: np.ndarray, faces: np.ndarray, size: int) -> np.ndarray:
    """Index of the nearest face at every sample (B, H, W) int32, -1 where there is none; H = W = ``size``."""
    # Copies, because Numba compiles once more for arrays that are read-only, as those of an asset are.
    with numba_threads():
        return _nearest_face(np.array(projected, np.float64), np.array(faces, np.int32), size)


def draw_layer(
    projected: np.ndarray, faces: np.ndarray, face_colors: np.ndarray, size: int, samples: int
) -> np.ndarray:
    """One mesh in one view with its cover, to be laid over others: (H, W, 4) float32, colours times cover, cover 0..1.

    ``projected`` (V, 3) and ``samples`` as in ``draw``; ``face_colors`` (F, 3) float are drawn as they are, unshaded.
    Threads may draw at once: it holds no lock and uses one core.
    """
    return _draw_layer(
        np.array(projected, np.float64), np.array(faces, np.int32), np.array(face_colors, np.float32), size, samples
    )


def shade(
    in_camera: np.ndarray, faces: np.ndarray, light: Sequence[float] = LIGHT, ambient: float = AMBIENT
) -> np.ndarray:
    """Brightness (B, F) float32 in 0..1 of each face: ambient plus Lambert's cosine to the light, on the side seen."""
    corner, second, third = (in_camera[:, faces[:, k]] for k in range(3))
    normal = np.cross(second - corner, third - corner)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    away = (normal * corner).sum(-1, keepdims=True) > 0  # the camera is the origin: turn normals toward it
    normal = np.where(away, -normal, normal)
    cosine = normal @ (np.array(light) / np.linalg.norm(light))
    return (ambient + (1 - ambient) * np.clip(cosine, 0, 1)).astype(np.float32)


@njit(parallel=True, cache=True)
def _nearest_face(projected, faces, size):
    count = projected.shape[0]
    nearest = np.full((count, size, size), -1, np.int32)
    for view in prange(count):
        inverse_depth = np.zeros((size, size))  # linear across the image, unlike depth itself; 0 is infinitely far
        for face in range(faces.shape[0]):
            draw_face(projected[view], faces[face], face, nearest[view], inverse_depth)
    return nearest


@njit(cache=True, nogil=True)
def _draw_layer(projected, faces, face_colors, size, samples):
    nearest = np.full((size * samples, size * samples), -1, np.int32)
    inverse_depth = np.zeros((size * samples, size * samples))
    for face in range(faces.shape[0]):
        draw_face(projected, faces[face], face, nearest, inverse_depth)
    layer = np.zeros((size, size, 4), np.float32)
    for row in range(size * samples):
        for column in range(size * samples):
            face = nearest[row, column]
            if face >= 0:
                pixel = layer[row // samples, column // samples]
                for channel in range(3):
                    pixel[channel] += face_colors[face, channel]
                pixel[3] += 1
    return layer / np.float32(samples * samples)


@njit(cache=True)
def draw_face(points, corners, face, nearest, inverse_depth):
    size = nearest.shape[0]
    first, second, third, area, (left, right, top, bottom) = outline(points, corners, size)
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            inverse = inverse_depth_at(first, second, third, area, row, column, size)
            if inverse > inverse_depth[row, column]:
                inverse_depth[row, column] = inverse
                nearest[row, column] = face


@njit(cache=True)
def outline(points, corners, size):
    """The corners of a face in the image, twice its area there, and the first and last column and row of samples that
    it may cover: none where it is seen from its edge, or reaches behind the camera."""
    ax, ay, az = points[corners[0]]
    bx, by, bz = points[corners[1]]
    cx, cy, cz = points[corners[2]]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    box = (0, -1, 0, -1)
    if min(az, bz, cz) > 0 and area != 0:
        # Sample i lies at (2 i + 1) / size - 1.
        left = max(0, math.ceil(((min(ax, bx, cx) + 1) * size - 1) / 2))
        right = min(size - 1, math.floor(((max(ax, bx, cx) + 1) * size - 1) / 2))
        top = max(0, math.ceil(((min(ay, by, cy) + 1) * size - 1) / 2))
        bottom = min(size - 1, math.floor(((max(ay, by, cy) + 1) * size - 1) / 2))
        box = (left, right, top, bottom)
    return (ax, ay, az), (bx, by, bz), (cx, cy, cz), area, box


@njit(cache=True)
def inverse_depth_at(first, second, third, area, row, column, size):
    """The inverse depth of a face at a sample, 0 where it does not cover that."""
    ax, ay, az = first
    bx, by, bz = second
    cx, cy, cz = third
    x, y = (2 * column + 1) / size - 1, (2 * row + 1) / size - 1
    a = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area  # barycentric weights
    b = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
    c = 1 - a - b
    return a / az + b / bz + c / cz if a >= 0 and b >= 0 and c >= 0 else 0.0


@njit(parallel=True, cache=True)
def _resolve(nearest, face_colors, brightness, size, samples):
    """Box filter over the samples of each pixel; background samples count as white."""
    count = nearest.shape[0]
    images = np.empty((count, 3, size, size), np.uint8)
    masks = np.empty((count, size, size), np.bool_)
    total = samples * samples
    for view in prange(count):
        for row in range(size):
            for column in range(size):
                red, green, blue, covered = 0.0, 0.0, 0.0, 0
                for i in range(samples):
                    for j in range(samples):
                        face = nearest[view, row * samples + i, column * samples + j]
                        if face >= 0:
                            light = brightness[view, face]
                            red += light * face_colors[face, 0]
                            green += light * face_colors[face, 1]
                            blue += light * face_colors[face, 2]
                            covered += 1
                white = float(BACKGROUND * (total - covered))
                images[view, 0, row, column] = int((red + white) / total + 0.5)
                images[view, 1, row, column] = int((green + white) / total + 0.5)
                images[view, 2, row, column] = int((blue + white) / total + 0.5)
                masks[view, row, column] = 2 * covered >= total
    return images, masks

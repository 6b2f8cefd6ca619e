"""The outer surface of a mesh: what can be seen of it from outside, by depth maps from all around.

Models are put together from parts that run into each other, and hide seats, engines and drawers. No photograph shows
what lies inside and no method here predicts it, so shapes are compared by what is outside (§4.2; the paper is silent).
"""

import itertools

import numpy as np
from numba import njit

from msrn.data.drawing.zbuffer import inverse_depth_at, outline
from msrn.data.surface import check_mesh, sample_faces
from msrn.errors import MsrnError
from msrn.render.icosphere import icosphere

LEVEL = 1  # of the icosahedron whose 42 vertices are the directions
SIDE = 256  # of a depth map, in pixels
DISTANCE = 4.0  # of the camera, in radii of the mesh
WIDTH = 1.02 / np.sqrt(DISTANCE**2 - 1)  # half a map at depth 1; it holds the whole ball
PORTION = 2  # beside the seed, in the streams of all samples but the first: no other stream has it
TOLERANCE = 0.004  # by which a point may lie behind another face, in radii: half a pixel


def sample_outer_surface(vertices: np.ndarray, faces: np.ndarray, count: int, seed: int | list[int]) -> np.ndarray:
    """Points (P, 3) float64, P = ``count``, uniform in area on the part of a mesh that can be seen from outside.

    Of points on the whole surface those are kept that some direction sees: at the sample next to a point, its own face
    is the nearest, or hardly nearer than the point. Faces are seen from both sides. Time grows as directions x faces,
    and with the share of the surface that is hidden.
    """
    vertices, faces = check_mesh(vertices, faces)
    stream = [seed] if isinstance(seed, int) else seed
    corners = vertices[faces.ravel()]
    center, radius = (corners.min(0) + corners.max(0)) / 2, np.linalg.norm(np.ptp(corners, axis=0)) / 2
    turns, kept, missing = _turns(), [], count
    for portion in itertools.count():
        points, face = sample_faces(vertices, faces, count, [*stream, PORTION, portion] if portion else seed)
        within, ball = ((places - center) / radius for places in (points, vertices))
        kept.append(points[_outside(within, face, ball, faces, turns, SIDE)][:missing])
        missing -= len(kept[-1])
        if not missing:
            return np.concatenate(kept)
        if missing == count:
            raise MsrnError(f"mesh of {len(faces)} faces: nothing of it can be seen from outside: expected a surface")


def _turns() -> np.ndarray:
    """(R, 3, 3): rows right, up and toward the camera, for each direction."""
    toward = icosphere(LEVEL)[0].double().numpy()
    side = np.cross(np.where(np.abs(toward[:, 1:2]) < 0.9, [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]), toward)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return np.stack([side, np.cross(toward, side), toward], 1)


@njit(cache=True, nogil=True)
def _seen_from(turn, point):
    """Image coordinates in -1..1 and depth of a point, in radii of the ball."""
    x, y, z = point
    depth = DISTANCE - (turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z)
    scale = 1 / (depth * WIDTH)
    right, up = turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z, turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z
    return right * scale, up * scale, depth


@njit(cache=True, nogil=True)
def _outside(points, face, vertices, faces, turns, side):
    """(P,) whether some direction sees a point, on one core.

    A direction at a time, and of its depth map only the samples next to points that no direction saw before: these are
    a few of its side^2, and fewer with each direction.
    """
    outside, hidden, count = np.zeros(len(points), np.bool_), np.arange(len(points)), len(points)
    sample, depth = np.empty(count, np.int64), np.empty(count)
    projected = np.empty_like(vertices)
    for r in range(len(turns)):
        if not count:
            break
        for k in range(count):
            x, y, depth[k] = _seen_from(turns[r], points[hidden[k]])
            sample[k] = int((y + 1) / 2 * side) * side + int((x + 1) / 2 * side)
        before, column = _by_row(sample[:count], side)
        for v in range(len(vertices)):
            projected[v, 0], projected[v, 1], projected[v, 2] = _seen_from(turns[r], vertices[v])
        nearest, inverse_depth = np.full(len(column), -1, np.int32), np.zeros(len(column))
        for f in range(len(faces)):
            _draw_face(projected, faces[f], f, before, column, side, nearest, inverse_depth)
        left = 0
        for k in range(count):
            p, drawn = hidden[k], before[sample[k]]
            if nearest[drawn] == face[p] or (depth[k] - TOLERANCE) * inverse_depth[drawn] <= 1:
                outside[p] = True
            else:
                hidden[left] = p
                left += 1
        count = left
    return outside


@njit(cache=True, nogil=True)
def _by_row(sample, side):
    """The samples of a map that are drawn, row by row: how many come before each of its side^2, and their columns."""
    first = np.zeros(side * side + 1, np.int32)
    for place in sample:
        first[place + 1] = 1
    column, count = np.empty(len(sample), np.int32), 0
    for place in range(side * side):
        if first[place + 1]:
            column[count] = place % side
            count += 1
        first[place + 1] = count
    return first, column[:count]


@njit(cache=True, nogil=True)
def _draw_face(points, corners, face, before, column, side, nearest, inverse_depth):
    """``zbuffer.draw_face`` at the samples that are drawn."""
    first, second, third, area, (left, right, top, bottom) = outline(points, corners, side)
    if left > right:
        return
    for row in range(top, bottom + 1):
        for k in range(before[row * side + left], before[row * side + right + 1]):
            inverse = inverse_depth_at(first, second, third, area, row, column[k], side)
            if inverse > inverse_depth[k]:
                inverse_depth[k] = inverse
                nearest[k] = face

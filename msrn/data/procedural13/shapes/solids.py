"""The primitives: y up, front toward +z, one colour a part unless it is painted later.

Nearly all are lofts: closed rings of points stacked behind each other and joined by quads, each of two triangles.
Spans are given as (low, high), or as one number for a span about 0.
"""

from collections.abc import Sequence

import numpy as np

from msrn.data.procedural13.shapes.part import Color, Part, doubled_normals

Span = float | tuple[float, float]
FACING = {  # name -> the directions in which a decal's width, height and normal run
    "+x": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "-x": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    "+y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "+z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-z": ((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
}


def loft(rings: Sequence[np.ndarray], colors: Color | Sequence[Color]) -> Part:
    """Rings (K, n, 3) joined in order and capped; a colour for all, or K + 1: first cap, each band, last cap."""
    rings = np.asarray(rings, float)
    count, size = rings.shape[:2]
    here = np.arange(size)
    after = (here + 1) % size
    bands = [
        np.concatenate([np.stack([a, b, b + size], 1), np.stack([a, b + size, a + size], 1)])
        for a, b in ((k * size + here, k * size + after) for k in range(count - 1))
    ]
    first, last = count * size, count * size + 1
    caps = [
        np.stack([np.full(size, first), after, here], 1),
        np.stack([np.full(size, last), here, after], 1) + [0, (count - 1) * size, (count - 1) * size],
    ]
    pieces = [caps[0], *bands, caps[1]]
    vertices = np.concatenate([rings.reshape(-1, 3), [rings[0].mean(0), rings[-1].mean(0)]])
    colors = np.broadcast_to(np.array(colors, float), (count + 1, 3))
    return closed(vertices, np.concatenate(pieces), np.repeat(colors, [len(piece) for piece in pieces], axis=0))


def closed(vertices: np.ndarray, faces: np.ndarray, colors: np.ndarray) -> Part:
    """A part whose faces are turned outward, all together, by the sign of its volume; empty faces are left out."""
    doubled = doubled_normals(vertices, faces)
    with_area = (doubled**2).sum(1) > 1e-24
    faces, colors, doubled = faces[with_area], colors[with_area], doubled[with_area]
    volume = ((vertices[faces[:, 0]] - vertices[0]) * doubled).sum()
    return Part(vertices, faces if volume > 0 else faces[:, ::-1], colors)


# ---------------------------------------------------------------------------------------------------------------- boxes


def box(x: Span, y: Span, z: Span, color: Color) -> Part:
    (x0, x1), (y0, y1), (z0, z1) = _span(x), _span(y), _span(z)
    return loft([[(x0, h, z0), (x0, h, z1), (x1, h, z1), (x1, h, z0)] for h in (y0, y1)], color)


def tapered(bottom: tuple[Span, Span], top: tuple[Span, Span], y: tuple[float, float], color: Color) -> Part:
    """A prism from the rectangle ``bottom`` (its spans in x and z) to the rectangle ``top``."""
    rings = []
    for (x, z), height in zip((bottom, top), y, strict=True):
        (x0, x1), (z0, z1) = _span(x), _span(z)
        rings.append([(x0, height, z0), (x0, height, z1), (x1, height, z1), (x1, height, z0)])
    return loft(rings, color)


def rounded_box(x: Span, y: Span, z: Span, radius: float, color: Color, bevel: float | None = None) -> Part:
    """A box whose upright edges are rounded by ``radius`` and whose top and bottom edges are cut by ``bevel``."""
    (x0, x1), (y0, y1), (z0, z1) = _span(x), _span(y), _span(z)
    bevel = min(radius, (y1 - y0) / 3) if bevel is None else bevel
    heights = [(y0, bevel), (y0 + bevel, 0), (y1 - bevel, 0), (y1, bevel)]
    rings = [_rounded_ring(x0 + inset, x1 - inset, z0 + inset, z1 - inset, radius, height) for height, inset in heights]
    return loft(rings, color)


def wedge(x: Span, y: Span, z: tuple[float, float], color: Color) -> Part:
    """A ramp: full height at the back (the first of ``z``), none at the front."""
    (y0, y1), (z0, z1) = _span(y), z
    return extrude([(z0, y0), (z1, y0), (z0, y1)], x, color)


# ---------------------------------------------------------------------------------------------------------------- round


def lathe(profile: Sequence[tuple[float, float]], colors: Color | Sequence[Color], sides: int = 12) -> Part:
    """The profile of (radius, height) turned about the y axis; colours as those of a loft."""
    return loft([circle(radius, height, sides) for radius, height in profile], colors)


def cylinder(
    radius: float, y: Span, colors: Color | Sequence[Color], sides: int = 12, top: float | None = None
) -> Part:
    """An upright cylinder, or a cone with the radius ``top`` there."""
    y0, y1 = _span(y)
    return lathe([(radius, y0), (radius if top is None else top, y1)], colors, sides)


def ellipsoid(radii: tuple[float, float, float], color: Color, rows: int = 6, sides: int = 10) -> Part:
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rows + 1)
    profile = [(max(np.cos(a), 0.0), np.sin(a)) for a in latitude]
    profile[0], profile[-1] = (0.0, -1.0), (0.0, 1.0)
    return lathe(profile, color, sides).scaled(*radii)


def tube(
    path: Sequence[tuple[float, float, float]], radius: float | Sequence[float], color: Color, sides: int = 6
) -> Part:
    """A round section swept along a path of points (K, 3)."""
    path = np.asarray(path, float)
    radii = np.broadcast_to(radius, len(path))
    steps = np.diff(path, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    tangents = np.concatenate([steps[:1], steps[:-1] + steps[1:], steps[-1:]])
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.eye(3)[np.abs(tangents[0]).argmin()]  # any direction across the start, carried along
    angle = 2 * np.pi * np.arange(sides) / sides
    rings = []
    for point, tangent, size in zip(path, tangents, radii, strict=True):
        side = side - (side @ tangent) * tangent
        side /= np.linalg.norm(side)
        other = np.cross(tangent, side)
        rings.append(point + size * (np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * other))
    return loft(rings, color)


def circle(radius: float, height: float, sides: int, x: float = 0, z: float = 0) -> np.ndarray:
    """A level ring (n, 3). Half a step off the axes, so that a square ring of four has sides along them."""
    angle = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    return np.stack([x + radius * np.sin(angle), np.full(sides, height), z + radius * np.cos(angle)], 1)


# ----------------------------------------------------------------------------------------------------- outlines, decals


def extrude(outline: Sequence[tuple[float, float]], x: Span, color: Color) -> Part:
    """A side view, points (n, 2) of z and y, any simple polygon, drawn out along x."""
    outline, (x0, x1) = np.asarray(outline, float), _span(x)
    size = len(outline)
    vertices = np.concatenate([np.insert(outline[:, ::-1], 0, value, axis=1) for value in (x0, x1)])
    here = np.arange(size)
    after = (here + 1) % size
    cap = triangulate(outline)
    if _turn(outline) < 0:  # so that sides and caps agree, whichever way round the outline was given
        here, after = after, here
    sides = np.concatenate([np.stack([here, after, after + size], 1), np.stack([here, after + size, here + size], 1)])
    faces = np.concatenate([cap[:, ::-1], cap + size, sides])
    return closed(vertices, faces, np.tile(np.array(color, float), (len(faces), 1)))


def triangulate(outline: np.ndarray) -> np.ndarray:
    """Triangles (n - 2, 3) of a simple polygon (n, 2), counterclockwise, by cutting off ears."""
    order = list(range(len(outline))) if _turn(outline) > 0 else list(range(len(outline)))[::-1]
    triangles = []
    while len(order) > 3:
        for k in range(len(order)):
            a, b, c = order[k - 1], order[k], order[(k + 1) % len(order)]
            others = [outline[i] for i in order if i not in (a, b, c)]
            corners = outline[[a, b, c]]
            if _turn(corners) > 0 and not any(_inside(corners, point) for point in others):
                break
        triangles.append((a, b, c))
        order.pop(k)
    return np.array([*triangles, order])


def panel(centre: tuple[float, float, float], size: tuple[float, float], facing: str, color: Color) -> Part:
    """A flat decal, to be laid just above a surface; it is seen from both sides but counts as facing one way."""
    across, up, _ = np.array(FACING[facing], float)
    half = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2 * size
    return quad(np.asarray(centre) + half[:, :1] * across + half[:, 1:] * up, color)


def disc(centre: tuple[float, float, float], radius: float, facing: str, color: Color, sides: int = 10) -> Part:
    across, up, _ = np.array(FACING[facing], float)
    angle = 2 * np.pi * np.arange(sides) / sides
    rim = np.asarray(centre) + radius * (np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * up)
    faces = np.stack([np.zeros(sides - 2, int), np.arange(1, sides - 1), np.arange(2, sides)], 1)
    return Part(rim, faces, np.tile(np.array(color, float), (sides - 2, 1)))


def quad(corners: np.ndarray, color: Color) -> Part:
    """A flat decal by its corners (4, 3), counterclockwise as seen from outside."""
    return Part(np.asarray(corners, float), np.array([(0, 1, 2), (0, 2, 3)]), np.tile(np.array(color, float), (2, 1)))


def _span(span: Span) -> tuple[float, float]:
    return tuple(span) if isinstance(span, tuple) else (-span / 2, span / 2)


def _rounded_ring(x0: float, x1: float, z0: float, z1: float, radius: float, height: float) -> list:
    radius = min(radius, 0.49 * (x1 - x0), 0.49 * (z1 - z0))
    ring = []
    for corner, (x, z) in enumerate(((x1, z1), (x1, z0), (x0, z0), (x0, z1))):
        centre = (x - np.sign(x - (x0 + x1) / 2) * radius, z - np.sign(z - (z0 + z1) / 2) * radius)
        for angle in np.deg2rad(90 * corner + np.array([0, 45, 90])):
            ring.append((centre[0] + radius * np.sin(angle), height, centre[1] + radius * np.cos(angle)))
    return ring


def _turn(outline: np.ndarray) -> float:
    """Twice the area of a polygon (n, 2), positive if it runs counterclockwise."""
    after = np.roll(outline, -1, axis=0)
    return float((outline[:, 0] * after[:, 1] - outline[:, 1] * after[:, 0]).sum())


def _inside(corners: np.ndarray, point: np.ndarray) -> bool:
    return all(_turn(np.stack([corners[k], corners[(k + 1) % 3], point])) >= 0 for k in range(3))

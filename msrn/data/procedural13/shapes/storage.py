"""Cabinets and tables, in metres; doors, drawers and handles are at the front, +z."""

import numpy as np

from msrn.data.procedural13.shapes.dice import FABRIC, LIGHT, METAL, WOOD, Dice, shade
from msrn.data.procedural13.shapes.furniture import board, frame_color, front, handle_color, label, legs
from msrn.data.procedural13.shapes.part import Color, Part, mirror_pair
from msrn.data.procedural13.shapes.solids import box, cylinder, lathe, panel, rounded_box, tube

CABINETS = {  # width, height, depth: spans that meet, so that no kind stands alone
    "wardrobe": ((0.80, 1.15), (1.25, 1.55), (0.45, 0.60)),
    "drawers": ((0.75, 1.05), (0.85, 1.15), (0.42, 0.55)),
    "sideboard": ((1.00, 1.35), (0.75, 0.95), (0.42, 0.52)),
    "shelves": ((0.75, 1.10), (1.15, 1.50), (0.36, 0.48)),
    "bedside": ((0.50, 0.65), (0.58, 0.75), (0.40, 0.48)),
}


def cabinet(dice: Dice) -> list[Part]:
    """A wardrobe, a chest of drawers, a sideboard, shelves over doors, a bedside cabinet."""
    kind = dice.pick(("wardrobe", "drawers", "drawers", "sideboard", "shelves", "bedside"))
    width, height, depth = (dice.between(*span) for span in CABINETS[kind])
    wood = dice.color(WOOD if dice.chance(0.7) else LIGHT)
    faces = shade(wood, 1.25) if dice.chance(0.6) else dice.color(FABRIC)
    knob, foot = handle_color(dice), dice.pick((0.0, dice.between(0.04, 0.14)))
    near = depth / 2
    case = box(width, (foot, height), depth, wood).fronted(shade(wood, 0.6))
    parts = [case.painted(shade(wood, 0.45), lambda centre, normal: normal[:, 2] < -0.7)]
    parts.append(label(dice.between(-0.2, 0.2) * width, height * 0.85, -near - 0.004, 0.2 * width, (210, 204, 190)))
    parts += mirror_pair(
        panel((width * 0.47, (foot + height) / 2, -near - 0.004), (0.04, height - foot - 0.05), "-z", wood)
    )
    if foot:
        parts += legs((width / 2 - 0.05, depth / 2 - 0.05), foot, 0.05, shade(wood, 0.7), taper=dice.between(0.5, 1))
    else:
        parts.append(panel((0, 0.03, near + 0.005), (width - 0.04, 0.05), "+z", shade(wood, 0.35)))
    over = dice.between(0.0, 0.03)
    parts.append(board(width + 2 * over, (height, height + 0.03), (-near, near + over), shade(wood, 1.1)))
    inside = (-width / 2 + 0.02, width / 2 - 0.02), (foot + 0.06, height - 0.02)
    return parts + _cabinet_front(dice, kind, inside, near, faces, knob)


def _cabinet_front(
    dice: Dice, kind: str, inside: tuple[tuple[float, float], tuple[float, float]], z: float, color: Color, knob: Color
) -> list[Part]:
    x, (low, high) = inside
    if kind == "wardrobe":
        split = low + (high - low) * dice.pick((0.0, 0.0, 0.25))
        drawers = front(x, (low, split), z, color, knob, "bar") if split > low else []
        return drawers + _doors(x, (split, high), z, color, knob, dice.whole(2, 3))
    if kind == "drawers":
        return _drawers(x, (low, high), z, color, knob, dice.whole(3, 5), dice.whole(1, 2))
    if kind == "sideboard":
        middle, shelf = x[0] + (x[1] - x[0]) * dice.pick((0.33, 0.5, 0.67)), dice.chance(0.3)
        left, right = (x[0], middle), (middle, x[1])
        doors = _doors(left, (low, high), z, color, knob, 2 if middle > 0 else 1)
        if shelf:
            return doors + _open_shelves(right, (low, high), z, shade(color, 0.5), shade(color, 1.1), 2)
        return doors + _drawers(right, (low, high), z, shade(color, 0.9), knob, dice.whole(2, 4), 1)
    if kind == "bedside":
        split = low + (high - low) * dice.between(0.5, 0.7)
        under = (
            _doors(x, (low, split), z, color, knob, 1)
            if dice.chance(0.5)
            else _drawers(x, (low, split), z, color, knob, dice.whole(1, 2), 1)
        )
        return front(x, (split, high), z, shade(color, 0.9), knob, "knob") + under
    split = low + (high - low) * dice.between(0.3, 0.45)
    doors = _doors(x, (low, split), z, color, knob, 2)
    return doors + _open_shelves(x, (split, high), z, shade(color, 0.35), shade(color, 1.15), dice.whole(2, 4), dice)


def _doors(
    x: tuple[float, float], y: tuple[float, float], z: float, color: Color, knob: Color, count: int
) -> list[Part]:
    edges = np.linspace(*x, count + 1)
    handles = ["right" if k % 2 == 0 else "left" for k in range(count)]
    return [part for k in range(count) for part in front((edges[k], edges[k + 1]), y, z, color, knob, handles[k])]


def _drawers(
    x: tuple[float, float], y: tuple[float, float], z: float, color: Color, knob: Color, rows: int, columns: int
) -> list[Part]:
    across, up = np.linspace(*x, columns + 1), np.linspace(*y, rows + 1)
    cells = [(k, m) for k in range(columns) for m in range(rows)]
    handle = "bar" if rows % 2 else "knob"
    return [p for k, m in cells for p in front((across[k], across[k + 1]), (up[m], up[m + 1]), z, color, knob, handle)]


def _open_shelves(
    x: tuple[float, float],
    y: tuple[float, float],
    z: float,
    dark: Color,
    light: Color,
    count: int,
    dice: Dice | None = None,
) -> list[Part]:
    """Painted depth, edges of boards, and books if there are dice to draw them with."""
    middle, up = (x[0] + x[1]) / 2, np.linspace(*y, count + 1)
    parts = [panel((middle, (y[0] + y[1]) / 2, z + 0.004), (x[1] - x[0], y[1] - y[0]), "+z", dark)]
    parts += [box(x, (height - 0.015, height + 0.015), (z, z + 0.02), light) for height in up[1:-1]]
    for base in up[:-1] if dice else ():
        place, high = x[0] + 0.03, up[1] - up[0]
        while place < x[1] - 0.15 and dice.chance(0.85):
            wide = dice.between(0.04, 0.09)
            tall = high * dice.between(0.5, 0.8)
            parts.append(
                panel((place + wide / 2, base + 0.015 + tall / 2, z + 0.008), (wide, tall), "+z", dice.color(FABRIC))
            )
            place += wide + 0.01
    return parts


def table(dice: Dice) -> list[Part]:
    """Rectangular or round, on four legs, a pedestal, trestles or a box of drawers; dining, coffee or desk."""
    kind = dice.pick(("legs", "legs", "legs", "desk", "desk", "trestle", "round", "coffee"))
    width, depth, height = dice.between(1.15, 1.6), dice.between(0.66, 0.85), dice.between(0.68, 0.78)
    top, frame = dice.color(WOOD if dice.chance(0.75) else LIGHT), frame_color(dice)
    thick = dice.between(0.025, 0.05)
    if kind == "round":
        return _round_table(dice, dice.between(0.45, 0.6), height, thick, top, frame)
    if kind == "coffee":
        width, depth, height = width * 0.75, depth * 0.8, height * 0.62
    corner = dice.between(0.04, 0.25) if dice.chance(0.4) else 0.0
    parts = [_table_top(width, depth, (height - thick, height), corner, top)]
    below = height - thick
    if kind == "desk":
        parts += _desk(dice, width, depth, below, frame)
    elif kind == "trestle":
        parts += _trestle(dice, width, depth, below, frame)
    else:
        inset = dice.between(0.04, 0.1)
        foot = (width / 2 - inset, depth / 2 - inset)
        parts += legs(
            foot, below, dice.between(0.045, 0.08), frame, taper=dice.between(0.5, 1), round_=dice.chance(0.3)
        )
        parts.append(box(width - 2 * inset, (below - 0.09, below), depth - 2 * inset, shade(frame, 0.8)))
        parts += _table_drawers(dice, width * 0.55, (below - 0.085, below - 0.005), depth / 2 - inset + 0.002, top)
        if kind == "coffee":
            parts.append(board(2 * foot[0], (height * 0.25, height * 0.25 + 0.025), 2 * foot[1], shade(top, 0.9)))
    # A runner or blotter near the front edge, and a darker band along the rear one.
    parts.append(
        panel(
            (0, height + 0.004, depth * 0.26), (width * dice.between(0.35, 0.6), depth * 0.32), "+y", dice.color(FABRIC)
        )
    )
    parts.append(
        panel((0, height + 0.003, -depth * 0.44), (0.96 * (width - 2 * corner), depth * 0.07), "+y", shade(top, 0.5))
    )
    return parts


def _table_top(width: float, depth: float, y: tuple[float, float], corner: float, color: Color) -> Part:
    if corner:
        return rounded_box(width, y, depth, corner, color, bevel=0.006).fronted(shade(color, 1.2))
    return board(width, y, depth, color).fronted(shade(color, 1.25))


def _table_drawers(dice: Dice, width: float, y: tuple[float, float], z: float, color: Color) -> list[Part]:
    knob, count = handle_color(dice), dice.whole(1, 3)
    edges = np.linspace(-width / 2, width / 2, count + 1)
    return [
        p for k in range(count) for p in front((edges[k], edges[k + 1]), y, z, shade(color, 1.3), knob, "knob", 0.006)
    ]


def _desk(dice: Dice, width: float, depth: float, height: float, color: Color) -> list[Part]:
    """A pedestal of drawers on one side or both, and a modesty board at the back."""
    wide, knob, face = dice.between(0.28, 0.38), handle_color(dice), shade(color, 1.3)
    side, rows = dice.pick((-1, 1)), dice.whole(2, 4)
    places = (-1, 1) if dice.chance(0.4) else (side,)
    parts = [box(width - 0.1, (height * 0.45, height), (-depth / 2 + 0.04, -depth / 2 + 0.06), shade(color, 0.6))]
    for place in places:
        x = sorted((place * (width / 2 - 0.03), place * (width / 2 - 0.03 - wide)))
        parts.append(box((x[0], x[1]), (0.02, height), depth - 0.08, shade(color, 0.8)))
        parts += _drawers((x[0], x[1]), (0.04, height), depth / 2 - 0.04, face, knob, rows, 1)
    if len(places) == 1:
        x = -side * (width / 2 - 0.05)
        parts += [box((x - 0.02, x + 0.02), (0, height), depth - 0.08, color)]
    return parts


def _trestle(dice: Dice, width: float, depth: float, height: float, color: Color) -> list[Part]:
    x, spread = width / 2 - dice.between(0.12, 0.3), depth / 2 - 0.06
    parts = []
    for end in (-spread, spread):
        parts += mirror_pair(tube([(x, 0, end), (x, height, end * dice.between(0.0, 0.8))], 0.035, color, 4))
    bar = height * dice.between(0.25, 0.6)
    parts.append(box(2 * x, (bar, bar + 0.05), (-0.02, 0.02), shade(color, 0.8)))
    parts += mirror_pair(box((x - 0.03, x + 0.03), (height - 0.05, height), 2 * spread, color))
    return parts + _table_drawers(dice, 0.5 * width, (height - 0.08, height), spread, color)


def _round_table(dice: Dice, radius: float, height: float, thick: float, top: Color, frame: Color) -> list[Part]:
    below, foot = height - thick, radius * dice.between(0.5, 0.75)
    parts = [cylinder(radius, (below, height), top, 24)]
    stem = dice.between(0.04, 0.08)
    if dice.chance(0.6):
        profile = [
            (foot, 0),
            (foot * 0.9, 0.03),
            (stem, 0.08),
            (stem * 1.3, below * 0.5),
            (stem, below - 0.06),
            (0.15, below),
        ]
        parts.append(lathe(profile, frame, 14))
    else:
        for angle in np.arange(4) * np.pi / 2 + np.pi / 4:
            x, z = np.sin(angle), np.cos(angle)
            parts.append(tube([(foot * 1.1 * x, 0, foot * 1.1 * z), (foot * x, below, foot * z)], 0.026, frame))
        parts.append(cylinder(foot + 0.03, (below - 0.06, below), shade(frame, 0.8), 16))
    parts.append(panel((0, height + 0.004, radius * 0.45), (radius * 1.0, radius * 0.5), "+y", dice.color(FABRIC)))
    parts.append(panel((0, height + 0.003, -radius * 0.6), (radius * 0.8, radius * 0.2), "+y", dice.color(METAL)))
    knob = handle_color(dice)
    return parts + front((-0.2, 0.2), (below - 0.08, below), foot + 0.02, shade(top, 1.2), knob, "knob", 0.006)

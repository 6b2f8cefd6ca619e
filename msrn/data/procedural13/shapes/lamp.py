"""Lamps: table, floor, hanging and desk lamps; switch, badge and the head of a desk lamp are at the front, +z."""

import numpy as np

from msrn.data.procedural13.shapes.dice import BLACK, FABRIC, LIGHT, METAL, PAINT, STEEL, WOOD, Dice, shade
from msrn.data.procedural13.shapes.part import Color, Part
from msrn.data.procedural13.shapes.solids import box, cylinder, disc, lathe, panel, rounded_box, tube

GLOW = (250, 240, 196)


def lamp(dice: Dice) -> list[Part]:
    kind = dice.pick(("table", "table", "table", "floor", "floor", "hanging", "desk"))
    return {"table": _table, "floor": _floor, "hanging": _hanging, "desk": _desk}[kind](dice)


def _shade(dice: Dice, radius: float, y: tuple[float, float], color: Color, top: float | None = None) -> list[Part]:
    """A cloth drum or cone with bands at both rims, a patch of another colour at the front and a seam behind."""
    top = radius * dice.between(0.55, 0.95) if top is None else top
    band, (low, high) = shade(color, 0.65), y
    edge = 0.06 * (high - low)
    slope = (top - radius) / (high - low)
    profile = [(radius, low), (radius + slope * edge, low + edge), (top - slope * edge, high - edge), (top, high)]
    cloth = lathe(profile, [GLOW, band, color, band, GLOW], 16)
    front = shade(color, 0.45)
    cloth = cloth.painted(front, lambda centre, normal: (normal[:, 2] > 0.9) & (np.abs(normal[:, 1]) < 0.7))
    return [
        cloth.painted(shade(color, 1.5), lambda centre, normal: (normal[:, 2] < -0.8) & (np.abs(normal[:, 1]) < 0.7))
    ]


def _cord(y: float, z: float, color: Color = BLACK) -> Part:
    """The cable leaves behind."""
    return tube([(0, y, z), (0, y * 0.6, z - 0.08), (0.02, 0.012, z - 0.14)], 0.009, color, 5)


def _table(dice: Dice) -> list[Part]:
    body = dice.color(dice.pick((PAINT, WOOD, METAL)))
    foot, neck, split = dice.between(0.13, 0.18), dice.between(0.018, 0.03), dice.between(0.42, 0.52)
    belly, at = dice.between(0.06, 0.16), dice.between(0.3, 0.55)
    kind = dice.pick(("vase", "vase", "stick", "block"))
    if kind == "vase":
        profile = [
            (foot * 0.8, 0),
            (foot * 0.8, 0.03),
            (belly * 0.7, 0.05),
            (belly, split * at),
            (belly * 0.75, split * 0.75),
            (neck, split * 0.9),
            (neck, split + 0.05),
        ]
        parts = [lathe(profile, body, 14)]
        front = belly
    elif kind == "stick":
        parts = [
            cylinder(foot, (0, 0.035), shade(body, 0.8), 16, top=foot * 0.92),
            cylinder(neck, (0.03, split + 0.05), body, 8),
        ]
        front = neck
    else:
        wide = dice.between(0.12, 0.2)
        parts = [
            rounded_box(wide, (0, split * 0.8), wide, 0.02, body),
            cylinder(neck, (split * 0.78, split + 0.05), STEEL, 8),
        ]
        front = wide / 2
    parts += _shade(dice, dice.between(0.24, 0.32), (split, 1.0), shade(dice.color(FABRIC + LIGHT), 1.1))
    parts.append(panel((0, split * at, front + 0.006), (0.05, 0.09), "+z", STEEL))
    return [*parts, _cord(0.05, -0.1)]


def _floor(dice: Dice) -> list[Part]:
    metal = dice.color(METAL if dice.chance(0.6) else WOOD)
    split, radius = dice.between(0.72, 0.8), dice.between(0.15, 0.19)
    if dice.chance(0.35):
        spread = dice.between(0.16, 0.22)
        feet = [(spread * np.sin(a), 0, spread * np.cos(a)) for a in (0, 2 * np.pi / 3, 4 * np.pi / 3)]
        parts = [tube([foot, (0, split, 0)], [0.013, 0.01], metal) for foot in feet]
    else:
        parts = [
            cylinder(dice.between(0.12, 0.16), (0, 0.02), metal, 16),
            cylinder(dice.between(0.011, 0.016), (0.01, split), metal, 8),
        ]
    if dice.chance(0.2):  # an uplighter
        bowl = [(0.02, split + 0.05), (radius * 0.7, split + 0.12), (radius, 0.98), (radius, 1.0)]
        parts.append(
            lathe(bowl, [metal, metal, metal, metal, GLOW], 16).painted(
                shade(metal, 1.5), lambda centre, normal: normal[:, 2] > 0.6
            )
        )
        parts.append(cylinder(0.014, (split - 0.02, split + 0.07), metal, 8))
    else:
        parts += _shade(dice, radius, (split - 0.01, 1.0), shade(dice.color(FABRIC + LIGHT), 1.1))
    parts.append(box(0.035, (split * 0.55, split * 0.55 + 0.06), (0, 0.03), BLACK))
    return [*parts, _cord(0.03, -0.08)]


def _hanging(dice: Dice) -> list[Part]:
    color, low = dice.color(PAINT + METAL), 0.0
    radius, tall = dice.between(0.22, 0.3), dice.between(0.2, 0.32)
    kind = dice.pick(("dome", "cone", "drum", "globe"))
    if kind == "drum":
        parts = _shade(dice, radius, (low, tall), color, top=radius * 0.95)
    elif kind == "globe":
        latitude = np.linspace(-np.pi / 2, np.pi / 2, 9)
        globe = [(max(radius * np.cos(a), 0) if abs(a) < 1.5 else 0.0, radius * (1 + np.sin(a))) for a in latitude]
        tall = 2 * radius
        parts = [lathe(globe, shade(color, 1.5), 14).painted(color, lambda centre, normal: normal[:, 2] > 0.6)]
    else:
        shares = (
            [(1, 0), (0.95, 0.25), (0.78, 0.6), (0.4, 0.92), (0.12, 1)]
            if kind == "dome"
            else [(1, 0), (0.2, 0.9), (0.12, 1)]
        )
        bands = [GLOW, *[color] * (len(shares) - 1), color]
        shell = lathe([(radius * r, tall * h) for r, h in shares], bands, 16)
        shell = shell.painted(shade(color, 1.5), lambda centre, normal: normal[:, 2] > 0.55)
        parts = [shell.painted(shade(color, 0.5), lambda centre, normal: normal[:, 2] < -0.55)]
    parts.append(cylinder(0.035, (tall - 0.01, tall + 0.07), BLACK, 8))
    parts.append(cylinder(0.012, (tall + 0.06, 0.97), BLACK, 6))
    parts.append(cylinder(dice.between(0.06, 0.1), (0.97, 1.0), color, 12))
    return parts


def _desk(dice: Dice) -> list[Part]:
    """A foot, two arms that meet in an elbow behind, a head that looks down to the front."""
    color, joint = dice.color(PAINT + METAL), dice.color(METAL)
    foot = dice.between(0.16, 0.2)
    elbow = np.array([0, dice.between(0.42, 0.52), -dice.between(0.12, 0.22)])
    wrist = np.array([0, dice.between(0.82, 0.9), dice.between(0.12, 0.24)])
    parts = [cylinder(foot, (0, 0.03), color, 16, top=foot * 0.9), cylinder(0.03, (0.03, 0.07), joint, 8)]
    parts += [tube([(x, 0.06, 0), elbow + [x, 0, 0]], 0.011, joint, 5) for x in (-0.02, 0.02)]
    parts.append(tube([elbow, wrist], 0.014, joint, 6))
    parts.append(cylinder(0.028, 0.07, BLACK, 8).turned("z", 90).moved(*elbow))
    mouth = dice.between(0.13, 0.17)
    head = lathe(
        [(mouth, -0.2), (mouth * 0.85, -0.08), (0.05, 0), (0.04, 0.06)],
        [GLOW, color, color, shade(color, 0.7), BLACK],
        14,
    )
    parts.append(head.turned("x", -dice.between(25, 50)).moved(*(wrist + [0, -0.01, 0.02])))
    parts.append(disc((0, 0.034, foot * 0.55), 0.03, "+y", (206, 60, 52)))
    return [*parts, _cord(0.025, -foot * 0.9)]

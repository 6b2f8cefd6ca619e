"""Rifles, about one unit long, muzzle toward +z: hunting, sniper, service and lever rifles, and bullpups."""

import numpy as np

from msrn.data.procedural13.shapes.dice import BLACK, STEEL, WOOD, Dice, shade
from msrn.data.procedural13.shapes.part import Color, Part, mirror_pair
from msrn.data.procedural13.shapes.solids import box, cylinder, disc, extrude, loft, panel, tube

GREEN = ((96, 104, 74), (128, 116, 82), (74, 80, 66), (160, 142, 104))
STEELS = ((54, 56, 60), (70, 70, 74), (88, 90, 96))


def rifle(dice: Dice) -> list[Part]:
    kind = dice.pick(("hunting", "hunting", "sniper", "service", "service", "service", "bullpup", "lever"))
    metal = dice.color(STEELS)
    grip = dice.color(WOOD if kind in ("hunting", "lever") or dice.chance(0.3) else GREEN)
    if kind in ("service", "bullpup"):
        return _service(dice, metal, grip, bullpup=kind == "bullpup")
    return _long(dice, kind, metal, grip)


def _long(dice: Dice, kind: str, metal: Color, grip: Color) -> list[Part]:
    """One stock from butt to fore-end, a bolt or a lever, a scope or open sights."""
    drop, fore, wrist = dice.between(0.05, 0.09), dice.between(0.12, 0.22), dice.between(-0.18, -0.13)
    deep = dice.between(0.10, 0.13)
    stock = [
        (-0.5, -drop - deep + 0.02), (-0.5, -drop + 0.02), (wrist - 0.06, -0.012), (wrist, 0.0), (fore, 0.0),
        (fore, -0.028), (0.02, -0.042), (wrist + 0.04, -0.045), (wrist - 0.01, -0.09), (wrist - 0.05, -0.075),
    ]  # fmt: skip
    parts = [extrude(stock, 0.045, grip)]
    parts.append(box(0.046, (-drop - deep + 0.02, -drop + 0.02), (-0.512, -0.498), BLACK))
    parts.append(box(0.04, (-0.012, 0.03), (wrist + 0.02, 0.06), metal))
    parts += _barrel(0.012, dice.between(0.011, 0.014), 0.05, 0.5, metal, brake=kind == "sniper")
    parts.append(tube(_guard(wrist + 0.02, -0.045), 0.005, metal, 5))
    if kind == "lever":
        parts.append(cylinder(0.011, (0.05, 0.42), shade(metal, 0.8), 8).turned("x", 90).moved(y=-0.012))
        parts.append(tube(_guard(wrist - 0.04, -0.07), 0.007, metal, 5))
    else:
        parts.append(tube([(0.02, 0.015, wrist + 0.05), (0.06, -0.005, wrist + 0.04)], [0.006, 0.01], STEEL, 6))
    if kind == "sniper" or dice.chance(0.6):
        parts += _scope(dice, 0.03, dice.between(-0.08, -0.04), dice.between(0.2, 0.26))
    if kind == "sniper":
        parts += mirror_pair(tube([(0.01, -0.01, fore - 0.03), (0.09, -0.2, fore + 0.02)], 0.007, metal, 5))
        parts.append(box(0.03, (-0.1, -0.03), (-0.06, 0.02), metal))
    return parts + _marks(grip, -drop - 0.04)


def _service(dice: Dice, metal: Color, grip: Color, bullpup: bool) -> list[Part]:
    """A receiver with a magazine, a pistol grip, a hand guard and a butt, which a bullpup has around the magazine."""
    front, rear = (0.2, -0.46) if bullpup else (0.06, -0.2)
    low, high = -0.045, 0.03
    parts = [box(0.045, (low, high), (rear, front), metal)]
    guard = dice.between(0.16, 0.24) if not bullpup else 0.1
    parts.append(box(0.05, (low + 0.008, high - 0.008), (front, front + guard), grip))
    parts += [
        panel((side * 0.027, -0.005, front + guard * share), (guard * 0.14, 0.012), name, shade(grip, 0.4))
        for side, name in ((1, "+x"), (-1, "-x"))
        for share in (0.25, 0.5, 0.75)
    ]
    parts += _barrel(0.0, 0.012, front + guard, 0.5, metal, brake=True)
    magazine, at = dice.between(0.11, 0.16), -0.3 if bullpup else -0.02
    bend = dice.between(0.0, 0.05)
    outline = [
        (at - 0.03, low),
        (at + 0.03, low),
        (at + 0.035 + bend * 0.4, low - magazine * 0.5),
        (at + 0.04 + bend, low - magazine),
        (at - 0.02 + bend, low - magazine - 0.008),
        (at - 0.028 + bend * 0.4, low - magazine * 0.5),
    ]
    parts.append(extrude(outline, 0.03, shade(metal, 0.7)))
    hold = 0.02 if bullpup else -0.15
    parts.append(
        extrude(
            [(hold - 0.02, low), (hold + 0.022, low), (hold - 0.02, low - 0.1), (hold - 0.062, low - 0.095)],
            0.036,
            grip,
        )
    )
    parts.append(tube(_guard(hold + 0.05, low), 0.005, metal, 5))
    drop = dice.between(0.02, 0.05)
    butt = [(-0.5, low - drop - 0.05), (-0.5, high - 0.01), (rear, high - 0.008), (rear, low + 0.01)]
    if bullpup:
        butt = [(-0.5, low - 0.06), (-0.5, high), (-0.1, high + 0.002), (-0.1, low), (-0.38, low - 0.01)]
    elif dice.chance(0.35):  # a skeleton butt
        parts.append(
            tube(
                [(0, 0.01, rear), (0, 0.005, -0.48), (0, low - drop - 0.04, -0.49), (0, low + 0.015, rear)],
                0.009,
                metal,
            )
        )
        butt = [(-0.5, low - drop - 0.05), (-0.5, high - 0.01), (-0.48, high - 0.01), (-0.48, low - drop - 0.05)]
    parts.append(extrude(butt, 0.04, grip))
    parts.append(box(0.042, (butt[0][1], butt[1][1]), (-0.512, -0.498), BLACK))
    top = dice.pick(("scope", "handle", "rail"))
    if top == "scope":
        parts += _scope(dice, high, -0.14, 0.16)
    elif top == "handle":
        parts.append(
            extrude(
                [
                    (-0.16, high),
                    (-0.15, high + 0.045),
                    (0.02, high + 0.045),
                    (0.05, high),
                    (0.02, high),
                    (0.0, high + 0.03),
                    (-0.12, high + 0.03),
                    (-0.13, high),
                ],
                0.018,
                metal,
            )
        )
    else:
        parts += [box(0.026, (high, high + 0.012), (z, z + 0.014), BLACK) for z in np.linspace(-0.16, front - 0.03, 8)]
        parts.append(box(0.014, (high, high + 0.04), (-0.16, -0.145), metal))
    parts.append(
        extrude(
            [
                (front + guard - 0.02, high - 0.01),
                (front + guard, high + 0.04),
                (front + guard + 0.008, high + 0.04),
                (front + guard + 0.012, high - 0.01),
            ],
            0.012,
            metal,
        )
    )
    return parts + _marks(grip, low)


def _barrel(y: float, radius: float, start: float, end: float, metal: Color, brake: bool) -> list[Part]:
    def along(size: float, low: float, high: float, color: Color) -> Part:
        return cylinder(size, (low, high), color, 8).turned("x", 90).moved(y=y)

    parts = [
        along(radius, start, end - 0.01, metal),
        box(0.006, (y + radius, y + radius + 0.02), (end - 0.06, end - 0.05), metal),
    ]
    parts.append(along(radius * (1.5 if brake else 1.15), end - (0.05 if brake else 0.02), end, (186, 96, 44)))
    return [*parts, disc((0, y, end + 0.002), radius * 0.8, "+z", BLACK)]


def _guard(z: float, y: float) -> list[tuple[float, float, float]]:
    """The path of a trigger guard that begins below (y, z)."""
    return [(0, y, z + 0.03), (0, y - 0.03, z + 0.025), (0, y - 0.034, z - 0.02), (0, y, z - 0.03)]


def _scope(dice: Dice, base: float, z: float, length: float) -> list[Part]:
    y, size = base + dice.between(0.03, 0.04), dice.between(0.011, 0.014)
    profile = [(size * 1.3, 0), (size * 1.3, 0.15), (size, 0.2), (size, 0.65), (size * 1.7, 0.78), (size * 1.7, 1.0)]
    angle = 2 * np.pi * np.arange(8) / 8
    rings = [[(r * np.sin(a), y + r * np.cos(a), z - length / 2 + length * t) for a in angle] for r, t in profile]
    parts = [loft(rings, [(60, 60, 90), BLACK, BLACK, BLACK, BLACK, BLACK, (130, 90, 170)])]
    return parts + [
        box(0.012, (base - 0.005, y), (z + shift - 0.008, z + shift + 0.008), BLACK)
        for shift in (-0.2 * length, 0.15 * length)
    ]


def _marks(grip: Color, y: float) -> list[Part]:
    """A light plate on the butt's left side and a dark one on its right."""
    plates = [((0.0245, y, -0.42), "+x", shade(grip, 1.5)), ((-0.0245, y, -0.42), "-x", shade(grip, 0.4))]
    return [panel(centre, (0.06, 0.03), facing, color) for centre, facing, color in plates]

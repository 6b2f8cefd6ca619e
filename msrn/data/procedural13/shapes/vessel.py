"""Vessels, about one unit long, bow toward +z: freighters, ferries, tugs, motor boats, warships and sailing boats."""

import numpy as np

from msrn.data.procedural13.shapes.dice import BLACK, FABRIC, GLASS, LIGHT, METAL, PAINT, WOOD, Dice, shade
from msrn.data.procedural13.shapes.part import Color, Part, mirror_pair
from msrn.data.procedural13.shapes.solids import box, cylinder, loft, panel, quad, rounded_box, tube

KINDS = ("freighter", "freighter", "ferry", "ferry", "tug", "motor", "motor", "warship", "sail")
CREAM = (226, 224, 214)


def vessel(dice: Dice) -> list[Part]:
    kind = dice.pick(KINDS)
    small = kind in ("tug", "motor", "sail")
    beam = dice.between(0.24, 0.30) if small else dice.between(0.15, 0.20)
    depth = dice.between(0.10, 0.13) if small else dice.between(0.08, 0.11)
    paint = dice.color(METAL[:3] if kind == "warship" else PAINT)
    deck = dice.color(WOOD if small else ((148, 92, 74), (104, 126, 108), (150, 140, 118)))
    hull, top = _hull(beam, depth, dice.between(0.03, 0.06), paint, deck, full=kind in ("freighter", "ferry", "tug"))
    build = {"freighter": _freighter, "ferry": _ferry, "tug": _tug, "motor": _motor, "warship": _warship, "sail": _sail}
    return [*hull, *build[kind](dice, beam, top, paint)]


def _hull(beam: float, depth: float, sheer: float, paint: Color, deck: Color, full: bool) -> tuple[list[Part], float]:
    """Sections along z, red below the water line; the bow is raised by ``sheer``. Also the height of the deck."""
    stations = [
        (-0.47, 0.78, 0.35),
        (-0.42, 0.92, 0.12),
        (-0.2, 1, 0),
        (0.1, 1, 0),
        (0.26, 0.9 if full else 0.8, 0.01),
        (0.38, 0.62 if full else 0.5, 0.06),
        (0.46, 0.28 if full else 0.2, 0.2),
    ]
    rings = []
    for z, share, lift in [*stations, (0.5, 0.02, 0.45)]:
        wide, top = beam / 2 * share, depth + sheer * max(0, (z + 0.1) / 0.6) ** 2
        water, keel = depth * 0.35, depth * lift
        water = max(water, keel + 0.004)
        rake = 0.03 * max(0, z) / 0.5
        half = [
            (0.0, keel, z - rake),
            (0.72 * wide, keel, z - rake),
            (0.92 * wide, water, z - rake / 2),
            (wide, top, z),
        ]
        rings.append([*half, *[(-x, y, place) for x, y, place in half[:0:-1]]])
    body = loft(rings, paint)
    body = body.painted((150, 48, 42), lambda centre, normal: centre[:, 1] < depth * 0.36)
    body = body.painted(deck, lambda centre, normal: normal[:, 1] > 0.75)
    band = [(0.30, 0.34), (-0.44, -0.40)]
    parts = [body]
    for low, high in band[:1]:
        x = beam / 2 * 0.86
        parts += mirror_pair(
            quad(
                [
                    (x, depth * 0.7, high),
                    (x * 1.06, depth * 0.7, low),
                    (x * 1.06, depth * 0.9, low),
                    (x, depth * 0.9, high),
                ],
                CREAM,
            )
        )
    parts.append(panel((0, depth * 0.72, -0.476), (beam * 0.5, depth * 0.2), "-z", CREAM))
    return parts, depth


def _house(x: float, y: tuple[float, float], z: tuple[float, float], color: Color, windows: bool = True) -> list[Part]:
    """A deckhouse with windows at the front and the sides."""
    parts = [box(x, y, z, color)]
    if windows:
        height, middle = 0.4 * (y[1] - y[0]), y[0] + 0.62 * (y[1] - y[0])
        parts.append(panel((0, middle, z[1] + 0.003), (x * 0.86, height), "+z", GLASS))
        side = panel((x / 2 + 0.003, middle, (z[0] + z[1]) / 2), ((z[1] - z[0]) * 0.8, height * 0.8), "+x", GLASS)
        parts += mirror_pair(side)
    return parts


def _funnel(dice: Dice, y: float, z: float, size: float, paint: Color) -> list[Part]:
    high = dice.between(0.06, 0.09)
    rings = [(1.0, y), (0.95, y + high * 0.6), (0.92, y + high * 0.85), (0.9, y + high)]
    circle = [(np.sin(a), np.cos(a)) for a in 2 * np.pi * np.arange(10) / 10]
    stack = [[(size * s * sx, height, z + 1.4 * size * s * sz) for sx, sz in circle] for s, height in rings]
    return [loft(stack, [BLACK, paint, CREAM, BLACK, BLACK])]


def _mast(y: float, z: float, height: float, color: Color = METAL[0]) -> list[Part]:
    return [
        tube([(0, y, z), (0, y + height, z)], [0.008, 0.005], color, 5),
        box(height * 0.5, (y + height * 0.7, y + height * 0.75), (z - 0.005, z + 0.005), color),
    ]


def _freighter(dice: Dice, beam: float, deck: float, paint: Color) -> list[Part]:
    """The bridge astern; before it containers or hatches with derricks."""
    high, wide = dice.between(0.11, 0.15), beam * 0.85
    parts = _house(wide, (deck - 0.01, deck + high), (-0.42, -0.30), CREAM)
    parts += _house(beam * 1.02, (deck + high, deck + high + 0.035), (-0.39, -0.31), CREAM)
    parts += _funnel(dice, deck + high, -0.405, 0.022, paint) + _mast(deck + high + 0.03, -0.34, 0.06)
    if dice.chance(0.6):
        rows, edges = dice.whole(4, 6), np.linspace(-0.27, 0.32, 7)
        for k in range(6):
            tall = 0.036 * (dice.whole(2, 3) if k < rows else 1)
            for side in (-1, 0, 1):
                x = side * wide / 3 * (0.9 if k < 5 else 0.7)
                span = (x - wide / 6 * 0.88, x + wide / 6 * 0.88)
                parts.append(
                    box(span, (deck - 0.005, deck + tall), (edges[k] + 0.004, edges[k + 1] - 0.004), dice.color(PAINT))
                )
    else:
        for z in (-0.2, -0.02, 0.16):
            parts.append(box(wide * 0.7, (deck - 0.005, deck + 0.03), (z - 0.06, z + 0.06), shade(paint, 1.4)))
            parts += _mast(deck, z + 0.09, dice.between(0.10, 0.13), (206, 176, 92))
    return parts + _mast(deck + 0.03, 0.4, 0.08)


def _ferry(dice: Dice, beam: float, deck: float, paint: Color) -> list[Part]:
    """Decks in steps, longer toward the stern, with funnels and boats."""
    parts, y = [], deck - 0.01
    fronts = [0.28, 0.24, 0.18, 0.1]
    for k in range(dice.whole(3, 4)):
        shrink = beam * (0.92 - 0.07 * k)
        rear, high = -0.40 + 0.04 * k, dice.between(0.036, 0.046)
        parts += _house(shrink, (y, y + high), (rear, fronts[k]), CREAM if k else shade(CREAM, 0.92))
        y += high
    parts += _funnel(dice, y, dice.between(-0.2, -0.1), 0.03, paint)
    parts += _mast(y, 0.02, 0.06)
    for z in (-0.25, -0.12, 0.01):
        boat = rounded_box(0.022, (y - 0.06, y - 0.038), (z - 0.04, z + 0.04), 0.01, (226, 116, 40))
        parts += mirror_pair(boat.moved(beam * 0.42))
    return parts


def _tug(dice: Dice, beam: float, deck: float, paint: Color) -> list[Part]:
    wall = dice.color(LIGHT)
    low, high = dice.between(0.07, 0.09), dice.between(0.07, 0.09)
    front = dice.between(0.16, 0.22)
    parts = _house(beam * 0.62, (deck - 0.01, deck + low), (-0.16, front), wall, windows=False)
    parts += _house(beam * 0.5, (deck + low, deck + low + high), (0.0, front - 0.03), wall)
    parts.append(box(beam * 0.56, (deck + low + high, deck + low + high + 0.014), (-0.02, front), paint))
    parts += _funnel(dice, deck + low - 0.01, -0.08, 0.035, paint) + _mast(deck + low + high, 0.06, 0.1)
    parts.append(cylinder(0.03, (deck - 0.01, deck + 0.05), BLACK, 8).moved(0, 0, -0.3))
    for z in (-0.2, 0.0, 0.18):
        tyre = cylinder(0.03, 0.02, BLACK, 8).turned("z", 90)
        parts += mirror_pair(tyre.moved(beam / 2 + 0.004, deck * 0.75, z))
    return parts


def _motor(dice: Dice, beam: float, deck: float, paint: Color) -> list[Part]:
    """A low cabin with a raked windscreen, an open cockpit with seats, an outboard motor."""
    front, high = dice.between(0.2, 0.28), dice.between(0.06, 0.09)
    wide, low = beam * 0.36, deck - 0.008
    ring = lambda w, y, back, fore: [(-w, y, back), (-w, y, fore), (w, y, fore), (w, y, back)]  # noqa: E731
    cabin = loft([ring(wide, low, -0.06, front), ring(wide * 0.82, deck + high, -0.04, front - 0.14)], CREAM)
    parts = [cabin.painted(GLASS, lambda centre, normal: (normal[:, 2] > 0.2) & (normal[:, 1] < 0.95))]
    if dice.chance(0.4):
        parts += _house(wide * 1.3, (deck + high, deck + high + 0.05), (-0.05, 0.05), CREAM)
    parts.append(panel((0, deck + 0.004, -0.24), (beam * 0.7, 0.3), "+y", shade(paint, 0.45)))
    for x in (-0.045, 0.045):
        parts.append(box((x - 0.03, x + 0.03), (deck, deck + 0.04), (-0.2, -0.14), dice.color(FABRIC)))
    parts.append(box(0.05, (deck * 0.4, deck + 0.06), (-0.5, -0.455), BLACK))
    side = quad(
        [
            (beam * 0.51, deck * 0.8, 0.1),
            (beam * 0.51, deck * 0.8, -0.4),
            (beam * 0.51, deck * 0.92, -0.4),
            (beam * 0.51, deck * 0.92, 0.1),
        ],
        CREAM,
    )
    return parts + mirror_pair(side)


def _warship(dice: Dice, beam: float, deck: float, paint: Color) -> list[Part]:
    high = dice.between(0.06, 0.08)
    tone = shade(paint, 1.15)
    parts = _house(beam * 0.75, (deck - 0.01, deck + high), (-0.26, 0.16), tone, windows=False)
    parts += _house(beam * 0.6, (deck + high, deck + high + 0.05), (0.0, 0.13), tone)
    parts += _funnel(dice, deck + high, -0.08, 0.026, shade(paint, 0.8))
    parts += _mast(deck + high + 0.05, 0.04, dice.between(0.09, 0.13), shade(paint, 0.7))
    for z, way in [(0.28, 1), (-0.34, -1)][: dice.whole(1, 2)]:
        parts.append(cylinder(0.036, (deck - 0.005, deck + 0.035), shade(paint, 0.85), 8, top=0.028).moved(0, 0, z))
        for x in (-0.012, 0.012):
            parts.append(tube([(x, deck + 0.025, z), (x, deck + 0.035, z + way * 0.12)], 0.006, BLACK, 5))
    parts.append(panel((0, deck + 0.004, -0.38), (beam * 0.6, 0.12), "+y", (206, 206, 198)))
    return parts


def _sail(dice: Dice, beam: float, deck: float, paint: Color) -> list[Part]:
    """A mast with a main sail behind it and a jib before."""
    tall, mast = dice.between(0.72, 0.85), dice.between(0.04, 0.1)
    cloth = shade(dice.color(LIGHT), 1.3)
    parts = _house(beam * 0.42, (deck - 0.01, deck + 0.045), (-0.12, 0.16), CREAM)
    parts.append(tube([(0, deck, mast), (0, deck + tall, mast)], [0.012, 0.007], METAL[0], 6))
    parts.append(tube([(0, deck + 0.09, mast), (0, deck + 0.09, -0.36)], 0.008, METAL[0], 5))
    for corners, color in (
        ([(0, deck + 0.1, mast - 0.01), (0, deck + tall, mast - 0.01), (0, deck + 0.1, -0.36)], cloth),
        (
            [(0, deck + 0.07, mast + 0.02), (0, deck + tall * 0.85, mast + 0.02), (0, deck + 0.07, 0.47)],
            dice.color(FABRIC),
        ),
    ):
        thin = [np.array(corners) + [x, 0, 0] for x in (-0.004, 0.004)]
        parts.append(loft(thin, color))
    return parts + [box(beam * 0.1, (-0.06, 0.02), (-0.1, 0.1), shade(paint, 0.5))]

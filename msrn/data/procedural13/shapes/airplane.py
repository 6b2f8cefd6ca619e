"""Airplanes, about one unit long, nose toward +z: airliners, business jets, propeller planes and fighters."""

import numpy as np

from msrn.data.procedural13.shapes.dice import BLACK, GLASS, METAL, PAINT, STEEL, Dice, shade
from msrn.data.procedural13.shapes.part import Color, Part, mirror_pair
from msrn.data.procedural13.shapes.solids import box, cylinder, disc, ellipsoid, extrude, loft, panel

BODY = ((214, 216, 220), (202, 206, 214), (222, 214, 198), (186, 194, 204))
DULL = ((128, 136, 132), (104, 112, 118), (134, 128, 108))


def airplane(dice: Dice) -> list[Part]:
    kind = dice.pick(("airliner", "airliner", "airliner", "airliner", "jet", "propeller", "propeller", "fighter"))
    if kind == "fighter":
        return _fighter(dice)
    if kind == "propeller":
        return _propeller_plane(dice)
    return _airliner(dice, business=kind == "jet")


def _airliner(dice: Dice, business: bool) -> list[Part]:
    radius = dice.between(0.052, 0.062)
    body, livery = dice.color(BODY), dice.color(PAINT)
    span, root, sweep = dice.between(0.40, 0.47), dice.between(0.17, 0.21), dice.between(0.16, 0.24)
    wing = dice.between(-0.01, 0.05)
    parts = _fuselage(radius, body, livery, tail=dice.between(0.5, 0.7))
    low = -radius * 0.45
    parts += mirror_pair(
        _wing((0.6 * radius, low, wing), root, root * 0.28, span, sweep, dice.between(0.02, 0.05), STEEL, livery)
    )
    rear = business or dice.chance(0.2)
    if rear:
        parts += mirror_pair(_engine(0.022 if business else 0.026, 0.13, livery).moved(radius + 0.026, 0.03, -0.27))
    else:
        places = [0.36] if dice.chance(0.65) else [0.30, 0.60]
        for place in places:
            z, size = wing + 0.5 * root - place * sweep, dice.between(0.026, 0.032)
            parts += mirror_pair(_engine(size, 0.12, livery).moved(radius + place * span, low - 0.022, z))
    fin = dice.between(0.13, 0.17)
    parts.append(_fin(radius * 0.6, fin, -0.46, dice.between(0.12, 0.15), livery))
    height = radius * 0.6 + fin * 0.95 if rear else radius * 0.35
    parts += mirror_pair(_wing((0.01, height, -0.44), 0.09, 0.04, dice.between(0.14, 0.18), 0.07, 0.01, STEEL, livery))
    return parts + _windows(radius, livery, dice.chance(0.5))


def _propeller_plane(dice: Dice) -> list[Part]:
    radius = dice.between(0.058, 0.07)
    body, livery = dice.color(BODY), dice.color(PAINT)
    high, span = dice.chance(0.5), dice.between(0.48, 0.55)
    parts = _fuselage(radius, body, livery, tail=dice.between(0.75, 0.95))
    wing, chord = dice.between(0.1, 0.14), dice.between(0.14, 0.18)
    level = radius * (0.95 if high else -0.6)
    parts += mirror_pair(_wing((0, level, wing), chord, chord * dice.between(0.6, 0.9), span, 0.02, 0.02, body, livery))
    if high:
        strut = loft(
            [
                [
                    (radius * 0.8, -0.04, wing + z),
                    (radius * 0.8, -0.035, wing + z),
                    (radius * 0.8, -0.04, wing + z + 0.01),
                ]
                for z in (0.0, 0.012)
            ],
            STEEL,
        )
        parts += mirror_pair(strut)
    if dice.chance(0.35):  # two engines on the wing
        for engine in mirror_pair(_engine(0.03, 0.16, body).moved(0.17, level, wing + 0.09)):
            parts.append(engine)
        parts += [p.moved(x, level, wing + 0.175) for x in (-0.17, 0.17) for p in _propeller(dice.between(0.08, 0.1))]
    else:
        parts += [part.moved(z=0.505) for part in _propeller(dice.between(0.1, 0.13))]
    parts.append(_fin(radius * 0.3, dice.between(0.12, 0.16), -0.47, 0.13, livery))
    parts += mirror_pair(_wing((0.01, radius * 0.3, -0.42), 0.1, 0.07, dice.between(0.16, 0.2), 0.02, 0, body, livery))
    canopy = ellipsoid((radius * 0.8, 0.05, 0.12), GLASS).moved(0, radius * 0.75, wing + 0.05)
    parts += [canopy, *_wheels(radius, wing)]
    return parts + [
        panel((side * (radius + 0.002), 0, -0.1), (0.34, 0.016), name, livery) for side, name in ((1, "+x"), (-1, "-x"))
    ]


def _fighter(dice: Dice) -> list[Part]:
    radius, skin, mark = dice.between(0.048, 0.058), dice.color(DULL), dice.color(PAINT)
    parts = _fuselage(radius, skin, shade(skin, 0.6), tail=0.2)
    root, span = dice.between(0.32, 0.42), dice.between(0.27, 0.34)
    parts += mirror_pair(_wing((0.03, -0.01, -0.1), root, 0.06, span, root * 0.75, -0.01, skin, mark))
    parts += mirror_pair(_wing((0.03, 0, -0.42), 0.12, 0.05, 0.17, 0.09, 0, shade(skin, 0.9), mark))
    if dice.chance(0.5):
        parts += [fin.moved(x) for x in (-0.05, 0.05) for fin in [_fin(0.02, 0.13, -0.42, 0.15, skin)]]
    else:
        parts.append(_fin(0.03, 0.17, -0.44, 0.18, mark))
    parts.append(ellipsoid((0.03, 0.035, 0.1), GLASS).moved(0, radius * 0.8, 0.2))
    parts += mirror_pair(box((0.04, 0.08), (-0.04, 0.025), (-0.2, 0.14), shade(skin, 0.85)).fronted(BLACK))
    parts.append(cylinder(0.035, 0.05, BLACK, 10).turned("x", 90).moved(0, 0, -0.5))
    return parts


def _fuselage(radius: float, body: Color, livery: Color, tail: float) -> list[Part]:
    """Sections along z; the tail is narrow and turned up, the cockpit glass is painted on the nose."""
    stations = [
        (-0.50, 0.12, tail * 0.55), (-0.40, 0.38, tail * 0.45), (-0.25, 0.78, tail * 0.2), (-0.12, 1, 0), (0.1, 1, 0),
        (0.34, 1, 0), (0.41, 0.88, -0.06), (0.455, 0.66, -0.14), (0.485, 0.38, -0.2), (0.50, 0.1, -0.22),
    ]  # fmt: skip
    angle = 2 * np.pi * (np.arange(14) + 0.5) / 14
    circle = np.stack([np.sin(angle), np.cos(angle), 0 * angle], 1)
    hull = loft([circle * radius * share + [0, radius * lift, z] for z, share, lift in stations], body)
    hull = hull.painted(shade(body, 0.6), lambda centre, normal: normal[:, 1] < -0.55)
    hull = hull.painted(livery, lambda centre, normal: centre[:, 2] < -0.3)
    return [hull.painted(BLACK, lambda c, n: (c[:, 2] > 0.4) & (c[:, 2] < 0.47) & (n[:, 1] > 0.35))]


def _wing(
    root: tuple[float, float, float], chord: float, tip_chord: float, span: float, sweep: float, rise: float,
    color: Color, tip: Color,
) -> Part:  # fmt: skip
    """The right wing, ``root`` its leading edge less half a chord; its outermost fifth has the colour ``tip``."""
    x, y, z = root
    section = np.array([(0.5, 0), (0.25, 0.055), (-0.2, 0.045), (-0.5, 0), (-0.2, -0.03), (0.25, -0.035)])  # z, y
    rings = []
    for share in (0, 0.8, 1):
        size = chord + (tip_chord - chord) * share
        middle = z + chord / 2 - sweep * share - size / 2
        rings.append(
            np.stack(
                [np.full(6, x + span * share), y + rise * share + section[:, 1] * size, middle + section[:, 0] * size],
                1,
            )
        )
    return loft(rings, [color, color, tip, tip])


def _fin(base: float, height: float, z: float, chord: float, color: Color) -> Part:
    outline = [(z, base + height), (z + 0.4 * chord, base + height), (z + chord, base), (z + 0.02, base)]
    return extrude(outline, 0.012, color)


def _engine(radius: float, length: float, color: Color) -> Part:
    """A nacelle along z with a dark mouth and a steel end."""
    rings = [(0.65, -0.5), (0.95, -0.1), (1.0, 0.35), (0.85, 0.5)]
    angle = 2 * np.pi * np.arange(10) / 10
    circle = np.stack([np.sin(angle), np.cos(angle), 0 * angle], 1)
    return loft(
        [circle * radius * share + [0, 0, length * z] for share, z in rings], [BLACK, STEEL, color, color, BLACK]
    )


def _propeller(radius: float) -> list[Part]:
    blade = box(0.018, (-radius, radius), (-0.004, 0.004), BLACK)
    hub = cylinder(0.02, (0, 0.035), (196, 60, 52), 8, top=0.004).turned("x", 90)
    return [blade, blade.turned("z", 90), hub]


def _windows(radius: float, livery: Color, stripe: bool) -> list[Part]:
    """A row of windows, doors, and perhaps a stripe below, on both sides."""
    parts = []
    for side, name in ((1, "+x"), (-1, "-x")):
        x = side * (radius * 0.985 + 0.002)
        for z in np.linspace(-0.16, 0.30, 12):
            parts.append(panel((x, radius * 0.2, z), (0.018, 0.016), name, GLASS))
        parts.append(panel((x, 0, 0.355), (0.02, 0.05), name, shade(livery, 0.7)))
        if stripe:
            parts.append(panel((x, -radius * 0.15, 0.08), (0.54, 0.012), name, livery))
    return parts


def _wheels(radius: float, wing: float) -> list[Part]:
    wheel = cylinder(0.022, 0.016, BLACK, 8).turned("z", 90)
    leg = box(0.008, (-radius - 0.045, -radius * 0.6), 0.01, METAL[1])
    places = [(0.07, wing), (-0.07, wing), (0, 0.36)]
    return [p for x, z in places for p in (wheel.moved(x, -radius - 0.045, z), leg.moved(x, 0, z))] + [
        disc((0, 0, 0.502), radius * 0.3, "+z", STEEL)
    ]

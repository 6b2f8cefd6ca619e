"""Cars, in metres, nose toward +z: saloon, hatchback, estate, SUV, van, pickup and sports car."""

import numpy as np

from msrn.data.procedural13.shapes.dice import BLACK, GLASS, PAINT, RUBBER, STEEL, Dice, shade
from msrn.data.procedural13.shapes.part import Color, Part, mirror_pair
from msrn.data.procedural13.shapes.solids import box, cylinder, disc, loft, panel, quad

# Length, width, height, clearance; bonnet, belt line and boot as shares of the height above the clearance; where along
# the length (0 rear, 1 front) the rear window begins below and above, and the windscreen ends above and below.
KINDS = {
    "saloon": ((4.3, 4.8), (1.72, 1.84), (1.40, 1.48), 0.18, (0.50, 0.60, 0.58), (0.13, 0.27, 0.54, 0.70)),
    "hatchback": ((3.8, 4.2), (1.66, 1.78), (1.44, 1.54), 0.18, (0.50, 0.60, 0.60), (0.03, 0.11, 0.55, 0.73)),
    "estate": ((4.4, 4.8), (1.74, 1.84), (1.44, 1.54), 0.18, (0.50, 0.60, 0.60), (0.02, 0.07, 0.55, 0.70)),
    "suv": ((4.2, 4.7), (1.78, 1.90), (1.62, 1.78), 0.26, (0.54, 0.61, 0.61), (0.02, 0.08, 0.58, 0.72)),
    "van": ((4.3, 4.9), (1.78, 1.92), (1.75, 1.95), 0.22, (0.48, 0.56, 0.56), (0.01, 0.03, 0.70, 0.86)),
    "pickup": ((4.7, 5.1), (1.78, 1.90), (1.62, 1.76), 0.28, (0.54, 0.60, 0.54), (0.38, 0.42, 0.60, 0.72)),
    "sports": ((4.1, 4.5), (1.78, 1.88), (1.20, 1.30), 0.14, (0.54, 0.66, 0.70), (0.08, 0.33, 0.50, 0.68)),
}
KIND_NAMES = ("saloon", "saloon", "hatchback", "hatchback", "estate", "suv", "suv", "van", "pickup", "sports")


def car(dice: Dice) -> list[Part]:
    kind = dice.pick(KIND_NAMES)
    lengths, widths, heights, clearance, shares, places = KINDS[kind]
    length, width, height = dice.between(*lengths), dice.between(*widths), dice.between(*heights)
    bonnet, belt, boot = (clearance + (height - clearance) * (share + dice.between(-0.02, 0.02)) for share in shares)
    z = [(place + dice.between(-0.012, 0.012)) * length - length / 2 for place in places]
    paint = dice.color(PAINT)
    parts = [_body(length, width, clearance, bonnet, belt, boot, z, paint)]
    parts += _cabin(dice, kind, width, belt, height, z, paint)
    radius = dice.between(0.30, 0.34) * (1.12 if kind in ("suv", "pickup") else 1)
    parts += _wheels(dice, length, width, radius)
    parts += _lights(dice, length, width, clearance, bonnet, boot, paint)
    parts += mirror_pair(
        box((width / 2 - 0.06, width / 2 + 0.12), (belt, belt + 0.13), (z[3] - 0.28, z[3] - 0.16), paint)
    )
    if kind == "pickup":
        bed = (z[0] - 0.1 + length / 2 - 0.12) / 2
        parts.append(panel((0, boot + 0.012, -length / 2 + 0.08 + bed), (width * 0.76, 2 * bed), "+y", BLACK))
        rail = box((width / 2 - 0.2, width / 2 - 0.1), (boot - 0.02, boot + 0.09), (-length / 2 + 0.08, z[0]), paint)
        parts += mirror_pair(rail)
    if kind == "sports" and dice.chance(0.6):
        parts.append(
            box(width * 0.8, (boot + 0.10, boot + 0.14), (-length / 2 + 0.05, -length / 2 + 0.3), shade(paint, 0.6))
        )
        parts += mirror_pair(
            box((0.5, 0.56), (boot - 0.02, boot + 0.11), (-length / 2 + 0.1, -length / 2 + 0.25), paint)
        )
    if dice.chance(0.2):
        stripe = dice.color(PAINT)
        for x in (-0.2, 0.2):
            parts.append(quad(_on_bonnet(x, 0.18, z[3] + 0.05, length, belt, bonnet), stripe))
    return parts


def _body(
    length: float, width: float, low: float, bonnet: float, belt: float, boot: float, z: list[float], paint: Color
) -> Part:
    """Sections of eight points from the rear bumper to the front one, narrower and lower at both ends."""
    half, rear, nose = width / 2, -length / 2, length / 2
    stations = [  # z, share of the width, height of the top, how far the bottom is lifted
        (rear, 0.82, boot - 0.10, 0.10), (rear + 0.10, 0.93, boot, 0.02),
        (max(z[0], rear + 0.2), 0.99, (boot + belt) / 2, 0),
        (z[1] + 0.15, 1.0, belt, 0), (z[3], 0.99, belt, 0), (z[3] + 0.12, 0.98, (belt + bonnet) / 2 + 0.02, 0),
        (nose - 0.28, 0.93, bonnet, 0.02), (nose - 0.06, 0.85, bonnet - 0.10, 0.05), (nose, 0.76, bonnet - 0.18, 0.12),
    ]  # fmt: skip
    rings = []
    for place, share, top, lift in stations:
        wide, bottom = half * share, low + lift
        middle = bottom + 0.55 * (top - bottom)
        right = [(0.92 * wide, bottom), (wide, bottom + 0.12), (wide, middle), (0.90 * wide, top)]
        rings.append([(x, y, place) for x, y in right] + [(-x, y, place) for x, y in right[::-1]])
    body = loft(rings, paint)
    return body.painted(shade(paint, 0.35), lambda centre, normal: centre[:, 1] < low + 0.10)


def _cabin(dice: Dice, kind: str, width: float, belt: float, height: float, z: list[float], paint: Color) -> list[Part]:
    """Glass from the belt line to the roof, the roof, and pillars laid on the glass."""
    low, high = width / 2 * 0.90, width / 2 * dice.between(0.70, 0.76)
    belt -= 0.02
    corners = lambda w, y, back, front: [(-w, y, back), (-w, y, front), (w, y, front), (w, y, back)]  # noqa: E731
    glass = loft([corners(low, belt, z[0], z[3]), corners(high, height - 0.04, z[1], z[2])], GLASS)
    glass = glass.painted(shade(GLASS, 1.3), lambda centre, normal: normal[:, 2] > 0.4)
    top = dice.pick((paint, paint, paint, shade(paint, 0.3)))
    roof = loft(
        [
            corners(high + 0.01, height - 0.05, z[1] - 0.02, z[2] + 0.02),
            corners(high - 0.08, height, z[1] + 0.1, z[2] - 0.1),
        ],
        top,
    )
    parts = [glass, roof]
    shares = {"van": (0.0, 0.06, 0.62, 1.0), "pickup": (0.0, 0.5, 1.0)}.get(kind, (0.0, 0.33, 0.62, 1.0))
    for share in shares:
        below, above = z[0] + share * (z[3] - z[0]), z[1] + share * (z[2] - z[1])
        half = 0.10 if share in (0.0, 1.0) else 0.05
        parts += mirror_pair(_strip(low, high, belt, height - 0.04, below, above, half, paint))
    if kind == "van" and dice.chance(0.6):  # no side windows behind the driver
        below, above = z[0] + 0.31 * (z[3] - z[0]), z[1] + 0.31 * (z[2] - z[1])
        parts += mirror_pair(_strip(low, high, belt, height - 0.04, below, above, 0.30 * (z[2] - z[1]), paint))
    return parts


def _strip(
    low: float, high: float, belt: float, roof: float, below: float, above: float, half: float, paint: Color
) -> Part:
    out = 0.012
    return quad(
        [
            (low + out, belt, below + half),
            (low + out, belt, below - half),
            (high + out, roof, above - half),
            (high + out, roof, above + half),
        ],
        paint,
    )


def _wheels(dice: Dice, length: float, width: float, radius: float) -> list[Part]:
    hub, x = dice.pick((STEEL, (196, 196, 198), (84, 86, 90))), width / 2
    rear, front = -length * dice.between(0.29, 0.32), length * dice.between(0.29, 0.32)
    parts = []
    for z in (rear, front):
        tyre = cylinder(radius, 0.22, RUBBER, 14).turned("z", 90).moved(x - 0.09, radius, z)
        parts += mirror_pair(tyre)
        parts += mirror_pair(disc((x + 0.024, radius, z), radius * 0.62, "+x", hub))
        parts += mirror_pair(disc((x + 0.006, radius + 0.03, z), radius * 1.18, "+x", BLACK, 14))
    return parts


def _lights(
    dice: Dice, length: float, width: float, low: float, bonnet: float, boot: float, paint: Color
) -> list[Part]:
    nose, rear, half = length / 2 + 0.008, -length / 2 - 0.008, width / 2
    lamp, tall = dice.between(0.22, 0.34), dice.between(0.12, 0.18)
    y = bonnet - 0.22 - tall / 2
    parts = mirror_pair(panel((half * 0.74 - lamp / 2, y, nose), (lamp, tall), "+z", (250, 246, 206)))
    parts += mirror_pair(
        quad(
            [
                (half * 0.76, y - tall / 2, nose),
                (half * 0.87, y - tall / 2, nose - 0.09),
                (half * 0.87, y + tall / 2, nose - 0.09),
                (half * 0.76, y + tall / 2, nose),
            ],
            (250, 246, 206),
        )
    )
    parts.append(panel((0, y - 0.02, nose), (half * dice.between(0.6, 0.8), tall + 0.06), "+z", BLACK))
    parts.append(panel((0, low + 0.19, nose), (half * 1.2, 0.09), "+z", shade(paint, 0.3)))
    tail = dice.between(0.2, 0.32)
    parts += mirror_pair(panel((half * 0.80 - tail / 2, boot - 0.26, rear), (tail, tall + 0.04), "-z", (206, 32, 30)))
    parts.append(panel((0, boot - 0.32, rear), (0.44, 0.14), "-z", (236, 226, 150)))
    parts.append(panel((0, low + 0.18, rear), (half * 1.3, 0.12), "-z", shade(paint, 0.3)))
    return parts


def _on_bonnet(x: float, wide: float, start: float, length: float, belt: float, bonnet: float) -> np.ndarray:
    """A rectangle along the bonnet, a little above it."""
    near, far = start + 0.1, length / 2 - 0.28
    high, low = (belt + bonnet) / 2 + 0.045, bonnet + 0.03
    left, right = x - wide / 2, x + wide / 2
    return np.array([(left, low, far), (right, low, far), (right, high, near), (left, high, near)])

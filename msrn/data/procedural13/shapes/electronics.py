"""Displays, phones and loudspeakers; screens, keys and cones look to the front, +z."""

import numpy as np

from msrn.data.procedural13.shapes.dice import BLACK, FABRIC, GLASS, METAL, PAINT, PLASTIC, STEEL, WOOD, Dice, shade
from msrn.data.procedural13.shapes.furniture import label
from msrn.data.procedural13.shapes.part import Color, Part, mirror_pair
from msrn.data.procedural13.shapes.solids import box, cylinder, disc, lathe, panel, rounded_box, tapered, tube


def display(dice: Dice) -> list[Part]:
    """A monitor, a television or an old picture tube, on one of five stands."""
    kind = dice.pick(("monitor", "monitor", "monitor", "television", "television", "tube"))
    width = 1.0
    height = width * {"monitor": dice.between(0.56, 0.72), "television": dice.between(0.54, 0.6)}.get(
        kind, dice.between(0.72, 0.8)
    )
    thick, rim = dice.between(0.035, 0.07), dice.between(0.02, 0.045)
    case = dice.color(PLASTIC)
    lift = dice.between(0.10, 0.2) if kind != "tube" else dice.between(0.02, 0.05)
    rear = shade(case, 0.75)
    parts = [box(width, (lift, lift + height), (-thick, 0), rear).fronted(case)]
    inner = (width - 2 * rim, height - 2 * rim - 0.02)
    parts += _picture(dice, inner, lift + height / 2 + 0.01)
    parts.append(panel((0, lift + rim * 0.6, 0.003), (0.08, rim * 0.6), "+z", STEEL))
    middle = lift + height / 2
    if kind == "tube":
        deep = dice.between(0.35, 0.5)
        low, high = ((width * 0.94, height * 0.94), (width * 0.55, height * 0.55))
        hump = tapered((low[0], low[1]), (high[0], high[1]), (0, deep), rear).turned("x", -90).moved(0, middle, -thick)
        parts += [hump, label(0, middle, -thick - deep - 0.004, 0.3, (206, 200, 180))]
        return parts + [box(width * 0.7, (0, lift + 0.01), (-0.3, 0), shade(case, 0.6))]
    bulge = dice.between(0.3, 0.6)
    parts.append(
        tapered(
            (width * bulge, height * bulge), (width * bulge * 0.7, height * bulge * 0.7), (0, 0.035), shade(rear, 0.8)
        )
        .turned("x", -90)
        .moved(0, middle, -thick)
    )
    parts.append(label(0, middle, -thick - 0.039, 0.22 * bulge, (206, 200, 180)))
    parts += [
        box((x, x + 0.04), (middle + 0.3 * height, middle + 0.32 * height), (-thick - 0.006, -thick), BLACK)
        for x in np.linspace(-0.3, 0.26, 8)
    ]
    return parts + _display_stand(dice, lift, thick, width, shade(case, 0.85))


def _picture(dice: Dice, size: tuple[float, float], y: float) -> list[Part]:
    """What the screen shows: sky and ground, or a desktop with windows."""
    (width, height), first, second = size, dice.color(PAINT), dice.color(FABRIC)
    parts = [panel((0, y, 0.002), size, "+z", shade(first, 1.25))]
    if dice.chance(0.5):
        low = height * dice.between(0.3, 0.5)
        return [*parts, panel((0, y - height / 2 + low / 2, 0.004), (width, low), "+z", second)]
    parts.append(panel((0, y - height / 2 + 0.025, 0.004), (width, 0.05), "+z", shade(second, 0.5)))
    for x in (-0.2, 0.22):
        wide, tall = dice.between(0.24, 0.36), height * dice.between(0.4, 0.6)
        parts.append(panel((x, y + 0.03, 0.004), (wide, tall), "+z", (226, 226, 222)))
        parts.append(panel((x, y + 0.01 + tall / 2, 0.006), (wide, 0.04), "+z", second))
    return parts


def _display_stand(dice: Dice, lift: float, thick: float, width: float, color: Color) -> list[Part]:
    kind = dice.pick(("round", "plate", "plate", "two", "fork"))
    z, neck = -thick - 0.01, dice.between(0.03, 0.06)
    post = box(2 * neck, (0.01, lift + 0.12), (z - 0.03, z), color)
    if kind == "round":
        return [post, cylinder(dice.between(0.15, 0.2), (0, 0.022), color, 16, top=0.13).moved(z=-0.03)]
    if kind == "plate":
        wide, deep = dice.between(0.3, 0.5), dice.between(0.2, 0.28)
        return [post, rounded_box(wide, (0, 0.022), (-deep / 2 - 0.03, deep / 2 - 0.03), 0.04, color, bevel=0.004)]
    if kind == "two":
        x = width * dice.between(0.3, 0.4)
        feet = [tube([(x, lift + 0.01, -thick / 2), (x + 0.02, 0.01, end)], 0.014, color, 5) for end in (-0.13, 0.11)]
        return [part for foot in feet for part in mirror_pair(foot)]
    reach = dice.between(0.2, 0.3)
    return (
        [post]
        + mirror_pair(tube([(0, 0.015, z), (reach, 0.012, 0.11)], 0.016, color, 5))
        + [tube([(0, 0.015, z), (0, 0.012, -0.15)], 0.016, color, 5)]
    )


def phone(dice: Dice) -> list[Part]:
    """A touch phone, one with keys, a sliding or a folding one, upright; the camera is behind."""
    kind = dice.pick(("touch", "touch", "touch", "keys", "keys", "slide", "fold"))
    wide = dice.between(0.44, 0.54) if kind == "touch" else dice.between(0.38, 0.5)
    thick = dice.between(0.05, 0.075) if kind == "touch" else dice.between(0.09, 0.14)
    case, round_ = dice.color(PAINT if dice.chance(0.5) else PLASTIC), dice.between(0.03, 0.1)
    face = shade(case, 0.7) if dice.chance(0.5) else BLACK
    if kind == "fold":
        lean = dice.between(8, 22)
        lower = _slab(wide, 0.5, thick * 0.7, round_, case, face, (0.0, 0.5))
        parts = lower + _keys(dice, wide, (0.04, 0.42), thick * 0.35)
        upper = _slab(wide, 0.5, thick * 0.6, round_, case, face, (0.0, 0.5))
        upper += _screen(dice, wide * 0.78, (0.1, 0.44), thick * 0.3) + _camera(dice, wide, 0.4, thick * 0.3)
        parts += [part.turned("x", lean).moved(y=0.5) for part in upper]
        hinge = cylinder(thick * 0.42, wide * 0.9, STEEL, 8).turned("z", 90).moved(0, 0.5, 0)
        return [*parts, hinge]
    parts = _slab(wide, 1.0, thick, round_, case, face, (0.0, 1.0))
    near = thick / 2
    if kind == "touch":
        parts += _screen(dice, wide * dice.between(0.86, 0.94), (0.11, 0.90), near)
        parts.append(disc((0, 0.055, near + 0.004), 0.03, "+z", STEEL))
        parts.append(panel((0, 0.95, near + 0.004), (0.12, 0.014), "+z", STEEL))
    elif kind == "keys":
        split = dice.between(0.46, 0.56)
        parts += _screen(dice, wide * 0.8, (split + 0.04, 0.90), near) + _keys(dice, wide, (0.05, split), near)
        if dice.chance(0.4):
            parts.append(cylinder(0.03, (0.98, 1.0 + dice.between(0.08, 0.2)), BLACK, 8).moved(wide * 0.34))
    else:
        down = dice.between(0.15, 0.3)
        parts += _screen(dice, wide * 0.84, (0.2, 0.92), near)
        below = _slab(wide * 0.98, 0.9, thick * 0.6, round_, shade(case, 0.8), face, (0.0, 0.9))
        below += _keys(dice, wide, (0.02, down), thick * 0.3)
        parts += [part.moved(y=-down, z=-thick * 0.8) for part in below]
        near += thick * 0.6
    return parts + _camera(dice, wide, 0.88, thick / 2 if kind != "slide" else thick / 2 + 0.002)


def _slab(
    wide: float, tall: float, thick: float, radius: float, case: Color, face: Color, y: tuple[float, float]
) -> list[Part]:
    flat = rounded_box(wide, (-thick / 2, thick / 2), (-tall / 2, tall / 2), radius, case, bevel=thick * 0.2)
    return [flat.turned("x", 90).moved(y=(y[0] + y[1]) / 2).fronted(face)]


def _screen(dice: Dice, wide: float, y: tuple[float, float], z: float) -> list[Part]:
    middle, tall = (y[0] + y[1]) / 2, y[1] - y[0]
    parts = [panel((0, middle, z + 0.004), (wide, tall), "+z", shade(dice.color(PAINT), 1.2))]
    parts.append(panel((0, y[1] - 0.03, z + 0.007), (wide, 0.06), "+z", GLASS))
    for row in range(2 if tall > 0.45 else 1):
        for x in (-0.32, 0, 0.32):
            icon = panel(
                (x * wide, y[0] + 0.1 + row * 0.16, z + 0.007), (wide * 0.2, wide * 0.2), "+z", dice.color(FABRIC)
            )
            parts.append(icon)
    return parts


def _keys(dice: Dice, wide: float, y: tuple[float, float], z: float) -> list[Part]:
    rows = max(2, min(4, round((y[1] - y[0]) / 0.1)))
    step, color = (y[1] - y[0]) / rows, dice.pick(((214, 214, 208), (186, 190, 200), (70, 72, 80)))
    parts = []
    for row in range(rows):
        for x in (-0.3, 0, 0.3):
            y0 = y[0] + step * row
            span = ((x - 0.11) * wide, (x + 0.11) * wide)
            tint = (80, 168, 84) if row == rows - 1 and x < 0 else (196, 60, 54) if row == rows - 1 and x > 0 else color
            parts.append(box(span, (y0 + step * 0.2, y0 + step * 0.85), (z, z + 0.012), tint))
    return parts


def _camera(dice: Dice, wide: float, y: float, z: float) -> list[Part]:
    x = dice.pick((0, 0.28, 0.28)) * wide
    return [
        panel((x, y, -z - 0.004), (0.16, 0.12), "-z", (64, 64, 68)),
        disc((x, y, -z - 0.008), 0.04, "-z", GLASS),
        panel((0, y * 0.5, -z - 0.004), (0.16, 0.07), "-z", (206, 204, 198)),
    ]


def speaker(dice: Dice) -> list[Part]:
    """A shelf speaker, a tower, a bass box or a round one; cones and a badge at the front, sockets behind."""
    kind = dice.pick(("shelf", "shelf", "shelf", "tower", "tower", "bass", "round"))
    case = dice.color(WOOD if dice.chance(0.55) else PLASTIC)
    ring = dice.pick((STEEL, (196, 166, 90), METAL[1]))
    if kind == "round":
        return _round_speaker(dice, case, ring)
    wide, tall, deep = {
        "shelf": (dice.between(0.5, 0.62), 0.9, dice.between(0.46, 0.6)),
        "tower": (dice.between(0.34, 0.44), 1.1, dice.between(0.36, 0.46)),
        "bass": (dice.between(0.7, 0.85), dice.between(0.75, 0.9), dice.between(0.65, 0.8)),
    }[kind]
    foot = dice.pick((0.0, dice.between(0.03, 0.07)))
    y = (foot, foot + tall)
    cabinet = rounded_box(wide, y, deep, 0.05, case, bevel=0.01) if dice.chance(0.4) else box(wide, y, deep, case)
    baffle = shade(case, 0.45) if dice.chance(0.6) else (58, 58, 62)
    parts = [cabinet.painted(shade(case, 0.6), lambda centre, normal: normal[:, 2] < -0.7)]
    near = deep / 2
    parts.append(box(wide * 0.94, (y[0] + 0.03, y[1] - 0.03), (near, near + 0.012), baffle))
    parts += _drivers(dice, kind, wide, y, near + 0.012, ring)
    parts.append(panel((0, y[0] + 0.06, near + 0.016), (wide * 0.3, 0.04), "+z", ring))
    parts.append(panel((0, y[0] + 0.25 * tall, -near - 0.004), (wide * 0.5, 0.16), "-z", BLACK))
    parts += [
        disc((side * 0.07, y[0] + 0.25 * tall, -near - 0.008), 0.03, "-z", color)
        for side, color in ((-1, (196, 44, 40)), (1, (210, 210, 206)))
    ]
    if foot:
        parts += [
            cylinder(0.04, (0, foot), RING, 8).moved(x * wide * 0.38, 0, z * deep * 0.38)
            for x in (-1, 1)
            for z in (-1, 1)
        ]
    return parts


RING = (52, 52, 56)


def _drivers(dice: Dice, kind: str, wide: float, y: tuple[float, float], z: float, ring: Color) -> list[Part]:
    cone = dice.pick(((84, 84, 90), (36, 36, 40), (186, 148, 60)))
    big, small = wide * dice.between(0.34, 0.4), wide * dice.between(0.14, 0.2)
    low, tall = y[0], y[1] - y[0]
    if kind == "bass":
        return _driver(0, low + tall * 0.55, z, wide * 0.38, ring, cone)
    if kind == "shelf":
        return _driver(0, low + tall * 0.36, z, big, ring, cone) + _driver(0, low + tall * 0.78, z, small, ring, cone)
    parts = _driver(0, low + tall * 0.86, z, small, ring, cone)
    return parts + [
        p
        for share in (0.24, 0.5, 0.7)[: dice.whole(2, 3)]
        for p in _driver(0, low + tall * share, z, wide * 0.34 if share < 0.6 else wide * 0.28, ring, cone)
    ]


def _driver(x: float, y: float, z: float, radius: float, ring: Color, cone: Color) -> list[Part]:
    """A ring standing out of the baffle, a cone sunk into it, a dome."""
    profile = [
        (radius, 0),
        (radius, 0.015),
        (radius * 0.86, 0.02),
        (radius * 0.3, 0.004),
        (radius * 0.24, 0.02),
        (0, 0.03),
    ]
    return [lathe(profile, [ring, ring, ring, cone, cone, shade(cone, 1.3), ring], 14).turned("x", 90).moved(x, y, z)]


def _round_speaker(dice: Dice, case: Color, ring: Color) -> list[Part]:
    radius, tall = dice.between(0.27, 0.36), dice.between(0.85, 1.0)
    profile = [(radius * 0.9, 0), (radius, 0.04), (radius, tall - 0.08), (radius * 0.85, tall)]
    body = lathe(profile, [case, shade(case, 0.6), case, shade(case, 0.8), BLACK], 16)
    parts = [body.painted(shade(case, 0.55), lambda centre, normal: normal[:, 2] < -0.3)]
    for share in (0.36, 0.72):
        parts += _driver(0, tall * share, radius * 0.97, radius * (0.62 if share < 0.5 else 0.36), ring, (40, 40, 44))
    return parts + [panel((0, 0.08, radius + 0.004), (0.14, 0.05), "+z", ring)]

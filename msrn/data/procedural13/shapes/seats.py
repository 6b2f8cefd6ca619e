"""Chairs, benches and sofas, in metres; one sits looking to the front, +z."""

import numpy as np

from msrn.data.procedural13.shapes.dice import METAL, RUBBER, Dice, shade
from msrn.data.procedural13.shapes.furniture import board, cloth, cushion, frame_color, legs, slats
from msrn.data.procedural13.shapes.part import Color, Part, mirror_pair
from msrn.data.procedural13.shapes.solids import box, cylinder, extrude, panel, quad, rounded_box, tube


def chair(dice: Dice) -> list[Part]:
    """Four legs, three, a pedestal, castors or a cantilever; a back of one of six kinds; arms or none."""
    stand = dice.pick(("legs", "legs", "legs", "legs", "castors", "pedestal", "sled", "three"))
    width, depth, seat = dice.between(0.42, 0.52), dice.between(0.40, 0.48), dice.between(0.42, 0.48)
    thick, height = dice.between(0.035, 0.06), dice.between(0.40, 0.55)
    frame = dice.color(METAL) if stand in ("castors", "pedestal", "sled") else frame_color(dice)
    body = cloth(dice) if stand == "castors" or dice.chance(0.35) else frame
    parts = _chair_stand(dice, stand, width, depth, seat - thick, frame)
    if stand == "three" or dice.chance(0.4):
        parts.append(rounded_box(width, (seat - thick, seat), depth, dice.between(0.06, 0.16), body, bevel=0.01))
    else:
        parts.append(board(width, (seat - thick, seat), depth, body))
    padded = cloth(dice)
    if dice.chance(0.55):
        parts.append(
            cushion(
                dice,
                width - 0.04,
                (seat, seat + dice.between(0.03, 0.06)),
                (-depth / 2 + 0.02, depth / 2 - 0.01),
                padded,
            )
        )
    lean = dice.between(4, 12)
    back = _chair_back(dice, width, height, body, padded)
    parts += [part.turned("x", -lean).moved(y=seat - 0.01, z=-depth / 2 + 0.03) for part in back]
    if dice.chance(0.4):
        parts += _chair_arms(dice, width, depth, seat, frame)
    return parts


def _chair_stand(dice: Dice, stand: str, width: float, depth: float, top: float, color: Color) -> list[Part]:
    x, z = width / 2 - 0.03, depth / 2 - 0.03
    if stand == "legs":
        thick, splay = dice.between(0.03, 0.05), dice.pick((0, dice.between(0, 0.05)))
        parts = legs((x, z), top, thick, color, splay, taper=dice.between(0.6, 1), round_=dice.chance(0.4))
        if dice.chance(0.5):
            height = dice.between(0.1, 0.2)
            parts += mirror_pair(box((x - 0.01, x + 0.01), (height, height + 0.025), 2 * z, color))
            parts.append(box(2 * x, (height + 0.04, height + 0.065), (z - 0.01, z + 0.01), color))
        return parts
    if stand == "three":
        feet = [(x, z), (-x, z), (0, -z - 0.04)]
        return [tube([(fx * 1.1, 0, fz * 1.1), (fx * 0.8, top, fz * 0.8)], 0.02, color) for fx, fz in feet]
    if stand == "sled":
        radius = 0.014
        side = [(x, top, -z), (x, radius, -z * 1.05), (x, radius, z * 1.05), (x, top, z)]
        return [*mirror_pair(tube(side, radius, color)), tube([(-x, radius, -z), (x, radius, -z)], radius, color)]
    if stand == "pedestal":
        spread = dice.between(0.2, 0.26)
        return [
            cylinder(spread, (0, 0.025), shade(color, 0.8), 14, top=spread * 0.9),
            cylinder(0.035, (0.02, top), color, 8),
        ]
    parts = [cylinder(0.03, (0.08, top), color, 8)]
    reach = dice.between(0.24, 0.3)
    for angle in np.arange(5) * 2 * np.pi / 5 + np.pi:
        end = (reach * np.sin(angle), 0.07, reach * np.cos(angle))
        parts += [tube([(0, 0.11, 0), end], [0.024, 0.016], color, 5)]
        parts.append(cylinder(0.028, (0, 0.055), RUBBER, 8).moved(end[0], 0, end[2]))
    return parts


def _chair_back(dice: Dice, width: float, height: float, frame: Color, padded: Color) -> list[Part]:
    """Standing on the origin and upright; the front of it is what the sitter leans on."""
    kind = dice.pick(("solid", "solid", "padded", "ladder", "slats", "shell"))
    w, post = width - 0.02, dice.between(0.03, 0.045)
    behind = shade(frame, 0.7)
    if kind == "solid":
        gap = dice.pick((0, dice.between(0.08, 0.16)))
        parts = [box(w, (gap, height), (-0.03, 0), behind).fronted(padded if dice.chance(0.5) else frame)]
        return parts + mirror_pair(box((w / 2 - post, w / 2), (0, gap + 0.02), (-0.03, 0), behind)) if gap else parts
    if kind == "padded":
        pad = rounded_box(w, (-0.05, 0.02), (-height, 0), 0.08, padded, bevel=0.015).turned("x", 90)
        return [pad.painted(behind, lambda centre, normal: normal[:, 2] < -0.3)]
    if kind == "shell":
        angle = np.linspace(-1, 1, 7) * dice.between(0.5, 0.9)
        radius = w / 2 / np.sin(angle[-1])
        outer = [(radius * np.sin(a), radius * (1 - np.cos(a))) for a in angle]
        parts = []
        for (x0, z0), (x1, z1) in zip(outer[:-1], outer[1:], strict=True):
            low, high = height * (1 - 0.25 * (x0 / w) ** 2 * 4), height * (1 - 0.25 * (x1 / w) ** 2 * 4)
            near = [(x0, 0, z0), (x1, 0, z1), (x1, high, z1), (x0, low, z0)]
            far = [(x, y, z - 0.025) for x, y, z in near]
            parts += [quad(near, padded), quad(far[::-1], behind), quad([near[3], near[2], far[2], far[3]], frame)]
        return parts
    parts = mirror_pair(box((w / 2 - post, w / 2), (0, height), (-post, 0), frame))
    if kind == "ladder":
        count = dice.whole(2, 4)
        return parts + slats(
            count,
            0.08,
            height,
            dice.between(0.4, 0.6),
            lambda y: box(w - post, y, (-0.025, -0.005), behind).fronted(frame),
        )
    parts.append(box(w, (height - 0.07, height), (-post, 0.004), behind).fronted(padded))
    count = dice.whole(3, 6)
    return parts + slats(
        count,
        -w / 2 + post,
        w / 2 - post,
        dice.between(0.3, 0.6),
        lambda x: box(x, (0, height - 0.06), (-0.022, -0.006), behind).fronted(frame),
    )


def _chair_arms(dice: Dice, width: float, depth: float, seat: float, color: Color) -> list[Part]:
    height, x = seat + dice.between(0.17, 0.24), width / 2 + 0.01
    end = depth / 2 - dice.between(0.02, 0.1)
    rest = box((x - 0.025, x + 0.025), (height, height + 0.03), (-depth / 2, end), color)
    return mirror_pair(rest) + mirror_pair(
        box((x - 0.018, x + 0.018), (seat - 0.04, height), (end - 0.07, end - 0.03), color)
    )


def bench(dice: Dice) -> list[Part]:
    """A park bench of slats, a plank bench or an upholstered one; with a back or none, with arms or none."""
    width, depth, seat = dice.between(1.1, 1.6), dice.between(0.36, 0.5), dice.between(0.40, 0.48)
    kind = dice.pick(("park", "park", "park", "plank", "soft"))
    wood, frame = (cloth(dice) if kind == "soft" else frame_color(dice)), frame_color(dice)
    back = 0.0 if dice.chance(0.2) else dice.between(0.32, 0.45)
    parts = _bench_stand(dice, width, depth, seat - 0.05, frame)
    if kind == "park":
        parts += slats(
            dice.whole(3, 6), -depth / 2, depth / 2, 0.8, lambda z: board(width, (seat - 0.03, seat), z, wood)
        )
    elif kind == "plank":
        parts.append(board(width, (seat - 0.05, seat), depth, wood))
    else:
        parts.append(cushion(dice, width, (seat - 0.07, seat + 0.03), (-depth / 2, depth / 2), wood))
    parts.append(
        board(width - 0.1, (seat - 0.09, seat - 0.04), (depth / 2 - 0.06, depth / 2 - 0.03), shade(frame, 1.3))
    )
    stripe, edge = cloth(dice), depth / 2 - 0.04
    if not back:  # nothing else would tell its front from its back
        parts.append(panel((0, seat + 0.034, edge), (width * 0.98, 0.07), "+y", stripe))
        parts.append(panel((0, seat - 0.065, edge + 0.015), (width - 0.1, 0.05), "+z", shade(stripe, 1.2)))
    if back:
        lean, behind = dice.between(6, 16), shade(wood, 0.6)
        uprights = mirror_pair(
            box((width / 2 - 0.16, width / 2 - 0.11), (-0.06, back), (-0.05, -0.02), shade(frame, 0.8))
        )
        if kind == "soft":
            rests = [box(width, (0.02, back), (-0.03, 0.03), behind).fronted(wood)]
        elif dice.chance(0.7):
            rests = slats(
                dice.whole(2, 4), 0.06, back, 0.72, lambda y: box(width, y, (-0.02, 0.01), behind).fronted(wood)
            )
        else:
            rests = [box(width, (back - 0.08, back), (-0.02, 0.02), behind).fronted(wood)]
            rests += slats(
                dice.whole(7, 12),
                -width / 2 + 0.05,
                width / 2 - 0.05,
                0.4,
                lambda x: box(x, (0, back), (-0.015, 0.005), behind).fronted(wood),
            )
        parts += [part.turned("x", -lean).moved(y=seat, z=-depth / 2 + 0.02) for part in uprights + rests]
        if dice.chance(0.55):
            rest, x = seat + dice.between(0.18, 0.24), width / 2 - 0.03
            parts += mirror_pair(box((x - 0.03, x + 0.03), (rest, rest + 0.03), (-depth / 2 - 0.02, depth / 2), frame))
            parts += mirror_pair(
                box((x - 0.02, x + 0.02), (seat - 0.05, rest), (depth / 2 - 0.06, depth / 2 - 0.02), frame)
            )
    return parts


def _bench_stand(dice: Dice, width: float, depth: float, top: float, color: Color) -> list[Part]:
    kind = dice.pick(("legs", "legs", "slabs", "hoops"))
    inset = dice.between(0.06, 0.2)
    x = width / 2 - inset
    if kind == "legs":
        return legs((x, depth / 2 - 0.04), top, dice.between(0.05, 0.08), color) + mirror_pair(
            box((x - 0.02, x + 0.02), (top - 0.06, top), depth, color)
        )
    if kind == "slabs":
        return mirror_pair(box((x - 0.05, x + 0.05), (0, top), depth * dice.between(0.75, 1), color))
    z = depth / 2 - 0.03
    hoop = [(x, top, -z), (x, 0.03, -z - 0.03), (x, 0.03, z + 0.03), (x, top, z)]
    return mirror_pair(tube(hoop, 0.024, color)) + [box(2 * x, (top - 0.04, top), (-0.03, 0.03), color)]


def sofa(dice: Dice) -> list[Part]:
    """One to three seats, sometimes with a chaise; arms round, square, sloping or none."""
    seats = dice.pick((2, 2, 2, 2, 3, 3, 3, 1))
    width = dice.between(*{1: (0.7, 0.8), 2: (1.3, 1.6), 3: (1.55, 1.85)}[seats])
    depth, seat, back = dice.between(0.8, 0.95), dice.between(0.38, 0.46), dice.between(0.72, 0.9)
    arm, foot = dice.between(0.12, 0.22), dice.between(0.05, 0.12)
    body = cloth(dice)
    soft = body if dice.chance(0.5) else cloth(dice)
    whole, rear, near = width + 2 * arm, -depth / 2, depth / 2
    chaise = dice.between(0.3, 0.5) if seats == 3 and dice.chance(0.3) else 0.0
    parts = [box(whole, (foot, seat - 0.14), (rear, near - 0.02), shade(body, 0.9)).fronted(shade(body, 1.12))]
    thick = dice.between(0.16, 0.22)
    lean = extrude(
        [
            (rear, foot),
            (rear + thick + 0.06, foot),
            (rear + thick + 0.02, back - 0.04),
            (rear + thick - 0.04, back),
            (rear + 0.02, back),
            (rear - 0.03, back - 0.05),
        ],
        whole,
        body,
    )
    parts.append(lean.painted(shade(body, 0.55), lambda centre, normal: normal[:, 2] < -0.7))
    parts += _sofa_arms(dice, width, arm, foot, rear, near, seat, body)
    for k in range(seats):
        x0, x1 = -width / 2 + k * width / seats, -width / 2 + (k + 1) * width / seats
        reach = near + (chaise if k == 0 else 0)
        parts.append(
            cushion(dice, (x0 + 0.005, x1 - 0.005), (seat - 0.15, seat + 0.02), (rear + thick, reach), shade(soft, 1.1))
        )
        rest = cushion(dice, (x0 + 0.01, x1 - 0.01), (-0.09, 0.06), (-(back - seat) + 0.02, 0), soft)
        parts.append(rest.turned("x", 78).moved(y=seat, z=rear + thick + 0.06))
        if chaise and k == 0:
            parts.append(
                box((x0, x1), (foot, seat - 0.14), (near - 0.03, reach - 0.02), shade(body, 0.9)).fronted(body)
            )
    if dice.chance(0.4):
        pillow = cushion(dice, 0.34, (-0.06, 0.06), (-0.17, 0.17), cloth(dice)).turned("x", 65)
        parts.append(pillow.moved(dice.pick((-1, 1)) * (width / 2 - 0.2), seat + 0.2, rear + thick + 0.2))
    wood = frame_color(dice)
    parts += legs((whole / 2 - 0.08, depth / 2 - 0.08), foot + 0.01, 0.06, wood)
    parts.append(panel((0, back * 0.6, rear - 0.035), (0.3 * whole, 0.08), "-z", shade(body, 0.35)))
    return parts


def _sofa_arms(
    dice: Dice, width: float, arm: float, foot: float, rear: float, near: float, seat: float, color: Color
) -> list[Part]:
    kind, top = dice.pick(("square", "square", "round", "slope")), seat + dice.between(0.14, 0.24)
    x = (width / 2, width / 2 + arm)
    if kind == "square":
        return mirror_pair(
            rounded_box(x, (foot, top), (rear, near), 0.03, shade(color, 0.95)).fronted(shade(color, 1.2))
        )
    if kind == "slope":
        outline = [(rear, foot), (near, foot), (near, seat + 0.08), (rear + 0.2, top + 0.1), (rear, top + 0.1)]
        return mirror_pair(extrude(outline, x, color).fronted(shade(color, 1.2)))
    roll = cylinder(arm * 0.62, near - rear, color).turned("x", 90).moved(width / 2 + arm * 0.55, top - arm * 0.5, 0)
    return mirror_pair(roll.fronted(shade(color, 1.25))) + mirror_pair(
        box(x, (foot, top - arm * 0.5), (rear, near - 0.02), color)
    )

"""Pieces that several furniture families share: legs, slats, fronts with handles, cushions."""

from collections.abc import Callable

from msrn.data.procedural13.shapes.dice import FABRIC, METAL, STEEL, WOOD, Dice, shade
from msrn.data.procedural13.shapes.part import Color, Part
from msrn.data.procedural13.shapes.solids import Span, box, panel, rounded_box, tube


def legs(
    half: tuple[float, float], height: float, thickness: float, color: Color, splay: float = 0, taper: float = 1,
    round_: bool = False,
) -> list[Part]:  # fmt: skip
    """Four legs at the corners (+-x, +-z) ``half`` of what stands on them; ``splay`` moves their feet outward."""
    x, z = half
    corners = [(side * x, end * z) for side in (-1, 1) for end in (-1, 1)]
    radii = [thickness / 2 * taper, thickness / 2]
    return [
        tube(
            [(cx + splay * (1 if cx > 0 else -1), 0, cz + splay * (1 if cz > 0 else -1)), (cx, height, cz)],
            radii if round_ else [radius * 1.3 for radius in radii],
            color,
            sides=8 if round_ else 4,
        ).painted(shade(color, 0.8), lambda centre, normal: normal[:, 1] < -0.9)
        for cx, cz in corners
    ]


def slats(count: int, low: float, high: float, fill: float, piece: Callable[[tuple[float, float]], Part]) -> list[Part]:
    """``count`` pieces spread from low to high, each taking the share ``fill`` of its step."""
    step = (high - low) / count
    return [piece((low + step * (k + 0.5 - fill / 2), low + step * (k + 0.5 + fill / 2))) for k in range(count)]


def front(
    x: tuple[float, float], y: tuple[float, float], z: float, color: Color, knob: Color, handle: str, gap: float = 0.012
) -> list[Part]:
    """A door or drawer front on the plane z; its handle a ``bar``, a ``knob``, or upright at ``left`` or ``right``."""
    (x0, x1), (y0, y1) = (x[0] + gap, x[1] - gap), (y[0] + gap, y[1] - gap)
    middle, centre = (x0 + x1) / 2, (y0 + y1) / 2
    face = box((x0, x1), (y0, y1), (z, z + 0.015), shade(color, 0.75)).fronted(color)
    if handle == "bar":
        reach, top = 0.22 * (x1 - x0), y0 + 0.62 * (y1 - y0)
        return [face, box((middle - reach, middle + reach), (top, top + 0.022), (z + 0.015, z + 0.045), knob)]
    if handle == "knob":
        return [face, box((middle - 0.02, middle + 0.02), (centre - 0.02, centre + 0.02), (z + 0.015, z + 0.05), knob)]
    edge = x0 + 0.03 if handle == "left" else x1 - 0.055
    reach = min(0.12, 0.2 * (y1 - y0))
    return [face, box((edge, edge + 0.025), (centre - reach, centre + reach), (z + 0.015, z + 0.045), knob)]


def cushion(dice: Dice, x: Span, y: tuple[float, float], z: tuple[float, float], color: Color) -> Part:
    """A soft box."""
    return rounded_box(x, y, z, dice.between(0.03, 0.06), color, bevel=0.35 * (y[1] - y[0]))


def board(x: Span, y: Span, z: Span, color: Color) -> Part:
    """A wooden board, its end grain and underside darker."""
    plain = box(x, y, z, shade(color, 0.85))
    return plain.painted(color, lambda centre, normal: (normal[:, 1] > 0.5) | (normal[:, 2] > 0.5))


def label(x: float, y: float, z: float, width: float, color: Color) -> Part:
    """A maker's plate on the back."""
    return panel((x, y, z), (width, 0.4 * width), "-z", color)


def frame_color(dice: Dice) -> Color:
    """Of legs and frames: mostly wood, else metal."""
    return dice.color(WOOD) if dice.chance(0.65) else dice.color(METAL)


def cloth(dice: Dice) -> Color:
    return dice.color(FABRIC)


def handle_color(dice: Dice) -> Color:
    return dice.pick((STEEL, (70, 64, 58), (196, 168, 96)))

"""The draws of the families, the same on every machine and with every version of numpy, and their colours.

numpy promises the raw stream of a bit generator, but not what ``Generator`` makes of it, so that is done here.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from msrn.data.procedural13.shapes.part import Color

Option = TypeVar("Option")

WOOD = ((150, 102, 62), (112, 72, 42), (184, 138, 88), (92, 58, 38), (202, 166, 118), (134, 84, 56))
METAL = ((150, 154, 160), (104, 108, 114), (66, 68, 74), (178, 176, 170))
FABRIC = ((158, 64, 58), (72, 98, 140), (98, 122, 84), (176, 150, 112), (112, 92, 116), (196, 158, 78), (84, 92, 98))
PAINT = (
    (178, 40, 38), (38, 78, 150), (204, 170, 48), (56, 116, 78), (196, 196, 200), (74, 78, 86), (222, 116, 42),
    (96, 152, 184),
)  # fmt: skip
PLASTIC = ((52, 54, 58), (84, 86, 92), (198, 198, 196), (140, 60, 56), (62, 92, 128))
LIGHT = ((226, 214, 186), (218, 196, 160), (206, 212, 214), (224, 186, 150), (196, 208, 178))
GLASS, BLACK, RUBBER, STEEL = (52, 72, 92), (28, 28, 32), (40, 40, 44), (168, 172, 176)


class Dice:
    """Draws for one object, named by whole numbers."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def unit(self) -> float:
        """0 <= . < 1"""
        return int(self._bits.random_raw() >> 11) * 2.0**-53

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends among them."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        return self.unit() < probability

    def pick(self, options: Sequence[Option]) -> Option:
        """One of the options; repeat one to make it likelier."""
        return options[int(self.unit() * len(options))]

    def color(self, palette: Sequence[Color]) -> Color:
        """A colour of the palette, a little lighter or darker and a little off."""
        base, light = self.pick(palette), self.between(-16, 16)
        return tuple(min(240.0, max(16.0, channel + light + self.between(-8, 8))) for channel in base)


def shade(color: Color, factor: float) -> Color:
    """Darker below 1; above it, as much nearer to white as 2 is all the way."""
    target, share = ((0, 0, 0), 1 - factor) if factor <= 1 else ((245, 245, 245), factor - 1)
    return tuple(c + (t - c) * share for c, t in zip(color, target, strict=True))

"""A walk over a MATLAB 5 file before ``scipy.io.loadmat`` reads it, which believes what the file says of itself: cells
within cells without end overflow its stack and end the process, so does a type of numbers that there is not, and an
array of structs without fields takes the memory of the dimensions that it claims.

A file is a row of elements: a tag of 8 bytes with type and length, the content, zeros up to a multiple of 8; up to four
bytes stand within the tag. A value is an element that holds others: flags with the class, dimensions, name, content,
which for cells and structs are values again. What passes here is nested little, claims no more than its bytes could
hold, and every value fills its element to the last byte, so that scipy cannot come to read anything else.
"""

import math
import struct
import zlib
from typing import NamedTuple

DEEPEST = 32  # values within values
VALUES = 200_000  # of a variable
FIELDS = 1000  # of a struct: scipy compares each name with each
INT8, INT32, UINT32, VALUE, COMPRESSED = 1, 5, 6, 14, 15  # types of elements
NUMBERS, TEXTS = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13), (16, 17, 18)
CELL, STRUCT, CHAR, DOUBLE, UINT64, OPAQUE = 1, 2, 4, 6, 15, 17  # classes of values: numbers are DOUBLE ... UINT64
COMPLEX = 1 << 11


class Element(NamedTuple):
    kind: int
    start: int  # of its content
    stop: int
    after: int  # where the next one begins


def check_variable(content: bytes, name: str, most: int) -> None:
    """Raise a ``ValueError``, or what zlib raises, for what is hostile or torn in ``content`` up to the variable
    ``name``; unpacked, no variable may be longer than ``most`` bytes."""
    if len(content) < 128 or 0 in content[:4] or content[126:128] not in (b"IM", b"MI"):
        raise ValueError("it does not begin like one")
    order = "<" if content[126:128] == b"IM" else ">"
    place, count = 128, 0
    while place < len(content):
        count += 1
        if count > VALUES:
            raise ValueError(f"more than {VALUES:,} variables")
        tag = _Walk(content, order).tag(place, len(content))
        if tag.kind == COMPRESSED:
            unpacked = zlib.decompressobj().decompress(content[tag.start : tag.stop], most + 1)
            if len(unpacked) > most:
                raise ValueError(f"a variable of more than {most:,} bytes")
            match = _Walk(unpacked, order).variable(0, name)
        else:
            match = _Walk(content, order).variable(place, name)
        if match:
            return
        place = tag.stop  # between variables there are no zeros


class _Walk:
    """Over the values of one variable."""

    def __init__(self, content: bytes, order: str) -> None:
        self.content, self.order, self.budget = content, order, VALUES

    def variable(self, place: int, name: str) -> bool:
        """Check the variable that begins at ``place`` if it is the one of that name, and say whether it is."""
        tag = self.tag(place, len(self.content))
        if tag.kind != VALUE:
            raise ValueError(f"an element of type {tag.kind} where a variable was expected")
        head = self._head(tag)
        if head[2] != name.encode():
            return False
        self._value(tag, 0)
        return True

    def tag(self, place: int, stop: int) -> Element:
        """The element at ``place`` of a value that ends at ``stop``."""
        if place + 8 > stop:
            raise ValueError("an element is cut off")
        kind, length = struct.unpack_from(self.order + "II", self.content, place)
        if kind >> 16:  # within the tag
            kind, length, start, room = kind & 0xFFFF, kind >> 16, place + 4, 4
        else:
            start, room = place + 8, stop - place - 8
        if length > room:
            raise ValueError(f"an element claims {length:,} bytes: {room:,} are left")
        return Element(kind, start, start + length, place + 8 + (-(-length // 8) * 8 if start == place + 8 else 0))

    def _numbers(self, element: Element) -> tuple[int, ...]:
        if element.kind not in (INT32, UINT32) or (element.stop - element.start) % 4:
            raise ValueError("dimensions that are no whole numbers")
        return struct.unpack_from(f"{self.order}{(element.stop - element.start) // 4}i", self.content, element.start)

    def _head(self, value: Element) -> tuple[int, tuple[int, ...], bytes, int]:
        """Flags, dimensions, name and where the content begins."""
        flags = self.tag(value.start, value.stop)
        if flags.kind != UINT32 or flags.stop - flags.start != 8:
            raise ValueError("a value without flags")
        bits = struct.unpack_from(self.order + "I", self.content, flags.start)[0]
        shape, place = (), flags.after
        if bits & 0xFF != OPAQUE:  # which has no dimensions
            sizes = self.tag(place, value.stop)
            shape, place = self._numbers(sizes), sizes.after
        name = self.tag(place, value.stop)
        return bits, shape, self.content[name.start : name.stop], name.after

    def _value(self, value: Element, depth: int) -> None:
        self._count(1)
        if value.start == value.stop:
            return  # an empty one, without a head
        if depth > DEEPEST:
            raise ValueError(f"values within values, deeper than {DEEPEST}")
        flags, shape, _, place = self._head(value)
        kind, count = flags & 0xFF, math.prod(shape)
        if kind != OPAQUE and not 2 <= len(shape) <= 32:
            raise ValueError(f"a value with {len(shape)} dimensions: expected 2 to 32")
        if min(shape, default=0) < 0 or max((count, *shape)) > value.stop - value.start:
            raise ValueError(f"a value claims the shape {shape} in {value.stop - value.start:,} bytes")
        if kind in (CELL, STRUCT):
            place = self._children(value, place, count, kind, depth)
        elif kind == CHAR or DOUBLE <= kind <= UINT64:
            for _ in range(2 if flags & COMPLEX and kind != CHAR else 1):
                data = self.tag(place, value.stop)
                if data.kind not in NUMBERS and not (kind == CHAR and data.kind in TEXTS):
                    raise ValueError(f"an element of type {data.kind} where numbers or a text were expected")
                place = data.after
        else:
            raise ValueError(f"a value of class {kind}: expected numbers, texts, cells or structs")
        if place != value.stop:
            raise ValueError("a value does not fill its element")

    def _children(self, value: Element, place: int, count: int, kind: int, depth: int) -> int:
        """Check the values of a cell or struct array; where they end."""
        fields = 1
        if kind == STRUCT:
            longest = self.tag(place, value.stop)
            length = self._numbers(longest)
            names = self.tag(longest.after, value.stop)
            if len(length) != 1 or length[0] < 1 or names.kind != INT8:
                raise ValueError("a struct without names of its fields")
            fields, place = (names.stop - names.start) // length[0], names.after
            if fields > FIELDS or any(self.content[names.start + length[0] - 1 : names.stop : length[0]]):
                raise ValueError(f"a struct with more than {FIELDS:,} fields, or with names that have no end")
            self._count(fields)
        self._count(count)  # a struct without fields takes memory too
        for _ in range(count * fields):
            child = self.tag(place, value.stop)
            if child.kind != VALUE:
                raise ValueError(f"an element of type {child.kind} where a value was expected")
            self._value(child, depth + 1)
            place = child.stop
        return place

    def _count(self, more: int) -> None:
        self.budget -= more
        if self.budget < 0:
            raise ValueError(f"more than {VALUES:,} values")

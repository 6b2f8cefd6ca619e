"""Photographs that an archive has and nobody can use: left out before packing, and named each time a split is opened.

The published archives have a few, such as two masks of Pix3D that are of another size than their photographs. One of
them must not cost all the others, least of all where the archive is read-only and nobody can mend it.
"""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from msrn.data.archives.reading import SHOWN, named
from msrn.errors import MsrnError

MOST = 0.2  # of a split: where more does not fit, it is half an archive or another one

T = TypeVar("T")


def sift(photos: Sequence[T], fault: Callable[[T], str], what: str) -> tuple[list[T], list[str]]:
    """Those that can be used, and of each other one what its ``fault`` is."""
    faults = [fault(photo) for photo in photos]
    left_out = list(filter(None, faults))
    if len(left_out) > MOST * len(photos):
        raise MsrnError(
            f"{what}: {len(left_out):,} of {len(photos):,} images cannot be used: {named(left_out, 3)}; expected "
            f"at most {MOST:.0%}, which would be left out: is the archive whole?"
        )
    return [photo for photo, reason in zip(photos, faults, strict=True) if not reason], left_out


def refuse_torn(torn: Sequence[str], what: str) -> None:
    """Refuse a split of which annotations cannot be read; ``torn`` says what is wrong with each."""
    if torn:
        count = f"{len(torn):,} annotations cannot be read" if len(torn) > 1 else "an annotation cannot be read"
        raise MsrnError(f"{what}: {count}: {named(torn, 3)}; put whole files there (data check names {SHOWN})")


def warn(left_out: Sequence[str], rest: int, what: str) -> None:
    if len(left_out):
        count = f"{len(left_out):,} of {rest + len(left_out):,} images of {what} are left out"
        reasons = named([str(each) for each in left_out])
        print(f"warning: {count}: {reasons} (once mended: delete the cache)", file=sys.stderr, flush=True)

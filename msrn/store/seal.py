"""Seals: what the store and the caches keep carries a digest of its content, which is checked when it is read.

    a mapping (result.json, params.yaml, a line of log.jsonl)    under the key ``digest``
    a checkpoint, which is a zip archive                         in the archive's comment, of all bytes before it
    an item of a keyed cache                                     in a column of its own

Files of older versions have no seal: of a mapping nothing can be said then, and of a checkpoint the check sums of its
members are compared. ``set_aside`` takes what fails out of the way, so that it can still be looked at.
"""

import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from msrn.store.digest import digest_of

KEY = "digest"
HEX = 32  # digits of a checkpoint's digest
END, END_SIZE = b"PK\5\6", 22  # what a zip archive's last record begins with, and its bytes without the comment
BLOCK = 1 << 20


class Damaged(Exception):
    """The content is not what was written."""


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping of plain values with its digest."""
    plain = json.loads(json.dumps(content))  # as it is read again: tuples as lists, keys as texts
    return {**content, KEY: digest_of(plain)}


def unsealed(content: Any) -> dict[str, Any]:
    """The mapping without its digest; ``Damaged`` where it is no mapping, or another than was written."""
    if not isinstance(content, dict):
        raise Damaged("it holds no mapping")
    name = KEY if KEY in content else next(reversed(content), None)  # of a seal, which is the last, if there is one
    rest = {other: value for other, value in content.items() if other != name}
    try:
        right = content.get(name) == digest_of(rest)
        if name != KEY and not right:  # of an older version
            return content
        right &= name == KEY
    except (TypeError, ValueError):  # YAML has values that JSON has not, and that were never written
        right = False
    if not right:
        raise Damaged("its digest is that of another content")
    return rest


def seal_archive(packed: bytes | memoryview) -> tuple[memoryview, bytes]:
    """A zip archive without a comment as two parts to be written one after the other: the seal is a comment."""
    body, length = memoryview(packed)[:-2], HEX.to_bytes(2, "little")
    digest = hashlib.blake2b(body, digest_size=HEX // 2)
    digest.update(length)
    return body, length + digest.hexdigest().encode()


def check_archive(file: BinaryIO) -> None:
    """Read an open zip archive once, to its end; ``Damaged`` where it is another than was written."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - END_SIZE - HEX))
    if file.read(len(END)) == END:
        _check_comment(file, size - HEX)
        return
    file.seek(max(0, size - END_SIZE))
    if file.read(len(END)) != END:
        raise Damaged("it does not end like an archive")
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            torn = archive.testzip()
    except Exception as error:  # a torn archive can make it raise a dozen kinds
        raise Damaged("it is no whole archive") from error
    if torn:
        raise Damaged("its check sums are those of another content")


def _check_comment(file: BinaryIO, length: int) -> None:
    file.seek(0)
    digest = hashlib.blake2b(digest_size=HEX // 2)
    while length and (block := file.read(min(BLOCK, length))):
        digest.update(block)
        length -= len(block)
    if file.read() != digest.hexdigest().encode():
        raise Damaged("its digest is that of another content")


def item_digest(key: bytes, item: bytes) -> bytes:
    """Of an item of a keyed cache, in its place."""
    return hashlib.blake2b(item, key=hashlib.blake2b(key).digest(), digest_size=16).digest()


def set_aside(path: Path, why: object, then: str) -> None:
    """Give a damaged file another name beside its own, and say so in one line."""
    aside = path.with_name(path.name + ".damaged")
    with suppress(OSError):  # where nothing can be written it stays, and is passed over
        os.replace(path, aside)
    print(f"warning: {path} is damaged ({why}): it is now {aside.name}, and {then}", file=sys.stderr, flush=True)

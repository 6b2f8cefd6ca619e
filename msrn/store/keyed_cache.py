"""A cache of small items by the digest of what they were made from, one file for each kind and version.

For results of a slow network on single images: an image that occurs in two collections, or again in one that grew, is
computed once. Every batch is committed when it is done, so an interrupted pass over a million images goes on where it
stopped, and several processes may read and write at once (SQLite sees to both). Looking up costs O(log N) an item.
Every item has a digest beside it, and one that does not match it is dropped, so that it is computed again; a file that
is damaged as a whole is set aside.
"""

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from msrn.errors import MsrnError, first_line
from msrn.paths import cache_folder
from msrn.store.seal import item_digest, set_aside

KEYS_AT_ONCE = 500  # SQLite binds at most 999 values to a statement in its oldest versions
TABLE = "CREATE TABLE IF NOT EXISTS sealed (key BLOB PRIMARY KEY, item BLOB, digest BLOB) WITHOUT ROWID"
FAULTS = sqlite3.DatabaseError, UnicodeDecodeError  # the latter when damage is quoted in a message
OF_THE_DISK = "full", "locked", "unable to open", "disk I/O"  # as SQLite says it; the rest is damage


class KeyedCache:
    """Items of one kind (a folder of the cache) and version (what, besides the key, decides an item)."""

    def __init__(self, kind: str, version: str) -> None:
        self.path = cache_folder() / kind / f"{version}.sqlite"

    def find(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Those of ``keys`` that are there and whole, with their items."""
        try:
            return self._find(list(dict.fromkeys(keys)))
        except FAULTS as error:
            self._mend(error)
            return {}

    def present(self, keys: Iterable[bytes]) -> set[bytes]:
        """Those of ``keys`` that are there and whole."""
        return set(self.find(keys))

    def add(self, items: Mapping[bytes, bytes]) -> None:
        """Add items, all of them or, when it is interrupted, none."""
        try:
            self._add(items)
        except FAULTS as error:
            self._mend(error)
            self._add(items)

    def _add(self, items: Mapping[bytes, bytes]) -> None:
        with self._open() as file, file:
            rows = ((key, item, item_digest(key, item)) for key, item in items.items())
            file.executemany("INSERT OR REPLACE INTO sealed VALUES (?, ?, ?)", rows)

    def _find(self, unique: list[bytes]) -> dict[bytes, bytes]:
        found, damaged = {}, []
        with self._open() as file:
            for start in range(0, len(unique), KEYS_AT_ONCE):
                part = unique[start : start + KEYS_AT_ONCE]
                marks = ",".join("?" * len(part))
                for key, item, digest in file.execute(f"SELECT * FROM sealed WHERE key IN ({marks})", part):
                    if isinstance(item, bytes) and item_digest(key, item) == digest:
                        found[key] = item
                    else:
                        damaged.append((key,))
            if damaged:
                with file:
                    file.executemany("DELETE FROM sealed WHERE key = ?", damaged)
        if damaged:
            words = f"{len(damaged):,} of its items are damaged and computed again"
            print(f"warning: {self.path}: {words}", file=sys.stderr, flush=True)
        return found

    def _mend(self, error: Exception) -> None:
        """Set a damaged file aside; whatever else is wrong is said."""
        if any(sign in str(error) for sign in OF_THE_DISK) or not os.access(self.path, os.R_OK | os.W_OK):
            raise _unusable(self.path, error) from error
        for ending in ("-journal", "-wal", "-shm"):  # of the damaged file, not of the one to come
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        set_aside(self.path, first_line(error), "what it held is computed again")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = sqlite3.connect(self.path, timeout=60)
        except (OSError, sqlite3.OperationalError) as error:
            raise _unusable(self.path, error) from error
        with closing(file):
            file.text_factory = bytes  # whatever damage makes of an item
            file.execute(TABLE)
            yield file


def _unusable(path: Path, error: Exception) -> MsrnError:
    return MsrnError(f"{path}: cannot be used ({error}); make room, or set MSRN_CACHE to a folder that can be written")

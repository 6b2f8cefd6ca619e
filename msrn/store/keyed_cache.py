"""A cache of small items by the digest of what they were made from, one file for each kind and version.

For results of a slow network on single images: an image that occurs in two collections, or again in one that grew, is
computed once. Every batch is committed when it is done, so an interrupted pass over a million images goes on where it
stopped, and several processes may read and write at once (SQLite sees to both). Looking up costs O(log N) an item.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from msrn.errors import MsrnError
from msrn.paths import cache_folder

KEYS_AT_ONCE = 500  # SQLite binds at most 999 values to a statement in its oldest versions


class KeyedCache:
    """Items of one kind (a folder of the cache) and version (what, besides the key, decides an item)."""

    def __init__(self, kind: str, version: str) -> None:
        self.path = cache_folder() / kind / f"{version}.sqlite"

    def find(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Those of ``keys`` that are there, with their items."""
        return dict(self._rows("key, item", keys))

    def present(self, keys: Iterable[bytes]) -> set[bytes]:
        """Those of ``keys`` that are there."""
        return {key for (key,) in self._rows("key", keys)}

    def add(self, items: Mapping[bytes, bytes]) -> None:
        """Add items, all of them or, when it is interrupted, none."""
        with self._open() as file, file:
            file.executemany("INSERT OR REPLACE INTO items VALUES (?, ?)", items.items())

    def _rows(self, columns: str, keys: Iterable[bytes]) -> list[tuple]:
        unique, rows = list(dict.fromkeys(keys)), []
        with self._open() as file:
            for start in range(0, len(unique), KEYS_AT_ONCE):
                part = unique[start : start + KEYS_AT_ONCE]
                marks = ",".join("?" * len(part))
                rows += file.execute(f"SELECT {columns} FROM items WHERE key IN ({marks})", part)
        return rows

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=60)) as file:
                file.execute("CREATE TABLE IF NOT EXISTS items (key BLOB PRIMARY KEY, item BLOB) WITHOUT ROWID")
                yield file
        except (OSError, sqlite3.DatabaseError) as error:
            raise MsrnError(f"{self.path}: {_advice(self.path, error)}") from error


def _advice(path: Path, error: Exception) -> str:
    if "not a database" in str(error) or "malformed" in str(error):
        return f"is damaged ({error}); delete it, and what it held is computed again"
    return f"cannot be used ({error}); make room, or set MSRN_CACHE to a folder that can be written"

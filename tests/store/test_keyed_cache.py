"""Items by digest: found again, added whole or not at all, from several processes; damage and bad folders said once."""

import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from msrn.errors import MsrnError
from msrn.store.keyed_cache import KEYS_AT_ONCE, KeyedCache


def numbered(start: int, stop: int) -> dict[bytes, bytes]:
    return {f"key {i}".encode(): f"item {i}".encode() for i in range(start, stop)}


def test_what_was_kept_is_found(cache):
    items = KeyedCache("kind", "1")
    assert items.find([b"a"]) == {} and items.present([b"a"]) == set() and items.find([]) == {}
    items.add({b"a": b"1", b"b\x00\xff": b""})
    assert items.find([b"a", b"b\x00\xff", b"c", b"a"]) == {b"a": b"1", b"b\x00\xff": b""}
    assert items.present(iter([b"c", b"a"])) == {b"a"}
    items.add({b"a": b"2"})
    items.add({})
    assert KeyedCache("kind", "1").find([b"a"]) == {b"a": b"2"}


def test_kinds_and_versions_do_not_mix(cache):
    KeyedCache("kind", "1").add({b"a": b"1"})
    assert not KeyedCache("kind", "2").present([b"a"]) and not KeyedCache("other", "1").present([b"a"])


def test_more_keys_than_a_statement_takes(cache):
    items, kept = KeyedCache("kind", "1"), numbered(0, 2 * KEYS_AT_ONCE + 7)
    items.add(kept)
    assert items.find(numbered(0, 5000)) == kept
    assert items.present(kept) == kept.keys()


def test_an_interrupted_keep_adds_nothing(cache):
    class Stopped(dict):
        def items(self):
            yield b"b", b"2"
            raise KeyboardInterrupt

    items = KeyedCache("kind", "1")
    items.add({b"a": b"1"})
    with pytest.raises(KeyboardInterrupt):
        items.add(Stopped())
    assert items.find([b"a", b"b"]) == {b"a": b"1"}
    items.add({b"b": b"3"})  # and nothing is left locked
    assert items.present([b"b"]) == {b"b"}


WRITER = """
import sys
from msrn.store.keyed_cache import KeyedCache
first = int(sys.argv[1])
for i in range(first, first + 60):
    KeyedCache("kind", "1").add({f"key {i}".encode(): f"item {i}".encode()})
"""


def test_two_processes_write_at_once(cache):
    both = [subprocess.Popen([sys.executable, "-c", WRITER, str(first)]) for first in (0, 40)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert KeyedCache("kind", "1").find(numbered(0, 200)) == numbered(0, 100)


@pytest.mark.parametrize("damage", ["replaced", "torn"])
def test_a_damaged_file_is_set_aside_and_another_begins(cache, damage, capsys):
    items = KeyedCache("kind", "1")
    items.add({key: item * 100 for key, item in numbered(0, 500).items()})
    content = items.path.read_bytes()
    items.path.write_bytes(
        b"a text" * 300 if damage == "replaced" else content[:4096] + b"\x55" * (len(content) - 4096)
    )
    assert items.find(numbered(0, 500)) == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{items.path} is damaged" in line and "1.sqlite.damaged" in line
    items.add({b"a": b"1"})
    assert items.find([b"a"]) == {b"a": b"1"}


def test_no_flipped_bit_is_given_back(cache, capsys):
    items, kept = KeyedCache("kind", "1"), {b"key": bytes(range(256)), b"other": b"whole"}
    items.add(kept)
    content = items.path.read_bytes()
    start = content.index(bytes(range(256)))
    for place in range(start, start + 256, 5):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        items.path.write_bytes(flipped)
        assert items.present(kept) == {b"other"} and "1 of its items are damaged" in capsys.readouterr().err
        assert items.find(kept) == {b"other": b"whole"} and not capsys.readouterr().err
    rng = np.random.default_rng(0)
    for _ in range(300):  # anywhere in the file
        flipped = bytearray(content)
        flipped[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        items.path.write_bytes(flipped)
        assert items.find(kept).items() <= kept.items()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "file"))
    for use in (lambda items: items.add({b"a": b"1"}), lambda items: items.find([b"a"])):
        with pytest.raises(MsrnError, match="cannot be used .*MSRN_CACHE") as caught:
            use(KeyedCache("kind", "1"))
        assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_line_and_loses_nothing(cache):
    items = KeyedCache("kind", "1")
    items.add({b"a": b"1"})
    real = items._open

    @contextmanager
    def full():
        with real() as file:
            file.execute("PRAGMA max_page_count = 2")
            yield file

    items._open = full
    with pytest.raises(MsrnError, match="full.*make room") as caught:
        items.add({b"b": bytes(100_000)})
    assert "\n" not in str(caught.value)
    assert KeyedCache("kind", "1").find([b"a", b"b"]) == {b"a": b"1"}

"""Small files, each replaced whole or not at all, whoever else writes it."""

import multiprocessing
import os
from pathlib import Path

import pytest

from msrn.errors import MsrnError
from msrn.store import files

WRITERS, TIMES, SIZE = 3, 100, 200_000


def write_often(path: Path, letter: bytes) -> None:
    for _ in range(TIMES):
        files.write_bytes(path, letter * SIZE)


def test_processes_that_write_one_file_take_turns(tmp_path):
    """Every reader sees what one of them wrote, whole; none fails, and nothing else stays behind."""
    path, letters = tmp_path / "one", [bytes([97 + k]) for k in range(WRITERS)]
    files.write_bytes(path, letters[0] * SIZE)
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    writers = [context.Process(target=write_often, args=(path, letter)) for letter in letters]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(path.read_bytes())
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    assert seen <= {letter * SIZE for letter in letters} and len(seen) > 1
    assert [file.name for file in tmp_path.iterdir()] == ["one"]


def test_a_file_is_written_where_a_killed_process_left_its_own(tmp_path):
    path = tmp_path / "one"
    for name in ("one.new", "one.lock"):
        (tmp_path / name).write_bytes(b"torn")
    files.write_bytes(path, b"whole")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"one": b"whole"}


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "folder").write_bytes(b"")
    with pytest.raises(MsrnError, match="cannot write") as caught:
        files.write_bytes(tmp_path / "folder" / "one", b"")
    assert "\n" not in str(caught.value)

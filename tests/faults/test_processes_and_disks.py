"""Several processes of one table, a disk that fills, both checkpoints damaged, a clock that jumps."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest
from place import Place

pytestmark = pytest.mark.slow
LONG_AGO, FAR_AHEAD = 0, 4_000_000_000  # seconds since 1970


@pytest.fixture(scope="module")
def whole(tmp_path_factory, recording):
    place = Place(tmp_path_factory.mktemp("whole"))
    place.finish(recording)
    return place.content()


def test_three_processes_of_one_table_train_it_once(tmp_path, recording, whole):
    place = Place(tmp_path)
    processes = [place.start(recording) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0], place.said[-3000:]
    assert place.content() == whole
    assert place.said.count("training 80 steps") == len(list((tmp_path / "runs").glob("toy-*")))


def test_three_processes_share_an_empty_cache(tmp_path, commands):
    """Photographs of one's own: each is read, and its features are found, once."""
    place, alone = Place(tmp_path / "three", toy=False), Place(tmp_path / "one", toy=False)
    processes = [place.start(commands["train"]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0], place.said[-3000:]
    alone.finish(commands["train"])
    assert place.content() == alone.content()
    assert not list((tmp_path / "three" / "cache").rglob("*.partial"))


def test_a_clock_that_jumps_changes_nothing(tmp_path, recording, whole):
    place = Place(tmp_path)
    place.finish(recording, MSRN_TEST_CLOCK="1")
    assert place.content() == whole
    for when, path in zip((LONG_AGO, FAR_AHEAD) * 1000, sorted(tmp_path.rglob("*")), strict=False):
        os.utime(path, (when, when))
    place.finish(["msrn", "status"])
    place.finish(recording)
    assert place.content() == whole and place.said.count("training 80 steps") == 2


def test_both_checkpoints_damaged_it_trains_again(tmp_path, recording, whole):
    place = Place(tmp_path)
    place.finish(recording)
    for path in (tmp_path / "runs").glob("toy-*/checkpoint*.pt"):
        path.write_bytes(path.read_bytes()[:-100])
    for path in [*(tmp_path / "results").rglob("*.json"), *(tmp_path / "runs").glob("*/result.json")]:
        path.unlink()
    place.finish(recording)
    again = {name: said for name, said in place.content().items() if not name.endswith(".damaged")}
    assert again == whole and "training 80 steps" in place.said and place.said.count("is damaged") >= 2


def can_mount() -> bool:
    script = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]  # seen by this one process alone
    return shutil.which("unshare") is not None and subprocess.run(script, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="no disk of a size of our own can be mounted here")
@pytest.mark.parametrize("part", ["runs", "cache"])
def test_a_full_disk_is_said_and_once_there_is_room_it_goes_on(tmp_path, commands, recording, whole, part):
    command, toy = (recording, True) if part == "runs" else (commands["train"], False)
    place = Place(tmp_path, toy)
    disk = tmp_path / part
    disk.mkdir(exist_ok=True)
    words = shlex.join([sys.executable, "-m", *command])
    script = f"""
        mount -t tmpfs -o size=64k none {shlex.quote(str(disk))} || exit 3
        {words} && exit 4
        find {shlex.quote(str(disk))} -name '*.new*' -o -name '*.npy' | grep . && exit 5
        mount -o remount,size=200M {shlex.quote(str(disk))} || exit 3
        {words} || exit 6
        cp -r {shlex.quote(str(disk))} {shlex.quote(str(tmp_path / "kept"))}
    """
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script], cwd=tmp_path, env=place.env, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert "Traceback" not in said and ("no room to write" in said or "the disk is full" in said)
    disk.rmdir()
    (tmp_path / "kept").rename(disk)
    if part == "runs":
        assert place.content() == whole

"""What machines are like: no home, folders of others, odd locales, full devices, links that lead nowhere."""

import os
import subprocess
import sys

import pytest

from msrn import paths
from msrn.errors import MsrnError, printable, quoted
from msrn.store import files
from msrn.training.runs import list_runs


def command(*words: str, **surroundings: str) -> subprocess.CompletedProcess:
    keep = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "TMPDIR") if name in os.environ}
    env = {**keep, "OMP_NUM_THREADS": "1", **surroundings}
    return subprocess.run([sys.executable, "-m", "msrn", *words], capture_output=True, env=env, cwd=paths.ROOT)


@pytest.mark.parametrize("variable", ["MSRN_CACHE", "MSRN_RUNS"])
def test_a_relative_folder_is_meant_from_where_the_command_stands(tmp_path, monkeypatch, variable):
    known = {"MSRN_CACHE": paths.cache_folder, "MSRN_RUNS": paths.runs_folder}[variable]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "mine")
    assert known() == tmp_path / "mine" and os.environ[variable] == str(tmp_path / "mine")  # for a kernel elsewhere
    monkeypatch.chdir("/")
    assert known() == tmp_path / "mine"
    code = "import os, msrn; print(os.environ['MSRN_RUNS'])"
    env = {**os.environ, "MSRN_RUNS": "there", "PYTHONPATH": str(paths.ROOT)}
    told = subprocess.check_output([sys.executable, "-c", code], env=env, cwd=tmp_path, text=True)
    assert told.strip() == str(tmp_path / "there")


@pytest.mark.parametrize("way", ["error", "letter"])
def test_without_a_home_the_variable_is_named(monkeypatch, way):
    def unknown(name):
        if way == "error":
            raise RuntimeError("could not determine the home directory")
        return "~/.cache/msrn"

    monkeypatch.delenv("MSRN_CACHE", raising=False)
    monkeypatch.setattr(paths.platformdirs, "user_cache_dir", unknown)
    with pytest.raises(MsrnError, match="no home folder is known for this user: set MSRN_CACHE"):
        paths.cache_folder()


def test_a_user_without_a_name_gets_one(monkeypatch):
    def unnamed():
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setenv("USER", "")
    monkeypatch.setattr(paths.getpass, "getuser", unnamed)
    paths.settle()
    assert os.environ["USER"] == f"uid{os.getuid()}"


@pytest.mark.parametrize("cache", ["mine", "of somebody else"])
def test_numbas_cache_has_a_place_where_the_package_has_none(tmp_path, monkeypatch, cache):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(paths.os, "access", lambda place, mode: False)
    if cache == "of somebody else":
        (tmp_path / "cache").write_text("")  # a file, so that even the superuser cannot make a folder in it
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "numba", raising=False)
        paths._place_compiled_code()
    place = os.environ["NUMBA_CACHE_DIR"]
    assert os.path.isdir(place) and (place == str(tmp_path / "cache" / "numba")) == (cache == "mine")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_table_is_printed_in_any_encoding(encoding):
    done = command("list", "--profile", "smoke", PYTHONIOENCODING=encoding)
    assert done.returncode == 0 and b"table8" in done.stdout and not done.stderr


def test_texts_are_read_as_utf8_in_any_locale():
    """Python warns where a text is opened in the locale's encoding."""
    code = "from msrn import profiles, exhibits; profiles.resolve('smoke'); exhibits.listing('smoke')"
    env = {**os.environ, "PYTHONPATH": str(paths.ROOT)}
    flags = ["-X", "warn_default_encoding", "-W", "error::EncodingWarning:msrn"]
    done = subprocess.run([sys.executable, *flags, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0 and "EncodingWarning: 'encoding'" not in "".join(
        line for line in done.stderr.splitlines() if f"{os.sep}msrn{os.sep}" in line
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device here")
def test_a_full_device_is_one_line(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "msrn", "data", "describe"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "msrn: cannot write: " in done.stderr


def test_status_bears_what_it_finds(tmp_path, monkeypatch):
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path))
    for name in ("whole", "vanished", "folders"):
        (tmp_path / name).mkdir()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "whole" / "params.yaml").write_text("settings: {steps: 3}\nseed: 0\ncode: a\ndevice: CPU\n")
    (tmp_path / "whole" / "link").symlink_to("nowhere")
    for name in ("params.yaml", "log.jsonl", "result.json", "checkpoint.pt"):
        (tmp_path / "folders" / name).mkdir()
    (tmp_path / "vanished" / "params.yaml").symlink_to("nowhere")
    (tmp_path / "a file").write_text("")
    rows = {row["name"]: row for row in list_runs()}
    assert rows["whole"]["readable"] and rows["whole"]["steps"] == 3 and not rows["folders"]["readable"]
    assert "vanished" not in rows and files.size_of(tmp_path / "nowhere") == 0


def test_what_vanishes_meanwhile_is_not_counted(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("1234")
    (tmp_path / "b").write_text("12")
    real = os.lstat

    def lstat(path):
        if str(path).endswith("b"):
            raise FileNotFoundError(path)
        return real(path)

    monkeypatch.setattr(files.os, "lstat", lstat)
    assert files.size_of(tmp_path) == 4


def test_checkpoints_need_no_hard_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(files.os, "link", no_links)
    for step in (1, 2, 3):
        files.save_checkpoint({"network": {}, "optimizer": {}, "step": step}, tmp_path)
    assert files.find_checkpoint(tmp_path)[0]["step"] == 3
    (tmp_path / files.CURRENT).unlink()
    assert files.find_checkpoint(tmp_path)[0]["step"] == 2
    assert [file.name for file in tmp_path.iterdir()] == [files.PREVIOUS]


def test_every_line_can_be_printed():
    assert printable("caf\udce9") == "caf\\xe9" and printable("a\nb\u2028c") == "a b c"
    assert printable("\ud800") == "\\ud800" and printable("stühle 椅子") == "stühle 椅子" and printable("") == ""
    assert str(MsrnError("x\udcff\ny")) == "x\\xff y"
    assert len(quoted("9" * 1000)) == 60 and quoted(10**5000) == "a int" and quoted(5) == "5"

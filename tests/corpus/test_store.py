"""Files of the store and the caches, whole, old, damaged and foreign: the right content, or what takes its place."""

import json

import numpy as np
import pytest
import torch
import yaml

from msrn.errors import MsrnError
from msrn.store import checkpointing, files
from msrn.store.array_cache import cached_arrays
from msrn.store.keyed_cache import KeyedCache
from msrn.store.seal import sealed


def flipped(content: bytes, share: float) -> bytes:
    changed = bytearray(content)
    changed[min(len(content) - 1, int(share * len(content)))] ^= 4
    return bytes(changed)


DAMAGE = {  # name -> what becomes of a file's bytes
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "half": lambda content: content[: len(content) // 2],
    "all but the last": lambda content: content[:-1],
    "one more": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
    "zeros in the middle": lambda content: content[:100] + bytes(64) + content[164:],
    "zeros at the end": lambda content: content[:-100] + bytes(100),
    "text": lambda content: b"no such thing",
    "a page": lambda content: b"<html>404</html>",
    "turned": lambda content: content[::-1],
    "twice": lambda content: content * 2,
    **{
        f"a bit at {share:.0%}": lambda content, share=share: flipped(content, share) for share in np.linspace(0, 1, 12)
    },
}


def state(step: int) -> dict:
    return {"network": {"w": torch.full((300,), float(step))}, "optimizer": {}, "step": step}


@pytest.fixture
def two(tmp_path):
    for step in (1, 2):
        files.save_checkpoint(state(step), tmp_path)
    return tmp_path


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(two, capsys, damage):
    current = two / files.CURRENT
    current.write_bytes(bad := DAMAGE[damage](current.read_bytes()))
    found, note = files.find_checkpoint(two)
    assert (
        found["step"] == 1 and bool((found["network"]["w"] == 1).all()) and note == " (its checkpoint.pt was damaged)"
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {current} is damaged (") and "it is now checkpoint.pt.damaged" in line
    assert (two / "checkpoint.pt.damaged").read_bytes() == bad
    assert files.find_checkpoint(two)[0]["step"] == 1 and not capsys.readouterr().err  # said once


@pytest.mark.parametrize("damage", DAMAGE)
def test_two_damaged_checkpoints_are_as_none(two, capsys, damage):
    for name in (files.CURRENT, files.PREVIOUS):
        (two / name).write_bytes(DAMAGE[damage]((two / name).read_bytes()))
    assert files.find_checkpoint(two)[0] is None and capsys.readouterr().err.count("is damaged") == 2
    files.save_checkpoint(state(3), two)
    assert files.find_checkpoint(two)[0]["step"] == 3


@pytest.mark.parametrize("content", [{"step": 2}, [1], torch.zeros(3), {"network": {}, "step": 1}])
def test_another_programs_checkpoint_is_refused(tmp_path, content):
    torch.save(content, tmp_path / files.CURRENT)
    with pytest.raises(MsrnError) as caught:
        files.find_checkpoint(tmp_path)
    advice = "no checkpoint there can be read; delete that folder and run again to train it anew"
    assert str(caught.value) == f"{tmp_path}: {advice}"


RESULT = {"cd": 1.25, "names": ["a", "ü"], "none": None, "inner": {"x": [0.1, 1e-9]}}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_result_is_made_again(tmp_path, capsys, damage):
    file = tmp_path / "result.json"
    files.keep_json(file, RESULT)
    assert files.kept_json(file) == RESULT
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    found = files.kept_json(file)
    if found is None:
        assert "result.json is damaged" in capsys.readouterr().err and not file.exists()
    else:
        assert found == RESULT  # where only the space around it changed
    files.keep_json(file, RESULT)
    assert files.kept_json(file) == RESULT


PARAMS = {
    "settings": {"steps": 6, "sigma": 1e-4, "ellipsoid": [0.4, 0.3, 0.3]},
    "seed": 0,
    "code": "1",
    "device": "CPU",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_settings_are_written_again(tmp_path, damage):
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(sealed(PARAMS), sort_keys=False))
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    assert checkpointing.params_of(tmp_path) in (None, PARAMS)
    with checkpointing.opened(tmp_path, PARAMS, "counting", progress=False):
        assert checkpointing.params_of(tmp_path) == PARAMS


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_lines_of_a_log_are_dropped(tmp_path, damage):
    lines = [{"step": step, "total": 1 / (step + 1), "seconds": step / 3} for step in range(4)]
    content = "".join(json.dumps(sealed(line)) + "\n" for line in lines).encode()
    (tmp_path / "log.jsonl").write_bytes(DAMAGE[damage](content))
    found = checkpointing.read_log(tmp_path)
    assert all(line in lines for line in found)
    checkpointing.trim_log(tmp_path, 2)
    assert checkpointing.read_log(tmp_path) == [line for line in found if line["step"] <= 2]


ITEMS = {f"key {number}".encode(): bytes([number]) * 500 for number in range(20)}


@pytest.mark.parametrize("damage", DAMAGE)
def test_no_damaged_item_is_given_back(cache, damage):
    items = KeyedCache("kind", "1")
    items.add(ITEMS)
    items.path.write_bytes(DAMAGE[damage](items.path.read_bytes()))
    assert items.find(ITEMS).items() <= ITEMS.items()
    items.add(ITEMS)
    assert items.find(ITEMS) == ITEMS and items.present(ITEMS) == ITEMS.keys()


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["values.npy", "manifest.json"])
def test_damaged_arrays_are_made_again(cache, capsys, name, damage):
    values = np.arange(3000).reshape(1000, 3)
    built = []

    def build(make):
        built.append(1)
        make("values", values.shape, "int64")[:] = values

    cached_arrays("kind", "key", build)
    file = cache / "kind" / "key" / name
    before = file.read_bytes()
    file.write_bytes(after := DAMAGE[damage](before))
    np.testing.assert_array_equal(cached_arrays("kind", "key", build)["values"], values)
    again = "is damaged: it is made again" in capsys.readouterr().err
    assert again == (len(built) == 2) and (again or name == "manifest.json" or after == before)

"""Seals: no flipped bit of what the store keeps is believed; the one before or a rebuild takes its place."""

import io
import json

import numpy as np
import pytest
import torch
import yaml

from msrn.store import checkpointing, files
from msrn.store.seal import Damaged, sealed, unsealed

VALUES = {"a": 0.1, "b": [1, None, True], "c": {"d": "stühle", "e": 1e-06}, "t": (1, 2)}


def flips(content: bytes, count: int):
    """``content`` with one bit flipped, at ``count`` places."""
    rng = np.random.default_rng(0)
    for place in rng.integers(len(content), size=count):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        yield bytes(flipped)


def state(step: int) -> dict:
    generator = torch.Generator().manual_seed(step)
    return {"network": {"w": torch.rand(50, generator=generator)}, "optimizer": {}, "step": step}


def same(one: dict, other: dict) -> bool:
    return one["step"] == other["step"] and torch.equal(one["network"]["w"], other["network"]["w"])


@pytest.fixture
def two(tmp_path):
    for step in (1, 2):
        files.save_checkpoint(state(step), tmp_path)
    return tmp_path


def test_no_flipped_bit_of_a_checkpoint_is_loaded(two, capsys):
    content = (two / files.CURRENT).read_bytes()
    for flipped in flips(content, 300):
        (two / files.CURRENT).write_bytes(flipped)
        found, note = files.find_checkpoint(two)
        assert same(found, state(1)) and note == " (its checkpoint.pt was damaged)"
        assert "checkpoint.pt is damaged" in capsys.readouterr().err
        assert not (two / files.CURRENT).exists() and (two / "checkpoint.pt.damaged").read_bytes() == flipped
    (two / files.CURRENT).write_bytes(content)
    assert same(files.find_checkpoint(two)[0], state(2)) and not capsys.readouterr().err


def test_torch_still_reads_a_sealed_checkpoint(two):
    assert same(torch.load(two / files.CURRENT, weights_only=True), state(2))


def test_a_checkpoint_of_an_older_version_has_its_check_sums(two):
    packed = io.BytesIO()
    torch.save(state(3), packed)
    (two / files.CURRENT).write_bytes(packed.getvalue())
    assert same(files.find_checkpoint(two)[0], state(3))
    for flipped in flips(packed.getvalue(), 200):
        (two / files.CURRENT).write_bytes(flipped)
        found = files.find_checkpoint(two)[0]
        assert same(found, state(3)) or same(found, state(1))  # the first where only padding differs


def test_a_checkpoint_that_may_not_be_read_stays(two, monkeypatch):
    def refuse(file):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "check_archive", refuse)
    with pytest.raises(files.MsrnError, match="checkpoint.pt cannot be read .Permission denied"):
        files.find_checkpoint(two)
    assert (two / files.CURRENT).exists()


def test_a_mapping_is_whole_or_damaged():
    plain = json.loads(json.dumps(VALUES))
    assert unsealed(json.loads(json.dumps(sealed(VALUES)))) == plain
    assert unsealed(yaml.safe_load(yaml.safe_dump(sealed(plain)))) == plain
    assert unsealed({"a": 1}) == {"a": 1}  # of an older version
    for wrong in ({"a": 1, "digest": "0"}, [1], None, "text", {"a": {1, 2}, "digest": "0"}):
        with pytest.raises(Damaged):
            unsealed(wrong)


def test_no_flipped_bit_of_a_small_file_is_believed(tmp_path, capsys):
    file, values = tmp_path / "result.json", json.loads(json.dumps(VALUES))
    files.keep_json(file, VALUES)
    content = file.read_bytes()
    assert files.kept_json(file) == values
    for flipped in flips(content, 300):
        file.write_bytes(flipped)
        found = files.kept_json(file)
        if found is None:
            assert "result.json is damaged" in capsys.readouterr().err and not file.exists()
        else:
            assert found == values
    assert files.kept_json(tmp_path / "none.json") is None and not capsys.readouterr().err


def test_no_flipped_bit_of_the_settings_or_the_log_is_believed(tmp_path):
    params = {"settings": {"steps": 6, "sigma": 1e-4}, "seed": 0, "code": "1", "device": "CPU"}
    with checkpointing.opened(tmp_path, params, "counting", progress=False) as folder:
        folder.begin(type("Run", (), {"step": 0}))
        for step in (1, 2):
            folder.write(step, {"total": 1 / step})
    assert checkpointing.params_of(tmp_path) == params
    for flipped in flips((tmp_path / "params.yaml").read_bytes(), 300):
        (tmp_path / "params.yaml").write_bytes(flipped)
        assert checkpointing.params_of(tmp_path) in (None, params)
    written = checkpointing.read_log(tmp_path)
    for flipped in flips((tmp_path / "log.jsonl").read_bytes(), 300):
        (tmp_path / "log.jsonl").write_bytes(flipped)
        assert all(line in written for line in checkpointing.read_log(tmp_path))


def test_damaged_settings_are_set_aside_and_written_again(tmp_path, capsys):
    params = {"settings": {"steps": 6}, "seed": 0, "code": "1", "device": "CPU"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**sealed(params), "seed": 1}))
    with checkpointing.opened(tmp_path, params, "counting", progress=False):
        assert checkpointing.params_of(tmp_path) == params
    assert "params.yaml is damaged" in capsys.readouterr().err
    assert yaml.safe_load((tmp_path / "params.yaml.damaged").read_text())["seed"] == 1

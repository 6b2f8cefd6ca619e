"""Features are unit rows, computed once, kept apart by network; CLIP comes from a local file or not at all."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_reference import REFERENCE, eight_sums
from efficientnet_reference import pictures as photographs

from msrn.errors import MsrnError
from msrn.neighbors import features


@dataclass
class Pictures:
    """The part of an ImageCollection that features may look at."""

    images: np.ndarray
    fingerprint: str = "pictures"
    cache: Path | None = None

    def __len__(self) -> int:
        return len(self.images)


@pytest.fixture
def pictures(tmp_path, monkeypatch) -> Pictures:
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "cache"))
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 16), np.uint8)
    return Pictures(images, cache=tmp_path / "cache")


@pytest.fixture
def small_clip(tmp_path, monkeypatch) -> str:
    """A tiny CLIP with random weights in a file, and its name in place of the real one."""
    open_clip = pytest.importorskip("open_clip")
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 1, "layers": 1}
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "msrn-tiny.json").write_text(json.dumps({"embed_dim": 12, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(folder)
    monkeypatch.setattr(features, "CLIP_MODEL", "msrn-tiny")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(open_clip.create_model("msrn-tiny").state_dict(), tmp_path / "tiny.pt")
    return str(tmp_path / "tiny.pt")


def test_efficientnet_gives_unit_rows_of_the_right_images(pictures, monkeypatch):
    monkeypatch.setattr(features, "BATCH", 2)
    found = features.extract_features(pictures, progress=False)
    assert found.shape == (5, 1280) and found.dtype == np.float32 and isinstance(found, np.memmap)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    alone = features.extract_features(Pictures(pictures.images[3:4], "fourth"), progress=False)
    assert alone[0] == pytest.approx(found[3], abs=1e-4)


@torch.inference_mode()
def test_efficientnet_has_the_features_of_the_package_that_its_weights_were_made_for():
    network, _ = features.load_lite("cpu")
    unit = torch.nn.functional.normalize(network(photographs()), dim=1)
    assert eight_sums(unit) == [pytest.approx(row, rel=1e-4, abs=1e-4) for row in REFERENCE["lite2"]]


def test_features_are_computed_once_for_a_collection_and_a_network(pictures, monkeypatch):
    calls = []

    def load(device):
        calls.append(device)
        return lambda images: images.mean((2, 3)), 3

    monkeypatch.setattr(features, "load_lite", load)
    first = features.extract_features(pictures, progress=False)
    mean = pictures.images.mean((2, 3)) / 255
    assert first == pytest.approx(mean / np.linalg.norm(mean, axis=1, keepdims=True), abs=1e-5)
    assert np.array_equal(first, features.extract_features(pictures, progress=False)) and len(calls) == 1
    features.extract_features(Pictures(pictures.images, "another"), progress=False)
    monkeypatch.setattr(features, "LITE_INPUT", 96)
    features.extract_features(pictures, progress=False)
    assert len(calls) == 3


def test_efficientnet_recognises_something_at_the_documented_size(pictures):
    """The loaded weights are the trained ones: a picture and its brighter copy are closer than two different ones."""
    pictures.images[1] = np.clip(pictures.images[0].astype(int) + 20, 0, 255)
    pictures.images[2] = np.arange(16, dtype=np.uint8)[None, None] * 16
    found = features.extract_features(pictures, progress=False)
    assert found[0] @ found[1] > found[0] @ found[2]


def test_features_do_not_depend_on_the_number_of_threads(pictures, monkeypatch):
    monkeypatch.setattr(features, "BATCH", 2)
    threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            monkeypatch.setenv("MSRN_CACHE", f"{pictures.cache}-{number}")
            found.append(features.extract_features(pictures, progress=False))
            assert torch.get_num_threads() == number
        assert np.array_equal(*found)
    finally:
        torch.set_num_threads(threads)


def test_a_failing_batch_is_raised_and_leaves_nothing(pictures, monkeypatch):
    def broken(images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(features, "load_lite", lambda device: (broken, 3))
    with pytest.raises(RuntimeError, match="out of memory"):
        features.extract_features(pictures, progress=False)
    assert not list(pictures.cache.rglob("*.npy"))


def test_progress_is_shown_or_not(pictures, capsys):
    features.extract_features(pictures, progress=False)
    assert capsys.readouterr().err == ""
    features.extract_features(Pictures(pictures.images, "shown"), progress=True)
    assert "efficientnet-lite2 features" in capsys.readouterr().err


def test_clip_from_a_file(pictures, small_clip):
    import open_clip

    before = torch.get_rng_state()
    found = features.extract_features(pictures, "clip", small_clip, progress=False)
    assert torch.equal(before, torch.get_rng_state()), "loading draws no random numbers of the caller's"
    assert found.shape == (5, 12)

    model = open_clip.create_model("msrn-tiny", pretrained=small_clip).eval()
    images = torch.from_numpy(pictures.images).float() / 255
    images = torch.nn.functional.interpolate(images, (32, 32), mode="bicubic").clamp(0, 1)
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD))
    with torch.inference_mode():
        expected = model.encode_image((images - mean) / std, normalize=True)
    assert found == pytest.approx(expected.numpy(), abs=1e-5)


def test_clip_files_are_told_apart_by_content(pictures, small_clip):
    first = features.extract_features(pictures, "clip", small_clip, progress=False)
    state = torch.load(small_clip, weights_only=True)
    torch.save({name: -value if value.is_floating_point() else value for name, value in state.items()}, small_clip)
    assert not np.allclose(first, features.extract_features(pictures, "clip", small_clip, progress=False))


def test_clip_refusals(pictures, small_clip, tmp_path):
    def refuse(match: str, weights: str | None) -> None:
        with pytest.raises(MsrnError, match=match) as refusal:
            features.extract_features(pictures, "clip", weights, progress=False)
        assert "\n" not in str(refusal.value)

    refuse("features = 'clip': needs the checkpoint's file in weights.clip", None)
    refuse("weights.clip = '.*none.pt': no such file; give that of", str(tmp_path / "none.pt"))
    (tmp_path / "text.pt").write_text("not a checkpoint")
    refuse("weights.clip = '.*text.pt': not a checkpoint of msrn-tiny", str(tmp_path / "text.pt"))
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    refuse("weights.clip = '.*other.pt': not a checkpoint of msrn-tiny .*state dict", str(tmp_path / "other.pt"))
    assert not list((tmp_path / "cache").rglob("*.npy")), "nothing half-written"

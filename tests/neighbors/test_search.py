"""The search against whole numbers of any size: not a bit may depend on blocks, threads, files or devices."""

import numpy as np
import pytest
import torch

from msrn.errors import MsrnError
from msrn.neighbors import search


def close_images(count: int, size: int, seed: int, groups: int = 4) -> np.ndarray:
    """Unit rows around a few centres, so close that float32 products cannot tell many of them apart, some equal."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(groups, size))[rng.integers(0, groups, count)]
    rows += 10.0 ** rng.uniform(-8, -1, (count, 1)) * rng.normal(size=(count, size))
    rows[rng.integers(0, count, count // 8)] = rows[rng.integers(0, count, count // 8)]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def expected(features, images, owner, length, kind):
    """By Python's whole numbers: features in steps of 2^-26, similarities in steps of 2^-30, rounded down."""
    steps = [[round(float(x) * 2**26) for x in row] for row in features[images].astype(np.float32)]
    rows = []
    for i, one in zip(images, steps, strict=True):
        products = (sum(a * b for a, b in zip(one, two, strict=True)) for two in steps)
        similarity = {j: product >> 22 for j, product in zip(images, products, strict=True)}
        ranked = sorted((j for j in images if owner[j] != owner[i]), key=lambda j: (-similarity[j], j))
        if kind == "distinct":
            ranked = [next(j for j in ranked if owner[j] == k) for k in dict.fromkeys(owner[j] for j in ranked)]
        rows.append(ranked[:length])
    return np.array(rows)


def found(features, images, owner, lengths, device="cpu"):
    parts, blocks = zip(*search.most_similar(features, images, owner, lengths, device), strict=True)
    assert np.array_equal(np.concatenate(parts), images)
    return {kind: np.concatenate([block[kind] for block in blocks]) for kind in lengths}


LENGTHS = {"any": 13, "distinct": 5}


@pytest.fixture(scope="module", params=range(3))
def case(request):
    """(features, images, owner, answers): the images are two thirds of all, of 12 owners with up to 20 each."""
    rng = np.random.default_rng(request.param)
    features = close_images(150, 48, request.param)
    owner = rng.integers(0, 12, 150)
    images = np.sort(rng.permutation(150)[:100])
    answers = {kind: expected(features, images, owner, length, kind) for kind, length in LENGTHS.items()}
    return features, images, owner, answers


@pytest.mark.parametrize(("rows", "columns"), [(1000, 1000), (100, 7), (9, 100), (16, 32), (40, 1)])
def test_not_a_bit_depends_on_blocks(monkeypatch, case, rows, columns):
    features, images, owner, answers = case
    monkeypatch.setattr(search, "ROWS", {"cpu": rows})
    monkeypatch.setattr(search, "COLUMNS", {"cpu": columns})
    both = found(features, images, owner, LENGTHS)
    for kind, length in LENGTHS.items():
        assert np.array_equal(both[kind], answers[kind]), kind
        assert np.array_equal(found(features, images, owner, {kind: length})[kind], answers[kind]), f"{kind} alone"


def test_float32_alone_would_not_do(case):
    """What the exact second look is for: plain float32 similarities order these images otherwise."""
    features, images, owner, answers = case
    similarity = torch.from_numpy(features[images]) @ torch.from_numpy(features[images]).T
    similarity[torch.from_numpy(owner[images][:, None] == owner[images])] = -2
    order = images[similarity.sort(dim=1, descending=True, stable=True).indices[:, :13].numpy()]
    assert (order != answers["any"]).mean() > 0.01


def test_features_may_lie_in_a_file_in_half_precision(tmp_path, case):
    features, images, owner, _ = case
    for kind in ("float16", "float32"):
        np.save(tmp_path / f"{kind}.npy", features.astype(kind))
        mapped = np.load(tmp_path / f"{kind}.npy", mmap_mode="r")
        in_memory = features.astype(kind).astype(np.float32)
        assert np.array_equal(
            found(mapped, images, owner, {"any": 13})["any"], expected(in_memory, images, owner, 13, "any")
        )


def test_features_are_read_a_block_at_a_time(monkeypatch):
    class File:
        """Rows that remember how many of them were asked for."""

        reads: list[int] = []

        def __getitem__(self, numbers):
            self.reads.append(len(numbers))
            return features[numbers]

    features, owner = close_images(90, 8, 0), np.arange(90) // 3
    monkeypatch.setattr(search, "ROWS", {"cpu": 40})
    monkeypatch.setattr(search, "COLUMNS", {"cpu": 16})
    answer = found(File(), np.arange(90), owner, {"any": 3})["any"]
    assert np.array_equal(answer, expected(features, np.arange(90), owner, 3, "any"))
    assert max(File.reads) == 40 and sum(File.reads) == 90 + 3 * 90  # every row once, and all of them for each block


def test_the_callers_precision_is_kept():
    torch.set_float32_matmul_precision("medium")
    try:
        features, owner = close_images(40, 8, 0), np.arange(40)
        answer = found(features, np.arange(40), owner, {"any": 5})["any"]
        assert np.array_equal(answer, expected(features, np.arange(40), owner, 5, "any"))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("value", [0.0, 1.1, np.nan])
def test_rows_that_are_no_unit_rows_are_refused(value):
    features = close_images(10, 8, 0)
    features[7] *= value
    with pytest.raises(MsrnError, match="features of image 7 have length .*expected unit rows"):
        found(features, np.arange(10), np.arange(10), {"any": 2})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_the_same(case):
    features, images, owner, answers = case
    both = found(features, images, owner, LENGTHS, "cuda")
    assert all(np.array_equal(both[kind], answers[kind]) for kind in LENGTHS)

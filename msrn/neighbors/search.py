"""The most similar images among any number of them (Eqs 31-32): exact, and in bounded memory.

Blocks of float32 products show which images may be among the best. Those few are computed again without any rounding
error, and only that counts: the answer depends neither on the blocks nor on threads or device, and of equally similar
images the lower number is the better.

The products are N^2 D multiply-adds, so time grows with the square of the images; what is done beside them grows with
N log N, memory with the size of a block. ``tests/benchmarks/bench_candidates.py`` measures both. Where a square is too
much, a library of approximate indices such as faiss finds most of the same images in far less.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numba import njit
from torch import Tensor

from msrn.errors import MsrnError

ROWS = {"cpu": 4096, "cuda": 16384}
"""Images whose best are searched at once, by kind of device; every such block reads all features again."""

COLUMNS = {"cpu": 1024, "cuda": 8192}
"""Images that they are held against at once."""

GROUP = 32
"""Similarities of a row that are looked at together."""

PAIRS = 1 << 16
"""Pairs that a GPU computes again at once."""

STEP = 2.0**-26
"""Features are rounded to this step, which leaves float32 numbers from a quarter up as they are. Products of unit rows
are then sums of multiples of its square, which float64 adds without error, in any order."""

PLACES = 31
"""Bits of a rank below the similarity, which is in steps of 2^-30, rounded down: the place counted backwards. So all
ranks of a row differ, and of equal similarities the lower place ranks higher."""

LAST = (1 << PLACES) - 1
EMPTY = -(1 << 62)
"""Below every rank."""

OWN = -4.0
"""Stands in for the similarity to an image of the same owner."""


def most_similar(
    features: np.ndarray, images: np.ndarray, owner: np.ndarray, lengths: Mapping[str, int], device: str = "cpu"
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """The best for each of ``images`` among all of them: ascending numbers (M,) into unit features (N,D).

    ``lengths`` asks for the best ``any`` images of other owners, for the best image of each of the best ``distinct``
    other owners, or for both; as many must exist. ``owner`` (N,) are whole numbers. Comes block by block: some (R,) of
    the images and, under each kind of ``lengths``, numbers (R,length) of their best ones, best first. Features may be
    mapped from a file, in float32 or float16; they are read a block at a time.
    """
    device = torch.device(device)
    owner = torch.from_numpy(owner[images]).to(device)  # (M,) from here on
    for part in _slices(len(images), ROWS[device.type]):
        rows = _load(features, images[part], device)
        best = {kind: _Best(len(rows), length, kind == "distinct", owner) for kind, length in lengths.items()}
        for others in _slices(len(images), COLUMNS[device.type]):
            columns = _load(features, images[others], device)
            _compare(rows, owner[part], columns, owner[others], others.start, best.values())
        yield images[part], {kind: images[top.places()] for kind, top in best.items()}


class _Best:
    """The best of each row so far, as ranks (R,length), highest first. ``owner`` (M,) of all places."""

    def __init__(self, rows: int, length: int, distinct: bool, owner: Tensor) -> None:
        self.rank = torch.full((rows, length), EMPTY, device=owner.device)
        self.length, self.distinct, self.owner = length, distinct, owner

    def places(self) -> np.ndarray:
        return _place(self.rank).cpu().numpy()

    def needed(self) -> Tensor:
        """The similarity (R,1) of the last of them, which others must reach; -2 while any will do."""
        return (self.rank[:, -1:] >> PLACES) * 2.0**-30

    def needed_among(self, similarity: Tensor, owner: Tensor) -> Tensor:
        """The same (R,1) for the best of the first columns, of similarities (R,C) and owners (C,)."""
        if self.distinct:
            owners, place = owner.unique(return_inverse=True)
            of_owners = similarity.new_full((len(similarity), len(owners)), OWN)
            similarity = of_owners.scatter_reduce(1, place.expand_as(similarity), similarity, "amax")
        if similarity.shape[1] < self.length:
            return self.needed()
        return similarity.topk(self.length, dim=1).values[:, -1:].clamp(min=-2)

    def add(self, rank: Tensor) -> None:
        """Further ranks (R,W), or EMPTY."""
        rank = torch.cat([self.rank, rank], 1)
        if self.distinct:
            rank = rank.sort(1, descending=True).values
            owner = self.owner[_place(rank).clamp(max=len(self.owner) - 1)]
            order = owner.argsort(dim=1, stable=True)
            owner, rank = owner.gather(1, order), rank.gather(1, order)
            rank[:, 1:][owner[:, 1:] == owner[:, :-1]] = EMPTY  # all but the best of each owner
        self.rank = rank.topk(self.length, dim=1).values


def _compare(rows: Tensor, own: Tensor, columns: Tensor, owner: Tensor, start: int, best: Collection[_Best]) -> None:
    """Add to the best of rows (R,D) of owners (R,) what columns (C,D) of owners (C,), places from ``start``, hold."""
    with _full_precision():
        similarity = rows @ columns.T
    if start == 0:
        similarity.masked_fill_(own[:, None] == owner, OWN)
        needed = [top.needed_among(similarity, owner) for top in best]
    else:
        needed = [top.needed() for top in best]
    least = torch.stack(needed).amin(0) - _rounding(rows.shape[1])
    row, column = _reaching(similarity, least)
    others = own[row] != owner[column]
    row, column = row[others], column[others]
    rank = (_exact_steps(rows, columns, row, column) << PLACES) + (LAST - start - column)
    for top in best:
        top.add(_side_by_side(rank, row, len(rows)))


def _reaching(similarity: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the few entries of (R,C) that reach their row's ``least`` (R,1), row by row."""
    size = math.gcd(similarity.shape[1], GROUP)
    groups = similarity.view(len(similarity), -1, size)
    row, group = (groups.amax(2) >= least).nonzero(as_tuple=True)  # most groups are passed over at once
    hit, column = (groups[row, group] >= least[row]).nonzero(as_tuple=True)
    return row[hit], group[hit] * size + column


def _exact_steps(rows: Tensor, columns: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Similarities (S,) of the pairs of ``row`` (S,) and ``column`` (S,), in steps of 2^-30."""
    if rows.is_cuda:
        pairs = zip(row.split(PAIRS), column.split(PAIRS), strict=True)
        similarity = torch.cat([torch.linalg.vecdot(rows[r].double(), columns[c].double()) for r, c in pairs])
    else:
        similarity = torch.empty(len(row), dtype=torch.float64)
        _products(*(array.numpy() for array in (rows, columns, row, column, similarity)))
    return (similarity * 2.0**30).floor().long()


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # any order will do, since no sum is rounded
def _products(rows: np.ndarray, columns: np.ndarray, row: np.ndarray, column: np.ndarray, sums: np.ndarray) -> None:
    for pair in range(len(row)):
        left, right = rows[row[pair]], columns[column[pair]]
        total = 0.0
        for k in range(left.shape[0]):
            total += np.float64(left[k]) * np.float64(right[k])
        sums[pair] = total


def _side_by_side(values: Tensor, row: Tensor, rows: int) -> Tensor:
    """Values (S,) of ascending rows (S,) as a table (rows,W), as wide as the fullest row, the rest EMPTY."""
    count = torch.bincount(row, minlength=rows)
    table = values.new_full((rows, int(count.max())), EMPTY)
    table[row, torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]] = values
    return table


def _place(rank: Tensor) -> Tensor:
    return LAST - (rank & LAST)


def _rounding(size: int) -> float:
    """How much lower a better image's float32 product can come out than a worse one's, for unit rows (size,)."""
    unit = 2.0**-24
    return 2.02 * size * unit / (1 - size * unit) + 2.0**-22


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products in true float32, whatever the caller has set for its own."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _load(features: np.ndarray, numbers: np.ndarray, device: torch.device) -> Tensor:
    """Unit rows (R,D), rounded to STEP."""
    rows = torch.from_numpy(features[numbers]).to(device).float()
    length = rows.norm(dim=1)
    if not bool((length - 1).abs().max() < 0.005):  # float16 is off by at most a thousandth; also refuses NaN
        at = int((~((length - 1).abs() < 0.005)).nonzero()[0])
        raise MsrnError(f"features of image {numbers[at]} have length {float(length[at]):g}: expected unit rows")
    return rows.div_(STEP).round_().mul_(STEP)


def _slices(size: int, block: int) -> Iterator[slice]:
    return (slice(start, min(start + block, size)) for start in range(0, size, block))

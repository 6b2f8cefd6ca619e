"""The memory bank and its purification: Eqs 11-12 and 16-17, 20-23 for compensation, 33-34 for neighbours.

One class serves both banks: P_f of §3.1 has two terms (foreground, background), P_r of §3.2 one for each category.
"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from torch import Tensor, nn


class Prototypes(NamedTuple):
    """A purified bank, P'_r or P''_r."""

    values: Tensor
    """(T,C,Q); zero where not valid."""
    valid: Tensor
    """(T,C) bool. A term with fewer different features than C has fewer valid prototypes; they come first."""


class MemoryBank(nn.Module):
    """T terms of S slots (the paper's K) for features of size Q, written in turn; buffers only, so no gradient.

    ``fill_first``: the first write of a slot replaces its content, and only written slots are purified. Otherwise the
    bank starts from a standard normal distribution, all of which counts as content (the paper's literal start).
    """

    values: Tensor  # (T,S,Q)
    visits: Tensor  # (T,) accepted features of each term since the start

    def __init__(
        self, terms: int, slots: int, size: int, momentum: float = 0.99, fill_first: bool = True, seed: int = 0
    ) -> None:
        super().__init__()
        self.momentum, self.fill_first = momentum, fill_first
        noise = torch.randn(terms, slots, size, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("values", torch.zeros_like(noise) if fill_first else noise)
        self.register_buffer("visits", torch.zeros(terms, dtype=torch.long))

    @property
    def filled(self) -> Tensor:
        """Slots of each term that hold a feature, (T,); always the first ones."""
        slots = self.values.shape[1]
        return self.visits.clamp_max(slots) if self.fill_first else torch.full_like(self.visits, slots)

    @torch.no_grad()
    def write(self, features: Tensor, keys: Tensor, accepted: Tensor | None = None) -> None:
        """Eqs 16-17: l_v <- eta l_v + (1 - eta) f for features (B,Q) of terms ``keys`` (B,) where ``accepted`` (B,).

        Same result as writing them one after the other: a term's features go to consecutive slots, and when they are
        more than it has slots, the later ones average with the earlier. Nothing waits for the device.
        """
        terms, slots, size = self.values.shape
        match = keys[:, None] == torch.arange(terms, device=keys.device)  # (B,T)
        if accepted is not None:
            match = match & accepted[:, None]
        order = (match.cumsum(0) - 1).gather(1, keys[:, None])[:, 0]  # (B,) place among this batch's writes to the term
        visit, written = self.visits[keys] + order, match.any(1)
        rows, features = self.values.view(-1, size), features.to(self.values.dtype)
        momentum = self.momentum * ((visit >= slots) | (not self.fill_first))
        for lap in range(-(-len(keys) // slots)):  # once, unless the batch is larger than a term
            target, now = keys * slots + visit % slots, (written & (order // slots == lap))[:, None]
            change = (1 - momentum)[:, None] * (features - rows[target])
            rows.index_add_(0, target, change.where(now, 0.0))  # adding 0 refuses: no shape depends on what is accepted
        self.visits += match.sum(0)

    def purify(self, count: int, seed: int) -> Prototypes:
        """Eqs 22-23: k-means with ``count`` clusters on the filled slots of each term."""
        filled = self.filled.tolist()
        return _purify([term[:n] for term, n in zip(self.values, filled, strict=True)], count, seed)


def refine(prototypes: Prototypes, count: int, seed: int) -> Prototypes:
    """Eqs 33-34: P''_r, k-means with ``count`` clusters on the valid prototypes P'_r of each term."""
    return _purify([v[ok] for v, ok in zip(*prototypes, strict=True)], count, seed)


def _purify(features: list[Tensor], count: int, seed: int) -> Prototypes:
    """Prototypes of each term from its features, (M,Q) with M from 0."""
    values = features[0].new_zeros(len(features), count, features[0].shape[1])
    valid = torch.zeros(len(features), count, dtype=torch.bool, device=values.device)
    for term, rows in enumerate(features):
        centers = _cluster(rows.detach().cpu().double().numpy(), count, seed)
        values[term, : len(centers)] = torch.from_numpy(centers).to(values)
        valid[term, : len(centers)] = True
    return Prototypes(values, valid)


def _cluster(rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Centres (at most ``count``, Q) of the rows (M,Q), each row as often as it occurs.

    Rows that differ by less than a millionth of the spread are one to k-means, which would otherwise look for more
    clusters than there are. One thread: faster at these sizes, and the same sums in the same order on every machine.
    """
    if not len(rows):
        return rows
    spread = np.abs(rows - rows.mean(0)).max() or 1.0
    _, first, weight = np.unique(np.round(rows / spread, 6), axis=0, return_index=True, return_counts=True)
    if len(first) <= count:
        return rows[np.sort(first)]
    with threadpool_limits(1):
        return KMeans(count, n_init=10, random_state=seed).fit(rows[first], sample_weight=weight).cluster_centers_

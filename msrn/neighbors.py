"""The neighbour consistency module, §3.3: candidates before training (Eqs 27-32), neighbours in it (Eqs 35-38)."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from msrn.errors import MsrnError

BLOCK = 1 << 23
"""Similarities held at once by the candidate search."""

RESOLUTION = 1 << 20
"""Steps of cosine similarity per unit. Similarities are rounded to a step, a little above the rounding error of float32
products, and the lower image number wins a tie: the order of equally similar images is not left to chance."""


def find_candidates(
    features: np.ndarray,
    category: np.ndarray,
    object_id: np.ndarray,
    count: int,
    scope: Literal["category", "all"] = "category",
    categories: Sequence[str] | None = None,
) -> np.ndarray:
    """Eqs 31-32: for each image its ``count`` most similar ones, best first. Unit features (N,D) -> (N,count) numbers.

    Views of the same object are never candidates. With scope ``category`` neither are images of other categories.
    The search is exact; it holds the features of one category and ``BLOCK`` similarities at a time.
    ``categories`` are the names for the message when there are too few.
    """
    _, owner = np.unique(object_id, return_inverse=True)
    candidates = np.empty((len(features), count), np.int64)
    for images in _scopes(category, scope):
        _check_enough(images, owner, category, count, scope, categories)
        rows = torch.from_numpy(np.ascontiguousarray(features[images], np.float32))
        candidates[images] = images[_most_similar(rows, torch.from_numpy(owner[images]), count)]
    return candidates


def prototype_domain(z: Tensor, category: Tensor, prototypes: Tensor, valid: Tensor) -> Tensor:
    """Eqs 35-36: the prototype of the category most similar to the code, by cosine.

    Codes (B,Q), their categories (B,), prototypes (T,C,Q) with ``valid`` (T,C) -> (B,) in 0..C-1, or -1 where the
    category has no valid prototype. An all-zero code is as similar to all of them and belongs to the first.
    """
    prototypes, valid = prototypes[category], valid[category]  # (B,C,Q), (B,C)
    cosine = functional.cosine_similarity(z[:, None], prototypes, dim=2, eps=1e-8)  # (B,C)
    domain = cosine.masked_fill(~valid, -torch.inf).argmax(1)
    return domain.where(valid.any(1), -1)


@torch.no_grad()
def select(z_s: Tensor, category: Tensor, z_candidates: Tensor, prototypes: Tensor, valid: Tensor) -> Tensor:
    """Eqs 37-38: which candidates fall into the input's prototype domain.

    z_s (B,Q) of categories (B,) and the candidates' codes (B,k,Q) -> (B,k) bool, with N_re the sum of a row. Both are
    held against the prototypes of the input's category; while it has none, every candidate counts as a neighbour.
    """
    own = prototype_domain(z_s, category, prototypes, valid)  # (B,)
    count = z_candidates.shape[1]
    others = prototype_domain(z_candidates.flatten(0, 1), category.repeat_interleave(count), prototypes, valid)
    return others.view(-1, count) == own[:, None]


def sample(selected: Tensor, draw: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """At most ``count`` of each row's neighbours, those of the lowest ``draw``, or all for count 0.

    (B,k) bool and numbers (B,k) -> columns (B,m) and the weight of each (B,m), 1 / (neighbours drawn) or 0: m is
    ``count`` however many neighbours there are, so that no shape depends on values.
    """
    count = min(count, selected.shape[1]) or selected.shape[1]
    column = draw.masked_fill(~selected, torch.inf).topk(count, dim=1, largest=False).indices
    chosen = selected.gather(1, column).to(draw.dtype)
    return column, chosen / chosen.sum(1, keepdim=True).clamp(min=1)


def _scopes(category: np.ndarray, scope: str) -> Iterator[np.ndarray]:
    """Numbers of the images that are candidates of each other."""
    if scope == "all":
        yield np.arange(len(category))
    else:
        for value in np.unique(category):
            yield np.flatnonzero(category == value)


def _most_similar(rows: Tensor, owner: Tensor, count: int) -> np.ndarray:
    """Places (M,count) of the rows of other owners with the largest products, for unit rows (M,D)."""
    size = len(rows)
    place = torch.arange(size)
    found = []
    for part in torch.arange(size).split(max(1, BLOCK // size)):
        similarity = (rows[part] @ rows.T * RESOLUTION).round().long()
        similarity[owner[part, None] == owner] = -2 * RESOLUTION
        rank = similarity * size - place  # all different: of equal similarities the lower place ranks higher
        found.append(rank.topk(count, dim=1).indices)
    return torch.cat(found).numpy()


def _check_enough(
    images: np.ndarray,
    owner: np.ndarray,
    category: np.ndarray,
    count: int,
    scope: str,
    categories: Sequence[str] | None,
) -> None:
    """Refuse a scope in which some image has fewer than ``count`` images of other objects."""
    others = len(images) - np.bincount(owner[images]).max()
    if others >= count:
        return
    number = int(category[images[0]])
    where = "the collection" if scope == "all" else f"category {categories[number] if categories else number!r}"
    raise MsrnError(
        f"{where} offers an image only {others} images of other objects, fewer than the {count} of the setting "
        f"candidates: lower it to at most {others}, or add objects" + ("" if scope == "all" else ", or leave it out")
    )

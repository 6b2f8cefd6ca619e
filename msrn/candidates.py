"""Candidate neighbours, §3.3: the images that Eqs 27-32 set beside each one before training, and two remedies.

By the letter, candidates are the most similar images. On renders of few objects from many sides those mostly show the
side at hand, of one or two objects, and a neighbour term over them teaches little that the image itself does not. So
they may be taken from distinct objects, and from a pool of similar images by how much their silhouettes differ.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from msrn.errors import MsrnError

BLOCK = 1 << 23
"""Similarities held at once by the search."""

RESOLUTION = 1 << 20
"""Steps of cosine similarity per unit. Similarities are rounded to a step, a little above the rounding error of float32
products, and the lower image number wins a tie: the order of equally similar images is not left to chance."""

CELLS = 16
"""Silhouettes are compared as shares of 16 x 16 cells; 32 x 32 chooses alike."""

ROWS = 1024
"""Images whose pools are compared at once."""


def find_candidates(
    features: np.ndarray,
    category: np.ndarray,
    object_id: np.ndarray,
    count: int,
    scope: Literal["category", "all"] = "category",
    objects: Literal["any", "distinct"] = "any",
    pool: int = 0,
    masks: np.ndarray | None = None,
    categories: Sequence[str] | None = None,
) -> np.ndarray:
    """For each image the numbers of its ``count`` candidates. Unit features (N,D) -> (N,count).

    Without a pool they are the most similar images, best first (Eqs 31-32), or with ``distinct`` objects the most
    similar image of each of the most similar objects. With a pool they are those of the ``pool`` most similar images
    whose silhouettes in ``masks`` (N,H,W) differ most, most different first; or, with ``distinct`` objects, the same
    most similar objects in the same order, each shown by the most different of its images in the pool, if any is.

    Views of the same object are never candidates. With scope ``category`` neither are images of other categories. Of
    equals the lower number wins. ``categories`` are the names for the message when there are too few.
    """
    _, owner = np.unique(object_id, return_inverse=True)
    silhouettes = _silhouettes(masks) if pool else None
    candidates = np.empty((len(features), count), np.int64)
    for images in _scopes(category, scope):
        where = _name(category[images[0]], scope, categories)
        others = _check_enough(owner[images], count, objects, where)
        rows = torch.from_numpy(np.ascontiguousarray(features[images], np.float32))
        near = _most_similar(rows, torch.from_numpy(owner[images]), min(pool, others) or count, objects, count)
        similar, of_objects = (images[place] for place in near)
        if pool:
            candidates[images] = _most_different(images, similar, of_objects, owner, silhouettes, count, objects)
        else:
            candidates[images] = similar if objects == "any" else of_objects
    return candidates


def _scopes(category: np.ndarray, scope: str) -> Iterator[np.ndarray]:
    """Numbers of the images that are candidates of each other."""
    if scope == "all":
        yield np.arange(len(category))
    else:
        for value in np.unique(category):
            yield np.flatnonzero(category == value)


def _most_similar(rows: Tensor, owner: Tensor, length: int, objects: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the ``length`` rows of other owners with the largest products, for unit rows (M,D), and, when objects
    are to be distinct, of the best rows of the ``count`` best owners."""
    size = len(rows)
    place = torch.arange(size)
    owners, owner = owner.unique(return_inverse=True)
    similar, of_objects = [], []
    for part in torch.arange(size).split(max(1, BLOCK // size)):
        similarity = (rows[part] @ rows.T * RESOLUTION).round().long()
        similarity[owner[part, None] == owner] = -2 * RESOLUTION
        rank = similarity * size - place  # all different: of equal similarities the lower place ranks higher
        similar.append(rank.topk(length, dim=1).indices)
        if objects == "distinct":
            best = rank.new_full((len(part), len(owners)), rank.min())
            best.scatter_reduce_(1, owner.expand_as(rank), rank, "amax")
            of_objects.append(-best.topk(count, dim=1).values % size)
    return torch.cat(similar).numpy(), torch.cat(of_objects or similar).numpy()


def _silhouettes(masks: np.ndarray | None) -> np.ndarray:
    """(N, CELLS * CELLS) shares of the cells that masks (N,H,W) cover, in 255ths."""
    if masks is None:
        raise MsrnError("setting candidate_pool compares silhouettes, and the data set has no masks: set it to 0")
    shares = np.empty((len(masks), CELLS * CELLS), np.uint8)
    for start in range(0, len(masks), ROWS):
        part = torch.from_numpy(np.array(masks[start : start + ROWS])).float()
        cells = functional.adaptive_avg_pool2d(part[:, None], CELLS).flatten(1)
        shares[start : start + ROWS] = (cells * 255).round().byte().numpy()
    return shares


def _most_different(
    images: np.ndarray,
    similar: np.ndarray,
    of_objects: np.ndarray,
    owner: np.ndarray,
    silhouettes: np.ndarray,
    count: int,
    objects: str,
) -> np.ndarray:
    """Candidates (M,count) of images (M,) from their pools (M,P) and, when distinct, the best images of objects."""
    chosen = np.empty((len(images), count), np.int64)
    for start in range(0, len(images), ROWS):
        part = slice(start, start + ROWS)
        pool = np.sort(similar[part], axis=1)  # by number, which settles ties
        overlap = _overlap(silhouettes, images[part], pool)
        if objects == "any":
            order = overlap.argsort(axis=1, kind="stable")[:, :count]
            chosen[part] = np.take_along_axis(pool, order, axis=1)
        else:
            nearest = of_objects[part]  # (R,count)
            same = owner[pool][:, None] == owner[nearest][:, :, None]  # (R,count,P)
            best = np.where(same, overlap[:, None], 2.0).argmin(axis=2)
            chosen[part] = np.where(same.any(2), np.take_along_axis(pool, best, axis=1), nearest)
    return chosen


def _overlap(silhouettes: np.ndarray, images: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """IoU of the silhouettes of images (R,) with those in their pools (R,P): sum of minima over sum of maxima."""
    area = silhouettes.sum(1, dtype=np.int64)
    both = np.empty(pool.shape, np.int64)
    for row, (image, others) in enumerate(zip(images, pool, strict=True)):
        both[row] = np.minimum(silhouettes[image], silhouettes[others]).sum(1, dtype=np.int32)
    either = area[images, None] + area[pool] - both
    return both / np.maximum(either, 1)


def _check_enough(owner: np.ndarray, count: int, objects: str, where: str) -> int:
    """How many images of other objects every image has; refused when they, or the objects, are fewer than count."""
    sizes = np.bincount(owner)
    others, other_objects = len(owner) - sizes.max(), np.count_nonzero(sizes) - 1
    if objects == "distinct" and other_objects < count:
        raise MsrnError(
            f"{where} has {other_objects} other objects for an image, fewer than the {count} of the setting "
            "candidates when candidate_objects is distinct: lower candidates, add objects, or set it to any"
        )
    if others < count:
        raise MsrnError(
            f"{where} offers an image only {others} images of other objects, fewer than the {count} of the setting "
            f"candidates: lower it to at most {others}, or add objects"
            + ("" if where == WHOLE else ", or leave it out")
        )
    return int(others)


WHOLE = "the collection"


def _name(number: int, scope: str, categories: Sequence[str] | None) -> str:
    return WHOLE if scope == "all" else f"category {categories[number] if categories else int(number)!r}"

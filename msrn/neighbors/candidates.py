"""Candidate neighbours, §3.3: the images that Eqs 27-32 set beside each one before training, and two remedies.

By the letter, candidates are the most similar images. On renders of few objects from many sides those mostly show the
side at hand, of a few objects, and a neighbour term over them teaches little that the image itself does not. So they
may be taken from distinct objects, and from a pool of similar images by how much their silhouettes differ.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from msrn.errors import MsrnError
from msrn.neighbors.search import most_similar

CELLS = 16
"""Silhouettes are compared as the covered shares of 16 x 16 cells; 32 x 32 choose alike."""

MASKS = 1024
"""Masks read at once."""


def find_candidates(
    features: np.ndarray,
    category: np.ndarray,
    object_id: np.ndarray,
    count: int,
    scope: Literal["category", "all"] = "category",
    objects: Literal["any", "distinct"] = "any",
    pool: int | Literal["all"] = 0,
    masks: np.ndarray | None = None,
    categories: Sequence[str] | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> np.ndarray:
    """For each image the numbers of its ``count`` candidates. Unit features (N,D) -> (N,count).

    Without a pool they are the most similar images, best first (Eqs 31-32), or with ``distinct`` objects the most
    similar image of each of the most similar objects. With a pool they are those of the ``pool`` most similar images
    whose silhouettes in ``masks`` (N,H,W) differ most, most different first; or, with ``distinct`` objects, the same
    most similar objects in the same order, each shown by the most different of its images in the pool, if any is there.
    The pool of ``all`` images of the scope costs a comparison with every one of them, as the search itself; with
    ``distinct`` objects only with the images of the objects chosen.

    Views of the same object are never candidates. With scope ``category`` neither are images of other categories. Of
    equals the lower number wins. A pool is smaller where some image of the scope has fewer others. ``categories`` are
    the names for the message when there are too few.
    """
    _, owner = np.unique(object_id, return_inverse=True)
    silhouettes = _silhouettes(masks) if pool else None
    views = _by_object(owner) if (pool, objects) == ("all", "distinct") else None  # then an object's own are its pool
    candidates = np.empty((len(features), count), np.int64)
    with tqdm(desc="candidates", total=len(features), unit="image", disable=not progress, delay=2) as bar:
        for images in _scopes(category, scope):
            others = _check_enough(images, owner, category, count, scope, objects, categories)
            lengths = {"distinct": count} if objects == "distinct" else {}
            if views is None and (pool or not lengths):
                lengths["any"] = (others if pool == "all" else min(pool, others)) or count
            for part, near in most_similar(features, images, owner, lengths, device):
                if views is not None:
                    near["any"] = [np.concatenate([views[owner[image]] for image in best]) for best in near["distinct"]]
                candidates[part] = _different(part, near, owner, silhouettes, count) if pool else near[objects]
                bar.update(len(part))
    return candidates


def _scopes(category: np.ndarray, scope: str) -> Iterator[np.ndarray]:
    """Numbers of the images that are candidates of each other."""
    if scope == "all":
        yield np.arange(len(category))
    else:
        for value in np.unique(category):
            yield np.flatnonzero(category == value)


def _by_object(owner: np.ndarray) -> list[np.ndarray]:
    """The images of each object, from the object of each image (N,)."""
    return np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner))[:-1])


def _silhouettes(masks: np.ndarray | None) -> np.ndarray:
    """(N, CELLS * CELLS) shares of the cells that masks (N,H,W) cover, in 255ths."""
    if masks is None:
        raise MsrnError("setting candidate_pool compares silhouettes, and the data set has no masks: set it to 0")
    shares = np.empty((len(masks), CELLS * CELLS), np.uint8)
    for start in range(0, len(masks), MASKS):
        part = torch.from_numpy(np.array(masks[start : start + MASKS])).float()
        cells = functional.adaptive_avg_pool2d(part[:, None], CELLS).flatten(1)
        shares[start : start + MASKS] = (cells * 255).round().byte().numpy()
    return shares


def _different(
    images: np.ndarray, near: Mapping[str, Sequence[np.ndarray]], owner: np.ndarray, silhouettes: np.ndarray, count: int
) -> np.ndarray:
    """Candidates (R,count) of images (R,) from their pools ``any``, (P,) each, and the best of ``distinct`` objects."""
    chosen = np.empty((len(images), count), np.int64)
    for row, (image, pool) in enumerate(zip(images, near["any"], strict=True)):
        pool = np.sort(pool)  # by number, which settles ties
        pool = pool[_overlap(silhouettes, image, pool).argsort(kind="stable")]
        if "distinct" in near:
            best = near["distinct"][row]
            same = owner[best][:, None] == owner[pool]  # (count,P)
            chosen[row] = np.where(same.any(1), pool[same.argmax(1)], best)
        else:
            chosen[row] = pool[:count]
    return chosen


def _overlap(silhouettes: np.ndarray, image: int, others: np.ndarray) -> np.ndarray:
    """IoU (P,) of the silhouettes of an image and of others (P,): the sum of minima over that of maxima."""
    one, other = silhouettes[image], silhouettes[others]
    return np.minimum(one, other).sum(1) / np.maximum(np.maximum(one, other).sum(1), 1)


def _check_enough(
    images: np.ndarray,
    owner: np.ndarray,
    category: np.ndarray,
    count: int,
    scope: str,
    objects: str,
    categories: Sequence[str] | None,
) -> int:
    """How many images of other objects each has, at least; refused when they, or the other objects, are too few."""
    _, sizes = np.unique(owner[images], return_counts=True)
    others = len(images) - int(sizes.max())
    number = int(category[images[0]])
    where = "the collection" if scope == "all" else f"category {categories[number] if categories else number!r}"
    least, what = (len(sizes) - 1, "other objects") if objects == "distinct" else (others, "images of other objects")
    if least < count:
        raise MsrnError(
            f"{where} offers an image only {least} {what}, fewer than the {count} of the setting candidates: lower it "
            f"to at most {least}, or add objects"
            + ("" if scope == "all" else ", or leave it out")
            + (", or set candidate_objects to any" if others >= count else "")
        )
    return others

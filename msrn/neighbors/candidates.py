"""Candidate neighbours, §3.3: the images that Eqs 27-32 set beside each one before training, and a remedy.

By the letter, candidates are the most similar images. On renders of few objects from many sides those mostly show the
side at hand, of a few objects, and a neighbour term over them teaches little that the image itself does not. So they
may be taken from distinct objects, each shown by the most different of its silhouettes.
"""

from collections.abc import Iterator, Sequence
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
    masks: np.ndarray | None = None,
    categories: Sequence[str] | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> np.ndarray:
    """For each image the numbers of its ``count`` candidates. Unit features (N,D) -> (N,count).

    ``any``: the most similar images, best first (Eqs 31-32). ``distinct``: an image of each of the most similar
    objects, best first, namely the one whose silhouette in ``masks`` (N,H,W) differs most from the image's own; an
    object is as similar as its most similar image. That compares the image with all images of the objects chosen.

    Views of the same object are never candidates. With scope ``category`` neither are images of other categories. Of
    equals the lower number wins. ``categories`` are the names for the message when there are too few. Costs N^2 D
    operations in each scope.
    """
    _, owner = np.unique(object_id, return_inverse=True)
    distinct = objects == "distinct"
    silhouettes, views = (_silhouettes(masks), _by_object(owner)) if distinct else (None, None)
    candidates = np.empty((len(features), count), np.int64)
    with tqdm(desc="candidates", total=len(features), unit="image", disable=not progress, delay=2) as bar:
        for images in _scopes(category, scope):
            _check_enough(images, owner, category, count, scope, objects, categories)
            for part, near in most_similar(features, images, owner, {objects: count}, device):
                candidates[part] = near[objects]  # (R,count)
                for image in part if distinct else ():
                    similar = [views[place] for place in owner[candidates[image]]]
                    candidates[image] = [_most_different(silhouettes, image, others) for others in similar]
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
        raise MsrnError(
            "setting candidate_objects = 'distinct' compares silhouettes, and the data set has no masks: set it to any"
        )
    shares = np.empty((len(masks), CELLS * CELLS), np.uint8)
    for start in range(0, len(masks), MASKS):
        part = torch.from_numpy(np.array(masks[start : start + MASKS])).float()
        cells = functional.adaptive_avg_pool2d(part[:, None], CELLS).flatten(1)
        shares[start : start + MASKS] = (cells * 255).round().byte().numpy()
    return shares


def _most_different(silhouettes: np.ndarray, image: int, others: np.ndarray) -> int:
    """Of ``others`` (P,), by number, the one whose silhouette overlaps least with the image's; the first of equals."""
    return others[_overlap(silhouettes, image, others).argmin()]


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
) -> None:
    """Refuse a scope in which an image has too few images of other objects, or too few other objects."""
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

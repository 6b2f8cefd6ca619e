"""Candidate neighbours, §3.3: the images that Eqs 27-32 set beside each one before training, and a remedy.

By the letter, candidates are the most similar images. On renders of few objects from many sides those mostly show the
side at hand, of a few objects, and a neighbour term over them teaches little that the image itself does not. So they
may be taken from distinct objects, each shown by the most different of its silhouettes.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from msrn.errors import MsrnError

CELLS = 16
"""Silhouettes are compared as the covered shares of 16 x 16 cells; 32 x 32 choose alike."""

BLOCK = 1024
"""Images read at once."""

RANKS = 1 << 26
"""Ranks held at once, half a GiB."""

LEAST = -(1 << 62)
"""Below every rank."""


def find_candidates(
    features: np.ndarray,
    category: np.ndarray,
    object_id: np.ndarray,
    count: int,
    scope: Literal["category", "all"] = "category",
    objects: Literal["any", "distinct", "half-random"] = "any",
    masks: np.ndarray | None = None,
    categories: Sequence[str] | None = None,
    device: str = "cpu",
    progress: bool = False,
    seed: int = 0,
) -> np.ndarray:
    """For each image the numbers of its ``count`` candidates. Unit features (N,D) -> (N,count).

    ``any``: the most similar images, best first (Eqs 31-32). ``distinct``: an image of each of the most similar
    objects, best first, namely the one whose silhouette in ``masks`` (N,H,W) differs most from the image's own; an
    object is as similar as its most similar image. ``half-random``: random other objects, by ``seed``, stand in the
    latter half of these places, so that the choice of neighbours has something to refuse.

    Views of the same object are never candidates. With scope ``category`` neither are images of other categories. Of
    equals the lower number wins. ``categories`` are the names for the message when there are too few. Costs N^2 D
    operations in each scope, in memory of a fixed size; where a square is too much, a library of approximate indices
    such as faiss finds most of the same images.
    """
    distinct = objects != "any"
    if distinct and masks is None:
        raise MsrnError(
            f"setting candidate_objects = {objects!r} compares silhouettes, and the images have no masks: set it to any"
        )
    generator = np.random.default_rng(seed)
    _, owner = np.unique(object_id, return_inverse=True)
    silhouettes = _silhouettes(masks) if distinct else None
    views = np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner))[:-1])  # images of each object
    candidates = np.empty((len(features), count), np.int64)
    place = category if scope == "category" else np.zeros(len(features), int)
    with tqdm(desc="candidates", total=len(features), unit="image", disable=not progress, delay=2) as bar:
        for value in np.unique(place):
            images = np.flatnonzero(place == value)
            name = f"category {categories[value] if categories else int(value)!r}" if scope == "category" else ""
            _check_enough(owner[images], count, distinct, name)
            different = np.unique(owner[images])
            for part, near in _most_similar(features, images, owner[images], count, distinct, device):
                candidates[part] = near
                for image in part if distinct else ():
                    chosen = owner[candidates[image]]
                    if objects == "half-random":
                        known = chosen[: (count + 1) // 2]
                        rest = np.setdiff1d(different, [owner[image], *known])
                        chosen = np.r_[known, generator.choice(rest, count // 2, replace=False)]
                    shown = [views[one] for one in chosen]
                    candidates[image] = [others[_overlap(silhouettes, image, others).argmin()] for others in shown]
                bar.update(len(part))
    return candidates


def _most_similar(
    features: np.ndarray, images: np.ndarray, owner: np.ndarray, count: int, distinct: bool, device: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some (R,) of ``images`` (M,) at a time, with the best image (R,count) of each of the ``count`` best groups.

    A group is an object where they are ``distinct``, else an image; ``owner`` (M,) are the objects. A rank is the
    similarity in steps of 2^-30, rounded down, and below it the place among ``images``, counted backwards. No two are
    equal, and neither blocks nor threads nor the device change any.
    """
    group = np.unique(owner, return_inverse=True)[1] if distinct else np.arange(len(images))
    groups = int(group.max()) + 1
    owner, group = torch.from_numpy(owner).to(device), torch.from_numpy(group).to(device)
    place = torch.arange(len(images), device=device)
    for part in _slices(len(images), max(1, min(BLOCK, RANKS // groups))):
        own = _in_steps(features[images[part]], device)
        best = torch.full((len(own), groups), LEAST, device=device)
        for others in _slices(len(images), BLOCK):
            similarity = own @ _in_steps(features[images[others]], device).T  # in steps of 2^-52
            rank = ((similarity / 2**22).floor().long() << 31) - place[others]
            rank.masked_fill_(owner[part, None] == owner[others], LEAST)
            best.scatter_reduce_(1, group[others].expand_as(rank), rank, "amax")
        near = -best.topk(count, dim=1).values % 2**31
        yield images[part], images[near.cpu().numpy()]


def _in_steps(features: np.ndarray, device: str) -> Tensor:
    """Unit rows as whole numbers of steps of 2^-26, so that float64 adds their products without error."""
    return (torch.from_numpy(features).to(device).double() * 2**26).round()


def _silhouettes(masks: np.ndarray) -> np.ndarray:
    """(N, CELLS * CELLS) shares of the cells that masks (N,H,W) cover, in 255ths."""
    shares = np.empty((len(masks), CELLS * CELLS), np.uint8)
    for rows in _slices(len(masks), BLOCK):
        part = torch.from_numpy(np.array(masks[rows])).float()
        cells = functional.adaptive_avg_pool2d(part[:, None], CELLS).flatten(1)
        shares[rows] = (cells * 255).round().byte().numpy()
    return shares


def _slices(size: int, block: int) -> Iterator[slice]:
    return (slice(start, start + block) for start in range(0, size, block))


def _overlap(silhouettes: np.ndarray, image: int, others: np.ndarray) -> np.ndarray:
    """IoU (P,) of the silhouettes of an image and of others (P,): the sum of minima over that of maxima."""
    one, other = silhouettes[image], silhouettes[others]
    return np.minimum(one, other).sum(1) / np.maximum(np.maximum(one, other).sum(1), 1)


def _check_enough(owner: np.ndarray, count: int, distinct: bool, category: str) -> None:
    """Refuse images in which one has too few images of other objects, or too few other objects."""
    _, sizes = np.unique(owner, return_counts=True)
    images = len(owner) - int(sizes.max())
    least, what = (len(sizes) - 1, "other objects") if distinct else (images, "images of other objects")
    if least < count:
        raise MsrnError(
            f"{category or 'the collection'} offers an image only {least} {what}, fewer than the {count} of the "
            f"setting candidates: lower it to at most {least}, or add objects"
            + (", or leave it out" if category else "")
            + (", or set candidate_objects to any" if images >= count else "")
        )

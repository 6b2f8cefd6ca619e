"""Candidate neighbours, §3.3: the images that Eqs 27-32 set beside each one before training, and a remedy.

By the letter, candidates are the most similar images. On renders of few objects from many sides those mostly show the
side at hand, of a few objects, and a neighbour term over them teaches little that the image itself does not. So they
may be taken from distinct objects, each shown by the most different of its silhouettes.

Eq. 27's set holds the other views of the image's own object, too. They are left out, since they would be multi-view
supervision; as yardsticks they may take part, or be all there is.
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
    own_views: Literal["never", "allowed", "only"] = "never",
) -> np.ndarray:
    """For each image the numbers of its ``count`` candidates. Unit features (N,D) -> (N,count).

    ``any``: the most similar images, best first (Eqs 31-32). ``distinct``: an image of each of the most similar
    objects, best first, namely the one whose silhouette in ``masks`` (N,H,W) differs most from the image's own; an
    object is as similar as its most similar image. ``half-random``: random other objects, by ``seed``, stand in the
    latter half of these places, so that the choice of neighbours has something to refuse.

    Other views of the image's own object are never candidates, or may be (``allowed``: their object is then one like
    the others), or are the only ones (``only``), those whose silhouettes differ most, most different first, whatever
    the scope. With scope ``category`` images of other categories are no candidates. Of equals the lower number wins.
    ``categories`` are the names for the message when there are too few. Costs N^2 D operations in each scope, in memory
    of a fixed size; where a square is too much, a library of approximate indices such as faiss finds most of the same
    images.
    """
    distinct, only = objects != "any", own_views == "only"
    if (distinct or only) and masks is None:
        rule = f"own_views = {own_views!r}" if only else f"candidate_objects = {objects!r}"
        other = "never" if only else "any"
        raise MsrnError(f"setting {rule} compares silhouettes, and the images have no masks: set it to {other}")
    generator = np.random.default_rng(seed)
    names, owner = np.unique(object_id, return_inverse=True)
    silhouettes = _silhouettes(masks) if distinct or only else None
    if only:
        return _other_views(silhouettes, owner, count, names)
    candidates = np.empty((len(features), count), np.int64)
    place = category if scope == "category" else np.zeros(len(features), int)
    with tqdm(desc="candidates", total=len(features), unit="image", disable=not progress, delay=2) as bar:
        for value in np.unique(place):
            images = np.flatnonzero(place == value)
            name = f"category {categories[value] if categories else int(value)!r}" if scope == "category" else ""
            _check_enough(owner[images], count, distinct, name)
            views, different = _views(images, owner[images]), np.unique(owner[images])
            rule = count, distinct, device, own_views == "allowed"
            for part, near in _most_similar(features, images, owner[images], *rule):
                candidates[part] = near
                for image in part if distinct else ():
                    chosen = owner[candidates[image]]
                    if objects == "half-random":
                        known = chosen[: (count + 1) // 2]
                        rest = np.setdiff1d(different, [owner[image], *known])
                        chosen = np.r_[known, generator.choice(rest, count // 2, replace=False)]
                    shown = [views[one][views[one] != image] for one in chosen]
                    candidates[image] = [others[_overlap(silhouettes, image, others).argmin()] for others in shown]
                bar.update(len(part))
    return candidates


def _most_similar(
    features: np.ndarray,
    images: np.ndarray,
    owner: np.ndarray,
    count: int,
    distinct: bool,
    device: str,
    own: bool = False,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some (R,) of ``images`` (M,) at a time, with the best image (R,count) of each of the ``count`` best groups.

    A group is an object where they are ``distinct``, else an image; ``owner`` (M,) are the objects, of which an
    image's own takes part where ``own`` says so, without the image itself. A rank is the similarity in steps of 2^-30,
    rounded down, and below it the place among ``images``, counted backwards. No two are equal, and neither blocks nor
    threads nor the device change any.
    """
    group = np.unique(owner, return_inverse=True)[1] if distinct else np.arange(len(images))
    groups = int(group.max()) + 1
    owner, group = torch.from_numpy(owner).to(device), torch.from_numpy(group).to(device)
    place = torch.arange(len(images), device=device)
    barred = place if own else owner
    for part in _slices(len(images), max(1, min(BLOCK, RANKS // groups))):
        mine = _in_steps(features[images[part]], device)
        best = torch.full((len(mine), groups), LEAST, device=device)
        for others in _slices(len(images), BLOCK):
            similarity = mine @ _in_steps(features[images[others]], device).T  # in steps of 2^-52
            rank = ((similarity / 2**22).floor().long() << 31) - place[others]
            rank.masked_fill_(barred[part, None] == barred[others], LEAST)
            best.scatter_reduce_(1, group[others].expand_as(rank), rank, "amax")
        near = -best.topk(count, dim=1).values % 2**31
        yield images[part], images[near.cpu().numpy()]


def _other_views(silhouettes: np.ndarray, owner: np.ndarray, count: int, names: np.ndarray) -> np.ndarray:
    """The ``count`` other views of each image's object whose silhouettes differ most from its own, (N,count)."""
    candidates = np.empty((len(owner), count), np.int64)
    for one, images in _views(np.arange(len(owner)), owner).items():
        if len(images) <= count:
            raise MsrnError(
                f"setting own_views = 'only': an image of object {names[one]} has only {len(images) - 1} other views, "
                f"fewer than the {count} of the setting candidates: lower it, or take more images of every object"
            )
        for image in images:
            others = images[images != image]
            order = np.argsort(_overlap(silhouettes, image, others), kind="stable")
            candidates[image] = others[order[:count]]
    return candidates


def _views(images: np.ndarray, owner: np.ndarray) -> dict[int, np.ndarray]:
    """Those of ``images`` (M,) that show each of their objects ``owner`` (M,)."""
    order = np.argsort(owner, kind="stable")
    objects, first = np.unique(owner[order], return_index=True)
    return dict(zip(objects.tolist(), np.split(images[order], first[1:]), strict=True))


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

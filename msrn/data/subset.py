"""Parts of a collection as collections of their own: some of its images, or one of its categories."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from msrn.data.collection import ImageCollection
from msrn.errors import MsrnError, did_you_mean
from msrn.store.array_cache import Make, cached_arrays
from msrn.store.digest import digest_of

COPIED_AT_ONCE = 4096  # images


def subset(collection: ImageCollection, rows: np.ndarray) -> ImageCollection:
    """The images ``rows``, with a fingerprint of their own; copied into the cache, once, so that memory does not grow
    with their number."""
    columns = {name: getattr(collection, name)[rows] for name in ("category", "object_id", "view")}
    large = {name: getattr(collection, name) for name in ("images", "masks", "_true_masks")}
    large = {name: array for name, array in large.items() if array is not None}
    fingerprint = digest_of(collection.fingerprint, list(large), rows.tolist())

    def copy(make: Make) -> None:
        for name, array in large.items():
            part_of = make(name, (len(rows), *array.shape[1:]), str(array.dtype))
            for start in range(0, len(rows), COPIED_AT_ONCE):
                part = slice(start, start + COPIED_AT_ONCE)
                part_of[part] = array[rows[part]]

    arrays = cached_arrays("portions", fingerprint, copy)
    return replace(collection, **columns, **arrays, fingerprint=fingerprint, evaluation_index=_cited(collection, rows))


def one_category(collection: ImageCollection, name: str) -> ImageCollection:
    """The images of one category, as a collection of that category alone."""
    if name not in collection.categories:
        names = ", ".join(collection.categories)
        near = did_you_mean(name, collection.categories)
        raise MsrnError(f"{collection.name} has no category {name!r}{near}; there are: {names}")
    rows = np.flatnonzero(collection.category == collection.categories.index(name))
    if not len(rows):
        raise MsrnError(f"{collection.name}/{collection.split} has no image of category {name!r}")
    part = subset(collection, rows)
    return replace(part, category=np.zeros(len(rows), np.int64), categories=(name,))


def limited(collection: ImageCollection, objects: int | Mapping[str, int]) -> np.ndarray:
    """Numbers of the images of at most ``objects`` objects of each category, or of each that is named."""
    rows: list[np.ndarray] = []
    most = objects if isinstance(objects, Mapping) else dict.fromkeys(collection.categories, objects)
    if unknown := sorted(most.keys() - set(collection.categories)):
        known = ", ".join(collection.categories)
        raise MsrnError(f"{collection.name} has no category {unknown[0]!r} to take objects of; there are: {known}")
    most = [most.get(name, len(collection)) for name in collection.categories]
    counts = np.zeros(len(collection.categories), int)
    _, first, owner = np.unique(collection.object_id, return_index=True, return_inverse=True)
    for place in np.argsort(first):
        mine = np.flatnonzero(owner == place)
        category = collection.category[mine[0]]
        counts[category] += 1
        if counts[category] <= most[category]:
            rows.append(mine)
    return np.concatenate(rows)


def _cited(collection: ImageCollection, rows: np.ndarray) -> np.ndarray:
    """Where the part has the citable image of each object that it holds, or the object's first image."""
    place = {int(row): k for k, row in enumerate(rows)}
    names = collection.object_id[rows]
    cited = {str(collection.object_id[row]): place[row] for row in collection.evaluation_index.tolist() if row in place}
    _, first = np.unique(names, return_index=True)
    return np.sort([cited.get(str(names[k]), int(k)) for k in first])

"""homeware-wild: the objects of homeware in the wild, which stands in for Pascal3D+ on a fresh machine (§4.1).

32 photographs of each object (``homeware-wild-NUMBER``: so many), drawn as ``data.photographs`` says on panoramas of
the object's own split, among other objects of that split. They are raw: there are no masks, since finding the object is
what §3.1 is about; the true ones are kept for evaluation alone. A photograph is a function of its object and its
number, and so is its pose. Drawn when first asked for, all splits at once (minutes), and kept in the cache (400 MB).
"""

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from msrn.data.collection import ImageCollection
from msrn.data.drawing import views
from msrn.data.drawing.views import DrawnObject, DrawnSet, collection_of, refuse_root
from msrn.data.homeware import photographs
from msrn.data.homeware import reader as homeware
from msrn.data.homeware.panoramas import PANORAMAS, read_panorama
from msrn.data.homeware.photographs import SIZE, draw_pose, take_photograph
from msrn.data.homeware.reader import CATEGORIES, HomewareTruth, read_asset, read_split
from msrn.errors import MsrnError
from msrn.paths import cache_folder
from msrn.store.array_cache import Make, cached_arrays
from msrn.store.digest import digest_of

NAME = "homeware-wild"
PHOTOGRAPHS = 32  # of each object; a set with fewer holds the first ones


def open_split(split: str, root: Path | None = None, name: str = NAME) -> ImageCollection:
    """One split of ``homeware-wild`` or ``homeware-wild-NUMBER``, all three drawn into the cache if not there yet."""
    refuse_root(name, root)
    count = count_of(name)
    assets = homeware.ASSETS
    objects = [
        replace(row, evaluation_view=row.evaluation_view % count) for row in read_split(assets / "homeware_split.csv")
    ]
    content = digest_of(
        read_asset(assets / "homeware.npz"),
        *(read_asset(path) for paths in panorama_paths(assets).values() for path in paths),
        [PANORAMAS, photographs.PROTOCOL, views.PROTOCOL, count],
        [(row.object_id, row.split) for row in objects],
    )
    dataset = DrawnSet(name, CATEGORIES, objects, content, WildTruth(assets / "homeware.npz"))
    arrays = cached_arrays(NAME, content, lambda make: _draw_all(dataset, assets, count, make))
    return collection_of(dataset, split, count, arrays["images"], true_masks=arrays["masks"])


def count_of(name: str) -> int:
    """The number of photographs of an object that a name stands for."""
    number = name.removeprefix(NAME).removeprefix("-")
    if name == NAME:
        return PHOTOGRAPHS
    if not re.fullmatch(r"[1-9][0-9]{0,4}", number):
        raise MsrnError(
            f"dataset {name!r}: expected {NAME}, or {NAME}-NUMBER with the photographs of each object, such as {NAME}-2"
        )
    return int(number)


def panorama_paths(assets: Path) -> dict[str, list[Path]]:
    """The files of each split's panoramas."""
    return {split: [assets / "panoramas" / f"{name}.jpg" for name in names] for split, names in PANORAMAS.items()}


class WildTruth(HomewareTruth):
    """Shapes of homeware and the cameras of its photographs, for evaluation."""

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        """Drawn again from the generator of each image, some 30 µs an image."""
        rows = zip(object_id.tolist(), view.tolist(), strict=True)
        return np.array([draw_pose(generator(*row)) for row in rows], np.float32).reshape(-1, 3)


def generator(object_id: str, number: int) -> np.random.Generator:
    """All that is random in photograph ``number`` of an object."""
    return np.random.default_rng(int(digest_of(NAME, object_id, number), 16))


def _draw_all(dataset: DrawnSet, assets: Path, count: int, make: Make) -> None:
    images = make("images", (len(dataset.objects) * count, 3, SIZE, SIZE), "uint8")
    masks = make("masks", (len(dataset.objects) * count, SIZE, SIZE), "bool")
    backgrounds = {split: [read_panorama(path) for path in paths] for split, paths in panorama_paths(assets).items()}

    def draw(task: tuple[int, DrawnObject]) -> None:
        index, row = task
        mesh = dataset.truth.mesh(row.object_id)
        others = [
            dataset.truth.mesh(other.object_id)
            for other in dataset.objects
            if other.split == row.split and other.category != row.category
        ]
        for number in range(count):
            place = index * count + number
            rng = generator(row.object_id, number)
            images[place], masks[place] = take_photograph(mesh, others, backgrounds[row.split], rng)

    print(f"{dataset.name}: drawing {len(images):,} images, once, into {cache_folder()}", file=sys.stderr, flush=True)
    pool = ThreadPoolExecutor(os.cpu_count())  # drawing works outside of Python's lock
    try:
        results = pool.map(draw, enumerate(dataset.objects))
        for _ in tqdm(results, total=len(dataset.objects), desc=dataset.name, unit="object", mininterval=0.5):
            pass
    finally:
        pool.shutdown(cancel_futures=True)

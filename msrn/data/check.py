"""``msrn data check`` and ``data describe``: is this folder the archive it should be, and where to get one.

A check reads every file once, as packing does, and so takes as long as that will.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from msrn.data.archives.pack import BYTES, WORKERS
from msrn.data.archives.reading import SHOWN
from msrn.data.archives.survey import Survey
from msrn.data.pascal3d import survey as pascal3d_survey
from msrn.data.pix3d import survey as pix3d_survey
from msrn.data.shapenet import survey as shapenet_survey
from msrn.errors import MsrnError, did_you_mean
from msrn.paths import cache_folder


@dataclass(frozen=True)
class Described:
    """Where a data set comes from, in words, and what surveys a folder of it."""

    about: str
    layout: str
    source: str
    licence: str
    size: str
    survey: Callable[[Path | None], Survey]


SETS = {
    "shapenet": Described(
        about="renderings of 13 categories of ShapeNet, 24 views of some 43,800 objects, 64 x 64",
        layout="metadata.yaml and a folder for each category id, the archive called NMR_Dataset; or the older files "
        "CATEGORY_SPLIT_images.npz, with which one can train but not evaluate",
        source="the first is linked in the read-me of the code of Differentiable Volumetric Rendering (Niemeyer et "
        "al.), the second in those of the Neural 3D Mesh Renderer (Kato et al.) and of SoftRas (Liu et al.)",
        licence="ShapeNet's terms of use, which one accepts at its own site: research and education, not commercial",
        size="about 34 GB packed as it is published; 17 GB in our cache",
        survey=shapenet_survey.survey,
    ),
    "pix3d": Described(
        about="10,069 photographs of furniture in 9 categories with 395 CAD models",
        layout="pix3d.json with the folders img, mask and model; beside them, if you have it, the folder lists of "
        "ShapeClipper's processed archive, which holds the split that the paper used, or that archive itself",
        source="the project page of Pix3D (Sun et al., MIT), whose repository has a download script; the lists are in "
        "the processed archive that the read-me of ShapeClipper (Huang et al.) links",
        licence="CC BY 4.0",
        size="about 4 GB; 0.2 GB in our cache",
        survey=pix3d_survey.survey,
    ),
    "pascal3d": Described(
        about="photographs of VOC 2012 and ImageNet in 12 classes with viewpoints and 79 CAD models",
        layout="release 1.1: the folders Annotations, Images, CAD and PASCAL/VOCdevkit/VOC2012/ImageSets/Main",
        source="the project page of Pascal3D+ (Xiang et al., Stanford), whose link is often reported dead; the code of "
        "Unicorn (Monnier et al.) has a script with the same link",
        licence="none is stated; photographs under the terms of VOC 2012 (Flickr's) and of ImageNet: research only",
        size="about 8 GB; 0.5 GB in our cache",
        survey=pascal3d_survey.survey,
    ),
}


SAID = {True: "holds", False: "FAILS", None: "note"}  # of a proof


def describe(name: str | None = None) -> Iterator[str]:
    """What is known of one of the data sets that are not embedded, or of all of them."""
    for key in [_archive(name)] if name else SETS:
        entry = SETS[key]
        yield f"{key}: {entry.about}"
        yield f"  what it is    {entry.layout}"
        yield f"  where         {entry.source}"
        yield f"  licence       {entry.licence}"
        yield f"  size          {entry.size}"
        yield f"  then          msrn data check {key} --root FOLDER"


def check(name: str, root: Path | None) -> Iterator[str]:
    """The report, line by line; a ``MsrnError`` at its end when the folder cannot be used as it is."""
    survey = SETS[_archive(name)].survey(root)
    yield f"{name} in {root}: {survey.form}"
    yield from _counts(survey)
    problems, seconds = _read_all(name, survey)
    yield f"files: all read, {len(problems):,} missing or unreadable"
    yield from _listed(problems)
    if survey.left_out:
        yield f"images left out of the packing: {len(survey.left_out):,}"
        yield from _listed(survey.left_out)
    if survey.unread:
        yield f"there and in no split: {len(survey.unread):,}"
        yield from _listed(survey.unread)
    failed = 0
    if not problems:
        for proof in survey.proofs():
            failed += proof.holds is False
            yield f"{SAID[proof.holds]}: {proof.text}"
    yield _cost(survey, seconds)
    if problems or failed:
        counted = f"{len(problems):,} bad files, {failed} conventions that fail"
        raise MsrnError(f"{root} cannot be used, see above: {counted}")


def _listed(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines[:SHOWN])
    if len(lines) > SHOWN:
        yield f"  and {len(lines) - SHOWN:,} more"


def _archive(name: str) -> str:
    if name not in SETS:
        raise MsrnError(f"unknown archive {name!r}{did_you_mean(name, SETS)}: expected one of {', '.join(SETS)}")
    return name


def _counts(survey: Survey) -> Iterator[str]:
    yield f"  {'split':<7} {'category':<14} {survey.counted:>10} {'published':>10}"
    for split in dict.fromkeys(part.split for part in survey.parts):
        mine = [part for part in survey.parts if part.split == split]
        for part in mine:
            yield _count(split, part.category, part.count, part.published)
        published = [part.published for part in mine]
        yield _count(split, "all", sum(part.count for part in mine), None if None in published else sum(published))


def _count(split: str, category: str, count: int, published: int | None) -> str:
    expected = "–" if published is None else f"{published:,}"
    return f"  {split:<7} {category:<14} {count:>10,} {expected:>10}{'  differs' * (published not in (None, count))}"


def _read_all(name: str, survey: Survey) -> tuple[list[str], float]:
    """What is wrong with any file, and the seconds that reading took."""
    problems = dict.fromkeys(survey.torn)  # a model that is missing is missed by every photograph of it
    start = time.perf_counter()
    pool = ThreadPoolExecutor(WORKERS)
    try:
        with tqdm(total=sum(part.images for part in survey.parts), desc=name, unit="image", unit_scale=True) as bar:
            for part in survey.parts:
                for lines in pool.map(lambda unit: unit(), part.units):
                    problems |= dict.fromkeys(lines)
                    bar.update(part.images / len(part.units))
    finally:
        pool.shutdown(cancel_futures=True)
    return list(problems), time.perf_counter() - start


def _cost(survey: Survey, seconds: float) -> str:
    images = sum(part.images for part in survey.parts)
    folder = cache_folder()
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    free = shutil.disk_usage(existing).free
    short = "" if free > images * BYTES else ", which is too little: set MSRN_CACHE to a folder with more"
    writable = "" if os.access(existing, os.W_OK) else "; it is NOT WRITABLE: set MSRN_CACHE to one that is"
    return (
        f"packing: {images:,} images take {images * BYTES / 1e9:,.1f} GB in {folder} ({free / 1e9:,.1f} GB free{short})"
        f"{writable} and, as fast as they were read now, {seconds / 60:,.1f} minutes, once"
    )

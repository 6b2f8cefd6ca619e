"""What ``data check`` finds in an archive of Pascal3D+."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from msrn.data.archives.reading import is_folder, listing, open_root
from msrn.data.archives.survey import Part, Proof, Survey, iou_proof, problems_of, spread
from msrn.data.ground_truth import GroundTruth
from msrn.data.pascal3d import reader as pascal3d
from msrn.data.pascal3d.annotations import Thing, folders_of, photographs_in, voc_ids
from msrn.data.pascal3d.reader import CLASSES, NAME

LEAST_IOU = 0.6  # of the boxes of projected models and the annotated ones, mean over the sample
SAMPLE, POINTS = 60, 5_000


def survey(root: Path | None) -> Survey:
    """Of the folder ``root``."""
    root = pascal3d._checked(open_root(NAME, root))
    pascal3d.key_of(root, "test", CLASSES)  # all folders are there
    sifted = {split: pascal3d.usable(root, split, CLASSES) for split in ("train", "test")}
    parts = []
    for split, each in sifted.items():
        for category in CLASSES:
            mine = [thing for thing in each.things if thing.category == category]
            parts.append(Part(split, category, len(mine), len(mine), [partial(_problems, root, t) for t in mine]))
    coarse = sum(each.coarse for each in sifted.values())
    form = "split by CMR's rule, without its filter by structure from motion; no masks, so that images are raw"
    form += f"; {coarse:,} objects {pascal3d.PASSED}"
    left_out = [line for each in sifted.values() for line in each.left_out]
    torn = [line for each in sifted.values() for line in each.torn]
    return Survey(form, "objects", parts, partial(_proofs, root, sifted["test"].things), left_out, torn, _unread(root))


def _unread(root: Path) -> list[str]:
    """Photographs without annotation, annotations that the lists of VOC leave out, and folders of no class."""
    known, listed = [folder.name for folder in folders_of(root, CLASSES)], voc_ids(root, "train") | voc_ids(root, "val")
    lines = []
    for part in ("Annotations", "Images"):
        others = [name for name in listing(root / part) if name not in known and is_folder(root / part / name)]
        lines += [f"{part}/{name} is of none of the {len(CLASSES)} classes" for name in others]
    for folder in known:
        stems, images = set(photographs_in(root, folder)), root / "Images" / folder
        for file in listing(images) if is_folder(images) else ():
            stem, suffix = os.path.splitext(file)
            if suffix.lower() in (".jpg", ".jpeg") and stem[0] != "." and stem not in stems:
                lines.append(f"Images/{folder}/{file} has no annotation")
        for stem in sorted(stems) if folder.endswith("_pascal") else ():
            if stem not in listed:
                lines.append(f"Annotations/{folder}/{stem}.mat is of a photograph in neither train.txt nor val.txt")
    return lines


def _problems(root: Path, thing: Thing) -> list[str]:
    model = partial(pascal3d._truth, root, thing.category, thing.cad)
    return problems_of((partial(pascal3d.read_crop, root, thing), model))


def _proofs(root: Path, things: Sequence[Thing]) -> Iterator[Proof]:
    overlaps = [_overlap(root, thing) for thing in spread(things, SAMPLE)]
    yield iou_proof("models, seen from their viewpoints, fill the annotated boxes", overlaps, "objects", LEAST_IOU)


def _overlap(root: Path, thing: Thing) -> float:
    """IoU of the annotated box with that of the projected model."""
    vertices, faces = pascal3d.read_cad(root, thing.category, thing.cad)
    surface = GroundTruth(vertices, faces, np.zeros((len(faces), 3), np.uint8)).points(POINTS, seed=0)
    pixels = pascal3d.points_in_photograph(thing, surface.astype(np.float64))[:, :2]
    low, high = np.array(thing.box[:2]), np.array(thing.box[2:])
    common = np.prod(np.clip(np.minimum(pixels.max(0), high) - np.maximum(pixels.min(0), low), 0, None))
    return float(common / (np.prod(np.ptp(pixels, 0)) + np.prod(high - low) - common))

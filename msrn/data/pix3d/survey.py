"""What ``data check`` finds in an archive of Pix3D."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from msrn.data.archives.meshes import read_mesh
from msrn.data.archives.pack import SIZE
from msrn.data.archives.reading import is_folder, listing, open_root, read_picture
from msrn.data.archives.survey import Part, Proof, Survey, dots_mask, iou_proof, overlap, problems_of, spread
from msrn.data.ground_truth import GroundTruth
from msrn.data.pix3d import reader as pix3d
from msrn.data.pix3d.annotations import NAME, Archive, Photograph

LEAST_IOU = 0.75  # of projected models and masks, mean over the sample: the archive's poses were fitted by hand
SAMPLE, POINTS = 24, 100_000
PICTURES = (".png", ".jpg", ".jpeg")
IMAGES = 10_069  # published, as are
CHAIRS = 2894  # of the official evaluation: neither truncated nor occluded, also not slightly


def survey(root: Path | None) -> Survey:
    """Of the folder ``root``; a ``pix3d.json`` that cannot be read is an error."""
    archive = pix3d.read_archive(open_root(NAME, root))
    by = "the lists of ShapeClipper" if archive.official else "a split of ours, by CAD model: no lists are there"
    form = f"{'processed by ShapeClipper' if archive.clouds else 'the official archive'}, {by}"
    if not archive.official:
        whole = sum(len(photos) for photos in archive.splits.values())
        form += f"; {len(archive.annotated) - whole:,} truncated or occluded images are in none"
    if not archive.masks:
        form += "; without masks, so that images are raw"
    unread = _unread(archive)
    sifted = {split: pix3d.usable(archive, split) for split in archive.splits}
    archive = replace(archive, splits={split: tuple(photos) for split, (photos, _) in sifted.items()})
    left_out = [line for _, faults in sifted.values() for line in faults]
    parts = []
    for split, photos in archive.splits.items():
        for category in archive.categories:
            mine = [photo for photo in photos if photo.category == category]
            parts.append(Part(split, category, len(mine), len(mine), [partial(_problems, archive, p) for p in mine]))
    return Survey(form, "images", parts, partial(_proofs, archive), left_out, archive.torn, unread)


def _unread(archive: Archive) -> list[str]:
    """Pictures that no annotation or list names, and annotations that no list names."""
    folder, lines = f"img{'_processed' * archive.clouds}", []
    why = "is in none of the lists" if archive.clouds else "has no annotation in pix3d.json"
    images = archive.root / folder
    for category in listing(images) if is_folder(images) else ():
        for file in listing(images / category) if is_folder(images / category) else ():
            name, suffix = os.path.splitext(file)
            if suffix.lower() in PICTURES and name[0] != "." and f"{category}/{name}" not in archive.annotated:
                lines.append(f"{folder}/{category}/{file} {why}")
    if archive.official and not archive.clouds:
        listed = {photo.object_id for photos in archive.splits.values() for photo in photos}
        lines += [f"{name} is annotated and in none of the lists" for name in sorted(archive.annotated - listed)]
    return lines


def _problems(archive: Archive, photo: Photograph) -> list[str]:
    truth = pix3d.Pix3DTruth(archive.root, {photo.object_id: photo}, archive.clouds, np.zeros((1, 3)))
    readers = (partial(pix3d.read_photograph, archive.root, photo, archive.masks), partial(truth.mesh, photo.object_id))
    return problems_of(readers)


def _proofs(archive: Archive) -> Iterator[Proof]:
    chairs = sum(photo.category == "chair" and photo.whole for split in archive.splits.values() for photo in split)
    if not archive.clouds:  # which holds the categories that somebody processed
        yield Proof(f"{len(archive.annotated):,} images are annotated; the published archive has {IMAGES:,}", None)
    yield Proof(f"{chairs:,} chairs are neither truncated nor occluded; the official evaluation has {CHAIRS:,}", None)
    if not archive.clouds:
        yield Proof("models are .obj, and one that was cut off behind a face cannot be told from a whole one", None)
    if archive.clouds or not archive.masks:
        yield Proof("poses are taken on trust: without boxes or without masks nothing can prove them", None)
        return
    photos = [photo for photo in archive.splits["test"] if photo.whole]
    overlaps = [_overlap(archive.root, photo) for photo in spread(photos, SAMPLE)]
    yield iou_proof("models, seen by their photographs' cameras, cover the masks", overlaps, "images", LEAST_IOU)


def _overlap(root: Path, photo: Photograph) -> float:
    picture = read_picture(root, root / photo.image, "RGB")
    vertices, faces = read_mesh(root, root / photo.model)
    surface = GroundTruth(vertices, faces, np.zeros((len(faces), 3), np.uint8)).points(POINTS, seed=0)
    dots = pix3d.points_in_crop(photo, surface.astype(np.float64), (picture.shape[1], picture.shape[0]))
    return overlap(dots_mask(dots, SIZE), pix3d.read_photograph(root, photo, True)[1])

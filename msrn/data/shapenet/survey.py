"""What ``data check`` finds in an archive of the ShapeNet renderings, in either form."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from msrn.data.archives.arrays import check_arrays
from msrn.data.archives.pack import SIZE
from msrn.data.archives.reading import SHOWN, exists, is_folder, listing, open_root
from msrn.data.archives.survey import Part, Proof, Survey, iou_proof, overlap, points_mask, problems_of, white_outside
from msrn.data.shapenet import files, npz
from msrn.data.shapenet import reader as shapenet
from msrn.data.shapenet.files import VIEWS
from msrn.data.shapenet.reader import CATEGORIES, NAME, SPLITS

LEAST_IOU = 0.9  # of projected true points and masks, mean over the sample
LEAST_WHITE = 0.95
SAMPLED_VIEWS = (0, 5, 11, 18)


def survey(root: Path | None) -> Survey:
    """Of the folder ``root``; what keeps its lists from being read is an error."""
    root = open_root(NAME, root)
    if not exists(root / "metadata.yaml") and npz.is_archive(root):
        return _npz_survey(root)
    published = Counter(folder for folder, _ in shapenet.test_views())
    parts = [
        Part(
            split,
            entry.category,
            len(entry.objects),
            len(entry.objects) * VIEWS,
            [partial(_problems, root, f"{root}/{entry.folder}/{name}") for name in entry.objects],
            published[entry.folder] if split == "test" else None,
        )
        for split in SPLITS
        for entry in shapenet.read_lists(root, split, SHOWN)
    ]
    absent = [folder for folder in CATEGORIES if CATEGORIES[folder] not in {part.category for part in parts}]
    parts += [Part("test", CATEGORIES[folder], 0, 0, [], published[folder]) for folder in absent]
    return Survey("the folder archive", "objects", parts, partial(_proofs, root), unread=_unread(root))


def _unread(root: Path) -> list[str]:
    """Objects that no list names, and categories that ``metadata.yaml`` does not."""
    listed: dict[str, set[str]] = {}
    for entry in (entry for split in SPLITS for entry in shapenet.read_lists(root, split)):
        listed.setdefault(entry.folder, set()).update(entry.objects)
    others = [name for name in listing(root) if name in CATEGORIES and name not in listed]
    lines = [f"{name} ({CATEGORIES[name]}) is not in metadata.yaml" for name in others]
    for folder, objects in listed.items():
        rest = [name for name in listing(root / folder) if name not in objects and is_folder(root / folder / name)]
        lines += [f"{folder}/{name} is in none of the lists" for name in rest]
    return lines


def _problems(root: Path, folder: str) -> list[str]:
    absent = problems_of([partial(listing, folder)])
    if absent:
        return absent  # one line, not one for each file
    cloud = {"points": (None, 3), "normals": (None, 3)}
    return problems_of(
        [
            partial(files.read_cameras, root, folder),
            partial(check_arrays, root, Path(folder, "pointcloud.npz"), cloud),
            *(partial(files.read_image, root, folder, view) for view in range(VIEWS)),
            *(partial(files.read_mask, root, folder, view) for view in range(VIEWS)),
        ]
    )


def _proofs(root: Path) -> Iterator[Proof]:
    """On some views of the first test object of each category."""
    overlaps, white, listed = [], [], []
    for entry in shapenet.read_lists(root, "test"):
        folder = f"{root}/{entry.folder}/{entry.objects[0]}"
        rotation, translation = files.read_cameras(root, folder)
        points, _ = files.read_points(root, folder)
        for view in SAMPLED_VIEWS:
            mask = files.read_mask(root, folder, view)
            projected = points_mask(points, rotation[view], translation[view], SIZE)
            overlaps.append(overlap(projected, mask))
            white.append(white_outside(files.read_image(root, folder, view), mask))
        listed += [(entry.folder, name) in shapenet.test_views() for name in entry.objects]
    convention = "true points, seen by the archive's cameras in our frame, cover the masks"
    yield iou_proof(convention, overlaps, "views", LEAST_IOU)
    yield _white(white)
    yield Proof(
        f"{sum(listed):,} of {len(listed):,} test objects have a published test view, the others their own", None
    )


def _white(shares: list[float]) -> Proof:
    share = float(np.mean(shares))
    return Proof(f"{share:.1%} of the background of {len(shares)} images is white", share > LEAST_WHITE)


def _npz_survey(root: Path) -> Survey:
    parts = []
    for split in SPLITS:
        for category, path in npz.find_files(root, split, CATEGORIES).items():
            count = npz.count_objects(root, path)
            parts.append(Part(split, category, count, count * VIEWS, [partial(_npz_problems, root, path)]))
    used = {path.name for split in SPLITS for path in npz.find_files(root, split, CATEGORIES).values()}
    others = sorted({path.name for path in root.glob("*_images.npz")} - used)
    unread = [f"{name} is of none of the 13 categories and three splits" for name in others]
    form = "the .npz form, which has no true surfaces and poses"
    return Survey(form, "objects", parts, partial(_npz_proofs, root), unread=unread)


def _npz_problems(root: Path, path: Path) -> list[str]:
    return problems_of([lambda: sum(1 for _ in npz.read_objects(root, path))])


def _npz_proofs(root: Path) -> Iterator[Proof]:
    """On the first test object of each category."""
    white = []
    for path in npz.find_files(root, "test", CATEGORIES).values():
        packed = next(iter(npz.read_objects(root, path)))
        white += [white_outside(255 - view[:3], view[3] > 127) for view in packed]
    yield _white(white)

"""pix3d: photographs of furniture with CAD models (§4.1), from the archive as it is published.

    ROOT/pix3d.json                     a list of images: img, mask, category, model, bbox, rot_mat, trans_mat, ...
    ROOT/img/CATEGORY/0001.jpg  ROOT/mask/CATEGORY/0001.png  ROOT/model/CATEGORY/NAME/model.obj

or as ShapeClipper [21] processed it, with square crops, single annotations and point clouds:

    ROOT/annotation/CATEGORY/0001.json  ROOT/img_processed/...  ROOT/mask_processed/...  ROOT/pointclouds/.../model.npy

Images are cut out at 1.2 times the longer edge of the box. Lists ``ROOT/lists/CATEGORY_SPLIT.txt``, one name a line,
are ShapeClipper's split, which the paper used; without them, or under the name ``pix3d-ours``, the split is ours and
the collection has that name: images that are neither truncated nor occluded, also not slightly, as in the official
evaluation, 70/10/20 by CAD model, so that no model is in two splits. With a mask for every image they are on white; in
an archive without the folder of masks they are raw, the last pixels repeated beyond their edges, and training needs
§3.1. A photograph whose mask is of another size, as the published archive has some, or that is itself of another size
than its annotation says, or in which its box does not lie, is left out, named and counted.

An object is what one photograph shows: that two photographs show one CAD model is part of the 3D annotation, which
training does not see. Every test image is evaluated. Poses are those of a camera that looks at the object.

The key of the packed cache is a digest of the annotations and the lists: other pictures under the same names are not
noticed (delete the cache then).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from msrn.data.archives.arrays import read_array
from msrn.data.archives.clouds import CloudTruth, centered_cloud
from msrn.data.archives.left_out import refuse_torn, sift, warn
from msrn.data.archives.meshes import centered, check_box, crop_of, cut, in_our_frame, on_white, read_mesh
from msrn.data.archives.pack import Piece, Plan, Window, columns_of, content_digest, open_packed
from msrn.data.archives.poses import angles, rows_of
from msrn.data.archives.reading import open_root, picture_size, read_picture
from msrn.data.collection import ImageCollection
from msrn.data.ground_truth import GroundTruth
from msrn.data.pix3d.annotations import NAME, Archive, Photograph, read_archive
from msrn.errors import MsrnError
from msrn.store.digest import digest_of

VERSION = 2  # raise it when packing changes
MARGIN = 1.2
TURN = np.diag([-1.0, 1.0, -1.0])  # models have x left, y up, z inward: their front is toward -z
IMAGES = 32  # of a piece of the packing


def open_split(split: str, root: Path | None = None, ours: bool = False) -> ImageCollection:
    """One split of the archive in the folder ``root``, packed into the cache if it is not there yet; with ``ours`` the
    lists are passed over."""
    archive = read_archive(open_root(NAME, root), ours)
    refuse_torn(archive.torn, f"{archive.name} {split}")
    content = [vars(photo) for photo in archive.splits[split]]
    key = digest_of(NAME, VERSION, archive.masks, archive.categories, content)
    arrays = open_packed(f"{NAME}-{split}", key, partial(_plan, archive, split))
    ids = arrays["object_id"].tolist()
    warn(arrays["left_out"], len(ids), f"{archive.name} {split}")
    photos = {photo.object_id: photo for photo in archive.splits[split]}
    return ImageCollection(
        name=archive.name,
        split=split,
        **columns_of(arrays),
        masks=arrays.get("masks"),
        categories=archive.categories,
        fingerprint=digest_of(archive.name, VERSION, content_digest(arrays), ids),
        evaluation_index=np.arange(len(ids)),
        _truth=Pix3DTruth(archive.root, {name: photos[name] for name in ids}, archive.clouds, arrays["pose"]),
    )


# ---------------------------------------------------------------------------------------------------------- the packing


def usable(archive: Archive, split: str) -> tuple[list[Photograph], list[str]]:
    """The photographs of a split that can be packed, and what is wrong with each of the others."""
    return sift(archive.splits[split], partial(_fault, archive), f"{archive.root}: {archive.name} {split}")


def _fault(archive: Archive, photo: Photograph) -> str:
    """What keeps a photograph from being used although all of its files may be whole."""
    try:
        size = picture_size(archive.root, archive.root / photo.image)
        mask = picture_size(archive.root, archive.root / photo.mask) if archive.masks else size
    except MsrnError:
        return ""  # it is torn or missing: packing names it
    if photo.size and size != photo.size:
        return _differs(photo.image, size, photo.size, "its img_size")
    if mask != size:
        return _differs(photo.mask, mask, size, "as its photograph is")
    try:
        check_box((0, 0, *size) if photo.box is None else photo.box, size, photo.object_id)
    except MsrnError as error:
        return str(error)
    return ""


def _differs(path: str, size: tuple[int, int], expected: tuple[int, int], why: str) -> str:
    return f"{path} is {size[0]} x {size[1]} pixels: expected {expected[0]} x {expected[1]}, {why}"


def _plan(archive: Archive, split: str) -> Plan:
    photos, left_out = usable(archive, split)
    groups = [photos[start : start + IMAGES] for start in range(0, len(photos), IMAGES)]
    return Plan(
        title=f"{archive.name} {split}",
        pieces=[Piece(len(group), partial(_fill, archive, group)) for group in groups],
        columns={
            "category": np.array([archive.categories.index(photo.category) for photo in photos]),
            "object_id": np.array([photo.object_id for photo in photos]),
            "view": np.zeros(len(photos), np.int64),
            "left_out": np.array(left_out, str),
        },
        masks=archive.masks,
    )


def _fill(archive: Archive, photos: Sequence[Photograph], window: Window) -> None:
    rows = window(0, len(photos))
    for number, photo in enumerate(photos):
        picture, mask = read_photograph(archive.root, photo, archive.masks)
        rows["images"][number] = picture
        rows["pose"][number] = pose_of(photo)
        if archive.masks:
            rows["masks"][number] = mask


def read_photograph(root: Path, photo: Photograph, masked: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """The crop (3, H, W) uint8, on white where there is a mask, and its mask (H, W) bool or None."""
    picture = read_picture(root, root / photo.image, "RGB")
    size, boxed = (picture.shape[1], picture.shape[0]), photo.box is not None
    box = check_box(photo.box, size, f"{root}: {photo.object_id}") if boxed else (0, 0, *size)
    square = crop_of(box, MARGIN if boxed else 1.0)
    if not masked:
        return cut(picture, square).transpose(2, 0, 1), None
    mask = read_picture(root, root / photo.mask, "L", size) > 127
    cover = cut(mask.astype(np.uint8) * 255, square, 0) > 127
    return cut(on_white(picture, mask), square, 255).transpose(2, 0, 1), cover


def points_in_crop(photo: Photograph, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where the photograph's camera sees points (P, 3) of its model: (P, 2) in -1..1 across the crop; ``size`` of the
    photograph is (width, height)."""
    x, y, z = (points @ np.array(photo.rotation).reshape(3, 3).T + photo.translation).T
    pixel = np.stack([size[0] / 2 - photo.focal * size[0] * x / z, size[1] / 2 - photo.focal * size[0] * y / z], 1)
    left, top, side = crop_of(photo.box, MARGIN)
    return (pixel - [left, top]) / side * 2 - 1


def camera_of(photo: Photograph) -> tuple[np.ndarray, np.ndarray]:
    """R (3, 3) and T (3,): x_camera = v R + T for vertices v that ``TURN`` has brought into our frame."""
    return TURN @ np.array(photo.rotation).reshape(3, 3).T, np.array(photo.translation)


def pose_of(photo: Photograph) -> np.ndarray:
    """Azimuth, elevation and roll (3,) of the camera that looks at the object."""
    return angles(centered(*camera_of(photo)))


# ------------------------------------------------------------------------------------------------------------ the truth


@dataclass(frozen=True, eq=False)
class Pix3DTruth:
    """Shapes and cameras, for evaluation: models are read from the archive when they are asked for."""

    root: Path
    photos: Mapping[str, Photograph]  # in the order of the packed images
    clouds: bool
    pose: np.ndarray  # (N, 3)

    def mesh(self, object_id: str) -> GroundTruth | CloudTruth:
        reader = _cloud if self.clouds else _model
        if object_id not in self.photos:
            raise MsrnError(f"{self.root}: {str(object_id)!r} is not among its {len(self.photos):,} objects")
        return reader(self.root, self.photos[object_id].model)

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        return np.asarray(self.pose[rows_of(object_id, np.array(list(self.photos)), self.root)])


@lru_cache(maxsize=64)  # photographs share models
def _model(root: Path, model: str) -> GroundTruth:
    return in_our_frame(*read_mesh(root, root / model), TURN)


@lru_cache(maxsize=64)
def _cloud(root: Path, model: str) -> CloudTruth:
    """``model/chair/NAME/model.obj`` has its points in ``pointclouds/chair/NAME/model.npy``."""
    path = root / "pointclouds" / Path(model.split("/", 1)[-1]).with_suffix(".npy")
    points = read_array(root, path, (None, 3)).astype(np.float64)
    if len(points) < 100 or not np.isfinite(points).all() or not np.ptp(points, 0).max() > 0:
        raise MsrnError(f"{path} holds {len(points)} points: expected at least 100 finite ones")
    return centered_cloud(points @ TURN)

"""What a trained network says about images: meshes (Eqs 1-6), the fit of their masks at the predicted pose, azimuths.

Tables and figures take all of it from ``predict``, which reads images, and masks for the fit alone.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from msrn import camera
from msrn.backbone import stored_inputs
from msrn.data import shapes_known
from msrn.data.collection import ImageCollection
from msrn.evaluation.metrics import pose_consistency
from msrn.evaluation.protocol import Mesh
from msrn.losses import mask_iou
from msrn.network import MSRN
from msrn.network.meshes import Reconstruction, stacked
from msrn.render import soft_rasterize

BATCH = 96
TURNS = (1, 2, 4)  # pose consistency forgives a constant; at 2 half turns too, at 4 quarter turns
POSE_UNIT = "resultant length of {} x (predicted - true azimuth) of a category, mean, 0 to 1"
SECTORS = 24  # of the circle, in maps from true to predicted azimuths
LOST = 0.1  # mask IoU below which a mesh has left its object
IMAGE_UNITS = {
    "mask_iou": "mean over all test images of a category, then over categories, 0 to 1",
    "lost": f"share of test images whose mask IoU is below {LOST}, mean over categories, 0 to 1",
    "empty": "share of test images for whose signed distance, nowhere below 0, the ellipsoid stands in, mean, 0 to 1",
    **{f"pose_m{m}": POSE_UNIT.format(m) for m in TURNS},
}


class Colored(NamedTuple):
    """A mesh with a colour a face. Meshes of one template share the very array of their faces."""

    vertices: np.ndarray  # (V, 3), in the network's own object frame
    faces: np.ndarray  # (F, 3)
    colors: np.ndarray  # (F, 3) uint8, the mean of each face's corners


@dataclass(frozen=True)
class Predictions:
    """Reconstructions of N images as numpy arrays."""

    meshes: list[Colored]  # N
    rotation: np.ndarray  # (N, 3, 3), object to camera
    azimuth: np.ndarray  # (N,) degrees
    mask_iou: np.ndarray  # (N,) of the mesh's mask at its predicted pose with the true one; NaN when there are no masks
    empty: np.ndarray  # (N,) bool, whether an ellipsoid stands in for a signed distance that is nowhere below 0

    def take(self, rows: Sequence[int]) -> "Predictions":
        """The predictions at ``rows``."""
        return Predictions([self.meshes[row] for row in rows], *(getattr(self, name)[rows] for name in ARRAYS))

    def meshes_in_true_frame(self, true_pose: np.ndarray) -> list[Mesh]:
        """Each mesh turned so that the camera of ``true_pose`` (N, 3 degrees) sees it as the network's own camera does:
        v R_predicted R_true^T. For evaluation only, as true poses are."""
        true = camera.rotation(*torch.from_numpy(true_pose).unbind(1)).numpy()  # (N, 3, 3)
        poses = zip(self.meshes, self.rotation, true.transpose(0, 2, 1), strict=True)
        return [(mesh.vertices @ ours @ theirs, mesh.faces) for mesh, ours, theirs in poses]


ARRAYS = [field.name for field in fields(Predictions) if field.name != "meshes"]


@torch.no_grad()
def reconstructions(
    network: MSRN, collection: ImageCollection, index: np.ndarray
) -> Iterator[tuple[np.ndarray, Reconstruction]]:
    """The images ``index`` (N,) a batch at a time: which they are, and what the network makes of them."""
    stored = stored_inputs(collection, network.settings)
    for start in range(0, len(index), BATCH):
        batch = index[start : start + BATCH]
        yield batch, network.reconstruct(torch.from_numpy(np.ascontiguousarray(stored[batch])))


@torch.no_grad()
def predict(network: MSRN, collection: ImageCollection, index: Sequence[int]) -> Predictions:
    """Reconstruct the images ``index`` (N,) of ``collection``."""
    parts, meshes, shared = [], [], {}
    for batch, shapes in reconstructions(network, collection, np.asarray(index, int)):
        masks = None if collection.masks is None else collection.true_masks()[batch]
        part = {name: getattr(shapes, name).cpu().numpy() for name in ("rotation", "azimuth", "empty")}
        parts.append(part | {"mask_iou": _fit(shapes, masks, network)})
        for mesh in shapes.meshes:
            faces = shared.setdefault(mesh.faces, mesh.faces.cpu().numpy())
            colors = (mesh.colors.mean(1) * 255).round().to(torch.uint8)
            meshes.append(Colored(mesh.vertices.cpu().numpy(), faces, colors.cpu().numpy()))
    predictions = Predictions(meshes, **{name: np.concatenate([part[name] for part in parts]) for name in ARRAYS})
    if empty := int(predictions.empty.sum()):
        said = f"{empty:,} of {len(meshes):,} images have a signed distance without an inside: the ellipsoid stands in"
        print(f"warning: {said}", file=sys.stderr, flush=True)
    return predictions


def _fit(shapes: Reconstruction, masks: np.ndarray | None, network: MSRN) -> np.ndarray:
    """(B,) IoU of the rendered masks, cut at one half, with ``masks`` (B, H, W) averaged to the network's size."""
    if masks is None:
        return np.full(len(shapes.meshes), np.nan)
    s, alphas, cameras = network.settings, [], zip(shapes.meshes, shapes.rotation, shapes.translation, strict=True)
    for _, alike in groupby(cameras, key=lambda one: id(one[0].faces)):  # all at once, where faces are shared
        meshes, *pose = zip(*alike, strict=True)
        projected = camera.project(stacked(meshes)[0], *map(torch.stack, pose))
        alphas.append(soft_rasterize(projected, meshes[0].faces, None, s.image_size, s.sigma, s.gamma)[1])
    alpha = torch.cat(alphas)
    true = torch.from_numpy(masks.astype(np.float32))[:, None]
    true = functional.interpolate(true, (s.image_size, s.image_size), mode="area")[:, 0] > 0.5
    return mask_iou((alpha > 0.5).cpu().numpy(), true.numpy())


def azimuth_maps(views: Predictions, test: ImageCollection) -> dict[str, list[int]]:
    """Test images of each category by true and predicted azimuth: counts in SECTORS x SECTORS, a true sector a row.

    Sector k is centred on k * 360 / SECTORS degrees. What a category takes for its front is its own choice.
    """
    true, predicted = (
        np.round(np.asarray(azimuth, np.float64) * SECTORS / 360).astype(int) % SECTORS
        for azimuth in (test.true_pose()[:, 0], views.azimuth)
    )
    maps = {}
    for term in np.unique(test.category):
        mine = test.category == term
        counts = np.bincount(true[mine] * SECTORS + predicted[mine], minlength=SECTORS**2)
        maps[f"azimuth.{test.categories[term]}"] = counts.tolist()
    return maps


def image_metrics(views: Predictions, test: ImageCollection, level_sets: bool = False) -> dict[str, float]:
    """Mask IoU, the share of lost images and, where poses are known, their consistency over all test images: macro
    means, and by category; of ``level_sets`` also how many are empty."""
    known = shapes_known(test.name)
    true = test.true_pose()[:, 0] if known else None
    rows = {test.categories[term]: np.flatnonzero(test.category == term) for term in np.unique(test.category)}
    measures = {
        "mask_iou": lambda where: float(views.mask_iou[where].mean()),
        "lost": lambda where: float(np.where(np.isnan(views.mask_iou), np.nan, views.mask_iou < LOST)[where].mean()),
    }
    if level_sets:
        measures["empty"] = lambda where: float(views.empty[where].mean())
    for m in TURNS if known else ():
        measures[f"pose_m{m}"] = lambda where, m=m: pose_consistency(views.azimuth[where], true[where], m)
    flat = {}
    for metric, measure in measures.items():
        values = {name: measure(where) for name, where in rows.items()}
        flat[metric] = float(np.mean(list(values.values())))
        flat |= {f"{metric}.category.{name}": value for name, value in values.items()}
    return flat

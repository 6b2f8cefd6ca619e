"""What a trained network says about images: meshes (Eqs 1-6), the fit of their masks at the predicted pose, azimuths.

Tables and figures take all of it from ``predict``, which reads images, and masks for the fit alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch.nn import functional

from msrn import camera
from msrn.backbone import stored_inputs
from msrn.data.collection import ImageCollection
from msrn.evaluation.metrics import pose_consistency
from msrn.evaluation.protocol import Mesh
from msrn.losses import mask_iou
from msrn.network import MSRN, Reconstruction
from msrn.render import soft_rasterize

BATCH = 96
TURNS = (1, 2, 4)  # pose consistency forgives a constant; at 2 half turns too, at 4 quarter turns
POSE_UNIT = "resultant length of {} x (predicted - true azimuth) of a category, mean, 0 to 1"
SECTORS = 24  # of the circle, in maps from true to predicted azimuths
LOST = 0.1  # mask IoU below which a mesh has left its object
IMAGE_UNITS = {
    "mask_iou": "mean over all test images of a category, then over categories, 0 to 1",
    "lost": f"share of test images whose mask IoU is below {LOST}, mean over categories, 0 to 1",
    **{f"pose_m{m}": POSE_UNIT.format(m) for m in TURNS},
}


@dataclass(frozen=True)
class Predictions:
    """Reconstructions of N images as numpy arrays; all share the faces of the template."""

    faces: np.ndarray  # (F, 3)
    vertices: np.ndarray  # (N, V, 3), in the network's own object frame
    face_colors: np.ndarray  # (N, F, 3) uint8, the mean of each face's corners
    rotation: np.ndarray  # (N, 3, 3), object to camera
    azimuth: np.ndarray  # (N,) degrees
    mask_iou: np.ndarray  # (N,) of the mesh's mask at its predicted pose with the true one; NaN when there are no masks

    def take(self, rows: Sequence[int]) -> "Predictions":
        """The predictions at ``rows``."""
        return Predictions(self.faces, **{name: getattr(self, name)[np.asarray(rows)] for name in PER_IMAGE})

    def meshes_in_true_frame(self, true_pose: np.ndarray) -> list[Mesh]:
        """Each mesh turned so that the camera of ``true_pose`` (N, 3 degrees) sees it as the network's own camera does:
        v R_predicted R_true^T. For evaluation only, as true poses are."""
        true = camera.rotation(*torch.from_numpy(true_pose).unbind(1)).numpy()  # (N, 3, 3)
        return [(vertices, self.faces) for vertices in self.vertices @ self.rotation @ true.transpose(0, 2, 1)]


PER_IMAGE = [field.name for field in fields(Predictions) if field.name != "faces"]


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
    parts = []
    for batch, shapes in reconstructions(network, collection, np.asarray(index, int)):
        masks = None if collection.masks is None else collection.true_masks()[batch]
        part = {name: getattr(shapes, name) for name in ("vertices", "rotation", "azimuth")}
        part["face_colors"] = (shapes.face_colors.mean(2) * 255).round().to(torch.uint8)
        part = {name: values.cpu().numpy() for name, values in part.items()}
        parts.append(part | {"mask_iou": _fit(shapes, masks, network)})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in PER_IMAGE}
    return Predictions(faces=network.faces.cpu().numpy(), **joined)


def _fit(shapes: Reconstruction, masks: np.ndarray | None, network: MSRN) -> np.ndarray:
    """(B,) IoU of the rendered masks, cut at one half, with ``masks`` (B, H, W) averaged to the network's size."""
    if masks is None:
        return np.full(len(shapes.vertices), np.nan)
    s = network.settings
    alpha = soft_rasterize(shapes.projected(), shapes.faces, None, s.image_size, s.sigma, s.gamma)[1]
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


def image_metrics(views: Predictions, test: ImageCollection) -> dict[str, float]:
    """Mask IoU, the share of lost images and pose consistency over all test images: macro means, and by category."""
    true = test.true_pose()[:, 0]
    rows = {test.categories[term]: np.flatnonzero(test.category == term) for term in np.unique(test.category)}
    measures = {
        "mask_iou": lambda where: float(views.mask_iou[where].mean()),
        "lost": lambda where: float(np.where(np.isnan(views.mask_iou), np.nan, views.mask_iou < LOST)[where].mean()),
    }
    for m in TURNS:
        measures[f"pose_m{m}"] = lambda where, m=m: pose_consistency(views.azimuth[where], true[where], m)
    flat = {}
    for metric, measure in measures.items():
        values = {name: measure(where) for name, where in rows.items()}
        flat[metric] = float(np.mean(list(values.values())))
        flat |= {f"{metric}.category.{name}": value for name, value in values.items()}
    return flat

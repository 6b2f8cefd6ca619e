"""From photographs to textured meshes by a packed network: mask -> frame -> network (the left part of Figure 1a).

Everything is as in training: photographs of 128 pixels (``data.photo_folder``), masks by U2-Net-p and the perceptron's
cues, or given; the mask's box with its margin, on white, at 64 pixels; then Eqs 1-6. Costs O(N): half a second of one
core a photograph for U2-Net-p, a tenth for the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from msrn import camera
from msrn.data.drawing import zbuffer
from msrn.foreground.pipeline import SIZE
from msrn.foreground.refinement import cut_out, square_box
from msrn.foreground.saliency import Saliency
from msrn.foreground.segmenter import Segmenter
from msrn.losses import mask_iou
from msrn.neighbors.features import load_lite
from msrn.network.meshes import Reconstruction, Textured
from msrn.reconstruct import confidence
from msrn.reconstruct.packed import Packed
from msrn.reconstruct.photographs import Photograph

CHANGES = ((0.06, 0, 1, 1), (-0.06, 0, 1, 1), (0, 0.06, 1, 1), (0, -0.06, 1, 1), (0, 0, 1.08, 1), (0, 0, 0.93, 0.9))
"""Small changes of a photograph: shifts in half images, size, brightness."""


@dataclass(frozen=True)
class Found:
    """What was made of a photograph."""

    mask: np.ndarray  # (S, S) bool, in the square of the photograph
    given: bool  # whether the mask was given
    box: tuple[float, float, float, float]  # what the network saw of it, in pixels of the square
    category: str  # the likeliest by the perceptron's class scores; without one, that of the most familiar images
    vertices: np.ndarray  # (V, 3), the object's own frame: y up, longest edge about 1
    faces: np.ndarray  # (F, 3)
    corner_colors: np.ndarray  # (F, 3, 3) in 0..1, of each face's corners, as on a screen (sRGB)
    rotation: np.ndarray  # (3, 3), object to camera
    translation: np.ndarray  # (3,)
    azimuth: float  # degrees, from what the category takes for its front
    signs: dict[str, float]  # ``confidence.SIGNS``
    confidence: float | None
    doubts: list[str]


class Reconstructor(Segmenter):
    """Photographs to meshes, with the network of a file."""

    def __init__(self, packed: Packed) -> None:
        self.packed, self.settings, self.perceptron = packed, packed.settings, packed.perceptron
        self.saliency = Saliency()
        self.embed, _ = load_lite("cpu")

    def __call__(self, photographs: Sequence[Photograph], soft: np.ndarray | None = None) -> list[Found]:
        """What is made of each photograph. ``soft`` (N, S, S) are U2-Net's maps of them, where a caller has them."""
        images = np.stack([one.image for one in photographs])
        masks = self._masks_of(images, photographs, soft)
        cut = cut_out(images, masks, masks, SIZE)
        shapes, signs, nearest = self._look(cut.images, cut.masks)
        terms = nearest if self.perceptron is None else self._likeliest(images)
        sure = self.packed.calibration.confidence(signs)
        boxes = [square_box(mask) for mask in masks]
        named = [dict(zip(confidence.SIGNS, row.tolist(), strict=True)) for row in signs]
        found = []
        for k, one in enumerate(photographs):
            certain = None if sure is None else float(sure[k])
            doubts = confidence.doubts_of_mask(masks[k], one.inside)
            doubts += confidence.doubts_of_result(named[k], certain, self.packed.calibration)
            made = Found(
                mask=masks[k],
                given=one.mask is not None,
                box=boxes[k],
                category=self.packed.categories[terms[k]],
                vertices=shapes.meshes[k].vertices.numpy(),
                faces=shapes.meshes[k].faces.numpy(),
                corner_colors=shapes.meshes[k].colors.numpy(),
                rotation=shapes.rotation[k].numpy(),
                translation=shapes.translation[k].numpy(),
                azimuth=float(shapes.azimuth[k]),
                signs=named[k],
                confidence=certain,
                doubts=doubts,
            )
            found.append(made)
        return found

    def strengths(self, images: np.ndarray, soft: np.ndarray | None = None) -> np.ndarray:
        """What speaks for the foreground of photographs (N, 3, S, S), (N, S, S) in 0..1: at least one half is the mask.
        ``soft`` are U2-Net's maps of them; else they are computed, and kept nowhere."""
        if soft is None:
            soft = np.stack([self.saliency.soft_map(image) for image in images])
        by_cues = self.perceptron is not None
        return self.strength(soft, self.cues(images, None)) if by_cues else soft / np.float32(255)

    def _masks_of(self, images: np.ndarray, photographs: Sequence[Photograph], soft: np.ndarray | None) -> np.ndarray:
        """Masks (N, S, S) bool: given ones, else found ones, inside the photographs alone."""
        masks = np.zeros((len(images), *images.shape[2:]), bool)
        found = [row for row, one in enumerate(photographs) if one.mask is None]
        if found:
            masks[found] = self.strengths(images[found], None if soft is None else soft[found]) >= 0.5
        for row, one in enumerate(photographs):
            if one.mask is not None:
                masks[row] = one.mask
            else:
                masks[row][one.outside] = False
        return masks

    @torch.inference_mode()
    def _likeliest(self, images: np.ndarray) -> np.ndarray:
        """The categories (N,) of photographs (N, 3, S, S) by the perceptron, as for its cues."""
        pixels = torch.from_numpy(images).float() / 255
        return self.perceptron.scores(self.perceptron.features(pixels)).mean((2, 3)).argmax(1).numpy()

    @torch.inference_mode()
    def _look(self, images: np.ndarray, masks: np.ndarray) -> tuple[Reconstruction, np.ndarray, np.ndarray]:
        """Reconstructions of N segmented images, the signs (N, 4) and the categories (N,) of the nearest centres."""
        network, pixels = self.packed.network, torch.from_numpy(images)
        shapes = network.reconstruct(pixels)
        turned, moved = [shapes.azimuth], []
        for change in CHANGES:
            other = network.reconstruct(changed(pixels, *change))
            turned.append(other.azimuth)
            moved.append(torch.stack([shift(*both) for both in zip(shapes.meshes, other.meshes, strict=True)]))
        features = functional.normalize(self.embed(pixels.float() / 255)).numpy()
        nearest = (features @ self.packed.centres.T).argmax(1)
        signs = [
            mask_iou(silhouettes(shapes, masks.shape[1]), masks),
            confidence.resultant(torch.stack(turned, 1).numpy()),
            1 - torch.stack(moved, 1).mean(1).numpy(),
            confidence.familiarity(features, self.packed.centres),
        ]
        return shapes, np.stack(signs, 1), self.packed.centre_category[nearest]


def changed(images: Tensor, right: float, down: float, size: float, light: float) -> Tensor:
    """Images (N, 3, S, S) uint8 on white, moved, enlarged and darkened a little: (N, 3, S, S) in 0..1."""
    matrix = torch.tensor([[1 / size, 0, -right / size], [0, 1 / size, -down / size]])
    grid = functional.affine_grid(matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    moved = functional.grid_sample(1 - images.float() / 255, grid, align_corners=False)  # beyond the border 0: white
    return 1 - moved if light == 1 else torch.where(moved.sum(1, keepdim=True) > 0, (1 - moved) * light, 1.0)


def silhouettes(shapes: Reconstruction, size: int) -> np.ndarray:
    """Masks (N, size, size) bool of N meshes at their found poses."""
    each = zip(shapes.meshes, shapes.rotation.numpy(), shapes.translation.numpy(), strict=True)
    return np.stack([
        drawn(mesh.vertices.numpy(), *pose, mesh.faces.numpy(), np.full((len(mesh.faces), 3), 255, np.uint8), size)[1]
        for mesh, *pose in each
    ])  # fmt: skip


def shift(mesh: Textured, other: Textured) -> Tensor:
    """How far a shape went, in mean: each vertex to itself or, where meshes have faces of their own, to the nearest
    vertex of the other."""
    if mesh.faces is other.faces:
        return (other.vertices - mesh.vertices).norm(dim=1).mean()
    apart = torch.cdist(mesh.vertices, other.vertices, compute_mode="donot_use_mm_for_euclid_dist")  # exact near 0
    return apart.amin(1).mean()


def drawn(
    vertices: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    faces: np.ndarray,
    face_colors: np.ndarray,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """A mesh as the network's camera sees it: picture (3, size, size) uint8 on white, and mask (size, size) bool."""
    pose = torch.from_numpy(rotation), torch.from_numpy(translation)
    projected = camera.project(torch.from_numpy(vertices), *pose).numpy()
    images, masks = zbuffer.draw(
        projected[None], (vertices @ rotation + translation)[None], faces, face_colors, size, 3
    )
    return images[0], masks[0]

"""The camera multiplex, as in UCMR (Goel, Kanazawa and Malik, ECCV 2020): K cameras for each training image.

The cameras of an image are free parameters, remembered from step to step, not the output of a network. Camera k begins
at azimuth 360 k / K, at the elevation of the settings and at the usual distance. Then

    azimuth, elevation, roll    its start + (30, 30, 60) degrees times tanh of a parameter each
    translation                 its start + a parameter for each axis; along the line of sight it is UCMR's scale

Before the stage switch the mesh is the template and cameras alone learn, each from its own loss, as in UCMR's separate
start; after it they go on in pose steps. In shape steps the loss is the mean over the cameras, weighed by

    w = softmin_k PEAK (l_k - min l) / (max l - min l),    l = (l_mask + l_colour) / 2, each stretched to 0..1 alike,

the settled image by one camera, the unsettled by several. The pose branch learns the camera of most weight, for which
UCMR trains a network at the end, and which no test needs but to draw the mesh over its image.

Ranges, PEAK and the eight azimuths at one elevation are those that UCMR's public code has for cars. There a 3D model
from elsewhere is the template, here the mean of generated cars. Left out are its mirrored images, its mean shape that
learns, and its weights on how far and how unevenly a shape departs from it; the losses are those of the other rows.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from msrn import camera
from msrn.settings import Settings

RATE = 0.02
"""Adam's, of the cameras. UCMR's 1e-4 is for hundreds of epochs."""

ANGLES = (30.0, 30.0, 60.0)
PEAK = 20.0
SIZE = 6  # parameters of a camera


class Cameras(NamedTuple):
    """K cameras for each of B images."""

    azimuth: Tensor  # (B,K) degrees
    rotation: Tensor  # (B,K,3,3)
    translation: Tensor  # (B,K,3)


class Multiplex:
    """K cameras for each of N images, and their own optimiser, which moves those of the images in a batch alone."""

    def __init__(self, images: int, s: Settings, device: str) -> None:
        self.settings, k = s, s.pose_candidates
        self.values = nn.Embedding.from_pretrained(torch.zeros(images, k * SIZE, device=device), False, sparse=True)
        self.optimizer = torch.optim.SparseAdam(self.values.parameters(), RATE)
        self.angles = torch.tensor(ANGLES, device=device)
        first = [(360.0 / k * number, s.elevation, 0.0) for number in range(k)]
        self.first = torch.tensor(first, device=device)
        self.centre = torch.tensor((0.0, 0.0, camera.DISTANCE), device=device)

    def cameras(self, rows: Tensor) -> Cameras:
        """The cameras of the images ``rows`` (B,)."""
        values = self.values(rows).unflatten(1, (-1, SIZE))  # (B,K,6)
        angles = self.first + self.angles * torch.tanh(values[..., :3])
        return Cameras(angles[..., 0], camera.rotation(*angles.unbind(-1)), self.centre + values[..., 3:])

    def step(self) -> None:
        """Follow the gradient, which is of the images of the last batch."""
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict:
        return {"values": self.values.weight.detach(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict) -> None:
        with torch.no_grad():
            self.values.weight.copy_(state["values"])
        self.optimizer.load_state_dict(state["optimizer"])


def weights(terms: dict[str, Tensor]) -> Tensor:
    """w of each camera, (B,K), from the losses of Eq. 42; no gradient."""
    total, colour = terms["total"].detach(), terms["rgb"].detach()
    loss = (_stretched(total - colour) + _stretched(colour)) / 2
    return torch.softmax(-PEAK * _stretched(loss), 1)


def _stretched(loss: Tensor) -> Tensor:
    """(B,K) with 0 for the least and 1 for the largest of each row."""
    low, high = loss.amin(1, keepdim=True), loss.amax(1, keepdim=True)
    return (loss - low) / (high - low).clamp_min(1e-6)

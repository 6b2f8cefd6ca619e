"""Azimuths modulo a quarter or half a turn, from the directions of edges alone (no section of the paper).

    h_i   histogram of the directions of the image's gradients on object i and its outline; square roots, unit length
    W_ij  1 where j of another object is among the third of all images whose h is nearest to h_i, or i's to h_j
    u, v  second and third eigenvector of D^-1/2 W D^-1/2, over the square root of the degrees D
    phi   arctan2(v, u), then its rank, spread evenly over a turn

Where a silhouette says how large a box is before it says from where it is seen, its edges still say the latter: as one
goes around the object, h goes around a ring, twice where opposite sides have like edges, four times where all do. So
phi is 2 or 4 times the azimuth, up to its sign and a turn. There is a ring where the two eigenvectors belong together:
their eigenvalues are less than half as far apart as the second of them is from the next. Lamps, alike from all around,
have none. Costs O(n^2 BINS) a category of n images.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh
from torch.nn import functional

BINS = 36  # of gradients' directions
SIDE = 64  # to which larger images are brought, in pixels
SHARE = 3  # one in so many images is near
FEWEST = 24  # images of which a ring can be made out
BLOCK = 512  # images at once
WEIGHT = 2.0  # of the departure from a ring, beside the error of a silhouette
TURNS = 2, 4


class Ring(NamedTuple):
    """Azimuths times ``turns``, up to a turn."""

    angle: np.ndarray  # (n,) in radians
    turns: int

    def departure(self, azimuth: np.ndarray, azimuths: int) -> np.ndarray:
        """r, (n, azimuths): how far every azimuth of the circle is from the ring as it lies to these (n,)."""
        around = self.turns * 2 * np.pi * np.arange(azimuths) / azimuths
        ahead = np.angle(np.exp(1j * (around[azimuth] - self.angle)).mean())
        return (WEIGHT * (1 - np.cos(around - self.angle[:, None] - ahead))).astype(np.float32)


def possible_rings(images: np.ndarray, masks: np.ndarray, owner: np.ndarray) -> list[Ring]:
    """What the edges of a category's images (n, 3, H, W) with masks (n, H, W) of objects ``owner`` (n,) may mean: two
    or four times the azimuth, either way round; empty where they lie on no ring."""
    near = _near(directions(images, masks), owner)
    if near is None:
        return []
    degree = np.asarray(near.sum(1)).ravel()
    scale = sparse.diags(degree**-0.5)
    value, vector = eigsh(scale @ near @ scale, k=4, which="LA", v0=np.sqrt(degree))
    first, second, third = value[::-1][1:]
    if first - second > 0.5 * (second - third):
        return []
    u, v = (vector[:, ::-1][:, 1:3] / np.sqrt(degree)[:, None]).T
    angle = np.arctan2(v / v.std(), u / u.std())
    angle = angle.argsort(kind="stable").argsort() * (2 * np.pi / len(angle))
    return [Ring(way * angle, turns) for turns in TURNS for way in (1, -1)]


def directions(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """h (n, BINS) of images (n, 3, H, W) with masks (n, H, W)."""
    blocks = [slice(start, start + BLOCK) for start in range(0, len(images), BLOCK)]
    return np.concatenate([_histograms(images[block], masks[block]) for block in blocks])


def _histograms(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    grey, masks = (_small(values) for values in (images.mean(1, dtype=np.float32), masks))
    down, right = np.gradient(grey, axis=(1, 2))
    on = ndimage.binary_dilation(masks >= 0.5, ndimage.generate_binary_structure(2, 1)[None])
    at = np.arctan2(down, right) / (2 * np.pi) % 1 * BINS
    first = np.floor(at).astype(int)
    strength, share = np.hypot(down, right) * on, at - first  # of the bin after the first
    row = np.arange(len(grey))[:, None, None] * BINS
    sums = (
        np.bincount((row + (first + step) % BINS).ravel(), (strength * part).ravel(), len(grey) * BINS)
        for step, part in ((0, 1 - share), (1, share))
    )
    histogram = sum(sums).reshape(-1, BINS)
    return np.sqrt(histogram / np.maximum(histogram.sum(1, keepdims=True), 1e-9)).astype(np.float32)


def _small(values: np.ndarray) -> np.ndarray:
    """Images (n, H, W) at most SIDE pixels wide and high."""
    size = [min(side, SIDE) for side in values.shape[1:]]
    return functional.adaptive_avg_pool2d(torch.from_numpy(np.asarray(values, np.float32)), size).numpy()


def _near(h: np.ndarray, owner: np.ndarray) -> sparse.csr_matrix | None:
    """W, (n, n); None where images are too few or fall apart."""
    count = len(h)
    if count < FEWEST:
        return None
    same = owner[:, None] == owner
    near = np.argpartition(np.where(same, 2.0, -h @ h.T), count // SHARE, 1)[:, : count // SHARE]
    row = np.repeat(np.arange(count), near.shape[1])
    used = ~same[row, near.ravel()]  # a category of few objects offers fewer
    links = sparse.coo_matrix((np.ones(used.sum()), (row[used], near.ravel()[used])), (count, count)).tocsr()
    links = links + links.T
    return links if connected_components(links, directed=False)[0] == 1 else None

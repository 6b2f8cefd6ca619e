"""Azimuths modulo a quarter or half a turn, from the directions of edges alone (no section of the paper).

    h_i   histogram of the directions of the image's gradients on object i and its outline; square roots, unit length
    W_ij  how many of the two, i and j, have the other among the n / SHARE images of other objects with the nearest h
    u, v  second and third eigenvector of D^-1/2 W D^-1/2, each over D^1/2, with D the row sums, and over its spread
    phi   arctan2(v, u), then its rank, spread evenly over a turn

Where a silhouette says how large a box is before it says from where it is seen, its edges still say the latter: as one
goes around the object, h goes around a ring, twice where opposite sides have like edges, four times where all do. So
phi is 2 or 4 times the azimuth, up to its sign and a turn. A ring is taken for one where the two eigenvectors belong
together, their eigenvalues less than half as far apart as the second of them is from the next, and stand out from what
noise gives. That objects go around it is not shown by this alone: ``azimuths`` asks whether silhouettes bear it out.
Images without an edge lie on no ring. Costs O(n^2 BINS) a category of n images.

The constants were chosen on training images of procedural13 and homeware, where true azimuths say how right a ring is.
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
LEAST = 0.45  # third eigenvalue: noise has 0.27, rings from 0.59 on
BLOCK = 512  # images at once
WEIGHT = 2.0  # of the departure from a ring, beside the error of a silhouette
TURNS = 2, 4


class Ring(NamedTuple):
    """Azimuths times ``turns``, up to a turn."""

    angle: np.ndarray  # (n,) in radians, not a number where an image has no edge
    turns: int

    def departure(self, azimuth: np.ndarray, azimuths: int) -> np.ndarray:
        """r, (n, azimuths): how far every azimuth of the circle is from the ring as it lies to these (n,)."""
        around, known = self.turns * 2 * np.pi * np.arange(azimuths) / azimuths, np.isfinite(self.angle)
        ahead = np.angle(np.exp(1j * (around[azimuth] - self.angle))[known].mean())
        far = WEIGHT * (1 - np.cos(around - self.angle[:, None] - ahead))
        return np.where(known[:, None], far, 0.0).astype(np.float32)


def possible_rings(images: np.ndarray, masks: np.ndarray, rows: np.ndarray, owner: np.ndarray) -> list[Ring]:
    """What the edges of a category may mean: two or four times the azimuth, either way round; empty where they lie on
    no ring. Of the images (N, 3, H, W) and masks (N, H, W) the category's are ``rows`` (n,), of objects ``owner`` (n,).
    """
    h = directions(images, masks, rows)
    edged = h.any(1)
    near = _near(h[edged], owner[edged])
    if near is None:
        return []
    degree = np.asarray(near.sum(1)).ravel()
    scale = sparse.diags(degree**-0.5)
    start = np.random.default_rng(0).normal(size=len(degree))
    value, vector = eigsh(scale @ near @ scale, k=4, which="LA", v0=start)
    second, third, fourth = value[::-1][1:]
    if third < LEAST or second - third > 0.5 * (third - fourth):
        return []
    u, v = (vector[:, ::-1][:, 1:3] / np.sqrt(degree)[:, None]).T
    around = np.arctan2(v / v.std(), u / u.std())
    angle = np.full(len(rows), np.nan)
    angle[edged] = around.argsort(kind="stable").argsort() * (2 * np.pi / len(around))
    return [Ring(way * angle, turns) for turns in TURNS for way in (1, -1)]


def directions(images: np.ndarray, masks: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """h (n, BINS) of the images ``rows``, 0 without an edge; read in blocks, so that memory does not grow with them."""
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    return np.concatenate([_histograms(np.asarray(images[block]), masks[block]) for block in blocks])


def _histograms(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    grey, masks = (_small(values) for values in (images.mean(1, dtype=np.float32), masks))
    if min(grey.shape[1:]) < 2:  # a pixel has no gradient
        return np.zeros((len(grey), BINS), np.float32)
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
    """Images (n, H, W) at most SIDE pixels wide and high; those that are not square are squeezed, as the network's."""
    size = [min(side, SIDE) for side in values.shape[1:]]
    return functional.adaptive_avg_pool2d(torch.from_numpy(np.asarray(values, np.float32)), size).numpy()


def _near(h: np.ndarray, owner: np.ndarray) -> sparse.csr_matrix | None:
    """W, (n, n); None where there are too few images or they fall apart."""
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

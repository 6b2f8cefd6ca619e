"""From which side each image sees its object: azimuths found before training, category by category, from images alone.

Not in the paper, which learns azimuths from the reconstruction. That leaves open which of two opposite sides is the
front, decided for one azimuth at a time: the map from true to learned azimuths folds. Two facts decide it for a whole
category at once. Images that look alike, by spatial features, show their objects from the same side. And the
silhouettes of a category, each at its azimuth, must leave a shape that has these silhouettes (``hull``). A third is of
help where objects differ most in size, as boxes do: edges tell azimuths modulo a quarter or half a turn (``ring``). In
turns,

    e_ib    how far the hull's silhouette at azimuth b is from mask i, over the masks' own variance
    f_ib    mean cosine of image i with the images near azimuth b that show other objects
    r_ib    how far azimuth b is from the ring, for image i; 0 for a category without one
    c       P P e - w P f + w r,  where P averages over an image and its LOOK_ALIKES most similar of other objects
    a_i     argmin_b c_ib + v_b,  with v_b such that a category is seen evenly from all around
    hull    carved anew from the masks at a

from several starts: an ellipsoid, and random azimuths. First w = 0, until azimuths stay; then w = 1. Which of its
meanings a ring has, and which start is best, the least mean of e - w f + w r at the azimuths found says. A category
keeps one turn and no side of its own as the front. Where starts end in different orders, be it modulo half a turn,
there is no order to tell, and its azimuths are left to the reconstruction. Objects that look alike from two opposite
sides have no side that is the front, and any will do.

No pose, shape or other view of the same object is read: views of one object are never each other's look-alikes, nor
neighbours on the ring.
Costs O(n^2 D) a category of n images; beyond ``MOST`` images, those are ordered that a seed draws, and the others take
the azimuth that their look-alikes among these ask for.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch.nn import functional
from tqdm import tqdm

from msrn.backbone import spatial_features
from msrn.data.collection import ImageCollection
from msrn.neighbors import hull
from msrn.neighbors.hull import AZIMUTHS, SIDE, HullCamera
from msrn.neighbors.ring import Ring, possible_rings
from msrn.settings import Settings
from msrn.store.array_cache import Make, cached_arrays
from msrn.store.digest import code_digest, digest_of

LOOK_ALIKES = 10
STARTS = 8  # the ellipsoid and seven at random
KEPT = 6  # starts that go on with w = 1
ASKED = 2  # of these, by which the meaning of a ring is told
ROUNDS = 25, 10  # at most, with w = 0 and with w = 1
NEAR = 10.0  # degrees: spread of the weights by which f averages around an azimuth
AGREED = 0.65  # agreement of two orders from which on they are one
SHARPNESS = 0.3  # of c's spread, the softness at which evenness is measured
MOST = 3000
BLOCK = 512


class Images(NamedTuple):
    """What is known of n images of a category."""

    masks: np.ndarray  # (n, P)
    cosine: np.ndarray  # (n, n), 0 between views of one object
    others: np.ndarray  # (n, n), 1 where two images show different objects
    average: sparse.csr_matrix  # P, (n, n)


class Order(NamedTuple):
    """Azimuths of a category."""

    value: float  # mean of e - w f + w r, the less the better
    azimuth: np.ndarray  # (n,) of the circle
    cost: np.ndarray  # c, (n, AZIMUTHS)

    def agreement(self, other: "Order") -> float:
        """Covariance of the two as points of the circle, modulo half a turn, 0 to 1: a turn that all images share does
        not matter, and where all images are at one azimuth there is nothing that agrees."""
        one, two = (np.exp(4j * np.pi * order.azimuth / AZIMUTHS) for order in (self, other))
        return float(np.abs((one * two.conj()).mean() - one.mean() * two.mean().conj()))


def stored_azimuths(collection: ImageCollection, s: Settings, progress: bool = True) -> np.ndarray:
    """``find_azimuths`` of a collection, found once and then mapped from the cache."""
    about = s.elevation, s.ellipsoid

    def build(make: Make) -> None:
        features = spatial_features(collection, progress)
        views = collection.images, collection.masks, collection.category, collection.object_id
        make("azimuth", (len(collection),), "float32")[:] = find_azimuths(features, *views, *about, progress=progress)

    key = digest_of(collection.fingerprint, collection.category.tobytes(), code_digest(__name__), *about)
    return cached_arrays("azimuths", key, build)["azimuth"]


def find_azimuths(
    features: np.ndarray,
    images: np.ndarray,
    masks: np.ndarray,
    category: np.ndarray,
    object_id: np.ndarray,
    elevation: float,
    ellipsoid: tuple[float, float, float],
    seed: int = 0,
    progress: bool = False,
) -> np.ndarray:
    """Azimuths (N,) in degrees of images (N, 3, H, W) with spatial features (N, C, h, w) and masks (N, H, W); not a
    number where a category has no order."""
    _, owner = np.unique(object_id, return_inverse=True)
    view, found = HullCamera(elevation), np.zeros(len(category), np.float32)
    for term in tqdm(np.unique(category), "azimuths", unit="category", disable=not progress):
        generator = np.random.default_rng((seed, int(term)))
        rows = generator.permutation(np.flatnonzero(category == term))
        some, rest = np.sort(rows[:MOST]), np.sort(rows[MOST:])
        unit, mean = _unit(features, some)
        rings = possible_rings(images, masks, some, owner[some])
        known = _images(unit, _masks(masks, some), owner[some])
        order = _order(known, rings, view, view.ellipsoid(ellipsoid), generator)
        if order is None:
            found[rows] = np.nan
            continue
        found[some] = order.azimuth
        for part in np.array_split(rest, -(-len(rest) // BLOCK)) if len(rest) else ():
            similar = _unit(features, part, mean)[0] @ unit.T
            similar[owner[part][:, None] == owner[some]] = -2.0
            near = np.argpartition(-similar, LOOK_ALIKES, 1)[:, :LOOK_ALIKES]
            found[part] = order.cost[near].mean(1).argmin(1)
    return found * (360.0 / AZIMUTHS)


def _unit(features: np.ndarray, rows: np.ndarray, mean: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, D) less their mean, at unit length, and the mean (D,)."""
    values = np.asarray(features[rows], np.float32).reshape(len(rows), -1)
    mean = values.mean(0) if mean is None else mean
    values -= mean
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6), mean


def _masks(masks: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n, P) shares of the SIDE x SIDE areas that masks cover."""
    parts = [
        functional.adaptive_avg_pool2d(torch.from_numpy(np.asarray(masks[rows[start : start + BLOCK]])).float(), SIDE)
        for start in range(0, len(rows), BLOCK)
    ]
    return torch.cat(parts).flatten(1).numpy()


def _images(unit: np.ndarray, masks: np.ndarray, owner: np.ndarray) -> Images:
    cosine, count = unit @ unit.T, len(unit)
    same = owner[:, None] == owner
    others = (~same).astype(np.float32)
    near = np.argpartition(np.where(same, 2.0, -cosine), min(LOOK_ALIKES, count - 1), 1)[:, :LOOK_ALIKES]
    row = np.repeat(np.arange(count), near.shape[1])
    used = others[row, near.ravel()] > 0  # a category of few objects offers fewer
    links = sparse.coo_matrix((np.ones(used.sum(), np.float32), (row[used], near.ravel()[used])), (count, count))
    links = (links + sparse.identity(count, np.float32)).tocsr()
    average = sparse.diags(1 / np.asarray(links.sum(1)).ravel()) @ links
    return Images(masks, cosine * others, others, average.tocsr().astype(np.float32))


def _order(
    images: Images, rings: list[Ring], view: HullCamera, ellipsoid: np.ndarray, generator: np.random.Generator
) -> Order | None:
    """The best order over all starts, None where these agree on none; the first start is by silhouettes of an
    ``ellipsoid`` (AZIMUTHS, P)."""
    count = len(images.masks)
    spread = max(float(images.masks.var(0).mean()), 1e-6)
    begin = _even(images.average @ (images.average @ hull.apart(images.masks, ellipsoid)) / spread)
    starts = [begin, *(generator.integers(AZIMUTHS, size=count) for _ in range(STARTS - 1))]
    orders = sorted((_in_turns(images, view, start, spread, 0.0, ROUNDS[0]) for start in starts), key=_value)[:KEPT]

    def go_on(orders: list[Order], ring: Ring | None) -> list[Order]:
        return sorted((_in_turns(images, view, o.azimuth, spread, 1.0, ROUNDS[1], ring) for o in orders), key=_value)

    asked = [(ring, go_on(orders[:ASKED], ring)) for ring in rings or [None]]
    ring, first = min(asked, key=lambda answer: answer[1][0].value)
    best, *others = sorted(first + go_on(orders[ASKED:], ring), key=_value)
    return best if np.median([best.agreement(other) for other in others]) >= AGREED else None


def _value(order: Order) -> float:
    return order.value


def _in_turns(
    images: Images,
    view: HullCamera,
    azimuth: np.ndarray,
    spread: float,
    weight: float,
    rounds: int,
    ring: Ring | None = None,
) -> Order:
    """The hull from the azimuths and the azimuths from the hull, until they stay; the best of all rounds."""
    best, rows = None, np.arange(len(azimuth))
    for _ in range(rounds):
        means, count = hull.mean_masks(images.masks, azimuth)
        silhouettes = view.silhouettes(view.carve(means, count > 0))
        error, likeness = hull.apart(images.masks, silhouettes) / spread, _likeness(images, azimuth)
        departure = weight * ring.departure(azimuth, AZIMUTHS) if ring else np.zeros_like(error)
        value = float((error - weight * likeness + departure)[rows, azimuth].mean())
        cost = images.average @ (images.average @ error) - weight * (images.average @ likeness) + departure
        if best is None or value < best.value:
            best = Order(value, azimuth, cost)
        following = _even(cost)
        if (following == azimuth).all():
            break
        azimuth = following
    return best


def _likeness(images: Images, azimuth: np.ndarray) -> np.ndarray:
    """f, (n, AZIMUTHS)."""
    turn = np.arange(AZIMUTHS) * (360.0 / AZIMUTHS)
    away = (turn[:, None] - turn + 180) % 360 - 180
    weight = np.exp(-0.5 * np.square(away / NEAR)).astype(np.float32)[azimuth]  # (n, AZIMUTHS)
    return images.cosine @ weight / np.maximum(images.others @ weight, 1e-3)


def _even(cost: np.ndarray, times: int = 20) -> np.ndarray:
    """The cheapest azimuths (n,) by cost (n, AZIMUTHS), with prices v_b under which all are asked for alike."""
    logits, price = -cost / (SHARPNESS * cost.std(1).mean() + 1e-9), np.zeros(AZIMUTHS, np.float32)
    for _ in range(times):
        share = np.exp(logits + price - (logits + price).max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        price -= 0.7 * np.log(np.maximum(share.mean(0) * AZIMUTHS, 1e-3))
    return (logits + price).argmax(1)

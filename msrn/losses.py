"""The reconstruction network's losses and the foreground module's contrastive loss: §3.4, Eqs 39-45, and Eqs 13-14.

Pure functions of tensors. Those of images and meshes return one value for each image, (B,), so that the caller weighs
them (by pose probabilities, over neighbours) before taking the mean over the batch. In Eqs 39-42 leading dimensions
broadcast: images (B,1,...) against K renderings of each, (B,K,...), give (B,K), and what depends on the image alone is
computed once.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from msrn.distance_transform import squared_distance
from msrn.errors import MsrnError

ALPHA_FLOOR = 1e-5
"""Coverage below which Eq. 40's logarithm stays constant. The renderer yields no coverage between 0 and its cut-off of
1e-4, so this only sets the price of a foreground pixel that no face comes near, 11.5: no gradient is lost."""

AFFINITY_GRID = 64
"""Side of the images on whose pixels the paper's weight of Eq. 41 was set."""


def rgb(image: Tensor, rendered: Tensor) -> Tensor:
    """Eq. 39: mean over pixels of the Euclidean distance of colours in 0..1. (...,3,H,W) twice -> (...).

    The 1e-8 inside the root keeps the gradient finite where the colours agree (there a pixel costs 1e-4).
    """
    return ((image - rendered).square().sum(-3) + 1e-8).sqrt().mean((-2, -1))


def bce(true_mask: Tensor, log_transparency: Tensor) -> Tensor:
    """Eq. 40: mean over pixels of the cross-entropy, in nats. (...,H,W) twice -> (...).

    With M' = 1 - exp(log_transparency), log(1 - M') is the argument itself and log M' is log(-expm1(.)), both accurate
    for M' close to 0 or 1: no clamp takes the gradient away inside the silhouette, where mass may have to be removed.
    """
    mask = true_mask.to(log_transparency.dtype)
    log_alpha = (-torch.expm1(log_transparency)).clamp_min(ALPHA_FLOOR).log()
    return -(mask * log_alpha + (1 - mask) * log_transparency).mean((-2, -1))


def affinity(true_mask: Tensor, rendered_mask: Tensor, literal: bool = False) -> Tensor:
    """Eq. 41: how far each mask's area lies from the other mask, summed over pixels. (...,H,W) twice -> (...).

    With D(A) the squared distance to the nearest pixel of A, for M = M^s and the rendered M' in 0..1:

        sum M' D(M)  +  sum M (1 - M') D(M' > 0.5)

    which equals the printed form on binary masks. On soft masks the printed second sum takes every pixel with the
    slightest M' for foreground: it collapses to nothing and pushes M' down. ``literal=True`` gives that printed form,
    comparing every pixel with every other, so it is for small images. A sum over an empty set's distances is 0.

    The unit is squared pixels of a 64 x 64 image, summed over its pixels: distances are scaled by 64 / W and sums by
    (64 / W)^2, so that ``affinity_weight`` means the same at every resolution. Distances carry no gradient.
    """
    unit = (AFFINITY_GRID / rendered_mask.shape[-1]) ** 4
    true = true_mask.to(rendered_mask.dtype)
    if literal:
        true, rendered_mask = torch.broadcast_tensors(true, rendered_mask)
        pairs = zip(true.flatten(0, -3), rendered_mask.flatten(0, -3), strict=True)
        masses = torch.stack([_nearest_mass(m, r) + _nearest_mass(r, m) for m, r in pairs])
        return unit * masses.view(true.shape[:-2])
    outside = rendered_mask * _distance(true_mask > 0.5, true.dtype)
    missing = true * (1 - rendered_mask) * _distance(rendered_mask > 0.5, true.dtype, true_mask > 0)
    return unit * (outside + missing).sum((-2, -1))


def reconstruction(
    true_mask: Tensor,
    image: Tensor,
    alpha: Tensor,
    log_transparency: Tensor,
    rendered: Tensor,
    affinity_weight: float = 1e-6,
    affinity_literal: bool = False,
) -> dict[str, Tensor]:
    """Eq. 42, and Eq. 43 when the image and its mask are a neighbour's: the terms and their ``total``, each (...)."""
    terms = {
        "rgb": rgb(image, rendered),
        "bce": bce(true_mask, log_transparency),
        "affinity": affinity(true_mask, alpha, affinity_literal),
    }
    terms["total"] = terms["bce"] + affinity_weight * terms["affinity"] + terms["rgb"]
    return terms


def colors_alone(image: Tensor, rendered: Tensor) -> dict[str, Tensor]:
    """Unicorn's colour term in place of Eq. 42: mean over pixels and channels of the squared difference of colours in
    0..1. (...,3,H,W) twice -> the term and the ``total``, each (...). It knows no mask: a silhouette is wrong where
    the background is not white."""
    difference = (image - rendered).square().mean((-3, -2, -1))
    return {"colors": difference, "total": difference}


def perceptual(of_image: Tensor, of_rendering: Tensor) -> Tensor:
    """Mean over places of the squared distance of features, which have unit length at each place: 0 to 4.

    (...,C,H,W) twice -> (...). Not in the paper; Unicorn's takes VGG16's features at a quarter of the resolution,
    where here are those of ``backbone.low_features``, and the mean over their 256 channels.
    """
    one, other = (functional.normalize(features, dim=-3, eps=1e-8) for features in (of_image, of_rendering))
    return (one - other).square().sum(-3).mean((-2, -1))


def normal_consistency(vertices: Tensor, faces: Tensor) -> Tensor:
    """Eq. 45's L_normal: mean over edges of 1 - cos of the angle between its faces' normals. (B,V,3), (F,3) -> (B,).

    PyTorch3D's ``mesh_normal_consistency`` for closed, oriented meshes of one topology, each averaged by itself.
    """
    first, second, third = (vertices.index_select(1, corner) for corner in faces.T)  # (B,F,3) each
    normal = functional.normalize(torch.linalg.cross(second - first, third - first), dim=2, eps=1e-8)
    left, right = (normal.index_select(1, side) for side in topology(faces).sides)  # (B,E,3) each
    return 1 - (left * right).sum(2).mean(1)


def laplacian(vertices: Tensor, faces: Tensor) -> Tensor:
    """Eq. 45's L_lap: mean over vertices of the distance to the mean of the adjacent ones. (B,V,3), (F,3) -> (B,).

    PyTorch3D's ``mesh_laplacian_smoothing(method="uniform")`` for meshes that share one topology.
    """
    start, end = topology(faces).ends
    source, target = torch.cat([start, end]), torch.cat([end, start])
    total = torch.zeros_like(vertices).index_add(1, target, vertices.index_select(1, source))
    return (total / topology(faces).degree.to(vertices.dtype)[:, None] - vertices).norm(dim=2).mean(1)


def contrastive(feature: Tensor, positives: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Eqs 13-14: each positive against all negatives, averaged over positives. (B,Q), (S,Q), (S',Q) -> (B,).

    -log(e^p / (e^p + sum e^n)) = logaddexp(p, logsumexp(n)) - p, with p, n cosines over the temperature gamma.
    """
    feature, positives, negatives = (functional.normalize(x, dim=1, eps=1e-8) for x in (feature, positives, negatives))
    positive = feature @ positives.T / temperature  # (B,S)
    against = (feature @ negatives.T / temperature).logsumexp(1, keepdim=True)  # (B,1)
    return (torch.logaddexp(positive, against) - positive).mean(1)


def pose_prior(probabilities: Tensor) -> Tensor:
    """Mean distance of the batch's mean pose probabilities from uniform ones. (B, candidates) -> a scalar in 0..1.

    Not in the paper: Unicorn's term against the collapse of all poses into one candidate.
    """
    return (probabilities.mean(0) - 1 / probabilities.shape[1]).abs().mean()


def azimuth_prior(probabilities: Tensor, azimuth: Tensor, category: Tensor) -> Tensor:
    """How far the azimuths of a category are from even ones: Fourier coefficients, squared, mean of orders 1 to K.

        mean over pairs b != c of one category and orders m of Re f_bm conj(f_cm),   f_bm = sum_k p_bk exp(i m a_bk)

    (B, candidates) twice, azimuth in degrees, category (B,) -> a scalar: 1 when all look from one side, 0 without
    pairs. Pairs of an image with itself are left out, so that the expected value is the squared coefficient of all
    images of the category, 0 when they are even all around, however small the batch and however sure the network.

    Not in the paper: ``pose_prior`` sees which candidates are likely and not to where within its bin each has turned,
    and in a small batch it asks for probabilities that are undecided.
    """
    orders = torch.arange(1, azimuth.shape[1] + 1, device=azimuth.device)
    angles = orders * torch.deg2rad(azimuth)[..., None]  # (B, candidates, orders)
    waves = torch.stack((angles.cos(), angles.sin()), -1)
    waves = (probabilities[..., None, None] * waves).sum(1).flatten(1)  # f, (B, 2 orders)
    pair = (category[:, None] == category).to(waves.dtype)
    pair = pair - torch.eye(len(pair), dtype=pair.dtype, device=pair.device)
    return (pair * (waves @ waves.T)).sum() / (pair.sum().clamp(min=1) * len(orders))


def apart(category: Tensor, azimuth: Tensor) -> Tensor:
    """Categories (B,) with one of its own for each image whose azimuth (B,) was given: ``azimuth_prior`` is for those
    whose was not, which is no number."""
    return category.where(azimuth.isnan(), -1 - torch.arange(len(category), device=category.device))


def reach(true_mask: Tensor, alpha: Tensor, projected: Tensor) -> Tensor:
    """How far the mesh is from the parts of the object that it leaves bare, mean over the object's pixels.

        sum_p m_p min_v |p - v|^2 / sum_p M_p,      m = M (1 - M') averaged over areas of 2 x 2 pixels, held fixed,

    over the barest quarter of the areas, which are all bare ones but for a mesh that hardly meets its object.
    Masks (B,H,W), rendered ones (B,H,W) and vertices in the image (B,V,>=2), x right and y down in -1..1 -> (B,), in
    squared halves of an image. Each bare pixel pulls its nearest vertex. The second sum of Eq. 41 weighs the same
    distance, and its gradient reaches only what a face already touches. Costs B H W V / 16 distances.
    """
    with torch.no_grad():
        bare = functional.avg_pool2d(true_mask * (1 - alpha), 2)  # (B,H/2,W/2)
        side = bare.shape[-1]
        centre = (2 * torch.arange(side, device=bare.device, dtype=bare.dtype) + 1) / side - 1
        bare, place = bare.flatten(1).topk(side * side // 4)  # (B,P)
        pixels = torch.cartesian_prod(centre, centre).flip(1)[place]  # (B,P,2), x and y
        vertices = projected[..., :2].to(bare.dtype)
        # |v|^2 - 2 p v, which is least where |p - v|^2 is
        nearest = torch.baddbmm(vertices.square().sum(2)[:, None], pixels, vertices.mT, alpha=-2).argmin(2)
        share = 4 * bare / true_mask.sum((1, 2)).clamp(min=1)[:, None]
    pulled = projected[..., :2].gather(1, nearest[..., None].expand(-1, -1, 2))
    return (share * (pixels - pulled).square().sum(2)).sum(1)


def azimuth_likelihood(probability: Tensor, azimuth: Tensor, given: Tensor, sharpness: float = 20.0) -> Tensor:
    """-log sum_k p_k exp(s (cos(a_k - a) - 1)), how unlikely the azimuth a that was given is to K candidates.

    (B,K) twice and (B,), in degrees -> (B,), in nats; 0 where none was given, which is not a number. With s = 20 a
    candidate 18 degrees off counts for 1/e.
    """
    known = given.isfinite()
    apart = torch.deg2rad(azimuth - given.where(known, 0.0)[:, None])
    unlikely = -torch.logsumexp(probability.clamp_min(1e-12).log() + sharpness * (apart.cos() - 1), 1)
    return unlikely.where(known, 0.0)


class Topology(NamedTuple):
    """The E edges of a closed mesh."""

    ends: tuple[Tensor, Tensor]
    """The two vertices of each edge, (E,) each."""
    sides: tuple[Tensor, Tensor]
    """The two faces of each edge, (E,) each."""
    degree: Tensor
    """Edges at each vertex, (V,)."""


_topologies = WeakTensorKeyDictionary()


def topology(faces: Tensor) -> Topology:
    """Edges of a closed mesh with faces (F,3), remembered for as long as this very tensor lives."""
    if faces not in _topologies:
        _topologies[faces] = _find_edges(faces)
    return _topologies[faces]


def _find_edges(faces: Tensor) -> Topology:
    faces = faces.long()
    halves = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])  # (3F,2); row i is of face i mod F
    edges, edge, uses = halves.sort(1).values.unique(dim=0, return_inverse=True, return_counts=True)
    if not bool((uses == 2).all()):
        raise ValueError("faces: expected a closed mesh, in which every edge belongs to two faces")
    sides = edge.argsort(stable=True).remainder(len(faces)).view(-1, 2)  # sorted by edge, so its two faces are adjacent
    return Topology(edges.unbind(1), sides.unbind(1), edges.reshape(-1).bincount())


def _distance(mask: Tensor, dtype: torch.dtype, wanted: Tensor | None = None) -> Tensor:
    """``squared_distance`` with 0 in place of infinity, so that an empty mask attracts nothing."""
    return squared_distance(mask, wanted).to(dtype).nan_to_num_(posinf=0.0)


def _nearest_mass(target: Tensor, source: Tensor) -> Tensor:
    """A sum of Eq. 41 by the letter: over pixels of ``source``, the least distance^2 * source * target. (H,W) twice."""
    at = (target != 0).nonzero()  # (K,2), the set "+" of the target
    if not len(at):
        return source.sum() * 0
    height, width = source.shape
    grid = torch.cartesian_prod(torch.arange(height), torch.arange(width)).to(source.device)  # (HW,2)
    distance = (grid[:, None] - at[None]).square().sum(2).to(source.dtype)  # (HW,K)
    return (distance * target[at[:, 0], at[:, 1]] * source.reshape(-1, 1)).amin(1).sum()


def mask_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union (...) of boolean masks (..., H, W), tensors or arrays; two empty masks agree: 1."""
    if a.shape != b.shape or not str(a.dtype).endswith("bool") or not str(b.dtype).endswith("bool"):
        raise MsrnError(
            f"mask_iou: {a.dtype} {tuple(a.shape)}, {b.dtype} {tuple(b.shape)}: expected boolean masks alike"
        )
    both, either = (a & b).sum((-2, -1)), (a | b).sum((-2, -1))
    return (both + (either == 0)) / (either + (either == 0))

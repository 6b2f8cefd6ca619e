"""The neighbour consistency module during training, §3.3: which candidates are neighbours (Eqs 35-38).

Beside it the choices of the two systems that Table 9 compares it with (setting ``neighbor_filter``): ShapeClipper's,
which draws among fixed look-alikes, and Unicorn's, which looks into a memory of the images that it saw last.
"""

import torch
from torch import Tensor
from torch.nn import functional

from msrn.losses import mask_iou

MEMORY = 1024  # images that Unicorn remembers
LEAST_ANGLE, BINS = 20.0, 5  # of views that it compares: degrees, and bins of equal size from there to 180


def prototype_domain(z: Tensor, category: Tensor, prototypes: Tensor, valid: Tensor) -> Tensor:
    """Eqs 35-36: the prototype of the category most similar to the code, by cosine.

    Codes (B,Q), their categories (B,), prototypes (T,C,Q) with ``valid`` (T,C) -> (B,) in 0..C-1, or -1 where the
    category has no valid prototype. An all-zero code is as similar to all of them and belongs to the first.
    """
    prototypes, valid = prototypes[category], valid[category]  # (B,C,Q), (B,C)
    cosine = functional.cosine_similarity(z[:, None], prototypes, dim=2, eps=1e-8)  # (B,C)
    domain = cosine.masked_fill(~valid, -torch.inf).argmax(1)
    return domain.where(valid.any(1), -1)


@torch.no_grad()
def select(z_s: Tensor, category: Tensor, z_candidates: Tensor, prototypes: Tensor, valid: Tensor) -> Tensor:
    """Eqs 37-38: which candidates fall into the input's prototype domain.

    z_s (B,Q) of categories (B,) and the candidates' codes (B,k,Q) -> (B,k) bool, with N_re the sum of a row. Both are
    held against the prototypes of the input's category; while it has none, every candidate counts as a neighbour.
    """
    own = prototype_domain(z_s, category, prototypes, valid)  # (B,)
    count = z_candidates.shape[1]
    others = prototype_domain(z_candidates.flatten(0, 1), category.repeat_interleave(count), prototypes, valid)
    return others.view(-1, count) == own[:, None]


def sample(selected: Tensor, draw: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """At most ``count`` of each row's neighbours, those of the lowest ``draw``, or all for count 0.

    (B,k) bool and numbers (B,k) -> columns (B,m) and the weight of each (B,m), 1 / (neighbours drawn) or 0: m is
    ``count`` however many neighbours there are, so that no shape depends on values.
    """
    count = min(count, selected.shape[1]) or selected.shape[1]
    column = draw.masked_fill(~selected, torch.inf).topk(count, dim=1, largest=False).indices
    weight = selected.gather(1, column).to(draw.dtype)
    return column, weight / weight.sum(1, keepdim=True).clamp(min=1)


def odds_of_unlike(mask: Tensor, others: Tensor) -> Tensor:
    """ShapeClipper's odds of candidates, (1 - IoU)^4 of their masks with the image's: what looks alike and has another
    outline is likely seen from another side. Boolean (B,H,W) and (B,k,H,W) -> (B,k)."""
    return (1 - mask_iou(mask[:, None].expand_as(others), others)) ** 4


def sample_by_odds(odds: Tensor, draw: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """``count`` of each row's candidates, drawn one after the other by their odds, or all for count 0.

    (B,k) and numbers in 0..1 (B,k) -> columns (B,m) and the weight of each (B,m), which sum to 1: equal ones or, of all
    candidates, in proportion to the odds, which is what drawing one gives on average. Those that arrive first are
    drawn, a candidate after -log(1 - draw) / odds. Where no outline differs, all are as likely.
    """
    odds, count = odds.clamp(min=1e-12), min(count, odds.shape[1]) or odds.shape[1]
    column = (-torch.log1p(-draw) / odds).topk(count, dim=1, largest=False).indices
    weight = odds.gather(1, column) if count == odds.shape[1] else torch.ones_like(draw[:, :count])
    return column, weight / weight.sum(1, keepdim=True)


@torch.no_grad()
def from_another_side(
    code: Tensor, azimuth: Tensor, codes: Tensor, azimuths: Tensor, allowed: Tensor, draw: Tensor
) -> tuple[Tensor, Tensor]:
    """Unicorn's neighbours: of each image the place in the memory of its own, and whether it has any. (B,) each.

    Images with codes (B,Q), azimuths (B,) in degrees and numbers in 0..1 ``draw`` (B,), which draw a bin of angles
    each; a memory with codes (M,Q) and azimuths (M,), M > 0, of which ``allowed`` (B,M). Among the entries whose
    azimuth differs by an angle in the bin it is the nearest by squared distance of codes; where the bin holds none,
    among all that are allowed, as there. All cameras are as high, so that this is the angle between two views.
    """
    angle = ((azimuths - azimuth[:, None] + 180) % 360 - 180).abs()  # (B,M)
    size = (180 - LEAST_ANGLE) / BINS
    least = LEAST_ANGLE + size * (BINS * draw).floor()[:, None]
    inside = allowed & (angle >= least) & (angle <= least + size)
    inside = inside | (allowed & ~inside.any(1, keepdim=True))
    distance = (code[:, None] - codes).square().sum(2)
    return distance.masked_fill(~inside, torch.inf).argmin(1), allowed.any(1)

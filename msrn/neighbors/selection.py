"""The neighbour consistency module during training, §3.3: which candidates are neighbours (Eqs 35-38)."""

import torch
from torch import Tensor
from torch.nn import functional


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

"""The feature compensation module, §3.2: Eqs 24-26."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FeatureCompensation(nn.Module):
    """Completes a shape code z_s with what the prototypes of all categories hold that resembles it.

    One softmax runs over the prototypes of all categories, since compensation across categories (the legs of tables and
    chairs) is what the module is for. The prototypes receive no gradient; z_s does, directly and through A.

    Lin starts as [I, 0] with no bias: on the step that switches compensation on, z̄_s is z_s: the decoder sees no jump.
    With ``start`` "half" it starts as [I/2, I/2]. A ``temperature`` other than 0 takes cosines divided by it in place
    of the products of Eq. 24.
    """

    def __init__(self, size: int, start: str = "code", temperature: float = 0.0) -> None:
        super().__init__()
        self.temperature = temperature
        # skip_init, so that a network without this module draws the same random weights as one with it.
        self.lin = nn.utils.skip_init(nn.Linear, 2 * size, size)
        with torch.no_grad():
            half = torch.eye(size).repeat(1, 2) / 2
            self.lin.weight.copy_(half if start == "half" else torch.eye(size, 2 * size))
            self.lin.bias.zero_()

    def forward(self, z_s: Tensor, values: Tensor, valid: Tensor) -> Tensor:
        """z̄_s of Eq. 26: codes (B,Q) and prototypes (T,C,Q) with ``valid`` (T,C) -> (B,Q)."""
        affinity = self.affinity(z_s, values, valid)  # (B,T,C)
        z_plus = affinity.flatten(1) @ values.detach().flatten(0, 1)  # Eq. 25, (B,T*C) @ (T*C,Q) -> (B,Q)
        return self.lin(torch.cat([z_s, z_plus], 1))  # (B,2Q) -> (B,Q)

    def affinity(self, z_s: Tensor, values: Tensor, valid: Tensor) -> Tensor:
        """A of Eq. 24, (B,T,C): rows sum to 1 over the valid prototypes; all 0 while there are none."""
        prototypes = values.detach().flatten(0, 1)  # the paper's P̄_r, T x K' x Q_r, as rows: (T*C,Q)
        if self.temperature:
            unit_code, unit = (functional.normalize(rows, dim=1) for rows in (z_s, prototypes))
            logits = unit_code @ unit.T / self.temperature
        else:
            logits = z_s @ prototypes.T  # (B,T*C)
        # The least finite number, not -inf: a row without a valid prototype would make NaN of -inf.
        logits = logits.masked_fill(~valid.flatten(), torch.finfo(logits.dtype).min)
        return (logits.softmax(1) * valid.flatten()).unflatten(1, valid.shape)

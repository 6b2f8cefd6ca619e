"""The foreground perceptron: cues M_f and M_b, features F_f and F_b, class scores, and the bank P_f (Eqs 7-12).

M_f has a channel for each category, of which an image's own is its cue, as in BAS [43], on which the module is built.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from msrn.foreground.encoders import load_encoder
from msrn.memory import MemoryBank
from msrn.settings import Settings

FOREGROUND, BACKGROUND = 0, 1  # the terms L_f and L_b of the bank (Eq. 11)


class Perceived(NamedTuple):
    """What the perceptron makes of a batch of images of known category."""

    cue: Tensor  # M_f (B,h,w), in 0..1
    foreground: Tensor  # F_f (B,Q_f)
    background: Tensor  # F_b (B,Q_f)
    score: Tensor  # (B,T) class scores of the whole image
    foreground_score: Tensor  # (B,T) of its foreground
    background_score: Tensor  # (B,) of its own category, with the foreground erased


class Perceptron(nn.Module):
    """E_p, pre-trained (``weights`` is its file, if it needs one), the generator, the class scores and the bank, for T
    categories."""

    def __init__(self, s: Settings, categories: int, seed: int = 0, weights: str | None = None) -> None:
        super().__init__()
        encoder = load_encoder(s.cue_encoder, weights)
        self.lower, self.upper, self.tail = encoder.lower, encoder.upper, encoder.tail
        self.generator = nn.Conv2d(encoder.features, categories, 3, padding=1)
        # Undecided at first: features are so large that a usual start would already be 0 or 1 everywhere, and stay so.
        nn.init.normal_(self.generator.weight, std=1e-3)
        nn.init.zeros_(self.generator.bias)
        self.scorer = nn.Conv2d(encoder.channels, categories, 1)
        self.bank = MemoryBank(2, s.memory_slots, encoder.features, s.memory_momentum, s.memory_fill_first, seed)
        self.size, self.frozen = s.cue_size, s.cue_frozen
        self.register_buffer("shift", encoder.scale[0].clone(), persistent=False)
        self.register_buffer("spread", encoder.scale[1].clone(), persistent=False)
        if s.cue_frozen:
            self.lower.requires_grad_(False)

    def train(self, mode: bool = True) -> "Perceptron":
        """Batch statistics stay those of the pre-training: a few small images would only blur them."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def features(self, images: Tensor) -> Tensor:
        """F = E_p(I): (B,3,H,W) in 0..1, of any size -> (B,Q_f,h,w)."""
        resized = functional.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        scaled = (resized - self.shift) / self.spread
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            low = self.lower(scaled)
        return self.upper(low)

    def cues(self, features: Tensor) -> Tensor:
        """Eq. 7 for every category: M_f = Sig(Conv(F)), (B,T,h,w). Eq. 8 is M_b = 1 - M_f."""
        return torch.sigmoid(self.generator(features))

    def scores(self, features: Tensor) -> Tensor:
        """Maps of class scores, (B,T,h',w')."""
        return self.scorer(self.tail(features))

    def forward(self, images: Tensor, category: Tensor) -> Perceived:
        features = self.features(images)
        cue = self.cues(features)[torch.arange(len(images), device=images.device), category]
        maps = self.scores(features)
        inside = functional.adaptive_avg_pool2d(cue[:, None], maps.shape[2:])
        return Perceived(
            cue=cue,
            foreground=gather_features(cue, features),
            background=gather_features(1 - cue, features),
            score=maps.mean((2, 3)),
            foreground_score=(maps * inside).mean((2, 3)),
            background_score=self._erased(features, cue, category),
        )

    def _erased(self, features: Tensor, cue: Tensor, category: Tensor) -> Tensor:
        """Score of the own category (B,) when the foreground is erased from F; only the cue learns from it.

        As in BAS, where the erased branch has throw-away copies of the upper layers: without that the classifier would
        unlearn what the foreground looks like instead of the cue finding it.
        """
        rest = features.detach() * (1 - cue[:, None])
        for module in (self.tail, self.scorer):
            fixed = {name: value.detach() for name, value in (*module.named_parameters(), *module.named_buffers())}
            rest = functional_call(module, fixed, rest)
        return rest.mean((2, 3)).gather(1, category[:, None])[:, 0]

    @torch.no_grad()
    def exchange(self) -> None:
        """Make foreground of what was background, exactly: Sig(-x) = 1 - Sig(x), and the bank's terms change places."""
        self.generator.weight.neg_()
        self.generator.bias.neg_()
        self.bank.values.copy_(self.bank.values.flip(0))


def gather_features(cue: Tensor, features: Tensor) -> Tensor:
    """Eqs 9-10: M F^T, the sum of features over positions weighed by the cue. (B,h,w), (B,Q,h,w) -> (B,Q).

    Not divided by the number of positions, as printed; a cosine does not see the difference.
    """
    return torch.einsum("bhw,bqhw->bq", cue, features)

"""Class-agnostic activation maps, as in CCAM [44]: masks from contrast alone, without categories and without M_o.

    P = Sig(BN(Conv(F))),  v_f = P F^T,  v_b = (1 - P) F^T       of each image, F the features of an ImageNet network
    L = mean_ij -log(1 - cos(v_f^i, v_b^j))
      + mean_i!=j -e^(-RANK r_ij) log cos(v_f^i, v_f^j)  +  the same of v_b

with r_ij the place, from 0, of image j among the others by its likeness to i: what is unlike may stay so. Cosines are
held within ``CLAMP``. The loss is the same when the two parts change places, so it does not say which is the object: at
the end it is the one that keeps away from the border of the images.

CCAM trains its ResNet-50 along; here the packaged EfficientNet-Lite0 (``cue_encoder``) is held as it is, with its
negative features cut to 0, as a ResNet's are, and the head alone learns.
"""

import sys

import torch
from torch import Tensor, nn
from torch.nn import functional

from msrn.foreground.encoders import load_encoder
from msrn.foreground.finetune import CHECKPOINT_EVERY, LOG_EVERY, InProgress, RawImages
from msrn.foreground.perceptron import gather_features
from msrn.settings import Settings
from msrn.store.checkpointing import RunFolder, summarise

RANK = 0.25
CLAMP = 5e-4, 1 - 5e-4


class ActivationHead(nn.Module):
    """E_p, held as it is, and the head."""

    def __init__(self, s: Settings, weights: str | None = None) -> None:
        super().__init__()
        encoder = load_encoder(s.cue_encoder, weights)
        self.trunk = nn.Sequential(encoder.lower, encoder.upper).requires_grad_(False)
        self.head = nn.Conv2d(encoder.features, 1, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(1)
        self.size = s.cue_size
        self.register_buffer("shift", encoder.scale[0].clone(), persistent=False)
        self.register_buffer("spread", encoder.scale[1].clone(), persistent=False)
        self.register_buffer("sign", torch.tensor(1.0))

    def train(self, mode: bool = True) -> "ActivationHead":
        super().train(mode)
        self.trunk.eval()
        return self

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """(B,3,H,W) in 0..1, of any size -> F (B,Q,h,w)."""
        resized = functional.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        return functional.relu(self.trunk((resized - self.shift) / self.spread))

    def activation(self, features: Tensor) -> Tensor:
        """P (B,h,w) in 0..1, large on the object."""
        return torch.sigmoid(self.sign * self.norm(self.head(features))[:, 0])


class Contrasting(InProgress):
    """The training of the head."""

    @classmethod
    def start(cls, s: Settings, seed: int, device: str, weights: str | None = None) -> "Contrasting":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = ActivationHead(s, weights).to(device).train()
        learning = [weight for weight in network.parameters() if weight.requires_grad]
        rate = 10 * s.cue_learning_rate  # as all new layers of the module
        return cls(network, torch.optim.SGD(learning, rate, momentum=0.9, nesterov=True, weight_decay=5e-4), s, seed)


def contrast(run: Contrasting, images: RawImages, folder: RunFolder) -> None:
    """Train from ``run.step`` to the end; lines of the log and checkpoints go to ``folder``.

    ``OutOfTime`` when the time is over, ``Stopped`` after a signal, ``MsrnError`` when a term or a weight is no
    number.
    """
    s, terms = run.settings, []
    while run.step < s.cue_steps:
        features = run.network.features(images.read(run.seed, run.step)[0])
        activation = run.network.activation(features)
        part = loss_terms(activation, features)
        run.optimizer.zero_grad(set_to_none=True)
        part["total"].backward()
        run.optimizer.step()
        run.step += 1

        terms.append({name: value.detach() for name, value in part.items()})
        last = run.step == s.cue_steps
        if last:
            mind_the_border(run.network, activation.detach())
        if run.step % LOG_EVERY == 0 or last:
            folder.write(run.step, summarise(terms, run.step))
            terms.clear()
            over = folder.is_over and not last
            if run.step % CHECKPOINT_EVERY == 0 or last or over:
                folder.save(run)
            if over:
                raise folder.ended(run.step)


def loss_terms(activation: Tensor, features: Tensor) -> dict[str, Tensor]:
    """The terms of the loss and their ``total``, from P (B,h,w) and F (B,Q,h,w)."""
    parts = gather_features(activation, features), gather_features(1 - activation, features)
    fore, back = (functional.normalize(part, dim=1, eps=1e-8) for part in parts)
    apart = -(1 - (fore @ back.T).clamp(*CLAMP)).log().mean()
    terms = {"foreground": alike(fore), "background": alike(back), "apart": apart, "area": activation.detach().mean()}
    return {**terms, "total": terms["foreground"] + terms["background"] + apart}


def alike(part: Tensor) -> Tensor:
    """Mean over pairs of different images of their unlikeness, weighed by rank. Unit features (B,Q), B > 1."""
    cosine = part @ part.T
    itself = torch.eye(len(part), dtype=torch.bool, device=part.device)
    rank = cosine.detach().masked_fill(itself, -2.0).argsort(1, descending=True).argsort(1)
    return (-(-RANK * rank).exp() * cosine.clamp(*CLAMP).log())[~itself].mean()


def mind_the_border(network: ActivationHead, activation: Tensor) -> None:
    """Let the object be the part that keeps away from the border, by P (B,h,w) of some images; say so on a change."""
    border = torch.ones_like(activation[0], dtype=torch.bool)
    border[1:-1, 1:-1] = False
    if activation[:, border].mean() > activation[:, ~border].mean():
        network.sign.neg_()
        print("activation maps lay on the border: foreground and background are exchanged", file=sys.stderr, flush=True)

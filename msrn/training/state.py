"""A training in progress: the network, its optimiser, and the codes by which neighbours are chosen (§4.3).

The shape codes by which candidates become neighbours are remembered from the last time that each image was encoded,
(N, Q) numbers, instead of encoding k_cos B images in every step: they are an epoch old, give or take one, or mostly
two where poses are judged on shapes of neighbours (``pose_shape``). So are the azimuths, for the choice by ``views``.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from msrn.network import MSRN
from msrn.settings import Settings
from msrn.training.batches import TrainingImages
from msrn.training.multiplex import Multiplex


@dataclass
class Training:
    """A training in progress: all that a checkpoint holds, and the images."""

    network: MSRN
    optimizer: torch.optim.Optimizer
    codes: Tensor  # (N, Q) z_s of every image when it was last in a batch
    codes_valid: Tensor  # (N,) whether that was since the codes opened
    azimuths: Tensor  # (N,) degrees at the likeliest pose when it was last in a batch; NaN before
    images: TrainingImages
    settings: Settings
    seed: int
    multiplex: Multiplex | None = None  # where images have cameras for themselves
    step: int = 0

    @classmethod
    def start(cls, s: Settings, images: TrainingImages, seed: int) -> "Training":
        device = images.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # the initial weights
            network = MSRN(s, images.categories)
        network = network.to(device, memory_format=torch.channels_last).train()  # as convolutions like it best
        if device == "cuda":
            torch.set_float32_matmul_precision("high")  # products in TF32, as convolutions are by default
        # On CUDA the rate is a tensor, which a recorded step reads anew.
        rate = torch.tensor(s.learning_rate, device=device) if device == "cuda" else s.learning_rate
        optimizer = torch.optim.Adam(network.parameters(), rate, fused=True, capturable=device == "cuda")
        codes = torch.zeros(images.count, s.shape_code, device=device)
        codes_valid = torch.zeros(images.count, dtype=torch.bool, device=device)
        azimuths = torch.full((images.count,), torch.nan, device=device)
        multiplex = Multiplex(images.count, s, device) if s.azimuths == "multiplex" else None
        return cls(network, optimizer, codes, codes_valid, azimuths, images, s, seed, multiplex)

    def set_rate(self, rate: float) -> None:
        group = self.optimizer.param_groups[0]
        if torch.is_tensor(group["lr"]):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate

    def state(self) -> dict:
        """Tensors and plain values only, so that it loads with ``weights_only=True``."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "compensating": self.network.compensating,
            "codes": self.codes,
            "known": self.codes_valid,
            "azimuths": self.azimuths,
            "step": self.step,
            **({"multiplex": self.multiplex.state()} if self.multiplex else {}),
        }

    def restore(self, state: dict) -> None:
        load_network(self.network, state)
        group = self.optimizer.param_groups[0]
        ours = {name: group[name] for name in ("lr", "capturable")}  # of this device, which stored ones may not be
        self.optimizer.load_state_dict(state["optimizer"])
        self.optimizer.param_groups[0].update(ours)
        self.codes.copy_(state["codes"])
        self.codes_valid.copy_(state["known"])
        self.azimuths.copy_(state["azimuths"])
        self.step = state["step"]
        if self.multiplex:
            self.multiplex.restore(state["multiplex"])


def load_network(network: MSRN, state: dict) -> None:
    """Put the network of a checkpoint into ``network``."""
    network.load_state_dict(state["network"])
    network.compensating = state["compensating"]

"""A trained network in one file: all that turns a photograph into a mesh, small enough to ship.

    network.*      the reconstruction's weights (§3), in half precision
    perceptron.*   of the foreground perceptron (§3.1) what its training changed; absent where masks were given
    familiar.*     centres of the training images' features by category, by which a strange photograph is known
    metadata       one JSON text: settings, categories, what it was trained on, the calibration, a digest of all of it

The format is safetensors: nothing in it can be executed. A flipped bit is named when the file is read.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from msrn.errors import MsrnError, first_line
from msrn.foreground.perceptron import Perceptron
from msrn.network import MSRN
from msrn.paths import ASSETS
from msrn.profiles import READ_BY, make_settings
from msrn.reconstruct.confidence import Calibration
from msrn.settings import Settings
from msrn.store.files import write_bytes

SHIPPED = ASSETS / "network.safetensors"
"""The network that comes with msrn; ``book/network_card.md`` says what it can and cannot do."""
FORMAT = 1


@dataclass(frozen=True)
class Packed:
    """A network that is ready for photographs."""

    settings: Settings
    categories: tuple[str, ...]
    network: MSRN
    perceptron: Perceptron | None  # None: masks are those of U2-Net alone
    centres: np.ndarray  # (C, Q) float32 of unit length, see ``confidence``
    centre_category: np.ndarray  # (C,) into ``categories``
    calibration: Calibration
    about: Mapping[str, Any]  # what it was trained on, in words and numbers
    digest: str = ""  # of the file


def write(path: Path, packed: Packed) -> None:
    """Write it, whole or not at all."""
    s, (_, of_files) = packed.settings, READ_BY["cue"]
    if packed.perceptron is not None and s.cue_encoder in of_files:
        raise MsrnError(f"{path}: cues of {s.cue_encoder} need that network's own file, which is not packed")
    tensors = {f"network.{name}": _small(value) for name, value in packed.network.state_dict().items()}
    if packed.perceptron is not None:
        fresh = _fresh(s, len(packed.categories)).state_dict()
        changed = {n: v for n, v in packed.perceptron.state_dict().items() if not torch.equal(v.cpu(), fresh[n])}
        tensors |= {f"perceptron.{name}": _small(value) for name, value in changed.items()}
    tensors["familiar.centres"] = _small(torch.from_numpy(packed.centres))
    tensors["familiar.category"] = torch.from_numpy(packed.centre_category.astype(np.int64))
    meta = {
        "format": FORMAT,
        "settings": s.model_dump(mode="json"),
        "categories": list(packed.categories),
        "compensating": packed.network.compensating,
        "calibration": asdict(packed.calibration),
        "about": dict(packed.about),
    }
    text = json.dumps(meta, sort_keys=True)
    write_bytes(path, save(tensors, {"msrn": text, "digest": _digest(tensors, text)}))


def read(path: Path) -> Packed:
    """The network in ``path``. MsrnError, one line, for a file that is torn, changed or another program's."""
    try:
        with safe_open(path, "pt") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if _digest(tensors, words["msrn"]) != words["digest"]:
            raise ValueError("its content is not what its digest says")
        meta = json.loads(words["msrn"])
        if meta["format"] != FORMAT:
            raise ValueError(f"format {meta['format']}, expected {FORMAT}")
        return _packed(meta, tensors, words["digest"])
    except FileNotFoundError:
        raise MsrnError(f"{path}: no such file; expected a network that msrn has packed") from None
    except MsrnError as error:  # of its settings
        raise MsrnError(f"{path}: not a network of this msrn ({error}); pack it again") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = f"its {error} is missing" if isinstance(error, KeyError) else first_line(error)
        raise MsrnError(f"{path}: not a whole network ({reason}); restore it from git, or pack it again") from None


def _packed(meta: Mapping[str, Any], tensors: Mapping[str, Tensor], digest: str) -> Packed:
    settings, categories = make_settings(meta["settings"]), tuple(meta["categories"])
    _check_claims(settings, len(categories), tensors)
    with torch.random.fork_rng(devices=[]):
        network = MSRN(settings, len(categories))
    network.load_state_dict(_part(tensors, "network."))
    network.compensating = meta["compensating"]
    perceptron, changed = None, _part(tensors, "perceptron.")
    if changed:
        perceptron = _fresh(settings, len(categories))
        perceptron.load_state_dict(perceptron.state_dict() | changed)
        perceptron.eval()
    return Packed(
        settings, categories, network.eval(), perceptron,
        tensors["familiar.centres"].float().numpy(), tensors["familiar.category"].numpy(),
        Calibration(**meta["calibration"]), meta["about"], digest,
    )  # fmt: skip


def _check_claims(s: Settings, categories: int, tensors: Mapping[str, Tensor]) -> None:
    """Categories and slots, which have no bound of their own, are as many as the file holds tensors for: a network is
    made before it is filled, and could take any memory. Prototypes are at most as many as slots."""
    found, claimed = tuple(tensors["network.bank.values"].shape), (categories, s.memory_slots, s.shape_code)
    if found != claimed:
        raise ValueError(f"its memory bank has the shape {found}: expected {claimed} by its settings")


def _fresh(settings: Settings, categories: int) -> nn.Module:
    """A perceptron as it is before it is tuned; what it draws at random is nobody else's business."""
    with torch.random.fork_rng(devices=[]):
        return Perceptron(settings, categories)


def _small(value: Tensor) -> Tensor:
    """Floats in half precision; what does not fit into it is no weight of a network that was trained."""
    if not value.is_floating_point():
        return value.cpu().contiguous()
    half = value.detach().cpu().half().contiguous()
    if not bool(torch.isfinite(half).all()):
        raise MsrnError("a weight is not finite in half precision: this network cannot be packed; train it anew")
    return half


def _part(tensors: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    found = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
    return {name: value.float() if value.is_floating_point() else value for name, value in found.items()}


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """Of all content: names, kinds, shapes, bytes, and the metadata."""
    digest = hashlib.sha256(text.encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:20]

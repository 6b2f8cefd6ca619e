"""Off-the-shelf masks M_o: a pre-trained network for salient objects, U2-Net [46], looks at every image once.

By default U2-Net-p, the small one (1.1 M weights, 4.6 MB of ONNX, which comes with msrn), because the full U2-Net that
the paper uses (176 MB) is in no package; a request's ``weights.saliency`` gives its ONNX file. Every result names the
network. As published: the image at 320 x 320, divided by its largest value, ImageNet's mean and deviation;
the first output, stretched to 0..1 and brought back; M_o is where it exceeds one half. That costs half a second of one
core an image, so maps are kept by the image's content, and those of ``homeware-wild`` come with the package, in 16
levels.
"""

import hashlib
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from msrn.errors import MsrnError, first_line, torn_asset
from msrn.foreground.encoders import sha256_of, weights_file
from msrn.paths import ASSETS
from msrn.store.keyed_cache import KeyedCache

SIZE = 320
"""Side of the network's input."""
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
PROTOCOL = 1
"""Raise it when a map of the same image by the same network would change."""
SMALL = ASSETS / "u2netp.onnx"
"""U2-Net-p; ``U2NETP_CREDITS.md`` beside it has its licence."""
SHIPPED = ASSETS / "homeware_wild_saliency.npz"
"""Maps that come with the package, made by ``scripts/pack_saliency.py``."""
IMAGES_AT_ONCE = 32
"""Images between two writes of the cache: what an interruption can lose."""


class Saliency:
    """U2-Net-p, or the network in the ONNX file ``weights``."""

    def __init__(self, weights: str | None = None) -> None:
        if weights is None and not SMALL.is_file():
            raise torn_asset(SMALL, FileNotFoundError())
        self.file = weights_file("saliency", weights or str(SMALL), "give U2-Net's ONNX file, or leave it out")
        digest = sha256_of(self.file)
        self.name = "U2-Net-p" if weights is None else f"{self.file.stem} ({digest[:8]})"
        self.identity = f"{digest[:16]}-{PROTOCOL}"  # of all that decides a map, besides the image
        self.cache = KeyedCache("saliency", self.identity)

    def complete(self, images: np.ndarray, progress: bool = True) -> None:
        """Compute and keep the maps of ``images`` (N,3,H,W) uint8 that are not kept yet, each content once.

        Reads one image at a time: ``images`` may be a memory map of any length.
        """
        keys = [content_key(image) for image in images]
        present = self.cache.present(keys) | self._shipped.keys()
        rows = list({key: row for row, key in enumerate(keys) if key not in present}.values())
        if not rows:
            return
        _ = self._session  # one for all threads
        bar = tqdm(total=len(rows), desc=f"{self.name} masks", unit="image", disable=not progress, mininterval=1)
        with bar, ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
            for start in range(0, len(rows), IMAGES_AT_ONCE):
                part = rows[start : start + IMAGES_AT_ONCE]
                maps = pool.map(lambda row: self.soft_map(np.asarray(images[row])), part)
                self.cache.add({keys[row]: zlib.compress(soft) for row, soft in zip(part, maps, strict=True)})
                bar.update(len(part))

    def maps(self, images: np.ndarray, progress: bool = True) -> np.ndarray:
        """Soft maps (N,H,W) uint8, 255 for 1, of images (N,3,H,W) uint8."""
        self.complete(images, progress)
        keys = [content_key(image) for image in images]
        items = self.cache.find(key for key in keys if key not in self._shipped)
        rows = (
            _of_levels(self._shipped[key])
            if key in self._shipped
            else np.frombuffer(zlib.decompress(items[key]), np.uint8)
            for key in keys
        )
        return np.stack([row.reshape(images.shape[2:]) for row in rows])

    def masks(self, images: np.ndarray, progress: bool = True) -> np.ndarray:
        """M_o (N,H,W) bool of images (N,3,H,W) uint8."""
        return self.maps(images, progress) >= 128

    @cached_property
    def _shipped(self) -> dict[bytes, np.ndarray]:
        """Maps of the package by key, two pixels a byte; none when another network is asked for."""
        if not SHIPPED.is_file():
            return {}
        try:
            with np.load(SHIPPED, allow_pickle=False) as file:
                if str(file["version"]) != self.identity:
                    return {}
                return {key.tobytes(): row for key, row in zip(file["keys"], file["maps"], strict=True)}
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise torn_asset(SHIPPED, error) from error

    def soft_map(self, image: np.ndarray) -> np.ndarray:
        """The soft map (H,W) uint8 of an image (3,H,W) uint8, computed now and kept nowhere."""
        return np.rint(255 * self._map(image)).astype(np.uint8)

    def _map(self, image: np.ndarray) -> np.ndarray:
        """The soft map (H,W) in 0..1 of an image (3,H,W) uint8."""
        enlarged = _resize(image.astype(np.float32), (SIZE, SIZE))
        scaled = enlarged / max(float(enlarged.max()), 1e-6)
        pixels = ((scaled - MEAN[:, None, None]) / DEVIATION[:, None, None]).astype(np.float32)
        with _refusing(self.file):
            [given], [made, *_] = self._session.get_inputs(), self._session.get_outputs()
            [output] = self._session.run([made.name], {given.name: pixels[None]})
            if output.shape != (1, 1, SIZE, SIZE) or not np.isfinite(output).all():
                raise ValueError(f"an output of shape {output.shape}, or not finite")
        soft = output[0]
        return _resize((soft - soft.min()) / max(float(soft.max() - soft.min()), 1e-6), image.shape[1:])[0]

    @cached_property
    def _session(self):
        import onnxruntime  # here, because few need it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # several images side by side instead
        options.enable_mem_pattern = False  # which takes 190 MB more and is no faster
        with _refusing(self.file):
            return onnxruntime.InferenceSession(str(self.file), options, providers=["CPUExecutionProvider"])


@contextmanager
def _refusing(file: Path):
    try:
        yield
    except Exception as error:  # onnxruntime has a dozen classes of its own for a file that is none of its
        raise MsrnError(
            f"weights.saliency = {str(file)!r}: not U2-Net in ONNX ({first_line(error)}); expected one image "
            f"(1, 3, {SIZE}, {SIZE}) in and maps (1, 1, {SIZE}, {SIZE}) out, or leave it out for U2-Net-p"
        ) from error


def in_levels(soft: np.ndarray) -> np.ndarray:
    """A map uint8 in 16 levels, two pixels a byte; what is at least one half stays so."""
    levels = (soft.astype(np.uint16).ravel() + 8) // 17
    return (levels[::2] << 4 | levels[1::2]).astype(np.uint8)


def _of_levels(packed: np.ndarray) -> np.ndarray:
    return np.stack([packed >> 4, packed & 15], axis=1).ravel() * np.uint8(17)


def content_key(image: np.ndarray) -> bytes:
    """What the map of an image (3,H,W) uint8 is kept under."""
    digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def _resize(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Bilinear, (C,H,W) float32 -> (C, *size)."""
    return torch.nn.functional.interpolate(torch.from_numpy(image)[None], tuple(size), mode="bilinear")[0].numpy()

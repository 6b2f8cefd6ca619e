"""Table 8 on the toy collection, in seconds: real training, scoring and baselines, made-up images."""

from dataclasses import replace

import numpy as np
from toy import tiny_settings, toy_collection

from msrn.data import GroundTruth
from msrn.profiles import Request
from msrn.render import icosphere
from msrn.store.results import Record


class Ellipsoids:
    """The truth of the toy collection: an ellipsoid per object, seen from four sides."""

    def mesh(self, object_id: str) -> GroundTruth:
        vertices, faces = icosphere(2)
        scale = 1.0 - 0.1 * int(object_id.split("/")[1][0])
        vertices = (np.asarray(vertices) * [0.5, 0.5 * scale, 0.3]).astype(np.float32)
        return GroundTruth(vertices, np.asarray(faces, np.int32), np.full((len(faces), 3), 128, np.uint8))

    def poses(self, object_id: np.ndarray, view: np.ndarray) -> np.ndarray:
        return np.stack([view * 90.0, np.full(len(view), 30.0), np.zeros(len(view))], 1).astype(np.float32)


def toy_split(name: str, split: str, root: str | None = None):
    """The toy collection as a split, its objects named apart from the other splits'."""
    made = toy_collection(fingerprint=f"toy-{split}")
    names = np.array([f"{object_id}{split}" for object_id in made.object_id])
    return replace(made, split=split, object_id=names, _truth=Ellipsoids())


def toy_features(collection, name, weights, progress=True, device="cpu"):
    features = np.random.default_rng(0).normal(size=(len(collection), 8)).astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def toy_request(profile: str = "laptop", seeds: tuple[int, ...] = (0,), **overrides) -> Request:
    return Request(profile, "toy", None, seeds, "cpu", tiny_settings(**overrides))


def use_toy(patch, split=toy_split) -> None:
    """Read the toy collection, and toy features of it, wherever a data set is opened."""
    for module in ("experiments.runner", "evaluation.masks"):
        patch.setattr(f"msrn.{module}.open_collection", split)
    patch.setattr("msrn.baselines.baseline.extract_features", toy_features)


def record(variant: str = "M-SRN", cd: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0), seed: int = 0, **changes) -> Record:
    """A record with these distances for objects a, b of one category and c, d of another."""
    names = ["a", "b", "c", "d"][: len(cd)]
    values = {
        "experiment": "table8", "variant": variant, "kind": "model", "dataset": "toy", "fingerprint": "x",
        "profile": "laptop",
        "seed": seed, "settings": {}, "metrics": {"cd": float(np.mean(cd)), "f": 0.1}, "units": {"cd": "of length"},
        "objects": {"object_id": names, "category": list("1122")[: len(cd)], "cd": list(cd), "f": [0.1] * len(cd),
                    "cd_axes": [value / 2 for value in cd], "f_axes": [0.2] * len(cd)},
        "points": 100, "n_objects": len(cd), "n_images": 8, "features": "none", "masks": "none", "evaluation": "e",
        "commit": "c", "dirty": False, "packages": {}, "device": "CPU", "train_seconds": 1.0, "eval_seconds": 1.0,
        "created": "now",
    }  # fmt: skip
    return Record(**{**values, **changes})

"""From a finished run to a packed network: familiar features, and where shapes are known the calibration."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from msrn import camera
from msrn.data.collection import ImageCollection
from msrn.errors import MsrnError
from msrn.evaluation.protocol import HEADLINE, evaluate_meshes
from msrn.evaluation.score import SEED
from msrn.experiments.runner import Job
from msrn.neighbors.features import extract_features
from msrn.reconstruct import confidence
from msrn.reconstruct.confidence import Calibration
from msrn.reconstruct.packed import Packed
from msrn.reconstruct.photographs import Photograph
from msrn.reconstruct.reconstructor import Found, Reconstructor
from msrn.store.results import provenance
from msrn.training.runs import Run

FEWEST = 5  # photographs of which a share can be taken
BATCH = 32


def packed_of(run: Run, job: Job, seen: ImageCollection, about: Mapping[str, Any]) -> Packed:
    """The network of ``run``, not calibrated. ``seen`` are photographs that it was not trained on, segmented: of these
    the least familiar ones bound what is strange."""
    if job.settings.masks == "ccam":
        raise MsrnError(
            "setting masks = 'ccam': a network for photographs takes its masks from U2-Net-p, refined or not"
        )
    centres, terms = confidence.centres_of(extract_features(job.train), job.train.category)
    others = extract_features(seen if len(seen) >= FEWEST else job.train)
    strange = float(np.quantile(confidence.familiarity(others, centres), confidence.STRANGE))
    by_cues = job.foreground.train.masks is None and job.settings.masks == "refined"
    words = {"run": run.folder.name, "trained on": job.train.name, "photographs": len(job.train), "seed": run.seed}
    words |= {"steps": run.settings.steps, "device": run.device, "seconds": round(run.seconds), **provenance(), **about}
    perceptron = job.foreground.perceptron if by_cues else None
    calibration = Calibration(strange)
    return Packed(run.settings, job.train.categories, run.network(), perceptron, centres, terms, calibration, words)


def looked_at(network: Packed, raw: ImageCollection, rows: Sequence[int]) -> list[Found]:
    """What a network makes of photographs of a data set, as if they came from files."""
    maker, whole, found = Reconstructor(network), (slice(None), slice(None)), []
    for start in range(0, len(rows), BATCH):
        images = np.asarray(raw.images[rows[start : start + BATCH]])
        found += maker(
            [Photograph(image, None, whole, image, "") for image in images], maker.saliency.maps(images, False)
        )
    return found


def distances(found: Sequence[Found], raw: ImageCollection, rows: Sequence[int], points: int) -> np.ndarray:
    """CD (N,) of reconstructions of photographs whose true shapes are known. Evaluation only."""
    true = camera.rotation(*torch.from_numpy(raw.true_pose()[rows]).unbind(1)).numpy()
    meshes = [(one.vertices @ one.rotation @ pose.T, one.faces) for one, pose in zip(found, true, strict=True)]
    return evaluate_meshes(meshes, raw, rows, points, SEED).cd[HEADLINE]


def signs_of(found: Sequence[Found]) -> np.ndarray:
    """The signs (N, 4) of reconstructions."""
    return np.array([[one.signs[name] for name in confidence.SIGNS] for one in found])

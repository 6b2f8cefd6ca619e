"""What it costs in learning that the codes of candidates are remembered, not encoded anew.

    python tests/benchmarks/bench_remembered.py [--profile laptop] [--dataset procedural13] [--domains 5] [--seed 0]
                                                [--json FILE]

Two trainings of the same weights at first, batches and draws follow each other. One chooses neighbours by the codes
that candidates left behind when they were last in a batch, as training does; the other encodes all candidates of the
batch in every shape step. The codes choose between ``--domains`` prototypes a category: with one, as profile laptop has
it, every candidate is a neighbour whatever its code. Both are scored on the val split.

In the second training both kinds of codes are at hand, so it also counts how often they agree on whether a candidate is
a neighbour. Processor time is that of the steps, candidates read included and, in the second, this
count. Memory is that of a training, twice.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from unittest.mock import patch

import numpy as np
import report_file
import torch
from log_lines import LogLines
from torch import Tensor
from tqdm import tqdm

from msrn import profiles
from msrn.data import ImageCollection
from msrn.evaluation import score as scoring
from msrn.evaluation.inference import predict
from msrn.evaluation.protocol import ObjectMetrics, evaluate_meshes
from msrn.evaluation.statistics import interval_of
from msrn.experiments.paper import TABLES
from msrn.experiments.runner import WHOLE, Experiment, Job, job_of, neighbors_of
from msrn.neighbors import selection
from msrn.store import results
from msrn.training import loop, steps
from msrn.training.batches import TrainingImages, prepare
from msrn.training.state import Training

REMEMBERED, ENCODED = "remembered", "encoded"
CURVES = ("mask_iou", "neighbor", "n_re")


@dataclass
class Learning:
    """A training that is over: the lines of its log, and the seconds of processor that its steps took."""

    run: Training
    log: LogLines
    seconds: float

    def curve(self, key: str) -> list[float | None]:
        """A term at every line of the log, null while no step had it."""
        return [line.get(key) for line in self.log]


class EncodedCandidates:
    """``steps.draw_neighbors`` with the codes that the network gives the candidates now."""

    def __init__(self) -> None:
        self.agreed: list[Tensor] = []  # of each step, the share of its candidates
        self._draw = steps.draw_neighbors

    def __call__(self, run: Training, code: Tensor, known: Tensor, inputs: dict[str, Tensor], count: int) -> object:
        rows = inputs["candidate_rows"]
        remembered, encoded = run.codes[rows], encode(run, inputs)
        prototypes = run.network.get_prototypes("neighbor_prototypes")
        valid_before = run.codes_valid[rows]
        chosen, anew = (selection.select(code, inputs["category"], z, *prototypes) for z in (remembered, encoded))
        self.agreed.append(((chosen | ~valid_before) == anew).float().mean())
        run.codes[rows], run.codes_valid[rows] = encoded, True
        try:
            return self._draw(run, code, known, inputs, count)
        finally:
            run.codes[rows], run.codes_valid[rows] = remembered, valid_before

    def agreement(self) -> float | None:
        """The mean share since it was last asked; null where no step drew neighbours."""
        found, self.agreed = self.agreed, []
        return float(torch.stack(found).mean()) if found else None


@torch.no_grad()
def encode(run: Training, inputs: dict[str, Tensor]) -> Tensor:
    """z_s (B, k, Q) of a step's candidates."""
    image, mask = (inputs[f"candidate_{name}"].flatten(0, 1) for name in ("image", "mask"))
    count = inputs["candidate_rows"].shape[1]
    batch = prepare(image, mask, inputs["category"].repeat_interleave(count), run.settings.image_size)
    with run.network.frozen_statistics():
        return run.network.encode_shape(batch.image)[0].unflatten(0, (-1, count))


def learn(images: TrainingImages, seed: int) -> tuple[dict[str, Learning], list[float | None]]:
    """Both trainings to their end, and the agreement at every line of the log."""
    encoded, agreement, s = EncodedCandidates(), [], images.settings
    with tqdm(total=2 * -(-s.steps // s.log_every), desc="two trainings", unit="log line") as bar:
        remembered = _train(images, seed, bar.update)
        with patch.object(steps, "draw_neighbors", encoded):
            anew = _train(images, seed, lambda: [bar.update(), agreement.append(encoded.agreement())])
    return {REMEMBERED: remembered, ENCODED: anew}, agreement


def _train(images: TrainingImages, seed: int, at_each: Callable[[], object]) -> Learning:
    run, log = Training.start(images.settings, images, seed), LogLines(at_each)
    started = time.process_time()
    loop.train(run, images, log)
    return Learning(run, log, time.process_time() - started)


def score(run: Training, scored: ImageCollection) -> tuple[ObjectMetrics, float]:
    """Shape metrics of the val split's evaluation images and the mask IoU over all of its images."""
    views = predict(run.network, scored, np.arange(len(scored)))
    index = scored.evaluation_index
    meshes = views.take(index).meshes_in_true_frame(scored.true_pose()[index])
    made = evaluate_meshes(meshes, scored, index, run.settings.eval_points, scoring.SEED, progress=True)
    return made, float(views.mask_iou.mean())


def measure(job: Job, candidates: np.ndarray) -> dict:
    """The figures of the page on speed."""
    images = TrainingImages(job.train, candidates, job.settings, "cpu")
    both, agreement = learn(images, job.seed)
    made = {name: score(one.run, job.test) for name, one in both.items()}
    shapes = [made[name][0] for name in (REMEMBERED, ENCODED)]
    return {
        "steps": both[REMEMBERED].curve("step"),
        "stage_switch": images.settings.stage_switch,
        "steps_per_epoch": images.steps_per_epoch,
        "curves": {name: {key: one.curve(key) for key in CURVES} for name, one in both.items()},
        "agreement": agreement,
        "processor_seconds": {name: one.seconds for name, one in both.items()},
        "val": {name: _val(*made[name], job.test) for name in both},
        "val_difference": {metric: _difference(metric, *shapes) for metric in ("cd", "f")},
    }


def _difference(metric: str, one: ObjectMetrics, other: ObjectMetrics) -> dict[str, float]:
    """Macro mean of one - other, paired by object, with its 95 % interval."""
    (_, category, values), (_, _, theirs) = one.per_object(metric), other.per_object(metric)
    return asdict(interval_of(values - theirs, category))


def _val(shape: ObjectMetrics, mask_iou: float, scored: ImageCollection) -> dict[str, float]:
    summary = shape.summary(scored.categories)
    return {"cd": summary["cd"], "f": summary["f"], "mask_iou": mask_iou}


def lines(report: dict) -> Iterator[str]:
    """What it found, in words."""
    last = slice(-(len(report["steps"]) // 5), None)
    for name, curves in report["curves"].items():
        val, seconds = report["val"][name], report["processor_seconds"][name]
        iou = np.mean(curves["mask_iou"][last])
        yield (
            f"{name:11} {1e3 * seconds / report['steps'][-1]:6.1f} ms of processor a step, mask IoU {iou:.3f} in the "
            f"last fifth; val: CD {val['cd']:.2f}, F {val['f']:.3f}, mask IoU {val['mask_iou']:.3f}"
        )
    known = [share for share in report["agreement"] if share is not None]
    yield f"codes agree on {np.mean(known):.1%} of the candidates"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--dataset", default="procedural13")
    parser.add_argument("--domains", type=int, default=5, help="prototypes of a category that codes choose between")
    parser.add_argument("--seed", type=int, default=0)
    report_file.add_option(parser)
    a = parser.parse_args(arguments)
    settings = {"neighbor_prototypes": a.domains}
    request = profiles.resolve(a.profile, dataset=a.dataset, device="cpu", settings=settings)
    report = {"benchmark": "remembered", "profile": request.profile, "dataset": a.dataset, "domains": a.domains}
    report |= {"seed": a.seed, "device": results.device_name("cpu")} | results.provenance()
    asked = Experiment(replace(TABLES["table8"], split="val"), request)
    job = job_of(asked, WHOLE, a.seed)
    report |= measure(job, neighbors_of(asked, job))
    print("\n".join(lines(report)))
    report_file.write(a.json, results.rounded(report))


if __name__ == "__main__":
    main()

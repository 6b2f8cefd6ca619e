"""Training steps per second with each rasteriser, side by side in one run.

    python tests/benchmarks/bench_training.py [--profile paper] [--device cuda] [--backends triton,torch,pytorch3d]
                                              [--steps 100] [--rounds 3] [--dataset homeware] [--json FILE]

Every backend trains the whole network at the profile's settings, past the stage switch, from the same start. A round
times every backend in turn, so that what else the machine does slows all of them; medians over rounds. On a GPU the
backend ``triton`` runs as recorded graphs; ``triton, no graph`` starts its kernels one by one, as the other rasterisers
must, since they wait for the device inside a step.
"""

import argparse
import functools
import platform
import statistics
import sys
import time

import numpy as np
import report_file
import torch
from log_lines import LogLines

from msrn import profiles
from msrn.data import open_collection
from msrn.errors import MsrnError
from msrn.profiles import make_settings
from msrn.render import soft_rasterize
from msrn.settings import Settings
from msrn.store import results
from msrn.training import cuda_graphs, loop, state, steps
from msrn.training.batches import TrainingImages

PLAIN = ", no graph"
FIRST = 30  # steps that are not timed: compilation, plans, recordings


class Bench:
    """A training with one backend that goes on where it stopped."""

    def __init__(self, name: str, images: TrainingImages, s: Settings) -> None:
        self.name, self.images = name, images
        self.run = run = state.Training.start(s, images, seed=0)
        torch.manual_seed(0)
        run.codes.normal_()
        run.codes_valid.fill_(True)
        run.network.bank.write(run.codes[:2000], torch.tensor(images.category[:2000]).to(images.device))

    def steps(self, count: int) -> float:
        """Seconds for ``count`` steps, after some in which kernels are compiled and graphs recorded."""
        backend = self.name.removesuffix(PLAIN)
        steps.soft_rasterize = functools.partial(soft_rasterize, backend=backend)
        cuda_graphs.WARM_UP = 3 if backend in ("triton", "numba") and PLAIN not in self.name else sys.maxsize
        run, times = self.run, []
        run.settings = run.settings.model_copy(update={"steps": run.step + FIRST + count})
        loop.train(run, self.images, LogLines(lambda: times.append(time.perf_counter())))  # a line waits for the device
        return times[-1] - times[FIRST // run.settings.log_every - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="paper")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--backends")
    parser.add_argument("--dataset", default="homeware")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    report_file.add_option(parser)
    a = parser.parse_args()
    device = a.device if a.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    on_gpu = ["triton", f"triton{PLAIN}", "torch", "pytorch3d"]
    names = a.backends.split(",") if a.backends else on_gpu if device == "cuda" else ["numba", "torch"]
    base = profiles.resolve(a.profile, dataset=a.dataset, device=device).settings
    s = make_settings({**base.model_dump(), "stage_switch": 0, "log_every": 10, "checkpoint_every": 10})
    collection = open_collection(a.dataset, "train")
    drawn = np.random.default_rng(0).integers(len(collection), size=(len(collection), s.candidates))
    images = TrainingImages(collection, drawn, s, device)
    found: dict[str, list[float]] = {}
    benches = []
    for name in names:
        bench = Bench(name, images, s)
        try:
            bench.steps(10)
        except MsrnError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        benches.append(bench)
    for _ in range(a.rounds):
        for bench in benches:
            found.setdefault(bench.name, []).append(bench.steps(a.steps) / a.steps)
    seconds = {name: statistics.median(values) for name, values in found.items()}
    for name, value in seconds.items():
        ratio = value / seconds[names[0]]
        print(f"{name:20} {1000 * value:8.2f} ms a step {1 / value:8.1f} steps/s {ratio:6.1f} x {names[0]}")
    result = {
        "benchmark": "training",
        "profile": a.profile,
        "dataset": a.dataset,
        "device": results.device_name(device),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "settings": {name: getattr(s, name) for name in ("image_size", "mesh_level", "encoder", "batch_size")},
        "memory_bytes": torch.cuda.max_memory_allocated() if device == "cuda" else None,
        "seconds_per_step": found,
        "steps_per_second": {name: 1 / value for name, value in seconds.items()},
    }
    report_file.write(a.json, result)


if __name__ == "__main__":
    main()

"""Where the time of a training step goes on the CPU, and its floor.

    python tests/benchmarks/bench_step.py [--profile laptop] [--dataset homeware] [--threads 1,2] [--rounds 9]
                                          [--steps 10] [--warm-up 300] [--json FILE]

A training runs past the stage switch, until it has prototypes and a full bank, and goes on. A round times some of its
steps as they are; then it watches a pose step and a shape step, and calls what these called once more, alone and on the
very tensors, forward and backward. Medians over rounds; with several numbers of threads, each round has them in turn.

    floor = multiply-adds of the networks / rate of a matrix product  +  (pixel, face) pairs x cost of a pair

The product is as large as one of a shape decoder that goes vertex by vertex, and runs on the same threads. Pairs are
those within the renderer's cut-off, and their cost is that of the renderer alone on the scenes of the step. Helpers are
what the method adds beside networks and renderer: affinity loss, neighbour selection, IoU gating and the memory,
k-means spread over its epoch, the log. Next to other work the wall says little; then compare processor time, which is
taken throughout (of all threads together, waiting for each other included).
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, is_dataclass
from unittest.mock import patch

import numpy as np
import report_file
import torch
from log_lines import LogLines
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from msrn import losses, profiles
from msrn.data import ImageCollection, open_collection
from msrn.neighbors import selection
from msrn.profiles import make_settings
from msrn.render import torch_backend
from msrn.settings import Settings
from msrn.store import results
from msrn.training import batches, loop, state, steps

HELPERS = ("affinity loss", "neighbour selection", "gating and memory", "k-means", "log")
PARTS = ("networks", "renderer", *HELPERS, "optimiser", "reading")
REPEATS = 3  # calls of each part in a round
CLOCKS = ("wall", "processor")
Times = dict[str, float]  # seconds of each clock


@dataclass
class Call:
    """A call that a step made: what it was given, and the gradients that came back to what it gave."""

    function: Callable
    arguments: tuple
    options: dict
    recording: bool  # whether autograd was
    gradients: dict[int, Tensor] = field(default_factory=dict)

    def again(self) -> None:
        """Forward and, where the step did that, backward."""
        with torch.set_grad_enabled(self.recording):
            outputs = tensors(self.function(*map(_as_leaf, self.arguments), **self.options))
        if self.gradients:
            torch.autograd.backward([outputs[i] for i in self.gradients], list(self.gradients.values()))


class Watch:
    """Keeps the calls of chosen functions, part by part; those that they make among themselves are within them."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Call]] = defaultdict(list)
        self._inside = False

    def over(self, part: str, function: Callable) -> Callable:
        def watched(*arguments, **options):
            if self._inside:
                return function(*arguments, **options)
            self._inside = True
            try:
                result = function(*arguments, **options)
            finally:
                self._inside = False
            call = Call(function, arguments, options, torch.is_grad_enabled())
            for i, output in enumerate(tensors(result)):
                if output.requires_grad:
                    output.register_hook(lambda gradient, i=i: call.gradients.__setitem__(i, gradient))
            self.calls[part].append(call)
            return result

        return watched


def tensors(value: object) -> list[Tensor]:
    """The tensors in what a function returned, in a fixed order."""
    if isinstance(value, Tensor):
        return [value]
    if is_dataclass(value):
        value = vars(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    return [tensor for part in inner for tensor in tensors(part)]


def _as_leaf(value: object) -> object:
    return value.detach().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value


class Bench:
    """A training past its stage switch that goes on step by step."""

    def __init__(self, s: Settings, collection: ImageCollection, warm_up: int) -> None:
        self.settings = make_settings({**s.model_dump(), "stage_switch": warm_up // 3, "steps": 10**9})
        drawn = np.random.default_rng(0).integers(len(collection), size=(len(collection), s.candidates))
        self.images = batches.TrainingImages(collection, drawn, self.settings, "cpu")
        run = self.run = state.Training.start(self.settings, self.images, seed=0)
        run.settings = self.settings.model_copy(update={"steps": warm_up})
        loop.train(run, self.images, LogLines())
        run.settings, self.terms, category = self.settings, [], torch.tensor(collection.category)
        run.network.bank.write(run.codes, category)  # as full as it is for most of a training
        loop.purify(run.network, self.settings, seed=0)
        run.network.compensating = s.feature_compensation

    @property
    def kind(self) -> str:
        return "pose" if batches.is_pose_step(self.run.step, self.run.settings) else "shape"

    def step(self) -> dict[str, Times]:
        """The next step and the time it takes, with what reading its inputs takes of it."""
        run, start = self.run, clocks()
        inputs = self.images.inputs(run.seed, run.step)
        reading = since(start)
        if loop.prototypes_are_due(run, self.images):
            loop.purify(run.network, self.settings, seed=run.step)
        self.terms.append(loop.take_step(run, inputs))
        del self.terms[: -self.settings.log_every]
        run.step += 1
        return {"step": since(start), "reading": reading}

    def watched_step(self) -> tuple[Watch, Times]:
        """The calls of the next step, and the time of its optimiser, whose work cannot be done twice."""
        watch, optimiser = Watch(), {}
        run, network = self.run, self.run.network

        def optimise() -> None:
            start = clocks()
            optimiser_step()
            optimiser.update(since(start))

        optimiser_step = run.optimizer.step
        watched = [
            ("networks", network, ("shape", "encode_shape", "paint", "poses")),
            ("renderer", steps, ("soft_rasterize",)),
            ("affinity loss", losses, ("affinity",)),
            ("neighbour selection", selection, ("select", "sample")),
            ("neighbour selection", steps, ("remember",)),
            ("gating and memory", losses, ("mask_iou",)),
            ("gating and memory", network.bank, ("write",)),
        ]
        with ExitStack() as stack:
            stack.enter_context(patch.object(run.optimizer, "step", optimise))
            for part, owner, names in watched:
                for name in names:
                    stack.enter_context(patch.object(owner, name, watch.over(part, getattr(owner, name))))
            self.step()
        return watch, optimiser

    def round(self, steps: int) -> dict[str, dict]:
        """Of each kind of step: samples of its times and of its parts', and what its networks and renderer worked."""
        found = {kind: defaultdict(list) for kind in ("pose", "shape")}
        self.step(), self.step()  # threads wake up
        for _ in range(self.settings.pose_every * steps):
            kind = self.kind
            for name, times in self.step().items():
                found[kind][name].append(times)
        for kind in found:
            while self.kind != kind:
                self.step()
            watch, optimiser = self.watched_step()
            found[kind]["optimiser"].append(optimiser)
            for part in watch.calls:
                found[kind][part] += self._alone(watch.calls[part])
            found[kind]["multiply_adds"] = multiply_adds(watch.calls["networks"])
            found[kind]["pairs"] = count_pairs(watch.calls["renderer"])
            found[kind]["a pair"] = [_divided(median(found[kind]["renderer"]), found[kind]["pairs"])]
        shared = {"k-means": self._k_means(), "log": self._log(), "product": self._products()}
        for kind in found:
            found[kind] |= shared
        return found

    def _alone(self, calls: list[Call]) -> list[Times]:
        samples = []
        for _ in range(REPEATS):
            self.run.optimizer.zero_grad(set_to_none=True)
            start = clocks()
            for call in calls:
                call.again()
            samples.append(since(start))
        return samples

    def _k_means(self) -> list[Times]:
        """A step's share of what runs once in an epoch."""
        start = clocks()
        loop.purify(self.run.network, self.settings, seed=0)
        return [_divided(since(start), self.images.steps_per_epoch)]

    def _log(self) -> list[Times]:
        """A step's share of a line of the log."""
        start = clocks()
        json.dumps(loop.summarise(self.terms, self.run.step))
        return [_divided(since(start), len(self.terms))]

    def _products(self) -> list[Times]:
        rows, inner = self.product
        left, right = torch.rand(rows, inner), torch.rand(inner, inner)
        samples = []
        for _ in range(10 * REPEATS):
            start = clocks()
            left @ right
            samples.append(since(start))
        return samples

    @property
    def product(self) -> tuple[int, int]:
        """Rows and columns of the product whose rate counts: every vertex of the batch, through a hidden layer."""
        return self.settings.batch_size * len(self.run.network.sphere), self.settings.shape_hidden


def multiply_adds(calls: list[Call]) -> int:
    """Of all products and convolutions, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        for call in calls:
            call.again()
    return counter.get_total_flops() // 2


def count_pairs(calls: list[Call]) -> int:
    """(Pixel, face) pairs within the cut-off in the scenes of ``soft_rasterize``."""
    total = 0
    for call in calls:
        vertices, faces, _, size, sigma = call.arguments[:5]
        cutoff = np.log(1 / 1e-4 - 1) * sigma
        for image in vertices.detach():
            face, row, column = torch_backend._pairs(image[faces], size, cutoff)
            triangle = torch_backend._relative(image[faces], face, row, column, size)
            total += int((torch_backend._signed_square(triangle) > -cutoff).sum())
    return total


def clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> Times:
    """Seconds since ``start`` on each clock."""
    return {clock: now - then for clock, now, then in zip(CLOCKS, clocks(), start, strict=True)}


def _divided(times: Times, by: int) -> Times:
    return {clock: value / by for clock, value in times.items()}


def median(samples: list[Times]) -> Times:
    """0 without samples: the step has no such part."""
    return {clock: statistics.median([times[clock] for times in samples] or [0.0]) for clock in CLOCKS}


def measure(bench: Bench, threads: list[int], rounds: int, steps: int) -> list[dict]:
    """For every number of threads a row for each kind of step, and one for the mean of all steps."""
    found = {count: [] for count in threads}
    for _ in range(rounds):
        for count in threads:
            torch.set_num_threads(count)
            found[count].append(bench.round(steps))
    rows = []
    for count in threads:
        kinds = [_row(kind, [made[kind] for made in found[count]], bench) for kind in ("pose", "shape")]
        both = {"kind": "both", **_mean(*kinds, 1 / bench.settings.pose_every)}
        rows += [{"threads": count, **_judged(row)} for row in (*kinds, both)]
    return rows


def _row(kind: str, rounds: list[dict], bench: Bench) -> dict:
    names = ("step", "product", "a pair", *PARTS)
    times = {name: median([sample for made in rounds for sample in made[name]]) for name in names}
    product = _divided(times.pop("product"), bench.product[0] * bench.product[1] ** 2)  # seconds of a multiply-add
    work, pairs = (int(statistics.median(made[name] for made in rounds)) for name in ("multiply_adds", "pairs"))
    pair = times.pop("a pair")
    return {
        "kind": kind,
        "multiply_adds": work,
        "pairs": pairs,
        "multiply_adds_per_second": {clock: 1 / product[clock] for clock in CLOCKS},
        "seconds_per_pair": pair,
        "network_floor": {clock: work * product[clock] for clock in CLOCKS},
        "renderer_floor": {clock: pairs * pair[clock] for clock in CLOCKS},
        "step": times.pop("step"),
        "parts": times,
    }


def _mean(left: dict, right: dict, share: float) -> dict:
    """Value by value of two rows, the left one with its share."""
    if not isinstance(left, dict):
        return share * left + (1 - share) * right
    return {name: _mean(left[name], right[name], share) for name in left if name != "kind"}


def _judged(row: dict) -> dict:
    """A row with its floor, how often that fits into the step, the helpers' share, and what is left of the step."""
    step, parts = row["step"], row["parts"]
    floor = {clock: row["network_floor"][clock] + row["renderer_floor"][clock] for clock in CLOCKS}
    helpers = {clock: sum(parts[name][clock] for name in HELPERS) for clock in CLOCKS}
    return {
        **row,
        "rest": {clock: step[clock] - sum(parts[name][clock] for name in PARTS) for clock in CLOCKS},
        "floor": floor,
        "ratio": {clock: step[clock] / floor[clock] for clock in CLOCKS},
        "helpers_share": {clock: helpers[clock] / step[clock] for clock in CLOCKS},
    }


def lines(rows: list[dict]) -> Iterator[str]:
    """A table for a terminal: milliseconds on the wall / of the processor."""
    heads = [f"{row['kind']}, {row['threads']} thread{'s' * (row['threads'] > 1)}" for row in rows]
    yield " " * 20 + "".join(f"{head:>18}" for head in heads)

    def line(name: str, get: Callable[[dict], Times], scale: float = 1e3, unit: str = "") -> str:
        values = [" / ".join(f"{scale * get(row)[clock]:.{1 + (scale == 1)}f}" for clock in CLOCKS) for row in rows]
        return f"{name:20}" + "".join(f"{value + unit:>18}" for value in values)

    yield line("step", lambda row: row["step"])
    for part in PARTS:
        yield line(f"  {part}", lambda row, part=part: row["parts"][part])
    yield line("  all else", lambda row: row["rest"])
    yield line("floor", lambda row: row["floor"])
    yield line("  of the networks", lambda row: row["network_floor"])
    yield line("  of the renderer", lambda row: row["renderer_floor"])
    yield line("step / floor", lambda row: row["ratio"], 1)
    yield line("helpers", lambda row: row["helpers_share"], 1e2, " %")
    yield line("ns a pair", lambda row: row["seconds_per_pair"], 1e9)
    yield line("G multiply-adds/s", lambda row: row["multiply_adds_per_second"], 1e-9)
    for name, scale in (("multiply_adds", 1e-6), ("pairs", 1e-6)):
        yield f"{'M ' + name.replace('_', '-'):20}" + "".join(f"{scale * row[name]:18.2f}" for row in rows)


@contextmanager
def kept_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--dataset", default="homeware")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, with commas between them")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each kind in a round")
    parser.add_argument("--warm-up", type=int, default=300, help="training steps before the first round")
    report_file.add_option(parser)
    a = parser.parse_args(arguments)
    s = profiles.resolve(a.profile, dataset=a.dataset, device="cpu").settings
    report = {"benchmark": "step", "profile": a.profile, "dataset": a.dataset, "device": results.device_name("cpu")}
    report |= {"processor": platform.processor() or platform.machine(), "load_before": os.getloadavg()[0]}
    names = ("image_size", "mesh_level", "encoder", "batch_size", "pose_candidates", "candidates", "neighbor_samples")
    report["settings"] = {name: getattr(s, name) for name in names}
    with kept_threads():
        bench = Bench(s, open_collection(a.dataset, "train"), a.warm_up)
        report["rows"] = measure(bench, [int(count) for count in a.threads.split(",")], a.rounds, a.steps)
    report |= {"steps_per_epoch": bench.images.steps_per_epoch, "load_after": os.getloadavg()[0]}
    report |= results.provenance()
    print(f"a step at profile {a.profile} on {a.dataset}, {report['device']}: milliseconds, wall / processor")
    print(f"(load {report['load_before']:.1f} before, {report['load_after']:.1f} after, {a.rounds} rounds)")
    print("\n".join(lines(report["rows"])))
    report_file.write(a.json, results.rounded(report))


if __name__ == "__main__":
    main()

"""Seconds and memory of the candidate search over growing random subsets, beside the products that it cannot avoid.

    python tests/benchmarks/bench_candidates.py [--json FILE] [--sizes 2048,...] [--threads 1] [--device cpu]

Features of 768 numbers, 24 views an object, objects in clusters, and masks lie in files; each subset is searched in one
scope and in a process of its own, by the letter and for distinct objects. Right before and after, large float32
products give the machine's rate, and with it the floor: 2 N^2 D operations. Memory is the peak of what it holds,
beyond what it held before the search; pages of mapped files do not count, since they are given back when asked for.

Times are fitted twice: as a power of N, whose exponent is printed beside that of the two largest subsets, and as
a N + b N^2, which alone extrapolates to the paper's 737,000 images: a power fitted where the square does not yet rule
would fall below the floor. How far beyond the largest subset that is, is printed too.
On the CPU all of this is in processor time over threads, since a machine with other work would spoil the wall's.
"""

import argparse
import os
import platform
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import report_file
import torch
from scipy.optimize import nnls

from msrn.neighbors.candidates import find_candidates

SIZE, VIEWS, COUNT = 768, 24, 6
PAPER, CATEGORIES = 737_000, 13
RULES = {"by the letter": {}, "distinct": {"objects": "distinct"}}


def make_files(folder: Path, count: int) -> None:
    """Features (count,768) and masks (count,64,64)."""
    rng = np.random.default_rng(0)
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float32, (count, SIZE))
    masks = np.lib.format.open_memmap(folder / "masks.npy", "w+", bool, (count, 64, 64))
    draw = lambda *shape: rng.standard_normal(shape, np.float32)  # noqa: E731
    clusters = draw(32, SIZE)
    y, x = np.ogrid[:64, :64]
    for start in range(0, count, VIEWS):
        views = min(VIEWS, count - start)
        rows = clusters[rng.integers(32)] + draw(SIZE) + 0.7 * draw(views, SIZE)
        features[start : start + views] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        width, height = rng.uniform(8, 28, (2, views, 1, 1))
        masks[start : start + views] = (abs(x - 32) < width) & (abs(y - 32) < height)


def measure(folder: Path, count: int, rule: str, threads: int, device: str) -> dict:
    """One search over ``count`` random images, in this process."""
    torch.set_num_threads(threads)
    features = np.load(folder / "features.npy", mmap_mode="r")
    masks = np.load(folder / "masks.npy", mmap_mode="r")
    kept = np.sort(np.random.default_rng(count).permutation(len(features))[:count])
    object_id = np.char.mod("%d", kept // VIEWS)
    search = _Subset(features, kept), np.zeros(count, np.int64), object_id, COUNT
    chosen = {**RULES[rule], "masks": _Subset(masks, kept), "device": device}
    few = slice(0, 240)
    find_candidates(features[few], np.zeros(240, int), np.arange(240) // VIEWS, COUNT, device=device)  # compile, start
    before = products_per_second(threads, device)
    with peak_memory(device) as memory:
        started, wall = clock(threads, device), time.perf_counter()
        find_candidates(*search, **chosen)
        seconds, wall = clock(threads, device) - started, time.perf_counter() - wall
    rate = max(before, products_per_second(threads, device))
    floor = 2 * count**2 * SIZE / rate
    found = {"images": count, "rule": rule, "seconds": seconds, "wall": wall, "floor": floor, "rate": rate}
    return {**found, "memory": memory["peak"]}


class _Subset:
    """Some rows of a mapped file, read as they are asked for."""

    def __init__(self, rows: np.ndarray, kept: np.ndarray) -> None:
        self.rows, self.kept = rows, kept

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, numbers) -> np.ndarray:
        return self.rows[self.kept[numbers]]


def products_per_second(threads: int, device: str) -> float:
    """Operations a second of a large float32 product, best of five."""
    left, right = torch.rand(4096, SIZE, device=device), torch.rand(4096, SIZE, device=device)
    times = []
    for _ in range(6):
        started = clock(threads, device)
        left @ right.T
        times.append(clock(threads, device) - started)
    return 2 * 4096**2 * SIZE / min(times[1:])


def clock(threads: int, device: str) -> float:
    """Seconds of the processor over threads, or of the wall when a GPU works, which is waited for."""
    if device == "cpu":
        return time.process_time() / threads
    torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def peak_memory(device: str):
    """Peak bytes within, beyond those at the start: of this process, and of the GPU when it works there."""
    found, done = {}, threading.Event()
    start, highest = _held(), [0]

    def watch() -> None:
        while not done.wait(0.005):
            highest[0] = max(highest[0], _held() - start)

    watcher = threading.Thread(target=watch)
    watcher.start()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    try:
        yield found
    finally:
        done.set()
        watcher.join()
        found["peak"] = highest[0] + (torch.cuda.max_memory_allocated() if device == "cuda" else 0)


def _held() -> int:
    """Bytes of the process that no file backs; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def fits(rows: list[dict]) -> dict:
    """The power of N with its standard error, and the extrapolation to the paper's images, with the floor."""
    n, t = np.array([row["images"] for row in rows], float), np.array([row["seconds"] for row in rows])
    rate = float(np.median([row["rate"] for row in rows]))
    (exponent, factor), covariance = np.polyfit(np.log(n), np.log(t), 1, cov="unscaled")
    residual = np.log(t) - exponent * np.log(n) - factor
    error = float(np.sqrt(covariance[0, 0] * (residual**2).sum() / max(1, len(n) - 2)))
    (linear, square), _ = nnls(np.stack([n, n**2], 1) / t[:, None], np.ones(len(n)))  # relative errors count alike
    last = float(np.log(t[-1] / t[-2]) / np.log(n[-1] / n[-2]))
    found = {"exponent": float(exponent), "exponent_error": error, "last_exponent": last}
    found |= {"linear": float(linear), "square": float(square)}
    for name, scopes in (("13 categories", CATEGORIES), ("one scope", 1)):
        size = PAPER / scopes
        found[name] = {
            "seconds": scopes * (linear * size + square * size**2),
            "floor": scopes * 2 * size**2 * SIZE / rate,
            "beyond": size / n.max(),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    report_file.add_option(parser)
    parser.add_argument("--sizes", default="2048,4096,8192,16384,32768", help="images of the subsets")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    name = torch.cuda.get_device_name() if options.device == "cuda" else platform.processor() or platform.machine()
    report = {"device": name, "threads": options.threads, "cores": os.cpu_count(), "torch": torch.__version__}
    report |= {"load_before": os.getloadavg()[0], "features": SIZE, "candidates": COUNT, "rules": {}}
    print(f"candidate search, {SIZE} features, {name}, {options.threads} threads, load {report['load_before']:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder), max(sizes))
        for rule in RULES:
            rows = []
            for size in sizes:
                with ProcessPoolExecutor(1, get_context("spawn")) as apart:
                    arguments = Path(folder), size, rule, options.threads, options.device
                    rows.append(apart.submit(measure, *arguments).result())
                row = rows[-1]
                print(
                    f"  {rule}, {size:7,} images: {row['seconds']:8.2f} s, {row['seconds'] / row['floor']:5.2f} x the "
                    f"floor at {row['rate'] / 1e9:,.0f} Gop/s, {row['memory'] / 1e6:6.0f} MB",
                    flush=True,
                )
            report["rules"][rule] = {"rows": rows, "fits": (found := fits(rows))}
            print(
                f"    time ~ N^{found['exponent']:.2f} (standard error {found['exponent_error']:.2f}), "
                f"N^{found['last_exponent']:.2f} between the two largest"
            )
            for scope in ("13 categories", "one scope"):
                at = found[scope]
                print(
                    f"    {PAPER:,} images in {scope}: {_minutes(at['seconds'])}, floor {_minutes(at['floor'])}; "
                    f"{at['beyond']:.1f} x the largest subset"
                )
    report_file.write(options.json, report)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


if __name__ == "__main__":
    main()

"""Forward + backward time of the CPU renderer beside PyTorch3D's, in one run.

    python tests/benchmarks/bench_renderer.py [--json FILE] [--threads 2] [--rounds 3] [--without-pytorch3d]

Both draw the same meshes through `soft_rasterize` (rgb, alpha and log-transparency, gradients to vertices and colours).
Each round times PyTorch3D once and numba several times right after, so a busy machine slows both; the ratio is of the
medians. One untimed call of each comes first, for compilation and imports. PyTorch3D's CPU rasteriser uses one thread,
so the ratio is given for numba on one thread and on --threads. On a machine with other work, compare the processor time
of one thread, given beside the wall time: short calls wait for their turn longer than they run.
"""

import argparse
import os
import platform
import statistics
import time

import report_file
import torch

from msrn.camera import DISTANCE, project, rotation
from msrn.render import icosphere, soft_rasterize
from msrn.render.pytorch3d_backend import FACES_PER_PIXEL

SIGMA = GAMMA = 1e-4
VERSUS = {"level": 3, "batch": 16, "size": 64}
TRAINING = [
    {"level": 2, "batch": 96, "size": 32},
    {"level": 2, "batch": 16, "size": 32},
    {"level": 3, "batch": 16, "size": 64},
    {"level": 3, "batch": 96, "size": 64},
    {"level": 4, "batch": 16, "size": 64},
]


def scene(level: int, batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The starting ellipsoid of training, seen from all sides."""
    draw = torch.Generator().manual_seed(0)
    vertices, faces = icosphere(level)
    vertices = vertices * torch.tensor([0.4, 0.28, 0.28])
    azimuth = torch.rand(batch, generator=draw) * 360
    turn = rotation(azimuth, torch.full((batch,), 30.0), torch.zeros(batch))
    translation = torch.tensor([0.0, 0.0, DISTANCE]).expand(batch, 3)
    colors = torch.rand(batch, len(faces), 3, 3, generator=draw)
    return project(vertices.expand(batch, -1, -1), turn, translation), faces, colors


def once(meshes, size: int, backend: str) -> tuple[float, float]:
    """Seconds of one forward and backward pass: on the wall, and of the processor (all threads together)."""
    vertices, faces, colors = meshes
    leaves = vertices.clone().requires_grad_(), colors.clone().requires_grad_()
    start, processor = time.perf_counter(), time.process_time()
    outputs = soft_rasterize(leaves[0], faces, leaves[1], size, SIGMA, GAMMA, backend=backend)
    torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])
    return time.perf_counter() - start, time.process_time() - processor


def versus(threads: int, rounds: int) -> dict:
    meshes, size = scene(VERSUS["level"], VERSUS["batch"]), VERSUS["size"]
    torch.set_num_threads(threads)
    once(scene(0, 1), size, "pytorch3d"), once(meshes, size, "numba")
    theirs, single, several = [], [], []
    for _ in range(rounds):
        torch.set_num_threads(threads)
        theirs.append(once(meshes, size, "pytorch3d"))
        several += [once(meshes, size, "numba") for _ in range(15)]
        torch.set_num_threads(1)
        single += [once(meshes, size, "numba") for _ in range(15)]
    seconds = {"pytorch3d": theirs, "numba, 1 thread": single, f"numba, {threads} threads": several}
    wall = {name: statistics.median(wall for wall, _ in times) for name, times in seconds.items()}
    processor = {name: statistics.median(used for _, used in times) for name, times in seconds.items()}
    return {
        **VERSUS,
        "faces_per_pixel": FACES_PER_PIXEL,
        "seconds_wall_processor": seconds,
        "wall": wall,
        "processor": processor,
        "ratio_wall": {name: wall["pytorch3d"] / wall[name] for name in wall},
        "ratio_processor": {name: processor["pytorch3d"] / processor[name] for name in processor},
    }


def alone(threads: int) -> list[dict]:
    torch.set_num_threads(threads)
    results = []
    for shape in TRAINING:
        meshes = scene(shape["level"], shape["batch"])
        times = [once(meshes, shape["size"], "numba") for _ in range(21)][1:]
        wall, processor = zip(*times, strict=True)
        row = {"threads": threads, "median": statistics.median(wall), "best": min(wall)}
        results.append({**shape, **row, "processor": statistics.median(processor)})
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    report_file.add_option(parser)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count()))
    parser.add_argument("--rounds", type=int, default=3, help="calls of PyTorch3D; each takes some 20 s")
    parser.add_argument("--without-pytorch3d", action="store_true", help="time numba alone")
    options = parser.parse_args()
    report = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__}
    report["load_before"] = os.getloadavg()[0]
    report["numba"] = alone(1) + alone(options.threads)
    print(f"numba, forward + backward, milliseconds (load before: {report['load_before']:.1f})")
    for row in report["numba"]:
        shape = f"icosphere {row['level']}  B {row['batch']:3}  {row['size']}x{row['size']}  threads {row['threads']}"
        figures = "  ".join(f"{name} {row[name] * 1e3:7.1f}" for name in ("median", "best", "processor"))
        print(f"  {shape}: {figures}")
    if not options.without_pytorch3d:
        result = report["versus"] = versus(options.threads, options.rounds)
        print(f"side by side: {VERSUS}, {FACES_PER_PIXEL} faces per pixel, medians of interleaved calls")
        for name, wall in result["wall"].items():
            print(
                f"  {name}: wall {wall:.4f} s ({result['ratio_wall'][name]:.0f}x), processor "
                f"{result['processor'][name]:.4f} s ({result['ratio_processor'][name]:.0f}x), "
                f"{len(result['seconds_wall_processor'][name])} calls"
            )
    report_file.write(options.json, report)


if __name__ == "__main__":
    main()

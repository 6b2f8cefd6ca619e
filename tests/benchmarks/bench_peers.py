"""Other differentiable renderers beside ours: silhouettes, gradients and time on the same meshes.

    python tests/benchmarks/bench_peers.py [--rounds 15] [--slow-rounds 2] [--json FILE]

Sixteen ellipsoids seen from all sides, 64 x 64 pixels each, gradients to the corners. They are convex, so that the true
silhouettes and their gradients are known: a pixel is covered by the share of its area within the hull, and this area
grows where the hull moves outwards. All renderers get one thread, and the calls take turns.

DEODR draws hard surfaces whose silhouettes are antialiased, Mitsuba 3 hard surfaces by random samples (here without
colours); PyTorch3D and we draw soft ones by the same equations. What cannot be imported is left out: DEODR and Mitsuba
install from PyPI as `deodr` and `mitsuba`. Mitsuba also needs an LLVM library, which DRJIT_LIBLLVM_PATH names; with
version 15 it does not run.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import report_file
import torch
from bench_renderer import GAMMA, SIGMA, scene
from scipy.spatial import ConvexHull
from torch import Tensor

from msrn.camera import FIELD_OF_VIEW, FOCAL
from msrn.errors import first_line
from msrn.render import soft_rasterize
from msrn.store import results

SCENE = {"level": 3, "batch": 16, "size": 64}
SAMPLES = 16  # of Mitsuba, a pixel
FINE = 16  # lines of samples a pixel of the true silhouettes, and points a pixel on the true outline
# A renderer prepares what does not change between two calls and returns what draws: from gradients of rgb (B,3,H,W) and
# of the silhouettes (B,H,W) the silhouettes, and the gradients (B,V,2) of the corners' image coordinates.
Draw = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def ours(vertices: Tensor, faces: Tensor, colors: Tensor, size: int, backend: str = "numba") -> Draw:
    def draw(grad_rgb: np.ndarray, grad_alpha: np.ndarray):
        leaves = vertices.clone().requires_grad_(), colors[:, faces].requires_grad_()
        rgb, alpha, _ = soft_rasterize(leaves[0], faces, leaves[1], size, SIGMA, GAMMA, backend=backend)
        torch.autograd.backward((rgb, alpha), (torch.from_numpy(grad_rgb), torch.from_numpy(grad_alpha)))
        return alpha.detach().numpy(), leaves[0].grad[..., :2].numpy()

    return draw


def pytorch3d(vertices: Tensor, faces: Tensor, colors: Tensor, size: int) -> Draw:
    import pytorch3d  # noqa: F401

    return ours(vertices, faces, colors, size, "pytorch3d")


def deodr(vertices: Tensor, faces: Tensor, colors: Tensor, size: int) -> Draw:
    """Red, green, blue and coverage as four colours of one drawing."""
    from deodr.differentiable_renderer import Scene2D

    count = vertices.shape[1]
    triangles, none = faces.numpy().astype(np.uint32), np.zeros(len(faces), bool)
    neighbors, half = _neighbors(faces.numpy()), size / 2
    values = np.concatenate([colors.double().numpy(), np.ones((*colors.shape[:2], 1))], -1)
    background = np.array([1.0, 1.0, 1.0, 0.0])

    def scene(k: int, points: np.ndarray) -> Scene2D:
        corners = points[triangles, :2]
        along, across = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        front = along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0] > 0
        return Scene2D(
            triangles, triangles, half * (points[:, :2] + 1), np.ascontiguousarray(points[:, 2]), none,
            np.zeros((count, 2)), np.zeros(count), values[k], none, front[:, None] != front[neighbors], size, size, 4,
            np.zeros((0, 0, 4)), background_color=background, clockwise=DEODR_CLOCKWISE, backface_culling=True,
            integer_pixel_centers=False,
        )  # fmt: skip

    def draw(grad_rgb: np.ndarray, grad_alpha: np.ndarray):
        alphas, gradients = [], []
        grad = np.concatenate([grad_rgb, grad_alpha[:, None]], 1).transpose(0, 2, 3, 1).astype(float, order="C")
        for k, points in enumerate(vertices.double().numpy()):
            drawn = scene(k, points)
            image, _ = drawn.render()
            drawn.render_backward(grad[k])
            alphas.append(image[..., 3])
            gradients.append(half * drawn.ij_b)
        return np.stack(alphas), np.stack(gradients)

    return draw


DEODR_CLOCKWISE = True  # fronts of the icosphere turn this way in images whose y points down


def mitsuba(vertices: Tensor, faces: Tensor, colors: Tensor, size: int) -> Draw:
    """White meshes before black: its projective integrator, whose samples of outlines carry all of the gradient."""
    import drjit as dr
    import mitsuba as mi

    mi.set_variant("llvm_ad_rgb")
    dr.set_thread_count(1)
    integrator = mi.load_dict({"type": "direct_projective", "sppc": 0, "sppp": SAMPLES, "sppi": 0})
    film = {"type": "hdrfilm", "width": size, "height": size, "rfilter": {"type": "box"}, "pixel_format": "luminance"}
    film["sample_border"] = True  # it warns without
    upright = mi.ScalarTransform4f().look_at(origin=[0, 0, 0], target=[0, 0, 1], up=[0, 1, 0])
    sensor = {"type": "perspective", "fov": FIELD_OF_VIEW, "near_clip": 0.1, "to_world": upright, "film": film}
    # Mitsuba looks along z with x to the left and y up.
    depth = vertices[..., 2:].numpy()
    factor = -depth / FOCAL
    places = np.concatenate([vertices[..., :2].numpy() * factor, depth], -1)

    def scene() -> mi.Scene:
        properties = mi.Properties()
        properties["light"] = mi.load_dict({"type": "area", "radiance": {"type": "rgb", "value": 1.0}})
        mesh = mi.Mesh("mesh", vertices.shape[1], len(faces), props=properties)
        inside = mi.traverse(mesh)
        inside["faces"] = faces.numpy().astype(np.uint32).ravel()
        inside["vertex_positions"] = places[0].ravel()
        inside.update()
        return mi.load_dict({"type": "scene", "sensor": sensor, "mesh": mesh})

    stage = scene()
    parameters = mi.traverse(stage)
    name = next(key for key in parameters.keys() if key.endswith("vertex_positions"))

    def draw(grad_rgb: np.ndarray, grad_alpha: np.ndarray):
        alphas, gradients = [], []
        for k, place in enumerate(places):
            parameters[name] = mi.Float(place.ravel())
            dr.enable_grad(parameters[name])
            parameters.update()
            image = mi.render(stage, parameters, integrator=integrator, spp=SAMPLES, seed=k)
            dr.backward(dr.sum(image * mi.TensorXf(grad_alpha[k][..., None])))
            alphas.append(np.array(image)[..., 0])
            gradients.append(np.array(dr.grad(parameters[name])).reshape(-1, 3)[:, :2] * factor[k])
        return np.stack(alphas), np.stack(gradients)

    return draw


RENDERERS = {"numba": ours, "deodr": deodr, "mitsuba": mitsuba, "pytorch3d": pytorch3d}
PACKAGES = {"numba": "numba", "deodr": "deodr", "mitsuba": "mitsuba", "pytorch3d": "easypytorch3d"}
SLOW = ("mitsuba", "pytorch3d")


def compare(vertices: Tensor, faces: Tensor, colors: Tensor, size: int, rounds: dict[str, int]) -> dict[str, dict]:
    """For each renderer that can be imported: IoU of its silhouettes with the true ones (%), cosines of its gradients
    with the true ones, and seconds. The cosines are of two losses: a smooth one, silhouettes weighted with waves that
    are longer than outlines are soft, and the squared difference from silhouettes of wider and lower meshes, where each
    renderer judges its own. `rounds`: how often each is timed; their calls take turns."""
    draws, found = {}, {}
    for name, renderer in RENDERERS.items():
        try:
            draws[name] = renderer(vertices, faces, colors, size)
        except ImportError as error:
            print(f"{name} is left out, it cannot be imported: {first_line(error)}")
    outlines = [ConvexHull(points).vertices for points in vertices[..., :2].numpy()]
    true = coverage(vertices, outlines, size)
    target = coverage(vertices * vertices.new_tensor([1.1, 0.9, 1]), outlines, size)
    grad_rgb = np.random.default_rng(0).standard_normal((len(vertices), 3, size, size), np.float32)
    smooth = _waves(size, len(vertices))
    for name, draw in draws.items():
        alpha, gradient = draw(0 * grad_rgb, smooth)
        covered, inside = alpha > 0.5, true > 0.5
        squared = draw(0 * grad_rgb, (2 * (alpha - target)).astype(np.float32))[1]
        found[name] = {
            "version": version(PACKAGES[name]),
            "iou": float(100 * ((covered & inside).sum((1, 2)) / (covered | inside).sum((1, 2))).mean()),
            "cosine_smooth": _cosine(gradient, outline_gradient(vertices, outlines, smooth)),
            "cosine_squared": _cosine(squared, outline_gradient(vertices, outlines, 2 * (true - target))),
            "seconds_wall_processor": [],
        }
    for k in range(max(rounds.values())):
        for name, draw in draws.items():
            if k < rounds[name]:
                start, processor = time.perf_counter(), time.process_time()
                draw(grad_rgb, smooth)
                used = time.perf_counter() - start, time.process_time() - processor
                found[name]["seconds_wall_processor"].append(used)
    for row in found.values():
        times = zip(*row["seconds_wall_processor"], strict=True)
        row["wall"], row["processor"] = (statistics.median(clock) for clock in times)
    return found


def _waves(size: int, batch: int) -> np.ndarray:
    """Sums of eight waves of at most two periods across the image, float32 (B,H,W)."""
    draw = np.random.default_rng(0)
    place = (np.arange(size) + 0.5) / size
    (y, x), phase = draw.uniform(-2, 2, (2, 8, batch, 1, 1)), draw.uniform(0, 2 * np.pi, (8, batch, 1, 1))
    return np.cos(2 * np.pi * (y * place[:, None] + x * place) + phase).sum(0).astype(np.float32)


def coverage(vertices: Tensor, outlines: list[np.ndarray], size: int) -> np.ndarray:
    """The share of each pixel's area within the outlines, float32 (B,H,W): rows of lines, on each the exact length."""
    lines = (2 * np.arange(size * FINE) + 1) / (size * FINE) - 1
    edges = 2 * np.arange(size + 1) / size - 1
    images = []
    for points, outline in zip(vertices[..., :2].double().numpy(), outlines, strict=True):
        a, b = points[outline], points[np.roll(outline, -1)]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (lines[:, None] - a[:, 1]) / (b[:, 1] - a[:, 1])
            x = a[:, 0] + t * (b[:, 0] - a[:, 0])
        crossed = (t >= 0) & (t < 1)
        left = np.where(crossed, x, np.inf).min(1, keepdims=True)
        right = np.where(crossed, x, -np.inf).max(1, keepdims=True)
        within = (np.minimum(right, edges[1:]) - np.maximum(left, edges[:-1])).clip(0)
        images.append(within.reshape(size, FINE, size).mean(1) * size / 2)
    return np.stack(images).astype(np.float32)


def outline_gradient(vertices: Tensor, outlines: list[np.ndarray], grad_alpha: np.ndarray) -> np.ndarray:
    """Gradients (B,V,2) of true silhouettes: where an outline moves outwards by d, each of its pixels gains the area d
    times the length within that pixel."""
    size = grad_alpha.shape[-1]
    t = ((np.arange(FINE * 8) + 0.5) / (FINE * 8))[:, None, None]
    gradients = np.zeros((*vertices.shape[:2], 2))
    for k, (points, outline) in enumerate(zip(vertices[..., :2].double().numpy(), outlines, strict=True)):
        a, b = points[outline], points[np.roll(outline, -1)]
        outward = np.stack([b[:, 1] - a[:, 1], a[:, 0] - b[:, 0]], -1)  # as long as the edge; hulls turn one way
        column, row = ((((1 - t) * a + t * b) + 1) * size / 2).astype(int).clip(0, size - 1).transpose(2, 0, 1)
        share = grad_alpha[k, row, column][..., None] * outward * (size / 2) ** 2 / len(t)
        np.add.at(gradients[k], outline, ((1 - t) * share).sum(0))
        np.add.at(gradients[k], np.roll(outline, -1), (t * share).sum(0))
    return gradients


def _neighbors(faces: np.ndarray) -> np.ndarray:
    """(F,3): the face across each edge, from a face's corner to the next, of a closed mesh."""
    start, end = faces.ravel(), np.roll(faces, -1, 1).ravel()
    owner = {edge: k // 3 for k, edge in enumerate(zip(start, end, strict=True))}
    return np.array([owner[edge] for edge in zip(end, start, strict=True)]).reshape(-1, 3)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Mean over the meshes."""
    a, b = (x.reshape(len(x), -1).astype(float) for x in (a, b))
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report_file.add_option(parser)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--slow-rounds", type=int, default=2, help=f"of {' and '.join(SLOW)}, which take seconds")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = {"benchmark": "peers", "device": results.device_name("cpu"), "threads": 1, **SCENE}
    report |= {"processor": platform.processor() or platform.machine(), "load_before": os.getloadavg()[0]}
    vertices, faces, _ = scene(SCENE["level"], SCENE["batch"])
    draw = torch.Generator().manual_seed(0)
    colors = torch.rand(SCENE["batch"], vertices.shape[1], 3, generator=draw)  # of corners that faces share
    rounds = {name: options.slow_rounds if name in SLOW else options.rounds for name in RENDERERS}
    report["rows"] = compare(vertices, faces, colors, SCENE["size"], rounds)
    print(f"{SCENE}, forward and backward, {report['device']} (load before: {report['load_before']:.1f})")
    for name, row in report["rows"].items():
        print(
            f"  {name:9} {row['version']:12} {1e3 * row['wall']:9.1f} ms, processor {1e3 * row['processor']:9.1f} ms; "
            f"IoU {row['iou']:5.1f} %, cosine {row['cosine_smooth']:.3f} smooth, {row['cosine_squared']:.3f} squared"
        )
    report_file.write(options.json, results.rounded(report | results.provenance()))


if __name__ == "__main__":
    main()

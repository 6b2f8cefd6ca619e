"""Sphinx extension: fills the page on speed from whatever benchmarks are recorded in ``results/benchmarks``.

A file's name begins with its benchmark: ``step-laptop.json`` is one that ``tests/benchmarks/bench_step.py`` wrote.
"""

import json
from collections.abc import Callable
from pathlib import Path

import minutes
import remembered
from sphinx.application import Sphinx

from msrn import paths
from msrn.errors import MsrnError
from msrn.report import html
from msrn.report.words import duration, many

PAGE = "book/speed"
MINUTES = "minutes"  # the mark of what comes from the study's records
RASTERISERS = {
    "triton": "Triton, a step as one graph",
    "triton, no graph": "Triton, kernel by kernel",
    "torch": "plain PyTorch",
    "pytorch3d": "PyTorch3D",
    "numba": "Numba",
}
PEERS = {"numba": "ours, Numba", "deodr": "DEODR", "mitsuba": "Mitsuba", "pytorch3d": "PyTorch3D"}
HELPERS = ("affinity loss", "neighbour selection", "gating and memory", "k-means", "log")
KINDS = {"pose": "pose step", "shape": "shape step", "both": "mean"}
SEGMENTS = ("networks, floor", "networks, beyond", "renderer", "helpers", "all else")
STYLE = """<style>
.msrn-bars {display: grid; grid-template-columns: max-content 1fr max-content; gap: .5em .8em; align-items: center;
  margin: 1.2em 0; font-size: .85em; line-height: 1.3; --networks: #4477aa; --renderer: #ee8844; --helpers: #228855}
.msrn-bars .track {display: flex; height: 1.1em}
.msrn-bars .value {text-align: right; font-variant-numeric: tabular-nums}
.msrn-bars i {display: inline-block; height: 100%}
.msrn-bars .legend {grid-column: 2 / 4; display: flex; flex-wrap: wrap; gap: .2em 1.4em}
.msrn-bars .legend i {width: .8em; height: .8em; margin-right: .45em}
.msrn-bars .s0 {background: var(--networks)}
.msrn-bars .s1 {background: color-mix(in srgb, var(--networks) 40%, transparent)}
.msrn-bars .s2 {background: var(--renderer)}
.msrn-bars .s3 {background: var(--helpers)}
.msrn-bars .s4 {background: color-mix(in srgb, currentColor 22%, transparent)}
</style>"""


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the tables of each benchmark in place of its mark; files that come or change have the page read again."""
    if page != PAGE:
        return
    for benchmark in BENCHMARKS:
        source[0] = source[0].replace(f"<!-- {benchmark} -->", f"```{{raw}} html\n{tables_of(benchmark)}\n```")
    source[0] = source[0].replace(f"<!-- {MINUTES} -->", f"```{{raw}} html\n{minutes.shown()}\n```")
    code = (Path(module.__file__) for module in (minutes, remembered))
    recorded = (*folder().glob("*.json"), *(paths.RESULTS / "study").glob("*.json"))
    for file in (Path(__file__), *code, folder(), *recorded):
        app.env.note_dependency(str(file))


def folder() -> Path:
    return paths.RESULTS / "benchmarks"


def tables_of(benchmark: str) -> str:
    """What every recorded file of a benchmark shows, or how to make one."""
    show, how = BENCHMARKS[benchmark]
    files = sorted(folder().glob(f"{benchmark}*.json"))
    return "".join(_shown(file, show) for file in files) or html.note_html(f"Nothing is recorded yet: {how} does it.")


def _shown(file: Path, show: Callable[[dict], str]) -> str:
    try:
        return show(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise MsrnError(f"{file}: not what the benchmark writes ({error!r}); restore it from git") from None


def step(report: dict) -> str:
    """Bars of where a step goes, and the same in figures."""
    rows = [{**row, "name": f"{KINDS[row['kind']]}, {many(row['threads'], 'thread')}"} for row in report["rows"]]
    wall = lambda name: [_milliseconds(row[name]["wall"]) for row in rows]  # noqa: E731
    parts = [[part, *(_milliseconds(row["parts"][part]["wall"]) for row in rows)] for part in rows[0]["parts"]]
    lines = [
        ["step", *wall("step")],
        *parts,
        ["all else", *wall("rest")],
        ["floor", *wall("floor")],
        ["floor, networks", *wall("network_floor")],
        ["floor, renderer", *wall("renderer_floor")],
        ["step / floor", *(f"{row['ratio']['wall']:.1f} ×" for row in rows)],
        ["helpers / step", *(f"{row['helpers_share']['wall']:.1%}" for row in rows)],
        ["10⁶ multiply-adds", *(f"{row['multiply_adds'] / 1e6:,.0f}" for row in rows)],
        ["10³ pairs", *(f"{row['pairs'] / 1e3:,.0f}" for row in rows)],
        ["10⁹ multiply-adds/s", *(f"{row['multiply_adds_per_second']['wall'] / 1e9:.0f}" for row in rows)],
        ["ns a pair", *(f"{row['seconds_per_pair']['wall'] * 1e9:.0f}" for row in rows)],
    ]
    caption = f"A step at profile {report['profile']} on {report['dataset']}: {_device(report)}"
    note = (
        "Milliseconds on the wall, medians; each part alone on the tensors of a step. Helpers are the five lines from "
        f"affinity loss to log. {_load(report)}, PyTorch {report['packages']['torch']}, commit {report['commit']}."
    )
    return _bars(rows) + html.plain_html(caption, ["", *(row["name"] for row in rows)], lines, note)


def _bars(rows: list[dict]) -> str:
    longest = max(row["step"]["wall"] for row in rows)
    lines = []
    for row in rows:
        if row["kind"] == "both":
            continue
        widths = [100 * max(0.0, seconds) / longest for seconds in _segments(row)]
        pieces = "".join(
            f"<i class='s{k}' style='width:{width:.2f}%' title='{name}'></i>"
            for k, (name, width) in enumerate(zip(SEGMENTS, widths, strict=True))
        )
        value = f"{_milliseconds(row['step']['wall'])} ms"
        lines.append(f"<span>{row['name']}</span><span class='track'>{pieces}</span><b class='value'>{value}</b>")
    legend = "".join(f"<span><i class='s{k}'></i>{name}</span>" for k, name in enumerate(SEGMENTS))
    whole = f"{''.join(lines)}<div class='legend'>{legend}</div>"
    label = "Where a step goes, as bars; the table below has the figures"
    return f"{STYLE}<div class='msrn-bars' role='img' aria-label='{label}'>{whole}</div>"


def _segments(row: dict) -> list[float]:
    """Seconds of ``SEGMENTS``, which add up to the step."""
    parts = {name: times["wall"] for name, times in row["parts"].items()}
    floor, helpers = row["network_floor"]["wall"], sum(parts[name] for name in HELPERS)
    known = [floor, parts["networks"] - floor, parts["renderer"], helpers]
    return [*known, row["step"]["wall"] - sum(known)]


def training(report: dict) -> str:
    """Steps per second with each rasteriser, and how many times those over PyTorch3D's that is."""
    rates, seconds = report["steps_per_second"], report["seconds_per_step"]
    peer = rates.get("pytorch3d")
    lines = [
        [
            RASTERISERS.get(name, name),
            f"{rate:.1f}",
            f"{_milliseconds(1 / rate)} [{_milliseconds(min(seconds[name]))}, {_milliseconds(max(seconds[name]))}]",
            f"{rate / peer:.1f} ×" if peer else "–",
        ]
        for name, rate in rates.items()
    ]
    s, memory, rounds = report["settings"], report["memory_bytes"], max(map(len, seconds.values()))
    caption = f"Training at profile {report['profile']} on {report['dataset']}: {report['device']}"
    note = (
        f"Whole steps past the stage switch, side by side in one run, medians of {many(rounds, 'round')} "
        f"[least, most]: {s['batch_size']} images of {s['image_size']} × {s['image_size']}, mesh level "
        f"{s['mesh_level']}, {s['encoder']}, PyTorch {report['torch']}"
        + (
            f", at most {memory / 2**30:.1f} GiB on the device."
            if memory
            else f", {many(report['threads'], 'thread')}."
        )
    )
    return html.plain_html(caption, ["", "steps/s", "ms a step", "over PyTorch3D"], lines, note)


def renderer(report: dict) -> str:
    """The CPU renderer beside PyTorch3D's, and alone on scenes of training."""
    shown = ""
    if "versus" in report:
        versus = report["versus"]
        lines = [
            [
                name.replace("pytorch3d", "PyTorch3D").replace("numba", "Numba"),
                _milliseconds(wall),
                f"{versus['ratio_wall'][name]:.0f} ×",
                f"{versus['ratio_processor'][name]:.0f} ×",
            ]
            for name, wall in versus["wall"].items()
        ]
        header = ["", "ms", "faster", "faster, processor time"]
        caption = f"The same meshes, forward and backward: {_device(report)}"
        note = (
            f"{_scene(versus)}, {versus['faces_per_pixel']} faces per pixel in PyTorch3D; "
            f"medians of interleaved calls. {_load(report)}."
        )
        shown += html.plain_html(caption, header, lines, note)
    lines = [
        [_scene(row), str(row["threads"]), _milliseconds(row["median"]), _milliseconds(row["best"])]
        for row in report["numba"]
    ]
    caption = f"Numba alone, forward and backward: {_device(report)}"
    return shown + html.plain_html(caption, ["", "threads", "ms", "ms at best"], lines, f"{_load(report)}.")


def peers(report: dict) -> str:
    """The CPU renderer beside others: time, silhouettes and gradients."""
    ours = report["rows"]["numba"]["processor"]
    lines = [
        [
            f"{PEERS.get(name, name)} {row['version']}",
            _milliseconds(row["processor"]),
            f"{row['processor'] / ours:,.1f} ×",
            f"{row['iou']:.1f}",
            f"{row['cosine_smooth']:.3f}",
            f"{row['cosine_squared']:.3f}",
        ]
        for name, row in report["rows"].items()
    ]
    header = ["", "ms", "times Numba's", "IoU %", "cosine, smooth loss", "cosine, squared loss"]
    caption = f"Forward and backward with other renderers: {_device(report)}"
    note = (
        f"{_scene(report)}; processor time on one thread, medians of interleaved calls. IoU and cosines of gradients "
        f"are with what is exact for these convex meshes. {_load(report)}, commit {report['commit']}."
    )
    return html.plain_html(caption, header, lines, note)


def candidates(report: dict) -> str:
    """The search over growing subsets, and what that says of the paper's number of images."""
    lines, notes = [], []
    for rule, search in report["rules"].items():
        for row in search["rows"]:
            speed = [f"{row['seconds']:.2f}", f"{row['seconds'] / row['floor']:.1f} ×", f"{row['memory'] / 2**20:,.0f}"]
            lines.append([f"{row['images']:,} images, {rule}", *speed])
        fits = search["fits"]
        whole = fits["one scope"]
        notes.append(
            f"{rule}: time grows as N^{fits['exponent']:.2f} ± {fits['exponent_error']:.2f}, between the two largest "
            f"subsets as N^{fits['last_exponent']:.2f}; the paper's 737,000 images would take "
            f"{duration(fits['13 categories']['seconds'])} in 13 categories and {duration(whole['seconds'])} in one, "
            f"{whole['beyond']:.1f} times as many as were measured"
        )
    caption = f"{report['candidates']} candidates by {report['features']} features: {_device(report)}"
    note = f"Floor: the products that an exact search cannot avoid, at the rate measured beside it. {'. '.join(notes)}."
    return html.plain_html(caption, ["", "s", "over floor", "MB"], lines, note)


def pack(report: dict) -> str:
    """The packing of archives of growing size."""
    lines = [
        [
            f"{row['images']:,} images",
            f"{row['images_per_second']:,.0f}",
            f"{row['images'] / row['cpu']:,.0f}",
            f"{row['anonymous_bytes'] / 2**20:,.0f}",
            f"{row['resident_bytes'] / 2**20:,.0f}",
            f"{row['open_seconds']:.2f}",
        ]
        for row in report["rows"]
    ]
    header = ["", "images/s", "a core second", "MB", "MB with mapped files", "s to open"]
    note = (
        f"Two PNG an image, from the page cache; time grows as N^{report['exponent_wall']:.2f}. MB: at most, beyond "
        "what the imports held; mapped files are taken back by the system when it needs memory."
    )
    return html.plain_html(f"A generated archive: {_device(report)}", header, lines, note)


def _scene(row: dict) -> str:
    return f"{row['batch']} images of {row['size']} × {row['size']}, mesh level {row['level']}"


def _device(report: dict) -> str:
    """The device's name; processors often give only their architecture's."""
    name = report.get("device") or report.get("cpu") or ""
    if " " in name:
        return name
    return f"CPU, {many(report['cores'], 'core')}" + (
        f", {many(report['threads'], 'thread')}" if "threads" in report else ""
    )


def _load(report: dict) -> str:
    return f"Load of the machine before: {report['load_before']:.1f}"


def _milliseconds(seconds: float) -> str:
    value = 1e3 * seconds
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


_SCRIPT = "python tests/benchmarks/bench_"
BENCHMARKS = {
    "step": (step, f"{_SCRIPT}step.py --json results/benchmarks/step-laptop.json"),
    "training": (training, f"{_SCRIPT}training.py --json results/benchmarks/training-gpu.json, on a GPU,"),
    "renderer": (renderer, f"{_SCRIPT}renderer.py --json results/benchmarks/renderer-cpu.json"),
    "peers": (peers, f"{_SCRIPT}peers.py --json results/benchmarks/peers-cpu.json"),
    "pack": (pack, f"{_SCRIPT}pack.py --json results/benchmarks/pack-laptop.json"),
    "remembered": (remembered.html, f"{_SCRIPT}remembered.py --json results/benchmarks/remembered-laptop.json"),
    "candidates": (candidates, f"{_SCRIPT}candidates.py --json results/benchmarks/candidates-cpu.json"),
}

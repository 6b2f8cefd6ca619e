"""Pictures of a table: reconstructions beside the truth, how the runs learned, and how any picture is shown.

Backgrounds are transparent and lines are of middle brightness, so that they read on light and dark pages; every
picture is shown with a text that says what is on it.
"""

import base64
import html
import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib import font_manager, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from msrn import camera
from msrn.data.drawing import zbuffer
from msrn.evaluation.attention import attended
from msrn.evaluation.inference import SECTORS
from msrn.evaluation.protocol import Mesh
from msrn.experiments.runner import Result
from msrn.experiments.table import Table
from msrn.report.recorded_tables import best_groups
from msrn.report.words import many
from msrn.store.results import Record

rcParams["text.parse_math"] = False  # a category may be called $1 or $x$
LETTERS = {ord("\n"), *font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()}  # others by number
INK = "#7f858d"  # readable on white and on near-black
GREEN, ORANGE, BLUE, PURPLE = "#2a9d6f", "#e0692f", "#3f7fd0", "#8a63c7"
TURN = 90.0  # degrees between the two views of a mesh
ZOOM = 1.15  # most objects fill two thirds of a photograph's frame or less; all pictures are cropped alike
FRAME = 0.97  # of half a picture, which a mesh may reach
TILE, SAMPLES, MAPS = 112, 3, 7  # the last of azimuths, beside each other
CLAY = (196, 190, 180)  # of a mesh without a texture
ATTENDED = 5  # prototypes shown of each image
DASHED, DOTTED, DASHDOT = (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2))  # told apart without colour as well
OTHERS = ((GREEN, DASHED), (ORANGE, DOTTED), (PURPLE, DASHDOT))
CURVES = {  # log key -> title
    "mask_iou": "mask IoU",
    "bce": "silhouette, Eq. 40",
    "rgb": "colour, Eq. 39",
    "affinity": "affinity, Eq. 41",
    "neighbor": "neighbours, Eq. 44",
    "n_re": "neighbours per image, N_re",
}


@dataclass(frozen=True)
class Picture:
    """A figure with its text for those who do not see it, and one for all; notebooks show it as HTML."""

    figure: Figure
    alt: str
    caption: str = ""

    def _repr_html_(self) -> str:
        content = png_of(self.figure, dpi=160, facecolor="none", bbox_inches="tight", pad_inches=0.03)
        alt, source = html.escape(self.alt, quote=True), f"data:image/png;base64,{base64_of(content)}"
        image = f'<img class="dark-light" style="max-width:100%" alt="{alt}" src="{source}">'
        below = f"<figcaption>{html.escape(self.caption)}</figcaption>"
        return f'<figure style="margin:0">{image}{below}</figure>' if self.caption else image


def png_of(figure: Figure, **how: Any) -> bytes:
    """The figure as a PNG, saved as ``how`` says; letters that the font has not are shown by their numbers."""
    file = io.BytesIO()
    for text in figure.findobj(Text):
        text.set_text("".join(c if ord(c) in LETTERS else f"\\u{ord(c):04x}" for c in text.get_text()))
    figure.savefig(file, format="png", **how)
    return file.getvalue()


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def quiet(axes: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Axes in one middle grey, without a frame; what stands above, below and beside them."""
    axes.set_facecolor("none")
    axes.tick_params(colors=INK, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.set_title(title, color=INK, fontsize=11)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)


def legend_above(figure: Figure, axes: Axes) -> None:
    """The lines of one panel stand for those of all."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False, labelcolor=INK)


def grid(columns: Mapping[str, Sequence[np.ndarray]], labels: Sequence[str]) -> Figure:
    """Pictures (H,W,3 or 4) in columns with titles and rows with labels, on white plates like the photographs', so that
    dark objects stand out on dark pages as well."""
    figure = Figure(figsize=(1.2 * len(columns), 1.2 * len(labels) + 0.4))
    cells = figure.subplots(len(labels), len(columns), squeeze=False, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
    for j, (title, pictures) in enumerate(columns.items()):
        cells[0, j].set_title(textwrap.fill(title, 13), color=INK, fontsize=10)
        for axes, picture in zip(cells[:, j], pictures, strict=True):
            axes.set_facecolor("white")
            axes.imshow(picture, interpolation="antialiased")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(color=INK, linewidth=0.5)
    for axes, label in zip(cells[:, 0], labels, strict=True):
        axes.set_ylabel(label, color=INK, fontsize=10)
    return figure


def draw_mesh(
    mesh: Mesh, face_colors: np.ndarray, azimuth: float, elevation: float, size: int = TILE, zoom: float | None = None
) -> np.ndarray:
    """A shaded picture (size, size, 3) uint8 of a mesh, centred, on white, from a direction in degrees; at the zoom at
    which it fits, unless one is given.

    ``face_colors`` (F, 3) uint8. The light is that of the photographs (``data.drawing.zbuffer``).
    """
    return drawn(mesh, face_colors, azimuth, elevation, size, zoom or fitting_zoom(mesh, azimuth, elevation))[0]


def drawn(
    mesh: Mesh, face_colors: np.ndarray, azimuth: float, elevation: float, size: int, zoom: float
) -> tuple[np.ndarray, np.ndarray]:
    """The picture (size, size, 3) uint8, and the pixels (size, size) bool that the mesh covers."""
    projected, in_camera = _seen(mesh, azimuth, elevation)
    projected *= [zoom, zoom, 1.0]
    images, masks = zbuffer.draw(projected, in_camera, np.asarray(mesh[1]), face_colors, size, SAMPLES)
    return images[0].transpose(1, 2, 0), masks[0]


def fitting_zoom(mesh: Mesh, azimuth: float, elevation: float) -> float:
    """``ZOOM``, or less where a mesh would leave the frame: a cube of edge 1 does, seen from a corner."""
    return min(ZOOM, FRAME / np.abs(_seen(mesh, azimuth, elevation)[0][..., :2]).max())


def _seen(mesh: Mesh, azimuth: float, elevation: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (1, V, 3) of a centred mesh in the image, and in camera axes."""
    vertices = torch.tensor(np.asarray(mesh[0]), dtype=torch.float64)[None]  # (1, V, 3)
    vertices = vertices - (vertices.amin(1) + vertices.amax(1)) / 2
    rotation = camera.rotation(*torch.tensor([[azimuth], [elevation], [0.0]], dtype=torch.float64))  # (1, 3, 3)
    translation = rotation.new_tensor([[0.0, 0.0, camera.DISTANCE]])
    projected = camera.project(vertices, rotation, translation).numpy()
    return projected, (vertices @ rotation + translation[:, None]).numpy()


def attention(result: Result, rows: Sequence[int]) -> Picture | None:
    """Eqs 24-25 as shapes: the meshes of the images ``rows`` under the whole network (first seed) and the prototypes
    that each attends to most, from the image's azimuth and without colours. None without compensation or a template."""
    network, test = result.of(result.table.ours)[0].run.network(), result.test
    if not network.compensating or network.settings.decoders == "sdf":
        return None
    found, faces = attended(network, test, rows, ATTENDED), network.faces.numpy()
    shown = found.weight.shape[1]
    clay, elevation = np.full((len(faces), 3), CLAY, np.uint8), network.settings.elevation
    columns = {"input": [test.images[row].transpose(1, 2, 0) for row in rows]}
    for k, title in enumerate((result.table.ours, "attends to most", *(f"{n}." for n in range(2, shown + 1)))):
        drawn = zip(found.meshes[:, k], found.azimuth, strict=True)
        columns[title] = [draw_mesh((vertices, faces), clay, azimuth, elevation) for vertices, azimuth in drawn]
    labels, said = [test.categories[term] for term in test.category[rows]], []
    figure = grid(columns, labels)
    cells = np.reshape(figure.axes, (len(rows), -1))[:, -shown:]
    for line, terms, weights in zip(cells, found.category, found.weight, strict=True):
        words = [f"{test.categories[term]} {weight:.0%}" for term, weight in zip(terms, weights, strict=True)]
        for axes, text in zip(line, words, strict=True):
            axes.text(0.04, 0.04, text, transform=axes.transAxes, fontsize=7)
        said.append(", ".join(words))
    told = "; ".join(f"{label} to {words}" for label, words in zip(labels, said, strict=True))
    alt = f"{many(len(rows), 'test object')} in rows: the image, its mesh, and the prototypes that it attends to most: "
    return Picture(figure, alt + told)


def style(table: Table, row: str) -> dict[str, Any]:
    """The line of a row: blue and solid for the whole method, the others by their place."""
    others = [other.name for other in table.rows if other.name != table.ours]
    color, line = (BLUE, "solid") if row == table.ours else OTHERS[others.index(row) % len(OTHERS)]
    return {"color": color, "linestyle": line, "linewidth": 1.7}


def learning(result: Result) -> Picture:
    """A panel per logged term, a line per row and seed; the dotted line is the stage switch."""
    looks = [(o, style(result.table, o.row.name), o is result.of(o.row.name)[0]) for o in result.outcomes]
    logs = [(o.run.log, look | {"label": o.row.name if first else None}) for o, look, first in looks]
    figure = log_panels(CURVES, logs)
    for axes in figure.axes:
        axes.axvline(result.request.settings.stage_switch, color=INK, linewidth=1, linestyle=":")
    legend_above(figure, figure.axes[0])
    ends = {r.name: [series(o.run.log, "mask_iou")[1][-1] for o in result.of(r.name)] for r in result.trained}
    alt = (
        f"Six panels over training steps, a line per row: {', '.join(CURVES.values())}. Mask IoU on training images at "
        f"the end: {', '.join(f'{name} {np.mean(values):.2f}' for name, values in ends.items())}."
    )
    return Picture(figure, alt)


def log_panels(titles: Mapping[str, str], logs: Sequence[tuple[list[dict], dict]]) -> Figure:
    """Six panels, one for each logged term, over steps, with a line of its own looks for each log."""
    figure = Figure(figsize=(9.5, 4.8), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True)
    for axes, (key, title) in zip(panels.flat, titles.items(), strict=True):
        for log, looks in logs:
            axes.plot(*series(log, key), **looks)
        over_steps(axes, title, "step" * (axes in panels[-1]))
    return figure


def series(log: list[dict], key: str) -> tuple[list[int], list]:
    """Steps and values of the log lines that hold ``key``."""
    lines = [line for line in log if line.get(key) is not None]
    return [line["step"] for line in lines], [line[key] for line in lines]


def poses(result: Result) -> Picture:
    """A map per row (first seed): over steps, the share of training images with each pose candidate likeliest."""
    outcomes = [result.of(row.name)[0] for row in result.table.trained]
    figure = Figure(figsize=(9.5, 2.5), layout="constrained")
    panels = figure.subplots(1, len(outcomes), sharey=True, squeeze=False)[0]
    largest = []
    for axes, outcome in zip(panels, outcomes, strict=True):
        steps, histogram = series(outcome.run.log, "pose_histogram")
        shares = np.array(histogram).T  # (K, steps)
        bins = len(shares)
        largest.append(f"{outcome.row.name} {shares[:, -1].max():.0%}")
        image = axes.imshow(
            shares, aspect="auto", origin="lower", vmin=0, vmax=min(1.0, 3 / bins), interpolation="nearest",
            extent=(0, steps[-1], -180 / bins, 360 - 180 / bins),
        )  # fmt: skip
        over_steps(axes, outcome.row.name, "step")
        axes.set_yticks(np.arange(bins) * 360 / bins)
    panels[0].set_ylabel("azimuth bin [°]", color=INK)
    bar = figure.colorbar(image, ax=panels, extend="max", pad=0.01)
    bar.set_label("share of images", color=INK)
    bar.ax.tick_params(colors=INK, labelsize=9)
    bar.outline.set_visible(False)
    alt = (
        f"{len(outcomes)} maps, one a row: steps to the right, azimuth bins upward, brightness the share of training "
        f"images in the bin. Largest share at the end: {', '.join(largest)}; an even spread would be {1 / bins:.0%}."
    )
    return Picture(figure, alt)


def directions(table: Table, records: Sequence[Record]) -> Picture | None:
    """For each recorded data set, the whole network's first seed: a map a category from true to predicted azimuths."""
    first = [group.rows[table.ours][:1] for group in best_groups(table, records)]
    ours = [record for some in first for record in some if record.curves]
    if not ours:
        return None
    names = [[key.partition(".")[2] for key in record.curves] for record in ours]
    wide = min(max(map(len, names)), MAPS)
    rows = [(k, row[start : start + wide]) for k, row in enumerate(names) for start in range(0, len(row), wide)]
    figure = Figure(figsize=(9.5, 1.75 * len(rows)), layout="constrained")
    panels, words = figure.subplots(len(rows), wide, squeeze=False), []
    for line, (k, some) in zip(panels, rows, strict=True):
        for axes in line[len(some) :]:
            axes.axis("off")
        for axes, name in zip(line, some, strict=False):
            told = [f"{ours[k].metrics[f'pose_m{m}.category.{name}']:.2f}" for m in (1, 2, 4)]
            _map_of(axes, np.reshape(ours[k].curves[f"azimuth.{name}"], (SECTORS, SECTORS)))
            quiet(axes, f"{name}\n{' '.join(value.removeprefix('0') for value in told)}")
            words.append(f"{name} {', '.join(told)}")
        line[0].set_ylabel(f"{ours[k].dataset}\npredicted [°]", color=INK)
    figure.supxlabel("true azimuth [°]", color=INK, fontsize=10)
    alt = (
        "Maps, one a category: true azimuth to the right, predicted upward, darkness the share of test images; a right "
        f"category is one diagonal, a half turn off another. Pose consistency m = 1, 2 and 4: {'; '.join(words)}."
    )
    return Picture(figure, alt)


def _map_of(axes: Axes, counts: np.ndarray) -> None:
    """Counts by true and predicted sector, turned so that as many as can be lie on the diagonal."""
    turned = [np.trace(np.roll(counts, -turn, 1)) for turn in range(SECTORS)]
    shares = np.roll(counts, -int(np.argmax(turned)), 1) / np.maximum(counts.sum(1, keepdims=True), 1)
    ends = (-180 / SECTORS, 360 - 180 / SECTORS)
    axes.imshow(shares.T, origin="lower", extent=ends * 2, vmin=0, vmax=1, cmap="Blues", interpolation="nearest")
    axes.set(xticks=(0, 180), yticks=(0, 180))


def over_steps(axes: Axes, title: str, x: str) -> None:
    """Quiet axes with few marks, whole numbers of steps."""
    quiet(axes, title, x)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))

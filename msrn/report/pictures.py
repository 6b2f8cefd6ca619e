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
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from msrn import camera
from msrn.data.drawing import zbuffer
from msrn.evaluation.attention import attended
from msrn.evaluation.inference import SECTORS, predict
from msrn.evaluation.protocol import Mesh
from msrn.experiments.runner import Result
from msrn.experiments.table import Table
from msrn.report.recorded_tables import best_groups
from msrn.report.words import many
from msrn.store.results import Record

INK = "#7f858d"  # readable on white and on near-black
GREEN, ORANGE, BLUE, PURPLE = "#2a9d6f", "#e0692f", "#3f7fd0", "#8a63c7"
TURN = 90.0  # degrees between the two views of a mesh
ZOOM = 1.15  # objects fill two thirds of a photograph's frame or less; all pictures are cropped alike
TILE, SAMPLES = 112, 3
MAPS = 7  # of azimuths, beside each other
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
    "n_re": "neighbours per image, $N_{re}$",
}


@dataclass(frozen=True)
class Picture:
    """A figure with its text for those who do not see it; notebooks show it as HTML."""

    figure: Figure
    alt: str

    def _repr_html_(self) -> str:
        file = io.BytesIO()
        self.figure.savefig(file, format="png", dpi=160, facecolor="none", bbox_inches="tight", pad_inches=0.03)
        alt, source = html.escape(self.alt, quote=True), f"data:image/png;base64,{base64_of(file.getvalue())}"
        return f'<img class="dark-light" style="max-width:100%" alt="{alt}" src="{source}">'


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
    lines = axes.get_legend_handles_labels()
    figure.legend(*lines, loc="outside upper center", ncols=4, frameon=False, labelcolor=INK)


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


def draw_mesh(mesh: Mesh, face_colors: np.ndarray, azimuth: float, elevation: float, size: int = TILE) -> np.ndarray:
    """A shaded picture (size, size, 3) uint8 of a mesh, centred, on white, from a direction in degrees.

    ``face_colors`` (F, 3) uint8. The light is that of the photographs (``data.drawing.zbuffer``).
    """
    vertices = torch.tensor(np.asarray(mesh[0]), dtype=torch.float64)[None]  # (1, V, 3)
    vertices = vertices - (vertices.amin(1) + vertices.amax(1)) / 2
    rotation = camera.rotation(*torch.tensor([[azimuth], [elevation], [0.0]], dtype=torch.float64))  # (1, 3, 3)
    translation = rotation.new_tensor([[0.0, 0.0, camera.DISTANCE]])
    projected = camera.project(vertices, rotation, translation, camera.FOCAL * ZOOM).numpy()
    in_camera = (vertices @ rotation + translation[:, None]).numpy()
    images, _ = zbuffer.draw(projected, in_camera, np.asarray(mesh[1]), face_colors, size, SAMPLES)
    return images[0].transpose(1, 2, 0)


def typical_objects(result: Result, count: int = 6) -> np.ndarray:
    """Images of ``result.test``, one per category: the object whose CD under the whole network is the median."""
    objects, test = result.of(result.table.ours)[0].record.objects, result.test
    row_of = {str(test.object_id[row]): row for row in test.evaluation_index}
    by_cd = sorted(zip(objects["cd"], objects["category"], objects["object_id"], strict=True))
    mine = ([row_of[name] for _, category, name in by_cd if category == term] for term in test.categories[:count])
    return np.array([rows[(len(rows) - 1) // 2] for rows in mine if rows])


def objects_picture(result: Result, rows: Sequence[int]) -> Picture:
    """Input, truth and every row's mesh (first seed) of the images ``rows``, by the input's camera and turned by 90
    degrees."""
    labels, parts = [result.test.categories[term] for term in result.test.category[rows]], []
    runs = {row.name: result.of(row.name)[0] for row in result.table.trained}
    cd = {row: dict(zip(o.record.objects["object_id"], o.record.objects["cd"], strict=True)) for row, o in runs.items()}
    for label, name in zip(labels, result.test.object_id[rows], strict=True):
        parts.append(f"{label} ({', '.join(f'{row} {values[str(name)]:.1f}' for row, values in cd.items())})")
    alt = (
        f"{many(len(rows), 'test object')} in rows; in columns the input image, then the true mesh and those of "
        f"{', '.join(runs)}, each from the input's camera and turned by {TURN:.0f} degrees. "
        f"Chamfer distances: {'; '.join(parts)}."
    )
    return Picture(grid(object_columns(result, rows), labels), alt)


def object_columns(result: Result, rows: Sequence[int]) -> dict[str, list[np.ndarray]]:
    """What ``objects_picture`` shows of the images ``rows``, column by column."""
    test, poses = result.test, result.test.true_pose()[rows]
    truths = [test.ground_truth(str(name)) for name in test.object_id[rows]]
    shapes = {"truth": [((true.vertices, true.faces), true.face_colors) for true in truths]}
    for row in result.table.trained:
        views = predict(result.of(row.name)[0].run.network(), test, rows)
        shapes[row.name] = list(zip(views.meshes_in_true_frame(poses), views.face_colors, strict=True))
    edge = round(test.images.shape[-1] * (1 - 1 / ZOOM) / 2)
    inside = slice(edge, test.images.shape[-1] - edge)
    columns = {"input": [test.images[row].transpose(1, 2, 0)[inside, inside] for row in rows]}
    for title, drawn in shapes.items():
        for turn, words in ((0.0, ""), (TURN, ", turned")):
            columns[title + words] = [draw_mesh(*s, p[0] + turn, p[1]) for s, p in zip(drawn, poses, strict=True)]
    return columns


def attention(result: Result, rows: Sequence[int]) -> Picture | None:
    """Eqs 24-25 as shapes: the meshes of the images ``rows`` under the whole network (first seed) and the prototypes
    that each attends to most, from the image's azimuth and without colours. None without compensation."""
    network, test = result.of(result.table.ours)[0].run.network(), result.test
    if not network.compensating:
        return None
    found, faces = attended(network, test, rows, ATTENDED), network.faces.numpy()
    clay, elevation = np.full((len(faces), 3), CLAY, np.uint8), network.settings.elevation
    columns = {"input": [test.images[row].transpose(1, 2, 0) for row in rows]}
    for k, title in enumerate((result.table.ours, "attends to most", *(f"{n}." for n in range(2, ATTENDED + 1)))):
        drawn = zip(found.meshes[:, k], found.azimuth, strict=True)
        columns[title] = [draw_mesh((vertices, faces), clay, azimuth, elevation) for vertices, azimuth in drawn]
    labels, said = [test.categories[term] for term in test.category[rows]], []
    figure = grid(columns, labels)
    cells = np.reshape(figure.axes, (len(rows), -1))[:, -ATTENDED:]
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
    ends = {
        row.name: [series(o.run.log, "mask_iou")[1][-1] for o in result.of(row.name)] for row in result.table.trained
    }
    alt = (
        f"Six panels over training steps, a line per row: {', '.join(CURVES.values())}. Mask IoU on training images at "
        f"the end: {', '.join(f'{name} {np.mean(values):.2f}' for name, values in ends.items())}."
    )
    return Picture(figure, alt.replace("$N_{re}$", "N_re"))


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

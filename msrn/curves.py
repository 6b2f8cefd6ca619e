"""How the runs of Table 8 learned, from their logs: loss terms, mask IoU, poses."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from msrn.experiments import Outcome, Table8
from msrn.figures import INK
from msrn.variants import TABLE8, WHOLE

COLORS = {"w/o FC": "#2a9d6f", "w/o NC": "#e0692f", WHOLE: "#3f7fd0"}
STYLES = {"w/o FC": (0, (4, 1.5)), "w/o NC": (0, (1.2, 1.2)), WHOLE: "solid"}  # told apart without colour as well
CURVES = {  # log key -> title
    "mask_iou": "mask IoU",
    "bce": "silhouette, Eq. 40",
    "rgb": "colour, Eq. 39",
    "affinity": "affinity, Eq. 41",
    "neighbor": "neighbours, Eq. 44",
    "n_re": "neighbours per image, $N_{re}$",
}


def learning_figure(result: Table8) -> Figure:
    """A panel per logged term, a line per variant (and per seed); the dotted line is the stage switch."""
    figure = Figure(figsize=(9.5, 4.8), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True)
    for axes, (key, title) in zip(panels.flat, CURVES.items(), strict=True):
        for outcome in result.outcomes:
            name = outcome.variant.name
            steps, values = series(outcome, key)
            label = name if outcome is result.of(name)[0] else None
            axes.plot(steps, values, color=COLORS[name], linestyle=STYLES[name], linewidth=1.7, label=label)
        axes.axvline(result.request.settings.stage_switch, color=INK, linewidth=1, linestyle=":")
        axes.set_title(title, color=INK, fontsize=11)
        _quiet(axes)
    for axes in panels[-1]:
        axes.set_xlabel("step", color=INK)
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, labelcolor=INK
    )
    return figure


def learning_alt(result: Table8) -> str:
    """What ``learning_figure`` shows, with the last values of the mask IoU."""
    last = []
    for row in TABLE8:
        values = [series(outcome, "mask_iou")[1][-1] for outcome in result.of(row.name)]
        last.append(f"{row.name} {np.mean(values):.2f}")
    return (
        f"Six panels over training steps, a line per variant: {', '.join(CURVES.values())}. "
        f"Mask IoU on training images at the end: {', '.join(last)}."
    ).replace("$N_{re}$", "N_re")


def series(outcome: Outcome, key: str) -> tuple[list[int], list]:
    """Steps and values of the log lines that hold ``key``."""
    lines = [line for line in outcome.run.log if line.get(key) is not None]
    return [line["step"] for line in lines], [line[key] for line in lines]


def pose_figure(result: Table8) -> Figure:
    """A map per variant (first seed): over steps, the share of training images with each pose candidate likeliest."""
    shown = [result.of(row.name)[0] for row in TABLE8]
    figure = Figure(figsize=(9.5, 2.5), layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True)
    for axes, outcome in zip(panels, shown, strict=True):
        steps, histogram = series(outcome, "pose_histogram")
        shares = np.array(histogram).T  # (K, steps)
        bins = len(shares)
        image = axes.imshow(
            shares, aspect="auto", origin="lower", vmin=0, vmax=min(1.0, 3 / bins), interpolation="nearest",
            extent=(0, steps[-1], -180 / bins, 360 - 180 / bins),
        )  # fmt: skip
        axes.set_title(outcome.variant.name, color=INK, fontsize=11)
        axes.set_xlabel("step", color=INK)
        axes.set_yticks(np.arange(bins) * 360 / bins)
        _quiet(axes)
    panels[0].set_ylabel("azimuth bin [°]", color=INK)
    bar = figure.colorbar(image, ax=panels, extend="max", pad=0.01)
    bar.set_label("share of images", color=INK)
    bar.ax.tick_params(colors=INK, labelsize=9)
    bar.outline.set_visible(False)
    return figure


def pose_alt(result: Table8) -> str:
    """What ``pose_figure`` shows, with the largest share at the end."""
    largest = []
    for row in TABLE8:
        histogram = series(result.of(row.name)[0], "pose_histogram")[1][-1]
        largest.append(f"{row.name} {max(histogram):.0%}")
    even = 1 / len(histogram)
    return (
        "Three maps, one per variant: steps to the right, azimuth bins upward, brightness the share of training images "
        f"in the bin. Largest share at the end: {', '.join(largest)}; an even spread would be {even:.0%}."
    )


def _quiet(axes: Axes) -> None:
    """Axes in one middle grey."""
    axes.set_facecolor("none")
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)

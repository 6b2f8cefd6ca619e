"""How the runs of a table learned, from their logs: loss terms, mask IoU and poses."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from msrn.experiments.runner import Outcome, Result
from msrn.experiments.table import Table
from msrn.report.pictures import BLUE, GREEN, INK, ORANGE, PURPLE, Picture, legend_above, quiet

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


def style(table: Table, row: str) -> dict[str, Any]:
    """The line of a row: blue and solid for the whole method, the others by their place."""
    others = [other.name for other in table.rows if other.name != table.ours]
    color, line = (BLUE, "solid") if row == table.ours else OTHERS[others.index(row) % len(OTHERS)]
    return {"color": color, "linestyle": line, "linewidth": 1.7}


def learning(result: Result) -> Picture:
    """A panel per logged term, a line per row and seed; the dotted line is the stage switch."""
    figure = Figure(figsize=(9.5, 4.8), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True)
    for axes, (key, title) in zip(panels.flat, CURVES.items(), strict=True):
        for outcome in result.outcomes:
            name = outcome.row.name
            label = name if outcome is result.of(name)[0] else None
            axes.plot(*_series(outcome, key), label=label, **style(result.table, name))
        axes.axvline(result.request.settings.stage_switch, color=INK, linewidth=1, linestyle=":")
        over_steps(axes, title)
    for axes in panels[-1]:
        axes.set_xlabel("step", color=INK)
    legend_above(figure, panels[0, 0])
    ends = {row.name: [_series(o, "mask_iou")[1][-1] for o in result.of(row.name)] for row in result.table.trained}
    alt = (
        f"Six panels over training steps, a line per row: {', '.join(CURVES.values())}. Mask IoU on training images at "
        f"the end: {', '.join(f'{name} {np.mean(values):.2f}' for name, values in ends.items())}."
    )
    return Picture(figure, alt.replace("$N_{re}$", "N_re"))


def _series(outcome: Outcome, key: str) -> tuple[list[int], list]:
    """Steps and values of the log lines that hold ``key``."""
    lines = [line for line in outcome.run.log if line.get(key) is not None]
    return [line["step"] for line in lines], [line[key] for line in lines]


def poses(result: Result) -> Picture:
    """A map per row (first seed): over steps, the share of training images with each pose candidate likeliest."""
    outcomes = [result.of(row.name)[0] for row in result.table.trained]
    figure = Figure(figsize=(9.5, 2.5), layout="constrained")
    panels = figure.subplots(1, len(outcomes), sharey=True, squeeze=False)[0]
    largest = []
    for axes, outcome in zip(panels, outcomes, strict=True):
        steps, histogram = _series(outcome, "pose_histogram")
        shares = np.array(histogram).T  # (K, steps)
        bins = len(shares)
        largest.append(f"{outcome.row.name} {shares[:, -1].max():.0%}")
        image = axes.imshow(
            shares, aspect="auto", origin="lower", vmin=0, vmax=min(1.0, 3 / bins), interpolation="nearest",
            extent=(0, steps[-1], -180 / bins, 360 - 180 / bins),
        )  # fmt: skip
        over_steps(axes, outcome.row.name)
        axes.set_xlabel("step", color=INK)
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


def over_steps(axes: Axes, title: str) -> None:
    """Quiet axes with few marks, whole numbers of steps."""
    quiet(axes, title)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))

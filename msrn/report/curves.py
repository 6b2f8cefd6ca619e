"""How the runs of a table learned, from their logs: loss terms, mask IoU, poses; and what longer ones reached."""

from collections.abc import Mapping, Sequence

import numpy as np
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from msrn.experiments import paper
from msrn.experiments.ablation import Table
from msrn.experiments.recorded import Group
from msrn.experiments.runner import Outcome
from msrn.experiments.study import OUTCOME
from msrn.experiments.table import WHOLE
from msrn.report import html, recorded_tables, study_table
from msrn.report.pictures import INK, quiet, show
from msrn.store.results import Record

GREEN, ORANGE, BLUE = "#2a9d6f", "#e0692f", "#3f7fd0"
DASHED, DOTTED = (0, (4, 1.5)), (0, (1.2, 1.2))  # told apart without colour as well
COLORS = {"w/o FC": GREEN, "w/o NC": ORANGE, "M-SRN/GT": GREEN, "M-SRN/OF": ORANGE, WHOLE: BLUE}
STYLES = {"w/o FC": DASHED, "w/o NC": DOTTED, "M-SRN/GT": DASHED, "M-SRN/OF": DOTTED, WHOLE: "solid"}
CURVES = {  # log key -> title
    "mask_iou": "mask IoU",
    "bce": "silhouette, Eq. 40",
    "rgb": "colour, Eq. 39",
    "affinity": "affinity, Eq. 41",
    "neighbor": "neighbours, Eq. 44",
    "n_re": "neighbours per image, $N_{re}$",
}
STUDY_STYLES = {OUTCOME: {"color": BLUE, "marker": "s"}}
STUDY_MEASURES = {**recorded_tables.MEASURES, "pose_m2": "pose consistency, m=2 ↑"}


def learning_figure(result: Table) -> Figure:
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
        over_steps(axes)
    for axes in panels[-1]:
        axes.set_xlabel("step", color=INK)
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, labelcolor=INK
    )
    return figure


def learning_alt(result: Table) -> str:
    """What ``learning_figure`` shows, with the last values of the mask IoU."""
    last = []
    for row in result.table.rows:
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


def pose_figure(result: Table) -> Figure:
    """A map per variant (first seed): over steps, the share of training images with each pose candidate likeliest."""
    shown = [result.of(row.name)[0] for row in result.table.rows]
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
        over_steps(axes)
    panels[0].set_ylabel("azimuth bin [°]", color=INK)
    bar = figure.colorbar(image, ax=panels, extend="max", pad=0.01)
    bar.set_label("share of images", color=INK)
    bar.ax.tick_params(colors=INK, labelsize=9)
    bar.outline.set_visible(False)
    return figure


def pose_alt(result: Table) -> str:
    """What ``pose_figure`` shows, with the largest share at the end."""
    largest = []
    for row in result.table.rows:
        histogram = series(result.of(row.name)[0], "pose_histogram")[1][-1]
        largest.append(f"{row.name} {max(histogram):.0%}")
    even = 1 / len(histogram)
    return (
        "Three maps, one per variant: steps to the right, azimuth bins upward, brightness the share of training images "
        f"in the bin. Largest share at the end: {', '.join(largest)}; an even spread would be {even:.0%}."
    )


def lengths_html(recorded: Sequence[Record]) -> HTML:
    """What more steps buy, from recorded results: a table, and a figure where some set has more than one length."""
    several = recorded_tables.several_lengths(recorded)
    picture = show(lengths_figure(several), lengths_alt(several)).data if several else ""
    return HTML(picture + recorded_tables.lengths_html(recorded))


def lengths_figure(several: Mapping[str, Sequence[Group]]) -> Figure:
    """CD, F-score and mask IoU against training steps: panels for every data set, a line per variant, and the best of
    the rows that train nothing as a yardstick."""
    figure = Figure(figsize=(9.5, 0.5 + 2.4 * len(several)), layout="constrained")
    grid = figure.subplots(len(several), len(recorded_tables.MEASURES), squeeze=False)
    for panels, (dataset, found) in zip(grid, several.items(), strict=True):
        for axes, (metric, title) in zip(panels, recorded_tables.MEASURES.items(), strict=True):
            _lengths(axes, found, metric)
            axes.set_title(f"{dataset}: {title}", color=INK, fontsize=11)
    for axes in grid[-1]:
        axes.set_xlabel("steps", color=INK)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, labelcolor=INK)
    return figure


def lengths_alt(several: Mapping[str, Sequence[Group]]) -> str:
    """What ``lengths_figure`` shows, with the CD of the whole network at every length."""
    parts = []
    for dataset, found in several.items():
        values = [(group.steps, group.mean(WHOLE, "cd")) for group in found if group.rows()[WHOLE]]
        parts.append(f"{dataset}: " + ", ".join(f"{value:.2f} at {steps:,}" for steps, value in values))
    return f"Chamfer distance, F-score and mask IoU over steps, a line per variant. CD of M-SRN, {'; '.join(parts)}."


def study_lengths_html() -> HTML:
    """What more steps buy the whole network on the study's val split: a panel for each measure, a line for each row of
    which there are several lengths, on each set."""
    several = study_table.lengths(paper.recorded("study"))
    if not several:
        return HTML(html.note_html("The study has one length only so far."))
    figure = Figure(figsize=(9.5, 2.6), layout="constrained")
    panels = figure.subplots(1, len(STUDY_MEASURES))
    lines = dict(zip(dict.fromkeys(dataset for _, dataset in several), ("solid", DASHED, DOTTED), strict=False))
    for axes, (metric, title) in zip(panels, STUDY_MEASURES.items(), strict=True):
        for (name, dataset), found in several.items():
            axes.plot(
                [steps / 1000 for steps in found], [study_table.mean(made, metric) for made in found.values()],
                **STUDY_STYLES[name], linestyle=lines[dataset], markersize=4, linewidth=1.7,
                label=_of_study(name, dataset),
            )  # fmt: skip
        quiet(axes)
        _log_steps(axes, sorted({steps / 1000 for found in several.values() for steps in found}))
        axes.set_title(title, color=INK, fontsize=11)
        axes.set_xlabel("thousand steps", color=INK)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=3, frameon=False, labelcolor=INK)
    return show(figure, _study_lengths_alt(several))


def _study_lengths_alt(several: Mapping[tuple[str, str], Mapping[int, Sequence[Record]]]) -> str:
    parts = []
    for (name, dataset), found in several.items():
        for metric, title in STUDY_MEASURES.items():
            values = ", ".join(f"{study_table.mean(made, metric):.2f} at {steps:,}" for steps, made in found.items())
            parts.append(f"{_of_study(name, dataset)}, {title[:-2]}: {values}")
    return f"Four panels over training steps, M-SRN on the val split. {'; '.join(parts)}."


def _of_study(name: str, dataset: str) -> str:
    return f"{name} on {dataset}"


def _lengths(axes: Axes, found: Sequence[Group], metric: str) -> None:
    for row in found[0].table.rows:
        mine = [group for group in found if group.rows()[row.name]]
        steps, values = [group.steps for group in mine], [group.mean(row.name, metric) for group in mine]
        style = {"color": COLORS[row.name], "linestyle": STYLES[row.name], "linewidth": 1.7}
        axes.plot(steps, values, marker="o", markersize=4, label=row.name, **style)
    known = [record.metrics[metric] for record in found[-1].baselines if metric in record.metrics]
    if known:
        best = min(known) if metric == "cd" else max(known)
        axes.axhline(best, color=INK, linewidth=1, linestyle=":", label="best row without training")
    quiet(axes)
    _log_steps(axes, sorted({group.steps for group in found}))


def _log_steps(axes: Axes, steps: Sequence[float]) -> None:
    """Steps on a logarithmic scale, with a tick at each length there is."""
    axes.set_xscale("log")
    axes.set_xticks(steps, minor=False)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,g}")
    axes.xaxis.set_minor_locator(NullLocator())


def over_steps(axes: Axes) -> None:
    """Quiet axes with few marks, whole numbers of steps."""
    quiet(axes)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))

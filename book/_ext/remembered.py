"""For the page on speed: two trainings, one by remembered codes of candidates and one that encodes them anew."""

import numpy as np
from matplotlib.figure import Figure

from msrn.evaluation.statistics import Estimate
from msrn.report import html as tables
from msrn.report.pictures import BLUE, DASHED, GREEN, INK, ORANGE, Picture, legend_above, over_steps

NAMES = {"remembered": "remembered", "encoded": "encoded anew"}
STYLES = {
    "remembered": {"color": BLUE, "linestyle": "solid"},
    "encoded": {"color": ORANGE, "linestyle": DASHED},
}
PANELS = {"mask_iou": "mask IoU of the batches", "neighbor": "neighbours, Eq. 44"}
COLUMNS = {"mask_iou": ".3f", "neighbor": ".3f", "n_re": ".2f"}  # of the table
AGREEMENT = "candidates on which codes agree"
LAST = 5  # a training's last fifth


def html(report: dict) -> str:
    """The curves of both, and a table of where they end."""
    return Picture(_figure(report), _alt(report))._repr_html_() + _table(report)


def _figure(report: dict) -> Figure:
    figure = Figure(figsize=(9.5, 2.8), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True)
    for axes, (key, title) in zip(panels, PANELS.items(), strict=False):
        for name, curves in report["curves"].items():
            axes.plot(report["steps"], _numbers(curves[key]), linewidth=1.5, label=NAMES[name], **STYLES[name])
        over_steps(axes, title, "step")
    panels[2].plot(report["steps"], _numbers(report["agreement"]), color=GREEN, linewidth=1.5)
    over_steps(panels[2], AGREEMENT, "step")
    panels[2].set_ylim(0, 1.02)
    panels[2].yaxis.set_major_formatter("{x:.0%}")
    for axes in panels:
        axes.axvline(report["stage_switch"], color=INK, linewidth=1, linestyle=":")
    legend_above(figure, panels[0])
    return figure


def _alt(report: dict) -> str:
    ends = [f"{NAMES[name]} {_end(curves['mask_iou']):.3f}" for name, curves in report["curves"].items()]
    return (
        "Three panels over training steps: the mask IoU and the neighbours' loss of two trainings, and the share of "
        f"candidates on which remembered and new codes agree. Mask IoU in the last fifth: {', '.join(ends)}; codes "
        f"agree on {_end(report['agreement']):.0%} there. The dotted line is the stage switch."
    )


def _table(report: dict) -> str:
    count, lines = report["steps"][-1], []
    for name, curves in report["curves"].items():
        val = report["val"][name]
        lines.append(
            [
                NAMES[name],
                f"{1e3 * report['processor_seconds'][name] / count:.1f}",
                *(f"{_end(curves[key]):{form}}" for key, form in COLUMNS.items()),
                f"{val['cd']:.2f}",
                f"{val['f']:.3f}",
                f"{val['mask_iou']:.3f}",
            ]
        )
    header = ["", "ms a step", "mask IoU", "Eq. 44", "N_re", "CD, val ↓", "F, val ↑", "IoU, val"]
    apart = {metric: Estimate(**gap).text(metric, sign=True) for metric, gap in report["val_difference"].items()}
    caption = (
        f"Two trainings of profile {report['profile']} with {report['domains']} prototypes a category on "
        f"{report['dataset']}: {report['device']}"
    )
    note = (
        "Processor time of a step; the next three in the last fifth of training, on the same batches. On val, "
        f"remembered − encoded anew: CD {apart['cd']}, F {apart['f']} (objects resampled within categories). Codes "
        f"agree on {_mean(report['agreement']):.1%} of the candidates. One seed, {count:,} steps, "
        f"{report['steps_per_epoch']:,} an epoch; commit {report['commit']}."
    )
    return tables.plain_html(caption, header, lines, note)


def _numbers(values: list[float | None]) -> np.ndarray:
    """With a gap where no step had the term."""
    return np.array(values, float)


def _end(values: list[float | None]) -> float:
    return _mean(values[-max(len(values) // LAST, 1) :])


def _mean(values: list[float | None]) -> float:
    return float(np.nanmean(_numbers(values)))

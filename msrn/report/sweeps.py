"""A sweep as a picture (Tables 10, 11 and 12): differences from the paper's choice, beside what seeds alone make.

The band is where a difference of means of n seeds lies in 95 % of cases when nothing but the seeds differs:
t s sqrt(2 / n) to either side of zero, with s the deviation over seeds, pooled over the rows. A difference of the
paper's inside it could not be told from noise by as many seeds, whichever way it points.
"""

from collections.abc import Sequence

import numpy as np
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t as student

from msrn.evaluation.statistics import METRICS
from msrn.experiments.recorded import Group
from msrn.experiments.table import Table
from msrn.report.html import note_html
from msrn.report.pictures import BLUE, GREEN, INK, Picture, legend_above, quiet
from msrn.report.recorded_tables import best_groups
from msrn.store.results import Record

FEWEST = 2  # seeds of a row, for a deviation


def picture(table: Table, records: Sequence[Record]) -> Picture | HTML:
    """A panel for each data set of which every row is recorded with seeds enough."""
    groups = [group for group in best_groups(table, records) if noise(group, table.metrics[0])]
    if not groups:
        return HTML(
            note_html(f"The noise of seeds needs {FEWEST} of every row: msrn record {table.name} --seeds 0,1,2")
        )
    figure = Figure(figsize=(4.4 * len(groups), 3.4), layout="constrained")
    for axes, group in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups, strict=True):
        _panel(axes, group)
    legend_above(figure, figure.axes[0])
    title, told = METRICS[table.metrics[0]].title, "; ".join(map(_told, groups))
    return Picture(
        figure, f"{table.title}: differences in {title} from {table.ours}, by seeds, means and noise. {told}."
    )


def noise(group: Group, metric: str) -> float:
    """Half the width of the band, or 0 where a row has too few seeds."""
    values = [np.array([record.metrics[metric] for record in row]) for row in group.trained.values()]
    if min(map(len, values)) < FEWEST:
        return 0.0
    freedom = sum(len(row) - 1 for row in values)
    deviation = np.sqrt(sum(((row - row.mean()) ** 2).sum() for row in values) / freedom)
    return float(student.ppf(0.975, freedom) * deviation * np.sqrt(2 / min(map(len, values))))


def differences(group: Group, metric: str) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Of each row, from the mean of the paper's choice: each seed's, and the printed value's where both are legible."""
    ours, printed = group.table.ours, {row.name: row.printed.get(metric) for row in group.table.rows}
    mean = np.mean([record.metrics[metric] for record in group.trained[ours]])
    seeds = {name: np.array([record.metrics[metric] for record in row]) - mean for name, row in group.trained.items()}
    known = {name: value - printed[ours] for name, value in printed.items() if None not in (value, printed[ours])}
    return seeds, known


def _panel(axes: Axes, group: Group) -> None:
    metric = group.table.metrics[0]
    band, (seeds, known), names = noise(group, metric), differences(group, metric), list(group.trained)
    axes.axhspan(-band, band, color=INK, alpha=0.2, linewidth=0, label="noise of seeds")
    for place, name in enumerate(names):
        axes.plot([place] * len(seeds[name]), seeds[name], ".", color=GREEN, alpha=0.6)
    axes.plot(range(len(names)), [seeds[name].mean() for name in names], "-o", color=GREEN, label="recorded, mean")
    if known:
        places = [names.index(name) for name in known]
        axes.plot(places, list(known.values()), "--s", color=BLUE, fillstyle="none", label="printed")
    axes.set_xticks(range(len(names)), names)
    quiet(axes, group.first.dataset, "", f"{METRICS[metric].title}, difference from {group.table.ours}")


def _told(group: Group) -> str:
    metric = group.table.metrics[0]
    band, (seeds, known) = noise(group, metric), differences(group, metric)
    rows = ", ".join(f"{name} {values.mean():+.3f}" for name, values in seeds.items() if name != group.table.ours)
    printed = ", ".join(f"{name} {value:+.3f}" for name, value in known.items() if name != group.table.ours)
    beyond = [name for name, value in known.items() if abs(value) > band]
    said = f"{group.first.dataset}: {rows}; noise {band:.3f}"
    exceed = f"beyond the noise: {', '.join(beyond) or 'none'}"
    return f"{said}; printed {printed}, {exceed}" if known else said

"""For the page on speed: what a core minute teaches, at the profile as it is and as it was (rows of the study)."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from msrn.evaluation.statistics import Estimate, estimate
from msrn.report import html as tables
from msrn.report.pictures import BLUE, DASHED, ORANGE, Picture, legend_above, quiet
from msrn.report.words import many
from msrn.store.results import Record, recorded

DATASET = "procedural13"  # on which settings are chosen
PROFILES = {
    "profile laptop": ("laptop, a quarter of the steps", "laptop", "night"),
    "profile laptop before": ("before, a quarter of the steps", "before", "before, four times the steps"),
}
STYLES = {
    "profile laptop": {"color": BLUE, "linestyle": "solid", "marker": "o"},
    "profile laptop before": {"color": ORANGE, "linestyle": DASHED, "marker": "s"},
}
SHOWN = {"cd": "CD, val ↓", "cd_axes": "CD per axis, val ↓", "f": "F, val ↑"}
Point = tuple[float, list[Record], dict[str, Estimate]]  # core minutes, the records of a row, its metrics


def shown() -> str:
    """The curves and their table, of what is recorded; how to record it where nothing is."""
    curves = {name: points for name, rows in PROFILES.items() if (points := _points(recorded("study"), rows))}
    if not curves:
        how = "python scripts/study.py record, row by row,"
        return tables.note_html(f"Nothing is recorded yet: {how} does it.")
    return Picture(_figure(curves), _alt(curves))._repr_html_() + _table(curves)


def _points(records: Sequence[Record], rows: Sequence[str]) -> list[Point]:
    """Of each row its core minutes, records and metrics, shortest training first."""
    latest = max((record.protocol for record in records), default=0)
    timed = [r for r in records if r.train_cpu_seconds and (r.dataset, r.protocol) == (DATASET, latest)]
    of_row = [[record for record in timed if record.variant == row] for row in rows]
    points = []
    for made in filter(None, of_row):
        minutes = sum(record.train_cpu_seconds for record in made) / len(made) / 60
        points.append((minutes, made, {metric: estimate(made, metric) for metric in SHOWN}))
    return sorted(points, key=lambda point: point[0])


def _figure(curves: dict[str, list[Point]]) -> Figure:
    figure = Figure(figsize=(9.5, 3.0), layout="constrained")
    panels = figure.subplots(1, len(SHOWN), sharex=True)
    for axes, (metric, title) in zip(panels, SHOWN.items(), strict=True):
        for name, points in curves.items():
            x, values = [minutes for minutes, _, _ in points], [found[metric] for _, _, found in points]
            middle = [value.mean for value in values]
            reach = [[v.mean - v.low for v in values], [v.high - v.mean for v in values]]
            axes.errorbar(x, middle, reach, label=name, linewidth=1.5, markersize=4, capsize=3, **STYLES[name])
        axes.set_xscale("log")
        quiet(axes, title, "core minutes")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    legend_above(figure, panels[0])
    return figure


def _alt(curves: dict[str, list[Point]]) -> str:
    ends = [
        f"{name}: " + ", ".join(f"{found['cd'].mean:.2f} after {minutes:.1f}" for minutes, _, found in points)
        for name, points in curves.items()
    ]
    return f"CD, CD per axis and F-score over core minutes, a line a profile. CD by core minutes: {'; '.join(ends)}."


def _table(curves: dict[str, list[Point]]) -> str:
    lines = [
        [
            f"{name}, {made[0].settings['steps']:,} steps",
            f"{minutes:.1f}",
            *(found[metric].text(metric) for metric in SHOWN),
        ]
        for name, points in curves.items()
        for minutes, made, found in points
    ]
    rows = [made for points in curves.values() for _, made, _ in points]
    every, (fewest, most) = [record for made in rows for record in made], (min(map(len, rows)), max(map(len, rows)))
    seeds, commits = f"{fewest} to " * (fewest < most) + many(most, "seed"), {record.commit for record in every}
    note = (
        f"Processor time of a training, three side by side; {many(every[0].n_objects, 'object')} of val, 95 % "
        f"intervals over objects, {seeds} a row; commit {', '.join(sorted(commits))}. Stored features and "
        "the order of azimuths, made once for a data set and for all trainings, are not counted."
    )
    caption = f"What a core minute teaches, on {DATASET}: {every[0].device}"
    return tables.plain_html(caption, ["", "core minutes", *SHOWN.values()], lines, note)

"""Tables from recorded results, on every data set and at every length that is recorded, and how dense the sets are.

A reader's own run covers one set at one length. For Table 8 a dense set and a sparse real one answer different
questions, so its page shows both, with verdicts by the same rule.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from msrn import profiles
from msrn.experiments import ablation, densities
from msrn.experiments import recorded as shelf
from msrn.experiments.densities import DensityRecord
from msrn.experiments.recorded import Group
from msrn.experiments.table import RETRIEVAL, TABLE8, WHOLE
from msrn.experiments.verdicts import estimate
from msrn.report import html
from msrn.report.html import Row
from msrn.report.results_table import duration, many
from msrn.store.results import Record

QUESTIONS = {  # of each table by the data set's name, in the order of the page
    "table8": {
        "procedural13": "Generated and dense: close relatives of every object are in training, as in the paper's data. "
        "Here the paper's claim is tested.",
        "homeware": "Real and sparse: a few dozen training objects a category at most, each with few relatives. "
        "Here the method's limits show.",
    },
    "table7": {"homeware-wild": "Photographs without masks, the objects small, truncated and beside others."},
}
COLUMNS = ("published", "recorded")
MEASURES = {"cd": "Chamfer distance ↓", "f": "F-score@0.01 ↑", "mask_iou": "mask IoU ↑"}


def recorded_html(recorded: Sequence[Record], table: str = "table8") -> str:
    """For each data set of a table its best group of recorded results, or a line that says that there is none."""
    names = dict.fromkeys([*QUESTIONS[table], *sorted({record.dataset for record in recorded})])
    parts = []
    for name in names:
        group = shelf.best(shelf.groups(recorded, name))
        parts.append(
            group_html(group) if group else html.note_html(f"{name}: nothing is recorded yet. {_how(table, name)}")
        )
    return "".join(parts)


def group_html(group: Group) -> str:
    """Published | recorded | verdict, for the variants over all of their seeds, and the baselines."""
    found = group.rows()
    said = ablation.verdicts(found, group.first.profile, group.table)
    made = []
    for row in group.table.rows:
        printed = ablation.published(row)
        cells = [cell for m in ablation.TITLES for cell in (printed[m], value(found[row.name], m))]
        made.append(Row(row.name, tuple(cells), tuple(said[row.name])))
    for record in group.baselines:
        cells = [cell for m in ablation.TITLES for cell in ("", value([record], m))]
        beside = ablation.standing_beside(found[WHOLE], record) if found[WHOLE] else ""
        made.append(Row(record.variant, tuple(cells), (("no claim of the paper", beside),), baseline=True))
    titles = list(ablation.TITLES.values())
    caption = f"{group.first.dataset}, as recorded: {many(len(group.some_seeds), 'seed')} of {group.steps:,} steps"
    return html.results_html(caption, titles, made, [_question(group), _source(group)], COLUMNS)


def several_lengths(recorded: Sequence[Record]) -> dict[str, list[Group]]:
    """The data sets that are recorded at more than one length and in nothing else unlike, with their groups; of several
    such families the one of most lengths."""
    found: dict[str, list[Group]] = {}
    for family in shelf.families(shelf.groups(recorded)):
        name = family[0].first.dataset
        by_length = [shelf.best(list(alike)) for _, alike in groupby(family, lambda group: group.steps)]
        if len(by_length) > max(1, len(found.get(name, ()))):
            found[name] = by_length
    return found


def lengths_html(recorded: Sequence[Record]) -> str:
    """CD, F-score and mask IoU of every recorded length, data set by data set."""
    found = shelf.groups(recorded)
    if not found:
        return html.note_html(f"Nothing is recorded yet. {_how('table8', 'procedural13')}")
    rows = []
    for group in found:
        cells = [value(group.rows()[row.name], measure) for measure in MEASURES for row in TABLE8]
        rows.append(Row(group.title, tuple(cells)))
    made = "; ".join(f"{group.title}: {_made(group)}" for group in found)
    notes = ["Means over seeds and categories, [95 % bootstrap interval over objects].", f"{made}."]
    return html.results_html("By length", list(MEASURES.values()), rows, notes, [row.name for row in TABLE8])


def density_html(recorded: Sequence[Record]) -> str:
    """How near the neighbours of each data set are: a row for each recorded density."""
    order = list(QUESTIONS["table8"])
    found = sorted(densities.recorded(), key=lambda made: order.index(made.dataset) if made.dataset in order else 9)
    if not found:
        how = "python -m msrn record density --dataset homeware"
        return html.note_html(f"No density is recorded yet: {how} measures one.")
    header = [
        "",
        "CD to candidates",
        "to random others",
        "other view",
        "sides of fronts",
        "distinct objects",
        "retrieval",
    ]
    lines = [_density_line(made, recorded) for made in found]
    note = (
        "CD between a training object and the objects that its images' candidates show, and between it and random "
        "other objects of its category: medians in a category, means over categories, from "
        f"{found[0].points:,} points on each of two true surfaces in their true pose. Other view: the share of "
        "candidates seen from an azimuth more than 30° away. Sides of fronts: of images within 15° of the front or the "
        "back, the share of candidates at least 60° off, where depth shows; a third by chance. Distinct objects: those "
        "among an image's candidates. Retrieval: CD of the row above, on test images. True shapes and poses are read "
        "for evaluation alone."
    )
    return html.plain_html("How dense the data sets are", header, lines, note)


def _density_line(made: DensityRecord, recorded: Sequence[Record]) -> list[str]:
    mean = made.categories["mean"]
    retrieval = [record for record in recorded if (record.variant, record.dataset) == (RETRIEVAL, made.dataset)]
    return [
        f"{made.dataset} [{made.n_objects:,} training objects; {_candidates(made)}]",
        _two(mean["neighbor_cd"]),
        _two(mean["random_cd"]),
        f"{mean['other_view']:.0%}",
        "–" if mean["sides_of_fronts"] is None else f"{mean['sides_of_fronts']:.0%}",
        f"{mean['distinct_objects']:.1f} of {made.candidates['candidates']}",
        _two(retrieval[-1].metrics["cd"]) if retrieval else "–",
    ]


def _candidates(made: DensityRecord) -> str:
    """The candidates in words."""
    chosen = made.candidates
    words = many(chosen["candidates"], "candidate")
    words += " of any category" * (chosen.get("candidate_scope") == "all")
    if chosen.get("candidate_objects") == "distinct":
        return f"{words} of distinct objects, their most different silhouettes"
    return f"{words}, the most similar images"


def value(found: Sequence[Record], metric: str) -> str:
    """Mean and interval, or a dash. The mask IoU of a record is over all images and has no interval."""
    if not found:
        return "none yet"
    if metric in ablation.TITLES:
        return estimate(found, metric).text(metric)
    return _two(float(np.mean([record.metrics[metric] for record in found])))


def _made(group: Group) -> str:
    """How a group was made: profile, seeds, devices with the time of a run."""
    times = shelf.seconds_of_a_run(group.models).items()
    trained = ", ".join(f"{duration(seconds)} a run on {device}" for device, seconds in times)
    then = " as it was then" if _outdated(group) else ""
    return f"profile {group.first.profile}{then}, {many(len(group.some_seeds), 'seed')}, {trained}"


def _outdated(group: Group) -> bool:
    """Whether its profile has other settings by now."""
    name = group.first.profile
    return name in profiles.profiles() and not group.follows(profiles.resolve(name, group.first.dataset, device="cpu"))


def _question(group: Group) -> str:
    asked, name = QUESTIONS[group.first.experiment], group.first.dataset
    asked = asked.get(name) or asked.get(name.split("-")[0], "")  # procedural13-300 is procedural13
    return f"{asked} {group.first.n_objects} test objects, {group.first.points:,} points a surface.".strip()


def _source(group: Group) -> str:
    commits = ", ".join(sorted({record.commit for record in group.models}))
    days = sorted({record.created[:10] for record in group.models})
    seeds = {name: ", ".join(str(record.seed) for record in made) or "none" for name, made in group.rows().items()}
    alike = len(set(seeds.values())) == 1
    parts = [
        f"Source: results/{group.first.experiment}",
        _made(group),
        f"commit {commits}",
        " to ".join(dict.fromkeys((days[0], days[-1]))),
        "seeds: " + (seeds[WHOLE] if alike else ", ".join(f"{name} {found}" for name, found in seeds.items())),
    ]
    return "; ".join(parts) + "."


def _how(table: str, name: str) -> str:
    return f"python -m msrn record {table} --profile laptop --dataset {name} --seeds 0,1,2 does it."


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"

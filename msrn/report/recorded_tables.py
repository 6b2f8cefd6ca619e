"""Tables from recorded results, on every data set and at every length that is recorded, and how dense the sets are.

A reader's own run covers one set at one length. A dense set and a sparse real one answer different questions, so a
page shows both, with verdicts by the same rule.
"""

from collections.abc import Sequence
from itertools import groupby

from IPython.display import HTML

from msrn.data import QUESTIONS
from msrn.experiments import recorded
from msrn.experiments.recorded import Group
from msrn.experiments.table import Column, Table
from msrn.profiles import profiles, resolve
from msrn.report.html import note_html, plain_html, sheet_html
from msrn.report.results_table import standing_beside
from msrn.report.sheet import Sheet, cell_of, make_sheet
from msrn.report.words import duration, many, mean_of, seconds_of_a_run, two_decimals
from msrn.store import results
from msrn.store.results import Record

MEASURES = {"cd": "Chamfer distance ↓", "f": "F-score@0.01 ↑", "mask_iou": "mask IoU ↑"}
RETRIEVAL = "retrieval, category known"


def show(table: Table, records: Sequence[Record]) -> HTML:
    """For each data set of a table its best group of recorded results, or a line that says that there is none."""
    found = recorded.groups(table, records)
    names = dict.fromkeys(group.first.dataset for group in sorted(found, key=lambda group: _place(group.first.dataset)))
    parts = [sheet_html(sheet_of(recorded.best([g for g in found if g.first.dataset == name]))) for name in names]
    return HTML("".join(parts) or note_html(f"Nothing is recorded yet: msrn record {table.name} does it."))


def sheet_of(group: Group) -> Sheet:
    """Published | recorded | verdict, for the rows over all of their seeds, and the baselines."""
    table, rows = group.table, group.rows
    baselines = {record.variant: [record] for record in group.baselines}
    beside = {record.variant: standing_beside(rows[table.ours], record, table.ours) for record in group.baselines}
    seeds = many(len(group.some_seeds), "seed")
    caption = f"{group.first.dataset}, as recorded: {seeds} of {group.steps:,} steps"
    notes = [_question(group), _source(group)]
    return make_sheet(table, caption, {"recorded": rows | baselines}, group.first.profile, notes, beside)


def several_lengths(table: Table, records: Sequence[Record]) -> dict[str, list[Group]]:
    """The data sets that are recorded at more than one length and in nothing else unlike, with their groups; of several
    such families the one of most lengths."""
    found: dict[str, list[Group]] = {}
    for family in recorded.families(recorded.groups(table, records)):
        name = family[0].first.dataset
        by_length = [recorded.best(list(alike)) for _, alike in groupby(family, lambda group: group.steps)]
        if len(by_length) > max(1, len(found.get(name, ()))):
            found[name] = by_length
    return found


def lengths_html(table: Table, records: Sequence[Record]) -> str:
    """CD, F-score and mask IoU of every recorded length, data set by data set."""
    found = recorded.groups(table, records)
    if not found:
        return note_html(f"Nothing is recorded yet: msrn record {table.name} does it.")
    header = ["", *(f"{title}: {row.name}" for title in MEASURES.values() for row in table.trained)]
    lines = [
        [group.title, *(_value(group.trained[row.name], measure) for measure in MEASURES for row in table.trained)]
        for group in found
    ]
    made = "; ".join(f"{group.title}: {_made(group)}" for group in found)
    note = f"Means over seeds and categories, [95 % bootstrap interval over objects]. {made}."
    return plain_html("By length", header, lines, note)


def density(records: Sequence[Record]) -> HTML:
    """How near the neighbours of each data set are: a row for each recorded density."""
    found = sorted(results.recorded("density"), key=lambda record: _place(record.dataset))
    if not found:
        how = "msrn record density --dataset homeware"
        return HTML(note_html(f"No density is recorded yet: {how} measures one."))
    header = [
        "",
        "CD to candidates",
        "to random others",
        "other view",
        "sides of fronts",
        "distinct objects",
        "retrieval",
    ]
    note = (
        "CD between a training object and the objects that its images' candidates show, and between it and random "
        "other objects of its category: medians in a category, means over categories, from "
        f"{found[0].points:,} points on each of two true surfaces in their true pose. Other view: the share of "
        "candidates seen from an azimuth more than 30° away. Sides of fronts: of images within 15° of the front or the "
        "back, the share of candidates at least 60° off, where depth shows; a third by chance. Distinct objects: those "
        "among an image's candidates. Retrieval: CD of the row above, on test images. True shapes and poses are read "
        "for evaluation alone."
    )
    return HTML(plain_html("How dense the data sets are", header, [_density_line(r, records) for r in found], note))


def _density_line(record: Record, records: Sequence[Record]) -> list[str]:
    retrieval = [r for r in records if (r.variant, r.dataset) == (RETRIEVAL, record.dataset)]
    m, sides = record.metrics, record.metrics["sides_of_fronts"]
    return [
        f"{record.dataset} [{record.n_objects:,} training objects; {_candidates(record)}]",
        two_decimals(m["neighbor_cd"]),
        two_decimals(m["random_cd"]),
        f"{m['other_view']:.0%}",
        "–" if sides is None else f"{sides:.0%}",
        f"{m['distinct_objects']:.1f} of {record.settings['candidates']}",
        two_decimals(retrieval[-1].metrics["cd"]) if retrieval else "–",
    ]


def _candidates(record: Record) -> str:
    """The candidates in words."""
    chosen = record.settings
    words = many(chosen["candidates"], "candidate")
    words += " of any category" * (chosen.get("candidate_scope") == "all")
    distinct = chosen.get("candidate_objects") == "distinct"
    return f"{words}, {'distinct objects, their most different silhouettes' if distinct else 'the most similar images'}"


def _value(found: Sequence[Record], measure: str) -> str:
    """Mean and interval; the mask IoU of a record is over all images and has none."""
    if not found:
        return "none yet"
    return two_decimals(mean_of(found, measure)) if measure == "mask_iou" else cell_of(found, Column(measure)).text


def _made(group: Group) -> str:
    """How a group was made: profile, seeds, devices with the time of a run."""
    times = seconds_of_a_run(group.models).items()
    trained = ", ".join(f"{duration(seconds)} a run on {device}" for device, seconds in times)
    then = " as it was then" if _outdated(group) else ""
    return f"profile {group.first.profile}{then}, {many(len(group.some_seeds), 'seed')}, {trained}"


def _outdated(group: Group) -> bool:
    """Whether its profile has other settings by now."""
    name = group.first.profile
    return name in profiles() and not group.follows(resolve(name, group.first.dataset, device="cpu"))


def _place(dataset: str) -> tuple[int, str]:
    """The order of data sets on a page: those with a question first, in its order."""
    names = list(QUESTIONS)
    return names.index(dataset) if dataset in names else len(names), dataset


def _question(group: Group) -> str:
    name = group.first.dataset
    asked = QUESTIONS.get(name) or QUESTIONS.get(name.rsplit("-", 1)[0], "")  # procedural13-300 is procedural13
    return f"{asked} {group.first.n_objects} test objects, {group.first.points:,} points a surface.".strip()


def _source(group: Group) -> str:
    days = sorted({record.created[:10] for record in group.models})
    seeds = {name: ", ".join(str(r.seed) for r in rows) or "none" for name, rows in group.trained.items()}
    alike = len(set(seeds.values())) == 1
    parts = [
        f"Source: results/{', results/'.join(sorted({record.experiment for record in group.models}))}",
        _made(group),
        f"commit {', '.join(sorted({record.commit for record in group.models}))}",
        " to ".join(dict.fromkeys((days[0], days[-1]))),
        "seeds: " + (next(iter(seeds.values())) if alike else ", ".join(f"{k} {v}" for k, v in seeds.items())),
    ]
    return "; ".join(parts) + "."

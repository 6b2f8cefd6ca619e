"""Tables from recorded results, on every data set and at every length that is recorded, and how dense the sets are."""

from collections.abc import Sequence

from IPython.display import HTML

from msrn.data import QUESTIONS
from msrn.evaluation.protocol import VERSION
from msrn.experiments import recorded
from msrn.experiments.recorded import Group
from msrn.experiments.runner import Result
from msrn.experiments.table import Column, Table
from msrn.report.html import note_html, plain_html, sheet_html
from msrn.report.results_table import asked_of, missing_words, origin, rows_of
from msrn.report.sheet import Sheet, cell_of, make_sheet
from msrn.report.words import many, mean_of, two_decimals
from msrn.store import results
from msrn.store.results import Record

RETRIEVAL = "retrieval, category known"
NOTHING = "Nothing is recorded yet: msrn record {} does it."


def show(result: Result) -> HTML:
    """For each data set the best group of a table's recorded results, but for what the page's own table shows alone; or
    a line that says that there is none."""
    groups, asked = best_groups(result.table, result.recorded), asked_of(result)
    above = asked is not result.request and recorded.beside(result.table, result.recorded, asked)
    tables = [sheet_html(sheet_of(group)) for group in groups if not above or group.first is not above.first]
    nothing = "The table above shows all of them." if above else NOTHING.format(result.table.name)
    return HTML("".join(tables) or note_html(nothing))


def best_groups(table: Table, records: Sequence[Record]) -> list[Group]:
    """The best group of each data set, in the order of a page."""
    groups = recorded.groups(table, records)
    names = sorted({group.first.dataset for group in groups}, key=_place)
    return [recorded.best([group for group in groups if group.first.dataset == name]) for name in names]


def sheet_of(group: Group) -> Sheet:
    """Published | recorded | verdict, for the rows over all of their seeds, and the baselines."""
    one = group.first
    caption = f"{one.dataset}, as recorded: {many(group.seeds, 'seed')} of {group.steps:,} steps"
    question = QUESTIONS.get(one.dataset) or QUESTIONS.get(one.dataset.rsplit("-", 1)[0], "")  # of procedural13-300
    size = f"{question} {one.n_objects} test objects, {one.points:,} points a surface.".strip()
    folders = ", ".join(f"results/{name}" for name in sorted({record.experiment for record in group.models}))
    days = sorted({record.created[:10] for record in group.models})
    dates = " to ".join(dict.fromkeys((days[0], days[-1])))
    seeds = {name: ", ".join(str(record.seed) for record in rows) or "none" for name, rows in group.trained.items()}
    every = set(seeds.values()) if len(set(seeds.values())) == 1 else [f"{name} {some}" for name, some in seeds.items()]
    source = f"Source: {folders}; {origin(group)}; {dates}; seeds: {', '.join(every)}."
    earlier = "By an earlier protocol: points of inner faces count too." * (one.protocol < VERSION)
    notes = [*filter(None, [size, earlier]), *missing_words(group.rows), source]
    return make_sheet(group.table, caption, {"recorded": rows_of(group)}, one.profile, notes)


def lengths(table: Table, records: Sequence[Record]) -> HTML:
    """What more steps buy: CD, F-score and mask IoU of every recorded length, data set by data set."""
    groups = recorded.groups(table, records)
    if not groups:
        return HTML(note_html(NOTHING.format(table.name)))
    columns = {"cd": "CD ↓", "cd_axes": "per axis ↓", "f": "F ↑", "mask_iou": "IoU ↑"}
    header, lines = ["", *(f"{title}: {row.name}" for title in columns.values() for row in table.trained)], []
    for group in groups:
        values = [cell_of(rows, Column(name)).text for name in list(columns)[:3] for rows in group.trained.values()]
        iou = [two_decimals(mean_of(rows, "mask_iou")) for rows in group.trained.values()]  # over all images
        lines.append([group.title, *values, *iou])
    origins = "; ".join(f"{group.title}: {origin(group)}" for group in groups)
    note = f"Means over seeds and categories, [95 % bootstrap interval over objects]. {origins}."
    return HTML(plain_html("By length", header, lines, note))


def density(records: Sequence[Record]) -> HTML:
    """How near the neighbours of each data set are: a row for each recorded density."""
    densities = sorted(results.recorded("density"), key=lambda record: _place(record.dataset))
    if not densities:
        return HTML(note_html("No density is recorded yet: msrn record density --dataset homeware measures one."))
    columns = "CD to candidates|to random others|other view|sides of fronts|distinct objects|retrieval".split("|")
    note = (
        "CD between a training object and the objects that its images' candidates show, and between it and random "
        f"other objects of its category: medians in a category, means over categories, {densities[0].points:,} points "
        "a surface, true poses. Other view: the share of candidates seen from an azimuth more than 30° away. Sides of "
        "fronts: of images within 15° of the front or the back, the share of candidates at least 60° off, where depth "
        "shows; a third by chance. Distinct objects: among an image's candidates. Retrieval: CD of the row above."
    )
    lines = [_density_line(record, records) for record in densities]
    return HTML(plain_html("How dense the data sets are", ["", *columns], lines, note))


def _density_line(record: Record, records: Sequence[Record]) -> list[str]:
    m, s, name = record.metrics, record.settings, record.dataset
    retrieval = [r for r in records if (r.variant, r.dataset) == (RETRIEVAL, name)]
    scope = " of any category" * (s.get("candidate_scope") == "all")
    distinct = s.get("candidate_objects") == "distinct"
    rule = "distinct objects, their most different silhouettes" if distinct else "the most similar images"
    return [
        f"{name} [{record.n_objects:,} training objects; {many(s['candidates'], 'candidate')}{scope}, {rule}]",
        *(two_decimals(m[key]) for key in ("neighbor_cd", "random_cd")),
        *("–" if m[key] is None else f"{m[key]:.0%}" for key in ("other_view", "sides_of_fronts")),
        f"{m['distinct_objects']:.1f} of {s['candidates']}",
        two_decimals(mean_of(retrieval[-1:], "cd")),
    ]


def _place(dataset: str) -> tuple[int, str]:
    """The order of data sets on a page: those with a question first, in its order."""
    return [*QUESTIONS, dataset].index(dataset), dataset

"""What the runs behind a table learned, by category and by alignment; a diagnosis per row; seeds against effects."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from IPython.display import HTML

from msrn.data import shapes_known
from msrn.evaluation.diagnosis import diagnose
from msrn.evaluation.inference import LOST, TURNS
from msrn.evaluation.protocol import ALIGNMENTS, ALL_FACES
from msrn.evaluation.statistics import METRICS, signed
from msrn.experiments import recorded
from msrn.experiments.runner import MOST_IMAGES, Experiment, Result, job_of, neighbors_of
from msrn.experiments.table import Table
from msrn.report.html import note_html, plain_html
from msrn.report.words import mean_of, two_decimals
from msrn.store.results import Record

ALIGNMENT_TITLES = (
    "none", "rigid ICP", "turn search", "search + ICP (headline)", "+ scale of each axis (per axis)",
    "headline, inner faces too",
)  # fmt: skip
SHARE, PLAIN = "{:.0%}", "{:.2f}"
BOTH = "cd", "cd_axes"
LINES = {  # measure of a diagnosis -> name, what it is, format
    "chosen": ("candidates chosen", "their code falls to the same prototype", SHARE),
    "kept": ("CD to candidates chosen", "between true shapes; chance: to all candidates", PLAIN),
    "rejected": ("CD to candidates refused", "the same", PLAIN),
    "same_category": ("… of the image's category", "chance: of all candidates", SHARE),
    "other_view": ("… from another side", "azimuth more than 30° away; chance: of all candidates", SHARE),
    "agrees": ("… whose pose agrees", "predicted turn between both within 30° of the true one", SHARE),
    "agrees_by_halves": ("… up to half turns", "front may be taken for back", SHARE),
    "sides": ("sides from which a category is seen", "effective number of 12 sectors of azimuth", "{:.1f}"),
    "fronts": ("fronts told by other shapes", "they fit the way round on which both poses agree", SHARE),
    "told": ("codes that tell the category", "nearest prototype of all is one of its own", SHARE),
    "one_domain": ("views of an object in one domain", "that of the prototype which has most of them", SHARE),
    "directions": ("direction in a domain", "resultant length of true azimuths: 1 is a single one", PLAIN),
    "shapes": ("shape in a domain", "CD of two of its objects over two of the category", PLAIN),
    "attention": ("attention on the own category", "Eq. 24, over the prototypes of all", SHARE),
    "attended": ("prototypes attended to", "effective number", "{:.1f}"),
    "change": ("change of the code", "by compensation, relative", PLAIN),
}


def learned_table(result: Result) -> HTML:
    """Mask IoU and pose consistency on all test views, per row: over all categories, and m = 2 in each. Without poses,
    mask IoU in each."""
    columns, names = {"mask_iou": "mask IoU", "lost": "lost"}, categories_of(result)
    note, caption = f"Lost: the share of images whose mask IoU is below {LOST}.", "What the networks learned: all test "
    if not shapes_known(result.test.name):
        columns |= {f"mask_iou.category.{name}": name for name in names}
        return _table(result, f"{caption}photographs", columns, f"{note} With the row's own masks.", baselines=False)
    columns |= {f"pose_m{m}": f"pose, m = {m}" for m in TURNS}
    columns |= {f"pose_m2.category.{name}": f"{name}, m = 2" for name in names}
    note += (
        " Pose consistency is the resultant length of "
        "m × (predicted − true azimuth): 1 is right up to a constant turn, 0 is random; m = 2 forgives half turns "
        "(front for back), m = 4 quarter turns."
    )
    return _table(result, f"{caption}views", columns, note, baselines=False)


def category_table(result: Result) -> HTML:
    """CD in each category, for every row, and per axis."""
    if not shapes_known(result.test.name):
        return HTML(note_html("Left out: there are no true shapes to measure distances to."))
    names = categories_of(result)
    columns = {f"cd.category.{name}": name for name in names} | {"cd": "macro mean", "cd.micro": "mean over objects"}
    counts = Counter(result.outcomes[0].record.objects["category"])
    note = "In brackets: each axis scaled. Test objects: " + ", ".join(f"{name} {counts[name]}" for name in names) + "."
    return _table(result, "Chamfer distance by category", columns, note)


def alignment_table(result: Result) -> HTML:
    """CD under every alignment, and Eq. 46's own value."""
    columns = {f"cd.{name}": title for name, title in zip((*ALIGNMENTS, ALL_FACES), ALIGNMENT_TITLES, strict=True)}
    note = (
        "Macro means. The last column is Eq. 46 as printed, after the headline alignment: a sum of squared distances "
        f"over {result.request.settings.eval_points:,} points of each surface, with the longest true edge = 1; in "
        "brackets per axis."
    )
    return _table(result, "Chamfer distance by alignment", columns | {"eq46": "Eq. 46"}, note)


def categories_of(result: Result) -> list[str]:
    """Those that occur among the evaluated objects."""
    return [name for name in result.test.categories if f"mask_iou.category.{name}" in result.outcomes[0].record.metrics]


def _table(result: Result, caption: str, columns: Mapping[str, str], note: str, baselines: bool = True) -> HTML:
    """A line for each row that was measured; ``columns`` gives the metrics their titles."""
    rows = {name: records for name, records in result.rows.items() if records}
    rows |= result.yardsticks if baselines else {}
    lines = [[name, *(_cell(records, key) for key in columns)] for name, records in rows.items()]
    return HTML(plain_html(caption, ["", *columns.values()], lines, note))


def _cell(records: Sequence[Record], key: str) -> str:
    """A mean over seeds, with that per axis in brackets where there is one."""
    metric, _, place = key.partition(".")
    axes = mean_of(records, ".".join(filter(None, [f"{metric}_axes", place])))
    return f"{two_decimals(mean_of(records, key))}{'' if np.isnan(axes) else f' [{axes:.2f}]'}"


def diagnosis_table(result: Result) -> HTML:
    """A column for every trained row of the table (first seed) with its own candidates, and what chance would give."""
    experiment = Experiment(result.table, result.request, progress=False)
    job = job_of(experiment, result.table.row(result.table.ours), result.request.seeds[0])
    if len(job.train) > MOST_IMAGES:
        return HTML(note_html(f"Left out: {len(job.train):,} images are too many to search for a page."))
    runs = [result.of(row.name)[0].run for row in result.table.trained]
    rows = [diagnose(r.network(), job.train, neighbors_of(experiment, replace(job, settings=r.settings))) for r in runs]
    lines = []
    for key, (name, meaning, form) in LINES.items():
        measures = [row[key] for row in rows]
        chances = [measure.chance for measure in measures if np.isfinite(measure.chance)]
        values = [*(measure.value for measure in measures), np.mean(chances) if chances else np.nan]
        cells = (form.format(value) if np.isfinite(value) else "–" for value in values)
        lines.append([f"{name} [{meaning}]", *cells])
    note = (
        "On some training images of every category, first seed, against true poses and shapes. By chance, for domains: "
        "the same sizes dealt out at random. A dash: nothing to ask, such as attention without compensation."
    )
    caption = "Neighbours, prototypes and attention, held against the truth"
    return HTML(plain_html(caption, ["", *(row.name for row in result.table.trained), "by chance"], lines, note))


def seeds_table(table: Table, records: Sequence[Record]) -> HTML:
    """For each claim of recorded results, its effect beside the spread between seeds."""
    lines = []
    for group in recorded.groups(table, records):
        parts = {(p.metric, p.first, p.second): p for v in group.verdicts for p in v.parts if p.metric in BOTH}
        for part in (part for part in parts.values() if len(part.per_seed) > 1):
            spread, effect = float(np.std(part.per_seed, ddof=1)), part.measured
            ratio = f"{abs(effect.mean) / spread:.1f}" if spread > 0 else "–"
            by_seed = ", ".join(signed(value, "cd") for value in part.per_seed)
            title = f"{group.title}, {METRICS[part.metric].short}: {part.first} − {part.second}"
            lines.append([title, effect.text("cd", sign=True), f"{spread:.2f}", ratio, by_seed])
    if not lines:
        return HTML(note_html("Seeds cannot be compared yet: no row is recorded with two of them."))
    header = ["", "difference", "spread of seeds", "effect over spread", "by seed"]
    note = (
        "Difference: with its 95 % interval over objects, seeds averaged. Spread: the standard deviation of the "
        "difference between seeds; an effect no larger than that may turn with the next seed."
    )
    return HTML(plain_html("Seeds against effects", header, lines, note))

"""Why the rows of a table came out as they did, as tables: a diagnosis per row, and seeds against effects."""

from collections.abc import Sequence

import numpy as np
from IPython.display import HTML

from msrn.evaluation.diagnosis import Diagnosis, Measure, diagnose
from msrn.evaluation.statistics import signed
from msrn.experiments import recorded
from msrn.experiments.runner import WHOLE, Experiment, Result, job_of, neighbors_of
from msrn.experiments.table import Table
from msrn.experiments.verdicts import Comparison
from msrn.report.html import note_html, plain_html
from msrn.store.results import Record

MOST_IMAGES = 50_000  # beyond, candidates are not searched for a page
SHARE, PLAIN = "{:.0%}", "{:.2f}"
LINES = {  # field of a diagnosis -> name, what it is, format
    "chosen": ("candidates chosen", "their code falls to the same prototype", SHARE),
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


def diagnosis(result: Result) -> HTML:
    """A column for every trained row of the table (first seed), and what chance would give."""
    experiment = Experiment(result.table, result.request, progress=False)
    job = job_of(experiment, WHOLE, result.request.seeds[0])
    if len(job.train) > MOST_IMAGES:
        return HTML(note_html(f"Left out: {len(job.train):,} images are too many to search for a page."))
    candidates, names = neighbors_of(experiment, job), [row.name for row in result.table.trained]
    rows = [diagnose(result.of(name)[0].run.network(), job.train, candidates) for name in names]
    note = (
        "On some training images of every category, first seed. By chance, for domains: the same sizes dealt out at "
        "random. A dash: nothing to ask, such as attention without compensation. True poses and shapes are read for "
        "evaluation alone."
    )
    caption, header = "Neighbours, prototypes and attention, held against the truth", ["", *names, "by chance"]
    return HTML(plain_html(caption, header, [_line(key, rows) for key in LINES], note))


def seeds(table: Table, records: Sequence[Record]) -> HTML:
    """For each claim of recorded results, its effect beside the spread between seeds."""
    lines = [
        [f"{group.title}: {part.first} − {part.second}", *_spread(part)]
        for group in recorded.groups(table, records)
        for part in {(p.first, p.second): p for v in group.verdicts for p in v.parts if p.metric == "cd"}.values()
        if len(part.per_seed) > 1
    ]
    if not lines:
        return HTML(note_html("Seeds cannot be compared yet: no row is recorded with two of them."))
    header = ["", "CD difference", "spread of seeds", "effect over spread", "by seed"]
    note = (
        "Difference: with its 95 % interval over objects, seeds averaged. Spread: the standard deviation of the "
        "difference between seeds; an effect no larger than that may turn with the next seed."
    )
    return HTML(plain_html("Seeds against effects", header, lines, note))


def _spread(part: Comparison) -> list[str]:
    spread = float(np.std(part.per_seed, ddof=1))
    ratio = f"{abs(part.measured.mean) / spread:.1f}" if spread > 0 else "–"
    by_seed = ", ".join(signed(value, "cd") for value in part.per_seed)
    return [part.measured.text("cd", sign=True), f"{spread:.2f}", ratio, by_seed]


def _line(key: str, rows: Sequence[Diagnosis]) -> list[str]:
    name, meaning, form = LINES[key]
    measures: list[Measure] = [getattr(row, key) for row in rows]
    chances = [measure.chance for measure in measures if np.isfinite(measure.chance)]
    values = [*(measure.value for measure in measures), float(np.mean(chances)) if chances else float("nan")]
    return [f"{name} [{meaning}]", *(form.format(value) if np.isfinite(value) else "–" for value in values)]

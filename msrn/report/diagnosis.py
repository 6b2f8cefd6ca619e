"""Why the rows of Table 8 came out as they did, as tables: a diagnosis per row, and seeds against effects."""

from collections.abc import Sequence

import numpy as np

from msrn.evaluation.diagnosis import Diagnosis, Measure, diagnose
from msrn.experiments import ablation
from msrn.experiments import recorded as shelf
from msrn.experiments.ablation import Table
from msrn.experiments.recorded import Group
from msrn.experiments.runner import Bench
from msrn.experiments.verdicts import Claim, signed
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


def diagnosis_html(result: Table) -> str:
    """A column for every row of the table (first seed), and what chance would give."""
    bench = Bench("table8", result.request, progress=False)
    if len(bench.train) > MOST_IMAGES:
        return note_html(f"Left out: {len(bench.train):,} images are too many to search for a page.")
    found = {row.name: _diagnosis(result, row.name, bench) for row in result.table.rows}
    header = ["", *found, "by chance"]
    lines = [_line(key, list(found.values())) for key in LINES]
    note = (
        "On some training images of every category, first seed. By chance, for domains: the same sizes dealt out at "
        "random. A dash: nothing to ask, such as attention without compensation. True poses and shapes are read for "
        "evaluation alone."
    )
    return plain_html("Neighbours, prototypes and attention, held against the truth", header, lines, note)


def seeds_html(recorded: Sequence[Record]) -> str:
    """For each claim of recorded results, its effect beside the spread between seeds."""
    lines = [
        [f"{group.title}: {checked.better} − {checked.worse}", *_spread(checked)]
        for group in shelf.groups(recorded)
        for checked in _steps(group)
        if len(checked.per_seed) > 1
    ]
    if not lines:
        return note_html("Seeds cannot be compared yet: no row is recorded with two of them.")
    header = ["", "CD difference", "spread of seeds", "effect over spread", "by seed"]
    note = (
        "Difference: with its 95 % interval over objects, seeds averaged. Spread: the standard deviation of the "
        "difference between seeds; an effect no larger than that may turn with the next seed."
    )
    return plain_html("Seeds against effects", header, lines, note)


def _steps(group: Group) -> list[Claim]:
    """The claims in CD, the last step of the paper's order included."""
    rows, table = group.rows(), group.table
    in_cd = [made for made in ablation.claims(rows, table) if made.metric == "cd"]
    known = {(made.better, made.worse) for made in in_cd}
    return in_cd + [
        made for made in ablation.order(rows, table).get("cd", []) if (made.better, made.worse) not in known
    ]


def _spread(checked: Claim) -> list[str]:
    spread = float(np.std(checked.per_seed, ddof=1))
    return [
        checked.measured.text("cd", sign=True),
        f"{spread:.2f}",
        f"{abs(checked.measured.mean) / spread:.1f}" if spread > 0 else "–",
        ", ".join(signed(value, "cd") for value in checked.per_seed),
    ]


def _diagnosis(result: Table, name: str, bench: Bench) -> Diagnosis:
    return diagnose(result.of(name)[0].run.network(), bench.train, bench.candidates)


def _line(key: str, found: Sequence[Diagnosis]) -> list[str]:
    name, meaning, form = LINES[key]
    measures: list[Measure] = [getattr(made, key) for made in found]
    chances = [made.chance for made in measures if np.isfinite(made.chance)]
    values = [_said(made.value, form) for made in measures]
    return [f"{name} [{meaning}]", *values, _said(float(np.mean(chances)) if chances else float("nan"), form)]


def _said(value: float, form: str) -> str:
    return form.format(value) if np.isfinite(value) else "–"

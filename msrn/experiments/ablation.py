"""Tables 7 and 8 (§4.5.1): made under a request, and what they say as claims on records, made now or recorded before.

``table7`` and ``table8`` train or load a run for every row and seed, score it on the test split, and score the
baselines once.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from msrn.data import ImageCollection
from msrn.experiments.paper import recorded, variant, variants
from msrn.experiments.runner import Bench, Outcome, suited
from msrn.experiments.table import ABLATIONS, WHOLE, Ablation, Variant
from msrn.experiments.verdicts import Claim, claim, difference, in_common, order_verdict, unsigned
from msrn.profiles import Request
from msrn.store.results import Record

Rows = Mapping[str, Sequence[Record]]  # the records of each row, one per seed

TITLES = {"cd": "Chamfer distance ↓", "f": "F-score@0.01 ↑"}
SHORT = {"cd": "CD", "f": "F"}


@dataclass(frozen=True)
class Table:
    """Everything that a table and its figures show."""

    name: str  # table7 or table8
    request: Request
    test: ImageCollection  # as the whole network sees it with the first seed
    outcomes: tuple[Outcome, ...]  # variant by variant in the paper's order, seed by seed
    baselines: tuple[Record, ...]
    recorded: tuple[Record, ...]  # committed earlier, see ``records.recorded``
    seconds: float  # from the request to the table

    @property
    def table(self) -> Ablation:
        """The rows and what the paper claims of them."""
        return ABLATIONS[self.name]

    def of(self, name: str) -> list[Outcome]:
        """The outcomes of a row, one per seed."""
        return [outcome for outcome in self.outcomes if outcome.variant.name == name]

    @property
    def trained_now(self) -> int:
        """How many of the runs were trained for this table rather than loaded."""
        return sum(outcome.run.trained_now for outcome in self.outcomes)


def make_table(name: str, request: Request, progress: bool = True) -> Table:
    """A table under ``request``: every row with every seed, then the baselines."""
    started, request = time.perf_counter(), suited(name, request)
    past = tuple(recorded(name))
    bench = Bench(name, request, progress)
    work = [(row, seed) for row in variants(name) for seed in request.seeds]
    outcomes = tuple(sorted(bench.outcomes(work), key=lambda made: work.index((made.variant, made.run.seed))))
    as_seen = bench.under(variant(name, WHOLE), request.seeds[0])
    request = replace(request, dataset=as_seen.scored.name)  # pix3d has another name when its split is ours
    return Table(name, request, as_seen.scored, outcomes, as_seen.baselines(), past, time.perf_counter() - started)


table7, table8 = partial(make_table, "table7"), partial(make_table, "table8")


def published(row: Variant) -> dict[str, str]:
    """The printed values, by metric."""
    return {metric: unsigned(row.published[metric], metric) for metric in TITLES}


def claims(found: Rows, table: Ablation) -> list[Claim]:
    """That the whole network beats each ablated one, or is beaten by it where the paper has that, in both metrics; none
    where two rows share no seed."""
    return [made for pair in table.pairs for metric in TITLES if (made := _claim(metric, *pair, found, table))]


def order(found: Rows, table: Ablation) -> dict[str, list[Claim]]:
    """By metric, that each row beats the next of the paper's order; empty while rows share no seed."""
    pairs = list(zip(table.order, table.order[1:], strict=False))
    steps = {metric: [_claim(metric, *pair, found, table) for pair in pairs] for metric in TITLES}
    return {metric: made for metric, made in steps.items() if all(made)}


def verdicts(found: Rows, profile: str, table: Ablation) -> dict[str, list[tuple[str, str]]]:
    """(verdict, where the difference stands) to be set beside each row: the claim on it and the whole network, and
    beside the whole network the paper's order of all three."""
    said: dict[str, list[tuple[str, str]]] = {row.name: [] for row in table.rows}
    for checked in claims(found, table):
        verdict = f"{SHORT[checked.metric]}: {checked.verdict(profile)}"
        said[checked.better if checked.worse == WHOLE else checked.worse].append((verdict, checked.standing()))
    for metric, steps in order(found, table).items():
        verdict = f"order, {SHORT[metric]}: {order_verdict(steps, profile)}"
        said[WHOLE].append((verdict, steps[-1].standing()))
    return said


def standing_beside(whole: Sequence[Record], baseline: Record) -> str:
    """Where the whole network stands against a baseline, on which the paper claims nothing."""
    return f"CD, {WHOLE} − this: {difference(whole, [baseline], 'cd').text('cd', sign=True)}"


def _claim(metric: str, better: str, worse: str, found: Rows, table: Ablation) -> Claim | None:
    shared = in_common({name: found.get(name, ()) for name in (better, worse)})
    if not shared[better]:
        return None
    values = {row.name: row.published[metric] for row in table.rows}
    return claim(metric, better, worse, values, shared)

"""What Tables 7 and 8 say (§4.5.1), as claims on records, whether these were made now or recorded before."""

from collections.abc import Mapping, Sequence

from msrn.claims import Claim, claim, difference, in_common, order_verdict, unsigned
from msrn.records import Record
from msrn.variants import WHOLE, Ablation, Variant

Rows = Mapping[str, Sequence[Record]]  # the records of each row, one per seed

TITLES = {"cd": "Chamfer distance ↓", "f": "F-score@0.01 ↑"}
SHORT = {"cd": "CD", "f": "F"}


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

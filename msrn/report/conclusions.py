"""The conclusions that the numbers of a table carry, in sentences."""

import html
from collections.abc import Sequence

from IPython.display import HTML

from msrn.data import shapes_known
from msrn.evaluation.statistics import METRICS, difference
from msrn.experiments.runner import Result
from msrn.experiments.table import Table
from msrn.experiments.verdicts import Rows, says_nothing
from msrn.report.breakdown import categories_of
from msrn.report.recorded_tables import best_groups
from msrn.report.words import WITHOUT_SHAPES, many, mean_of
from msrn.store.results import Record

LEARNED_MASK_IOU = 0.7
LEARNED_DIRECTION = 0.4  # pose consistency, be it up to half turns


def show(result: Result) -> HTML:
    return list_html(conclusions(result))


def list_html(sentences: Sequence[str]) -> HTML:
    return HTML("<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in sentences) + "</ul>")


def conclusions(result: Result) -> list[str]:
    """What to conclude beside the verdicts, which stand above the table, a sentence or two each."""
    table, request, known = result.table, result.request, shapes_known(result.test.name)
    before = recorded_conclusions(table, result.recorded)
    if says_nothing(request.profile):
        return ["Nothing about the method by this run. Profile laptop makes numbers that mean something.", *before]
    ours = result.rows[table.ours]
    texts = [_silhouettes(ours, table.ours)]
    texts += [_directions(ours, categories_of(result))] if known else [WITHOUT_SHAPES]
    texts += _beaten(ours, result.yardsticks)
    return [*texts, *before]


def recorded_conclusions(table: Table, records: Sequence[Record]) -> list[str]:
    """A sentence for each recorded data set: which of the rows that train nothing are beaten."""
    return [
        f"On {group.first.dataset} as recorded ({many(group.seeds, 'seed')} of {group.steps:,} steps): {sentence}"
        for group in best_groups(table, records)
        if group.complete
        for sentence in _beaten(group.rows[table.ours], group.yardsticks)
    ]


def _beaten(ours: Sequence[Record], yardsticks: Rows) -> list[str]:
    """Which of the rows that train nothing the whole network beats, for each of both alignments."""
    rows = {name: records for name, records in yardsticks.items() if records[0].kind == "baseline"}
    if not rows or not ours:
        return []
    texts = []
    for metric in (metric for metric in ("cd", "cd_axes") if metric in ours[0].objects):
        sure = {f"“{name}”": difference(ours, row, metric).high < 0 for name, row in rows.items()}
        beaten, others = (", ".join(name for name, wins in sure.items() if wins == side) for side in (True, False))
        rest = f"; not {others}" if beaten and others else ""
        texts.append(f"in {METRICS[metric].short} {beaten or 'none'}{rest}")
    return [f"Of the rows that train nothing, {ours[0].variant} surely beats {'. And '.join(texts)}."]


def _silhouettes(ours: Sequence[Record], name: str) -> str:
    value = mean_of(ours, "mask_iou")
    side = "which is enough" if value >= LEARNED_MASK_IOU else f"less than the {LEARNED_MASK_IOU} that is enough"
    return f"Silhouettes: {name} covers the test masks with a mean IoU of {value:.2f}, {side} to have seen objects."


def _directions(ours: Sequence[Record], categories: Sequence[str]) -> str:
    values = {name: max(mean_of(ours, f"pose_{m}.category.{name}") for m in ("m1", "m2")) for name in categories}
    known, unknown = (
        ", ".join(f"{name} {value:.2f}" for name, value in values.items() if (value >= LEARNED_DIRECTION) == learned)
        for learned in (True, False)
    )
    rule = f"Directions, be it up to a half turn (m = 1 or m = 2, at least {LEARNED_DIRECTION})"
    return f"{rule}: learned for {known or 'no category'}; not for {unknown or 'none'}."

"""The conclusions that the numbers of a table carry, in sentences."""

import html
from collections.abc import Sequence

from IPython.display import HTML

from msrn.data import shapes_known
from msrn.evaluation.statistics import METRICS, difference, signed
from msrn.experiments.recorded import Group
from msrn.experiments.runner import Result
from msrn.experiments.table import Table
from msrn.experiments.verdicts import SEEDS_FOR_A_VERDICT, Rows, Verdict, judge, says_nothing
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
    """What to conclude, a sentence or two each, from the numbers at hand."""
    request, known = result.request, shapes_known(result.test.name)
    table = result.table if known else result.table.without_truth()
    before = recorded_conclusions(result.table, result.recorded)
    if says_nothing(request.profile):
        return [
            f"Nothing about the method: profile {request.profile} trains {request.settings.steps} steps, which proves "
            "that the parts fit together and no more. Run profile laptop for numbers that mean something.",
            *before,
        ]
    ours = result.rows[table.ours]
    texts = [_silhouettes(ours, table.ours)]
    texts += [_directions(ours, categories_of(result))] if known else [WITHOUT_SHAPES]
    texts += _beaten(ours, result.yardsticks)
    verdicts = judge(table.claims, table.measured, result.rows | result.from_files, table.printed)
    texts += [claimed(verdict, request.profile) for verdict in verdicts if not verdict.missing]
    missing = dict.fromkeys(f"{v.claim.words} ({', '.join(v.missing)})" for v in verdicts if v.missing)
    texts += [f"Not evaluated: {'; '.join(missing)}."] if missing else []
    if "neighbor_consistency" in table.changed and request.settings.neighbor_prototypes == 1:
        texts.append(
            "Neighbour consistency is its loss here (Eqs 43-44): with one prototype of a category every candidate is a "
            "neighbour, and the choice among them (Eqs 33-38) is not tested."
        )
    if known and len(request.seeds) < SEEDS_FOR_A_VERDICT:
        texts.append(
            "A difference in one seed proves nothing: give at least three seeds (seeds: [0, 1, 2]) for verdicts."
        )
    return [*texts, *before]


def recorded_conclusions(table: Table, records: Sequence[Record]) -> list[str]:
    """A sentence for each recorded data set: the claims, and the rows that train nothing."""
    return [_as_recorded(group) for group in best_groups(table, records) if group.complete]


def claimed(verdict: Verdict, profile: str) -> str:
    """A claim, its verdict, where the difference stands, and where the paper's does."""
    text = f"{METRICS[verdict.metric].short}, {verdict.claim.words}: {verdict.text(profile)}."
    printed = [f"the paper has {signed(p.published, p.metric)}" for p in verdict.parts if p.published is not None]
    return " ".join([text, *([f"{'; '.join([verdict.standing(), *printed])}."] if verdict.parts else [])])


def _as_recorded(group: Group) -> str:
    parts = [
        f"{verdict.claim.words} in {METRICS[verdict.metric].short}: "
        f"{verdict.text(group.first.profile)} ({verdict.standing()})"
        for verdict in group.verdicts
        if verdict.metric in group.table.measured[:2] and verdict.parts
    ]
    where = f"On {group.first.dataset} as recorded ({many(group.seeds, 'seed')} of {group.steps:,} steps)"
    beaten = _beaten(group.rows[group.table.ours], group.yardsticks)
    return " ".join([f"{where}: {'; '.join(parts) or 'no claim could be judged'}.", *beaten])


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

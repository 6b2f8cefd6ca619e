"""The paper's claims as a reader meets them: those judged here, those measured without a verdict, and the open ones."""

import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from tabulate import tabulate

from msrn.evaluation.protocol import VERSION
from msrn.evaluation.statistics import METRICS, Comparison, signed
from msrn.experiments.claims import SENTENCES, Sentence
from msrn.experiments.recorded import Finding, Group, findings, groups_of, table_of
from msrn.experiments.verdicts import RULE
from msrn.report.html import note_html, plain_html
from msrn.report.results_table import profile_of
from msrn.report.text import WIDTH
from msrn.report.words import many, mean_of, two_decimals
from msrn.store.results import Record

HEAD = "claim", "printed", "data here", "difference here", "right sign", "verdict", "per axis", "verdict per axis"
VERDICTS = "reproduced", "not reproduced"
NOTE = (
    f"Less is better in CD, more in F and IoU. {RULE} Per axis: each axis may be scaled by itself, so that what is "
    "left is the form."
)


MEASURES = {
    "iou": "IoU with the true masks",
    "mask_iou": "mask IoU from the input's side",
    "cd": "CD",
    "neighbor.kept": "CD to the candidates that it keeps",
    "neighbor.rejected": "CD to those that it refuses",
    "neighbor.chosen": "share that it keeps",
}


class Claims(NamedTuple):
    """All sentences by how they stand."""

    judged: list[list[Finding]]  # of each sentence with a verdict, those that compare something
    measured: list[tuple[Sentence, list[str]]]
    open: list[tuple[Sentence, str]]  # and what is missing


def stand(records: Sequence[Record]) -> Claims:
    """Every sentence of the paper, held against what is recorded."""
    claims = Claims([], [], [])
    for sentence in SENTENCES:
        found = findings(sentence, records) if sentence.claims else []
        values = [text for group in groups_of(sentence, records) if (text := _values(sentence, group))]
        if any(_word(finding) in VERDICTS for finding in found):
            claims.judged.append([finding for finding in found if finding.verdict.parts])
        elif values and not sentence.claims:
            claims.measured.append((sentence, values))
        else:
            claims.open.append((sentence, _missing(sentence, found)))
    return claims


def summary(claims: Claims) -> str:
    """How many of the sentences stand how, and where."""
    everywhere, somewhere, nowhere = [], [], []
    for found in claims.judged:
        holds = {_word(finding) == VERDICTS[0] for finding in found if _word(finding) in VERDICTS}
        (somewhere if len(holds) > 1 else everywhere if True in holds else nowhere).append(found)
    judged = f"Borne out wherever judged: {len(everywhere)}; in part: {len(somewhere)}; not: {len(nowhere)}."
    return (
        f"Of {len(SENTENCES)} sentences of the paper that measurement can deny, {len(claims.judged)} are judged from "
        f"recorded results. {judged} Of {len(claims.measured)} more there are values and no rule; "
        f"{len(claims.open)} wait for results."
    )


def lines(claims: Claims) -> list[list[str]]:
    """A line for each pair of rows that a claim compares, data set and profile, as ``HEAD`` names its cells."""
    return [line for found in claims.judged for finding in found for line in _lines(finding)]


def claims_html(claims: Claims) -> str:
    """The table of the claims that are judged."""
    if not claims.judged:
        return note_html("Nothing is recorded yet that three seeds judge: msrn record table8 --seeds 0,1,2 does it.")
    return plain_html("Claims that recorded results judge", HEAD, lines(claims), NOTE)


def claims_text(claims: Claims) -> str:
    """All of it for a terminal."""
    table = [[line[0].removesuffix("]").replace(" [", "\n", 1), *line[1:]] for line in lines(claims)]
    judged = tabulate(table, HEAD, "simple", disable_numparse=True, maxcolwidths=[40, 8, 16, 22, 6, 14, 22, 14])
    parts = [summary(claims), judged, NOTE, "Measured, without a verdict:", *measured_words(claims)]
    parts += ["Open:", *open_words(claims)]
    return "\n\n".join(part if part == judged else textwrap.fill(part, WIDTH) for part in parts)


def measured_words(claims: Claims) -> list[str]:
    return [
        f"{sentence.words} ({sentence.where}) {' '.join(values)} What would settle it: {sentence.settles}"
        for sentence, values in claims.measured
    ]


def open_words(claims: Claims) -> list[str]:
    return [f"{sentence.words} ({sentence.where}) {missing}" for sentence, missing in claims.open]


def _lines(finding: Finding) -> list[list[str]]:
    """Of a claim on a data set at a profile."""
    sentence, claim, group, verdict, axes = finding
    earlier = group.first.kind == "model" and group.first.protocol < VERSION
    where = f"{group.first.dataset} [{profile_of(group)}{', earlier protocol' * earlier}]"
    what = f"{table_of(sentence).title}, {METRICS[verdict.metric].short}: {claim.words}; {sentence.where}"
    found = []
    for part, other in zip_longest(verdict.parts, axes.parts if axes else ()):
        printed = "–" if part.published is None else signed(part.published, part.metric)
        signs = "–" if claim.close else f"{part.agrees} of {len(part.per_seed)}"
        beside = (_gap(other), axes.text(group.first.profile)) if other else ("–", "–")
        found.append([f"{sentence.words} [{what}]", printed, where, _gap(part), signs, _word(finding), *beside])
    if len(found) > 1:  # of several pairs, which each line is about
        for line, part in zip(found, verdict.parts, strict=True):
            line[0] = f"{sentence.words} [{part.first} against {part.second}, of {what}]"
    return found


def _gap(part: Comparison) -> str:
    return part.measured.text(part.metric, sign=True)


def _word(finding: Finding) -> str:
    return finding.verdict.text(finding.group.first.profile)


def _values(sentence: Sentence, group: Group) -> str:
    """What the records of a group hold of a sentence's values, where they hold all."""
    means = [(row, metric, mean_of(group.rows.get(row, ()), metric)) for row, metric in sentence.measured]
    texts = [f"{row}: {MEASURES[metric]} {two_decimals(value)}" for row, metric, value in means]
    whole = bool(means) and all(value == value for *_, value in means)
    where = f"{group.first.dataset}, {profile_of(group)}, {many(group.seeds, 'seed')}"
    return f"On {where}: {'; '.join(texts)}." if whole else ""


def _missing(sentence: Sentence, found: Sequence[Finding]) -> str:
    """Why there is no verdict, and what would settle the sentence."""
    if not sentence.claims:
        return f"No measurement here yet. What would settle it: {sentence.settles}"
    table = table_of(sentence)
    names = dict.fromkeys(name for claim in sentence.claims for name in sorted(claim.rows()))
    quoted = [name for name in names if not table.row(name).trained]
    words = dict.fromkeys(_word(finding) for finding in found) or ["not evaluated: nothing is recorded"]
    files = f"; predictions of {', '.join(quoted)} (msrn score --table {table.name})" if quoted else ""
    how = f"three seeds of its rows (msrn record {table.name}){files}"
    return f"{'; '.join(words).replace('not', 'Not', 1)}. What would settle it: {how}."

"""What the runs behind Table 8 learned, category by category, and the conclusions that their numbers carry."""

import html
from collections import Counter
from collections.abc import Sequence

import numpy as np

from msrn.evaluation.protocol import ALIGNMENTS
from msrn.evaluation.score import TURNS
from msrn.experiments import recorded as shelf
from msrn.experiments.ablation import Table, claims, order
from msrn.experiments.paper import recorded
from msrn.experiments.recorded import Group
from msrn.experiments.table import ABLATIONS, WHOLE
from msrn.experiments.verdicts import (
    SEEDS_FOR_A_VERDICT,
    Claim,
    Estimate,
    difference,
    order_verdict,
    says_nothing,
    signed,
)
from msrn.profiles import Request
from msrn.report.html import plain_html
from msrn.report.results_table import duration, many, now
from msrn.store.results import Record

LEARNED_MASK_IOU = 0.7
LEARNED_DIRECTION = 0.4  # pose consistency up to half turns
NAMES = {"cd": "CD", "f": "F-score"}
ALIGNMENT_TITLES = {
    "none": "none",
    "icp": "rigid ICP",
    "search": "turn search",
    "search_icp": "search + ICP (headline)",
    "search_icp_axes": "+ scale of each axis",
}


def header(request: Request, name: str = "table8") -> str:
    """What a notebook is about to do and what that costs, as Markdown."""
    s, seeds = request.settings, ", ".join(map(str, request.seeds))
    return (
        f"**Profile {request.label}**: data set {_data(request)}, {s.steps:,} steps of {s.batch_size} "
        f"images, {s.image_size} × {s.image_size} pixels, icosphere {s.mesh_level}, {s.encoder} encoders, "
        f"{many(len(request.seeds), 'seed')} ({seeds}), on {request.device}. {cost(request, name)} "
        f"Runs that are stored already are loaded.{_warning(request)}"
    )


def foreground_header(request: Request) -> str:
    """The same for the pages on the foreground module, which show one seed."""
    s = request.settings
    return (
        f"**Profile {request.label}**: photographs of {_data(request)}, seed {request.seeds[0]}, on {request.device}. "
        f"Cues are fine-tuned for {s.cue_steps:,} steps of {s.cue_batch_size} photographs, or loaded."
        f"{_warning(request)}"
    )


def _data(request: Request) -> str:
    """The data set, and in place of which it stands."""
    instead = request.instead_of and f" **in place of {request.instead_of}, for which no data_root is given**"
    return f"{request.dataset}{instead}"


def _warning(request: Request) -> str:
    """What nobody should conclude from a profile that trains next to nothing."""
    if not says_nothing(request.profile):
        return ""
    return (
        f"\n\n**What follows was made at profile {request.profile}: the pictures and numbers below prove that the "
        "code runs, and reproduce nothing.**"
    )


def cost(request: Request, name: str) -> str:
    """How long training takes, from recorded results of the same settings; on this data set, if there are some."""
    alike = [group for group in shelf.groups(recorded(name)) if group.follows(request)]
    alike.sort(key=lambda group: group.first.dataset == request.dataset)
    if not alike:
        return "How long that takes has not been recorded."
    times = shelf.seconds_of_a_run(alike[-1].models).items()
    said = [f"{duration(time)} on {device} ({alike[-1].steps / time:.2g} steps a second)" for device, time in times]
    rows = f"each of the {len(ABLATIONS[name].rows)} rows of a seed"
    return f"As recorded on {alike[-1].first.dataset}, {rows} trains in {' or '.join(said)}."


def learned_table(result: Table) -> str:
    """Mask IoU and pose consistency on all test views, per variant: over all categories, and m = 2 in each."""
    names = _categories(result)
    keys = ["mask_iou", *(f"pose_m{m}" for m in TURNS), *(f"pose_m2.category.{name}" for name in names)]
    lines = [_line(name, found, keys) for name, found in _models(result)]
    header = ["", "mask IoU", *(f"pose, m = {m}" for m in TURNS), *(f"{name}, m = 2" for name in names)]
    note = (
        "Pose consistency is the resultant length of m × (predicted − true azimuth): 1 is right up to a constant turn, "
        "0 is random; m = 2 forgives half turns (front for back), m = 4 quarter turns."
    )
    return plain_html("What the networks learned: all test views", header, lines, note)


def category_table(result: Table) -> str:
    """CD in each category, for every row."""
    names = _categories(result)
    keys = [*(f"cd.category.{name}" for name in names), "cd", "cd.micro"]
    lines = [_line(name, found, keys) for name, found in _every_row(result)]
    header = ["", *names, "macro mean", "mean over objects"]
    counts = Counter(result.outcomes[0].record.objects["category"])
    note = "Test objects: " + ", ".join(f"{name} {counts[name]}" for name in names) + "."
    return plain_html("Chamfer distance by category", header, lines, note)


def alignment_table(result: Table) -> str:
    """CD under every alignment, and Eq. 46's own value."""
    header = ["", *(ALIGNMENT_TITLES[name] for name in ALIGNMENTS), "Eq. 46"]
    keys = [*(f"cd.{name}" for name in ALIGNMENTS), "eq46"]
    lines = [_line(name, found, keys) for name, found in _every_row(result)]
    points = result.request.settings.eval_points
    note = (
        "Macro means. The last column is Eq. 46 as printed, after the headline alignment: a sum of squared distances "
        f"over {points:,} points of each surface, with the longest true edge = 1."
    )
    return plain_html("Chamfer distance by alignment", header, lines, note)


def conclusions(result: Table) -> list[str]:
    """What to conclude, a sentence or two each, from the numbers at hand."""
    request, kept = result.request, recorded_conclusions(result.recorded)
    if says_nothing(request.profile):
        return [
            f"Nothing about the method: profile {request.profile} trains {request.settings.steps} steps, which proves "
            "that the parts fit together and no more (feature compensation begins after the first epoch, which is "
            "longer). Run profile laptop for numbers that mean something.",
            *kept,
        ]
    whole = [outcome.record for outcome in result.of(WHOLE)]
    made = [_silhouettes(whole), _directions(whole, _categories(result))]
    made += [_against(record, whole) for record in result.baselines]
    made += [_claimed(checked, request.profile) for checked in claims(now(result), result.table)]
    made += [_ordered(metric, steps, result) for metric, steps in order(now(result), result.table).items()]
    made += _what_nc_is(result)
    if len(request.seeds) < SEEDS_FOR_A_VERDICT:
        made.append(
            "A difference in one seed is not a finding: give at least three seeds (seeds: [0, 1, 2]) for verdicts."
        )
    return made + kept


def _what_nc_is(result: Table) -> list[str]:
    """What a verdict on neighbour consistency is not about, where a single prototype leaves nothing to choose."""
    tested = any("neighbor_consistency" in row.overrides for row in result.table.rows)
    if not tested or result.request.settings.neighbor_prototypes > 1:
        return []
    return [
        "Neighbour consistency is its loss here (Eqs 43-44): with one prototype of a category every candidate is a "
        "neighbour, and the choice among them (Eqs 33-38) is not tested."
    ]


def recorded_conclusions(kept: Sequence[Record]) -> list[str]:
    """A sentence for each recorded data set: the claims, and the rows that train nothing."""
    names = sorted({record.dataset for record in kept})
    found = [shelf.best(shelf.groups(kept, name)) for name in names]
    return [_as_recorded(group) for group in found if group and group.complete]


def _as_recorded(group: Group) -> str:
    rows, profile = group.rows(), group.first.profile
    said = [
        f"{checked.better} better than {checked.worse}: {checked.verdict(profile)} "
        f"({checked.measured.text('cd', sign=True)})"
        for checked in claims(rows, group.table)
        if checked.metric == "cd"
    ]
    said += [
        f"the order of all three: {order_verdict(steps, profile)}"
        for steps in [order(rows, group.table).get("cd")]
        if steps
    ]
    seeds = many(len(group.some_seeds), "seed")
    where = f"On {group.first.dataset} as recorded ({seeds} of {group.steps:,} steps), in CD"
    return f"{where}: {'; '.join(said)}.{_beaten(group)}"


def _beaten(group: Group) -> str:
    """Which of the recorded rows that train nothing the whole network beats in CD."""
    if not group.baselines:
        return ""
    gaps = {row.variant: difference(group.rows()[WHOLE], [row], "cd") for row in group.baselines}
    beaten = [f"“{name}”" for name, gap in gaps.items() if gap.high < 0]
    others = [f"“{name}”" for name, gap in gaps.items() if gap.high >= 0]
    rest = f"; not {', '.join(others)}" if beaten and others else ""
    return f" Of the rows that train nothing, {WHOLE} surely beats {', '.join(beaten) or 'none'}{rest}."


def conclusions_html(result: Table) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in conclusions(result)) + "</ul>"


def _silhouettes(whole: Sequence[Record]) -> str:
    value = _mean(whole, "mask_iou")
    enough = "reaches" if value >= LEARNED_MASK_IOU else "misses"
    asked = f"the {LEARNED_MASK_IOU} that we ask of a run that learned to see objects"
    return f"Silhouettes: {WHOLE} covers the test masks with a mean IoU of {value:.2f}, which {enough} {asked}."


def _directions(whole: Sequence[Record], categories: Sequence[str]) -> str:
    found = {name: _mean(whole, f"pose_m2.category.{name}") for name in categories}
    known = [f"{name} {value:.2f}" for name, value in found.items() if value >= LEARNED_DIRECTION]
    unknown = [f"{name} {value:.2f}" for name, value in found.items() if value < LEARNED_DIRECTION]
    asked = f"Directions up to a half turn (m = 2, at least {LEARNED_DIRECTION})"
    return f"{asked}: learned for {', '.join(known) or 'no category'}; not for {', '.join(unknown) or 'none'}."


def _against(baseline: Record, whole: Sequence[Record]) -> str:
    """How the whole network stands against a baseline in CD and in F-score."""
    cd, f = (difference(whole, [baseline], metric) for metric in ("cd", "f"))
    sides = [_side(cd.mean < 0, cd), _side(f.mean > 0, f)]
    gaps = [f"in CD by {cd.text('cd', sign=True)}", f"in F-score by {f.text('f', sign=True)}"]
    said = [f"{side} {gap}" for side, gap in zip(sides, gaps, strict=True)]
    return f"{WHOLE} against the row “{baseline.variant}”: {', '.join(said)}."


def _side(better: bool, gap: Estimate) -> str:
    if not gap.excludes_zero:
        return "open (the interval holds zero)"
    return "better" if better else "worse"


def _claimed(checked: Claim, profile: str) -> str:
    return (
        f"{NAMES[checked.metric]}, {checked.better} against {checked.worse}: {checked.verdict(profile)}. "
        f"{checked.standing()}; the paper has {signed(checked.published, checked.metric)}."
    )


def _ordered(metric: str, steps: Sequence[Claim], result: Table) -> str:
    """On the paper's order of all rows, with its last step, which the claims of Table 8 leave out."""
    best, *between, worst = result.table.order
    last = steps[-1]
    return (
        f"{NAMES[metric]}, the order ({worst} worst, {', '.join(between)} between, {best} best): "
        f"{order_verdict(steps, result.request.profile)}. {last.standing()}; "
        f"the paper has {signed(last.published, metric)}."
    )


def _every_row(result: Table) -> list[tuple[str, list[Record]]]:
    return [*_models(result), *((record.variant, [record]) for record in result.baselines)]


def _models(result: Table) -> list[tuple[str, list[Record]]]:
    return [(row.name, [outcome.record for outcome in result.of(row.name)]) for row in result.table.rows]


def _categories(result: Table) -> list[str]:
    """Those that occur among the evaluated objects."""
    return [name for name in result.test.categories if f"cd.category.{name}" in result.outcomes[0].record.metrics]


def _line(name: str, found: Sequence[Record], keys: Sequence[str]) -> list[str]:
    return [name, *(_two(_mean(found, key)) for key in keys)]


def _mean(found: Sequence[Record], metric: str) -> float:
    """Over the seeds; not a number where a record has no value."""
    values = [record.metrics.get(metric) for record in found]
    return float(np.mean([np.nan if value is None else value for value in values]))


def _two(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"

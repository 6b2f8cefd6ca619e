"""The quality of masks as a reader meets it: a table of rows, and what it says about the module's claims."""

import html
from collections.abc import Sequence

import numpy as np

from msrn.evaluation.masks import (
    COARSE,
    PRINTED,
    PRINTED_WITHOUT,
    REFINED,
    ROWS,
    WITHOUT,
    MaskRecord,
    difference,
    estimate,
)
from msrn.evaluation.metrics import bootstrap_interval
from msrn.experiments import verdicts
from msrn.experiments.verdicts import Estimate
from msrn.report import html as tables
from msrn.report.results_table import many

HEADER = (
    "",
    "IoU ↑",
    f"− {COARSE}",
    "precision",
    "recall",
    "boundary F",
    "removed of the false",
    "removed of the true",
    "best λ of val",
    "best λ of each image",
    "seeds",
)
NOTE = (
    "Means over photographs, objects and categories in turn, [95 % bootstrap interval over objects, seeds averaged]. "
    "Boundary F: outlines within 2 of 128 pixels. Removed: shares of M_o's false and of its true pixels. Best λ: IoU "
    "of Eq. 18 with these cues, at the threshold that is best on val, and at the best one for each image, which nobody "
    "can know."
)

CLAIMS = {  # (better, worse) -> what is claimed, in words
    (PRINTED, COARSE): "Masks refined by Eq. 18 as printed beat the off-the-shelf ones",
    (PRINTED, PRINTED_WITHOUT): "Masks refined by Eq. 18 as printed beat those without L_for",
    (REFINED, COARSE): "Refined masks (M-SRN) beat the off-the-shelf ones",
    (REFINED, WITHOUT): "Refined masks (M-SRN) beat those without L_for",
}


def quality_html(found: Sequence[MaskRecord]) -> str:
    """A table for each data set and profile, or a line that says that there is none."""
    if not found:
        how = "python -m msrn record masks --profile laptop --seeds 0,1,2"
        return tables.note_html(f"No masks are recorded yet: {how} measures them.")
    kinds = dict.fromkeys((record.dataset, record.profile, record.fingerprint) for record in found)
    return "".join(
        _table([record for record in found if (record.dataset, record.profile, record.fingerprint) == kind])
        for kind in kinds
    )


def _table(found: Sequence[MaskRecord]) -> str:
    rows = rows_of(found)
    first = found[0]
    caption = (
        f"Masks on {first.dataset}, test split ({first.n_images:,} photographs of "
        f"{len(first.objects['object_id'])} objects), profile {first.profile}"
    )
    lines = [_line(name, rows) for name in rows]
    tuned = [record for record in found if record.images_per_second]
    cost = ""
    if tuned:
        minutes = np.mean([record.tune_cpu_seconds or record.tune_seconds for record in tuned]) / 60
        rate = np.median([record.images_per_second for record in tuned])
        cost = f" Fine-tuning took {minutes:.1f} core minutes, cues {rate:.0f} images a second, on {tuned[0].device}."
    return tables.plain_html(caption, HEADER, lines, f"M_o from {first.saliency}. {NOTE}{cost}")


def rows_of(found: Sequence[MaskRecord]) -> dict[str, list[MaskRecord]]:
    """Records by row, in the order of the rows, by seed."""
    ordered = sorted(found, key=lambda record: record.seed)
    rows = {row.name: [record for record in ordered if record.row == row.name] for row in ROWS}
    return {name: made for name, made in rows.items() if made}


def _line(name: str, rows: dict[str, list[MaskRecord]]) -> list[str]:
    made = rows[name]
    question = next(row.question for row in ROWS if row.name == name)
    beside = ""
    if name != COARSE and COARSE in rows:
        beside = _three(difference(made, rows[COARSE]), sign=True)
    refined = name != COARSE
    return [
        f"{name} [{question}]",
        _three(estimate(made)),
        beside,
        *(f"{_mean(made, key):.3f}" for key in ("precision", "recall", "boundary_f")),
        *(f"{_mean(made, key):.0%}" if refined else "" for key in ("removed_rightly", "removed_wrongly")),
        _best_on_val(made) if refined else "",
        f"{_mean(made, 'iou_oracle'):.3f}" if refined else "",
        ", ".join(str(record.seed) for record in made) if refined else "",
    ]


def _best_on_val(made: Sequence[MaskRecord]) -> str:
    """The IoU at the threshold that is best on val, which not every data set has."""
    values, on_val = (made[0].thresholds[name] for name in ("value", "val"))
    return f"{_mean(made, 'iou_best_on_val'):.3f} (λ {values[int(np.argmax(on_val))]:g})" if on_val else "–"


def conclusions(found: Sequence[MaskRecord]) -> list[str]:
    """A sentence for each claim whose two rows are there, and why they come out as they do."""
    rows = rows_of(found)
    said = [_claim(rows, *pair) for pair in CLAIMS if rows.keys() >= set(pair)]
    if any(verdicts.says_nothing(record.profile) for record in found):
        return said
    if rows.keys() >= {COARSE, PRINTED}:
        said.append(_price_of_removing(rows[COARSE], rows[PRINTED]))
    if rows.keys() >= {PRINTED, PRINTED_WITHOUT}:
        said.append(_lost_cues(rows))
    return [text for text in said if text]


def _price_of_removing(coarse: Sequence[MaskRecord], printed: Sequence[MaskRecord]) -> str:
    """Why Eq. 18 gains or loses. With t true and f false pixels in M_o, u in the union with the truth, removing the
    shares a of f and b of t turns IoU t / u into (1 - b) t / (u - a f): more where b < a f / u. From the row's means,
    f / u = IoU (1 - precision) / precision."""
    precision, iou = _mean(coarse, "precision"), _mean(coarse, "iou")
    rightly, wrongly = _mean(printed, "removed_rightly"), _mean(printed, "removed_wrongly")
    if not precision:
        return ""
    false = iou * (1 - precision) / precision
    return (
        f"Why Eq. 18 {'gains' if wrongly < false * rightly else 'cannot gain'} here: of the union of M_o and the truth "
        f"about {false:.0%} is false. Removing {rightly:.0%} of that raises IoU only while less than "
        f"{false * rightly:.0%} of the true pixels go with it; {wrongly:.0%} do."
    )


LOST = 0.5
"""Share of M_o's true pixels that Eq. 18 removes from a category when its cue is no longer on the object."""


def _lost_cues(rows: dict[str, list[MaskRecord]]) -> str:
    """Which categories' cues left the object without L_for, and what L_for gains among the others."""
    pairs = _pairs(rows[PRINTED], rows[PRINTED_WITHOUT])
    if not pairs:
        return ""
    category = np.array(pairs[0][1].objects["category"])
    lost = {
        name: {record.seed: _lost(record, category) for record in rows[name]} for name in (PRINTED_WITHOUT, PRINTED)
    }
    names = {name: _named(found, category) for name, found in lost.items()}
    if not any(names.values()):
        return "With and without L_for, every category's cue stays on the object in every seed."
    text = (
        f"Where the gain of L_for comes from: Eq. 18 removes more than half of the true pixels, so the cue is not on "
        f"the object, in {names[PRINTED_WITHOUT] or 'no category'} without L_for, and in "
        f"{names[PRINTED] or 'no category of any seed'} with it."
    )
    seeds = [one.seed for one, _ in pairs]
    kept = np.array([~lost[PRINTED_WITHOUT][seed] & ~lost[PRINTED][seed] for seed in seeds])  # (seeds, objects)
    parts = [
        f"{_kept_gap(rows, better, worse, seeds, kept, category)} {words}"
        for better, worse, words in ((PRINTED, PRINTED_WITHOUT, "as printed"), (REFINED, WITHOUT, "weighed"))
        if rows.keys() >= {better, worse} and {record.seed for record in rows[better]} >= set(seeds)
    ]
    return f"{text} Everywhere else L_for changes IoU by {', '.join(parts)}." if kept.any() and parts else text


def _lost(record: MaskRecord, category: np.ndarray) -> np.ndarray:
    """(M,) bool, of each object whether its category's cue is not on the object."""
    gone = np.array(record.objects["removed_wrongly"])
    return np.array([gone[category == name].mean() > LOST for name in category])


def _named(found: dict[int, np.ndarray], category: np.ndarray) -> str:
    parts = [
        f"{', '.join(np.unique(category[gone]).tolist())} (seed {seed})" for seed, gone in found.items() if gone.any()
    ]
    return ", ".join(parts)


def _kept_gap(
    rows: dict[str, list[MaskRecord]],
    better: str,
    worse: str,
    seeds: Sequence[int],
    kept: np.ndarray,
    category: np.ndarray,
) -> str:
    """Macro mean of the difference over the objects and seeds that are ``kept``, with its interval over objects."""
    values = [
        {record.seed: np.array(record.objects["iou"]) for record in rows[name] if record.seed in seeds}
        for name in (better, worse)
    ]
    gap = np.array([values[0][seed] - values[1][seed] for seed in seeds])
    some = kept.any(0)
    mean = (gap * kept).sum(0)[some] / kept.sum(0)[some]
    category = category[some]
    macro = float(np.mean([mean[category == name].mean() for name in np.unique(category)]))
    return _three(Estimate(macro, *bootstrap_interval(mean, 0, strata=category)), sign=True)


def conclusions_html(found: Sequence[MaskRecord]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in conclusions(found)) + "</ul>"


def _claim(rows: dict[str, list[MaskRecord]], better: str, worse: str) -> str:
    words = CLAIMS[better, worse]
    pairs = _pairs(rows[better], rows[worse])
    if not pairs:
        return f"{words}: not evaluated, no seed in common."
    gap = difference(*zip(*pairs, strict=True))
    positive = sum(difference([one], [two]).mean > 0 for one, two in pairs)
    verdict = _verdict(rows[better][0].profile, gap, positive == len(pairs), len(pairs))
    return f"{words}: {verdict}. IoU {_three(gap, sign=True)}, higher in {positive} of {many(len(pairs), 'seed')}."


def _pairs(better: Sequence[MaskRecord], worse: Sequence[MaskRecord]) -> list[tuple[MaskRecord, MaskRecord]]:
    """Of the same seed; what is off the shelf stands against every seed."""
    if worse[0].row == COARSE:
        return [(record, worse[0]) for record in better]
    by_seed = {record.seed: record for record in worse}
    return [(record, by_seed[record.seed]) for record in better if record.seed in by_seed]


def _verdict(profile: str, gap: Estimate, every_seed: bool, seeds: int) -> str:
    """By the rule of the tables: the sign in every one of at least three seeds, and an interval without zero."""
    if verdicts.says_nothing(profile):
        return verdicts.SILENT
    if seeds < verdicts.SEEDS_FOR_A_VERDICT:
        return verdicts.TOO_FEW_SEEDS
    return verdicts.REPRODUCED if every_seed and gap.low > 0 else verdicts.NOT_REPRODUCED


def _three(value: Estimate, sign: bool = False) -> str:
    write = f"{{:{'+' if sign else ''}.3f}}".format
    text = f"{write(value.mean)} [{write(value.low)}, {write(value.high)}]"
    return text.replace("-", "−")


def _mean(made: Sequence[MaskRecord], key: str) -> float:
    return float(np.mean([record.metrics[key] for record in made]))

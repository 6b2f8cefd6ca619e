"""The quality of masks as a reader meets it: a table of rows, and what it says about the module's claims."""

import html
from collections.abc import Sequence

import numpy as np

from msrn import claims, tables
from msrn.claims import Estimate
from msrn.mask_quality import (
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
from msrn.report import many

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
    best = made[0].thresholds["value"][int(np.argmax(made[0].thresholds["val"]))] if refined else None
    return [
        f"{name} [{question}]",
        _three(estimate(made)),
        beside,
        *(f"{_mean(made, key):.3f}" for key in ("precision", "recall", "boundary_f")),
        *(f"{_mean(made, key):.0%}" if refined else "" for key in ("removed_rightly", "removed_wrongly")),
        f"{_mean(made, 'iou_best_on_val'):.3f} (λ {best:g})" if refined else "",
        f"{_mean(made, 'iou_oracle'):.3f}" if refined else "",
        ", ".join(str(record.seed) for record in made) if refined else "",
    ]


def conclusions(found: Sequence[MaskRecord]) -> list[str]:
    """A sentence for each claim whose two rows are there."""
    rows = rows_of(found)
    return [_claim(rows, *pair) for pair in CLAIMS if rows.keys() >= set(pair)]


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
    if profile in claims.SILENT_PROFILES:
        return claims.SILENT
    if seeds < claims.SEEDS_FOR_A_VERDICT:
        return claims.TOO_FEW_SEEDS
    return claims.REPRODUCED if every_seed and gap.low > 0 else claims.NOT_REPRODUCED


def _three(value: Estimate, sign: bool = False) -> str:
    write = f"{{:{'+' if sign else ''}.3f}}".format
    text = f"{write(value.mean)} [{write(value.low)}, {write(value.high)}]"
    return text.replace("-", "−")


def _mean(made: Sequence[MaskRecord], key: str) -> float:
    return float(np.mean([record.metrics[key] for record in made]))

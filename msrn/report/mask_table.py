"""The quality of masks as a reader meets it: a table of rows, and what it says about the module's claims."""

from collections.abc import Sequence

import numpy as np
from IPython.display import HTML

from msrn.evaluation.statistics import difference, estimate, pairs_by_seed
from msrn.experiments import recorded
from msrn.experiments.paper import MASKS
from msrn.experiments.verdicts import Rows, judge, says_nothing
from msrn.report.conclusions import list_html
from msrn.report.html import note_html, plain_html
from msrn.report.words import mean_of
from msrn.store.results import Record

COARSE, PRINTED, PRINTED_WITHOUT = "off-the-shelf", "Eq. 18 as printed", "Eq. 18 without L_for"  # rows
COLUMNS = (
    f"IoU ↑|− {COARSE}|precision|recall|boundary F|removed of the false|removed of the true|best λ of val|"
    "best λ of each image|seeds"
)
NOTE = (
    "Means over photographs, objects and categories in turn, [95 % bootstrap interval over objects, seeds averaged]. "
    "Boundary F: outlines within 2 of 128 pixels. Removed: shares of M_o's false and of its true pixels. Best λ: IoU "
    "of Eq. 18 with these cues, at the threshold that is best on val, and at the best one for each image, which nobody "
    "can know."
)
LOST = 0.5  # share of M_o's true pixels that Eq. 18 removes from a category when its cue is no longer on the object


def show(records: Sequence[Record]) -> HTML:
    """A table for each data set and profile, or a line that says that there is none."""
    if not records:
        return HTML(note_html("No masks are recorded yet: msrn record masks --seeds 0,1,2 measures them."))
    return HTML("".join(_table(group.models) for group in recorded.mask_groups(records)))


def conclusions(records: Sequence[Record]) -> HTML:
    return list_html(sentences(records))


def sentences(records: Sequence[Record]) -> list[str]:
    """A sentence for each claim whose two rows are there, and why they come out as they do."""
    if not records:
        return []
    rows = rows_of(records)
    claims = [claim for claim in MASKS.claims if rows.keys() >= claim.rows()]
    silent = [record.profile for record in records if says_nothing(record.profile)]
    profile, verdicts = (silent or [records[0].profile])[0], judge(claims, MASKS.metrics, rows, {})
    texts = [f"IoU, {v.claim.words}: {v.text(profile)}." + f" {v.standing()}." * bool(v.parts) for v in verdicts]
    if rows.keys() >= {COARSE, PRINTED} and not silent:
        texts += _price_of_removing(rows[COARSE], rows[PRINTED])
    if rows.keys() >= {PRINTED, PRINTED_WITHOUT} and not silent:
        texts.append(_lost_cues(rows[PRINTED], rows[PRINTED_WITHOUT]))
    return texts


def rows_of(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by row, in the order of the rows, by seed."""
    ordered = sorted(records, key=lambda record: record.seed)
    rows = {row.name: [record for record in ordered if record.variant == row.name] for row in MASKS.rows}
    return {name: seeds for name, seeds in rows.items() if seeds}


def _table(records: Sequence[Record]) -> str:
    rows = rows_of(records)
    first = min(records, key=lambda record: record.settings.get("masks") == "ccam")  # which has no M_o to speak of
    caption = (
        f"Masks on {first.dataset}, test split ({first.n_images:,} photographs of "
        f"{len(first.objects['object_id'])} objects), profile {first.profile}"
    )
    tuned, cost = [record for record in records if record.trained], ""
    if tuned:
        minutes = np.mean([record.train_cpu_seconds or record.train_seconds for record in tuned]) / 60
        rate = np.median([record.metrics["cues_per_second"] for record in tuned])
        cost = f" Fine-tuning took {minutes:.1f} core minutes, cues {rate:.0f} images a second, on {tuned[0].device}."
    lines, note = [_line(name, rows) for name in rows], f"M_o from {first.masks}. {NOTE}{cost}"
    return plain_html(caption, ["", *COLUMNS.split("|")], lines, note)


def _line(name: str, rows: Rows) -> list[str]:
    seeds, coarse = rows[name], rows.get(COARSE)
    values = [f"{mean_of(seeds, key):.3f}" for key in ("precision", "recall", "boundary_f")]
    line = [f"{name} [{MASKS.row(name).question}]", estimate(seeds, "iou").text("iou")]
    if name == COARSE:
        return [*line, "", *values, *[""] * 5]
    on_val, thresholds = seeds[0].curves["val"], seeds[0].curves["threshold"]  # not every data set has a val split
    threshold = thresholds[int(np.argmax(on_val))] if on_val else 0
    return [
        *line,
        difference(seeds, coarse, "iou").text("iou", sign=True) if coarse else "",
        *values,
        *(f"{mean_of(seeds, key):.0%}" for key in ("removed_rightly", "removed_wrongly")),
        f"{mean_of(seeds, 'iou_best_on_val'):.3f} (λ {threshold:g})" if on_val else "–",
        f"{mean_of(seeds, 'iou_oracle'):.3f}",
        ", ".join(str(record.seed) for record in seeds),
    ]


def _price_of_removing(coarse: Sequence[Record], printed: Sequence[Record]) -> list[str]:
    """Why Eq. 18 gains or loses. With t true and f false pixels in M_o, u in the union with the truth, removing the
    shares a of f and b of t turns IoU t / u into (1 - b) t / (u - a f): more where b < a f / u. From the row's means,
    f / u = IoU (1 - precision) / precision."""
    precision, iou = mean_of(coarse, "precision"), mean_of(coarse, "iou")
    rightly, wrongly = mean_of(printed, "removed_rightly"), mean_of(printed, "removed_wrongly")
    if not precision:
        return []
    false = iou * (1 - precision) / precision
    return [
        f"Why Eq. 18 {'gains' if wrongly < false * rightly else 'cannot gain'} here: of the union of M_o and the truth "
        f"about {false:.0%} is false. Removing {rightly:.0%} of that raises IoU only while less than "
        f"{false * rightly:.0%} of the true pixels go with it; {wrongly:.0%} do."
    ]


def _lost_cues(printed: Sequence[Record], without: Sequence[Record]) -> str:
    """Which categories' cues left the object without L_for, and what L_for gains among the others."""
    lost = [[(name, record.seed) for record in row for name in _lost(record)] for row in (without, printed)]
    if not any(lost):
        return "With and without L_for, every category's cue stays on the object in every seed."
    before, after = (", ".join(sorted(f"{name} (seed {seed})" for name, seed in some)) for some in lost)
    text = (
        "Where the gain of L_for comes from: Eq. 18 removes more than half of the true pixels, so the cue is not on "
        f"the object, in {before or 'no category'} without L_for, "
        f"and in {after or 'no category of any seed'} with it."
    )
    gone = {name for some in lost for name, _ in some}
    pairs = [[_outside(record, gone) for record in pair] for pair in pairs_by_seed(printed, without)]
    better, worse = zip(*pairs, strict=True)
    if not better[0].objects["iou"]:
        return text
    gap = difference(better, worse, "iou").text("iou", sign=True)
    return f"{text} In the categories that never lose theirs L_for changes IoU by {gap}, as printed."


def _lost(record: Record) -> set[str]:
    """Categories whose cue is not on the object."""
    category, removed = np.array(record.objects["category"]), np.array(record.objects["removed_wrongly"])
    return {name for name in np.unique(category).tolist() if removed[category == name].mean() > LOST}


def _outside(record: Record, categories: set[str]) -> Record:
    """The record of the other categories' objects."""
    rest = [k for k, name in enumerate(record.objects["category"]) if name not in categories]
    objects = {key: [column[k] for k in rest] for key, column in record.objects.items()}
    return record.model_copy(update={"objects": objects})

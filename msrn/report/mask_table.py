"""The quality of masks as a reader meets it: a table of rows, and what it says about the module's claims."""

from collections.abc import Sequence

import numpy as np
from IPython.display import HTML

from msrn.evaluation.statistics import difference, estimate, interval_of, pairs_by_seed
from msrn.experiments.paper import MASKS
from msrn.experiments.verdicts import Verdict, judge, says_nothing
from msrn.report.conclusions import list_html
from msrn.report.html import note_html, plain_html
from msrn.report.words import many, mean_of
from msrn.store.results import Record

COARSE, REFINED, WITHOUT = "off-the-shelf", "M-SRN", "without L_for"
PRINTED, PRINTED_WITHOUT = "Eq. 18 as printed", "Eq. 18 without L_for"
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


def show(found: Sequence[Record]) -> HTML:
    """A table for each data set and profile, or a line that says that there is none."""
    if not found:
        how = "msrn record masks --profile laptop --seeds 0,1,2"
        return HTML(note_html(f"No masks are recorded yet: {how} measures them."))
    kinds = dict.fromkeys((record.dataset, record.profile, record.fingerprint) for record in found)
    return HTML(
        "".join(
            _table([record for record in found if (record.dataset, record.profile, record.fingerprint) == kind])
            for kind in kinds
        )
    )


def _table(found: Sequence[Record]) -> str:
    rows = rows_of(found)
    first = found[0]
    caption = (
        f"Masks on {first.dataset}, test split ({first.n_images:,} photographs of "
        f"{len(first.objects['object_id'])} objects), profile {first.profile}"
    )
    lines = [_line(name, rows) for name in rows]
    tuned = [record for record in found if record.trained]
    cost = ""
    if tuned:
        minutes = np.mean([record.train_cpu_seconds or record.train_seconds for record in tuned]) / 60
        rate = np.median([record.metrics["cues_per_second"] for record in tuned])
        cost = f" Fine-tuning took {minutes:.1f} core minutes, cues {rate:.0f} images a second, on {tuned[0].device}."
    return plain_html(caption, HEADER, lines, f"M_o from {first.masks}. {NOTE}{cost}")


def rows_of(found: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by row, in the order of the rows, by seed."""
    ordered = sorted(found, key=lambda record: record.seed)
    rows = {row.name: [record for record in ordered if record.variant == row.name] for row in MASKS.rows}
    return {name: made for name, made in rows.items() if made}


def _line(name: str, rows: dict[str, list[Record]]) -> list[str]:
    made = rows[name]
    beside = ""
    if name != COARSE and COARSE in rows:
        beside = difference(made, rows[COARSE], "iou").text("iou", sign=True)
    refined = name != COARSE
    return [
        f"{name} [{MASKS.row(name).question}]",
        estimate(made, "iou").text("iou"),
        beside,
        *(f"{mean_of(made, key):.3f}" for key in ("precision", "recall", "boundary_f")),
        *(f"{mean_of(made, key):.0%}" if refined else "" for key in ("removed_rightly", "removed_wrongly")),
        _best_on_val(made) if refined else "",
        f"{mean_of(made, 'iou_oracle'):.3f}" if refined else "",
        ", ".join(str(record.seed) for record in made) if refined else "",
    ]


def _best_on_val(made: Sequence[Record]) -> str:
    """The IoU at the threshold that is best on val, which not every data set has."""
    values, on_val = (made[0].curves[name] for name in ("threshold", "val"))
    return f"{mean_of(made, 'iou_best_on_val'):.3f} (λ {values[int(np.argmax(on_val))]:g})" if on_val else "–"


def conclusions(found: Sequence[Record]) -> HTML:
    """A sentence for each claim whose two rows are there, and why they come out as they do."""
    return list_html(_sentences(found))


def _sentences(found: Sequence[Record]) -> list[str]:
    rows = rows_of(found)
    claims = [claim for claim in MASKS.claims if rows.keys() >= claim.rows()]
    profile = found[0].profile if found else ""
    sentences = [_claimed(verdict, profile) for verdict in judge(claims, MASKS.metrics, rows, {})]
    if any(says_nothing(record.profile) for record in found):
        return sentences
    if rows.keys() >= {COARSE, PRINTED}:
        sentences.append(_price_of_removing(rows[COARSE], rows[PRINTED]))
    if rows.keys() >= {PRINTED, PRINTED_WITHOUT}:
        sentences.append(_lost_cues(rows))
    return [text for text in sentences if text]


def _claimed(verdict: Verdict, profile: str) -> str:
    better, worse = verdict.claim.pairs[0]
    words = f"Masks of {better} beat those of {worse}"
    if not verdict.parts:
        return f"{words}: not evaluated, no seed in common."
    [part] = verdict.parts
    higher = f"higher in {part.agrees} of {many(len(part.per_seed), 'seed')}"
    return f"{words}: {verdict.text(profile)}. IoU {part.measured.text('iou', sign=True)}, {higher}."


def _price_of_removing(coarse: Sequence[Record], printed: Sequence[Record]) -> str:
    """Why Eq. 18 gains or loses. With t true and f false pixels in M_o, u in the union with the truth, removing the
    shares a of f and b of t turns IoU t / u into (1 - b) t / (u - a f): more where b < a f / u. From the row's means,
    f / u = IoU (1 - precision) / precision."""
    precision, iou = mean_of(coarse, "precision"), mean_of(coarse, "iou")
    rightly, wrongly = mean_of(printed, "removed_rightly"), mean_of(printed, "removed_wrongly")
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


def _lost_cues(rows: dict[str, list[Record]]) -> str:
    """Which categories' cues left the object without L_for, and what L_for gains among the others."""
    pairs = pairs_by_seed(rows[PRINTED], rows[PRINTED_WITHOUT])
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


def _lost(record: Record, category: np.ndarray) -> np.ndarray:
    """(M,) bool, of each object whether its category's cue is not on the object."""
    gone = np.array(record.objects["removed_wrongly"])
    return np.array([gone[category == name].mean() > LOST for name in category])


def _named(found: dict[int, np.ndarray], category: np.ndarray) -> str:
    parts = [
        f"{', '.join(np.unique(category[gone]).tolist())} (seed {seed})" for seed, gone in found.items() if gone.any()
    ]
    return ", ".join(parts)


def _kept_gap(
    rows: dict[str, list[Record]],
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
    return interval_of(mean, category).text("iou", sign=True)

"""The page of the study (``study.py page``): what was chosen and why, then a table for each data set and study."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from msrn.baselines import BASELINES
from msrn.evaluation.protocol import VERSION
from msrn.evaluation.statistics import Estimate, difference, estimate, pairs_by_seed
from msrn.experiments.table import Table
from msrn.profiles import resolve
from msrn.report.words import mean_of, two_decimals
from msrn.settings import FOREGROUND_SETTINGS
from msrn.store.results import Record, known_settings
from msrn.training.runs import NOT_IN_IDENTITY

Rows = dict[str, list[Record]]  # the records of each row, by seed
HEAD = (
    "question", "row", "CD ↓", "CD − {first}", "per axis ↓", "F ↑", "IoU ↑", "m=1 ↑", "m=2 ↑", "core min", "seeds",
)  # fmt: skip
NO_TRAINING = "How far without training?"
MOST = 3  # changes in a cell; more stand below the table
WIDTH = 120
CHOSEN_ON = "procedural13"
TITLE = "# The study behind profile laptop"
SUMMARISED = {"cd": "cd", "f": "f", "axes": "cd.search_icp_axes"}
# Its claims are those of the committed results, which a test holds.
SUMMARY = """\
**Profile `laptop` finds poses before it trains, from images alone.** With azimuths that are learned, as in the paper,
CD is {more[laptop, azimuths learned]:.2f} worse; with true ones, a yardstick, {less[laptop, poses known]:.2f} better.
As it is now it has CD {cd[laptop, Lin from a half]:.2f}, per axis {axes[laptop, Lin from a half]:.2f}, F-score
{f[laptop, Lin from a half]:.3f}.

**The choice of neighbours finds strangers, and helps among look-alikes, too.** Where half of the candidates are random,
Eqs 33-38 gain {choice:.2f}, and a choice by true shapes {truth:.2f}. Where all candidates are alike, to take every one
costs {more[laptop, every candidate]:.2f}, and two prototypes in place of five {more[laptop, two domains]:.2f}; eight
settle nothing. [Section 3.3](../notebooks/section3_3_neighbors.ipynb) shows what it keeps and refuses.

**Compensation acts, a little, where Lin begins at the mean of code and prototypes,** as the profile has it since. CD
beside that of networks without it, over three seeds: {acting[laptop, Lin from a half]}; where it begins at the code, as
in all other rows, {acting[laptop]}; with cosines and a bank of look-alikes besides, {acting[laptop, all three]}. It
gains {less[laptop, Lin from a half]:.2f}; on homeware, in a table of its own, it points the same way and settles
nothing.

**Before,** with small encoders and learned azimuths, and by the protocol of then, CD was
{cd[together, later decay]:.2f}, per axis {axes[together, later decay]:.2f}, F-score
{f[together, later decay]:.3f}, in half the steps and two seeds. The prior over azimuths mattered most then: with the
pose prior in its place, CD was {more[together, pose prior]:.2f} worse. A rate that stays high until four fifths of the
steps gained {less[together, later decay]:.2f}, four times the steps {less[together, four times the steps]:.2f}; 20
objects of a category cost {more[together, 20 objects]:.2f}. Finer images or meshes, softer edges, other sizes of codes,
smaller steps, and more candidates or neighbours settled nothing: every interval holds zero."""
NOTE = """\
The last table changes the profile as it was. All rows are scored on the val split, whose objects are neither in
training nor in Table 8. CD and F-score are those of Table 8, with 95 % intervals; *per axis* is CD where each axis
may be scaled by itself. Differences are paired by object, over the seeds of both rows. An interval of one seed says
nothing of another seed: *all three* gained most in the first, and nothing sure over three. IoU of masks and pose
consistency are over all images; m=2 forgives half turns. What stands for another system keeps the profile's learning
rate unless another is surely better by CD, as are 0.0001 for Unicorn (not per axis) and 0.001 for CMR. Core minutes
are processor time of a training run on a CPU, and compare roughly. The hull of all masks shows what masks tell; it is
no bound.

```
python scripts/study.py record --only "laptop, reach off"   # a row anew, or one that is missing
python scripts/study.py page                                # this page
```
"""

WITHOUT = "w/o FC"
SPARSE_NOTE = """\
Compensation should help most where a category has few objects and can borrow from others. CD is the mean over the
sparse categories, then over the others, beside the same training without compensation, paired by object with 95 %
intervals: an effect as large as half an interval would have shown. Edges have a part in these azimuths."""


def markdown(studies: Mapping[Table, Sequence[Record]]) -> str:
    """The page of some tables and their records. Cost grows as rows x objects."""
    sets = {table: _sets(table, records) for table, records in studies.items()}
    parts = [TITLE, "% Written by scripts/study.py page.", summary(sets)]
    sections = [
        (sparse_section if any(isinstance(row.objects, Mapping) for row in table.rows) else section)(table, name, rows)
        for table, made in sets.items()
        for name, rows in made.items()
    ]
    return "\n\n".join(filter(None, [*parts, *(sections or ["Nothing is recorded yet."]), NOTE]))


def _sets(table: Table, records: Sequence[Record]) -> dict[str, Rows]:
    """The rows of each data set, the one that settings are chosen on first. What an earlier protocol measured is left
    out where the data set has records of a later one: they do not compare."""
    latest: dict[str, int] = {}
    for record in records:
        latest[record.dataset] = max(record.protocol, latest.get(record.dataset, 0))
    comparable = [record for record in records if record.protocol == latest[record.dataset]]
    ordered = sorted(comparable, key=lambda record: (record.dataset != CHOSEN_ON, record.dataset, record.seed))
    return {name: _rows(table, list(made)) for name, made in groupby(ordered, key=lambda record: record.dataset)}


def summary(sets: Mapping[Table, Mapping[str, Rows]]) -> str:
    """What was chosen and why; nothing where a row of it is not recorded."""
    means: dict[str, dict[str, float]] = {name: {} for name in SUMMARISED}
    beside: dict[str, float] = {}
    acting: dict[str, str] = {}  # beside the row without compensation
    for table, made in sets.items():
        rows = made.get(CHOSEN_ON, {})
        first = rows.get(table.rows[0].name, [])
        without = rows.get(f"{table.rows[0].name}, without compensation", [])
        beside |= {name: gap.mean for name in rows if (gap := _beside(rows[name], first))}
        acting |= {name: gap.text("cd", sign=True) for name in rows if (gap := _beside(rows[name], without))}
        for metric, key in SUMMARISED.items():
            means[metric] |= {name: mean_of(records, key) for name, records in rows.items() if _trained(records)}
    try:
        less = {name: -value for name, value in beside.items()}
        fixed, chosen, truly = (f"laptop, half random, {how}" for how in ("fixed", "filtered", "filtered by truth"))
        choice, truth = beside[fixed] - beside[chosen], beside[fixed] - beside[truly]
        given = {"more": beside, "less": less, "choice": choice, "truth": truth, "acting": acting}
        paragraphs = [text.format(**means, **given) for text in SUMMARY.split("\n\n")]
    except KeyError:
        return ""
    return "\n\n".join(textwrap.fill(" ".join(text.split()), WIDTH, break_on_hyphens=False) for text in paragraphs)


def sparse_section(table: Table, dataset: str, rows: Rows) -> str:
    """Rows with few objects of some categories: those categories, then the others, each beside w/o FC."""
    lines, known = [], next(iter(rows.values()))[0]
    for name, made in rows.items():
        few = table.row(name).objects
        rest = sorted(set(known.objects["category"]) - few.keys())
        without = rows.get(f"{name.partition(',')[0]}, {WITHOUT}", [])
        cells = [cell for part in (sorted(few), rest) for cell in _of_part(made, without, part)]
        lines.append([table.row(name).question, name, *cells, ", ".join(str(record.seed) for record in made)])
    head = ["question", "row", "CD, sparse ↓", f"− {WITHOUT}", "CD, others ↓", f"− {WITHOUT}", "seeds"]
    changes = {"; ".join(_limit(table.row(name).objects)) for name in rows}
    below = [f"*{names}*." for names in sorted(changes)]
    return "\n\n".join([f"## {table.caption}: {dataset}", SPARSE_NOTE, _markdown(head, 2, lines), *below])


def _of_part(made: Sequence[Record], without: Sequence[Record], categories: Sequence[str]) -> tuple[str, str]:
    """CD over some categories, and its difference to the row without compensation."""
    values = two_decimals(float(np.mean([mean_of(made, f"cd.category.{name}") for name in categories])))
    made, without = ([_only(record, categories) for record in row] for row in (made, without))
    gap = _beside(made, without)
    return values, gap.text("cd", sign=True) if gap else "–"


def _only(record: Record, categories: Sequence[str]) -> Record:
    """The record of the objects of some categories."""
    columns = record.objects
    rows = [row for row, name in enumerate(columns["category"]) if name in categories]
    objects = {key: [column[row] for row in rows] for key, column in columns.items()}
    return record.model_copy(update={"objects": objects, "n_objects": len(rows)})


def section(table: Table, dataset: str, rows: Rows) -> str:
    """One data set: the rows in the study's order, then those that train nothing."""
    first, lines, long = table.rows[0].name, [], []
    for name, made in rows.items():
        changes = _changes(table, made[0], rows) if _trained(made) else []
        if len(changes) > MOST:
            long.append(f"*{name}*: {', '.join(changes)}.")
            changes = [f"{len(changes)} settings, listed below"]
        question = table.row(made[0].variant).question if _trained(made) else NO_TRAINING
        words = ": ".join(filter(None, [name.removeprefix(f"{first}, "), ", ".join(changes)]))
        lines.append([question, words, *_outcome(made, rows.get(first, []))])
    head = [title.format(first=first) for title in HEAD]
    one = next(iter(rows.values()))[0]
    former = ", by an earlier protocol, in which inner faces count too" * (one.protocol < VERSION)
    caption = f"{one.n_objects} objects of val, {one.points:,} points a surface, profile {_profile(one)}{former}."
    return "\n\n".join([f"## {table.caption}: {dataset}", caption, _markdown(head, 2, lines), *long])


def _markdown(head: Sequence[str], words: int, lines: Sequence[Sequence[str]]) -> str:
    """A table over the whole width, the first ``words`` columns of words, the others of numbers."""
    rules = ["---"] * words + ["--:"] * (len(head) - words)
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rules, *lines))
    return f":::{{div}} full-width\n{body}\n:::"


def _rows(table: Table, records: Sequence[Record]) -> Rows:
    """By name, in the study's order; what was recorded under a changed profile has the change in its name."""
    found: Rows = {}
    for record in sorted(records, key=lambda record: (_place(table, record.variant), record.seed)):
        _, _, changed = record.profile.partition(" with ")
        found.setdefault(f"{record.variant} ({changed})" if changed else record.variant, []).append(record)
    return found


def _place(table: Table, name: str) -> int:
    order = [*table.printed, *BASELINES]
    return order.index(name if name in BASELINES else table.row(name).name)


def _trained(made: Sequence[Record]) -> bool:
    return made[0].kind == "model"


def _profile(record: Record) -> str:
    return record.profile.partition(" with ")[0]


def _changes(table: Table, record: Record, rows: Rows) -> list[str]:
    """What sets a row apart from the first, such as ``image_size 64 for 32``."""
    row, mine, theirs = table.row(record.variant), known_settings(record.settings), _first_settings(table, record, rows)
    changed = [key for key in mine if key not in NOT_IN_IDENTITY | FOREGROUND_SETTINGS and mine[key] != theirs[key]]
    settings = [f"`{key}` {_plain(mine[key])} for {_plain(theirs[key])}" for key in changed]
    return settings + _limit(row.objects)


def _limit(objects: int | Mapping[str, int] | None) -> list[str]:
    """At most how many training objects, in words."""
    if objects is None:
        return []
    if isinstance(objects, Mapping):
        alike = {most: [name for name in objects if objects[name] == most] for most in objects.values()}
        return [f"at most {most} objects of {', '.join(names)}" for most, names in alike.items()]
    return [f"at most {objects} objects a category"]


def _first_settings(table: Table, record: Record, rows: Rows) -> dict[str, Any]:
    """Those of the first row as recorded, else as the profile of ``record`` makes it now."""
    first = table.rows[0]
    if first.name in rows:
        return known_settings(rows[first.name][0].settings)
    return first.settings_on(resolve(_profile(record), device="cpu").settings).model_dump(mode="json")


def _outcome(made: Sequence[Record], first: Sequence[Record]) -> list[str]:
    gap = _beside(made, first)
    return [
        estimate(made, "cd").text("cd"),
        gap.text("cd", sign=True) if gap else "–",
        two_decimals(mean_of(made, "cd.search_icp_axes")),
        f"{mean_of(made, 'f'):.3f}",
        *(two_decimals(mean_of(made, key)) for key in ("mask_iou", "pose_m1", "pose_m2")),
        _core_minutes(made),
        ", ".join(str(record.seed) for record in made) if _trained(made) else "–",
    ]


def _beside(made: Sequence[Record], first: Sequence[Record]) -> Estimate | None:
    """A row - the first, over the seeds of both; None where there are none, and for the first itself."""
    pairs = pairs_by_seed(made, first) if made != first else []
    return difference(*zip(*pairs, strict=True), "cd") if pairs else None


def _core_minutes(made: Sequence[Record]) -> str:
    """Of a training run on a CPU; on a GPU they would say nothing."""
    known = [r.train_cpu_seconds for r in made if r.train_cpu_seconds is not None and r.device.startswith("CPU")]
    return f"{sum(known) / len(known) / 60:.1f}" if known else "–"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)

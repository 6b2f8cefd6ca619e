"""The page of the study (``study.py page``): what was chosen and why, then a table for each data set."""

import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from msrn.baselines import BASELINES
from msrn.evaluation.statistics import Estimate, difference, estimate, pairs_by_seed
from msrn.experiments.recorded import NO_MATTER, known_settings
from msrn.experiments.table import Table
from msrn.profiles import resolve
from msrn.report.words import mean_of, two_decimals
from msrn.settings import FOREGROUND_SETTINGS
from msrn.store.results import Record

Rows = dict[str, list[Record]]  # the records of each row, by seed
HEAD = "question", "row", "CD ↓", "CD − {first}", "F ↑", "IoU ↑", "m=1 ↑", "m=2 ↑", "core min", "seeds"
NO_TRAINING = "How far without training?"
MOST = 3  # changes in a cell; more stand below the table
WIDTH = 120
CHOSEN_ON = "procedural13"
# Its claims are those of the committed results, which a test holds.
SUMMARY = """\
**Profile `laptop` keeps the learning rate high until four fifths of its steps.** In both seeds that was better than
the row *together*, which lowers it at three fifths, and it costs nothing: CD {cd[laptop]:.2f} for {cd[together]:.2f},
F-score {f[laptop]:.3f} for {f[together]:.3f}. The rest of *together* stays. Its prior over azimuths matters most:
with the pose prior in its place, CD is {more[together, pose prior]:.2f} worse. Finer images or meshes, softer edges,
other sizes of codes, smaller steps, and more candidates or neighbours settle nothing: every interval holds zero. Only
20 objects of a category cost {more[together, 20 objects]:.2f}. Four times the steps gain {less[together, four times
the steps]:.2f} in one seed, hence profile `night`.

**Poses are the gap.** Azimuths that look-alikes put in order before training gain {less[together, look-alikes]:.2f} in
one seed, true ones, a yardstick, {less[together, poses known]:.2f}. Profile `laptop` has neither yet."""
NOTE = """\
All rows are scored on the val split, whose objects are neither in training nor in Table 8. CD and F-score are those
of Table 8, with 95 % intervals; differences are paired by object, over the seeds of both rows. An interval of one
seed does not say that another seed would agree. IoU of masks and pose consistency are over all images; m=2 forgives
half turns. Core minutes are processor time of a training run on a CPU, and compare roughly. Meshes fitted to all
masks show what masks tell under this renderer; they are no strict bound.

```
python scripts/study.py record --only "together, 64 pixels"   # a row anew, or one that is missing
python scripts/study.py page                                  # this page
```
"""


def markdown(table: Table, records: Sequence[Record]) -> str:
    """The page. Cost grows as rows x objects."""
    ordered = sorted(records, key=lambda record: (record.dataset != CHOSEN_ON, record.dataset, record.seed))
    sets = {name: _rows(table, list(made)) for name, made in groupby(ordered, key=lambda record: record.dataset)}
    parts = [f"# {table.caption}", "% Written by scripts/study.py page.", summary(table, sets.get(CHOSEN_ON, {}))]
    parts += [section(table, name, rows) for name, rows in sets.items()] or ["Nothing is recorded yet."]
    return "\n\n".join(filter(None, [*parts, NOTE]))


def summary(table: Table, rows: Rows) -> str:
    """What was chosen and why; nothing where a row of it is not recorded."""
    first = rows.get(table.rows[0].name, [])
    beside = {name: gap.mean for name in rows if (gap := _beside(rows[name], first))}
    means = {metric: {name: mean_of(made, metric) for name, made in rows.items()} for metric in ("cd", "f")}
    try:
        less = {name: -value for name, value in beside.items()}
        text = " ".join(SUMMARY.split()).format(**means, more=beside, less=less)
    except KeyError:
        return ""
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


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
    rules = ["---", "---", *["--:"] * (len(HEAD) - 2)]
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rules, *lines))
    one = next(iter(rows.values()))[0]
    caption = f"{one.n_objects} objects of val, {one.points:,} points a surface, profile {_profile(one)}."
    return "\n\n".join([f"## {dataset}", caption, f":::{{div}} full-width\n{body}\n:::", *long])


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
    changed = [key for key in mine if key not in NO_MATTER | FOREGROUND_SETTINGS and mine[key] != theirs[key]]
    settings = [f"`{key}` {_plain(mine[key])} for {_plain(theirs[key])}" for key in changed]
    return settings + [f"at most {row.objects} objects a category"] * bool(row.objects)


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

"""The study of profile laptop (``msrn.experiments.study``) as the book shows it: a table for each set."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from msrn.experiments import paper
from msrn.experiments.recorded import NO_MATTER
from msrn.experiments.study import BASES
from msrn.experiments.table import BASELINES
from msrn.experiments.verdicts import difference, estimate, in_common
from msrn.report import html as tables
from msrn.settings import FOREGROUND_SETTINGS, Settings, current_settings
from msrn.store.results import Record

NOTE = (
    "CD and F-score as in Table 8; IoU of masks and pose consistency (m=1; m=2 forgives half turns) over all images; "
    "processor minutes of one training run"
)
Rows = dict[str, list[Record]]  # the records of each row, by seed


def html() -> str:
    """All tables of the study, or a line that says that there is none yet."""
    found = paper.recorded("study")
    if not found:
        how = "python -m msrn record study --profile laptop --dataset procedural13 --budget 25m"
        return tables.note_html(f"Nothing of the study is recorded yet; {how} begins it.")
    sets = [list(alike) for _, alike in groupby(sorted(found, key=_set), key=_set)]
    tables_of_sets = "".join(table(alike, first) for alike in sets for first in BASES)
    return f'<div class="full-width">{tables_of_sets}</div>'  # the theme's, as wide as the margin allows


def table(found: Sequence[Record], first: str) -> str:
    """On one data set under one profile, the row ``first``, those that change it, in the study's order, and those that
    train nothing."""
    ordered = sorted(found, key=lambda record: record.seed)
    names = [row.name for row in paper.variants("study") if first in (row.name, row.reference)]
    rows = {name: [record for record in ordered if record.variant == name] for name in (*names, *BASELINES)}
    rows = {name: made for name, made in rows.items() if made}
    lines = [_line(name, rows, first) for name in rows]
    header = ("", "CD ↓", f"CD − {first}", "F ↑", "IoU", "m=1", "m=2", "core min", "seeds")
    one = found[0]
    caption = f"{one.dataset}, val split ({one.n_objects} objects), profile {one.profile}"
    caption += f": {first} and its changes" if first in rows else ""
    return tables.plain_html(caption, header, lines, f"{NOTE}{_devices(rows)}.")


def lengths(found: Sequence[Record]) -> dict[tuple[str, str], dict[int, list[Record]]]:
    """(row, data set) -> steps -> records, where the row and those that are longer or shorter and nothing else have
    several lengths; of the seeds that all of these have. The rows are the study's first and what came of it."""
    several: dict[tuple[str, str], dict[int, list[Record]]] = {}
    for alike, made in groupby(sorted(found, key=_set), key=_set):
        whole = [record for record in made if record.kind == "model" and not _portion(record)]
        for name in BASES:
            first = next((_settings(record) for record in whole if record.variant == name), {})
            same = [r for r in whole if _settings(r) | {"steps": 0} == first | {"steps": 0}]
            steps = sorted({record.settings["steps"] for record in same})
            if len(steps) > 1:
                each = in_common({count: [r for r in same if r.settings["steps"] == count] for count in steps})
                several |= {(name, alike[0]): each} if each[steps[0]] else {}
    return several


def changed(name: str, rows: Rows, first: str) -> str:
    """What sets a row apart from ``first``: settings as ``image_size 64 for 32``, and a share of the data."""
    row = paper.variant("study", name)
    share = ((row.objects, "objects a category"), (row.views, "images an object"))
    parts = [f"at most {count} {what}" for count, what in share if count]
    if first not in rows:
        base = BASES[first]
        own = {key: value for key, value in row.overrides.items() if key not in base or base[key] != value}
        return ", ".join([f"{key} {_plain(value)}" for key, value in own.items()] + parts)
    mine, theirs = _settings(rows[name][0]), _settings(rows[first][0])
    keys = [key for key in mine if mine[key] != theirs.get(key)]
    return ", ".join([f"{key} {_plain(mine[key])} for {_plain(theirs.get(key))}" for key in keys] + parts)


def _portion(record: Record) -> bool:
    """Whether it was trained on a share of the data."""
    row = paper.variant("study", record.variant)
    return bool(row.objects or row.views)


def _line(name: str, rows: Rows, first: str) -> list[str]:
    made = rows[name]
    model = made[0].kind == "model"
    return [
        f"{name} [{_words(name, rows, first)}]" if model else name,
        estimate(made, "cd").text("cd"),
        _beside_first(name, rows, first),
        f"{mean(made, 'f'):.3f}",
        *(f"{mean(made, key):.2f}" if model else "" for key in ("mask_iou", "pose_m1", "pose_m2")),
        _core_minutes(made) if model else "",
        ", ".join(str(record.seed) for record in made) if model else "",
    ]


def _words(name: str, rows: Rows, first: str) -> str:
    """What a row changes, and the question that it answers."""
    change, question = changed(name, rows, first), paper.variant("study", name).question
    return f"{change}: {question[:1].lower()}{question[1:]}" if change else question


def _beside_first(name: str, rows: Rows, first: str) -> str:
    """The paired difference to the first row, over the seeds of both; rows that train nothing have one for all."""
    if name == first or first not in rows:
        return ""
    if rows[name][0].kind == "baseline":
        return difference(rows[name], rows[first], "cd").text("cd", sign=True)
    shared = in_common({key: rows[key] for key in (name, first)})
    return difference(shared[name], shared[first], "cd").text("cd", sign=True) if shared[name] else "no seed in common"


def _set(record: Record) -> tuple[Any, ...]:
    """What rows of one table share."""
    return record.dataset, record.profile, record.fingerprint, record.points


def _settings(record: Record) -> dict[str, Any]:
    """Those that change numbers of given masks; one that was added since the record was made had its default."""
    known = {**Settings().model_dump(mode="json"), **current_settings(record.settings)}
    return {name: value for name, value in known.items() if name not in NO_MATTER | FOREGROUND_SETTINGS}


def _devices(rows: Rows) -> str:
    """What trained the rows, with a comma before it: one device for all, or each with its rows; nothing where none
    was trained."""
    found: dict[str, list[str]] = {}
    for name, made in rows.items():
        for device in {record.device for record in made if record.kind == "model"}:
            found.setdefault(device, []).append(name)
    if len(found) == 1:
        return f", on {next(iter(found))}"
    return "".join(f", on {device} for {', '.join(names)}" for device, names in found.items())


def _core_minutes(made: Sequence[Record]) -> str:
    """Processor minutes of a training run on a CPU; on a GPU they would say nothing."""
    known = [r.train_cpu_seconds for r in made if r.train_cpu_seconds is not None and r.device.startswith("CPU")]
    return f"{np.mean(known) / 60:.1f}" if known else "–"


def mean(made: Sequence[Record], metric: str) -> float:
    """The mean of a metric over the seeds of a row."""
    return float(np.mean([record.metrics[metric] for record in made]))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)

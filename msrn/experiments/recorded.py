"""Recorded results put together: which of them were made alike and may be compared.

A group is one data set, one profile (with what was changed of it) and one state of its settings; its rows differ in
what the rows of its table change and in the seed, in nothing else. Results from before a profile changed are a group of
their own, so that no table mixes them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msrn.data import ImageCollection
from msrn.experiments.table import ABLATIONS, BASELINES, FITTED, FITTED_BY, WHOLE, Ablation
from msrn.experiments.verdicts import SEEDS_FOR_A_VERDICT, in_common
from msrn.profiles import Request
from msrn.settings import FOREGROUND_SETTINGS, Settings, current_settings
from msrn.store.results import Record, digest

NO_MATTER = {"checkpoint_every", "eval_points"}  # settings that change no training


@dataclass(frozen=True)
class Group:
    """Records that may be compared, and the baselines on the same objects."""

    models: tuple[Record, ...]
    baselines: tuple[Record, ...]

    @property
    def first(self) -> Record:
        """Any of them, for what all share."""
        return self.models[0]

    @property
    def table(self) -> Ablation:
        """What the records are rows of."""
        return ABLATIONS[self.first.experiment]

    @property
    def title(self) -> str:
        return f"{self.first.dataset}, {self.steps:,} steps"

    @property
    def steps(self) -> int:
        return self.first.settings["steps"]

    @property
    def seeds(self) -> list[int]:
        """Those that every row has."""
        return [record.seed for record in in_common(self.rows())[WHOLE]] if self.complete else []

    @property
    def some_seeds(self) -> list[int]:
        """Those that any row has."""
        return sorted({record.seed for record in self.models})

    @property
    def complete(self) -> bool:
        """Whether every row is recorded with some seed."""
        return all(self.rows().values())

    def follows(self, request: Request) -> bool:
        """Whether it was made with the settings that a request has now."""
        asked = request.settings.model_dump(mode="json")
        return _base(self.first.settings, self.first) == _base(asked, self.first)

    def rows(self) -> dict[str, list[Record]]:
        """The records of every row of the table, by seed; none for a row that is not recorded."""
        ordered = sorted(self.models, key=lambda record: record.seed)
        return {row.name: [record for record in ordered if record.variant == row.name] for row in self.table.rows}

    def mean(self, row: str, metric: str) -> float:
        """The mean over a row's seeds."""
        return float(np.mean([record.metrics[metric] for record in self.rows()[row]]))


def seconds_of_a_run(models: Iterable[Record]) -> dict[str, float]:
    """Mean training time by device, the fastest last."""
    found: dict[str, list[float]] = {}
    for record in models:
        found.setdefault(record.device, []).append(record.train_seconds)
    means = {device: float(np.mean(seconds)) for device, seconds in found.items()}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def groups(recorded: Sequence[Record], dataset: str | None = None) -> list[Group]:
    """The recorded results of a table (on one data set, or all), shortest training first."""
    mine = [record for record in recorded if dataset in (None, record.dataset)]
    found: dict[tuple, list[Record]] = {}
    for record in mine:
        if record.kind == "model":
            found.setdefault(_alike(record), []).append(record)
    made = [Group(tuple(models), _baselines(models[0], mine)) for models in found.values()]
    return sorted(made, key=lambda group: (group.first.dataset, group.steps, group.first.created))


def families(found: Sequence[Group]) -> list[list[Group]]:
    """Groups that differ in the number of training steps alone (and in the profile that names them), a list each."""
    alike: dict[tuple, list[Group]] = {}
    for group in found:
        one = group.first
        settings = digest(_base(one.settings, one) | {"steps": 0})
        alike.setdefault((one.dataset, one.fingerprint, one.points, settings), []).append(group)
    return list(alike.values())


def shown(recorded: Sequence[Record], request: Request) -> Group | None:
    """The group that stands beside a request: one of its settings, else of its profile, else of its data set."""
    mine = groups(recorded, request.dataset)
    same = [group for group in mine if group.follows(request)]
    return best(same or [group for group in mine if group.first.profile == request.label] or mine)


def best(found: Sequence[Group]) -> Group | None:
    """The group that says most: one with seeds enough for a verdict, then a complete one, then the longest trained."""

    def worth(group: Group) -> tuple:
        return len(group.seeds) >= SEEDS_FOR_A_VERDICT, group.complete, group.steps, group.first.created

    return max(found, key=worth, default=None)


def _alike(record: Record) -> tuple[Any, ...]:
    """What records of one group have in common."""
    return (
        record.dataset,
        record.fingerprint,
        record.profile,
        record.points,
        digest(_base(record.settings, record)),
    )


def _base(settings: dict[str, Any], of: Record) -> dict[str, Any]:
    """Settings that all rows of a record's table share and that change numbers, which those of the foreground module do
    not where masks are given; a setting that was added since then had its default."""
    known = {**Settings().model_dump(mode="json"), **current_settings(settings)}
    without = {name for row in ABLATIONS[of.experiment].rows for name in row.overrides} | NO_MATTER
    if of.masks == ImageCollection.masks_from:
        without |= FOREGROUND_SETTINGS
    return {name: value for name, value in known.items() if name not in without}


def _baselines(model: Record, recorded: Sequence[Record]) -> tuple[Record, ...]:
    """The baselines on the objects of ``model``, at as many points; those of its own profile before others. Meshes
    fitted to masks are only those of its renderer and mesh."""
    alike = [
        record
        for record in recorded
        if record.kind == "baseline"
        and (record.dataset, record.fingerprint, record.points) == (model.dataset, model.fingerprint, model.points)
        and (
            record.variant != FITTED or all(record.settings.get(name) == model.settings.get(name) for name in FITTED_BY)
        )
    ]
    alike.sort(key=lambda record: record.profile == model.profile)  # the last of a name stays
    found = {record.variant: record for record in alike}
    return tuple(found[name] for name in BASELINES if name in found)

"""Recorded results put together: which of them were made alike and may be compared.

A group is one data set and one state of the settings that a table's rows share; results from before a profile changed
are another. A record belongs to a row by what it was trained with, whichever table it was kept under.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msrn.baselines import BASELINES
from msrn.data.collection import ImageCollection
from msrn.experiments.paper import TABLES
from msrn.experiments.table import Row, Table
from msrn.experiments.verdicts import SEEDS_FOR_A_VERDICT, Verdict, judge
from msrn.profiles import Request, profiles, resolve
from msrn.settings import FOREGROUND_SETTINGS, Settings
from msrn.store.digest import digest_of
from msrn.store.results import Record, current_settings, recorded

NO_MATTER = {"checkpoint_every", "eval_points", "log_every"}  # settings that change no training


@dataclass(frozen=True)
class Group:
    """Records that may be compared."""

    table: Table
    trained: dict[str, list[Record]]  # of each trained row, by seed
    rows: dict[str, list[Record]]  # of every row, none where it is not recorded; quoted ones from files
    yardsticks: dict[str, list[Record]]  # trained ones, then baselines in the order of ``BASELINES``

    @property
    def models(self) -> list[Record]:
        return [record for row in self.trained.values() for record in row]

    @property
    def first(self) -> Record:
        """For what all share."""
        return self.models[0]

    @property
    def steps(self) -> int:
        return self.first.settings["steps"]

    @property
    def title(self) -> str:
        return f"{self.first.dataset}, {self.steps:,} steps"

    @property
    def seeds(self) -> int:
        """How many seeds some row has."""
        return len({record.seed for record in self.models})

    @property
    def complete(self) -> bool:
        """Whether every trained row is recorded with some seed."""
        return all(self.trained.values())

    @property
    def verdicts(self) -> list[Verdict]:
        return judge(self.table.claims, self.table.measured, self.rows, self.table.printed)

    def follows(self, request: Request) -> bool:
        """Whether it was made with the settings that a request has now."""
        mine, now = self.first.settings, request.settings.model_dump(mode="json")
        return _shared(now, self.first.masks, self.table) == _shared(mine, self.first.masks, self.table)


def pool() -> list[Record]:
    """All recorded results of the tables."""
    return [record for name in TABLES for record in recorded(name)]


def groups(
    table: Table, records: Sequence[Record], dataset: str | None = None, request: Request | None = None
) -> list[Group]:
    """The recorded results of a table (on one data set, or all), shortest training first: groups with a record that was
    kept under this table, or of the very settings of ``request``."""
    alike: dict[str, list[Record]] = {}
    for record in records:
        same_scope = TABLES.get(record.experiment, table).scope == table.scope
        if record.kind == "model" and dataset in (None, record.dataset) and same_scope:
            key = *record.measured_on, record.profile
            alike.setdefault(digest_of(*key, _shared(record.settings, record.masks, table)), []).append(record)
    every = [group for models in alike.values() if (group := _group(table, models, records))]
    own = [
        group for group in every
        if table.name in {record.experiment for record in group.models} or (request and group.follows(request))
    ]  # fmt: skip
    return sorted(own, key=lambda group: (group.first.dataset, group.steps, group.first.created))


def beside(table: Table, records: Sequence[Record], request: Request) -> Group | None:
    """The group that stands beside a request: one of its settings, else of its profile, else of its data set."""
    mine = groups(table, records, request.dataset, request)
    same = [group for group in mine if group.follows(request)]
    return best(same or [group for group in mine if group.first.profile == request.label] or mine)


def best(candidates: Sequence[Group]) -> Group | None:
    """The group that says most: one with seeds enough for a verdict, then a complete one, then the longest trained."""
    by = lambda g: (min(map(len, g.trained.values())) >= SEEDS_FOR_A_VERDICT, g.complete, g.steps, g.first.created)  # noqa: E731
    return max(candidates, key=by, default=None)


def _group(table: Table, models: Sequence[Record], records: Sequence[Record]) -> Group | None:
    """With baselines and predictions from files that were measured alike; of a name that of the own profile before
    others."""
    name, dataset = models[0].profile, models[0].dataset
    neutral = resolve(name, dataset, device="cpu").settings if name in profiles() else Settings()
    trained = {row.name: _of_row(row, table, models, neutral) for row in table.trained}
    if not any(trained.values()):
        return None
    one = next(record for row in trained.values() for record in row)
    near = [record for record in records if record.measured_on == one.measured_on]
    near.sort(key=lambda record: record.profile == one.profile)  # the last of a name stays
    files = {record.variant: [record] for record in near if (record.kind, record.experiment) == ("files", table.name)}
    rows = {row.name: trained.get(row.name) or files.get(row.name, []) for row in table.rows}
    yardsticks = {row.name: _of_row(row, table, models, neutral) for row in table.yardsticks}
    yardsticks |= {n: [r for r in near if (r.kind, r.variant) == ("baseline", n)][-1:] for n in BASELINES}
    return Group(table, trained, rows, {row: known for row, known in yardsticks.items() if known})


def _of_row(row: Row, table: Table, models: Sequence[Record], neutral: Settings) -> list[Record]:
    """The records that were trained as a row asks, by seed: those kept under this table by their name, others by their
    settings, which where the row changes nothing are the profile's own."""
    wanted = {name: row.settings.get(name, getattr(neutral, name)) for name in table.changed}

    def fits(record: Record) -> bool:
        if record.experiment == table.name:
            return record.variant == row.name
        return known_settings(record.settings).items() >= wanted.items()

    by_seed = {record.seed: record for record in models if fits(record)}
    return [by_seed[seed] for seed in sorted(by_seed)]


def known_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as they would be written today; one that was added since then had its default."""
    return {**Settings().model_dump(mode="json"), **current_settings(settings)}


def _shared(settings: dict[str, Any], masks: str, table: Table) -> dict[str, Any]:
    """Settings that all rows of a table share and that change numbers, which those of the foreground module do not
    where masks are given."""
    given = masks == ImageCollection.masks_from
    without = table.changed | NO_MATTER | (FOREGROUND_SETTINGS if given else set())
    return {name: value for name, value in known_settings(settings).items() if name not in without}

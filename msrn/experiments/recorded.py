"""Recorded results put together: which of them were made alike and may be compared.

A group is one data set and one state of the settings that a table's rows share; results from before a profile changed
are another. A record belongs to a row by what it was trained with, whichever table it was kept under.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from msrn.baselines import BASELINES
from msrn.data.collection import ImageCollection
from msrn.experiments.claims import Sentence
from msrn.experiments.paper import MASKS, TABLES
from msrn.experiments.table import Row, Table
from msrn.experiments.verdicts import SEEDS_FOR_A_VERDICT, Claim, Verdict, judge
from msrn.profiles import Request, profiles, resolve
from msrn.settings import FOREGROUND_SETTINGS, Settings
from msrn.store.digest import digest_of
from msrn.store.results import Record, known_settings, recorded
from msrn.training.runs import NOT_IN_IDENTITY

CHANGED = {(t.name, row.name): row.settings for t in TABLES.values() for row in (*t.trained, *t.yardsticks)}


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
        return self.first.settings.get("steps", 0)  # masks have none

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

    def changes(self, request: Request) -> dict[str, tuple[Any, Any]]:
        """Settings that a request has otherwise than it was made with: then and now."""
        both = self.first.settings, request.settings.model_dump(mode="json")
        then, now = (_shared(values, self.first.masks, self.table.changed) for values in both)
        return {name: (then.get(name), now.get(name)) for name in then | now if then.get(name) != now.get(name)}

    def follows(self, request: Request) -> bool:
        """Whether it was made with the settings that a request has now."""
        return not self.changes(request)


def pool() -> list[Record]:
    """All recorded results of the tables, and of masks."""
    return [record for name in (*TABLES, MASKS.name) for record in recorded(name)]


def groups(
    table: Table, records: Sequence[Record], dataset: str | None = None, request: Request | None = None
) -> list[Group]:
    """The recorded results of a table (on one data set, or all), shortest training first: groups with a record that was
    kept under this table, or of the very settings of ``request``; without any, those of other tables that fit a row."""
    alike: dict[str, list[Record]] = {}
    for record in records:
        same_scope = TABLES.get(record.experiment, table).scope == table.scope
        if record.kind == "model" and dataset in (None, record.dataset) and same_scope:
            key = *record.measured_on, record.profile
            alike.setdefault(digest_of(*key, _shared(record.settings, record.masks, table.changed)), []).append(record)
    every = [group for models in alike.values() if (group := _group(table, models, records))]
    own = [g for g in every if table.name in {r.experiment for r in g.models} or (request and g.follows(request))]
    return sorted(own or every, key=lambda group: (group.first.dataset, group.steps, group.first.created))


def beside(table: Table, records: Sequence[Record], request: Request) -> Group | None:
    """The group that stands beside a request: one of its settings, else of its profile, else of its data set."""
    mine = groups(table, records, request.dataset, request)
    same = [group for group in mine if group.follows(request)]
    return best(same or [group for group in mine if group.first.profile == request.label] or mine)


def best(candidates: Sequence[Group]) -> Group | None:
    """The group that says most: one with seeds enough for a verdict in every row, then a complete one, then one with as
    many seeds of the whole method, then the longest trained."""

    def rank(group: Group) -> tuple:
        seeds = {name: len(made) >= SEEDS_FOR_A_VERDICT for name, made in group.trained.items()}
        return all(seeds.values()), group.complete, seeds[group.table.ours], group.steps, group.first.created

    return max(candidates, key=rank, default=None)


class Finding(NamedTuple):
    """A claim of a sentence held against the records of a data set and profile."""

    sentence: Sentence
    claim: Claim
    group: Group
    verdict: Verdict
    axes: Verdict | None  # the same where each axis may be scaled by itself


def findings(sentence: Sentence, records: Sequence[Record]) -> list[Finding]:
    """A sentence's claims on every data set and at every profile that is recorded, in the metric of its table: CD where
    that has one, and 3D IoU; else F, or of masks IoU."""
    every, table = groups_of(sentence, records), table_of(sentence)
    metrics = [metric for metric in table.metrics if metric != "f"] or table.metrics
    found = []
    for group, claim, metric in itertools.product(every, sentence.claims, metrics):
        both = [name for name in (metric, f"{metric}_axes") if name in table.measured]
        verdict, *axes = judge([claim], both, group.rows, table.printed)
        found.append(Finding(sentence, claim, group, verdict, *(axes or [None])))
    return found


def table_of(sentence: Sentence) -> Table:
    return MASKS if sentence.table == MASKS.name else TABLES[sentence.table]


def groups_of(sentence: Sentence, records: Sequence[Record]) -> list[Group]:
    """The best group of each data set and profile that bears on a sentence."""
    if not sentence.table:
        return []
    table, alike = table_of(sentence), {}
    for group in mask_groups(records) if table is MASKS else groups(table, records):
        alike.setdefault((group.first.dataset, group.first.profile), []).append(group)
    return [best(some) for some in alike.values()]


def mask_groups(records: Sequence[Record]) -> list[Group]:
    """Recorded masks, those of a data set, a profile and the same photographs together."""
    alike: dict[tuple, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.seed):
        if record.kind == "masks":
            alike.setdefault((record.dataset, record.profile, record.fingerprint), []).append(record)
    rows = [{row.name: [r for r in some if r.variant == row.name] for row in MASKS.rows} for some in alike.values()]
    return [Group(MASKS, {name: made for name, made in row.items() if made}, row, {}) for row in rows]


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
    yardsticks = {row.name: _of_yardstick(row, table, one, near, neutral) for row in table.yardsticks}
    yardsticks |= {n: [r for r in near if (r.kind, r.variant) == ("baseline", n)][-1:] for n in BASELINES}
    return Group(table, trained, rows, {row: known for row, known in yardsticks.items() if known})


def _of_row(row: Row, table: Table, models: Sequence[Record], neutral: Settings) -> list[Record]:
    """The records that were trained as a row asks, by seed: those kept under this table by their name, others by their
    settings, which where the row changes nothing are the profile's own, whatever the row changed that they were."""
    wanted = {name: getattr(neutral, name) for name in table.changed} | row.settings

    def fits(record: Record) -> bool:
        if record.experiment == table.name:
            return record.variant == row.name
        was = {name: getattr(neutral, name) for name in CHANGED.get((record.experiment, record.variant), ())}
        return known_settings(record.settings).items() >= (was | wanted).items()

    by_seed = {r.seed: r for r in sorted(models, key=lambda r: r.experiment == table.name) if fits(r)}  # own ones stay
    return [by_seed[seed] for seed in sorted(by_seed)]


def _of_yardstick(row: Row, table: Table, one: Record, near: Sequence[Record], neutral: Settings) -> list[Record]:
    """The records of a trained yardstick: made as those of a group, such as ``one``, but for what it changes."""
    without = table.changed | row.settings.keys()
    wanted = one.profile, _shared(one.settings, one.masks, without)
    models = [r for r in near if r.kind == "model" and TABLES.get(r.experiment, table).scope == table.scope]
    alike = [r for r in models if (r.profile, _shared(r.settings, r.masks, without)) == wanted]
    return _of_row(row, table, alike, neutral)


def _shared(settings: dict[str, Any], masks: str, changed: frozenset[str]) -> dict[str, Any]:
    """Settings but those that are ``changed`` and those that change no number, as those of the foreground module where
    masks are given."""
    given = masks == ImageCollection.masks_from
    without = changed | NOT_IN_IDENTITY | (FOREGROUND_SETTINGS if given else set())
    return {name: value for name, value in known_settings(settings).items() if name not in without}

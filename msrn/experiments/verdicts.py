"""What a table claims, and whether runs carry it: differences between rows, their intervals, verdicts.

Rule: a claim is **reproduced** when the difference has the paper's sign in every one of at least three seeds and the
95 % interval of the paired differences between objects excludes zero; else it is **not reproduced**. For the interval
an object's value is its mean over the seeds, and objects are resampled within their categories. With fewer seeds, or at
profile smoke, a claim is **not evaluated**. An order of rows is reproduced when each step of it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from msrn.errors import MsrnError
from msrn.evaluation.metrics import bootstrap_interval
from msrn.store.results import Record

DECIMALS = {"cd": 2, "f": 3}
SEEDS_FOR_A_VERDICT = 3
SILENT_PROFILES = ("smoke",)  # these prove the wiring and say nothing about the method
RULE = (
    "Reproduced: the difference has the paper's sign in every one of at least three seeds, and the 95 % interval of "
    "its paired differences between objects (each averaged over the seeds; objects resampled within categories) "
    "excludes zero. An order is reproduced when each step of it is. Else: not reproduced."
)
REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
TOO_FEW_SEEDS = "not evaluated: needs three seeds"
SILENT = "not evaluated at this profile"
BOOTSTRAP_SEED = 0


def unsigned(value: float, metric: str) -> str:
    """The value in the metric's decimals."""
    return f"{value:.{DECIMALS[metric]}f}".replace("-", "−")


def signed(value: float, metric: str) -> str:
    """The same with its sign, for differences."""
    return f"{value:+.{DECIMALS[metric]}f}".replace("-", "−")


@dataclass(frozen=True)
class Estimate:
    """A macro mean over objects with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def text(self, metric: str, sign: bool = False) -> str:
        """Such as ``9.12 [8.10, 10.21]``, or ``−0.40 [−0.90, +0.10]`` with ``sign``."""
        write = signed if sign else unsigned
        return f"{write(self.mean, metric)} [{write(self.low, metric)}, {write(self.high, metric)}]"


def says_nothing(profile: str) -> bool:
    """Whether results of a profile, with whatever was changed of it (``smoke with steps 60``), are silent."""
    return profile.split(" with ")[0] in SILENT_PROFILES


@dataclass(frozen=True)
class Claim:
    """That ``better`` beats ``worse`` in a metric, with what the paper prints and what the seeds say."""

    metric: str
    better: str
    worse: str
    published: float  # better - worse
    measured: Estimate  # better - worse, seeds averaged
    per_seed: tuple[float, ...]

    @property
    def agrees(self) -> int:
        """Seeds whose difference has the paper's sign."""
        return sum(np.sign(value) == np.sign(self.published) for value in self.per_seed)

    def verdict(self, profile: str) -> str:
        if says_nothing(profile):
            return SILENT
        if len(self.per_seed) < SEEDS_FOR_A_VERDICT:
            return TOO_FEW_SEEDS
        right = self.agrees == len(self.per_seed) and np.sign(self.measured.mean) == np.sign(self.published)
        return REPRODUCED if right and self.measured.excludes_zero else NOT_REPRODUCED

    def standing(self) -> str:
        """Where the difference is now, whatever the verdict: ``M-SRN − w/o NC: −0.40 [−0.90, +0.10]``."""
        signs = f", the paper's sign in {self.agrees} of {len(self.per_seed)} seeds" if len(self.per_seed) > 1 else ""
        return f"{self.better} − {self.worse}: {self.measured.text(self.metric, sign=True)}{signs}"


def order_verdict(steps: Sequence[Claim], profile: str) -> str:
    """The verdict on an order of rows, from the claims that each beats the next."""
    verdicts = [step.verdict(profile) for step in steps]
    unknown = [verdict for verdict in verdicts if verdict not in (REPRODUCED, NOT_REPRODUCED)]
    if unknown:
        return unknown[0]
    return REPRODUCED if set(verdicts) == {REPRODUCED} else NOT_REPRODUCED


def in_common(records: Mapping[str, Sequence[Record]]) -> dict[str, list[Record]]:
    """The records of each row, ordered by seed, for the seeds that all rows have."""
    seeds = set.intersection(*({record.seed for record in found} for found in records.values()))
    return {
        name: sorted((record for record in found if record.seed in seeds), key=lambda record: record.seed)
        for name, found in records.items()
    }


def claim(
    metric: str, better: str, worse: str, published: Mapping[str, float], records: Mapping[str, Sequence[Record]]
) -> Claim:
    """The claim that ``better`` beats ``worse``, from the records (one per seed) of both rows."""
    pairs = list(zip(records[better], records[worse], strict=True))
    if any(first.seed != second.seed for first, second in pairs):
        raise MsrnError(f"{better} and {worse} were computed with different seeds: compare them seed by seed")
    return Claim(
        metric,
        better,
        worse,
        published[better] - published[worse],
        difference(records[better], records[worse], metric),
        tuple(difference([first], [second], metric).mean for first, second in pairs),
    )


def estimate(records: Sequence[Record], metric: str) -> Estimate:
    """Macro mean of a row, its seeds averaged object by object."""
    _, strata, values = _per_object(records, metric)
    return _macro(values, strata)


def difference(first: Sequence[Record], second: Sequence[Record], metric: str) -> Estimate:
    """Macro mean of first - second, paired by object, seeds averaged in each."""
    (ids, strata, values), (other_ids, _, other_values) = _per_object(first, metric), _per_object(second, metric)
    if ids != other_ids:
        raise MsrnError(
            f"{first[0].variant} and {second[0].variant} were evaluated on different objects: evaluate both anew"
        )
    return _macro(values - other_values, strata)


def _per_object(records: Sequence[Record], metric: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, categories (M,) and values (M,), averaged over the records."""
    tables = [dict(zip(record.objects["object_id"], record.objects[metric], strict=True)) for record in records]
    ids = sorted(tables[0])
    if any(sorted(table) != ids for table in tables):
        raise MsrnError(f"{records[0].variant}: its seeds were evaluated on different objects: evaluate them anew")
    category = dict(zip(records[0].objects["object_id"], records[0].objects["category"], strict=True))
    values = np.mean([[table[name] for name in ids] for table in tables], axis=0)
    return ids, np.array([category[name] for name in ids]), values


def _macro(values: np.ndarray, strata: np.ndarray) -> Estimate:
    mean = float(np.mean([values[strata == term].mean() for term in np.unique(strata)]))
    return Estimate(mean, *bootstrap_interval(values, BOOTSTRAP_SEED, strata=strata))

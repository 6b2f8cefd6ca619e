"""What a table claims, in a small vocabulary, and whether records carry it.

Rule: ``Beats`` is **reproduced** when the difference has the paper's sign in every one of at least three seeds and the
95 % interval of the paired differences between objects excludes zero; ``Close`` when that interval lies within
``ALIKE`` of the other row's mean. ``Between``, ``Peak`` and ``Stable`` are made of these and reproduced when each part
is. Else: **not reproduced**. With fewer seeds, at profile smoke, or where a row was not measured, **not evaluated**.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from msrn.evaluation.statistics import METRICS, Estimate, difference, estimate, pairs_by_seed
from msrn.store.results import Record

SEEDS_FOR_A_VERDICT = 3
SILENT_PROFILES = ("smoke",)  # these prove the wiring and say nothing about the method
ALIKE = 0.1  # of a row's mean: how far apart two rows may be that are said to be alike
RULE = (
    "Reproduced: the difference has the paper's sign in every one of at least three seeds, and the 95 % interval of "
    "its paired differences between objects (each averaged over the seeds; objects resampled within categories) "
    f"excludes zero. Rows said to be alike: the interval lies within {ALIKE:.0%} of the mean. A claim of several parts "
    "is reproduced when each of them is. Else: not reproduced."
)
REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
TOO_FEW_SEEDS = "not evaluated: needs three seeds"
SILENT = "not evaluated at this profile"

Rows = Mapping[str, Sequence[Record]]  # the records of each row, one a seed


@dataclass(frozen=True)
class Claim:
    """That in each pair the first row is better than the second, or, with ``close``, that the two are alike."""

    words: str
    pairs: tuple[tuple[str, str], ...]
    close: bool = False

    def rows(self) -> set[str]:
        return {name for pair in self.pairs for name in pair}


def Beats(better: str, worse: str) -> Claim:
    """``better`` beats ``worse``."""
    return Claim(f"{better} beats {worse}", ((better, worse),))


def Between(row: str, better: str, worse: str) -> Claim:
    """``row`` lies between ``better`` and ``worse``."""
    return Claim(f"{row} is between {better} and {worse}", ((better, row), (row, worse)))


def Peak(row: str, *others: str) -> Claim:
    """``row`` beats all of the others."""
    return Claim(f"{row} is best", tuple((row, other) for other in others))


def Close(row: str, other: str) -> Claim:
    """``row`` and ``other`` are alike."""
    return Claim(f"{row} is close to {other}", ((row, other),), close=True)


def Stable(*rows: str) -> Claim:
    """All of the rows are alike."""
    first, *others = rows
    return Claim(f"{', '.join(rows)} are alike", tuple((row, first) for row in others), close=True)


@dataclass(frozen=True)
class Comparison:
    """One part of a claim in one metric: first - second."""

    metric: str
    first: str
    second: str
    close: bool
    published: float | None  # where both values are printed
    measured: Estimate  # seeds averaged
    per_seed: tuple[float, ...]
    scale: float  # the mean of the second row

    @property
    def sign(self) -> int:
        """The paper's: -1 where the first row is to be the lower one."""
        return -1 if METRICS[self.metric].lower_is_better else 1

    @property
    def agrees(self) -> int:
        """Seeds whose difference has the paper's sign."""
        return sum(np.sign(value) == self.sign for value in self.per_seed)

    def verdict(self, profile: str) -> str:
        if says_nothing(profile):
            return SILENT
        if len(self.per_seed) < SEEDS_FOR_A_VERDICT:
            return TOO_FEW_SEEDS
        if self.close:
            alike = max(-self.measured.low, self.measured.high) <= ALIKE * abs(self.scale)
            return REPRODUCED if alike else NOT_REPRODUCED
        right = self.agrees == len(self.per_seed) and np.sign(self.measured.mean) == self.sign
        return REPRODUCED if right and self.measured.excludes_zero else NOT_REPRODUCED

    def standing(self) -> str:
        """Where the difference is now, whatever the verdict: ``M-SRN − w/o NC: −0.40 [−0.90, +0.10]``."""
        signs = f", the paper's sign in {self.agrees} of {len(self.per_seed)} seeds"
        told = signs if len(self.per_seed) > 1 and not self.close else ""
        return f"{self.first} − {self.second}: {self.measured.text(self.metric, sign=True)}{told}"


@dataclass(frozen=True)
class Verdict:
    """A claim in one metric, held against records."""

    claim: Claim
    metric: str
    parts: tuple[Comparison, ...]  # none where a row was not measured, or rows share no seed
    missing: tuple[str, ...] = ()  # rows that were not measured, or not on all objects, with these words

    def text(self, profile: str) -> str:
        """Reproduced, not reproduced, or not evaluated and why."""
        if not self.parts:
            return f"not evaluated: {', '.join(self.missing)}" if self.missing else TOO_FEW_SEEDS
        verdicts = [part.verdict(profile) for part in self.parts]
        unknown = [verdict for verdict in verdicts if verdict not in (REPRODUCED, NOT_REPRODUCED)]
        if unknown:
            return unknown[0]
        return REPRODUCED if set(verdicts) == {REPRODUCED} else NOT_REPRODUCED

    def standing(self) -> str:
        return "; ".join(part.standing() for part in self.parts)

    @property
    def short(self) -> str:
        """The metric's short name."""
        return METRICS[self.metric].short


def says_nothing(profile: str) -> bool:
    """Whether results of a profile, with whatever was changed of it (``smoke with steps 60``), are silent."""
    return profile.split(" with ")[0] in SILENT_PROFILES


def judge(
    claims: Sequence[Claim], metrics: Sequence[str], rows: Rows, printed: Mapping[str, Mapping[str, float]]
) -> list[Verdict]:
    """Every claim in every metric; ``printed`` holds a row's values by metric."""
    return [_verdict(claim, metric, rows, printed) for claim in claims for metric in metrics]


def _verdict(claim: Claim, metric: str, rows: Rows, printed: Mapping[str, Mapping[str, float]]) -> Verdict:
    lacks = {name: _lack(rows.get(name, ()), metric) for name in sorted(claim.rows())}
    missing = tuple(f"{name} {lack}" for name, lack in lacks.items() if lack)
    parts = () if missing else tuple(_comparisons(claim, metric, rows, printed))
    return Verdict(claim, metric, parts if len(parts) == len(claim.pairs) else (), missing)


def _lack(records: Sequence[Record], metric: str) -> str:
    """Why no verdict can be given on a row, in words; empty where one can."""
    if not records or any(metric not in record.objects for record in records):
        return "not measured"
    return "measured in part" if any(record.missing for record in records) else ""


def _comparisons(
    claim: Claim, metric: str, rows: Rows, printed: Mapping[str, Mapping[str, float]]
) -> Iterator[Comparison]:
    for first, second in claim.pairs:
        pairs = pairs_by_seed(rows[first], rows[second])
        if not pairs:
            continue
        left, right = ([pair[side] for pair in pairs] for side in (0, 1))
        values = [printed.get(name, {}).get(metric) for name in (first, second)]
        yield Comparison(
            metric,
            first,
            second,
            claim.close,
            None if None in values else values[0] - values[1],
            difference(left, right, metric),
            tuple(difference([one], [other], metric).mean for one, other in pairs),
            estimate(right, metric).mean,
        )


def subject(claim: Claim, ours: str) -> str:
    """The row beside which a verdict stands: the other one of a pair, else the whole method's."""
    others = sorted(claim.rows() - {ours})
    return others[0] if len(others) == 1 else ours

"""What a table claims, in a small vocabulary, and whether records carry it.

``RULE`` says when ``Beats`` and ``Close`` are reproduced; ``Between``, ``Peak`` and ``Stable`` are made of these. With
fewer seeds, at profile smoke, or where a row was not measured, a claim is not evaluated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msrn.evaluation.statistics import ALIKE, METRICS, Comparison, compare, pairs_by_seed
from msrn.store.results import Record

SEEDS_FOR_A_VERDICT = 3
RULE = (
    "Reproduced: the difference has the paper's sign in every one of at least three seeds, and the 95 % interval of "
    "its paired differences between objects (each averaged over the seeds; objects resampled within categories) "
    f"excludes zero. Rows said to be alike: the interval lies within {ALIKE:.0%} of the mean. A claim of several parts "
    "is reproduced when each of them is. Else: not reproduced."
)

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
    return Claim(f"{better} beats {worse}", ((better, worse),))


def Between(row: str, better: str, worse: str) -> Claim:
    return Claim(f"{row} is between {better} and {worse}", ((better, row), (row, worse)))


def Peak(row: str, *others: str) -> Claim:
    return Claim(f"{row} is best", tuple((row, other) for other in others))


def Close(row: str, other: str) -> Claim:
    return Claim(f"{row} is close to {other}", ((row, other),), close=True)


def Stable(*rows: str) -> Claim:
    first, *others = rows
    return Claim(f"{', '.join(rows)} are alike", tuple((row, first) for row in others), close=True)


@dataclass(frozen=True)
class Verdict:
    """A claim in one metric, held against records."""

    claim: Claim
    metric: str
    parts: tuple[Comparison, ...]  # none where a row was not measured, or rows share no seed
    missing: tuple[str, ...] = ()  # rows that were not measured, or not on all objects, with these words

    def text(self, profile: str) -> str:
        """Reproduced, not reproduced, or not evaluated and why."""
        if self.missing:
            return f"not evaluated: {', '.join(self.missing)}"
        if says_nothing(profile):
            return "not evaluated at this profile"
        if not self.parts or any(len(part.per_seed) < SEEDS_FOR_A_VERDICT for part in self.parts):
            return "not evaluated: needs three seeds"
        return "reproduced" if all(part.holds for part in self.parts) else "not reproduced"

    def standing(self) -> str:
        """Where the differences stand, whatever the verdict."""
        return "; ".join(part.standing() for part in self.parts)


def says_nothing(profile: str) -> bool:
    """Whether a profile, with whatever was changed of it, only proves the wiring."""
    return profile.split(" with ")[0] == "smoke"


def judge(
    claims: Sequence[Claim], metrics: Sequence[str], rows: Rows, printed: Mapping[str, Mapping[str, float]]
) -> list[Verdict]:
    """Every claim in every metric; ``printed`` holds a row's values by metric."""
    return [_verdict(claim, metric, rows, printed) for claim in claims for metric in metrics]


def _verdict(claim: Claim, metric: str, rows: Rows, printed: Mapping[str, Mapping[str, float]]) -> Verdict:
    missing = []
    for name in sorted(claim.rows()):
        records = rows.get(name, ())
        if not records or any(metric not in record.objects for record in records):
            missing.append(f"{name} not measured{f' in {METRICS[metric].short}' if records else ''}")
        elif any(record.missing for record in records):
            missing.append(f"{name} measured in part")
    sides = {} if missing else {pair: pairs_by_seed(*(rows[name] for name in pair)) for pair in claim.pairs}
    shared = all(sides.values())
    parts = [compare(metric, *names, pairs, claim.close, printed) for names, pairs in sides.items() if shared]
    return Verdict(claim, metric, tuple(parts), tuple(missing))


def subject(claim: Claim, ours: str) -> str:
    """The row beside which a verdict stands: the other one of a pair, else the whole method's."""
    others = sorted(claim.rows() - {ours})
    return others[0] if len(others) == 1 else ours

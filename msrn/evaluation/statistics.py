"""Means over objects, their differences and 95 % intervals: the one place where rows are compared.

A row's value is the macro mean (the mean of the categories' means) over its objects, each averaged over the seeds.
Intervals are percentile bootstrap intervals: objects are resampled within their categories, and a difference is taken
object by object first, so that what makes an object hard for both rows drops out. Cost grows as objects x draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from msrn.errors import MsrnError
from msrn.store.results import Record

SEED = 0  # of the resampling
ALIKE = 0.1  # of a row's mean: how far apart two rows may be that are said to be alike
LEVEL, DRAWS = 0.95, 10_000  # of the bootstrap


class Metric(NamedTuple):
    """What a column holds."""

    title: str
    short: str
    decimals: int
    lower_is_better: bool


METRICS = {
    "cd": Metric("Chamfer distance ↓", "CD", 2, True),
    "cd_axes": Metric("CD per axis ↓", "CD per axis", 2, True),
    "f": Metric("F-score@0.01 ↑", "F", 3, False),
    "f_axes": Metric("F per axis ↑", "F per axis", 3, False),
    "iou3d": Metric("3D IoU ↑ [%]", "3D IoU", 1, False),
    "iou": Metric("mask IoU ↑", "IoU", 3, False),
    "mask_iou": Metric("IoU of the mesh's mask ↑", "IoU", 3, False),
}


def unsigned(value: float, metric: str) -> str:
    """The value in the metric's decimals; what rounds to zero has no sign."""
    return f"{value:z.{METRICS[metric].decimals}f}".replace("-", "−")


def signed(value: float, metric: str) -> str:
    """The same with its sign, for differences."""
    return f"{value:+.{METRICS[metric].decimals}f}".replace("-", "−")


@dataclass(frozen=True)
class Estimate:
    """A macro mean over objects with its 95 % interval."""

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


def estimate(records: Sequence[Record], metric: str, category: str = "") -> Estimate:
    """Of a row, from its records (one a seed); over the objects of ``category`` alone where one is given."""
    _, strata, values = _per_object(records, metric, category)
    return interval_of(values, strata)


def difference(first: Sequence[Record], second: Sequence[Record], metric: str) -> Estimate:
    """Of first - second, paired by object."""
    (ids, strata, values), (others, _, other_values) = (_per_object(row, metric) for row in (first, second))
    if ids != others:
        raise MsrnError(
            f"{first[0].variant} and {second[0].variant} were evaluated on different objects: evaluate both anew"
        )
    return interval_of(values - other_values, strata)


def pairs_by_seed(first: Sequence[Record], second: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Records of two rows side by side, for the seeds of both; what was not trained stands against every seed."""
    if not any(record.trained for record in second):
        return [(record, second[0]) for record in first] if second else []
    if not any(record.trained for record in first):
        return [(first[0], record) for record in second] if first else []
    by_seed = {record.seed: record for record in second}
    return [(record, by_seed[record.seed]) for record in first if record.seed in by_seed]


@dataclass(frozen=True)
class Comparison:
    """Two rows in one metric: first - second."""

    metric: str
    first: str
    second: str
    close: bool
    published: float | None  # where both values are printed
    measured: Estimate  # seeds averaged
    per_seed: tuple[float, ...]
    per_category: tuple[float, ...]  # seeds averaged
    scale: float  # the mean of the second row

    @property
    def agrees(self) -> int:
        """Seeds whose difference has the paper's sign."""
        return self._agreeing(self.per_seed)

    def _agreeing(self, differences: Sequence[float]) -> int:
        sign = -1 if METRICS[self.metric].lower_is_better else 1
        return sum(value * sign > 0 for value in differences)

    @property
    def holds(self) -> bool:
        """Whether the first is better in every seed and by an interval without zero; or, if ``close``, alike."""
        if self.close:
            return max(-self.measured.low, self.measured.high) <= ALIKE * abs(self.scale)
        return self.agrees == len(self.per_seed) and self.measured.excludes_zero

    def standing(self) -> str:
        """Where the difference is now, whatever the verdict: ``M-SRN − w/o NC: −0.40 [−0.90, +0.10], the paper's sign
        in 3 of 3 seeds and 4 of 6 categories``."""
        several = {"seeds": self.per_seed, "categories": self.per_category} if not self.close else {}
        counts = [f"{self._agreeing(d)} of {len(d)} {words}" for words, d in several.items() if len(d) > 1]
        signs = f", the paper's sign in {' and '.join(counts)}" if counts else ""
        return f"{self.first} − {self.second}: {self.measured.text(self.metric, sign=True)}{signs}"


def compare(
    metric: str,
    first: str,
    second: str,
    pairs: Sequence[tuple[Record, Record]],
    close: bool,
    printed: Mapping[str, Mapping[str, float]],
) -> Comparison:
    """Two rows from their records side by side (``pairs_by_seed``); ``printed`` holds a row's values by metric."""
    left, right = zip(*pairs, strict=True)
    values = [printed.get(name, {}).get(metric) for name in (first, second)]
    published = None if None in values else values[0] - values[1]
    per_seed = tuple(difference([one], [other], metric).mean for one, other in pairs)
    gap, scale = difference(left, right, metric), estimate(right, metric).mean
    (_, strata, values), (*_, others) = (_per_object(row, metric) for row in (left, right))
    per_category = tuple(float((values - others)[strata == name].mean()) for name in np.unique(strata))
    return Comparison(metric, first, second, close, published, gap, per_seed, per_category, scale)


def macro_mean(values: np.ndarray, strata: np.ndarray) -> float:
    """The mean of the means of the categories that occur."""
    return float(np.mean([values[strata == term].mean() for term in np.unique(strata)]))


def object_means(
    object_id: np.ndarray, category: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names (M,) in order, categories and mean values of the objects that N images show."""
    ids, first, inverse = np.unique(object_id, return_index=True, return_inverse=True)
    return ids, category[first], np.bincount(inverse, values) / np.bincount(inverse)


def _per_object(records: Sequence[Record], metric: str, category: str = "") -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, categories (M,) and values (M,), averaged over the records."""
    columns = [dict(zip(record.objects["object_id"], record.objects[metric], strict=True)) for record in records]
    of = dict(zip(records[0].objects["object_id"], records[0].objects["category"], strict=True))
    ids = sorted(name for name in columns[0] if category in ("", of[name]))
    if any(column.keys() != columns[0].keys() for column in columns):
        raise MsrnError(f"{records[0].variant}: its seeds were evaluated on different objects: evaluate them anew")
    values = np.mean([[column[name] for name in ids] for column in columns], axis=0)
    return ids, np.array([of[name] for name in ids]), values


def interval_of(values: np.ndarray, strata: np.ndarray, seed: int = SEED, draws: int = DRAWS) -> Estimate:
    """Macro mean of values (N,) of objects in categories (N,), and its percentile bootstrap interval.

    Objects are resampled within each category. Resamples of few objects vary too little: by (n - 1) / n, which is a
    half for two, and because their spread is itself a guess. Deviations are stretched by the root of the first and, as
    Welch and Satterthwaite do, by Student's quantile over the normal one. A category of one object shows no spread.
    """
    generator, resampled = np.random.default_rng(seed), []  # a row of means for each category
    groups = [values[strata == term] for term in np.unique(strata)]
    for group in groups:
        means = group[generator.integers(0, len(group), (draws, len(group)))].mean(1)
        stretch = np.sqrt(len(group) / max(len(group) - 1, 1))
        resampled.append(group.mean() + stretch * (means - group.mean()))
    center = macro_mean(values, strata)
    ends = np.quantile(np.mean(resampled, axis=0), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = center + (ends - center) * _small_sample_stretch(groups)
    return Estimate(center, float(low), float(high))


def _small_sample_stretch(groups: list[np.ndarray]) -> float:
    """Student's quantile over the normal one, at the degrees of freedom of the mean of the groups' means."""
    spread = [(group.var(ddof=1) / len(group), len(group) - 1) for group in groups if len(group) > 1]
    square = sum(variance**2 / freedom for variance, freedom in spread)
    if not square > 0:
        return 1.0
    freedom = sum(variance for variance, _ in spread) ** 2 / square
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom) / stats.norm.ppf((1 + LEVEL) / 2))

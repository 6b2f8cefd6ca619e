"""Words that every report uses: durations, counts, and a cell of a small table."""

import os
from collections.abc import Sequence

import numpy as np

from msrn.store.results import Record

WITHOUT_SHAPES = (
    "These photographs have no true shapes or poses: what is measured against them is left out, and so are rows "
    "trained on true masks. Mask IoU is taken with a row's own masks, so it does not say which masks are better."
)


def wants_progress() -> bool:
    """Whether bars help here: where someone watches, not on a page of the book."""
    return not book_profile()


def book_profile() -> str:
    """In the book the profile whose results it is about, whatever a page was executed under; else empty."""
    return os.environ.get("MSRN_BOOK", "")


def duration(seconds: float) -> str:
    """Such as ``12 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def mean_of(records: Sequence[Record], metric: str) -> float:
    """Over the seeds; not a number where a record has no value."""
    values = np.array([record.metrics.get(metric) for record in records], float)
    return float(values.mean()) if len(values) else float("nan")


def two_decimals(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


def seconds_of_a_run(models: Sequence[Record]) -> dict[str, float]:
    """Mean training time by device, the fastest last."""
    devices = dict.fromkeys(record.device for record in models)
    means = [(float(np.mean([r.train_seconds for r in models if r.device == device])), device) for device in devices]
    return {device: mean for mean, device in sorted(means, reverse=True)}

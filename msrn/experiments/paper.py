"""Which experiments there are: the rows of each, the split that scores them, and what is recorded of them.

So far the ablations of §4.5.1: Table 7, the network with masks of three kinds (§3.1), and Table 8, the network
without feature compensation (§3.2), without neighbour consistency (§3.3), and whole. Beside them
``study``, by which the settings of profile laptop were chosen, on val.
"""

from dataclasses import dataclass

from msrn.errors import MsrnError, did_you_mean
from msrn.experiments.study import STUDY
from msrn.experiments.table import ABLATIONS, Variant
from msrn.store import results
from msrn.store.results import Record


@dataclass(frozen=True)
class Experiment:
    """Rows of a table, and the split that they are scored on."""

    rows: tuple[Variant, ...]
    split: str


EXPERIMENTS = {
    **{name: Experiment(table.rows, "test") for name, table in ABLATIONS.items()},
    "study": Experiment(STUDY, "val"),
}


def variant(experiment: str, name: str) -> Variant:
    """A row by its name."""
    for row in variants(experiment):
        if row.name == name:
            return row
    names = [row.name for row in variants(experiment)]
    raise MsrnError(
        f"unknown variant {name!r} of {experiment}{did_you_mean(name, names)}: expected one of {', '.join(names)}"
    )


def variants(experiment: str) -> tuple[Variant, ...]:
    """The rows of a table."""
    if experiment not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise MsrnError(
            f"unknown experiment {experiment!r}{did_you_mean(experiment, EXPERIMENTS)}: expected one of {known}"
        )
    return EXPERIMENTS[experiment].rows


def recorded(experiment: str) -> list[Record]:
    """Recorded rows, each refused when it names no row of the table."""
    found = results.recorded(experiment)
    for record in found:
        if record.kind == "model":
            variant(experiment, record.variant)
    return found

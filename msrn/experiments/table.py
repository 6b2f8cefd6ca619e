"""What a table of the paper is made of: rows, columns and claims, all of it data (``paper`` declares them).

A row is *quoted* (``settings`` None: another system with its printed values, which nobody trains here) or *trained*
(what it changes in the settings of a profile). A quoted row whose predictions were scored from files has measured
values too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from msrn.data import STAND_INS
from msrn.errors import MsrnError, did_you_mean
from msrn.evaluation.statistics import METRICS
from msrn.experiments.verdicts import Claim
from msrn.profiles import make_settings
from msrn.settings import Settings


@dataclass(frozen=True, eq=False)
class Row:
    """A row of a table, by the paper's name for it."""

    name: str
    printed: Mapping[str, float | None] = field(default_factory=dict)  # by the key of a column; None: not legible
    settings: Mapping[str, Any] | None = None  # None: quoted
    supervision: str = ""  # the paper's letters, which ``paper`` explains
    question: str = ""  # what it answers, in words
    objects: int | Mapping[str, int] | None = None  # training objects of each category, at most; None: all there are

    @property
    def trained(self) -> bool:
        return self.settings is not None

    @property
    def needs_truth(self) -> bool:
        """Whether it is trained on what photographs of one's own have not."""
        return self.trained and self.settings.get("masks") == "true"

    def settings_on(self, base: Settings) -> Settings:
        """The settings of a trained row under a profile's."""
        return make_settings({**base.model_dump(), **self.settings})


class Column(NamedTuple):
    """A metric over all objects, or over those of a category."""

    metric: str
    category: str = ""

    @property
    def key(self) -> str:
        return self.category or self.metric

    @property
    def title(self) -> str:
        return self.category or METRICS[self.metric].title


@dataclass(frozen=True)
class Table:
    """A table as it is printed. With ``categories`` it has a column and a model a category, of its first metric; with
    ``category`` its data are that one's alone."""

    section: str
    caption: str
    data: str  # the paper's data set, by its name here
    rows: tuple[Row, ...]
    metrics: tuple[str, ...] = ("cd", "f")
    categories: tuple[str, ...] = ()
    category: str = ""
    ours: str = "M-SRN"  # the row of the whole method
    note: str = ""  # on what is printed, such as what cannot be read
    yardsticks: tuple[Row, ...] = ()  # trained otherwise than a method may be; recorded, and no row of a run
    split: str = "test"
    photographs: bool = False  # whether its page can do with photographs of one's own, which have no true shapes
    claims: tuple[Claim, ...] = ()
    name: str = ""  # such as table8

    @property
    def title(self) -> str:
        return self.name.replace("table", "Table ").capitalize()

    @property
    def scope(self) -> tuple[str, str, bool]:
        """What its models are trained on; tables of one scope share runs, and those of renders none of photographs."""
        return STAND_INS.get(self.data, self.data), self.category, bool(self.categories)

    @property
    def measured(self) -> tuple[str, ...]:
        """Its metrics; after CD, or where there is none F, the same where each axis may be scaled by itself."""
        both = next((metric for metric in self.metrics if f"{metric}_axes" in METRICS), None)
        pairs = ((metric, f"{metric}_axes") if metric == both else (metric,) for metric in self.metrics)
        return tuple(name for pair in pairs for name in pair)

    @property
    def columns(self) -> tuple[Column, ...]:
        of_categories = tuple(Column(self.metrics[0], category) for category in self.categories)
        return of_categories or tuple(Column(metric) for metric in self.measured)

    @property
    def trained(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.trained)

    @property
    def printed(self) -> dict[str, Mapping[str, float]]:
        """The printed values of each row."""
        return {row.name: row.printed for row in self.rows}

    @property
    def changed(self) -> frozenset[str]:
        """The settings that tell its trained rows apart."""
        return frozenset(name for row in self.trained for name in row.settings)

    def without_truth(self) -> "Table":
        """The table on photographs of one's own: in mask IoU, without claims, and rows that need more are quoted."""
        rows = tuple(replace(row, settings=None) if row.needs_truth else row for row in self.rows)
        return replace(self, rows=rows, metrics=("mask_iou",), claims=())

    def row(self, name: str) -> Row:
        rows = {row.name: row for row in (*self.rows, *self.yardsticks)}
        if name not in rows:
            near = did_you_mean(name, rows)
            raise MsrnError(f"unknown row {name!r} of {self.name}{near}: expected one of {', '.join(rows)}")
        return rows[name]

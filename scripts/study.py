"""The study behind profile laptop: what each setting does, scored on the val split.

    python scripts/study.py record --budget 25m                # results/study, in as many portions as time comes in
    python scripts/study.py record --only "laptop, reach off"
    python scripts/study.py page                               # book/study.md, from what is recorded

Choices are made on val and reported on test (Table 8). The rows of ``NOW`` change the profile but for its last choice,
to which they led (``CODE``), those of ``BEFORE`` what it was before poses were found and encoders read stored features:
its first row, ``together``.
"""

from collections.abc import Mapping
from typing import Any

import click

from msrn import paths
from msrn.__main__ import main, seeds_of
from msrn.experiments import paper
from msrn.experiments.table import Row, Table
from msrn.store.files import write_text

# The profile as it was, in what it has changed since, but for the schedule, which was its last choice.
TOGETHER = {
    "encoder": "small",
    "decoders": "unicorn",
    "texture_size": 32,
    "texture_channels": 16,
    "azimuths": "learned",
    "azimuth_weight": 0.1,
    "neighbor_prototypes": 1,
    "pose_every": 2,
    "compensation_start": "code",
    "reach_weight": 0.0,
    "steps": 5000,
    "decay_at": 0.6,
}
LEARNED_POSES = {**TOGETHER, "decay_at": 0.8}
AS_PRINTED = {
    "batches": "mixed",
    "candidate_objects": "any",
    "neighbor_scale": "neighbor",
    "neighbor_prototypes": 5,
    "azimuth_prior_weight": 0.0,
    "pose_prior_weight": 1.0,
    "small_shape_code": 1,
    "small_texture_code": 2,
    "stage_switch": 1000,
    "decay_at": 1.0,
}


CODE = {"compensation_start": "code"}  # as the profile had it until the row "Lin from a half" was recorded
HALF_RANDOM, FIXED, BY_TRUTH = (
    {"candidate_objects": "half-random"},
    {"neighbor_prototypes": 1},
    {"neighbor_filter": "known"},
)
HALF, COSINE, LOOK_ALIKES = (
    {"compensation_start": "half"},
    {"cosine_temperature": 0.1},
    {"bank_codes": "look-alikes"},
)
FEW = 4  # objects of a sparse category
# Each has a relative among the others: tables and benches, benches, cabinets.
THREE = dict.fromkeys(("chair", "sofa", "speaker"), FEW)
TEN = dict.fromkeys(
    ("airplane", "bench", "cabinet", "car", "display", "lamp", "phone", "rifle", "table", "vessel"), FEW
)


def _sparse(name: str, question: str, objects: Mapping[str, int], **settings: Any) -> Row:
    """A row with few objects of some categories, which have fewer others to take candidates from."""
    return Row(name, settings={**CODE, "candidates": FEW - 1, **settings}, question=question, objects=objects)


def _without(name: str, question: str, **settings: Any) -> Row:
    """A row that differs from the first one in ``settings``."""
    return Row(f"laptop, {name}", settings={**CODE, **settings}, question=question)


def _changed(name: str, question: str, objects: int | None = None, **settings: Any) -> Row:
    """A row that differs from ``together`` in ``settings``, or in the number of training objects of each category."""
    return Row(f"together, {name}", settings={**TOGETHER, **settings}, question=question, objects=objects)


NOW = Table(
    "4.3",
    "What each part of profile laptop does",
    "shapenet",
    (
        Row("laptop", settings=CODE, question="How good is profile laptop, with Lin from the code?"),
        _without("poses known", "And if azimuths were known? A yardstick.", azimuths="known"),
        _without("azimuths learned", "And if they were learned, as in the paper?", azimuths="learned"),
        _without("small encoders", "What do features of a trained network teach?", encoder="small"),
        _without(
            "decoders of Unicorn",
            "What do outputs of its own for every vertex?",
            decoders="unicorn",
            texture_size=32,
            texture_channels=16,
        ),
        _without("steps alternate", "May pose steps be rare?", pose_every=2),
        _without("reach off", "Does it help to pull vertices to bare pixels?", reach_weight=0.0),
        _without("every candidate", "Does the choice of neighbours help (Eqs 33-38)?", neighbor_prototypes=1),
        _without("two domains", "With fewer domains?", neighbor_prototypes=2),
        _without("eight domains", "With more?", neighbor_prototypes=8),
        _without("half random, fixed", "And if half of the candidates are random?", **HALF_RANDOM, **FIXED),
        _without("half random, filtered", "Does the choice find them?", **HALF_RANDOM),
        _without("half random, filtered by truth", "What would finding them gain?", **HALF_RANDOM, **FIXED, **BY_TRUTH),
        _without("without compensation", "Does compensation help?", feature_compensation=False),
        _without("Lin from a half", "Is its start too quiet? The profile as it is now.", **HALF),
        _without("cosine affinity", "Is its attention too flat?", **COSINE),
        _without("codes of look-alikes", "Do its prototypes hold the side?", **LOOK_ALIKES),
        _without("all three", "And together?", **HALF, **COSINE, **LOOK_ALIKES),
        _without("a quarter of the steps", "What does a minute teach?", steps=2500),
        Row("night", settings={**CODE, "steps": 40_000}, question="And four times as long? Profile night."),
        Row("before", settings=LEARNED_POSES, question="How good was the profile before?"),
        Row(
            "before, a quarter of the steps",
            settings={**LEARNED_POSES, "steps": 1250},
            question="What did a minute teach then?",
        ),
        Row(
            "before, four times the steps",
            settings={**LEARNED_POSES, "steps": 20_000},
            question="And four times as long?",
        ),
    ),
    ours="laptop",
    split="val",
    name="study",
)

SPARSE = Table(
    "3.2",
    "Sparse categories, where compensation could help most",
    "shapenet",
    (
        _sparse("three sparse", "Three sparse categories?", THREE),
        _sparse("three sparse, w/o FC", "Does compensation help them?", THREE, feature_compensation=False),
        _sparse("three sparse, all three", "Does it, changed?", THREE, **HALF, **COSINE, **LOOK_ALIKES),
        _sparse("ten sparse", "The other ten?", TEN),
        _sparse("ten sparse, w/o FC", "Does compensation help those?", TEN, feature_compensation=False),
        _sparse("ten sparse, all three", "Does it, changed, help those?", TEN, **HALF, **COSINE, **LOOK_ALIKES),
    ),
    ours="three sparse",
    split="val",
    name="study-sparse",
)

BEFORE = Table(
    "4.3",
    "What settings did before",
    "shapenet",
    (
        Row("together", settings=TOGETHER, question="Do groups, even azimuths and views of any side add up?"),
        _changed("later decay", "Should the steps stay long for longer?", decay_at=0.8),
        Row(
            "both as printed",
            settings={**TOGETHER, **AS_PRINTED},
            question="What do batches, candidates and schedule as printed do?",
        ),
        # sides
        _changed(
            "pose prior", "Does the pose prior see sides as well?", azimuth_prior_weight=0.0, pose_prior_weight=1.0
        ),
        # resolution, mesh and edges
        _changed("64 pixels", "Do finer images pay for their time?", image_size=64),
        _changed("finer mesh", "Does a mesh of four times the faces?", mesh_level=3),
        _changed("softer edges", "Do edges as soft in pixels as the paper's teach more?", sigma=4e-4),
        # capacity
        _changed("shape code 64", "Does a shape need more numbers?", shape_code=64, small_shape_code=64),
        _changed("texture code 16", "Does a poor texture help the shape?", texture_code=16, small_texture_code=16),
        # length and schedule
        _changed("four times the steps", "What does more time buy?", steps=20_000),
        _changed("learning rate 2e-4", "Are the steps too long?", learning_rate=2e-4),
        # data and neighbours
        _changed("20 objects", "How many objects of a category must be seen?", objects=20),
        _changed("12 candidates", "Do more candidates give more views?", candidates=12),
        _changed("every neighbour", "Is one neighbour a step too noisy?", neighbor_samples=0),
    ),
    ours="together",
    split="val",
    name="study-before",
)
RATES = (5e-4, 2e-3, 1e-3, 2e-4, 1e-4)  # the profile's own first


def _rates(name: str, printed_in: str = "table2") -> Table:
    """A method at other learning rates, one network for all categories, or for the one that its table is about: it
    keeps the profile's unless another is surely better by CD."""
    table = paper.TABLES[printed_in]
    settings, rows = table.row(name).settings, []
    for rate in RATES:
        question = f"Is {rate:g} right for {name}?"
        rows.append(Row(f"{name}, {rate:g}", settings={**settings, "learning_rate": rate}, question=question))
    title = f"Learning rates of {name}" + f", {table.category}s alone" * bool(table.category)
    return Table(
        "4.4",
        title,
        "shapenet",
        tuple(rows),
        category=table.category,
        ours=rows[0].name,
        split="val",
        name=f"study-rates-{name.lower()}",
    )


TABLES = (
    NOW,
    SPARSE,
    _rates("Unicorn"),
    _rates("ShapeClipper"),
    _rates("DVR", "table5"),
    _rates("CMR", "table6"),
    _rates("UCMR", "table6"),
    BEFORE,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """The study behind profile laptop."""


@cli.command()
@click.option("--dataset", default="procedural13", show_default=True, help="Data set.")
@click.option("--profile", default="laptop", show_default=True, help="Profile that the rows change.")
@click.option("--seeds", default="0", show_default=True, help="Seeds, separated by commas, such as 0,1.")
@click.option("--budget", default="25m", show_default=True, help="Time to use, such as 90s, 25m or 8h.")
@click.option("--only", multiple=True, metavar="ROW", help="A single row, such as laptop; may be repeated.")
def record(dataset: str, profile: str, seeds: str, budget: str, only: tuple[str, ...]) -> None:
    """Keep results of the profile's rows, or of those named, in results/; the next call goes on."""
    from msrn.experiments.record import record_table
    from msrn.profiles import resolve, seconds_of

    request, seconds = resolve(profile, dataset, seeds=seeds_of(seeds)), seconds_of(budget)
    table_of = {row.name: table for table in TABLES for row in table.rows}
    asked = {table: [name for name in only if table_of.get(name, NOW) is table] for table in TABLES}
    for table in TABLES if any(asked.values()) else [NOW]:
        if asked[table] or not only:
            for line in record_table(table, request, seconds, only=tuple(asked[table])):
                click.echo(line)


@cli.command()
def page() -> None:
    """Write book/study.md from results/study."""
    from study_table import markdown

    from msrn.store.results import recorded

    file = paths.ROOT / "book" / "study.md"
    write_text(file, markdown({table: recorded(table.name) for table in TABLES}))
    click.echo(f"{file.relative_to(paths.ROOT)}: written")


if __name__ == "__main__":
    main(cli)

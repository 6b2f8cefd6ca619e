"""The study behind profile laptop: what each setting does, scored on the val split.

    python scripts/study.py record --budget 25m                # results/study, in as many portions as time comes in
    python scripts/study.py record --only "together, 64 pixels"
    python scripts/study.py page                               # book/study.md, from what is recorded

Choices are made on val and reported on test (Table 8). The row ``together`` is what helped when it was put together.
Every other row changes that; the row ``laptop`` is the profile.
"""

from typing import Any

import click

from msrn import paths
from msrn.__main__ import main, seeds_of
from msrn.experiments.table import Row, Table
from msrn.store.files import write_text

FIRST = "together"  # the row that all others change
TOGETHER = {"decay_at": 0.6}  # of the profile, what it was
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

FOUND = {"encoder": "imagenet", "azimuths": "look-alikes", "reach_weight": 10.0}


def _changed(name: str, question: str, objects: int | None = None, **settings: Any) -> Row:
    """A row that differs from the first in ``settings``, or in the number of training objects of each category."""
    return Row(f"{FIRST}, {name}", settings={**TOGETHER, **settings}, question=question, objects=objects)


TABLE = Table(
    "4.3",
    "What each setting of profile laptop does",
    "shapenet",
    (
        Row(FIRST, settings=TOGETHER, question="Do groups, even azimuths and views of any side add up?"),
        Row("laptop", settings={}, question="Should the steps stay long for longer? Profile laptop."),
        Row("night", settings={"steps": 20_000}, question="And four times as long? Profile night."),
        Row("both as printed", settings=AS_PRINTED, question="What do batches, candidates and schedule as printed do?"),
        # sides
        _changed(
            "pose prior", "Does the pose prior see sides as well?", azimuth_prior_weight=0.0, pose_prior_weight=1.0
        ),
        # poses
        _changed(
            "ImageNet features", "Do features of a trained network teach more than small encoders?", encoder="imagenet"
        ),
        _changed(
            "reach",
            "Does it help to pull vertices to bare pixels while poses are learned?",
            encoder="imagenet",
            reach_weight=10.0,
        ),
        _changed("look-alikes", "Are azimuths better found from look-alikes than learned?", **FOUND),
        _changed("poses known", "And if azimuths were known? A yardstick.", **{**FOUND, "azimuths": "known"}),
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
    ours="laptop",
    split="val",
    name="study",
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
    """Keep results of the rows in results/study; the next call goes on."""
    from msrn.experiments.record import record_table
    from msrn.profiles import resolve, seconds_of

    request = resolve(profile, dataset, seeds=seeds_of(seeds))
    for line in record_table(TABLE, request, seconds_of(budget), only=only):
        click.echo(line)


@cli.command()
def page() -> None:
    """Write book/study.md from results/study."""
    from study_table import markdown

    from msrn.store.results import recorded

    file = paths.ROOT / "book" / "study.md"
    write_text(file, markdown(TABLE, recorded(TABLE.name)))
    click.echo(f"{file.relative_to(paths.ROOT)}: written")


if __name__ == "__main__":
    main(cli)

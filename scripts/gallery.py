"""The picture of the first page: what profile night makes of the median test objects of both data sets.

    python scripts/gallery.py                    # book/images/gallery.png, from runs in the store, or trained first
    python scripts/gallery.py --profile laptop   # the same of shorter trainings

What is trained already is loaded.
"""

from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure

from msrn import paths
from msrn.__main__ import main
from msrn.evaluation.examples import chosen
from msrn.experiments import runner
from msrn.experiments.table import Row, Table
from msrn.profiles import resolve
from msrn.report import gallery, pictures

TABLE = Table("4.4", "The first page", "shapenet", (Row("M-SRN", settings={}),), name="gallery")
DATASETS, COUNT = ("procedural13", "homeware"), 6


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--profile", default="night", show_default=True, help="Profile of the trainings, of one seed.")
@click.option("--out", type=click.Path(path_type=Path), default=paths.ROOT / "book" / "images" / "gallery.png")
def draw(profile: str, out: Path) -> None:
    """Draw the picture of the first page."""
    figure, alt = picture([runner.make(TABLE, resolve(profile, name, seeds=[0])) for name in DATASETS])
    figure.savefig(out, dpi=130, facecolor="none", bbox_inches="tight", pad_inches=0.03)
    click.echo(f"{out.name}: {alt}")


def picture(results: list[runner.Result]) -> tuple[Figure, str]:
    """Six objects of each data set, side by side: input, truth and M-SRN, from the input's camera and turned."""
    columns, labels = {}, {}
    for k, result in enumerate(results):
        names = chosen(result.of(result.table.ours)[0].record)["median"][:COUNT]
        shown = gallery.of_result(result, {"median": names}, result.test)
        rows = [gallery.drawings(shown, name) for name in names]
        for title in rows[0]:
            key = f"{result.test.name} input" if title == "input" else title + " " * k  # blanks tell sets apart
            columns[key] = [row[title][0] for row in rows]
        labels[result.test.name] = [shown.term(name) for name in names]
    first, *_ = labels.values()
    figure = pictures.grid(columns, [""] * len(first))
    cells = dict(zip(columns, np.reshape(figure.axes, (len(first), -1)).T, strict=True))
    for name, words in labels.items():
        for axes, text in zip(cells[f"{name} input"], words, strict=True):
            axes.text(0.04, 0.04, text, transform=axes.transAxes, fontsize=7)
    return figure, "; ".join(f"{name}: {', '.join(words)}" for name, words in labels.items())


if __name__ == "__main__":
    main(draw)

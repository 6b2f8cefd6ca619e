"""``msrn``: doctor, list, claims, run, record, score, train, reconstruct, demo, status, data.

``run`` first trains and scores in this process, where its progress bars reach the terminal, and then executes the
table's notebook, which finds everything in the store: what ``papermill notebooks/... out.ipynb`` does, in two parts.
"""

import errno
import functools
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from msrn import __version__
from msrn.errors import MsrnError, check_known, printable, quoted
from msrn.store.stopping import Stopped


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="msrn")
def cli() -> None:
    """The M-SRN companion: regenerate the paper's tables and figures."""


@cli.command()
def doctor() -> None:
    """Versions, devices, caches, and what is missing and what that disables."""
    from msrn.doctor import report

    for line in report():
        click.echo(line)


PROFILES = "smoke, laptop, night, paper, literal; auto: by device."
TRAINING = (
    click.option("--profile", default="auto", show_default=True, help=PROFILES),
    click.option("--seeds", help="Seeds, separated by commas, such as 0,1,2."),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto."),
    click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of msrn/settings.py."),
)
OPTIONS = (
    *TRAINING,
    click.option("--dataset", help="Data set instead of the profile's."),
    click.option("--data-root", help="Folder of a data set that is not embedded."),
    click.option("--weights", multiple=True, metavar="NAME=PATH", help="A network's file: clip, cue or saliency."),
)


def with_options(*options: Callable) -> Callable:
    """Give a command the options that say how an exhibit or a training is wanted."""
    return lambda command: functools.reduce(lambda made, option: option(made), reversed(options), command)


@cli.command()
@click.argument("exhibit", required=False)
@click.option("--all", "every", is_flag=True, help="Every exhibit that has a notebook.")
@with_options(*OPTIONS)
@click.option("--budget", help="Time to train, such as 3h; the same command goes on.  [default: as long as it takes]")
def run(exhibit: str | None, every: bool, budget: str | None, **options: Any) -> None:
    """Make an exhibit, such as table8: train or reuse its runs, print it, execute its notebook.

    With --all, the longest first; what exhibits share is trained once, and one that fails stops no other.
    """
    from msrn import exhibits, profiles
    from msrn.experiments.paper import TABLES

    pages = exhibits.notebooks()
    if every == bool(exhibit):
        raise MsrnError("msrn run: expected the name of an exhibit, such as table8, or --all; msrn list names them")
    if exhibit:
        check_known("exhibit", exhibit, exhibits.by_number({*TABLES, *pages}))
    parameters, names = _parameters(options), [exhibit]
    until = time.monotonic() + profiles.seconds_of(budget) if budget else None
    if every:
        tables = {name: TABLES[name].data for name in pages if name in TABLES}
        names = exhibits.longest_first(pages, {n: profiles.resolve(**parameters, data=d) for n, d in tables.items()})
    exhibits.make_each({name: pages.get(name) for name in names}, parameters, until)


@cli.command("list")
@click.option("--profile", default="auto", show_default=True, help=PROFILES)
def list_exhibits(profile: str) -> None:
    """Every exhibit: section, rows, data; recorded runs that are fresh, stale and why, or missing; and the cost."""
    from msrn.exhibits import listing

    click.echo(listing(profile))


@cli.command()
def claims() -> None:
    """What the paper says, and whether recorded results bear it out."""
    from msrn.experiments import recorded
    from msrn.report import claims_table

    click.echo(claims_table.claims_text(claims_table.stand(recorded.pool())))


@cli.command()
@click.argument("exhibit")
@with_options(*OPTIONS)
@click.option("--budget", default="25m", show_default=True, help="Time to use, such as 90s, 25m or 8h.")
@click.option("--only", multiple=True, metavar="ROW", help="A single row, such as M-SRN; may be repeated.")
def record(exhibit: str, budget: str, only: tuple[str, ...], **options: Any) -> None:
    """Keep results of a table, of masks or of density, or the meshes of a figure, in results/.

    As many runs as fit into the budget; the next call goes on. Density trains nothing and takes minutes whatever the
    budget. Figures 5, 6, 7 and 9 show rows of Tables 2, 3, 4 and 8, of the first seed.
    """
    from msrn import exhibits

    for line in exhibits.record(exhibit, _parameters(options), budget, only):
        click.echo(line)


@cli.command("score")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--as", "row", required=True, metavar="ROW", help="The system, by the table's name for it.")
@click.option("--table", "exhibit", required=True, help="The table, such as table4.")
@click.option("--frame", required=True, help="y-up, z-up or camera: the axes of the predictions.")
@with_options(*OPTIONS)
def score_files(folder: Path, row: str, exhibit: str, frame: str, **options: Any) -> None:
    """Score meshes or point clouds of another system, named by object or image, and keep the result.

    Under the very protocol of the other rows; objects without a prediction are named and stand in no mean.
    """
    from msrn import profiles
    from msrn.evaluation.prediction_files import check_place
    from msrn.experiments import paper, record

    check_known("exhibit", exhibit, paper.TABLES)
    table = paper.TABLES[exhibit]
    request, asked = profiles.resolve(**_parameters(options), data=table.data), table.row(row)
    check_place(folder.expanduser(), frame)  # before anything is drawn
    for line in record.record_files(table, asked, request, folder.expanduser(), frame):
        click.echo(line)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@with_options(*TRAINING)
@click.option("--budget", help="Time to train, such as 3h; the same command goes on.  [default: as long as it takes]")
def train(folder: Path, budget: str | None, **options: Any) -> None:
    """Train on a collection of your own photographs: FOLDER/CATEGORY/*.jpg, masks or not.

    There are no true shapes: reported are mask IoU on held-out photographs, the poses that were found, and a sheet.
    """
    from msrn import profiles
    from msrn.reconstruct import training
    from msrn.store.checkpointing import OutOfTime

    given = {**options, "dataset": "folder", "data_root": str(folder), "weights": ()}
    until = time.monotonic() + profiles.seconds_of(budget) if budget else None
    try:
        for line in training.train(profiles.resolve(**_parameters(given)), until=until):
            click.echo(line)
    except OutOfTime as stopped:
        click.echo(f"{stopped}\nThe time is over. The same command goes on.")


@cli.command()
@click.argument("photographs", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The folder to write into.")
@click.option("--run", help="The network of a run of msrn train.  [default: the one that comes with msrn]")
@click.option("--mask", type=click.Path(path_type=Path), help="A mask's file, or a folder that mirrors PHOTOGRAPHS.")
@click.option("--format", "formats", multiple=True, default=("glb",), help="glb, obj or ply; may be repeated.")
def reconstruct(photographs: Path, out: Path, run: str | None, mask: Path | None, formats: tuple[str, ...]) -> None:
    """A photograph, or a folder of them, into textured meshes.

    OUT gets for each a mesh, a sheet to look at and a line of reconstructions.jsonl: category, confidence, doubts,
    pose.
    """
    from msrn.reconstruct import command

    mask = mask and mask.expanduser()
    click.echo(command.reconstruct(photographs.expanduser(), out.expanduser(), run, formats, mask))


@cli.command()
@click.option("--port", default=8778, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--run", help="The network of a run of msrn train.  [default: the one that comes with msrn]")
def demo(port: int, run: str | None) -> None:
    """A page on this machine: drop a photograph, see mask and mesh, keep the .glb. Nothing leaves the machine."""
    from msrn.reconstruct import command, demo

    demo.serve(command.network_of(run), port, lambda address: click.echo(f"{address}  (Ctrl-C ends it)"))


@cli.command()
def status() -> None:
    """The stored runs: state, step, time, size on disk."""
    from msrn.exhibits import stored_runs

    click.echo(stored_runs())


@cli.group()
def data() -> None:
    """Data sets that are not embedded: where to get them, and whether a folder holds one."""


@data.command()
@click.argument("name", required=False)
def describe(name: str | None) -> None:
    """Where to get a data set, its licence and size, in words; nothing is downloaded."""
    from msrn.data import check

    for line in check.describe(name):
        click.echo(line)


@data.command("check")
@click.argument("name")
@click.option("--root", type=click.Path(path_type=Path), required=True, help="The folder of the archive.")
def check_archive(name: str, root: Path) -> None:
    """Count, read and prove an archive, and say what packing it will cost."""
    from msrn.data import check

    for line in check.check(name, root.expanduser()):
        click.echo(line)


def _parameters(options: dict[str, Any]) -> dict[str, Any]:
    """The options as ``profiles.resolve`` and a notebook's parameters cell take them."""
    from msrn.store.plain_values import plain_value

    weights, settings = (_pairs(name, options[key]) for name, key in (("--weights", "weights"), ("--set", "settings")))
    try:
        settings = {name: plain_value(text) for name, text in settings.items()}
    except ValueError:
        raise MsrnError(f"--set {quoted(settings)}: a value is not readable as YAML; expected NAME=VALUE") from None
    return {
        **options,
        "data_root": _absolute(options["data_root"]),
        "seeds": seeds_of(options["seeds"]),
        "settings": settings,
        "weights": {name: _absolute(path) for name, path in weights.items()},
    }


def _absolute(path: str | None) -> str | None:
    """A relative path is the caller's; the notebook runs in another folder."""
    return path and str(Path(path).expanduser().resolve())


def seeds_of(text: str | None) -> list[int] | None:
    """Seeds of a text such as ``0,1,2``; None stays."""
    if text is not None and not re.fullmatch(r" *[-+]?\d{1,10}( *, *[-+]?\d{1,10})* *", text, re.ASCII):
        raise MsrnError(f"--seeds {text[:60]}: expected whole numbers separated by commas, such as 0,1,2")
    return None if text is None else [int(part) for part in text.split(",")]


def _pairs(option: str, assignments: tuple[str, ...]) -> dict[str, str]:
    if wrong := [text for text in assignments if "=" not in text]:
        raise MsrnError(f"{option} {wrong[0][:60]}: expected NAME=VALUE")
    return dict(text.split("=", 1) for text in assignments)


def _interrupted(error: BaseException) -> int:
    """Say how to go on; the exit status, which is 128 and the number of the signal."""
    if isinstance(error, Stopped):
        click.echo(f"msrn: {error}\nThe same command goes on (msrn status).", err=True)
        return 128 + error.number
    click.echo("msrn: interrupted; the same command goes on where it stopped", err=True)
    return 128 + signal.SIGINT


def main(commands: click.Group = cli) -> None:
    """Errors that a user can mend are one line; an interruption says how to go on."""
    for stream in (sys.stdout, sys.stderr):  # a table is worth more than a dash that Latin-1 has not
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = commands(standalone_mode=False)
        sys.stdout.flush()
    except MsrnError as error:
        click.echo(f"msrn: {error}", err=True)
        code = 2
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        code = _interrupted(error.__cause__ or error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EPIPE):
            raise
        if error.errno == errno.ENOSPC:
            click.echo(printable(f"msrn: cannot write: {error}; make room, then run again"), err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of the output has no place
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()

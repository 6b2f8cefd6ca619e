"""``msrn``: doctor, list, run, record, score, status, data.

``run`` first trains and scores in this process, where its progress bars reach the terminal, and then executes the
table's notebook, which finds everything in the store: what ``papermill notebooks/... out.ipynb`` does, in two parts.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml

from msrn import __version__, paths
from msrn.errors import MsrnError, check_known


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
OPTIONS = (
    click.option("--profile", default="auto", show_default=True, help=PROFILES),
    click.option("--dataset", help="Data set instead of the profile's."),
    click.option("--data-root", help="Folder of a data set that is not embedded."),
    click.option("--seeds", help="Seeds, separated by commas, such as 0,1,2."),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto."),
    click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of msrn/settings.py."),
    click.option("--weights", multiple=True, metavar="NAME=PATH", help="A network's file: clip, cue or saliency."),
)


def with_options(command: Callable) -> Callable:
    """Give a command the options that say how an exhibit is wanted."""
    for decorate in reversed(OPTIONS):
        command = decorate(command)
    return command


@cli.command()
@click.argument("exhibit", required=False)
@click.option("--all", "every", is_flag=True, help="Every exhibit that has a notebook.")
@with_options
def run(exhibit: str | None, every: bool, **options: Any) -> None:
    """Make an exhibit, such as table8: train or reuse its runs, print it, execute its notebook."""
    from msrn.experiments.paper import TABLES
    from msrn.report.notebooks import by_number, notebooks

    pages = notebooks()
    if every == bool(exhibit):
        raise MsrnError("msrn run: expected the name of an exhibit, such as table8, or --all; msrn list names them")
    if exhibit:
        check_known("exhibit", exhibit, by_number({*TABLES, *pages}))
    for name in pages if every else [exhibit]:
        _run(name, pages.get(name), _parameters(options))


@cli.command("list")
@click.option("--profile", default="auto", show_default=True, help=PROFILES)
def list_exhibits(profile: str) -> None:
    """Every exhibit: section, rows, data, cost, and how it stands."""
    from msrn.report.notebooks import listing

    click.echo(listing(profile))


@cli.command()
@click.argument("exhibit")
@with_options
@click.option("--budget", default="25m", show_default=True, help="Time to use, such as 90s, 25m or 8h.")
@click.option("--only", multiple=True, metavar="ROW", help="A single row, such as M-SRN; may be repeated.")
def record(exhibit: str, budget: str, only: tuple[str, ...], **options: Any) -> None:
    """Keep results of a table, of masks or of density in results/.

    As many runs as fit into the budget; the next call goes on. Density trains nothing and takes minutes whatever the
    budget.
    """
    from msrn import profiles
    from msrn.experiments import paper
    from msrn.experiments import record as recording

    check_known("exhibit", exhibit, (*paper.TABLES, "masks", "density"))
    table = {"masks": paper.MASKS, "density": paper.TABLES["table8"]}.get(exhibit) or paper.TABLES[exhibit]
    request, seconds = profiles.resolve(**_parameters(options), data=table.data), profiles.seconds_of(budget)
    if exhibit == "density":
        if only:
            raise MsrnError(f"--only {only[0]}: density has no rows, leave it out")
        lines = recording.record_density(table, request)
    elif exhibit == "masks":
        lines = recording.record_masks(request, seconds, only=only)
    else:
        lines = recording.record_table(table, request, seconds, only=only)
    for line in lines:
        click.echo(line)


@cli.command("score")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--as", "row", required=True, metavar="ROW", help="The system, by the table's name for it.")
@click.option("--table", "exhibit", required=True, help="The table, such as table4.")
@click.option("--frame", required=True, help="y-up, z-up or camera: the axes of the predictions.")
@with_options
def score_files(folder: Path, row: str, exhibit: str, frame: str, **options: Any) -> None:
    """Score meshes or point clouds of another system, named by object or image, and keep the result.

    Under the very protocol of the other rows; objects without a prediction are named and stand in no mean.
    """
    from msrn import profiles
    from msrn.experiments import paper, record

    check_known("exhibit", exhibit, paper.TABLES)
    table = paper.TABLES[exhibit]
    request = profiles.resolve(**_parameters(options), data=table.data)
    for line in record.record_files(table, table.row(row), request, folder.expanduser(), frame):
        click.echo(line)


@cli.command()
def status() -> None:
    """The stored runs: state, step, time, size on disk."""
    from msrn.report.words import duration, many
    from msrn.training.runs import list_runs

    stored = list_runs()
    if not stored:
        click.echo("no runs yet: msrn run table8 makes them")
        return
    line = "{:<32} {:<10} {:<22} {:>17} {:>12} {:>6}"
    click.echo(line.format("run", "variant", "state", "step", "time", "MB"))
    for run in stored:
        if not run["readable"]:
            click.echo(line.format(run["name"], "–", "params.yaml unreadable", "", "", f"{run['bytes'] / 2**20:,.1f}"))
            continue
        state = "finished, evaluated" if run["evaluated"] else "finished"
        if run["step"] < run["steps"]:
            state = "unfinished"
        elif not run["current"]:
            state = "made by older code"
        step, size = f"{run['step']:,} / {run['steps']:,}", f"{run['bytes'] / 2**20:,.1f}"
        click.echo(line.format(run["name"], run["variant"] or "–", state, step, duration(run["seconds"]), size))
    click.echo(f"{many(len(stored), 'run')}, {sum(run['bytes'] for run in stored) / 2**20:,.0f} MB")


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


def _run(name: str, notebook: Path | None, parameters: dict[str, Any]) -> None:
    """A table first in this process, where its progress bars reach the terminal; its notebook then finds all of it."""
    started = time.monotonic()
    from msrn import profiles  # torch loads with these: seconds, so not for --help
    from msrn.experiments import paper, runner
    from msrn.report import results_table, text
    from msrn.report.words import duration

    table = paper.TABLES.get(name)
    request = profiles.resolve(**parameters, data=(table or paper.MASKS).data)  # refused now, not in a notebook's cell
    if table:
        click.echo(text.sheet_text(results_table.sheet_of(runner.make(table, request))) + "\n")
    if notebook:
        output = execute(notebook, {**parameters, "profile": request.profile})
        click.echo(f"Notebook with figures: {output}")
    click.echo(f"All of it took {duration(time.monotonic() - started)}.")


def execute(source: Path, parameters: dict[str, Any]) -> Path:
    """A notebook with its outputs, written into the store of runs; one that fails stays there under another name, with
    the traceback in it."""
    import papermill

    from msrn.store.files import writing

    output = paths.runs_folder() / source.name
    unfinished = output.with_suffix(".unfinished.ipynb")
    with writing(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            papermill.execute_notebook(
                source, unfinished, parameters, cwd=source.parent, progress_bar={"desc": source.name}
            )
        except papermill.PapermillExecutionError as error:
            reason = f"{error.ename}: {error.evalue}".splitlines()[0]
            raise MsrnError(f"{source.name}: cell {error.exec_count} failed ({reason}); see {unfinished}") from None
        unfinished.replace(output)
    return output


def _parameters(options: dict[str, Any]) -> dict[str, Any]:
    """The options as ``profiles.resolve`` and a notebook's parameters cell take them."""
    weights, settings = (_pairs(name, options[key]) for name, key in (("--weights", "weights"), ("--set", "settings")))
    try:
        settings = {name: yaml.safe_load(text) for name, text in settings.items()}
    except yaml.YAMLError:
        raise MsrnError(f"--set {settings}: a value is not readable as YAML; expected NAME=VALUE") from None
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
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        raise MsrnError(f"--seeds {text}: expected whole numbers separated by commas, such as 0,1,2") from None


def _pairs(option: str, assignments: tuple[str, ...]) -> dict[str, str]:
    if wrong := [text for text in assignments if "=" not in text]:
        raise MsrnError(f"{option} {wrong[0]}: expected NAME=VALUE")
    return dict(text.split("=", 1) for text in assignments)


def main(commands: click.Group = cli) -> None:
    """Errors that a user can mend are one line; an interruption says how to go on."""
    try:
        code = commands(standalone_mode=False)
    except MsrnError as error:
        click.echo(f"msrn: {error}", err=True)
        code = 2
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("msrn: interrupted; the same command goes on from the last checkpoint (msrn status)", err=True)
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()

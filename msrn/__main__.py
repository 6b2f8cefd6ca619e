"""``python -m msrn``: doctor, run, record, status, data.

``run`` first trains and scores in this process, where its progress bars reach the terminal, and then executes the
table's notebook, which finds everything in the store: what ``papermill notebooks/... out.ipynb`` does, in two parts.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml

from msrn import __version__, paths
from msrn.errors import MsrnError, did_you_mean

NOTEBOOKS = {"table7": "table7_foreground_masks", "table8": "table8_ablation"}
RECORDED = ("table7", "table8", "study", "masks", "density")  # what ``record`` knows


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
ASKING = (
    click.argument("experiment"),
    click.option("--profile", default="auto", show_default=True, help=PROFILES),
    click.option("--dataset", help="Data set instead of the profile's."),
    click.option("--data-root", help="Folder of a data set that is not embedded."),
    click.option("--seeds", help="Seeds, separated by commas, such as 0,1,2."),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto."),
    click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of msrn/settings.py."),
    click.option("--weights", multiple=True, metavar="NAME=PATH", help="A network's file: clip, cue or saliency."),
)


def asks(command: Callable) -> Callable:
    """Give a command the argument and the options that say which experiment is wanted, and how."""
    for decorate in reversed(ASKING):
        command = decorate(command)
    return command


@cli.command()
@asks
def run(experiment: str, **asked: Any) -> None:
    """Make a table, such as table8: train or reuse its runs, execute its notebook, print it."""
    _run(experiment, _given(experiment, asked, tuple(NOTEBOOKS)))


@cli.command()
@asks
@click.option("--budget", default="25m", show_default=True, help="Time to use, such as 90s, 25m or 8h.")
@click.option("--only", multiple=True, metavar="ROW", help="A single row, such as M-SRN; may be repeated.")
def record(experiment: str, budget: str, only: tuple[str, ...], **asked: Any) -> None:
    """Keep results of a table, the study, masks or density in results/.

    As many runs as fit into the budget; the next call goes on. Density trains nothing and takes minutes whatever the
    budget.
    """
    given = _given(experiment, asked, RECORDED)
    from msrn import profiles
    from msrn.evaluation import masks
    from msrn.experiments import densities
    from msrn.experiments import record as recording
    from msrn.experiments.runner import suited

    table = "table7" if experiment in ("table7", masks.EXPERIMENT) else "table8"
    request, seconds = profiles.resolve(**given, table=table), recording.seconds_of(budget)
    if experiment == densities.EXPERIMENT and only:
        raise MsrnError(f"--only {only[0]}: density has no rows, leave it out")
    if experiment == densities.EXPERIMENT:
        lines = densities.record(request)
    elif experiment == masks.EXPERIMENT:
        lines = masks.record(suited("table7", request), seconds, only=only)
    else:
        lines = recording.record(experiment, request, seconds, only=only)
    for line in lines:
        click.echo(line)


@cli.command()
def status() -> None:
    """The stored runs: state, step, time, size on disk."""
    from msrn.report.results_table import many
    from msrn.training.runs import list_runs

    found = list_runs()
    if not found:
        click.echo("no runs yet: python -m msrn run table8 makes them")
        return
    click.echo(f"{'run':<32} {'variant':<10} {'state':<22} {'step':>17} {'time':>12} {'MB':>6}")
    for entry in found:
        click.echo(_status_line(entry))
    click.echo(f"{many(len(found), 'run')}, {sum(entry['bytes'] for entry in found) / 2**20:,.0f} MB")


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


def _run(experiment: str, given: dict[str, Any]) -> None:
    started = time.monotonic()
    from msrn.profiles import resolve  # torch loads with these: seconds, so not for --help

    request = resolve(**given, table=experiment)
    from msrn.experiments import ablation
    from msrn.report import results_table

    result = getattr(ablation, experiment)(request)
    name = NOTEBOOKS[experiment]
    output = execute_notebook(name, {**given, "profile": request.profile})
    click.echo(results_table.table_text(result, f"notebooks/{name}.ipynb"))
    click.echo(f"\nNotebook with figures: {output}")
    click.echo(
        f"Runs and results:      {output.parent} ({', '.join(outcome.run.folder.name for outcome in result.outcomes)})"
    )
    click.echo(f"All of it took {results_table.duration(time.monotonic() - started)}.")


def execute_notebook(name: str, parameters: dict[str, Any]) -> Path:
    """``notebooks/NAME.ipynb`` with its outputs, written into the store of runs; one that fails stays there under
    another name, with the traceback in it."""
    import papermill
    from traitlets.config import Config

    from msrn.store.files import writing

    source, output = paths.NOTEBOOKS / f"{name}.ipynb", paths.runs_folder() / f"{name}.ipynb"
    unfinished = output.with_suffix(".unfinished.ipynb")
    with writing(output.parent), tempfile.TemporaryDirectory(prefix="msrn-") as sockets:
        # Sockets in files need no free port and are nobody else's to read; Windows has none.
        transport = {} if os.name == "nt" else {"transport": "ipc", "ip": f"{sockets}/kernel"}
        try:
            papermill.execute_notebook(
                source,
                unfinished,
                parameters,
                cwd=source.parent,
                progress_bar={"desc": source.name},
                config=Config({"KernelManager": transport}),
            )
        except papermill.PapermillExecutionError as error:
            said = f"{error.ename}: {error.evalue}".splitlines()[0]
            raise MsrnError(f"{source.name}: cell {error.exec_count} failed ({said}); see {unfinished}") from None
        unfinished.replace(output)
    return output


def _status_line(entry: dict[str, Any]) -> str:
    from msrn.report.results_table import duration
    from msrn.store.files import read_json

    if not entry["readable"]:
        return f"{entry['name']:<32} its params.yaml cannot be read: delete that folder, or run again to mend it"
    if entry["step"] < entry["steps"]:
        state = "unfinished"
    elif not entry["current"]:
        state = "made by older code"
    else:
        state = "finished, evaluated" if entry["evaluated"] else "finished"
    row = (read_json(paths.runs_folder() / entry["name"] / "result.json") or {}).get("variant") or "–"
    step = f"{entry['step']:,} / {entry['steps']:,}"
    size = f"{entry['bytes'] / 2**20:,.1f}"
    return f"{entry['name']:<32} {row:<10} {state:<22} {step:>17} {duration(entry['seconds']):>12} {size:>6}"


def _given(experiment: str, asked: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """The options as ``params.resolve`` and a notebook's parameters cell take them."""
    if experiment not in known:
        nearest = did_you_mean(experiment, known)
        raise MsrnError(f"unknown experiment {experiment!r}{nearest}: expected one of {', '.join(known)}")
    # A relative path is the caller's; the notebook runs in another folder.
    weights = {name: _absolute(path) for name, path in _pairs("--weights", "clip=ViT-L-14.pt", asked["weights"])}
    settings = dict(map(_setting, _pairs("--set", "prototypes=5", asked["settings"])))
    root = asked["data_root"] and _absolute(asked["data_root"])
    return {**asked, "data_root": root, "seeds": _seeds(asked["seeds"]), "settings": settings, "weights": weights}


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())


def _seeds(text: str | None) -> list[int] | None:
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        raise MsrnError(f"--seeds {text}: expected whole numbers separated by commas, such as 0,1,2") from None


def _pairs(option: str, example: str, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    """NAME=VALUE in two parts."""
    for text in texts:
        if "=" not in text:
            raise MsrnError(f"{option} {text}: expected NAME=VALUE, such as {option} {example}")
    return [(name.strip(), value) for name, _, value in (text.partition("=") for text in texts)]


def _setting(pair: tuple[str, str]) -> tuple[str, Any]:
    """A setting's value, read from its text."""
    name, text = pair
    try:
        return name, yaml.safe_load(text)
    except yaml.YAMLError:
        raise MsrnError(f"--set {name}={text}: the value is not readable as YAML; expected NAME=VALUE") from None


def main() -> None:
    """Errors that a user can mend are one line; an interruption says how to go on."""
    try:
        code = cli(standalone_mode=False)
    except MsrnError as error:
        click.echo(f"msrn: {error}", err=True)
        code = 2
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(
            "msrn: interrupted; the same command goes on from the last checkpoint (python -m msrn status)", err=True
        )
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()

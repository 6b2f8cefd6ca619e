"""The notebooks of the exhibits: which there are, and how one is executed."""

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from msrn import paths
from msrn.errors import MsrnError
from msrn.store.files import writing

NAME = re.compile(r"(table|figure|section)\d+(_\d+)*")


def notebooks() -> dict[str, Path]:
    """The notebook of each exhibit that has one, by the beginning of its name, such as ``table8``."""
    found = {NAME.match(file.stem)[0]: file for file in paths.NOTEBOOKS.glob("*.ipynb") if NAME.match(file.stem)}
    return dict(sorted(found.items(), key=lambda item: order(item[0])))


def order(name: str) -> tuple:
    kind = NAME.match(name)[1]
    return kind, [int(number) for number in re.findall(r"\d+", name)]


def execute(source: Path, parameters: dict[str, Any]) -> Path:
    """A notebook with its outputs, written into the store of runs; one that fails stays there under another name, with
    the traceback in it."""
    import papermill  # here, since the list of notebooks needs neither
    from traitlets.config import Config

    output = paths.runs_folder() / source.name
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

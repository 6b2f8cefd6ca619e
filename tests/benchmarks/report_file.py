"""Where a benchmark writes its figures: a file that is looked at before the minutes of measuring, not after them."""

import argparse
import json
from pathlib import Path
from typing import Any


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", type=_file, help="write the figures there")


def write(file: Path | None, report: dict[str, Any]) -> None:
    """The report as JSON, where a file was asked for."""
    if file:
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _file(name: str) -> Path:
    file = Path(name)
    if file.is_dir() or not file.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{name}: expected a file in a folder that exists")
    return file

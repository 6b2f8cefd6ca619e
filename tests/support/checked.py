"""What ``msrn data check`` says of an archive."""

from pathlib import Path

from msrn.data import check
from msrn.errors import MsrnError


def report(root: Path, name: str = "shapenet") -> tuple[list[str], str]:
    """(lines, what was refused at the end or '')."""
    lines = []
    try:
        for line in check.check(name, root):
            lines.append(line)
    except MsrnError as error:
        return lines, str(error)
    return lines, ""

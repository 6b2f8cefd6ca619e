"""One exception for everything a user can mend, always one line: what, its value, what was expected, what to do."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


def printable(text: str) -> str:
    """In one line that every stream takes: bytes of a name that are not UTF-8 as ``\\xe9``."""
    try:
        escaped = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # halves of characters that stand for no byte
        escaped = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return " ".join(escaped.splitlines()) or escaped


class MsrnError(Exception):
    """A mistake in the input or the surroundings, said in one line; command line and notebooks show no traceback."""

    def __init__(self, text: str = "") -> None:
        super().__init__(printable(str(text)))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [f"MsrnError: {self}"]


def quoted(value: object, most: int = 60) -> str:
    """A value as Python writes it, cut when it is long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested without end, or a number of too many digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def first_line(error: Exception) -> str:
    """Of what an error of another library says, or its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """ " (did you mean X?)" for the nearest of ``options``, or an empty string when nothing is near."""
    near = get_close_matches(str(name)[:100], list(options), n=1, cutoff=0.5)
    return f" (did you mean {near[0]}?)" if near else ""


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Refuse a ``name`` that is not among ``known``."""
    known = list(known)
    if name not in known:
        raise MsrnError(f"unknown {what} {quoted(name)}{did_you_mean(name, known)}: expected one of {', '.join(known)}")


def torn_asset(path: Path, reason: object) -> MsrnError:
    """What to say of a file that is part of the package and is missing or cannot be read."""
    what = "is missing" if isinstance(reason, FileNotFoundError) else f"is torn ({reason})"
    return MsrnError(f"{path} {what}; it is part of the package: install msrn again, or git checkout the file")

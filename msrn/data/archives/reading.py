"""Reading what others made: nothing outside of the archive's folder, and nothing but files. ``arrays`` reads numbers.

Each function says in one line what is wrong with a file: which, what was found, what was expected.
"""

import errno
import io
import os
import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from msrn.data import picture
from msrn.errors import MsrnError, first_line

SHOWN = 20  # bad files or missing objects that a message names before it only counts


def open_root(name: str, root: Path | None) -> Path:
    """The resolved folder of an archive that is not embedded."""
    if root is None:
        raise MsrnError(f"dataset {name} is not part of the package: give its folder as data_root; see data describe")
    if not is_folder(root):
        kind = "a file" if exists(root) else "nothing"
        raise MsrnError(f"data_root of {name} is {str(root)!r}: expected a folder, found {kind}")
    _real.cache_clear()  # links may have been changed since another folder was opened
    return root.resolve()


def wrong_root(name: str, root: Path, expected: str, inside: Sequence[str] = ()) -> MsrnError:
    """What was looked for in ``root`` and what was found; ``inside`` are folders that may hold what was meant."""
    names = listing(root)
    first = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    hint = next((f"; did you mean {root / folder}?" for folder in inside if is_folder(root / folder)), "")
    return MsrnError(f"{root} is not the archive of {name}: looked for {expected}; found {first or 'nothing'}{hint}")


def listing(folder: Path) -> list[str]:
    """The names in a folder, sorted."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise unreadable(folder, error) from None


def stat_of(path: Path | str) -> os.stat_result:
    """Size and times of a file or folder."""
    try:
        return os.stat(path)
    except OSError as error:
        raise unreadable(path, error) from None


def exists(path: Path | str) -> bool:
    """Whether there is such a file or folder; ``Path.exists`` raises, or says no, where one may not be asked about."""
    return _mode(path) is not None


def is_folder(path: Path | str) -> bool:
    """The same of a folder."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: Path | str) -> int | None:
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: nothing can have such a name
        return None
    except OSError as error:
        raise unreadable(path, error) from None


def read_bytes(root: Path, path: Path | str) -> bytes:
    """The content of a file under ``root``, a resolved folder; links are followed as long as they stay there."""
    with open_file(root, path) as file:
        try:
            return file.read()
        except OSError as error:
            raise unreadable(path, error) from None


def open_file(root: Path, path: Path | str) -> io.FileIO:
    """The same file, open."""
    folder, name = os.path.split(path)
    try:
        real = _real(folder)
        if os.path.islink(path):
            real, name = os.path.split(os.path.realpath(path))
        if not _within(str(root), real):
            raise _leads_out(root, path)
        return open(os.path.join(real, name), "rb", buffering=0, opener=_open_regular)
    except OSError as error:
        raise unreadable(path, error) from None
    except ValueError as error:  # a NUL, or letters that the file system has no bytes for
        raise MsrnError(f"{str(path)!r} cannot be the name of a file ({first_line(error)})") from None


def _open_regular(path: str, flags: int) -> int:
    """A file's descriptor. A pipe in its place would be waited for without end, were it not opened so."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # what is wrong with a folder is said by ``open``
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file but a pipe or a device")
    return descriptor


@lru_cache(maxsize=1024)  # pictures lie many to a folder
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _leads_out(root: Path, path: Path | str) -> MsrnError:
    """Names the first link on the way, so that a folder of thousands of files is one line."""
    inside = [place for place in (*reversed(Path(path).parents), Path(path)) if root in place.parents]
    place = next((each for each in inside if not _within(str(root), os.path.realpath(each))), path)
    said = f"{place} leads out of {root}, to {os.path.realpath(place)}: links may only lead to files of the archive"
    if not os.path.islink(place):
        return MsrnError(said)
    return MsrnError(f"{said}; put the files themselves there (cp -rL), or mount their folder there (mount --bind)")


def _within(root: str, real: str) -> bool:
    return real == root or real.startswith(root.rstrip(os.sep) + os.sep)


class Unreadable(MsrnError):
    """It cannot be read now and may be later: nothing is said of its content, and nothing may be remembered of it."""


def unreadable(path: Path | str, error: OSError) -> Unreadable:
    if isinstance(error, FileNotFoundError):
        return Unreadable(f"{path} is missing")
    if isinstance(error, PermissionError):
        return Unreadable(f"{path} may not be read: change its permissions, or those of the folders above it")
    return Unreadable(f"{path} cannot be read ({error.strerror or error})")


def read_lines(root: Path, path: Path) -> list[str]:
    """The lines of a text that are not empty; a byte order mark and the line ends of Windows are dropped."""
    try:
        lines = read_bytes(root, path).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise MsrnError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from None
    return [line for line in (line.rstrip("\r") for line in lines) if line.strip()]


def read_names(root: Path, path: Path) -> list[str]:
    """The names that a list file holds, one a line: plain names of files or folders, at least one, none twice."""
    names = read_lines(root, path)
    if not names:
        raise MsrnError(f"{path} is empty: expected a name on each line; is the archive whole?")
    unique = set()
    for name in names:
        if name in unique:
            raise MsrnError(f"{path} names {name!r} twice: expected every name once")
        unique.add(name)
        plain_name(name, path)
    return names


def plain_name(name: str, path: Path) -> str:
    """``name`` unless it leads elsewhere, as ``../x`` does."""
    if name in (".", "..") or any(sign in name for sign in "/\\\0") or (os.name == "nt" and ":" in name):
        raise MsrnError(f"{path} names {name!r}: expected the plain name of a file or folder, without a path")
    return name


def read_picture(root: Path, path: Path | str, mode: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """A PNG or JPEG as (H, W, 3) for mode RGB, transparent parts on white, or a mask as (H, W) for mode L; uint8.

    ``size`` (width, height) is required where it is given.
    """
    content = read_bytes(root, path)
    try:
        loaded, found = picture.load(content, ("PNG", "JPEG"))
        if size and found != size:
            raise MsrnError(f"{path} is {_size(found)} pixels: expected {_size(size)}")
        return np.asarray(picture.colors(loaded) if mode == "RGB" else picture.cover(loaded))
    except MsrnError:
        raise
    except Exception as error:  # the decoders of Pillow raise anything at all
        raise MsrnError(f"{path} {f'is not a whole PNG or JPEG ({why(error)})' if content else 'is empty'}") from None


def why(error: Exception) -> str:
    """Pillow names the object in memory that it could make nothing of, which differs each time."""
    return "it is of another kind" if isinstance(error, UnidentifiedImageError) else first_line(error)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def named(lines: Sequence[str], most: int = SHOWN) -> str:
    """The first of ``lines`` and how many more there are."""
    more = f"; and {len(lines) - most:,} more" if len(lines) > most else ""
    return "; ".join(lines[:most]) + more


def picture_size(root: Path, path: Path | str) -> tuple[int, int]:
    """Width and height of a PNG or JPEG, of which only the header is read."""
    try:
        with open_file(root, path) as file, Image.open(io.BufferedReader(file), formats=("PNG", "JPEG")) as header:
            return header.size
    except MsrnError:
        raise
    except Exception as error:  # as with whole pictures
        raise MsrnError(f"{path} is not a PNG or JPEG ({why(error)})") from None

"""``msrn reconstruct``: a photograph or a folder of them into meshes, batch by batch.

    OUT/NAME.glb ...               the mesh, also .obj and .ply where asked for
    OUT/NAME.png                   a sheet: photograph, mask, mesh
    OUT/reconstructions.jsonl      a line for each photograph: category, confidence, doubts, pose

A line is written when its files are there, so an interrupted call goes on where it stopped, and a photograph that has
not changed is not looked at again. A file that cannot be read is named and has a line too; it stops no other.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from msrn import paths
from msrn.errors import MsrnError, check_known
from msrn.reconstruct import files, packed
from msrn.reconstruct.packed import Packed
from msrn.reconstruct.photographs import Photograph, files_in, mask_beside, read
from msrn.reconstruct.reconstructor import Found, Reconstructor
from msrn.store.files import write_bytes, writing

LINES = "reconstructions.jsonl"
BATCH = 8
NETWORK = "network.safetensors"  # in the folder of a run


@dataclass(frozen=True)
class Wanted:
    """A photograph and what its files are to be called."""

    path: Path
    name: str  # relative to the folder, without a suffix where no other photograph shares it


def network_of(run: str | None) -> Packed:
    """The network of a run of ``msrn train``, by its name, or the one that comes with msrn."""
    if run is None:
        return packed.read(packed.SHIPPED)
    folder = paths.runs_folder()
    known = [file.parent.name for file in sorted(folder.glob(f"*/{NETWORK}"))]
    if not known:
        raise MsrnError(f"--run {run}: no run in {folder} has a network for photographs; msrn train FOLDER makes one")
    check_known("run", run, known)
    return packed.read(folder / run / NETWORK)


def wanted(photographs: Path, out: Path) -> list[Wanted]:
    """What a photograph or a folder asks for; ``out`` may lie in it, and nothing there is a photograph."""
    if out.exists() and not out.is_dir():
        raise MsrnError(f"-o {out}: a file; expected a folder, which is made where there is none")
    if photographs.is_file():
        return [Wanted(photographs, photographs.stem)]
    if not photographs.is_dir():
        raise MsrnError(f"{photographs}: no such file or folder; expected a photograph, or a folder of them")
    if out.resolve() == photographs.resolve():
        raise MsrnError(f"-o {out}: the folder of the photographs; expected another one, such as {out / 'meshes'}")
    found = list(files_in(photographs, out.resolve()))
    if not found:
        raise MsrnError(f"{photographs}: no photograph in it; expected files such as .jpg or .png, sub-folders too")
    whole = [path.relative_to(photographs) for path in found]
    short = Counter(path.with_suffix("") for path in whole)
    names = [path if short[path.with_suffix("")] > 1 else path.with_suffix("") for path in whole]
    names = names if len({*names}) == len(names) else whole  # a.jpg.png beside a.jpg and a.png
    return [Wanted(path, name.as_posix()) for name, path in zip(names, found, strict=True)]


def reconstruct(
    photographs: Path, out: Path, run: str | None = None, formats: Sequence[str] = ("glb",), masks: Path | None = None
) -> str:
    """Make the meshes of a photograph or a folder; a sentence that counts them. MsrnError at the end where some files
    could not be read."""
    for name in formats:
        check_known("format", name, files.FORMATS)
    asked, network = wanted(photographs, out), network_of(run)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / LINES).touch()  # a folder that cannot be written is known before anything is computed
    _compact(out / LINES, ())  # a line that was torn must not swallow the next
    lines = _lines(out / LINES)
    kept = {line["name"]: line for line in lines if line.get("network") == network.digest and "photograph" in line}
    maker, bad, fresh, doubtful = Reconstructor(network), [], 0, 0
    root = photographs if photographs.is_dir() else photographs.parent
    bar = tqdm(total=len(asked), desc="reconstructing", unit="photograph", disable=None if len(asked) > 1 else True)
    with bar:
        for start in range(0, len(asked), BATCH):
            part = asked[start : start + BATCH]
            opened = dict(_opened(part, masks, root, bad, out))
            left = {one for one, photo in opened.items() if not _done(one, photo, kept, out, formats)}
            # All of the batch, or the last bits would be others where an interruption left a part of it.
            made = maker(list(opened.values())) if left else [None] * len(opened)
            for (one, photo), found in zip(opened.items(), made, strict=True):
                if one in left:
                    _write(one, photo, found, out, formats, network.digest)
                    fresh, doubtful = fresh + 1, doubtful + bool(found.doubts)
            bar.update(len(part))
    _compact(out / LINES, [one.name for one in asked])
    whole = len(asked) - len(bad)
    said = f"{whole} of {len(asked)} photographs reconstructed into {out}"
    said += f", {whole - fresh} of them before" * (fresh < whole) + f"; {doubtful} with doubts" * bool(doubtful)
    if bad:
        raise MsrnError(f"{said}; {len(bad)} could not be read, first {bad[0]}")
    return said


def _opened(
    part: Sequence[Wanted], masks: Path | None, root: Path, bad: list[str], out: Path
) -> Iterator[tuple[Wanted, Photograph]]:
    """The photographs of a batch; of one that cannot be read the reason is a line, and goes to ``bad``."""
    for one in part:
        try:
            yield one, read(one.path, mask_beside(masks, one.path, root))
        except MsrnError as error:
            bad.append(str(error))
            click.echo(f"left out: {error}", err=True)
            _append(out, {"name": one.name, "error": str(error)})


def _done(one: Wanted, photo: Photograph, kept: dict[str, dict], out: Path, formats: Sequence[str]) -> bool:
    """Whether the files of this very photograph by this very network are there."""
    line = kept.get(one.name)
    there = all((out / f"{one.name}.{kind}").is_file() for kind in (*formats, "png"))
    return line is not None and line["photograph"] == photo.digest and there


def _write(one: Wanted, photo: Photograph, found: Found, out: Path, formats: Sequence[str], network: str) -> None:
    target = out / one.name
    with writing(out):
        target.parent.mkdir(parents=True, exist_ok=True)
    for kind in formats:
        write_bytes(target.with_name(f"{target.name}.{kind}"), files.FORMATS[kind](found))
    write_bytes(target.with_name(f"{target.name}.png"), files.sheet(found, photo, one.path.name))
    _append(out, {"name": one.name, "file": one.path.name, **files.line_of(found, photo), "network": network})


def _append(out: Path, line: dict[str, Any]) -> None:
    with writing(out), open(out / LINES, "a", encoding="utf-8") as file:
        file.write(files.as_json(line))


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of an earlier call; one torn by a kill is made again."""
    found = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        found += [line] if isinstance(line, dict) and "name" in line else []
    return found


def _compact(path: Path, names: Sequence[str]) -> None:
    """The last line of each name, those of ``names`` in their order and before them others of earlier calls."""
    last = {line["name"]: line for line in _lines(path)}
    if not path.is_file():
        return
    order = [name for name in last if name not in set(names)] + [name for name in names if name in last]
    write_bytes(path, "".join(files.as_json(last[name]) for name in order).encode())

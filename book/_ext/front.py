"""Sphinx extension: opens the start page with photographs and the meshes that were made of them, to turn.

The mark ``<!-- front: meshes -->`` becomes test objects of procedural13 as Figure 9 has them recorded: of the first six
categories by name the median object by CD. Nothing is trained, and where nothing is recorded the page says so.
"""

from dataclasses import replace
from pathlib import Path

from PIL import Image
from sphinx.application import Sphinx

from msrn import paths, profiles
from msrn.evaluation.examples import images_of
from msrn.experiments.paper import TABLES
from msrn.report import gallery, viewer
from msrn.report.pictures import base64_of
from msrn.store.meshes import recorded

PAGE, MARK = "book/start", "<!-- front: meshes -->"
DATASET, PROFILE, TABLE = "procedural13", "laptop", "table8"
ROWS, COUNT, SIDE = ("M-SRN", "w/o NC"), 6, 112


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the meshes in place of the mark; results and meshes that come or change have the page read again."""
    if page == PAGE and MARK in source[0]:
        source[0] = source[0].replace(MARK, f"```{{raw}} html\n{opening()}\n```")
        code = (Path(module.__file__) for module in (gallery, viewer))
        kept = (paths.RESULTS / "meshes", paths.RESULTS / TABLE)
        for file in (Path(__file__), *code, *kept, *(file for folder in kept for file in folder.glob("*"))):
            app.env.note_dependency(str(file))


def opening() -> str:
    """The photographs in a row, and below them the meshes of the one that is chosen."""
    request = profiles.resolve(PROFILE, DATASET, device="cpu")
    found = gallery.of_recorded(TABLES[TABLE], request) if recorded() else []
    if not found:
        return "<p>No meshes are recorded: <code>msrn record figure9 --profile laptop --dataset procedural13</code></p>"
    whole = found[0]
    names = {"median": whole.names["median"][:COUNT]}
    one = replace(whole, names=names, meshes={row: whole.meshes[row] for row in ROWS})
    tiles = "".join(_tile(one, name) for name in names["median"])
    return f'<div class="front-photographs">{tiles}</div>\n{viewer.fragment(one)}'.replace("\n\n", "\n")


def _tile(one: gallery.Gallery, name: str) -> str:
    image = one.test.images[images_of(one.test, [name])[0]].transpose(1, 2, 0)
    picture = base64_of(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS)._repr_png_())
    label, source = one.term(name), f"data:image/png;base64,{picture}"
    image = f'<img alt="Test image: {label}" width="{SIDE}" height="{SIDE}" src="{source}">'
    return f"<figure>{image}<figcaption>{label}</figcaption></figure>"

"""Reconstructions on a page: their sheets, and as the viewer of galleries takes them, to turn."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from IPython.display import HTML

from msrn.reconstruct import files
from msrn.reconstruct.photographs import Photograph
from msrn.reconstruct.reconstructor import Found
from msrn.report.pictures import base64_of

ELEVATION = 30.0  # of the network's camera, degrees
TITLE = "mesh"


@dataclass(frozen=True)
class Shelf:
    """What ``report.viewer`` asks of a gallery."""

    names: dict[str, list[str]]  # the category that was found -> photographs
    found: Mapping[str, Found]
    test: SimpleNamespace

    def term(self, name: str) -> str:
        return name

    def shapes(self, name: str) -> dict:
        """The mesh with the colours of its faces, by its title."""
        one = self.found[name]
        mesh, colors = (one.vertices, one.faces), np.rint(255 * one.corner_colors.mean(1)).astype(np.uint8)
        return {TITLE: (mesh, colors)}

    def pose(self, name: str) -> tuple[float, float]:
        return self.found[name].azimuth, ELEVATION


def of(found: Mapping[str, Found]) -> Shelf:
    """The reconstructions of photographs by their names."""
    names: dict[str, list[str]] = {}
    for name, one in found.items():
        names.setdefault(f"taken for a {one.category}", []).append(name)
    return Shelf(names, found, SimpleNamespace(name="your photographs"))


def sheets(found: Mapping[str, Found], photographs: Mapping[str, Photograph]) -> HTML:
    """The sheets of photographs below each other, each with a text for those who do not see it."""
    images = []
    for name, one in found.items():
        doubts = "; ".join(one.doubts) or "none"
        words = f"{name}, taken for a {one.category}: photograph, mask, mesh as seen and turned. Doubts: {doubts}."
        source = f"data:image/png;base64,{base64_of(files.sheet(one, photographs[name], name))}"
        images.append(f'<img style="max-width:100%" alt="{html.escape(words, quote=True)}" src="{source}">')
    return HTML("".join(images))

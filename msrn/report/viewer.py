"""Meshes that turn in the browser, truth and rows beside each other, with a still picture for where nothing turns.

In the book (``MSRN_BOOK=1``) the page brings plotly.js itself, from a local file, so the output is HTML without any
library in it. Elsewhere, as in JupyterLab, plotly's own MIME type is shown by the renderer that plotly installs.
"""

import html
import json
import os

import numpy as np
import plotly.graph_objects as go
import plotly.io
from IPython.display import display
from PIL import Image
from plotly.subplots import make_subplots

from msrn.evaluation.examples import every
from msrn.evaluation.protocol import Mesh
from msrn.experiments.runner import Result
from msrn.report.gallery import Gallery, of_result
from msrn.report.pictures import INK, base64_of, draw_mesh
from msrn.report.words import many

HEIGHT = 330  # pixels
EYE = 1.5  # from the middle, where the frame of all meshes is 1 long
CLEAR = "rgba(0,0,0,0)"


def show_reconstruction(result: Result, row: int) -> None:
    """Display what this run makes of the test image ``row``."""
    show(of_result(result, {"": [str(result.test.object_id[row])]}, result.test))


def show(gallery: Gallery) -> None:
    """Display the meshes of the gallery's objects, an object at a time, first as the input's camera sees it."""
    bundle = _bundle(gallery)
    display(bundle, raw=True, metadata={"image/png": {"alt": bundle["text/plain"]}})


def fragment(gallery: Gallery) -> str:
    """The same as HTML, for a page of the book that is no notebook."""
    return _bundle(gallery)["text/html"]


def _bundle(gallery: Gallery) -> dict[str, object]:
    names = every(gallery.names)
    azimuth, elevation = gallery.pose(names[0])
    shapes = gallery.shapes(names[0])
    which = names[0] if len(names) == 1 else f"{many(len(names), 'test object')}, chosen from a list, first {names[0]}"
    alt = f"Meshes beside each other: {', '.join(shapes)}. Of {gallery.test.name}: {which}. Drag one to turn it."
    picture = np.hstack([draw_mesh(*shape, azimuth, elevation, HEIGHT) for shape in shapes.values()])
    still = base64_of(Image.fromarray(picture)._repr_png_())
    return {"image/png": still, "text/plain": alt} | _turning(_figure(gallery, names), still, alt)


def _turning(figure: go.Figure, still: str, alt: str) -> dict[str, object]:
    """The figure by its MIME type."""
    if not os.environ.get("MSRN_BOOK"):
        return {"application/vnd.plotly.v1+json": json.loads(figure.to_json())}
    bare = {"full_html": False, "include_plotlyjs": False, "include_mathjax": False}
    fragment = plotly.io.to_html(figure, **bare, config={"displayModeBar": False})
    label = html.escape(alt, quote=True)
    fallback = f'<noscript><img alt="{label}" src="data:image/png;base64,{still}"></noscript>'
    return {"text/html": f'<div role="img" aria-label="{label}">{fragment}</div>{fallback}'}


def _figure(gallery: Gallery, names: list[str]) -> go.Figure:
    """A scene for the truth and for each row, y up, without axes, and a list of the objects."""
    titles = list(gallery.shapes(names[0]))
    scenes = [f"scene{k or ''}" for k in (0, *range(2, len(titles) + 1))]  # as plotly counts
    figure = make_subplots(1, len(titles), specs=[[{"type": "scene"}] * len(titles)], horizontal_spacing=0.01)
    for name in names:
        for column, shape in enumerate(gallery.shapes(name).values(), 1):
            figure.add_trace(_trace(*shape, visible=name == names[0]), 1, column)
    reach = max(float(np.abs(trace[axis]).max()) for trace in figure.data for axis in "xyz")
    axes = {f"{axis}axis": {"visible": False, "range": [-reach, reach]} for axis in "xyz"}
    look = {"aspectmode": "cube", "bgcolor": CLEAR, "dragmode": "orbit"} | axes  # all at one scale
    figure.update_layout({scene: look | {"camera": _camera(*gallery.pose(names[0]))} for scene in scenes})
    margin = {"l": 0, "r": 0, "b": 0, "t": 60, "autoexpand": False}
    figure.update_layout(height=HEIGHT, margin=margin, paper_bgcolor=CLEAR)
    figure.update_layout(updatemenus=[_menu(gallery, names, scenes)] * (len(names) > 1))
    paper = {"xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom"}
    for column, title in enumerate(titles):
        place = {"x": (column + 0.5) / len(titles), "y": 1, "showarrow": False}
        figure.add_annotation(text=title, font={"color": INK}, **place, **paper)
    return figure


def _menu(gallery: Gallery, names: list[str], scenes: list[str]) -> dict[str, object]:
    """The list of objects: each shows its own meshes, from its input's camera."""
    buttons = []
    for name in names:
        seen = [name == other for other in names for _ in scenes]
        turned = {f"{scene}.camera": _camera(*gallery.pose(name)) for scene in scenes}
        buttons.append({"method": "update", "args": [{"visible": seen}, turned], "label": _label(gallery, name)})
    place = {"x": 0, "xanchor": "left", "y": 1.22, "yanchor": "top"}
    return {"buttons": buttons, "bgcolor": CLEAR, "font": {"color": INK}, **place}


def _label(gallery: Gallery, name: str) -> str:
    places = [place for place, names in gallery.names.items() if name in names]
    return f"{gallery.term(name)}, {' and '.join(places)}"


def _trace(mesh: Mesh, face_colors: np.ndarray, visible: bool) -> go.Mesh3d:
    """A mesh, its bounding box around the origin."""
    vertices = np.asarray(mesh[0], np.float32)
    vertices = vertices - (vertices.min(0) + vertices.max(0)) / 2
    corners = dict(zip("xyz", vertices.T, strict=True))
    corners |= dict(zip("ijk", np.asarray(mesh[1], np.int32).T, strict=True))
    colors = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in face_colors.tolist()]
    light = {"ambient": 0.55, "diffuse": 0.6, "specular": 0.05, "roughness": 0.9}
    looks = {"lighting": light, "lightposition": {"x": 1000, "y": 2000, "z": 1500}, "visible": visible}
    return go.Mesh3d(**corners, facecolor=colors, flatshading=True, hoverinfo="skip", **looks)


def _camera(azimuth: float, elevation: float) -> dict[str, dict[str, float]]:
    """Where the eye stands, seen from the middle of the object."""
    a, e = np.deg2rad([azimuth, elevation])
    eye = EYE * np.array([np.cos(e) * np.sin(a), np.sin(e), np.cos(e) * np.cos(a)])
    return {"up": {"x": 0, "y": 1, "z": 0}, "eye": dict(zip("xyz", eye.tolist(), strict=True))}

"""One mesh that turns in the browser, with a still picture for where nothing turns.

In the book (``MSRN_BOOK=1``) the page brings plotly.js itself, from a local file, so the output is HTML without any
library in it. Elsewhere, as in JupyterLab, plotly's own MIME type is shown by the renderer that plotly installs.
"""

import html
import json
import os

import numpy as np
import plotly.graph_objects as go
import plotly.io
import trimesh
from IPython.display import display
from PIL import Image

from msrn.evaluation.inference import predict
from msrn.evaluation.protocol import Mesh
from msrn.experiments.runner import Result
from msrn.report.pictures import base64_of, draw_mesh
from msrn.store import files

HEIGHT = 380  # pixels


def show_reconstruction(result: Result, row: int) -> None:
    """Display the mesh of the test image ``row``, first as the input's camera sees it, and keep it as OBJ."""
    run, test = result.of(result.table.ours)[0].run, result.test
    views = predict(run.network(), test, [row])
    mesh, colors = views.meshes_in_true_frame(test.true_pose()[[row]])[0], views.face_colors[0]
    azimuth, elevation, _ = test.true_pose()[row].tolist()
    name = str(test.object_id[row])
    alt = (
        f"Mesh of {result.table.ours} from one image of the test object {name}, {len(mesh[1])} faces; drag to turn it."
    )
    still = base64_of(Image.fromarray(draw_mesh(mesh, colors, azimuth, elevation, HEIGHT))._repr_png_())
    bundle = {"image/png": still, "text/plain": alt} | _turning(_figure(mesh, colors, azimuth, elevation), still, alt)
    display(bundle, raw=True, metadata={"image/png": {"alt": alt}})
    file = run.folder / f"{name.replace('/', '-')}.obj"
    shape = trimesh.Trimesh(*mesh, face_colors=colors, process=False)
    files.write_text(file, shape.export(file_type="obj", header=None, digits=5))  # colours by vertex
    print(f"{alt} As a file: {file.relative_to(run.folder.parent)} in the store of runs.")


def _turning(figure: go.Figure, still: str, alt: str) -> dict[str, object]:
    """The figure by its MIME type."""
    if not os.environ.get("MSRN_BOOK"):
        return {"application/vnd.plotly.v1+json": json.loads(figure.to_json())}
    bare = {"full_html": False, "include_plotlyjs": False, "include_mathjax": False}
    fragment = plotly.io.to_html(figure, **bare, config={"displayModeBar": False})
    label = html.escape(alt, quote=True)
    fallback = f'<noscript><img alt="{label}" src="data:image/png;base64,{still}"></noscript>'
    return {"text/html": f'<div role="img" aria-label="{label}">{fragment}</div>{fallback}'}


def _figure(mesh: Mesh, face_colors: np.ndarray, azimuth: float, elevation: float) -> go.Figure:
    """The mesh in plotly, y up, without axes."""
    points, faces = np.round(np.asarray(mesh[0]), 4).T.tolist(), np.asarray(mesh[1]).T.tolist()
    corners = dict(zip("xyzijk", (*points, *faces), strict=True))
    colors = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in face_colors.tolist()]
    light = {"ambient": 0.55, "diffuse": 0.6, "specular": 0.05, "roughness": 0.9}
    lamp = {"x": 1000, "y": 2000, "z": 1500}
    looks = {"facecolor": colors, "flatshading": True, "hoverinfo": "skip", "lighting": light, "lightposition": lamp}
    a, e = np.deg2rad([azimuth, elevation])
    eye = 1.6 * np.array([np.cos(e) * np.sin(a), np.sin(e), np.cos(e) * np.cos(a)])
    view = {"up": {"x": 0, "y": 1, "z": 0}, "eye": dict(zip("xyz", eye.tolist(), strict=True))}
    clear = "rgba(0,0,0,0)"
    scene = {"aspectmode": "data", "bgcolor": clear, "dragmode": "orbit", "camera": view}
    scene |= {f"{axis}axis": {"visible": False} for axis in "xyz"}
    page = {"height": HEIGHT, "margin": dict.fromkeys("lrtb", 0), "paper_bgcolor": clear, "scene": scene}
    return go.Figure(go.Mesh3d(**corners, **looks), page)

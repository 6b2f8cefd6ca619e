"""Pictures of reconstructions beside the truth, and how any picture is shown.

Backgrounds are transparent and lines are of middle brightness, so that they read on light and dark pages; every
picture is shown with a text that says what is on it.
"""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from msrn import camera
from msrn.data.collection import ImageCollection
from msrn.data.drawing import zbuffer
from msrn.evaluation.inference import predict
from msrn.evaluation.protocol import Mesh
from msrn.experiments.runner import Outcome, Result
from msrn.report.words import many

INK = "#7f858d"  # readable on white and on near-black
TURN = 90.0  # degrees between the two views of a mesh
ZOOM = 1.15  # objects fill two thirds of a photograph's frame or less; all pictures are cropped alike
TILE, SAMPLES = 112, 3


def quiet(axes: Axes) -> None:
    """Axes in one middle grey, without a frame."""
    axes.set_facecolor("none")
    axes.tick_params(colors=INK, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)


@dataclass(frozen=True)
class Picture:
    """A figure with its text for those who do not see it; notebooks show it as HTML."""

    figure: Figure
    alt: str

    def _repr_html_(self) -> str:
        said = html.escape(self.alt, quote=True)
        source = data_url(png(self.figure))
        return f'<img class="dark-light" style="max-width:100%" alt="{said}" src="{source}">'


def png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=160, facecolor="none", bbox_inches="tight", pad_inches=0.03)
    return file.getvalue()


def data_url(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def draw_mesh(mesh: Mesh, face_colors: np.ndarray, azimuth: float, elevation: float, size: int = TILE) -> np.ndarray:
    """A shaded picture (size, size, 4) uint8 of a mesh, centred, from a direction in degrees; transparent around it.

    ``face_colors`` (F, 3) uint8. The light is that of the photographs (``data.drawing.zbuffer``).
    """
    vertices, faces = np.asarray(mesh[0], np.float64), np.ascontiguousarray(mesh[1], np.int32)
    vertices = vertices - (vertices.min(0) + vertices.max(0)) / 2
    angles = (torch.tensor([angle], dtype=torch.float64) for angle in (azimuth, elevation, 0.0))
    rotation = camera.rotation(*angles)  # (1, 3, 3)
    translation = rotation.new_tensor([[0.0, 0.0, camera.DISTANCE]])
    points = torch.from_numpy(vertices)[None]
    projected = camera.project(points, rotation, translation, camera.FOCAL * ZOOM).numpy()
    in_camera = (points @ rotation + translation[:, None]).numpy()
    nearest = zbuffer.nearest_face(projected, faces, size * SAMPLES)[0]
    lit = face_colors * zbuffer.shade(in_camera, faces)[0, :, None]  # (F, 3)
    seen = nearest >= 0
    color = np.where(seen[..., None], lit[nearest], 0.0).reshape(size, SAMPLES, size, SAMPLES, 3).sum((1, 3))
    count = seen.reshape(size, SAMPLES, size, SAMPLES).sum((1, 3))[..., None]
    return np.concatenate([color / np.maximum(count, 1), count * (255 / SAMPLES**2)], axis=-1).astype(np.uint8)


def typical_objects(result: Result, count: int = 6) -> np.ndarray:
    """Images of ``result.test``, one per category: the object whose CD under the whole network is the
    category's median, neither the best nor the worst."""
    record, test = result.of(result.table.ours)[0].record, result.test
    row_of = {str(test.object_id[row]): row for row in test.evaluation_index}
    chosen = []
    for name in test.categories[:count]:
        mine = [k for k, category in enumerate(record.objects["category"]) if category == name]
        ordered = sorted(mine, key=lambda k: record.objects["cd"][k])
        if ordered:
            chosen.append(row_of[record.objects["object_id"][ordered[(len(ordered) - 1) // 2]]])
    return np.array(chosen)


def objects_picture(result: Result, rows: Sequence[int]) -> Picture:
    """Input, truth and every variant's mesh of the images ``rows``, by the input's camera and turned by 90 degrees."""
    test = result.test
    shown = [result.of(row.name)[0] for row in result.table.trained]
    columns = [_truth_tiles(test, rows), *(_model_tiles(outcome, test, rows) for outcome in shown)]
    width = 1 + 2 * len(columns)
    figure = Figure(figsize=(1.06 * width, 1.1 * len(rows) + 0.4))
    grid = figure.add_gridspec(len(rows), width, wspace=0.04, hspace=0.04)
    axes = [[figure.add_subplot(grid[i, j]) for j in range(width)] for i in range(len(rows))]
    for i, row in enumerate(rows):
        _tile(axes[i][0], test.images[row].transpose(1, 2, 0), ZOOM)
        axes[i][0].set_ylabel(test.categories[test.category[row]], color=INK, fontsize=12)
        for j, tiles in enumerate(columns):
            for view in (0, 1):
                _tile(axes[i][1 + 2 * j + view], tiles[i][view])
    axes[0][0].set_title("input", color=INK, fontsize=12, loc="center")
    for j, name in enumerate(["truth", *(outcome.row.name for outcome in shown)]):
        axes[0][1 + 2 * j].set_title(name, color=INK, fontsize=12, x=1.02)
    return Picture(figure, _objects_alt(result, rows))


def _objects_alt(result: Result, rows: Sequence[int]) -> str:
    """What ``objects_picture`` shows, with its numbers."""
    parts = []
    for row in rows:
        name = str(result.test.object_id[row])
        scores = []
        for variant in result.table.trained:
            objects = result.of(variant.name)[0].record.objects
            scores.append(f"{variant.name} {objects['cd'][objects['object_id'].index(name)]:.1f}")
        parts.append(f"{result.test.categories[result.test.category[row]]} ({', '.join(scores)})")
    *names, last = [variant.name for variant in result.table.trained]
    return (
        f"{many(len(rows), 'test object')} in rows; in columns the input image, then the true mesh, {', '.join(names)} "
        f"and {last}, each from the input's camera and turned by {TURN:.0f} degrees. "
        f"Chamfer distances: {'; '.join(parts)}."
    )


def _truth_tiles(test: ImageCollection, rows: Sequence[int]) -> list[list[np.ndarray]]:
    truths = [test.ground_truth(str(test.object_id[row])) for row in rows]
    return [_two_views((t.vertices, t.faces), t.face_colors, test, row) for t, row in zip(truths, rows, strict=True)]


def _model_tiles(outcome: Outcome, test: ImageCollection, rows: Sequence[int]) -> list[list[np.ndarray]]:
    views = predict(outcome.run.network(), test, rows)
    meshes = views.meshes_in_true_frame(test.true_pose()[rows])
    return [
        _two_views(mesh, views.face_colors[k], test, row)
        for k, (mesh, row) in enumerate(zip(meshes, rows, strict=True))
    ]


def _two_views(mesh: Mesh, face_colors: np.ndarray, test: ImageCollection, row: int) -> list[np.ndarray]:
    azimuth, elevation, _ = test.true_pose()[row].tolist()
    return [draw_mesh(mesh, face_colors, azimuth + turn, elevation) for turn in (0.0, TURN)]


def _tile(axes: Axes, picture: np.ndarray, zoom: float = 1.0) -> None:
    """A picture on a white plate like the photographs', so that dark objects stand out on dark pages as well."""
    axes.set_facecolor("white")
    axes.imshow(picture, interpolation="antialiased", extent=(-zoom, zoom, -zoom, zoom))
    axes.set(xlim=(-1, 1), ylim=(-1, 1), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)

"""Galleries (Figures 5, 6, 7 and 9): test objects chosen by a rule, and what each row of a table makes of them.

Input, truth and meshes stand beside each other, from the input's camera and turned by 90 degrees.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import trimesh
from IPython.display import HTML, Markdown
from scipy.ndimage import binary_erosion

from msrn.data import QUESTIONS, shapes_known
from msrn.data.collection import ImageCollection
from msrn.evaluation.examples import chosen, every, images_of, meshes_of, poses_of
from msrn.evaluation.protocol import VERSION, Mesh
from msrn.experiments import recorded, runner
from msrn.experiments.recorded import Group
from msrn.experiments.runner import Experiment, Result
from msrn.experiments.table import Table
from msrn.experiments.verdicts import says_nothing
from msrn.profiles import Request
from msrn.report.html import download, note_html, plain_html
from msrn.report.pictures import TILE, TURN, Picture, drawn, fitting_zoom, grid
from msrn.report.results_table import origin
from msrn.report.words import many, two_decimals
from msrn.store import meshes as stored
from msrn.store.meshes import Meshes
from msrn.store.results import Record

TRUTH, TURNED, CUT_OUT = "truth", ", turned", "cut out"
PLATE = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.7}  # behind a number
EDGE = 127  # grey of the line around a mesh: light ones stand out from the white page as well
APART = 1.3  # between meshes in a file, of which one is 1 long
Drawing = tuple[np.ndarray, np.ndarray]  # picture (S, S, 3), mask (S, S)


@dataclass(frozen=True)
class Gallery:
    """What a figure shows of one data set."""

    test: ImageCollection  # images as they are shown, and the truth
    names: dict[str, list[str]]  # the place of objects in their categories -> an object of each
    ours: Record  # of the row of the whole method, by which they were chosen
    meshes: dict[str, Meshes]  # of each row
    source: str  # in words

    def term(self, name: str) -> str:
        """The category of an object."""
        return self.test.categories[self.test.category[images_of(self.test, [name])[0]]]

    def shapes(self, name: str) -> dict[str, tuple[Mesh, np.ndarray]]:
        """The true mesh of an object, where it is known, and that of each row, with the colours of their faces."""
        mine = {row: meshes.of(name) for row, meshes in self.meshes.items()}
        if not shapes_known(self.test.name):
            return mine
        true = self.test.ground_truth(name)
        return {TRUTH: ((true.vertices, true.faces), true.face_colors)} | mine

    def pose(self, name: str) -> tuple[float, float]:
        """Azimuth and elevation of the input's camera, in degrees."""
        return tuple(poses_of(self.test, images_of(self.test, [name]))[0, :2].tolist())

    def cd(self, place: str) -> dict[str, list[float]]:
        """CD of each row, object by object."""
        return {row: meshes.cd_of(self.names[place]) for row, meshes in self.meshes.items()}


def make(table: Table, request: Request, progress: bool = True) -> list[Gallery]:
    """A gallery of each data set that has recorded meshes: of the one that is asked for, or of all that stand in for
    it. Where there are none, or longer training or other settings are asked for, one of this run."""
    return of_recorded(table, request) or [of_run(runner.make(table, request, progress))]


def of_run(result: Result) -> Gallery:
    """The gallery of this run, its photographs as they are before the foreground module."""
    request, names = result.request, chosen(result.of(result.table.ours)[0].record)
    test = Experiment(result.table, request).open(result.table.split)
    one = f"profile {request.label}, seed {request.seeds[0]}"
    source = f"No recorded meshes fit what is asked for: these are of this run, {one}."
    source += " They prove that the code runs, and reproduce nothing." * says_nothing(request.profile)
    return of_result(result, names, test, _instead(request) + source)


def of_result(result: Result, names: dict[str, list[str]], test: ImageCollection, source: str = "") -> Gallery:
    firsts = {row.name: result.of(row.name)[0] for row in result.trained}
    shown = {row: meshes_of(one.run, one.record, result.test, every(names)) for row, one in firsts.items()}
    return Gallery(test, names, firsts[result.table.ours].record, shown, source)


def of_recorded(table: Table, request: Request) -> list[Gallery]:
    """A gallery of each data set of which there are recorded meshes."""
    files, records, found = stored.recorded(), recorded.pool(), []
    for name in QUESTIONS if request.instead_of else [request.dataset]:
        groups = [
            group for group in recorded.groups(table, records, name, request)
            if group.steps >= request.settings.steps and _seed(group, files) is not None and not request.changed
        ]  # fmt: skip
        if best := recorded.best(groups):
            test = Experiment(table, replace(request, dataset=name)).open(table.split)
            found += filter(None, [_of_group(best, files, test, _instead(request))])
    return found


def _seed(group: Group, files: dict[str, Path]) -> int | None:
    """The first seed of which there are meshes of every row."""
    known = [{record.seed for record in row if record.evaluation in files} for row in group.trained.values()]
    return min(set.intersection(*known), default=None) if group.first.protocol == VERSION else None


def _of_group(group: Group, files: dict[str, Path], test: ImageCollection, instead: str) -> Gallery | None:
    """None where images, or the choice of objects by the whole method, are not those of the meshes any more."""
    seed = _seed(group, files)
    one = {name: next(record for record in row if record.seed == seed) for name, row in group.trained.items()}
    shown, ours = {name: stored.read(files[record.evaluation]) for name, record in one.items()}, one[group.table.ours]
    names = chosen(ours)
    same = all({*every(names)} <= {*meshes.object_id.tolist()} for meshes in shown.values())
    if not same or ours.fingerprint != test.fingerprint:
        return None
    return Gallery(test, names, ours, shown, f"{instead}As recorded, seed {seed}: {origin(group)}.")


def _instead(request: Request) -> str:
    """In place of which of the paper's sets a data set stands."""
    return f"In place of {request.instead_of}, for which no data_root is given. " * bool(request.instead_of)


# what is shown


def words(gallery: Gallery) -> Markdown:
    """Where the meshes come from, and which objects are shown."""
    test, whole = gallery.test, set(gallery.ours.objects["category"])
    terms = {gallery.term(name) for name in every(gallery.names)}
    some = f"{len(terms)} of {len(whole)} categories, the first by name" * (len(terms) < len(whole))
    rule = f"the {', the '.join(gallery.names)} by CD under {gallery.ours.variant}"
    shown = f"{len(every(gallery.names))} of {gallery.ours.n_objects} test objects"
    each = some or f"{len(terms)} categories"
    return Markdown(f"**{test.name}**. {gallery.source} Shown are {shown}: of each of {each} {rule}.")


def picture(gallery: Gallery, place: str) -> Picture:
    """Input, truth and every row's mesh of the objects at one place in their categories, CD in the corner."""
    names, cd, ours = gallery.names[place], gallery.cd(place), gallery.ours.variant
    rows, labels = [drawings(gallery, name) for name in names], [gallery.term(name) for name in names]
    figure = grid({title: [row[title][0] for row in rows] for title in rows[0]}, labels)
    cells = dict(zip(rows[0], np.reshape(figure.axes, (len(names), -1)).T, strict=True))
    cut = f", the cut-out for {ours}" * (CUT_OUT in cells)
    if not shapes_known(gallery.test.name):
        seen = f"the meshes of {', '.join(cd)}, as the network's own camera sees each and turned by {TURN:.0f} degrees"
        return Picture(figure, f"{many(len(names), 'test photograph')}{cut}; beside each {seen}.")
    for row, values in cd.items():
        for axes, value in zip(cells[row], values, strict=True):
            axes.text(0.04, 0.04, f"{value:.2f}", transform=axes.transAxes, fontsize=7, bbox=PLATE)
    told = [", ".join(f"{row} {values[k]:.2f}" for row, values in cd.items()) for k in range(len(names))]
    parts = "; ".join(f"{label} ({text})" for label, text in zip(labels, told, strict=True))
    alt = (
        f"{many(len(names), 'test object')} of {gallery.test.name} in rows; in columns the input image{cut}, then "
        f"the true mesh and those of {', '.join(cd)}, each from the input's camera and turned by {TURN:.0f} degrees. "
        f"Chamfer distances: {parts}."
    )
    nearest = [min(cd, key=lambda row: cd[row][k]) for k in range(len(names))]
    count = f" {ours} is the nearest to the truth in {nearest.count(ours)} of {len(names)} of them." * (len(cd) > 1)
    caption = f"{gallery.test.name}: of each category the {place} object by CD under {ours}. In the corner: CD.{count}"
    return Picture(figure, alt, caption * bool(place))


def drawings(gallery: Gallery, name: str) -> dict[str, Drawing]:
    """The input, a photograph's cut-out and the meshes by column, but for it at one zoom, at which none is cut off."""
    shapes, (azimuth, elevation) = gallery.shapes(name), gallery.pose(name)
    views = {"": azimuth, TURNED: azimuth + TURN}
    zoom = min(fitting_zoom(mesh, angle, elevation) for mesh, _ in shapes.values() for angle in views.values())
    found = {"input": (_framed(gallery.test.images[images_of(gallery.test, [name])[0]], zoom), np.zeros(0))}
    seen = gallery.meshes[gallery.ours.variant].input_of(name)
    if gallery.test.masks is None and seen is not None:
        found[CUT_OUT] = seen, np.zeros(0)
    for title, shape in shapes.items():
        for end, angle in views.items():
            image, mask = drawn(*shape, angle, elevation, TILE, zoom)
            image[mask & ~binary_erosion(mask)] = EDGE
            found[title + end] = image, mask
    return found


def _framed(image: np.ndarray, zoom: float) -> np.ndarray:
    """An image (3, H, W) at the zoom of the meshes beside it, cut or with a white border."""
    edge = round(image.shape[-1] * (1 - 1 / zoom) / 2)
    wide = np.pad(image, [(0, 0), *[(max(-edge, 0),) * 2] * 2], constant_values=255)
    inside = slice(max(edge, 0), wide.shape[-1] - max(edge, 0))
    return wide[:, inside, inside].transpose(1, 2, 0)


def table(gallery: Gallery) -> HTML:
    """By row: mean CD of the shown objects, and the IoU of silhouettes with the truth's from both sides."""
    seen, lines = [drawings(gallery, name) for name in every(gallery.names)], []
    for row in gallery.meshes:
        values = [np.mean(gallery.cd(place)[row]) for place in gallery.names]
        values += [np.mean([_iou(one[TRUTH + end][1], one[row + end][1]) for one in seen]) for end in ("", TURNED)]
        lines.append([row, *map(two_decimals, values)])
    head = ["", *(f"CD: {place}" for place in gallery.names), "silhouette, input's camera", "silhouette, turned"]
    note = "Silhouette: IoU of the drawn masks of mesh and truth, both centred. Means of the objects that are shown."
    return HTML(plain_html(f"{gallery.test.name}: the objects above", head, lines, note))


def _iou(mask: np.ndarray, other: np.ndarray) -> float:
    return float((mask & other).sum() / max((mask | other).sum(), 1))


# as files


def links(gallery: Gallery, name: str) -> HTML:
    """The meshes of all rows as one file, and the distances."""
    base = f"{name}-{gallery.test.name}"
    files = [
        download(f"{base}.glb", "model/gltf-binary", as_glb(gallery)),
        download(f"{base}.csv", "text/csv", as_csv(gallery).encode()),
    ]
    text = f"{gallery.test.name}: the meshes of {', '.join(gallery.meshes)} as one scene, and the distances."
    return HTML(note_html(text, files))


def as_csv(gallery: Gallery) -> str:
    """A line for each object that is shown and each row."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["place", "category", "object", "row", "cd", "run", "evaluation"])
    for place, names in gallery.names.items():
        for row, values in gallery.cd(place).items():
            made = [gallery.meshes[row].about[key] for key in ("run", "evaluation")]
            for name, value in zip(names, values, strict=True):
                writer.writerow([place, gallery.term(name), name, row, f"{value:.6g}", *made])
    return file.getvalue()


def as_glb(gallery: Gallery) -> bytes:
    """A scene of all meshes, y up, front toward +z: a line an object, a column a row; colours by vertex."""
    scene = trimesh.Scene()
    for line, name in enumerate(every(gallery.names)):
        for column, (row, meshes) in enumerate(gallery.meshes.items()):
            mesh, colors = meshes.of(name)
            shape, place = trimesh.Trimesh(*mesh, face_colors=colors, process=False), np.eye(4)
            place[:2, 3] = APART * column, -APART * line
            scene.add_geometry(shape, node_name=f"{name} {row}", geom_name=f"{name} {row}", transform=place)
    return scene.export(file_type="glb")


# on the page of a table


def typical_objects(result: Result, count: int = 6) -> np.ndarray:
    """Images of ``result.test``, one per category: the object whose CD under the whole network is the median."""
    return images_of(result.test, chosen(result.of(result.table.ours)[0].record)["median"][:count])


def objects_picture(result: Result, rows: Sequence[int]) -> Picture:
    """The same picture of the images ``rows``, by this run."""
    return picture(of_result(result, {"": result.test.object_id[rows].tolist()}, result.test), "")

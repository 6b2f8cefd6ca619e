"""Test objects that stand for the others in a figure, chosen by a rule, and their meshes (Figures 5, 6, 7 and 9).

Of each category the best, the median and the worst by CD under the whole method, or by mask IoU where no shapes are
known: nothing is picked by hand.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from msrn.data import shapes_known
from msrn.data.collection import ImageCollection
from msrn.evaluation.inference import predict
from msrn.evaluation.protocol import HEADLINE, evaluate_meshes
from msrn.evaluation.score import SEED
from msrn.store.meshes import Meshes, about, packed
from msrn.store.results import Record
from msrn.training.runs import Run

PLACES = "median", "best", "worst"
BEFORE = 0.0, 30.0, 0.0  # azimuth, elevation and roll that stand for those of a photograph whose camera is not known
MOST = 13  # categories, as many as the paper's largest data set has; of more the first by name


def chosen(record: Record) -> dict[str, list[str]]:
    """For each of ``PLACES`` an object of each category, by the CDs of a record of the whole method, or its mask IoUs;
    of an even number the median is the nearer of both in the middle."""
    far = record.objects["cd"] if "cd" in record.objects else [-fit for fit in record.objects["mask_iou"]]
    lines = sorted(zip(far, record.objects["category"], record.objects["object_id"], strict=True))
    terms = sorted(set(record.objects["category"]))[:MOST]
    ranked = [[name for _, category, name in lines if category == term] for term in terms]
    at = {"median": lambda names: names[(len(names) - 1) // 2], "best": lambda names: names[0]}
    at["worst"] = lambda names: names[-1]
    return {place: [at[place](names) for names in ranked] for place in PLACES}


def every(names: Mapping[str, Sequence[str]]) -> list[str]:
    """All objects that are shown, each once."""
    return list(dict.fromkeys(name for some in names.values() for name in some))


def images_of(test: ImageCollection, names: Sequence[str]) -> np.ndarray:
    """The citable image of each object."""
    row_of = {str(test.object_id[row]): int(row) for row in test.evaluation_index}
    return np.array([row_of[name] for name in names], int)


def poses_of(test: ImageCollection, rows: np.ndarray) -> np.ndarray:
    """The camera (N, 3) of images, in degrees: the true one, or where none is known one before the front."""
    return test.true_pose()[rows] if shapes_known(test.name) else np.tile(np.float32(BEFORE), (len(rows), 1))


def meshes_of(run: Run, record: Record, test: ImageCollection, names: Sequence[str]) -> Meshes:
    """What a run made of test objects; ``test`` as the network sees it. CD is not a number where it is not known."""
    rows = images_of(test, names)
    views = predict(run.network(), test, rows)
    posed = views.meshes_in_true_frame(poses_of(test, rows))
    columns = record.objects
    cd = dict(zip(columns["object_id"], columns["cd"], strict=True)) if "cd" in columns else {}
    values = np.array([cd.get(name, np.nan) for name in names])
    shapes = [packed(vertices, faces, mesh.colors) for (vertices, faces), mesh in zip(posed, views.meshes, strict=True)]
    return Meshes(np.array(names), values, shapes, about(record, run.folder.name), np.asarray(test.images[rows]))


def measured_again(meshes: Meshes, test: ImageCollection, names: Sequence[str]) -> np.ndarray:
    """CD of some of the objects, from the meshes that are shown; the record's, but for the rounding of vertices."""
    surfaces = [meshes.of(name)[0] for name in names]
    return evaluate_meshes(surfaces, test, images_of(test, names), meshes.about["points"], SEED).cd[HEADLINE]

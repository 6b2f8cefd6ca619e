"""``msrn train FOLDER``: the method on a collection of one's own photographs, which have no true shapes.

What a table does with its row M-SRN happens here too: foreground, neighbours, training, with the same profiles, store
and resume. In place of distances stand what photographs can say of themselves: mask IoU on held-out ones, how often the
mesh has left its object, which azimuths were found, and a sheet of reconstructions.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tabulate import tabulate

from msrn.data.collection import ImageCollection
from msrn.data.subset import subset
from msrn.evaluation.inference import LOST, Predictions, predict
from msrn.experiments import runner
from msrn.experiments.runner import Experiment, Job
from msrn.experiments.table import Row, Table
from msrn.profiles import Request
from msrn.reconstruct import packed
from msrn.reconstruct.command import NETWORK
from msrn.reconstruct.packing import packed_of
from msrn.report.pictures import INK, draw_mesh, png_of
from msrn.store.files import write_bytes, write_text

OWN = Table("3", "A collection of one's own", "folder", (Row("M-SRN", settings={}),), name="photographs")
BINS = 12  # of the circle
SHOWN = 6  # photographs of a category on the sheet
ELEVATION, TURN = 30.0, 90.0


def train(request: Request, progress: bool = True, until: float | None = None) -> Iterator[str]:
    """Train or go on, and report; a line at a time. OutOfTime past ``until``."""
    experiment = Experiment(OWN, request, progress, until)
    for seed in request.seeds:
        job = runner.job_of(experiment, OWN.rows[0], seed)
        run = runner.train(experiment, job)
        held = held_out(job)
        views = predict(run.network(), held, np.arange(len(held)))
        text = table_of(views, held)
        write_text(run.folder / "report.txt", text + "\n")
        write_bytes(run.folder / "report.png", sheet(views, held))
        packed.write(run.folder / NETWORK, packed_of(run, job, held, {"folder": Path(request.data_root).name}))
        yield f"{text}\n\nSheet: {run.folder / 'report.png'}"
        yield f"msrn reconstruct PHOTOGRAPHS -o OUT --run {run.folder.name}"


def held_out(job: Job) -> ImageCollection:
    """Photographs of the test split in which an object was found."""
    rows = np.flatnonzero(job.test.masks.any((1, 2)))
    return subset(job.test, rows) if len(rows) < len(job.test) else job.test


def table_of(views: Predictions, held: ImageCollection) -> str:
    """By category: photographs, mask IoU, share that left its object, and the azimuths that were found."""
    lines = []
    for term in np.unique(held.category):
        mine = held.category == term
        fit, counts = views.mask_iou[mine], counts_of(views.azimuth[mine])
        lines.append(
            [held.categories[term], int(mine.sum()), f"{fit.mean():.2f}", f"{(fit < LOST).mean():.0%}", *counts]
        )
    head = ["category", "photographs", "mask IoU", "lost", *(f"{k * 360 // BINS}°" for k in range(BINS))]
    note = "Held-out photographs; lost: mask IoU below 0.1; then how many have which azimuth. No true shapes, no CD."
    return f"{tabulate(lines, head, 'plain', disable_numparse=True)}\n{note}"


def counts_of(azimuth: np.ndarray) -> list[int]:
    """How many azimuths fall into each of the bins, the first centred on 0 degrees."""
    return np.bincount(np.round(azimuth * BINS / 360).astype(int) % BINS, minlength=BINS).tolist()


def sheet(views: Predictions, held: ImageCollection) -> bytes:
    """A PNG: of each category held-out photographs from the best to the worst fit, each with its mesh as seen and
    turned by a quarter; and the azimuths that were found."""
    terms = np.unique(held.category)
    figure = Figure(figsize=(1.1 * 3 * SHOWN + 2.4, 1.2 * len(terms) + 0.5), dpi=110, facecolor="white")
    cells = figure.subplots(len(terms), 3 * SHOWN + 1, squeeze=False, width_ratios=[1] * 3 * SHOWN + [2])
    for line, term in zip(cells, terms, strict=True):
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        rows = from_best_to_worst(np.flatnonzero(held.category == term), views.mask_iou)
        for place, row in enumerate(rows):
            mesh, azimuth = views.meshes[row], views.azimuth[row]
            tiles = [held.images[row].transpose(1, 2, 0)]
            tiles += [draw_mesh(mesh[:2], mesh.colors, azimuth + turn, ELEVATION) for turn in (0.0, TURN)]
            for axes, tile in zip(line[3 * place :], tiles, strict=False):
                axes.imshow(tile)
            line[3 * place].set_title(f"IoU {views.mask_iou[row]:.2f}", fontsize=8, color=INK)
        line[0].set_ylabel(held.categories[term], fontsize=9)
        line[-1].bar(np.arange(BINS) * 360 / BINS, counts_of(views.azimuth[held.category == term]), 24, color=INK)
        line[-1].set_xticks([0, 90, 180, 270])
        line[-1].tick_params(labelsize=7)
    cells[0, -1].set_title("azimuths found, degrees", fontsize=8, color=INK)
    figure.tight_layout(pad=0.4)
    return png_of(figure)


def from_best_to_worst(rows: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """At most ``SHOWN`` of the rows, evenly from the best to the worst fit, so that no choice flatters."""
    ranked = rows[np.argsort(-fit[rows], kind="stable")]
    return ranked[np.unique(np.linspace(0, len(ranked) - 1, min(SHOWN, len(ranked))).round().astype(int))]

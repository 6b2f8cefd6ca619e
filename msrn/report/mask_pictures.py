"""Pictures of the foreground module: photographs, masks and cues side by side (Figure 8), the bank, the fine-tuning."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from torch.nn.functional import normalize

from msrn.data.collection import ImageCollection
from msrn.foreground.perceptron import BACKGROUND, FOREGROUND
from msrn.foreground.pipeline import Foreground
from msrn.foreground.saliency import Saliency
from msrn.losses import mask_iou
from msrn.memory import MemoryBank
from msrn.report.pictures import BLUE, INK, ORANGE, Picture, grid, log_panels, quiet

QUARTILE = 0.25
CANDIDATES = 24  # photographs of a category among which the typical one is looked for
TRUE = "true mask"
COLUMNS = (  # of Figure 8
    f"(a) input|(b) {TRUE}|(c) off-the-shelf|(d) cues of [43]|(e) our cues|(f) refined by [43]|(g) refined by ours"
).split("|")
TUNING = {  # log key -> title
    "class": "category, whole image",
    "foreground_class": "category, foreground",
    "suppression": "suppression, S_b / S",
    "area": "area of the cue",
    "contrast": "L_for, Eq. 15",
    "agreement": "agreement with M_o",
}


def typical_photographs(collection: ImageCollection, saliency: Saliency) -> np.ndarray:
    """Rows whose off-the-shelf masks are worth refining: of some photographs of each category, evenly spread, the one
    at the lower quartile of its mask's IoU; the first one where there are no true masks. A category without photographs
    in this split has none here."""
    rows = []
    for term in np.unique(collection.category):
        mine = np.flatnonzero(collection.category == term)
        count, place = min(CANDIDATES, len(mine)), 0
        some = mine[np.arange(count) * len(mine) // count]
        if collection.has_true_masks:
            coarse = saliency.masks(np.asarray(collection.images[some]), progress=False)
            iou = mask_iou(coarse, np.asarray(collection.true_masks()[some]))
            place = np.argsort(iou, kind="stable")[int(QUARTILE * (len(some) - 1))]
        rows.append(some[place])
    return np.array(rows)


def coarse_iou(collection: ImageCollection, saliency: Saliency) -> np.ndarray:
    """IoU of the off-the-shelf mask of every photograph (N,); only where there are true masks."""
    return mask_iou(saliency.masks(collection.images, progress=False), np.asarray(collection.true_masks()))


def histogram(iou: np.ndarray) -> Picture:
    """How many photographs have an off-the-shelf mask of which IoU, in tenths."""
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = figure.subplots()
    counts, *_ = axes.hist(iou, 10, range=(0, 1), color=BLUE, rwidth=0.92)
    axes.axvline(iou.mean(), color=INK, linestyle="--", linewidth=1)
    quiet(axes, x="IoU of the off-the-shelf mask; dashed, the mean", y="photographs")
    words = ", ".join(f"{count:.0f}" for count in counts)
    return Picture(figure, f"Histogram of IoU in tenths from 0 to 1: {words} photographs. Mean {iou.mean():.2f}.")


def columns_of_figure8(
    ours: Foreground, theirs: Foreground, test: ImageCollection, rows: Sequence[int]
) -> dict[str, np.ndarray]:
    """The columns of Figure 8 for the photographs ``rows``: images (n,H,W,3), masks (n,H,W) bool, cues (n,H,W).

    Photographs without true masks have no column for them.
    """
    images = np.asarray(test.images[rows])
    soft = ours.saliency.maps(images, progress=False)
    our_cues, their_cues = ours.cues(images, None), theirs.cues(images, None)
    true = np.asarray(test.true_masks()[rows]) if test.has_true_masks else None
    refined = theirs.combined(soft, their_cues), ours.combined(soft, our_cues)
    columns = (images.transpose(0, 2, 3, 1), true, soft >= 128, their_cues, our_cues, *refined)
    return {title: pictures for title, pictures in zip(COLUMNS, columns, strict=True) if pictures is not None}


def columns_picture(columns: Mapping[str, np.ndarray], labels: Sequence[str]) -> Picture:
    """A row of pictures for each label: colours as they are, masks in black and white, cues in false colour over the
    photograph of the first column. The text gives the IoU of every mask."""
    photographs = next(iter(columns.values()))
    drawn = {title: [_drawn(*pair) for pair in zip(c, photographs, strict=True)] for title, c in columns.items()}
    true = next((pictures for title, pictures in columns.items() if title.endswith(TRUE)), None)
    alt = [f"Columns: {', '.join(columns)}. Rows: {', '.join(labels)}."]
    for title, pictures in columns.items():
        if true is not None and pictures.dtype == bool and pictures is not true:
            alt.append(f"IoU of {title}: {', '.join(f'{value:.2f}' for value in mask_iou(pictures, true))}.")
    return Picture(grid(drawn, labels), " ".join(alt))


def _drawn(picture: np.ndarray, photograph: np.ndarray) -> np.ndarray:
    if picture.dtype == bool:
        return np.repeat(picture[..., None], 3, -1) * np.uint8(255)
    if picture.ndim == 3:
        return picture
    grey = photograph.mean(-1, keepdims=True) / 255
    return (0.65 * colormaps["turbo"](picture)[..., :3] + 0.35 * grey).clip(0, 1)


def memory(bank: MemoryBank) -> Picture:
    """The features that the bank holds: their two largest directions of variation, and their cosines with each term."""
    count = int(bank.filled.min())
    values = (bank.values[term, :count] for term in (FOREGROUND, BACKGROUND))
    f, b = (normalize(v, dim=1).cpu().numpy() for v in values)
    flat = PCA(2, random_state=0).fit_transform(np.concatenate([f, b]))
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.scatter(*flat[:count].T, s=16, color=BLUE, marker="o", label="foreground")
    left.scatter(*flat[count:].T, s=16, color=ORANGE, marker="x", label="background")
    cosines = {"within foreground": f @ f.T, "within background": b @ b.T, "between them": f @ b.T}
    for (name, pairs), color in zip(cosines.items(), (BLUE, ORANGE, INK), strict=True):
        different = pairs.ravel() if color == INK else pairs[np.triu_indices(count, 1)]
        right.hist(different, 40, range=(-1, 1), density=True, histtype="step", color=color, label=name, linewidth=1.6)
    quiet(left, "slots of L_f and L_b, two main directions")
    quiet(right, "cosines of pairs")
    for axes in (left, right):
        axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    means = ", ".join(f"{name} {pairs.mean():.2f}" for name, pairs in cosines.items())
    return Picture(figure, f"{count} slots of each term. Mean cosine: {means}.")


def tuning(log: Sequence[dict]) -> Picture:
    """A panel for each logged term over the steps of fine-tuning."""
    last = ", ".join(f"{title} {log[-1][key]:.2f}" for key, title in TUNING.items() if key in log[-1])
    figure = log_panels(TUNING, [(log, {"color": BLUE, "linewidth": 1.7})])
    return Picture(figure, f"Six panels over steps of fine-tuning. At the end: {last}.")

"""Pictures of the foreground module: photographs, masks and cues side by side (Figure 8), the bank, the threshold."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from msrn.data.collection import ImageCollection
from msrn.foreground.perceptron import BACKGROUND, FOREGROUND
from msrn.foreground.pipeline import Foreground
from msrn.foreground.saliency import Saliency
from msrn.losses import mask_iou
from msrn.memory import MemoryBank
from msrn.report.mask_table import COARSE, PRINTED, PRINTED_WITHOUT, REFINED, WITHOUT, rows_of
from msrn.report.pictures import INK, Picture, quiet
from msrn.store.results import Record

BLUE, ORANGE = "#3f7fd0", "#e0692f"
SAME_CUES = {PRINTED: REFINED, PRINTED_WITHOUT: WITHOUT}
QUARTILE = 0.25
ASKED = 24  # photographs of a category among which the typical one is looked for
TRUE = "true mask"
COLUMNS = (  # of Figure 8
    "(a) input",
    f"(b) {TRUE}",
    "(c) off-the-shelf",
    "(d) cues of [43]",
    "(e) our cues",
    "(f) refined by [43]",
    "(g) refined by ours",
)


def typical_photographs(collection: ImageCollection, saliency: Saliency) -> np.ndarray:
    """Rows whose off-the-shelf masks are worth refining: of some photographs of each category, evenly spread, the one
    at the lower quartile of its mask's IoU; the first one where there are no true masks. A category without photographs
    in this split has none here."""
    chosen = []
    for term in np.unique(collection.category):
        mine = np.flatnonzero(collection.category == term)
        some = mine[np.arange(min(ASKED, len(mine))) * len(mine) // min(ASKED, len(mine))]
        place = 0
        if collection.has_true_masks:
            coarse = saliency.masks(np.asarray(collection.images[some]), progress=False)
            iou = mask_iou(coarse, np.asarray(collection.true_masks()[some]))
            place = np.argsort(iou, kind="stable")[int(QUARTILE * (len(some) - 1))]
        chosen.append(some[place])
    return np.array(chosen)


def coarse_iou(collection: ImageCollection, saliency: Saliency) -> np.ndarray:
    """IoU of the off-the-shelf mask of every photograph (N,); only where there are true masks."""
    return mask_iou(saliency.masks(collection.images, progress=False), np.asarray(collection.true_masks()))


def histogram(iou: np.ndarray) -> Picture:
    """How many photographs have an off-the-shelf mask of which IoU, in tenths."""
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.hist(iou, 10, range=(0, 1), color=BLUE, rwidth=0.92)
    axes.axvline(iou.mean(), color=INK, linestyle="--", linewidth=1)
    axes.set_xlabel("IoU of the off-the-shelf mask; dashed, the mean", color=INK)
    axes.set_ylabel("photographs", color=INK)
    quiet(axes)
    return Picture(figure, _histogram_alt(iou))


def _histogram_alt(iou: np.ndarray) -> str:
    counts = ", ".join(str(count) for count in np.histogram(iou, 10, (0, 1))[0])
    return f"Histogram of IoU in tenths from 0 to 1: {counts} photographs. Mean {iou.mean():.2f}."


def columns_of_figure8(
    ours: Foreground, theirs: Foreground, test: ImageCollection, rows: Sequence[int]
) -> dict[str, np.ndarray]:
    """The columns of Figure 8 for the photographs ``rows``: images (n,H,W,3), masks (n,H,W) bool, cues (n,H,W).

    Photographs without true masks have no column for them.
    """
    images = np.asarray(test.images[rows])
    soft = ours.saliency.maps(images, progress=False)
    cues = {name: made.cues(images, None) for name, made in (("theirs", theirs), ("ours", ours))}
    shown = (
        images.transpose(0, 2, 3, 1),
        np.asarray(test.true_masks()[rows]) if test.has_true_masks else None,
        soft >= 128,
        cues["theirs"],
        cues["ours"],
        theirs.combined(soft, cues["theirs"]),
        ours.combined(soft, cues["ours"]),
    )
    return {title: pictures for title, pictures in zip(COLUMNS, shown, strict=True) if pictures is not None}


def columns_picture(columns: Mapping[str, np.ndarray], labels: Sequence[str]) -> Picture:
    """A row of pictures for each label: colours as they are, masks in black and white, cues in false colour over the
    photograph of the first column."""
    photographs = next(iter(columns.values()))
    figure = Figure(figsize=(1.35 * len(columns), 1.35 * len(labels) + 0.3))
    grid = figure.subplots(len(labels), len(columns), squeeze=False, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
    for j, (title, pictures) in enumerate(columns.items()):
        grid[0, j].set_title(textwrap.fill(title, 15), color=INK, fontsize=10)
        for i, picture in enumerate(pictures):
            axes = grid[i, j]
            axes.imshow(_drawn(picture, photographs[i]), interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_color(INK)
                spine.set_linewidth(0.5)
    for i, label in enumerate(labels):
        grid[i, 0].set_ylabel(label, color=INK, fontsize=10)
    return Picture(figure, _columns_alt(columns, labels))


def _columns_alt(columns: Mapping[str, np.ndarray], labels: Sequence[str]) -> str:
    """What ``columns_picture`` shows, with the IoU of every mask."""
    said = [f"Columns: {', '.join(columns)}. Rows: {', '.join(labels)}."]
    true = next((pictures for title, pictures in columns.items() if title.endswith(TRUE)), None)
    for title, pictures in columns.items():
        if true is not None and pictures.dtype == bool and pictures is not true:
            values = ", ".join(f"{value:.2f}" for value in mask_iou(pictures, true))
            said.append(f"IoU of {title}: {values}.")
    return " ".join(said)


def _drawn(picture: np.ndarray, photograph: np.ndarray) -> np.ndarray:
    if picture.dtype == bool:
        return np.repeat(picture[..., None], 3, -1) * np.uint8(255)
    if picture.ndim == 3:
        return picture
    heat = colormaps["turbo"](picture)[..., :3]
    grey = photograph.mean(-1, keepdims=True) / 255
    return (0.65 * heat + 0.35 * grey).clip(0, 1)


def memory(bank: MemoryBank) -> Picture:
    """The features that the bank holds: their two largest directions of variation, and their cosines with each term."""
    count = int(bank.filled.min())
    terms = {"foreground": bank.values[FOREGROUND, :count], "background": bank.values[BACKGROUND, :count]}
    units = {name: (v / v.norm(dim=1, keepdim=True).clamp_min(1e-8)).cpu().numpy() for name, v in terms.items()}
    flat = PCA(2, random_state=0).fit_transform(np.concatenate(list(units.values())))
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k, (name, color, marker) in enumerate((("foreground", BLUE, "o"), ("background", ORANGE, "x"))):
        left.scatter(*flat[k * count : (k + 1) * count].T, s=16, color=color, marker=marker, label=name)
    left.set_title("slots of L_f and L_b, two main directions", color=INK, fontsize=11)
    pairs = {
        "within foreground": (units["foreground"] @ units["foreground"].T)[np.triu_indices(count, 1)],
        "within background": (units["background"] @ units["background"].T)[np.triu_indices(count, 1)],
        "between them": (units["foreground"] @ units["background"].T).ravel(),
    }
    for (name, values), color in zip(pairs.items(), (BLUE, ORANGE, INK), strict=True):
        right.hist(values, 40, range=(-1, 1), density=True, histtype="step", color=color, label=name, linewidth=1.6)
    right.set_title("cosines of pairs", color=INK, fontsize=11)
    for axes in (left, right):
        quiet(axes)
        axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return Picture(figure, _memory_alt(bank))


def _memory_alt(bank: MemoryBank) -> str:
    count = int(bank.filled.min())
    f, b = (v / v.norm(dim=1, keepdim=True).clamp_min(1e-8) for v in bank.values[:, :count])
    return (
        f"{count} slots of each term: mean cosine within foreground {float((f @ f.T).mean()):.2f}, within background "
        f"{float((b @ b.T).mean()):.2f}, between them {float((f @ b.T).mean()):.2f}."
    )


TUNING = {  # log key -> title
    "class": "category, whole image",
    "foreground_class": "category, foreground",
    "suppression": "suppression, S_b / S",
    "area": "area of the cue",
    "contrast": "L_for, Eq. 15",
    "agreement": "agreement with M_o",
}


def tuning(log: Sequence[dict]) -> Picture:
    """A panel for each logged term over the steps of fine-tuning."""
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    for axes, (key, title) in zip(figure.subplots(2, 3, sharex=True).flat, TUNING.items(), strict=True):
        lines = [line for line in log if key in line]
        axes.plot([line["step"] for line in lines], [line[key] for line in lines], color=BLUE, linewidth=1.7)
        axes.set_title(title, color=INK, fontsize=11)
        quiet(axes)
    return Picture(figure, _tuning_alt(log))


def _tuning_alt(log: Sequence[dict]) -> str:
    last = ", ".join(f"{title} {log[-1][key]:.2f}" for key, title in TUNING.items() if key in log[-1])
    return f"Six panels over steps of fine-tuning. At the end: {last}."


def thresholds(found: Sequence[Record]) -> Picture:
    """Mean IoU on test over the threshold lambda, a line for each kind of cues; dashed, what Eq. 18 starts from."""
    rows = _by_cues(found)
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for name, made in rows.items():
        if made[0].curves:
            values = np.mean([record.curves["test"] for record in made], axis=0)
            axes.plot(made[0].curves["threshold"], values, linewidth=1.7, label=name)
    if COARSE in rows:
        axes.axhline(rows[COARSE][0].metrics["iou"], color=INK, linestyle="--", linewidth=1, label=COARSE)
    axes.set_xlabel("λ of Eq. 18", color=INK)
    axes.set_ylabel("mean mask IoU", color=INK)
    quiet(axes)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return Picture(figure, _threshold_alt(found))


def _threshold_alt(found: Sequence[Record]) -> str:
    parts = []
    for name, made in _by_cues(found).items():
        if made[0].curves:
            values = np.mean([record.curves["test"] for record in made], axis=0)
            best = made[0].curves["threshold"][int(np.argmax(values))]
            parts.append(f"{name} highest, {values.max():.3f}, at {best:g}")
        else:
            parts.append(f"{name} {made[0].metrics['iou']:.3f}")
    return f"Mean mask IoU on test over the threshold: {'; '.join(parts)}."


def _by_cues(found: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by row, but for rows whose cues are those of another."""
    rows = rows_of(found)
    return {name: made for name, made in rows.items() if SAME_CUES.get(name) not in rows}

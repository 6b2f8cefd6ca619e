"""What the runs behind a table learned: by category, by pose and by alignment."""

from collections import Counter
from collections.abc import Sequence

from IPython.display import HTML

from msrn.evaluation.inference import TURNS
from msrn.evaluation.protocol import ALIGNMENTS
from msrn.experiments.runner import Result
from msrn.report.html import plain_html
from msrn.report.words import mean_of, two_decimals
from msrn.store.results import Record

ALIGNMENT_TITLES = {
    "none": "none",
    "icp": "rigid ICP",
    "search": "turn search",
    "search_icp": "search + ICP (headline)",
    "search_icp_axes": "+ scale of each axis",
}


def learned_table(result: Result) -> HTML:
    """Mask IoU and pose consistency on all test views, per row: over all categories, and m = 2 in each."""
    names = categories_of(result)
    keys = ["mask_iou", *(f"pose_m{m}" for m in TURNS), *(f"pose_m2.category.{name}" for name in names)]
    lines = [_line(name, records, keys) for name, records in result.rows.items() if records]
    header = ["", "mask IoU", *(f"pose, m = {m}" for m in TURNS), *(f"{name}, m = 2" for name in names)]
    note = (
        "Pose consistency is the resultant length of m × (predicted − true azimuth): 1 is right up to a constant turn, "
        "0 is random; m = 2 forgives half turns (front for back), m = 4 quarter turns."
    )
    return HTML(plain_html("What the networks learned: all test views", header, lines, note))


def category_table(result: Result) -> HTML:
    """CD in each category, for every row."""
    names = categories_of(result)
    keys = [*(f"cd.category.{name}" for name in names), "cd", "cd.micro"]
    lines = [_line(name, records, keys) for name, records in _every_row(result)]
    header = ["", *names, "macro mean", "mean over objects"]
    counts = Counter(result.outcomes[0].record.objects["category"])
    note = "Test objects: " + ", ".join(f"{name} {counts[name]}" for name in names) + "."
    return HTML(plain_html("Chamfer distance by category", header, lines, note))


def alignment_table(result: Result) -> HTML:
    """CD under every alignment, and Eq. 46's own value."""
    header = ["", *(ALIGNMENT_TITLES[name] for name in ALIGNMENTS), "Eq. 46"]
    keys = [*(f"cd.{name}" for name in ALIGNMENTS), "eq46"]
    lines = [_line(name, records, keys) for name, records in _every_row(result)]
    points = result.request.settings.eval_points
    note = (
        "Macro means. The last column is Eq. 46 as printed, after the headline alignment: a sum of squared distances "
        f"over {points:,} points of each surface, with the longest true edge = 1."
    )
    return HTML(plain_html("Chamfer distance by alignment", header, lines, note))


def categories_of(result: Result) -> list[str]:
    """Those that occur among the evaluated objects."""
    return [name for name in result.test.categories if f"cd.category.{name}" in result.outcomes[0].record.metrics]


def _every_row(result: Result) -> list[tuple[str, list[Record]]]:
    models = [(name, records) for name, records in result.rows.items() if records]
    return [*models, *((record.variant, [record]) for record in result.baselines)]


def _line(name: str, records: Sequence[Record], keys: Sequence[str]) -> list[str]:
    return [name, *(two_decimals(mean_of(records, key)) for key in keys)]

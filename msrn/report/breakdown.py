"""What the runs behind a table learned: by category, by pose and by alignment."""

from collections import Counter
from collections.abc import Mapping

from IPython.display import HTML

from msrn.evaluation.inference import TURNS
from msrn.evaluation.protocol import ALIGNMENTS
from msrn.experiments.runner import Result
from msrn.report.html import plain_html
from msrn.report.words import mean_of, two_decimals

ALIGNMENT_TITLES = {
    "none": "none",
    "icp": "rigid ICP",
    "search": "turn search",
    "search_icp": "search + ICP (headline)",
    "search_icp_axes": "+ scale of each axis",
}


def learned_table(result: Result) -> HTML:
    """Mask IoU and pose consistency on all test views, per row: over all categories, and m = 2 in each."""
    columns = {"mask_iou": "mask IoU", **{f"pose_m{m}": f"pose, m = {m}" for m in TURNS}}
    columns |= {f"pose_m2.category.{name}": f"{name}, m = 2" for name in categories_of(result)}
    note = (
        "Pose consistency is the resultant length of m × (predicted − true azimuth): 1 is right up to a constant turn, "
        "0 is random; m = 2 forgives half turns (front for back), m = 4 quarter turns."
    )
    return _table(result, "What the networks learned: all test views", columns, note, baselines=False)


def category_table(result: Result) -> HTML:
    """CD in each category, for every row."""
    names = categories_of(result)
    columns = {f"cd.category.{name}": name for name in names} | {"cd": "macro mean", "cd.micro": "mean over objects"}
    counts = Counter(result.outcomes[0].record.objects["category"])
    note = "Test objects: " + ", ".join(f"{name} {counts[name]}" for name in names) + "."
    return _table(result, "Chamfer distance by category", columns, note)


def alignment_table(result: Result) -> HTML:
    """CD under every alignment, and Eq. 46's own value."""
    columns = {f"cd.{name}": ALIGNMENT_TITLES[name] for name in ALIGNMENTS} | {"eq46": "Eq. 46"}
    note = (
        "Macro means. The last column is Eq. 46 as printed, after the headline alignment: a sum of squared distances "
        f"over {result.request.settings.eval_points:,} points of each surface, with the longest true edge = 1."
    )
    return _table(result, "Chamfer distance by alignment", columns, note)


def categories_of(result: Result) -> list[str]:
    """Those that occur among the evaluated objects."""
    return [name for name in result.test.categories if f"cd.category.{name}" in result.outcomes[0].record.metrics]


def _table(result: Result, caption: str, columns: Mapping[str, str], note: str, baselines: bool = True) -> HTML:
    """A line for each row that was measured; ``columns`` gives the metrics their titles."""
    rows = {name: records for name, records in result.rows.items() if records}
    rows |= {record.variant: [record] for record in result.baselines if baselines}
    lines = [[name, *(two_decimals(mean_of(records, key)) for key in columns)] for name, records in rows.items()]
    return HTML(plain_html(caption, ["", *columns.values()], lines, note))

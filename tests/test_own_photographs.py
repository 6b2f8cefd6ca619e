"""The pages on a folder of one's own photographs, without masks: what needs no truth is there, the rest is said.

Cells run in this process, one page after the other, so that all share what was segmented and trained.
"""

import re

import nbformat
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from PIL import Image
from raw_toy import Coarse

from msrn import paths
from msrn.foreground import pipeline

TINY = {
    "steps": 6, "stage_switch": 2, "batch_size": 4, "image_size": 16, "prototypes": 3, "neighbor_prototypes": 2,
    "candidates": 3, "memory_slots": 8, "cue_steps": 3, "cue_batch_size": 4, "log_every": 1,
}  # fmt: skip
WHOLE = (
    "section3_1_foreground_perception", "section3_2_compensation", "section3_3_neighbors", "section3_reconstruction",
    "table7_foreground_masks",
)  # fmt: skip
REFUSED = {"section3_4_losses": "images with masks and known cameras", "section4_2_metrics": "true shapes"}


class Bright(Coarse):
    """M_o: what is brighter than the wall."""

    name, identity = "brightness", "brightness"

    def maps(self, images, progress=True) -> np.ndarray:
        return (np.asarray(images).max(1) > 150) * np.uint8(255)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two categories of twelve photographs as JPEG and PNG, with a store and a cache of their own."""
    base, rng = tmp_path_factory.mktemp("own"), np.random.default_rng(0)
    for name, color in (("box", (230, 60, 50)), ("ball", (60, 90, 220))):
        (base / "photographs" / name).mkdir(parents=True)
        for number in range(12):
            picture = rng.integers(40, 90, (60, 80, 3), np.uint8)
            top, left = rng.integers(5, 20, 2)
            picture[top : top + 30, left : left + 30 + number] = color
            file = base / "photographs" / name / f"{number} of mine.{'jpg' if number % 2 else 'png'}"
            Image.fromarray(picture).save(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSRN_RUNS", str(base / "runs"))
        patch.setenv("MSRN_CACHE", str(base / "cache"))
        patch.setattr(pipeline, "Saliency", Bright)
        yield base / "photographs"


def shown(page: str, folder) -> tuple[str, BaseException | None]:
    """All words that the page shows with these photographs, and what ended it before its end."""
    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    cells = [cell for cell in nbformat.read(paths.NOTEBOOKS / f"{page}.ipynb", 4).cells if cell.cell_type == "code"]
    given = {"profile": "smoke", "dataset": "folder", "data_root": str(folder), "settings": TINY}
    text = []
    for number, cell in enumerate(cells):
        with capture_output() as captured:
            done = shell.run_cell(cell.source)
        if number == 0:
            shell.push(given)
        if error := done.error_before_exec or done.error_in_exec:
            return "\n".join([*text, cell.source]), error
        outputs = [*(output.data for output in captured.outputs), shell.display_formatter.format(done.result)[0]]
        text += [captured.stdout, *(str(data.get("text/html") or data.get("text/markdown") or "") for data in outputs)]
    return "\n".join(text), None


@pytest.mark.slow
@pytest.mark.parametrize("page", WHOLE)
def test_the_page_is_made_without_what_needs_truth(page, folder):
    text, error = shown(page, folder)
    assert error is None, text
    assert "These photographs have no true shapes or poses" in text and "<img" in text
    assert not re.search(r"\b(nan|inf)\b", re.sub(r'base64,[^"]*', "", text))


@pytest.mark.parametrize("page", REFUSED)
def test_a_page_that_is_about_truth_says_so_in_a_line(page, folder):
    _, error = shown(page, folder)
    assert str(error) == (
        f"this page is about {REFUSED[page]}, which folder has not: choose another data set, such as procedural13"
    )
    assert type(error).__name__ == "MsrnError" and "traceback" not in " ".join(error._render_traceback_())

"""On which side of the outline the cue of each category lies, held against M_o; no true mask is read.

Fine-tuning looks at all categories together (``finetune.agreement``). Without L_for nothing binds their signs together,
so the cue of a single one can leave the object while the mean stays positive. Here every category is looked at alone.
"""

import sys

import numpy as np
import torch

from msrn.foreground.finetune import agreement
from msrn.foreground.pipeline import Foreground

LOOKED_AT = 16
"""Training photographs of each category, evenly spread."""


def by_category(foreground: Foreground) -> dict[str, float]:
    """Mean cue inside M_o minus outside, in -1..1, of each category with a photograph in which M_o finds something.

    Costs ``LOOKED_AT`` looks of the perceptron a category; M_o of training photographs is kept already.
    """
    train, agreements = foreground.train, {}
    for term in np.unique(train.category):
        mine = np.flatnonzero(train.category == term)
        count = min(LOOKED_AT, len(mine))
        rows = mine[np.arange(count) * len(mine) // count]
        images = np.asarray(train.images[rows])
        coarse = foreground.saliency.masks(images, progress=False)
        usable = coarse.any((1, 2)) & ~coarse.all((1, 2))
        if usable.any():
            cues = foreground.cues(images[usable], np.asarray(train.category[rows][usable]))
            values = agreement(torch.from_numpy(cues), torch.from_numpy(coarse[usable]).float())
            agreements[train.categories[term]] = float(values.mean())
    return agreements


def astray(agreements: dict[str, float]) -> list[str]:
    """Categories whose cue is no stronger inside M_o than outside."""
    return [name for name, value in agreements.items() if value <= 0]


def sentence(agreements: dict[str, float]) -> str:
    """The agreements in words, and what to think of those that are not positive."""
    values = ", ".join(f"{name} {value:+.2f}".replace("-", "−") for name, value in agreements.items())
    verdict = "Every cue is stronger inside."
    if lost := ", ".join(astray(agreements)):
        verdict = f"The cue of {lost} is no stronger inside M_o than outside: do not trust masks that it refines."
    return f"Agreement of each category's cue with M_o: {values or 'none could be measured'}. {verdict}"


def warn(foreground: Foreground) -> None:
    """A line on standard error when the cue of a category lies on the background; each time the cues are used."""
    if foreground.train.masks is None and foreground.settings.masks == "refined":  # else no cue has a say
        agreements = by_category(foreground)
        if astray(agreements):
            print(f"warning: seed {foreground.seed}: {sentence(agreements)}", file=sys.stderr, flush=True)

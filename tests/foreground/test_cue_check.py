"""The cue of every category is held against M_o by itself, and one that lies on the background is named."""

import numpy as np
import pytest
from photographs import photographs

from msrn.foreground import cue_check


class Made:
    """Stands in for a Foreground: cues inside the bright rectangle, but for the categories in ``turned``."""

    seed = 3

    def __init__(self, train, turned=(), masks="refined") -> None:
        self.train, self.turned, self.saliency = train, turned, self
        self.settings = type("S", (), {"masks": masks})()

    def masks(self, images, progress=True):
        return (images == 255).any(1) & images.any()

    def cues(self, images, category):
        inside = self.masks(images)
        turned = np.isin(category, self.turned)[:, None, None]
        return np.where(turned, ~inside, inside).astype(np.float32) * 0.75


def test_each_category_has_its_own_agreement():
    made = Made(photographs(40, 3), turned=(1,))
    found = cue_check.by_category(made)
    words = cue_check.sentence(found)
    assert found == {"kind 0": pytest.approx(0.75), "kind 1": pytest.approx(-0.75)}  # the third has no photograph
    assert cue_check.astray(found) == ["kind 1"]
    assert "kind 0 +0.75, kind 1 −0.75" in words and "of kind 1 is no stronger" in words
    assert cue_check.sentence(cue_check.by_category(Made(photographs(40, 3)))).endswith("Every cue is stronger inside.")


def test_a_few_of_each_are_looked_at_and_those_where_nothing_was_found_are_not(monkeypatch):
    train = photographs(90, 2)  # all of one category
    train.images[::2] = 0
    looked = []
    made = Made(train)
    monkeypatch.setattr(Made, "cues", lambda self, images, category: looked.append(len(images)) or self.masks(images))
    cue_check.by_category(made)
    assert 0 < sum(looked) <= cue_check.LOOKED_AT
    train.images[:] = 0
    assert cue_check.by_category(made) == {} and "none could be measured" in cue_check.sentence({})


def test_the_warning_names_the_category_every_time(capsys):
    made = Made(photographs(12, 3), turned=(1,))
    for _ in range(2):
        cue_check.warn(made)
    lines = capsys.readouterr().err.splitlines()
    assert (
        len(lines) == 2
        and lines[0] == lines[1]
        and "seed 3" in lines[0]
        and "The cue of kind 1 is no stronger" in lines[0]
    )
    cue_check.warn(Made(photographs(12, 3)))
    cue_check.warn(Made(photographs(12, 3), turned=(0, 1), masks="off-the-shelf"))
    assert capsys.readouterr().err == ""

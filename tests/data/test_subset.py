"""Parts of a collection: whole objects, even views, one category, with a fingerprint of their own."""

from dataclasses import replace

import numpy as np
import pytest
from toy import toy_collection

from msrn.data.subset import limited, one_category, subset
from msrn.errors import MsrnError


def test_a_part_holds_whole_objects(cache):
    whole = toy_collection(objects=5, views=4)
    fewer = subset(whole, limited(whole, 2))
    assert sorted(set(fewer.object_id)) == ["ball/0", "ball/1", "disc/0", "disc/1", "stick/0", "stick/1"]
    assert len(fewer) == 24 and np.bincount(fewer.category).tolist() == [8, 8, 8]
    assert len(limited(whole, 9)) == len(whole)
    two = subset(whole, np.flatnonzero(whole.view % 2 == 0))
    assert two.object_id[two.evaluation_index].tolist() == list(dict.fromkeys(whole.object_id))


def test_some_categories_may_have_fewer_objects(cache):
    whole = toy_collection(objects=5, views=4)
    rows = limited(whole, {"disc": 2, "stick": 9})
    assert np.bincount(whole.category[rows]).tolist() == [20, 8, 20]
    with pytest.raises(MsrnError, match="toy has no category 'disk' to take objects of; there are: ball, disc, stick"):
        limited(whole, {"disk": 2})


def test_a_part_keeps_the_columns_together_and_has_its_own_fingerprint(cache):
    whole = toy_collection()
    rows = limited(whole, 2)
    part = subset(whole, rows)
    for name in ("images", "masks", "category", "object_id", "view"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[rows])
    prints = {part.fingerprint, whole.fingerprint, subset(whole, rows[:-1]).fingerprint}
    assert len(prints) == 3 and part.fingerprint == subset(whole, rows).fingerprint
    assert subset(replace(whole, masks=None), rows).masks is None


def test_a_part_cites_the_images_that_the_whole_cites(cache):
    whole = replace(toy_collection(), evaluation_index=np.arange(2, 60, 4))  # the third view of each object
    part = subset(whole, np.arange(8))
    assert part.evaluation_index.tolist() == [2, 6]
    assert subset(whole, np.array([0, 1, 4, 6])).evaluation_index.tolist() == [0, 3]  # of the first, its first image


def test_one_category_is_a_collection_of_its_own(cache):
    whole = toy_collection()
    discs = one_category(whole, "disc")
    assert discs.categories == ("disc",) and set(discs.category) == {0} and len(discs) == 20
    assert all(name.startswith("disc/") for name in discs.object_id)
    with pytest.raises(MsrnError, match=r"toy has no category 'disk' \(did you mean disc\?\); there are: ball"):
        one_category(whole, "disk")

"""Which test objects stand for the others, and their meshes."""

import numpy as np
from toy_table import record

from msrn.evaluation import examples


def test_objects_are_chosen_by_their_distances_alone():
    names, cd = list("abcdefg"), [3.0, 1.0, 2.0, 4.0, 9.0, 7.0, 8.0]
    objects = {"object_id": names, "category": ["car"] * 4 + ["bed"] * 3, "cd": cd}
    found = examples.chosen(record(objects=objects, n_objects=7))
    assert found == {"median": ["g", "c"], "best": ["f", "b"], "worst": ["e", "d"]}
    assert examples.every(found) == ["g", "c", "f", "b", "e", "d"]


def test_of_many_categories_the_first_are_shown():
    terms = [f"{k:02d}" for k in range(20)]
    objects = {"object_id": terms, "category": terms, "cd": [1.0] * 20}
    found = examples.chosen(record(objects=objects, n_objects=20))
    assert found == dict.fromkeys(examples.PLACES, terms[: examples.MOST])


def test_meshes_are_those_that_were_measured(toy_result):
    one, test = toy_result.of("M-SRN")[0], toy_result.test
    names = examples.every(examples.chosen(one.record))
    found = examples.meshes_of(one.run, one.record, test, names)
    assert found.cd_of(names) == [one.record.objects["cd"][one.record.objects["object_id"].index(n)] for n in names]
    again = examples.measured_again(found, test, names[:3])
    np.testing.assert_allclose(again, found.cd_of(names[:3]), atol=0.02)
    others = examples.measured_again(found, test, names[3:6])
    assert np.abs(others - again).max() > 0.05  # other shapes are told apart
    assert found.about["run"] == one.run.folder.name and found.shapes[0].vertices.dtype == np.float16

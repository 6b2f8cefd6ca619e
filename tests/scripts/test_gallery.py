"""The picture of the first page."""

import gallery
import numpy as np
from click.testing import CliRunner

from msrn.report import gallery as galleries


def test_the_picture_has_the_objects_of_each_set_in_rows(toy_result):
    figure, alt = gallery.picture([toy_result])
    cells = np.reshape(figure.axes, (3, -1))
    titles = [axes.get_title().replace("\n", " ") for axes in cells[0]]
    assert titles[:3] == ["toy input", "truth", "truth, turned"]
    assert [axes.texts[0].get_text() for axes in cells[:, 0]] == ["ball", "disc", "stick"]
    assert not any(axes.texts for axes in cells[:, 1:].flat) and alt == "toy: ball, disc, stick"
    rows = galleries.typical_objects(toy_result)
    name = str(toy_result.test.object_id[rows[1]])
    drawn = galleries.drawings(galleries.of_result(toy_result, {"": [name]}, toy_result.test), name)
    np.testing.assert_array_equal(cells[1, 1].get_images()[0].get_array(), drawn["truth"][0])


def test_it_is_of_one_seed_of_the_whole_network(toy_result, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(gallery, "DATASETS", ("homeware",))
    monkeypatch.setattr(gallery.runner, "make", lambda table, request: asked.append((table, request)) or toy_result)
    done = CliRunner().invoke(gallery.draw, ["--out", str(tmp_path / "made.png")])
    assert done.output == "made.png: toy: ball, disc, stick\n" and (tmp_path / "made.png").stat().st_size > 5000
    [(table, request)] = asked
    assert (request.profile, request.seeds, request.dataset) == ("night", (0,), "homeware")
    assert [row.name for row in table.trained] == [table.ours] and table.row(table.ours).settings == {}

"""What a page shows of reconstructions says what it shows."""

import io

from msrn.reconstruct import shelf
from msrn.reconstruct.photographs import of_content
from msrn.reconstruct.reconstructor import Reconstructor


def test_sheets_and_meshes_are_of_their_photographs(network, scene):
    file = io.BytesIO()
    scene.save(file, "PNG")
    photograph = of_content("box.png", file.getvalue())
    [one] = Reconstructor(network)([photograph])
    found = {"a <box>": one, "b": one}
    page = shelf.sheets(found, dict.fromkeys(found, photograph)).data
    assert page.count("<img ") == page.count(' alt="') == 2 and 'alt="a &lt;box&gt;, taken for a ' in page
    turning = shelf.of(found)
    assert [*turning.names.values()] == [["a <box>", "b"]] and turning.pose("b")[0] == one.azimuth
    (vertices, faces), colors = turning.shapes("b")[shelf.TITLE]
    assert len(colors) == len(faces) and vertices is one.vertices

"""Meshes as files: the same box and the same colours in trimesh and in three.js; sheets and lines."""

import asyncio
import base64
import io
import json

import browser
import numpy as np
import pytest
import trimesh
from PIL import Image

from msrn.reconstruct import demo, files
from msrn.reconstruct.photographs import of_content
from msrn.reconstruct.reconstructor import Reconstructor

THREE = """<!DOCTYPE html><script>%s</script><script>
const bytes = Uint8Array.from(atob("%s"), letter => letter.charCodeAt(0));
window.asked = new Promise((done, failed) => new THREE.GLTFLoader().parse(bytes.buffer, "", read => {
  let mesh; read.scene.traverse(part => { if (part.isMesh) mesh = part; });
  const box = new THREE.Box3().setFromObject(read.scene), picture = mesh.material.map.image;
  const canvas = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, picture.width, picture.height).data, uv = mesh.geometry.attributes.uv;
  const colors = [];
  for (let k = 0; k < uv.count; k++) {  // the pixel that holds the corner; glTF's v points down
    const x = Math.floor(uv.getX(k) * picture.width), y = Math.floor(uv.getY(k) * picture.height);
    colors.push([...pixels.slice(4 * (y * picture.width + x), 4 * (y * picture.width + x) + 3)]);
  }
  done({ min: box.min.toArray(), max: box.max.toArray(), colors, encoding: mesh.material.map.encoding,
         srgb: THREE.sRGBEncoding, side: mesh.material.side, front: THREE.FrontSide, metal: mesh.material.metalness,
         normals: Boolean(mesh.geometry.attributes.normal) });
}, error => failed(String(error))));
</script>"""


@pytest.fixture(scope="module")
def made(network):
    picture = Image.new("RGB", (96, 64), (222, 222, 230))
    picture.paste((180, 40, 30), (30, 16, 66, 50))
    file = io.BytesIO()
    picture.save(file, "PNG")
    photograph = of_content("box.png", file.getvalue())
    [found] = Reconstructor(network)([photograph])
    return found, photograph


def corners(found) -> np.ndarray:
    return np.rint(255 * found.corner_colors.reshape(-1, 3)).astype(int)


def test_a_texture_gives_each_corner_its_colour_and_each_middle_the_mean():
    colors = np.random.default_rng(0).random((7, 3, 3))
    texture, uv = files.texture_of(colors)
    height, width = texture.shape[:2]
    place = uv * [width, height]
    place[:, 1] = height - place[:, 1]
    pixel = np.floor(place).astype(int)
    np.testing.assert_allclose(place - pixel, 0.5, atol=1e-9)  # centres of pixels, so nothing is blended
    np.testing.assert_array_equal(texture[pixel[:, 1], pixel[:, 0]], np.rint(255 * colors.reshape(-1, 3)))
    middle = place.reshape(-1, 3, 2).mean(1)  # read bilinearly, as a renderer does
    left, top = np.floor(middle - 0.5).astype(int).T
    right, down = (middle - 0.5 - np.stack([left, top], 1)).T[..., None]
    upper = (1 - right) * texture[top, left] + right * texture[top, left + 1]
    lower = (1 - right) * texture[top + 1, left] + right * texture[top + 1, left + 1]
    np.testing.assert_allclose((1 - down) * upper + down * lower, 255 * colors.mean(1), atol=1)


def test_glb_in_trimesh(made):
    found, _ = made
    mesh = trimesh.load(io.BytesIO(files.as_glb(found)), file_type="glb", force="mesh")
    np.testing.assert_allclose(mesh.bounds, [found.vertices.min(0), found.vertices.max(0)], atol=1e-6)
    assert len(mesh.faces) == len(found.faces) and mesh.visual.material.metallicFactor == 0
    seen = mesh.visual.to_color().vertex_colors[:, :3].astype(int)
    assert np.abs(seen - corners(found)).max() <= 1
    outward = (mesh.face_normals * (mesh.triangles_center - mesh.centroid)).sum(1)
    assert (outward > 0).mean() > 0.9 and not mesh.visual.material.doubleSided


@pytest.mark.skipif(not browser.CHROMIUM, reason="no chromium on the path; .ci/run installs it from Debian")
def test_glb_in_three_js_has_the_same_box_and_colours(made, tmp_path):
    found, _ = made
    page = tmp_path / "page.html"
    page.write_text(THREE % (demo.three_js(), base64.b64encode(files.as_glb(found)).decode()), encoding="utf-8")

    async def look():
        async with browser.page(page.as_uri()) as opened:
            return await opened.ask("window.asked")

    seen = asyncio.run(look())
    np.testing.assert_allclose([seen["min"], seen["max"]], [found.vertices.min(0), found.vertices.max(0)], atol=1e-6)
    assert np.abs(np.array(seen["colors"]) - corners(found)).max() <= 1
    assert seen["encoding"] == seen["srgb"] and seen["side"] == seen["front"] and seen["metal"] == 0 and seen["normals"]


@pytest.mark.parametrize("kind", ["ply", "obj"])
def test_other_formats_hold_the_same_mesh(made, kind):
    found, _ = made
    mesh = trimesh.load(io.BytesIO(files.FORMATS[kind](found)), file_type=kind, process=False)
    np.testing.assert_allclose(mesh.vertices, found.vertices, atol=1e-5)
    np.testing.assert_array_equal(mesh.faces, found.faces)
    first = found.corner_colors[found.faces == 0].mean(0)
    np.testing.assert_allclose(mesh.visual.vertex_colors[0, :3], 255 * first, atol=1.5)


def test_a_line_says_what_was_found(made):
    found, photograph = made
    line = json.loads(files.as_json(files.line_of(found, photograph)))
    assert line["category"] in ("box", "chair") and 0 <= line["confidence"] <= 1 and line["mask"] == "found"
    assert set(line["signs"]) == {"fit", "agreement", "stability", "familiarity"}
    assert line["mask_iou"] == line["signs"]["fit"] and line["photograph"] == photograph.digest
    left, top, right, bottom = line["box"]
    assert right - left == pytest.approx(bottom - top, rel=1e-5) and 0 < (left + right) / 2 < 128


def test_a_sheet_is_a_picture_with_six_tiles(made):
    sheet = Image.open(io.BytesIO(files.sheet(*made, "a $name 椅子.png")))
    assert sheet.format == "PNG" and sheet.width > 3 * files.TILE
    assert np.asarray(sheet.convert("L")).std() > 10

"""What is written of a reconstruction: the mesh as glTF, OBJ or PLY, a sheet to look at, a line of JSON.

The mesh stands y up, as glTF wants it, its front toward +z, one longest edge about 1. Its colours are a texture, since
not every program shows colours of vertices: each face has a cell of 4 x 4 pixels, over which the colours of its corners
run on, so that what is read between pixel centres is exactly what the renderer interpolates. The texture is sRGB, as
glTF says of base colours; the material is matt, its back is not drawn.
"""

import io
import json
import math
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import trimesh
from matplotlib.figure import Figure
from PIL import Image

from msrn.reconstruct.photographs import Photograph
from msrn.reconstruct.reconstructor import Found, drawn
from msrn.report.pictures import INK, draw_mesh, png_of

CELL = 4  # pixels of a face's square in the texture, along a side
CORNERS = np.array([[0.5, 0.5], [2.5, 0.5], [0.5, 2.5]])  # of a face, in pixels of its cell
TURNS = (90.0, 180.0, 270.0)
ELEVATION = 30.0
TILE = 224  # pixels
LETTERS = 95  # of a line below the tiles
DOUBT = "#a8480b"  # as on the page of msrn demo


def as_trimesh(found: Found) -> trimesh.Trimesh:
    """The mesh with its texture; corners of faces are vertices of their own, with the normals of the smooth surface."""
    smooth = trimesh.Trimesh(found.vertices, found.faces, process=False)
    corners = found.faces.reshape(-1)
    texture, uv = texture_of(found.corner_colors)
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.fromarray(texture), metallicFactor=0.0, roughnessFactor=1.0, doubleSided=False
    )
    return trimesh.Trimesh(
        found.vertices[corners],
        np.arange(len(corners)).reshape(-1, 3),
        vertex_normals=smooth.vertex_normals[corners],
        visual=trimesh.visual.TextureVisuals(uv, material=material),
        process=False,
    )


def texture_of(corner_colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The texture (H, W, 3) uint8 of faces whose corners have the colours (F, 3, 3) in 0..1, and the place (3F, 2) of
    each corner in it, u to the right and v up."""
    faces = len(corner_colors)
    side = math.ceil(math.sqrt(faces))
    centres = np.stack(np.meshgrid(np.arange(CELL) + 0.5, np.arange(CELL) + 0.5), -1).reshape(-1, 2)  # (x, y)
    along = (centres - CORNERS[0]) / 2.0  # shares of the second and the third corner at each pixel
    shares = np.concatenate([1 - along.sum(1, keepdims=True), along], 1)  # (CELL^2, 3)
    cells = np.einsum("pk,fkc->fpc", shares, corner_colors).clip(0, 1).reshape(faces, CELL, CELL, 3)
    rows, columns = np.divmod(np.arange(faces), side)
    texture = np.zeros((side, CELL, side, CELL, 3))
    texture[rows, :, columns] = cells
    pixels = np.rint(255 * texture.reshape(side * CELL, side * CELL, 3)).astype(np.uint8)
    place = CORNERS[None] + CELL * np.stack([columns, rows], 1)[:, None]  # (F, 3, 2) pixels, y down
    uv = place.reshape(-1, 2) / (side * CELL)
    uv[:, 1] = 1 - uv[:, 1]
    return pixels, uv


def as_glb(found: Found) -> bytes:
    return as_trimesh(found).export(file_type="glb", include_normals=True, tree_postprocessor=_nearest_texel)


def _nearest_texel(tree: dict[str, Any]) -> None:
    """No smaller copies of the texture, in which neighbouring cells would run into each other."""
    tree["samplers"] = [{"magFilter": 9729, "minFilter": 9729, "wrapS": 33071, "wrapT": 33071}]  # LINEAR, CLAMP
    for texture in tree["textures"]:
        texture["sampler"] = 0


def as_ply(found: Found) -> bytes:
    """Vertices with colours, the mean of the corners that meet there."""
    colors = np.zeros((len(found.vertices), 3))
    np.add.at(colors, found.faces, found.corner_colors)
    colors /= np.bincount(found.faces.ravel(), minlength=len(colors))[:, None].clip(1)
    shades = np.rint(255 * colors).astype(np.uint8)
    return trimesh.Trimesh(found.vertices, found.faces, vertex_colors=shades, process=False).export(file_type="ply")


def as_obj(found: Found) -> bytes:
    """Without a second file: vertices with colours, as MeshLab and Blender read them."""
    mesh = trimesh.load(io.BytesIO(as_ply(found)), file_type="ply", process=False)
    return mesh.export(file_type="obj", include_normals=True).encode()


FORMATS: dict[str, Callable[[Found], bytes]] = {"glb": as_glb, "obj": as_obj, "ply": as_ply}


def line_of(found: Found, photograph: Photograph) -> dict[str, Any]:
    """A reconstruction in numbers and words, for a line of JSON; pixels are those of the upright photograph reduced to
    128 along its longer side."""
    rows, columns = photograph.inside
    left, top, right, bottom = found.box
    box = [left - columns.start, top - rows.start, right - columns.start, bottom - rows.start]
    return {
        "photograph": photograph.digest,
        "category": found.category,
        "confidence": found.confidence,
        "doubts": found.doubts,
        "mask": "given" if found.given else "found",
        "mask_iou": found.signs["fit"],
        "signs": found.signs,
        "pose": {
            "azimuth": found.azimuth,
            "rotation": found.rotation.tolist(),
            "translation": found.translation.tolist(),
        },
        "box": box,
    }


def sheet(found: Found, photograph: Photograph, title: str) -> bytes:
    """A PNG: photograph, mask, the mesh at the pose that was found, and turned by a quarter three times."""
    face_colors = np.rint(255 * found.corner_colors.mean(1)).astype(np.uint8)
    mesh = found.vertices, found.faces
    tiles = {"photograph": photograph.shown, "mask": masked(found, photograph)}
    tiles["mesh, as seen"] = _posed(found, photograph, face_colors)
    tiles |= {f"turned {t:.0f}°": draw_mesh(mesh, face_colors, found.azimuth + t, ELEVATION, TILE) for t in TURNS}
    figure = Figure(figsize=(6.6, 5.3), dpi=130, facecolor="white")
    spaces = {"left": 0.01, "right": 0.99, "bottom": 0.1, "top": 0.87, "wspace": 0.05, "hspace": 0.15}
    cells = figure.subplots(2, 3, gridspec_kw=spaces)
    for axes, (name, tile) in zip(cells.flat, tiles.items(), strict=True):
        axes.imshow(tile, interpolation="antialiased")
        axes.set(xticks=[], yticks=[], anchor="C")
        axes.spines[:].set(color=INK, linewidth=0.5)
        axes.set_title(name, fontsize=9, color="#333333")
    sure = "not calibrated" if found.confidence is None else f"{found.confidence:.0%}"
    head = f"{title}: taken for {found.category}, confidence {sure}, mask IoU {found.signs['fit']:.2f}"
    figure.text(0.01, 0.95, head, fontsize=10, weight="bold")
    said = f"Doubts: {'; '.join(found.doubts)}." if found.doubts else "Nothing speaks against it."
    color = DOUBT if found.doubts else "#333333"
    figure.text(0.01, 0.075, textwrap.fill(said, LETTERS), fontsize=8, va="top", color=color)
    return png_of(figure)


def masked(found: Found, photograph: Photograph) -> np.ndarray:
    """The photograph, white and pale where the mask is not."""
    part = Image.fromarray(255 * found.mask[photograph.inside].astype(np.uint8))
    inside = np.asarray(part.resize(photograph.shown.shape[1::-1], Image.Resampling.BILINEAR))[..., None] / 255
    pale = 255 - (255 - photograph.shown.astype(np.float32)) * 0.15
    return np.rint(inside * photograph.shown + (1 - inside) * pale).astype(np.uint8)


def _posed(found: Found, photograph: Photograph, face_colors: np.ndarray) -> np.ndarray:
    """The mesh where it stands in the photograph, on white."""
    rows, columns = photograph.inside
    height, width = photograph.shown.shape[:2]
    scale = width / (columns.stop - columns.start)
    left, top, right, _ = found.box
    size = max(1, round((right - left) * scale))
    picture = drawn(found.vertices, found.rotation, found.translation, found.faces, face_colors, size)[0]
    canvas = Image.new("RGB", (width, height), "white")
    place = round((left - columns.start) * scale), round((top - rows.start) * scale)
    canvas.paste(Image.fromarray(picture.transpose(1, 2, 0)), place)
    return np.asarray(canvas)


def as_json(line: Mapping[str, Any]) -> str:
    """One line, numbers with six digits. Bytes of a name that are no UTF-8 stand as JSON's own escapes."""
    text = json.dumps(_short(line), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {name: _short(entry) for name, entry in value.items()}
    return [_short(entry) for entry in value] if isinstance(value, list | tuple) else value

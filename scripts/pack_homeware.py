"""Packs the objects of homeware into msrn/data/assets from Debian's sweethome3d-furniture (its output is committed).

    apt-get download sweethome3d-furniture && dpkg-deb -x sweethome3d-furniture_*.deb furniture
    python scripts/pack_homeware.py furniture/usr/share/sweethome3d/furniture

Of each model listed in homeware_models.txt: its OBJ, turned upright by the catalogue's modelRotation, simplified, one
colour baked per face from its textures and materials, centred by its bounding box, longest edge 1. Also the split and
the credits its licences ask for. Needs fast-simplification, which the library itself does not.
"""

import argparse
import csv
import hashlib
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

try:
    import fast_simplification
    from sweethome import Soup, read_catalogue, read_obj
except ImportError as error:
    sys.exit(f"pack_homeware: {error.name} is missing; for this script alone: pip install fast-simplification pillow")

HERE = Path(__file__).resolve().parent
ASSETS = HERE.parent / "msrn" / "data" / "assets"
FACES = 4_000  # at most, per object
SAMPLES = 60_000  # points on the original surface from which colours are carried over
VARIED = 12.0  # a face is cut when its colour's standard deviation is above this, of 255,
PIXEL_AREA = 2e-4  # and its area above about one pixel of the images
GLASS = np.array([200, 214, 222])  # what is seen through a transparent material, for want of anything behind it
LIMIT_BYTES = 8_000_000
LICENCES = {
    "BlendSwap-CC-0": "CC0 1.0",
    "BlendSwap-CC-BY": "CC BY 3.0",
    "KatorLegaz": "CC BY 3.0 US",
    "Scopia": "CC BY 3.0",
}
AUTHORS = {
    "KatorLegaz": "Andrew Kator & Jennifer Legaz",
    "Scopia": "Scopia Visual Interfaces Systems, s.l., and Emmanuel Puybaret / eTeks",
}
OWN_LICENCE = {"winchesterArmchair": "CC BY 3.0", "winchesterSofa": "CC BY 3.0"}  # by the page beside the model
SHORT = {"BlendSwap-CC-0": "cc0", "BlendSwap-CC-BY": "ccby", "KatorLegaz": "kator", "Scopia": "scopia"}


@dataclass
class Model:
    category: str
    library: str
    name: str
    family: str
    title: str = ""
    author: str = ""
    path: str = ""
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))

    @property
    def object_id(self) -> str:
        return f"{self.category}/{SHORT[self.library]}-{self.name}"


def read_list(path: Path) -> list[Model]:
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return [Model(row[0], row[1], row[2], row[3] if len(row) > 3 else "") for row in rows]


# ---------------------------------------------------------------------------------------------------- shape and colours


@dataclass
class Surface:
    """Points on the original surface, by which colours find their way to the simplified one."""

    tree: cKDTree  # of the points (P, 3)
    normals: np.ndarray  # (P, 3)
    colors: np.ndarray  # (P, 3)


def sample(soup: Soup, count: int, rng: np.random.Generator) -> Surface:
    """Points uniform by area, and one more on every face, so that none is without."""
    corners = soup.vertices[soup.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1)
    chosen = np.concatenate([rng.choice(len(area), count, p=area / area.sum()), np.flatnonzero(area > 0)])
    weights = rng.dirichlet((1, 1, 1), len(chosen))
    points = (corners[chosen] * weights[..., None]).sum(1)
    uv = (soup.uv[chosen] * weights[..., None]).sum(1)
    colors, opacity = np.empty((len(chosen), 3)), np.empty(len(chosen))
    for index, material in enumerate(soup.materials):
        mine = soup.material[chosen] == index
        colors[mine], opacity[mine] = look_up(material, uv[mine])
    colors = colors * opacity[:, None] + GLASS * (1 - opacity[:, None])
    return Surface(cKDTree(points), normal[chosen] / area[chosen, None], colors)


def look_up(material: dict, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    color = np.broadcast_to(material["color"], (len(uv), 3)).astype(float)
    opacity = np.full(len(uv), material["opacity"])
    texture = material["texture"]
    if texture is not None:
        known = np.isfinite(uv).all(1)
        height, width = texture.shape[:2]
        column = (np.floor(uv[known, 0] % 1 * width)).astype(int) % width
        row = (np.floor((1 - uv[known, 1]) % 1 * height)).astype(int) % height
        texel = texture[row, column]
        color[known], opacity[known] = texel[:, :3], opacity[known] * texel[:, 3] / 255
    return color, opacity


def weld(vertices: np.ndarray, faces: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Joins vertices that fall in one cell of a grid (at their mean); drops faces that lose their area or repeat."""
    _, inverse, counts = np.unique(np.round(vertices / cell), axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.ravel()
    joined = np.zeros((len(counts), 3))
    np.add.at(joined, inverse, vertices)
    joined /= counts[:, None]
    faces = inverse[faces]
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    return joined, faces[np.sort(first)]


def simplify(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most FACES faces. Loose polygons resist edge collapse: they are first welded on an ever coarser grid."""
    for cell in (1e-5, 1 / 1000, 1 / 500, 1 / 300, 1 / 200, 1 / 150, 1 / 120, 1 / 100, 1 / 80, 1 / 64, 1 / 50):
        points, triangles = weld(vertices, faces, cell)
        if len(triangles) > FACES:
            points, triangles = fast_simplification.simplify(
                points.astype(np.float32), triangles.astype(np.int32), target_count=FACES - 50, agg=5
            )
        if len(triangles) <= FACES:
            break
    used, inverse = np.unique(triangles, return_inverse=True)
    return points[used].astype(float), inverse.reshape(-1, 3)


def paint(vertices: np.ndarray, faces: np.ndarray, surface: Surface) -> tuple[np.ndarray, np.ndarray]:
    """Colours (F, 3) of faces and their spread (F,), from the nearest original surface at 28 points of each face."""
    steps = 6
    lattice = [(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)]
    weights = (np.array(lattice, float) + 1 / 3) / (steps + 1)
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    where = np.einsum("kc,fcx->fkx", weights, corners)
    distance, index = surface.tree.query(where, k=6)
    disagree = 1 - np.abs((surface.normals[index] * normal[:, None, None]).sum(-1))
    best = np.argmin(distance + 0.05 * disagree, axis=-1)
    colors = surface.colors[np.take_along_axis(index, best[..., None], -1)[..., 0]]  # (F, 28, 3)
    return colors.mean(1), colors.std(1).max(1)


def refine(vertices: np.ndarray, faces: np.ndarray, surface: Surface) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts large faces of varied colour into four while the budget lasts: stripes of a cloth, spines of books."""
    colors, spread = paint(vertices, faces, surface)
    for _ in range(4):
        first, second, third = (vertices[faces[:, k]] for k in range(3))
        area = np.linalg.norm(np.cross(second - first, third - first), axis=1) / 2
        score = np.where(spread > VARIED, area * spread, 0)
        cut = np.argsort(-score, kind="stable")[: (FACES - len(faces)) // 3]
        cut = cut[(score[cut] > 0) & (area[cut] > PIXEL_AREA)]
        if not len(cut):
            break
        a, b, c = faces[cut].T
        ab, bc, ca = len(vertices) + np.arange(3 * len(cut)).reshape(3, -1)
        middles = [(vertices[p] + vertices[q]) / 2 for p, q in ((a, b), (b, c), (c, a))]
        vertices = np.concatenate([vertices, *middles])
        parts = np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
        kept = np.setdiff1d(np.arange(len(faces)), cut)
        part_colors, part_spread = paint(vertices, parts, surface)
        faces = np.concatenate([faces[kept], parts])
        colors, spread = np.concatenate([colors[kept], part_colors]), np.concatenate([spread[kept], part_spread])
    used, inverse = np.unique(faces, return_inverse=True)
    return vertices[used], inverse.reshape(-1, 3), np.round(colors).astype(np.uint8)


def pack(archive: zipfile.ZipFile, model: Model) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (V, 3) uint16, faces (F, 3) uint16 and colours (F, 3) uint8 of one model."""
    soup = read_obj(archive, model.path)
    soup.vertices = soup.vertices @ model.rotation.T
    soup.vertices = normalise(soup.vertices, soup.faces)
    rng = np.random.default_rng(int(hashlib.sha256(model.object_id.encode()).hexdigest()[:8], 16))
    surface = sample(soup, SAMPLES, rng)
    vertices, faces = simplify(soup.vertices, soup.faces)
    vertices, faces, face_colors = refine(vertices, faces, surface)
    vertices = normalise(vertices, faces)
    return np.round((vertices + 0.5) * 65535).astype(np.uint16), faces.astype(np.uint16), face_colors


def normalise(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    used = vertices[np.unique(faces)]
    low, high = used.min(0), used.max(0)
    return np.clip((vertices - (low + high) / 2) / (high - low).max(), -0.5, 0.5)


# --------------------------------------------------------------------------------------------------- split and credits


def split(models: list[Model]) -> dict[str, str]:
    """70/10/20 of every category. Families train together; the rest is drawn evenly from each library."""
    chosen = {}
    for category in sorted({model.category for model in models}):
        mine = [model for model in models if model.category == category]
        alone = [model for model in mine if not model.family]
        alone.sort(key=lambda m: (m.library, hashlib.sha256(m.object_id.encode()).hexdigest()))
        test, val = round(0.2 * len(mine)), round(0.1 * len(mine))
        held_out = [alone[int((k + 0.5) * len(alone) / (test + val))] for k in range(test + val)]
        in_val = {int((k + 0.5) * (test + val) / val) for k in range(val)}
        for model in mine:
            chosen[model.object_id] = "train"
        for k, model in enumerate(held_out):
            chosen[model.object_id] = "val" if k in in_val else "test"
    return chosen


def write_split(models: list[Model]) -> None:
    chosen = split(models)
    with open(ASSETS / "homeware_split.csv", "w", newline="\n", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["object_id", "category", "split", "evaluation_view"])
        written = {"train": 0, "val": 0, "test": 0}
        for model in models:  # 7 and 24 share no factor: the views of each split spread over the whole circle
            name = chosen[model.object_id]
            writer.writerow([model.object_id, model.category, name, 7 * written[name] % 24])
            written[name] += 1


def write_credits(models: list[Model]) -> None:
    lines = [
        "# Credits of homeware",
        "",
        "The objects of `homeware.npz` are furniture and cars of the libraries of Sweet Home 3D, as Debian distributes",
        "them (package `sweethome3d-furniture` 1.8-1). Each was changed: simplified to at most 4,000 faces, its",
        "textures and materials reduced to one colour a face, turned upright, centred, scaled to a longest edge of 1.",
        "",
        "Licences: CC0 1.0, <https://creativecommons.org/publicdomain/zero/1.0/>;",
        "CC BY 3.0, <https://creativecommons.org/licenses/by/3.0/>;",
        "CC BY 3.0 US, <https://creativecommons.org/licenses/by/3.0/us/>.",
        "",
        "| object | title | author | library | licence |",
        "| --- | --- | --- | --- | --- |",
    ]
    for m in models:
        licence = OWN_LICENCE.get(m.name, LICENCES[m.library])
        lines.append(f"| `{m.object_id}` | {m.title} | {m.author} | {m.library} | {licence} |")
    (ASSETS / "HOMEWARE_CREDITS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("furniture", type=Path, help="the folder that holds BlendSwap-CC-0.sh3f and the others")
    folder = parser.parse_args().furniture
    absent = [library for library in LICENCES if not (folder / f"{library}.sh3f").is_file()]
    if absent:
        sys.exit(f"pack_homeware: {folder} holds no {absent[0]}.sh3f; --help says which folder it should be")
    models = sorted(read_list(HERE / "homeware_models.txt"), key=lambda model: model.object_id)
    archives = {library: zipfile.ZipFile(folder / f"{library}.sh3f") for library in LICENCES}
    catalogues = {library: read_catalogue(archive) for library, archive in archives.items()}
    packed = []
    for number, model in enumerate(models, 1):
        entry = catalogues[model.library][model.name]
        model.title, model.path = entry["name"], entry["model"].lstrip("/")
        model.author = AUTHORS.get(model.library, entry["creator"])
        if "modelRotation" in entry:
            model.rotation = np.array([float(x) for x in entry["modelRotation"].split()]).reshape(3, 3)
        packed.append(pack(archives[model.library], model))
        print(f"{number:3d}/{len(models)} {model.object_id}: {len(packed[-1][1])} faces", flush=True)
    np.savez_compressed(
        ASSETS / "homeware.npz",
        object_id=np.array([model.object_id for model in models]),
        vertex_count=np.array([len(vertices) for vertices, _, _ in packed], np.int32),
        face_count=np.array([len(faces) for _, faces, _ in packed], np.int32),
        vertices=np.concatenate([vertices for vertices, _, _ in packed]),
        faces=np.concatenate([faces for _, faces, _ in packed]),
        face_colors=np.concatenate([colors for _, _, colors in packed]),
    )
    write_split(models)
    write_credits(models)
    size = (ASSETS / "homeware.npz").stat().st_size
    print(f"{size / 1e6:.2f} MB in {ASSETS}")
    if size > LIMIT_BYTES:
        sys.exit(f"pack_homeware: homeware.npz is {size:,} bytes, more than the {LIMIT_BYTES:,} that may be committed")


if __name__ == "__main__":
    main()

"""Reads the furniture libraries of Sweet Home 3D: zip files of a catalogue, and OBJ and MTL files with textures."""

import io
import posixpath
import re
import zipfile
from dataclasses import dataclass

import numpy as np
from PIL import Image


def read_catalogue(archive: zipfile.ZipFile) -> dict[str, dict[str, str]]:
    """Entries of PluginFurnitureCatalog.properties by the stem of their OBJ file."""
    text = archive.read("PluginFurnitureCatalog.properties").decode("latin-1")
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    entries: dict[str, dict[str, str]] = {}
    for key, number, value in re.findall(r"^(\w+)#(\d+)[ \t]*=[ \t]*(.*?)\r?$", text, re.M):
        entries.setdefault(number, {})[key] = value
    return {posixpath.basename(entry["model"]).rsplit(".", 1)[0]: entry for entry in entries.values()}


@dataclass
class Soup:
    """An OBJ as read: polygons cut into triangles, texture coordinates and materials kept."""

    vertices: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3)
    uv: np.ndarray  # (F, 3, 2), NaN where there is none
    material: np.ndarray  # (F,) into ``materials``
    materials: list[dict]


def read_obj(archive: zipfile.ZipFile, path: str) -> Soup:
    vertices, coordinates, faces, uvs, material = [], [], [], [], []
    libraries, names, current = {}, [], 0
    for line in archive.read(path).decode("latin-1").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "v":
            vertices.append([float(x) for x in rest.split()[:3]])
        elif word == "vt":
            coordinates.append([float(x) for x in rest.split()[:2]])
        elif word == "mtllib":
            libraries |= read_mtl(archive, posixpath.join(posixpath.dirname(path), rest.strip()))
        elif word == "usemtl":
            name = rest.strip()
            if name not in names:
                names.append(name)
            current = names.index(name) + 1
        elif word == "f":
            corners = [corner_of(token, len(vertices), len(coordinates)) for token in rest.split()]
            for k in range(1, len(corners) - 1):
                triangle = (corners[0], corners[k], corners[k + 1])
                faces.append([corner[0] for corner in triangle])
                uvs.append([coordinates[c[1]] if c[1] is not None else (np.nan, np.nan) for c in triangle])
                material.append(current)
    default = {"color": np.full(3, 204.0), "opacity": 1.0, "texture": None}
    materials = [default] + [libraries.get(name, default) for name in names]
    return Soup(np.array(vertices), np.array(faces), np.array(uvs, float), np.array(material), materials)


def corner_of(token: str, vertices: int, coordinates: int) -> tuple[int, int | None]:
    parts = token.split("/")
    vertex = int(parts[0])
    texture = int(parts[1]) if len(parts) > 1 and parts[1] else None
    if texture is not None:
        texture = texture - 1 if texture > 0 else coordinates + texture
    return (vertex - 1 if vertex > 0 else vertices + vertex), texture


def read_mtl(archive: zipfile.ZipFile, path: str) -> dict[str, dict]:
    materials: dict[str, dict] = {}
    current: dict = {}
    for line in archive.read(path).decode("latin-1").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "newmtl":
            current = materials[rest.strip()] = {"color": np.full(3, 204.0), "opacity": 1.0, "texture": None}
        elif word == "Kd":
            current["color"] = np.clip([float(x) for x in rest.split()[:3]], 0, 1) * 255
        elif word == "d":
            current["opacity"] = float(rest.split()[-1])
        elif word == "map_Kd":
            file = posixpath.join(posixpath.dirname(path), rest.strip())
            if file in archive.namelist():  # two models name a texture that their library does not hold
                current["texture"] = np.array(Image.open(io.BytesIO(archive.read(file))).convert("RGBA"), float)
    return materials

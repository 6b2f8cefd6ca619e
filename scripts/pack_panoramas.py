"""Packs the panoramas of homeware-wild into msrn/data/assets/panoramas (its output is committed).

    npm pack @pmndrs/assets@1.7.0 && tar xzf pmndrs-assets-1.7.0.tgz
    apt-get download blender-data && dpkg-deb -x blender-data_*.deb blender
    python scripts/pack_panoramas.py package/hdri blender/usr/share/blender/datafiles/studiolights/world

Of each panorama listed below: its light, mended, tone-mapped and written as a JPG; and the credits. Left out are those
that both packages hold, and a rendered sky without ground. Needs OpenEXR, which the library itself does not.
"""

import argparse
import base64
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

try:
    import OpenEXR
except ImportError as error:
    sys.exit(f"pack_panoramas: {error.name} is missing; for this script alone: pip install OpenEXR")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from msrn.data.homeware.panoramas import PANORAMAS  # noqa: E402

ASSETS = ROOT / "msrn" / "data" / "assets"
PMNDRS, BLENDER = "npm `@pmndrs/assets` 1.7.0", "Debian `blender-data` 3.4.1+dfsg-2"
SOURCES = {  # name here -> package and name there
    "apartment": (PMNDRS, "apartment"), "avenue": (BLENDER, "city"), "bridge": (PMNDRS, "bridge"),
    "city": (PMNDRS, "city"), "courtyard": (BLENDER, "courtyard"), "esplanade": (PMNDRS, "esplanade"),
    "garden": (BLENDER, "forest"), "hall": (PMNDRS, "hall"), "hills": (PMNDRS, "dawn"),
    "laboratory": (PMNDRS, "lab"), "lobby": (PMNDRS, "lobby"), "meadow": (BLENDER, "sunrise"),
    "park": (PMNDRS, "park"), "piazza": (PMNDRS, "sunset"), "pines": (PMNDRS, "forest"),
    "promenade": (BLENDER, "sunset"), "quay": (PMNDRS, "venice"), "room": (BLENDER, "interior"),
    "savanna": (PMNDRS, "night"), "studio": (BLENDER, "studio"), "town": (BLENDER, "night"),
    "warehouse": (PMNDRS, "warehouse"), "workshop": (PMNDRS, "workshop"),
}  # fmt: skip
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
GREY, WHITE = 0.18, 4.0  # the average light becomes this grey; what is so many times as bright as white clips
QUALITY = 92
LIMIT_BYTES = 6_000_000


def read_exr(path: Path) -> np.ndarray:
    """Light (H, W, 3) of an EXR file, or of a module of JavaScript that holds one in base 64."""
    content = path.read_bytes()
    if path.suffix == ".js":
        content = base64.b64decode(content.split(b"base64,")[1].split(b"'")[0])
    with OpenEXR.File(io.BytesIO(content)) as file:
        return file.channels()["RGB"].pixels.astype(np.float64)


def mend(light: np.ndarray) -> np.ndarray:
    """Finite and not negative. Next to the sun and to lamps compression swings below zero, as far as it does above."""
    finite = light[np.isfinite(light)]
    return np.abs(np.nan_to_num(light, nan=0.0, posinf=finite.max(), neginf=0.0))


def tone_map(light: np.ndarray) -> np.ndarray:
    """sRGB (H, W, 3) uint8: exposed for the average of the logarithm, then Reinhard's curve with a white point."""
    light = light * (GREY / np.exp(np.log(light @ LUMINANCE + 1e-4).mean()))
    light = np.clip(light * (1 + light / WHITE**2) / (1 + light), 0, 1)
    encoded = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def write_credits() -> None:
    lines = [
        "# Credits of homeware-wild",
        "",
        "The panoramas in `panoramas/` are photographs of Poly Haven, as two packages distribute them; those of",
        "Debian's are by Greg Zaal (HDRI Haven), as its `license.txt` says. Each was changed: tone-mapped to eight",
        "bits, stored as JPG. The objects in front of them are those of homeware (`HOMEWARE_CREDITS.md`). No",
        "background of a test image is seen in training.",
        "",
        "Licence: CC0 1.0, <https://creativecommons.org/publicdomain/zero/1.0/>.",
        "",
        "| panorama | split | package | its name there | licence |",
        "| --- | --- | --- | --- | --- |",
    ]
    split_of = {name: split for split, names in PANORAMAS.items() for name in names}
    for name, (package, there) in SOURCES.items():
        lines.append(f"| `{name}` | {split_of[name]} | {package} | {there}.exr | CC0 1.0 |")
    (ASSETS / "HOMEWARE_WILD_CREDITS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hdri", type=Path, help="the folder hdri of @pmndrs/assets")
    parser.add_argument("world", type=Path, help="the folder studiolights/world of blender-data")
    folders = parser.parse_args()
    (ASSETS / "panoramas").mkdir(exist_ok=True)
    for name, (package, there) in SOURCES.items():
        path = folders.hdri / f"{there}.exr.js" if package == PMNDRS else folders.world / f"{there}.exr"
        if not path.is_file():
            sys.exit(f"pack_panoramas: there is no {path}; --help says which folders are asked for")
        picture = Image.fromarray(tone_map(mend(read_exr(path))))
        picture.save(ASSETS / "panoramas" / f"{name}.jpg", quality=QUALITY, subsampling=0)
        print(f"{name}: {picture.width} x {picture.height}", flush=True)
    write_credits()
    size = sum(path.stat().st_size for path in (ASSETS / "panoramas").glob("*.jpg"))
    print(f"{size / 1e6:.2f} MB in {ASSETS / 'panoramas'}")
    if size > LIMIT_BYTES:
        sys.exit(f"pack_panoramas: {size:,} bytes, more than the {LIMIT_BYTES:,} that may be committed")


if __name__ == "__main__":
    main()

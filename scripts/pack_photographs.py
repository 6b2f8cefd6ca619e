"""Cuts the photographs that ``msrn reconstruct`` is shown with out of panoramas of homeware-wild, which are CC0.

    python scripts/pack_photographs.py      writes msrn/data/assets/photographs/*.jpg

A view is azimuth, elevation and roll of a camera in the middle of the panorama and its field of view, in degrees
(``msrn.data.homeware.panoramas.crop``). The panoramas are of the test split: no training saw them.
"""

import numpy as np
from PIL import Image

from msrn.data.homeware.panoramas import crop, read_panorama
from msrn.paths import ASSETS

SIZE = 512
VIEWS = {  # name -> panorama, (azimuth, elevation, roll), field of view
    "armchair": ("room", (193.0, 33.0, 0.0), 50.0),
    "seat": ("lobby", (276.0, 33.0, 0.0), 56.0),
    "bed": ("room", (84.0, 26.0, 0.0), 84.0),
}


def main() -> None:
    folder = ASSETS / "photographs"
    folder.mkdir(exist_ok=True)
    for name, (panorama, pose, field_of_view) in VIEWS.items():
        picture = crop(read_panorama(ASSETS / "panoramas" / f"{panorama}.jpg"), pose, field_of_view, SIZE)
        pixels = np.rint(255 * picture.clip(0, 1)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.jpg", quality=90)


if __name__ == "__main__":
    main()

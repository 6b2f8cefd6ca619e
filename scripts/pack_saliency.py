"""Make ``msrn/data/assets/homeware_wild_saliency.npz``: U2-Net-p's maps of the photographs of homeware-wild.

    python scripts/pack_saliency.py

The network takes half a second of a core for a photograph, an hour for all; with this file nobody else waits for it.
Maps are found by the photograph's content, so where photographs are drawn a little differently (another JPEG library),
the network looks at them itself. Interrupted at any moment it goes on where it was.
"""

import numpy as np

from msrn.data import SPLITS, open_collection
from msrn.foreground.saliency import SHIPPED, Saliency, content_key, in_levels

DATASET = "homeware-wild"


def main() -> None:
    SHIPPED.unlink(missing_ok=True)  # the network's own maps, not those that came with the package
    saliency, keys, maps = Saliency(), [], []
    for split in SPLITS:
        images = open_collection(DATASET, split).images
        saliency.complete(images)
        keys += [np.frombuffer(content_key(image), np.uint8) for image in images]
        maps += [in_levels(saliency.maps(image[None])[0]) for image in images]
    np.savez_compressed(SHIPPED, version=saliency.identity, keys=np.stack(keys), maps=np.stack(maps))
    print(f"{SHIPPED.name}: {len(keys):,} maps by {saliency.name}, {SHIPPED.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

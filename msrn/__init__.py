"""M-SRN: memory-based diverse-category single-view 3D reconstruction, module by section of the paper.

The alphabet of shapes, used in every docstring:

    B  batch                      P  points sampled on a surface
    N  images of a collection     T  categories
    H, W  image height, width     Q  code size
    V  vertices of a mesh         S  memory slots per term (the paper's K)
    F  faces of a mesh            C  prototypes per category (the paper's K' and K'')
"""

from msrn import paths
from msrn.store import progress

__version__ = "0.1.0"

paths.settle()  # before other libraries are imported
progress.settle()

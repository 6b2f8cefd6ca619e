"""The shape that training starts from: the ellipsoid X of Eq. 6, the same for every image."""

import numpy as np

from msrn.baselines.baseline import Baseline
from msrn.errors import MsrnError
from msrn.evaluation.protocol import Mesh
from msrn.render.icosphere import icosphere


def ellipsoid(count: int, semi_axes: tuple[float, float, float] = (1.0, 0.7, 0.7), level: int = 3) -> list[Mesh]:
    """``count`` times the icosphere of ``level`` with the given semi-axes (x, y, z).

    Their size does not matter, since evaluation brings the longest edge to 1; their ratio does.
    """
    if len(semi_axes) != 3 or not min(semi_axes) > 0:
        raise MsrnError(f"ellipsoid: semi-axes {semi_axes!r}: expected three numbers above 0")
    vertices, faces = icosphere(level)
    return [(vertices.numpy() * np.asarray(semi_axes), faces.numpy())] * count


BASELINE = Baseline(
    "starting ellipsoid",
    __name__,
    lambda inputs: ellipsoid(len(inputs.index), inputs.settings.ellipsoid, inputs.settings.mesh_level),
    lambda inputs: [inputs.settings.ellipsoid, inputs.settings.mesh_level],
)

"""What silhouettes can say of a shape: the hull of each object, carved by all of its own masks at the true poses.

    h(x) = min over views v of M_v(pi_v(x)),   the surface where h passes one half

Evaluation only, and no rival: it is told what a network must find out (the pose) and sees what a network never does
(the other sides). No mask can tell anything inside the hull, such as a hollow. It is no strict bound: a network may
carry over from other objects what the masks of one leave open.
"""

import numpy as np
import torch
from torch.nn import functional

from msrn import camera
from msrn.baselines.baseline import Given
from msrn.baselines.mean_shape import marching_tetrahedra
from msrn.data.collection import ImageCollection
from msrn.errors import MsrnError
from msrn.evaluation.protocol import Mesh, Surfaces

VOXELS = 64  # along an edge of the cube around an object
EDGE = 1.1  # of the cube, where the longest edge of an object is 1


def carved_hulls(inputs: Given) -> Surfaces:
    """For each image the hull of its object, from all test images of it, at the cameras of ``true_pose``.

    Time grows as objects x views x voxels; a third of a second an object of 24 views.
    """
    return Surfaces(lambda name: _carve(inputs.test, np.flatnonzero(inputs.test.object_id == name)), inputs.names)


def _carve(test: ImageCollection, rows: np.ndarray) -> Mesh:
    """The surface of what all masks (B, H, W) of the images ``rows`` leave. What a camera does not see stays."""
    pitch = EDGE / VOXELS
    edge = (torch.arange(VOXELS) + 0.5) * pitch - EDGE / 2
    places, full = torch.cartesian_prod(edge, edge, edge), torch.ones(VOXELS**3)
    rotations = camera.rotation(*torch.from_numpy(test.true_pose()[rows]).unbind(1))
    for mask, rotation in zip(torch.from_numpy(test.true_masks()[rows]).float(), rotations, strict=True):
        image = camera.project(places, rotation, places.new_tensor([0.0, 0.0, camera.DISTANCE]))[:, :2]
        share = functional.grid_sample(mask[None, None], image[None, None], padding_mode="border", align_corners=False)
        full = torch.minimum(full, share[0, 0, 0].where((image.abs() <= 1).all(1), 1.0))
    if not full.any():
        raise MsrnError(f"masks of object {test.object_id[rows[0]]} share no place: expected masks at their true poses")
    # Beyond the cube is nothing, and a shape too thin for one half has a surface too.
    solid = np.pad(full.reshape(VOXELS, VOXELS, VOXELS).double().numpy(), 1)
    vertices, faces = marching_tetrahedra(solid, min(0.5, solid.max() / 2))
    return (vertices - 1) * pitch + edge[0].item(), faces

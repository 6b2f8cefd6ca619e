"""What silhouettes can say of a shape: each object's mesh fitted to all of its own masks, at the true poses.

Evaluation only, and no rival: it is told what a network must find out (the pose) and sees what a network never does
(the other sides). Vertices move by themselves, with the mask terms of Eq. 42 and the smoothness of Eq. 45, the
renderer, the mesh and the resolution of the profile. What is left of the distance is what this renderer does not get
out of the masks, and what they do not tell: seen all around from elevation 30, a box may wear a roof and a keel that
rise by half its width times tan 30 without a change in any mask. It is no strict bound: a network may carry over from
other objects what the masks of one leave open.
"""

import numpy as np
import torch
from tqdm import tqdm

from msrn import camera, losses
from msrn.baselines.baseline import Given
from msrn.data.collection import ImageCollection
from msrn.evaluation.protocol import Mesh
from msrn.render import soft_rasterize
from msrn.render.icosphere import icosphere
from msrn.settings import Settings
from msrn.training.batches import prepare

STEPS, RATE = 100, 0.02  # of Adam, in units of the object's longest edge
SLOW_FROM, SLOWER = 0.75, 0.1  # the last quarter of the steps, at a tenth of the rate
WHITE = (1.0, 1.0, 1.0)
SETTINGS = tuple(
    "image_size mesh_level ellipsoid sigma gamma affinity_weight affinity_literal "
    "normal_weight laplacian_weight".split()
)


def fitted_meshes(inputs: Given) -> list[Mesh]:
    """For each image the mesh of its object, from all test images of it.

    Of the settings, ``SETTINGS`` have a say. The cameras are those of ``true_pose`` at distance 2.732, as the
    network's own. Time grows as objects x views x pixels; some two seconds an object of 24 views at profile laptop on
    one core.
    """
    test = inputs.test
    bar = tqdm(inputs.index, "fitting to masks", unit="object", disable=not inputs.progress)
    return [_fit(test, np.flatnonzero(test.object_id == test.object_id[image]), inputs.settings) for image in bar]


def _fit(test: ImageCollection, rows: np.ndarray, s: Settings) -> Mesh:
    """The mesh whose silhouettes come nearest the masks (B, H, W) of the images ``rows``."""
    images, masks = (torch.from_numpy(np.array(array[rows])) for array in (test.images, test.masks))
    mask = prepare(images, masks, torch.zeros(len(rows), dtype=torch.int64), s.image_size).mask
    rotation = camera.rotation(*torch.from_numpy(test.true_pose()[rows]).unbind(1))  # (B, 3, 3)
    translation = rotation.new_tensor([0.0, 0.0, camera.DISTANCE]).expand(len(rows), 3)
    sphere, faces = icosphere(s.mesh_level)
    vertices = (sphere.float() * torch.tensor(s.ellipsoid)).requires_grad_()  # (V, 3)
    colours = torch.zeros(len(rows), len(faces), 3, 3)  # only silhouettes count
    optimizer = torch.optim.Adam([vertices], RATE)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (SLOWER if step >= SLOW_FROM * STEPS else 1.0)
        projected = camera.project(vertices[None], rotation, translation)
        _, alpha, transparency = soft_rasterize(projected, faces, colours, s.image_size, s.sigma, s.gamma, WHITE)
        far = losses.affinity(mask, alpha, s.affinity_literal)
        rough = s.normal_weight * losses.normal_consistency(vertices[None], faces)
        rough = rough + s.laplacian_weight * losses.laplacian(vertices[None], faces)
        optimizer.zero_grad()
        ((losses.bce(mask, transparency) + s.affinity_weight * far).mean() + rough.mean()).backward()
        optimizer.step()
    return vertices.detach().double().numpy(), faces.numpy()

"""Whether shapes tell front from back, on networks whose answers are made up: wedges, high at the back."""

from types import SimpleNamespace

import numpy as np
import torch
from toy import tiny_settings

from msrn import camera
from msrn.evaluation import front_back
from msrn.network.meshes import Textured
from msrn.render import soft_rasterize
from msrn.render.icosphere import icosphere

OBJECTS, VIEWS, SIZE = 6, 8, 32
TRUE = np.tile(np.arange(VIEWS) * 360.0 / VIEWS + 20, OBJECTS)
FLIPPED = np.random.default_rng(0).random(len(TRUE)) < 0.5
TURN = torch.tensor([-1.0, 1.0, -1.0])


def wedge():
    sphere, faces = icosphere(1)
    vertices = 0.3 * torch.as_tensor(sphere, dtype=torch.float32)
    vertices[:, 1] += 0.35 * (vertices[:, 2] < -0.05)
    return vertices, torch.as_tensor(faces)


def posed(azimuth):
    azimuth = torch.as_tensor(azimuth, dtype=torch.float32)
    rotation = camera.rotation(azimuth, torch.tensor(30.0), torch.tensor(0.0))
    return rotation, torch.tensor([0.0, 0.0, camera.DISTANCE]).expand(len(azimuth), 3)


def asked(shape_flipped, pose_flipped, objects=OBJECTS):
    """A network and the images of a wedge, whose shapes and poses are half a turn off where it is said."""
    vertices, faces = wedge()
    colors = torch.full((len(TRUE), len(faces), 3, 3), 0.5)
    projected = camera.project(vertices[None], *posed(TRUE))
    _, alpha, _ = soft_rasterize(projected, faces, colors, SIZE, 1e-4, 1e-4, (1.0, 1.0, 1.0))
    masks = alpha.numpy() > 0.5
    images = np.where(masks[:, None], 128, 255).astype(np.uint8).repeat(3, 1)
    images[:, 0, 0, 0] = np.arange(len(images))  # by which the network knows them
    shapes = torch.where(torch.as_tensor(shape_flipped)[:, None, None], vertices * TURN, vertices)
    azimuth = TRUE + 180 * np.asarray(pose_flipped)
    rotation, translation = posed(azimuth)

    def reconstruct(given):
        rows = given[:, 0, 0, 0].long()
        return SimpleNamespace(
            meshes=[Textured(shapes[row], faces, colors[row]) for row in rows], rotation=rotation[rows],
            translation=translation[rows], azimuth=torch.as_tensor(azimuth)[rows],
        )  # fmt: skip

    train = SimpleNamespace(
        images=images, masks=masks, category=np.zeros(len(TRUE), int), true_pose=lambda: TRUE[:, None],
        object_id=np.repeat(np.arange(objects), len(TRUE) // objects).astype(str),
    )  # fmt: skip
    network = SimpleNamespace(faces=faces, settings=tiny_settings(image_size=SIZE), reconstruct=reconstruct)
    return network, train, np.arange(len(TRUE))


NONE = np.zeros(len(TRUE), bool)


def test_shapes_that_are_the_same_way_round_tell_the_front():
    assert front_back.share_told(*asked(NONE, NONE)) > 0.95
    assert front_back.share_told(*asked(~NONE, ~NONE)) > 0.95  # all half a turn off: a frame is as good as another
    assert front_back.share_told(*asked(FLIPPED, FLIPPED)) > 0.95  # poses are split, and shapes could tell


def test_shapes_whose_way_round_has_nothing_to_do_with_the_pose_tell_nothing():
    assert 0.25 < front_back.share_told(*asked(FLIPPED, NONE)) < 0.75
    assert front_back.share_told(*asked(~NONE, NONE)) < 0.05  # and they may be the wrong way round throughout


def test_a_single_object_is_not_asked():
    assert np.isnan(front_back.share_told(*asked(NONE, NONE, objects=1)))


def test_others_are_of_the_category_and_not_of_the_object():
    category, names = np.array([0, 0, 0, 1, 1, 2]), np.array(["a", "a", "b", "c", "d", "e"])
    found = [front_back.others(category, names, np.random.default_rng(seed)).tolist() for seed in range(8)]
    assert {one[2] for one in found} == {0, 1} and all(one[:2] == [2, 2] and one[3:] == [4, 3, -1] for one in found)


def test_the_way_round_is_up_to_a_turn_that_a_category_has_in_common():
    true = np.linspace(0, 350, 36)
    flipped = np.arange(36) % 3 == 0
    way = front_back.way_round(true + 77 + 180 * flipped, true, np.zeros(36, int))
    assert set(way[flipped]) | {-x for x in way[~flipped]} in ({1.0}, {-1.0})
    both = np.concatenate([true + 10, true + 100])
    way = front_back.way_round(both, np.tile(true, 2), np.repeat([0, 1], 36))
    assert len(set(way[:36])) == len(set(way[36:])) == 1

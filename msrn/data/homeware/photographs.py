"""Objects photographed in the wild: how one image of homeware-wild comes about, from the mesh to the grain.

The object stands on the floor of a panorama, seen by a camera at a random pose, at a random size and place, in a share
of the images small, or cut by the frame. Beside and behind it stand other things, in front of it lie small ones; each
casts a shadow. Colours are drawn toward those around the object, in a share of the images until it hardly stands out;
its surface mirrors the surroundings a little. Then blur, exposure, noise and a JPEG's losses. All of it follows from
the generator that is given.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from msrn import camera
from msrn.data.drawing import zbuffer
from msrn.data.ground_truth import GroundTruth
from msrn.data.homeware import panoramas

SIZE, SAMPLES = 128, 3
ELEVATION, ROLL = (15.0, 45.0), 5.0  # degrees
SMALL, TRUNCATED = 0.15, 0.15  # shares of the images
SHARE_SMALL, SHARE_WHOLE, SHARE_TRUNCATED = (0.25, 0.40), (0.45, 0.90), (0.60, 1.0)  # longest side, of the frame's
CUT = (0.08, 0.25)  # of the object's width or height, beyond the frame
OFF_CENTRE, OFF_CENTRE_SMALL = 0.18, 0.4  # at most, of half a frame
LOWER = 0.12  # of half a frame, since the floor is below the horizon
COMPANIONS, SHARE_COMPANION = (0.45, 0.4, 0.15), (0.5, 0.9)  # chances of none, one, two; longest side, of the object's
CLUTTER, SHARE_CLUTTER = 2, (0.10, 0.25)  # at most so many small things; longest side, of the frame's
RIVAL, OCCLUDED = 0.35, 0.15  # a companion may show at most so much of the object's area, and what is in front hide it
LOW_CONTRAST = 0.1  # share of the images
PULL, PULL_LOW = (0.0, 0.1), (0.35, 0.6)  # of the way from the object's colours to those around it
GLOSS = 0.1  # at most, of the mirrored surroundings in the colours of a surface
FIELD_OF_VIEW = (60.0, 70.0)  # degrees, of the camera in the panorama
VERSION = 1  # raise it when photographs change in a way that the numbers above do not show
PROTOCOL = {
    name: value for name, value in list(globals().items()) if name.isupper() and isinstance(value, int | float | tuple)
}  # fmt: skip


def draw_pose(rng: np.random.Generator) -> tuple[float, float, float]:
    """Azimuth, elevation and roll in degrees; the first that is drawn of an image, so that it can be had alone."""
    return float(rng.uniform(0, 360)), float(rng.uniform(*ELEVATION)), float(rng.uniform(-ROLL, ROLL))


def take_photograph(
    mesh: GroundTruth, others: Sequence[GroundTruth], places: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Image (3, H, W) uint8 and the true mask (H, W) bool of the pixels of which ``mesh`` shows at least half.

    ``others`` are meshes from which companions and clutter are drawn, if any, ``places`` panoramas (H, W, 3) in 0..1.
    It costs some 30 ms of one core, most of it in passing over the faces of things, for themselves and their shadows.
    """
    pose = draw_pose(rng)
    light = _draw_light(rng)
    look = rng.uniform(0, 360), 0.35 * pose[1] + rng.uniform(-4, 4), pose[2]  # the floor meets the object's, roughly
    picture = panoramas.crop(places[rng.integers(len(places))], look, rng.uniform(*FIELD_OF_VIEW), SIZE)
    thing = _draw_place(_see(mesh, pose, light), rng)
    pull = rng.uniform(*(PULL_LOW if rng.random() < LOW_CONTRAST else PULL))
    covers = []  # of the object, then of what lies over it
    for other in sorted([thing, *_draw_others(thing, others, pose, light, rng)], key=lambda one: one.base):
        layer = _tuned(other.layer(), picture, pull, rng.uniform(0, GLOSS))
        picture = other.shadowed(picture, light) * (1 - layer[..., 3:]) + layer[..., :3]
        if other is thing or covers:
            covers.append(layer[..., 3])
    visible = covers[0] * np.prod([1 - cover for cover in covers[1:]], axis=0)
    return _develop(picture, rng), visible >= 0.5


# ----------------------------------------------------------------------------------------------------- things and light


@dataclass(frozen=True)
class _Light:
    toward: np.ndarray  # (3,) unit, to the light, in the world
    ambient: float
    color: np.ndarray  # (3,)
    cast: float  # how dark the shadow away from the light is, 0..1
    contact: float  # and the one below
    softness: float  # blur of the former, in pixels


def _draw_light(rng: np.random.Generator) -> _Light:
    azimuth, elevation = np.deg2rad([rng.uniform(0, 360), rng.uniform(35, 75)])
    toward = [np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)]
    warmth = rng.uniform(-0.1, 0.15)
    return _Light(
        toward=np.array(toward),
        ambient=rng.uniform(0.3, 0.65),
        color=rng.uniform(0.9, 1.2) * np.array([1 + warmth, 1.0, 1 - warmth]),
        cast=rng.uniform(0.15, 0.65),
        contact=rng.uniform(0.2, 0.5),
        softness=rng.uniform(0.8, 3.0),
    )


@dataclass(frozen=True)
class _Thing:
    """A mesh as the camera sees it, and its shadows on the floor, somewhere in the image."""

    faces: np.ndarray  # (F, 3)
    colors: np.ndarray  # (F, 3) float, lit, 0..1
    half: np.ndarray  # (2,) half the sides of its box, the longer one 1; in units of ``share``
    body: np.ndarray  # (V, 3) in normalised image coordinates; likewise the next two
    cast: np.ndarray
    below: np.ndarray
    centre: tuple[float, float] = (0.0, 0.0)  # of the box, in normalised image coordinates
    share: float = 1.0  # longest side of the box, of the frame's

    @property
    def base(self) -> float:
        return self.centre[1] + self.half[1] * self.share

    def at(self, share: float, centre: tuple[float, float]) -> "_Thing":
        """A thing fresh from ``_see`` at a size and place."""
        factor, shift = np.array([share, share, 1.0]), np.array([*centre, 0.0])
        body, cast, below = (points * factor + shift for points in (self.body, self.cast, self.below))
        return replace(self, body=body, cast=cast, below=below, centre=centre, share=share)

    def layer(self) -> np.ndarray:
        return zbuffer.draw_layer(self.body, self.faces, self.colors, SIZE, SAMPLES)

    def shadowed(self, picture: np.ndarray, light: _Light) -> np.ndarray:
        for points, strength, blur in (
            (self.cast, light.cast, light.softness),
            (self.below, light.contact, 0.03 * self.share * SIZE),
        ):
            cover = zbuffer.draw_layer(points, self.faces, self.colors, SIZE, 1)[..., 3]
            picture = picture * (1 - strength * gaussian_filter(cover, blur))[..., None]
        return picture


def _see(mesh: GroundTruth, pose: tuple[float, float, float], light: _Light) -> _Thing:
    """The mesh on the floor from the camera of homeware at ``pose``; its box is centred and its longest side 2."""
    rotation = camera.rotation(*torch.tensor(pose, dtype=torch.float64)).numpy()
    vertices = mesh.vertices.astype(np.float64)
    height = (vertices[:, 1] - vertices[:, 1].min())[:, None]
    down = np.stack((np.zeros(3), light.toward / light.toward[1], (0.0, 1.0, 0.0)))[:, None]
    in_camera = (vertices - height * down) @ rotation + (0.0, 0.0, camera.DISTANCE)  # (3, V, 3): body, cast, below
    # camera.project in NumPy, since threads draw at once, and each would start as many of torch's.
    xy, depth = -camera.FOCAL * in_camera[..., :2] / in_camera[..., 2:], in_camera[..., 2:]
    low, high = xy[0].min(0), xy[0].max(0)
    scale = 2 / (high - low).max()
    projected = np.concatenate(((xy - (low + high) / 2) * scale, depth), axis=-1)
    brightness = zbuffer.shade(in_camera[:1], mesh.faces, light.toward @ rotation, light.ambient)[0]
    colors = mesh.face_colors / 255 * brightness[:, None] * light.color
    return _Thing(mesh.faces, colors, (high - low) * scale / 2, *projected)


# --------------------------------------------------------------------------------------------------------------- places


def _draw_place(thing: _Thing, rng: np.random.Generator) -> _Thing:
    """The object itself: small, cut by the frame, or neither."""
    kind = rng.random()
    small, truncated = kind < SMALL, SMALL <= kind < SMALL + TRUNCATED
    share = rng.uniform(*(SHARE_SMALL if small else SHARE_TRUNCATED if truncated else SHARE_WHOLE))
    room = 1 - thing.half * share  # within which the centre keeps the box in the frame
    spread = OFF_CENTRE_SMALL if small else OFF_CENTRE
    centre = np.clip(rng.uniform(-spread, spread, 2) + (0, LOWER), -np.abs(room), np.abs(room))
    if truncated:
        axis = rng.integers(2)
        side = 1 if axis else rng.choice((-1, 1))  # not at the top: there it would float above the horizon
        centre[axis] = side * (room[axis] + rng.uniform(*CUT) * 2 * thing.half[axis] * share)
    return thing.at(share, (float(centre[0]), float(centre[1])))


def _draw_others(
    thing: _Thing, meshes: Sequence[GroundTruth], pose: tuple, light: _Light, rng: np.random.Generator
) -> list[_Thing]:
    """Companions beside and behind the object and clutter on the floor, save those that would outdo or hide it."""
    things, cover = [], thing.layer()[..., 3]
    companions = rng.choice(len(COMPANIONS), p=COMPANIONS)
    count = companions + rng.integers(CLUTTER + 1)
    for number in range(count if len(meshes) else 0):
        mesh = meshes[rng.integers(len(meshes))]
        other = _see(mesh, (rng.uniform(0, 360), *pose[1:]), light)
        if number < companions:
            share = thing.share * rng.uniform(*SHARE_COMPANION)
            apart = (thing.half[0] * thing.share + other.half[0] * share) * rng.uniform(0.6, 1.05)
            x, base = thing.centre[0] + rng.choice((-1, 1)) * apart, thing.base - 0.4 * share * rng.random()
        else:
            share = rng.uniform(*SHARE_CLUTTER)
            x, base = rng.uniform(-1, 1), rng.uniform(0, 1.1)
        other = other.at(share, (float(x), float(base - other.half[1] * share)))
        over = other.layer()[..., 3]
        hidden_area = (over * cover).sum() if other.base > thing.base else 0.0
        visible_area = (over * (1 - cover)).sum()
        if visible_area <= RIVAL * cover.sum() and hidden_area <= OCCLUDED * cover.sum():
            things.append(other)
    return things


# -------------------------------------------------------------------------------------------------------------- picture


def _tuned(layer: np.ndarray, picture: np.ndarray, pull: float, gloss: float) -> np.ndarray:
    """The layer (H, W, 4) with the mean and spread of its colours pulled toward those of the picture around it."""
    cover = layer[..., 3:]
    if cover.sum() < 1:
        return layer
    around = gaussian_filter(cover, (SIZE / 16, SIZE / 16, 0))
    mean = layer[..., :3].sum((0, 1)) / cover.sum()
    spread = np.sqrt(((layer[..., :3] - mean * cover) ** 2).sum() / (3 * cover.sum()) + 1e-4)
    mean_around = (picture * around).sum((0, 1)) / around.sum()
    spread_around = np.sqrt((((picture - mean_around) ** 2) * around).sum() / (3 * around.sum()))
    contrast = 1 + pull * (np.clip(spread_around / spread, 0.4, 1.2) - 1)
    colors = contrast * (layer[..., :3] - mean * cover) + (mean + pull * (mean_around - mean)) * cover
    mirrored = picture[:, ::-1] * cover
    return np.concatenate((np.clip((1 - gloss) * colors + gloss * mirrored, 0, 1), cover), axis=-1)


def _develop(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(3, H, W) uint8: lens, exposure, grain and a JPEG's losses."""
    picture = gaussian_filter(picture, (*[rng.uniform(0.2, 0.6)] * 2, 0))
    picture = np.clip(picture * rng.uniform(0.8, 1.2) * rng.uniform(0.94, 1.06, 3), 0, 1) ** rng.uniform(0.85, 1.2)
    grain = gaussian_filter(rng.standard_normal(picture.shape), (0.4, 0.4, 0)) * rng.uniform(0.003, 0.02)
    file = io.BytesIO()
    pixels = np.rint(np.clip(picture + grain, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=int(rng.integers(55, 93)))
    return np.asarray(Image.open(file)).transpose(2, 0, 1)

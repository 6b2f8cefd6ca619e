"""The reconstruction network (§3, Eqs 1-6): three encoders, three decoders, one mesh.

    z_s = E_s(I),  z_t = E_t(I),  z_c = E_c(I)                     Eqs 1-3
    T = D_t(z_t),  C = D_c(z_c),  S = X + D_s(zbar_s, X)           Eqs 4-6

zbar_s is z_s compensated by the prototypes of the memory bank (§3.2). The paper leaves sizes open; the architecture is
Unicorn's, every size a setting. The encoders see images (B, 3, H, W) in 0..1, as in Unicorn without ImageNet
normalisation, or the features of a network trained on ImageNet.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from msrn import backbone, camera
from msrn.compensation import FeatureCompensation
from msrn.data.procedural13.template import template
from msrn.errors import MsrnError
from msrn.memory import MemoryBank, Prototypes
from msrn.network.layers import FEATURES, encoder, mlp
from msrn.network.meshes import Reconstruction, Textured, level_sets, plain
from msrn.network.signed_distance import ColorField, Field, SignedDistance
from msrn.render.icosphere import icosphere
from msrn.settings import Settings

OVERLAP = 0.52  # reach of a candidate's azimuth to either side, in bins: 0.5 would just touch the next bin's
TRANSLATION = (0.2, 0.2, 0.0)  # reach of the translation (x, y, z), where the longest edge of an object is 1


class ShapeDecoder(nn.Module):
    """D_s of Eq. 6, one perceptron for all vertices: linear maps of vertex and code, added, and what follows. Its last
    layer starts at zero, so that the first mesh is the ellipsoid itself."""

    def __init__(self, code: int, hidden: int):
        super().__init__()
        self.from_vertex = nn.Linear(3, hidden)
        self.from_code = nn.Linear(code, hidden)
        self.rest = mlp([hidden, hidden, hidden, 3], zero=True)

    def forward(self, code: torch.Tensor, vertices: torch.Tensor) -> torch.Tensor:
        """code (B, Q), vertices (V, 3) -> displacement (B, V, 3)."""
        hidden = self.from_vertex(vertices)[None] + self.from_code(code)[:, None]  # (B, V, hidden)
        return self.rest(functional.relu(hidden))


class TextureDecoder(nn.Module):
    """D_t of Eq. 4: the code as a 1 x 1 map, doubled by convolutions; every scale adds its colours to the picture."""

    def __init__(self, code: int, size: int, fewest: int):
        super().__init__()
        channels = [code] + [max(code >> (level + 1), fewest) for level in range(int(math.log2(size)))]
        pairs = list(zip(channels, channels[1:], strict=False))
        self.grow = nn.ModuleList(nn.Conv2d(inputs, outputs, 3, padding=1) for inputs, outputs in pairs)
        self.to_rgb = nn.ModuleList(nn.Conv2d(outputs, 3, 3, padding=1) for _, outputs in pairs)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """code (B, Q) -> texture (B, 3, size, size) in 0..1."""
        hidden, picture = code[:, :, None, None], 0.0
        for grow, to_rgb in zip(self.grow, self.to_rgb, strict=True):
            hidden = functional.relu(grow(functional.interpolate(hidden, scale_factor=2.0)))
            colours = to_rgb(hidden)  # (B, 3, side, side)
            if torch.is_tensor(picture):
                colours = colours + functional.interpolate(picture, scale_factor=2.0, mode="bilinear")
            picture = colours
        return torch.sigmoid(picture)


class VertexDecoder(nn.Module):
    """D_s or D_t with weights of its own for every vertex, which starts at zero: code (B, Q) -> (B, V, 3)."""

    def __init__(self, code: int, hidden: int, vertices: int):
        super().__init__()
        self.from_code = nn.Linear(code, hidden)
        self.to_vertices = mlp([hidden, 3 * vertices], zero=True)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        return self.to_vertices(functional.relu(self.from_code(code))).unflatten(1, (-1, 3))


@dataclass
class Shape:
    """What the shape branch says of B images."""

    code: torch.Tensor  # z_s (B, Q), before compensation
    scale: torch.Tensor  # of the axes, (B, 3)
    unscaled: torch.Tensor  # (B, V, 3), X displaced

    @property
    def vertices(self) -> torch.Tensor:
        """S of Eq. 6 with its axis scale, (B, V, 3)."""
        return self.unscaled * self.scale[:, None]


@dataclass
class Poses:
    """The K candidate poses of B images."""

    probability: torch.Tensor  # (B, K), rows sum to 1
    azimuth: torch.Tensor  # (B, K) degrees
    rotation: torch.Tensor  # (B, K, 3, 3)
    translation: torch.Tensor  # (B, K, 3)

    def likeliest(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Index (B,), rotation (B, 3, 3) and translation (B, 3) of the most probable candidate."""
        best = self.probability.argmax(1)
        rows = torch.arange(len(best), device=best.device)
        return best, self.rotation[rows, best], self.translation[rows, best]


class MSRN(nn.Module):
    """The network of Figure 1(b) with its memory bank and prototypes, so that a checkpoint holds all that a test needs.

    In the first stage all but the first entries of the codes are held at zero (``open_codes``). ``compensating`` is
    True once feature compensation is on."""

    def __init__(self, s: Settings, categories: int):
        super().__init__()
        self.settings = s
        self.compensating = False
        self.shape_encoder, self.texture_encoder, self.pose_encoder = encoder(s), encoder(s), encoder(s)
        self.shape_head = mlp([FEATURES, 128, 128, s.shape_code], zero=True)
        self.scale_head = mlp([FEATURES, 128, 128, 3], zero=True)
        self.texture_head = mlp([FEATURES, 128, 128, s.texture_code], zero=True)
        k = s.pose_candidates
        self.probability_head = mlp([FEATURES, 128, 128, k], zero=False)
        self.angle_head = mlp([FEATURES, 128, 128, k], zero=True)
        self.translation_head = mlp([FEATURES, 128, 128, 3 * k], zero=True)
        self._register_mesh(s)
        if s.decoders == "vertices":
            self.shape_decoder = VertexDecoder(s.shape_code, s.shape_hidden, len(self.sphere))
            self.texture_decoder = VertexDecoder(s.texture_code, s.shape_hidden, len(self.sphere))
        elif s.decoders == "sdf":
            self.shape_decoder = SignedDistance(s.shape_code, s.ellipsoid)
            self.texture_decoder = ColorField(s.texture_code)
        else:
            self.shape_decoder = ShapeDecoder(s.shape_code, s.shape_hidden)
            self.texture_decoder = TextureDecoder(s.texture_code, s.texture_size, s.texture_channels)
        self.compensation = FeatureCompensation(s.shape_code, s.compensation_start, s.cosine_temperature)
        sizes = categories, s.memory_slots, s.shape_code, s.memory_momentum, s.memory_fill_first
        self.bank = MemoryBank(*sizes, seed=torch.initial_seed())  # noise of the training's seed, as the weights are
        self.register_buffer("live_shape", torch.ones(s.shape_code))
        self.register_buffer("live_texture", torch.ones(s.texture_code))
        self.open_codes(False)
        self.register_buffer("pose_centres", torch.arange(k) * (360.0 / k), persistent=False)
        quarters = torch.tensor([0.0, 90.0, 180.0])
        front, side, back = camera.rotation(quarters, torch.full((3,), s.elevation), torch.zeros(3))
        turns = torch.stack(((front + back) / 2, (front - back) / 2, side - (front + back) / 2))
        self.register_buffer("pose_turns", turns, persistent=False)
        self.register_buffer("pose_reach", torch.tensor(TRANSLATION), persistent=False)
        self.register_buffer("pose_centre", torch.tensor([0.0, 0.0, camera.DISTANCE]), persistent=False)
        for name, count in (("prototypes", s.prototypes), ("neighbor_prototypes", s.neighbor_prototypes)):
            self.register_buffer(f"{name}_values", torch.zeros(categories, count, s.shape_code))
            self.register_buffer(f"{name}_valid", torch.zeros(categories, count, dtype=torch.bool))

    def _register_mesh(self, s: Settings) -> None:
        sphere, faces = icosphere(s.mesh_level)
        self.register_buffer("sphere", torch.as_tensor(sphere, dtype=torch.float32), persistent=False)
        self.register_buffer("faces", torch.as_tensor(faces, dtype=torch.int64), persistent=False)
        x = self.sphere * torch.tensor(s.ellipsoid) if s.template == "ellipsoid" else template(s.template, s.mesh_level)
        self.register_buffer("ellipsoid", x, persistent=False)  # or what stands in its place
        x, y, z = self.sphere[self.faces.flatten()].unbind(-1)  # (3F,) each
        u, v = (torch.atan2(x, z) + math.pi) / (2 * math.pi), torch.acos(y.clamp(-1, 1)) / math.pi
        uv = torch.stack((u, v), -1) * 2 - 1
        self.register_buffer("corner_uv", uv[None, None], persistent=False)  # (1, 1, 3F, 2)

    @contextmanager
    def frozen_statistics(self) -> Iterator[None]:
        """Encode without moving the running statistics of batch normalisation, which only ``resnet18`` has."""
        layers = [layer for layer in self.modules() if isinstance(layer, nn.BatchNorm2d)]
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.momentum = 0.0
        try:
            yield
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum

    def get_prototypes(self, name: str) -> Prototypes:
        return Prototypes(getattr(self, f"{name}_values"), getattr(self, f"{name}_valid"))

    def set_prototypes(self, name: str, prototypes: Prototypes) -> None:
        getattr(self, f"{name}_values").copy_(prototypes.values)
        getattr(self, f"{name}_valid").copy_(prototypes.valid)

    def seen(self, stored: torch.Tensor) -> torch.Tensor:
        """What the encoders see of B images. Of images (B, 3, H, W), uint8 or 0..1, of any size, their average to the
        network's size or, with encoder ``imagenet``, their spatial features, which may be given in their place."""
        stored = stored.to(self.faces.device)
        if self.settings.encoder == "imagenet":
            return backbone.as_floats(stored) if stored.shape[1] == backbone.CHANNELS else backbone.embedded(stored)
        images, size = stored.float() / (255 if stored.dtype == torch.uint8 else 1), self.settings.image_size
        return functional.interpolate(images, (size, size), mode="area")

    def encode_shape(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z_s (B, Q) of Eq. 1 and the axis scale (B, 3)."""
        features = self.shape_encoder(seen)
        code = self.shape_head(features) * self.live_shape
        return code, 1 + self.settings.axis_scale * torch.tanh(self.scale_head(features))

    def shape(self, seen: torch.Tensor) -> Shape:
        """Eqs 1, 24-26 and 6."""
        code, scale = self.encode_shape(seen)
        return Shape(code, scale, self.decode_shape(self.compensated(code)))

    def field(self, seen: torch.Tensor) -> Field:
        """The same where the shape is a signed distance, which has no axis scale."""
        code, _ = self.encode_shape(seen)
        return Field(code, self.compensated(code))

    def compensated(self, code: torch.Tensor) -> torch.Tensor:
        """zbar_s (B, Q) of Eqs 24-26 once they are on, else z_s."""
        return self.compensation(code, *self.get_prototypes("prototypes")) if self.compensating else code

    def decode_shape(self, code: torch.Tensor) -> torch.Tensor:
        """S of Eq. 6 without its axis scale, (B, V, 3)."""
        if self.settings.decoders == "sdf":
            raise MsrnError("decoders 'sdf' give no vertices but a signed distance: see network.signed_distance")
        where = () if self.settings.decoders == "vertices" else (self.sphere,)
        return self.ellipsoid + self.shape_decoder(code, *where)

    def encode_texture(self, seen: torch.Tensor) -> torch.Tensor:
        """z_t (B, Q) of Eq. 2."""
        return self.texture_head(self.texture_encoder(seen)) * self.live_texture

    def paint(self, seen: torch.Tensor) -> torch.Tensor:
        """Eqs 2 and 4: the colour of every corner of every face, (B, F, 3, 3), read from the texture map.

        A vertex (x, y, z) of the sphere reads the map at u = (atan2(x, z) + pi) / 2 pi, v = acos(y) / pi. The map's
        first column is repeated after its last, so that colours run on across the seam.
        """
        texture = self.texture_decoder(self.encode_texture(seen))
        if self.settings.decoders == "vertices":
            return torch.sigmoid(texture).index_select(1, self.faces.flatten()).unflatten(1, (-1, 3))
        texture = torch.cat((texture, texture[..., :1]), dim=-1)
        uv = self.corner_uv.expand(len(seen), -1, -1, -1)
        colours = functional.grid_sample(texture, uv, padding_mode="border", align_corners=True)  # (B, 3, 1, 3F)
        return colours[:, :, 0].transpose(1, 2).unflatten(1, (-1, 3))

    def poses(self, seen: torch.Tensor) -> Poses:
        """Eqs 3 and 5: candidate k looks from azimuth 360 k / K, give or take half a bin."""
        s, features = self.settings, self.pose_encoder(seen)
        azimuth = self.pose_centres + 360.0 / s.pose_candidates * OVERLAP * torch.tanh(self.angle_head(features))
        fixed, cosine, sine = self.pose_turns  # a rotation is linear in the cosine and the sine of its azimuth
        angle = torch.deg2rad(azimuth)[..., None, None]
        rotation = fixed + angle.cos() * cosine + angle.sin() * sine
        offset = torch.tanh(self.translation_head(features)).unflatten(1, (s.pose_candidates, 3))
        translation = self.pose_centre + self.pose_reach * offset
        return Poses(torch.softmax(self.probability_head(features), 1), azimuth, rotation, translation)

    @torch.no_grad()
    def open_codes(self, everything: bool) -> None:
        """Let all entries of the codes live, or only the first ones, as in the first stage (§4.3)."""
        s = self.settings
        for live, first in ((self.live_shape, s.small_shape_code), (self.live_texture, s.small_texture_code)):
            live[first:] = float(everything)

    @torch.no_grad()
    def reconstruct(self, stored: torch.Tensor) -> Reconstruction:
        """Textured meshes of B images, or of their spatial features, as ``seen`` takes them."""
        seen = self.seen(stored)
        poses = self.poses(seen)
        best, rotation, translation = poses.likeliest()
        azimuth = poses.azimuth.gather(1, best[:, None])[:, 0]
        shown = self._level_sets(seen) if self.settings.decoders == "sdf" else self._meshes(seen)
        code, meshes, empty = shown
        return Reconstruction(meshes, rotation, translation, azimuth, code, empty)

    def _meshes(self, seen: torch.Tensor) -> tuple[torch.Tensor, list[Textured], torch.Tensor]:
        """z_s (B, Q), a mesh of the template each, and that none of them (B,) stands in for another."""
        shape, colors = self.shape(seen), self.paint(seen)
        meshes = [Textured(vertices, self.faces, own) for vertices, own in zip(shape.vertices, colors, strict=True)]
        return shape.code, meshes, torch.zeros(len(meshes), dtype=torch.bool)

    def _level_sets(self, seen: torch.Tensor) -> tuple[torch.Tensor, list[Textured], torch.Tensor]:
        """z_s (B, Q), a level set each, and whether it is empty, (B,): then the ellipsoid stands in, grey."""
        field, cells, stand_in = self.field(seen), self.settings.image_size, plain(self.ellipsoid, self.faces)
        codes = field.compensated, self.encode_texture(seen)
        made = level_sets(self.shape_decoder, self.texture_decoder, *codes, cells)
        return field.code, [mesh or stand_in for mesh in made], torch.tensor([mesh is None for mesh in made])

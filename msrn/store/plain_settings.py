"""Settings from plain values, as people and files give them, and what has to go together."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, get_origin

from pydantic import ValidationError

from msrn.errors import MsrnError, did_you_mean, quoted
from msrn.settings import Settings
from msrn.store.plain_values import plain_value

MOST = 10**9  # of any setting
IMAGES_ALONE = {
    "supervision": "images", "neighbor_filter": "views", "feature_compensation": False, "azimuths": "learned",
    "azimuth_prior_weight": 0.0, "reach_weight": 0.0, "batches": "mixed",
}  # fmt: skip
"""Supervision by images, and what has to go with it: all else that these settings may be reads masks or categories."""

MULTIPLEX = {
    "azimuths": "multiplex", "neighbor_consistency": False, "feature_compensation": False, "supervision": "silhouettes",
    "pose_prior_weight": 0.0, "azimuth_prior_weight": 0.0,
}  # fmt: skip
"""Cameras that each image has for itself, and what has to go with them: neighbours, which are of the bank's making, and
priors would ask the pose branch for poses."""

SIGNED_DISTANCE = {
    "decoders": "sdf", "axis_scale": 0.0, "template": "ellipsoid", "supervision": "silhouettes", "pose_shape": "own",
    "reach_weight": 0.0, "normal_weight": 0.0, "laplacian_weight": 0.0, "perceptual_weight": 0.0,
}  # fmt: skip
"""Shapes as signed distances, and what has to go with them: the other values ask for vertices or for whole images."""


def make_settings(values: Mapping[str, Any]) -> Settings:
    """Settings from plain values; an unknown name, a wrong type or a value out of range is refused in one line."""
    for name in values:
        if name not in Settings.model_fields:
            nearest = did_you_mean(name, Settings.model_fields)
            raise MsrnError(f"unknown setting {quoted(name)}{nearest}; see msrn/settings.py")
    values = {name: _as_meant(name, value) for name, value in values.items()}
    try:
        made = Settings(**values)
    except ValidationError as error:
        wrong = error.errors()[0]
        name, said = ".".join(map(str, wrong["loc"])), wrong["msg"].lower()
        raise MsrnError(f"setting {name} = {quoted(wrong['input'])}: {said[:150]}; see msrn/settings.py") from None
    for name, value in made:
        numbers = [
            number for number in (value if isinstance(value, tuple) else [value]) if type(number) in (int, float)
        ]
        if not all(abs(number) <= MOST for number in numbers):  # nor is what is no number
            raise MsrnError(f"setting {name} = {quoted(values.get(name))}: expected numbers up to {MOST:,}")
    _check_together(made)
    return made


def _as_meant(name: str, value: Any) -> Any:
    """A value as the setting takes it: the text of a list as the list, a choice that is called true as its name, and
    numbers that are decimal, no truths."""
    kind = Settings.model_fields[name].annotation
    if get_origin(kind) is Literal:
        return str(value).lower() if isinstance(value, bool) else value
    if isinstance(value, str):
        with suppress(ValueError):
            value = plain_value(value)
    parts = value if isinstance(value, list | tuple) else [value]
    if kind is not bool and any(isinstance(part, str | bool) for part in parts):  # such as 010, 12:30 or True
        wanted = "an integer in decimal digits" if kind is int else "decimal numbers"
        raise MsrnError(f"setting {name} = {quoted(value)}: expected {wanted}; see msrn/settings.py")
    return value


def _check_together(s: Settings) -> None:
    """Rules that tie two settings."""
    rules = [
        (s.neighbor_prototypes <= s.prototypes, "neighbor_prototypes", f"at most prototypes ({s.prototypes})"),
        (s.prototypes <= s.memory_slots, "prototypes", f"at most memory_slots ({s.memory_slots})"),
        (s.small_shape_code <= s.shape_code, "small_shape_code", f"at most shape_code ({s.shape_code})"),
        (s.batches != "groups" or s.batch_size % 4 == 0, "batch_size", "a multiple of 4, or choose batches 'mixed'"),
        (s.small_texture_code <= s.texture_code, "small_texture_code", f"at most texture_code ({s.texture_code})"),
        (s.texture_size & (s.texture_size - 1) == 0, "texture_size", "a power of two"),
        (s.encoder != "resnet18" or s.image_size >= 64, "image_size", "at least 64 for resnet18, or encoder small"),
        (min(s.ellipsoid) > 0, "ellipsoid", "three positive semi-axes"),
        (s.azimuths != "multiplex" or s.decoders != "sdf", "azimuths", "another value with decoders 'sdf'"),
    ]
    ties = [
        (s.supervision == "images", IMAGES_ALONE, "supervision 'images', which has no masks and no categories"),
        (s.decoders == "sdf", SIGNED_DISTANCE, "decoders 'sdf', signed distances that rays look at"),
        (s.azimuths == "multiplex", MULTIPLEX, "azimuths 'multiplex', cameras that each image has for itself"),
    ]
    for tied, values, why in ties:
        wanted = values if tied else {}
        rules += [(getattr(s, name) == value, name, f"{value!r} with {why}") for name, value in wanted.items()]
    for holds, name, expected in rules:
        if not holds:
            raise MsrnError(f"setting {name} = {getattr(s, name)!r}: expected {expected}")

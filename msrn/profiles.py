"""What a notebook or the command line was asked for: profiles, requests, and the check of injected parameters.

``params/*.yaml`` hold a profile each: all keys of a notebook's ``parameters`` cell, or those in which it differs from
the profile that it ``inherits``. Either way ``papermill -f params/paper.yaml`` and ``-p profile paper`` mean the same.
The settings are in ``settings.py``.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from msrn import paths
from msrn.data import STAND_INS
from msrn.errors import MsrnError, check_known, did_you_mean, first_line, quoted
from msrn.settings import Settings
from msrn.store.plain_settings import make_settings
from msrn.store.plain_values import plain_value

NOTEBOOK_KEYS = ("profile", "dataset", "data_root", "seeds", "device", "settings", "weights")
PARAMETERS = (*NOTEBOOK_KEYS, *Settings.model_fields)  # what a notebook takes
MERGED = ("settings", "dataset")  # keys whose mappings an heir adds to; the others it replaces
# Files of pre-trained networks, by name; the setting, with its values, that needs one and alone reads it.
READ_BY = {"clip": ("features", ("clip",)), "cue": ("cue_encoder", ("vgg16", "resnet50"))}
WEIGHTS = (*READ_BY, "saliency")
MOST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Request:
    """What a notebook or the command line was asked for, validated: one data set, some seeds, one group of settings."""

    profile: str
    dataset: str
    data_root: str | None
    seeds: tuple[int, ...]
    device: str
    settings: Settings
    changed: tuple[tuple[str, Any], ...] = ()  # settings that differ from the profile's, with their values
    instead_of: str = ""  # the profile's real data set, where ``dataset`` stands in for it
    weights: Mapping[str, str] = field(default_factory=dict)  # a name of ``WEIGHTS`` -> its file

    @property
    def label(self) -> str:
        """The profile with what was changed of it, such as ``laptop with steps 16000``."""
        changes = ", ".join(f"{name} {value}" for name, value in self.changed)
        return f"{self.profile} with {changes}" if changes else self.profile


def profiles() -> list[str]:
    """Names of the profiles in ``params/``."""
    return sorted(file.stem for file in paths.PARAMS.glob("*.yaml"))


def resolve(
    profile: str = "auto",
    dataset: str | Mapping[str, str] | None = None,
    data_root: str | None = None,
    seeds: list[int] | int | None = None,
    device: str = "auto",
    settings: Mapping[str, Any] | str | None = None,
    weights: Mapping[str, str] | str | None = None,
    data: str = "shapenet",
) -> Request:
    """Fill in what is left open from the profile's file; ``settings`` override single settings of the profile.

    ``profile="auto"`` is ``MSRN_PROFILE`` if set, else ``paper`` on a CUDA device, else ``laptop``. ``data`` is the
    paper's data set for what is asked for. It is taken where ``data_root`` says where it lies; else an embedded one
    stands in, the profile's own choice or the usual one. ``dataset`` is the name of another one, for which nothing
    stands in, or, as in a profile, what is to stand in for which of the paper's sets.
    """
    profile = _choose_profile(profile)
    file = _read_profile(profile)
    root = _absolute(data_root or file["data_root"])
    chosen, instead_of = _choose_dataset(dataset, file["dataset"], root, data)
    for name, value in (("dataset", chosen), ("data_root", root)):
        if value is not None and not isinstance(value, str):
            raise MsrnError(f"{name} = {quoted(value)}: expected a text")
    base = make_settings(file["settings"])
    made = make_settings({**file["settings"], **_mapping("settings", settings, "{prototypes: 5}")})
    files = {**file["weights"], **_mapping("weights", weights, "{clip: FILE}")}
    _check_weights(files, made)
    files, own = ({n: _absolute(path) for n, path in some.items()} for some in (files, file["weights"]))
    changes = {name: value for name, value in made if value != getattr(base, name)}
    changes |= {
        f"{name} weights": Path(path).name
        for name, path in files.items()
        if path != _absolute(file["weights"].get(name))
    }
    return Request(
        profile=profile,
        dataset=chosen,
        data_root=root,
        seeds=_check_seeds(file["seeds"] if seeds is None else seeds),
        device=_choose_device(file["device"] if device == "auto" else device),
        settings=made,
        changed=tuple(changes.items()),
        instead_of=instead_of,
        weights=files,
    )


def from_notebook(names: Mapping[str, Any], data: str = "shapenet") -> Request:
    """Validate what a notebook's ``parameters`` cell holds after papermill has injected into it (``globals()``).

    Papermill only warns about a name that the notebook does not have, and runs on; here it is taken as a setting when
    it is one, and refused with the nearest name when it is not.
    """
    given = {name: value for name, value in names.items() if _is_parameter(name, value)}
    known = {name: given.pop(name) for name in NOTEBOOK_KEYS if name in given}
    if "inherits" in given:  # with papermill -f, as the profile's file has both
        profile, parent = _choose_profile(known.get("profile", "auto")), given.pop("inherits")
        if parent != (own := _read_file(profile).get("inherits")):
            raise MsrnError(f"inherits = {parent!r}: expected {own!r}, as params/{profile}.yaml has it; leave it out")
    given = {name: value for name, value in given.items() if value is not None or name not in Settings.model_fields}
    for name in given:
        if name not in Settings.model_fields:
            nearest = did_you_mean(name.lower(), PARAMETERS)
            raise MsrnError(f"unknown notebook parameter {name!r} = {quoted(given[name])}{nearest}")
    overrides = {**_mapping("settings", known.pop("settings", None), "{prototypes: 5}"), **given}
    return resolve(**known, settings=overrides, data=data)


def _is_parameter(name: str, value: Any) -> bool:
    """A plain value that a parameters cell defines, as against what IPython and imports put among the globals, and
    constants in capitals. A parameter's own name in capitals is a slip that is refused, not a constant."""
    plain = value is None or isinstance(value, str | bool | int | float | list | tuple | dict)
    constant = name.isupper() and name.lower() not in PARAMETERS
    return plain and not constant and not name.startswith("_") and name not in ("In", "Out")


def _mapping(name: str, given: Any, example: str) -> Mapping[str, Any]:
    """What overrides the profile's settings or weights: a mapping, the text of one, or None."""
    try:
        values = plain_value(given) if isinstance(given, str) else given
    except ValueError:
        values = given
    if not isinstance(values, Mapping | None):
        raise MsrnError(f"{name} = {quoted(given)}: expected a mapping such as {example}")
    return values or {}


def _check_weights(files: Mapping[str, Any], s: Settings) -> None:
    """Files of known names that are there, for what the settings choose and for nothing else."""
    for name, path in files.items():
        check_known("weights", name, WEIGHTS)
        if not isinstance(path, str) or not Path(path).expanduser().is_file():
            raise MsrnError(f"weights.{name} = {quoted(path)}: no such file; give the path of one, or leave it out")
    for name, (setting, values) in READ_BY.items():
        value = getattr(s, setting)
        if value in values and name not in files:
            raise MsrnError(f"setting {setting} = {value!r}: expected its file in weights, {{{name}: FILE}}")
        if value not in values and name in files:
            raise MsrnError(f"weights.{name} = {files[name]!r}: expected {setting} {' or '.join(values)}, to read it")


def _choose_profile(name: str) -> str:
    if name == "auto":
        name = os.environ.get("MSRN_PROFILE") or ("paper" if torch.cuda.is_available() else "laptop")
    check_known("profile", name, profiles())
    return name


def _choose_dataset(named: Any, of_profile: Mapping[str, str], root: Any, data: str) -> tuple[Any, str]:
    """The data set, and the paper's own that it stands in for, or an empty text."""
    if named and not isinstance(named, Mapping):
        return named, ""
    stand_in = {**STAND_INS, **of_profile, **(named or {})}.get(data)
    return (data, "") if root or not stand_in else (stand_in, data)


def _read_profile(name: str, heirs: tuple[str, ...] = ()) -> dict[str, Any]:
    """``params/NAME.yaml`` with what it inherits, the own entries last."""
    if name in heirs:
        raise MsrnError(f"params/{name}.yaml inherits from itself, by way of {', '.join(heirs)}: end the circle")
    content = _read_file(name)
    if "inherits" in content:
        base = _read_profile(content.pop("inherits"), (*heirs, name))
        content = {**base, **content, **{key: {**base[key], **content.get(key, {})} for key in MERGED}}
    if set(content) != set(NOTEBOOK_KEYS):
        raise MsrnError(f"params/{name}.yaml: expected exactly the keys {', '.join(NOTEBOOK_KEYS)}")
    return content


def _read_file(name: str) -> dict[str, Any]:
    path = paths.PARAMS / f"{name}.yaml"
    try:
        content = dict(plain_value(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise MsrnError(
            f"{path}: not readable as a mapping in YAML ({first_line(error)}); restore it from git"
        ) from None
    for key in ("dataset", "settings", "weights"):
        if not isinstance(content.get(key, {}), dict):
            raise MsrnError(f"{path}: {key} = {content[key]!r}: expected a mapping, {{}} for none")
    return content


def _absolute(path: Any) -> Any:
    """A relative path is the caller's; the kernel of a notebook stands in another folder."""
    return os.path.abspath(os.path.expanduser(path)) if isinstance(path, str) else path


def _choose_device(name: str) -> str:
    if name not in ("cpu", "cuda", "auto"):
        raise MsrnError(f"device = {quoted(name)}: expected cpu, cuda or auto")
    if name == "cuda" and not torch.cuda.is_available():
        raise MsrnError("device = 'cuda': PyTorch sees no CUDA device here; use device cpu, or profile laptop")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def _check_seeds(given: Any) -> tuple[int, ...]:
    """Seeds of a list, of a single number, or of the text of one: ``[0, 1]`` or ``0,1``."""
    seeds = given
    if isinstance(given, str):
        with suppress(ValueError):
            seeds = plain_value(f"[{given}]" if "[" not in given else given)
    seeds = [seeds] if type(seeds) is int else seeds
    numbers = isinstance(seeds, list | tuple) and seeds and all(type(s) is int and 0 <= s <= MOST_SEED for s in seeds)
    if not numbers or len(set(seeds)) < len(seeds):
        raise MsrnError(
            f"seeds = {quoted(given)}: expected a list of different whole numbers from 0 to {MOST_SEED}, such as "
            "[0, 1, 2]"
        )
    return tuple(seeds)


def seconds_of(budget: str) -> float:
    """Seconds of a budget such as ``90s``, ``25m`` or ``8h``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget.strip())
    if not match or float(match[1]) == 0:
        raise MsrnError(f"--budget {budget[:60]}: expected a number and a unit, s, m or h, such as 25m")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]

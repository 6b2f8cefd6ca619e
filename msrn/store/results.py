"""Results: what was measured and where that came from, as small flat JSON with a checked schema.

One schema serves the run store (``runs/*/result.json``), the cache of baselines and the recorded results that are
committed under ``results/<experiment>/``, which tables show as "recorded". ``Record`` documents every key. Values per
object are kept, so that paired intervals between any two records can be computed later.
"""

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from msrn import paths
from msrn.errors import MsrnError
from msrn.settings import Settings
from msrn.store import files

SCHEMA = 1
PACKAGES = ("msrn", "torch", "numpy", "scipy", "scikit-learn", "numba", "trimesh")


class Record(BaseModel):
    """One row of one table, computed once."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal[1] = Field(SCHEMA, alias="schema")  # version of this schema
    experiment: str  # the exhibit, such as ``table8``
    variant: str  # the row, by the paper's name for it, or a baseline's
    # A trained network, a row that trains nothing, predictions from files, masks (§3.1), or the density of a data set
    # around its neighbours.
    kind: Literal["model", "baseline", "files", "masks", "density"]
    dataset: str  # as ``data.open_collection`` takes it
    fingerprint: str  # digest of the content of the split that was evaluated
    profile: str  # whose settings were taken, with what was changed of it, such as ``laptop with steps 16000``
    seed: int  # of the training; 0 for baselines that draw nothing
    settings: dict[str, Any]  # every setting of the run, overrides included
    # Flat, as ``protocol.ObjectMetrics.summary`` names them: ``cd``, ``cd.low``, ``cd.category.car``, and so on; None
    # where nothing is defined.
    metrics: dict[str, float | None]
    units: dict[str, str]  # of each metric, by the part of its name before the first dot
    # Columns of n_objects entries: ``object_id``, ``category`` and the headline values.
    objects: dict[str, list]
    curves: dict[str, list[float]] = {}  # such as mask IoU over the threshold of Eq. 18, or ``inference.azimuth_maps``
    missing: list[str] = []  # objects for which files had no prediction; the other values are without them
    points: int  # sampled on each surface
    protocol: int = 1  # version of ``evaluation.protocol``; records of different ones do not compare
    n_objects: int  # evaluated objects, one image each
    n_images: int  # behind the mask and pose metrics; 0 for baselines
    features: str  # image features behind the neighbours (and behind retrieval)
    masks: str  # where the foreground masks came from
    evaluation: str  # digest of all that the evaluation depends on; a record is reused while it stays the same
    commit: str  # of the code, or ``unknown`` outside a checkout
    dirty: bool  # whether the code had changes that were not committed
    packages: dict[str, str]  # versions of Python and of the packages that decide the numbers
    device: str  # what trained it
    train_seconds: float  # wall time of the training; 0 for baselines
    # Processor time of the training over all cores. Other work changes it less than the wall time, another machine as
    # much; None for baselines and where it was not measured.
    train_cpu_seconds: float | None = None
    eval_seconds: float | None  # wall time of the evaluation; None where it was not measured
    created: str  # when it was evaluated, UTC

    @property
    def measured_on(self) -> tuple[str, str, int, int]:
        """What two records must share to be compared."""
        return self.dataset, self.fingerprint, self.points, self.protocol

    @property
    def trained(self) -> bool:
        """Whether its seed drew anything; else it stands against every seed of another row."""
        return self.train_seconds > 0


def provenance() -> dict[str, Any]:
    """The keys of a record that say which code and machine made it."""
    commit, dirty = source_state()
    return {
        "commit": commit,
        "dirty": dirty,
        "packages": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def source_state() -> tuple[str, bool]:
    """Commit of the checkout and whether the code differs from it; ``("unknown", False)`` where this folder is not the
    top of one, as when it was unpacked inside of another repository."""
    questions = (
        "rev-parse --show-toplevel",
        "rev-parse --short=12 HEAD",
        "status --porcelain -- msrn params notebooks",
    )
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # of a hook, say
    try:
        top, commit, changes = (
            subprocess.check_output(
                ["git", "-C", str(paths.ROOT), *question.split()], stderr=subprocess.DEVNULL, env=surroundings
            ).decode("utf-8", "surrogateescape")
            for question in questions
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown", False
    if Path(top.removesuffix("\n")).resolve() != paths.ROOT:
        return "unknown", False
    return commit.strip(), bool(changes)


def device_name(device: str) -> str:
    """A device as a reader knows it, such as ``CPU, 2 cores`` or ``NVIDIA H100``."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"CPU, {cores} core{'s' * (cores != 1)}"


def to_json(record: Record) -> dict[str, Any]:
    """The record as plain JSON values, rounded to what the numbers carry."""
    return rounded(record.model_dump(by_alias=True))


def from_json(content: Any, source: str) -> Record:
    """A record from plain values; ``source`` names the file in the message when they do not fit the schema."""
    try:
        record = Record.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise MsrnError(f"{source}: key {key!r}: {first['msg'].lower()}; see msrn/store/results.py") from None
    if len({len(column) for column in record.objects.values()} | {record.n_objects}) > 1:
        raise MsrnError(f"{source}: key 'objects': expected columns of n_objects = {record.n_objects} entries")
    return record


def read(path: Path) -> Record:
    """The record in ``path``."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MsrnError(f"{path}: not readable as JSON ({error}); restore it from git, or delete it") from None
    return from_json(content, str(path))


def recorded(experiment: str) -> list[Record]:
    """The committed results of a table, ``results/<experiment>/*.json``, in the order of their file names."""
    return [read(path) for path in sorted((paths.RESULTS / experiment).glob("*.json"))]


def write(record: Record) -> str:
    """Keep a record under its own name in ``results/``; a line that says so."""
    file = file_of(record.experiment, record.dataset, record.profile, record.variant, record.seed)
    return keep(file, to_json(record))


def keep(file: Path, content: dict | bytes) -> str:
    """Write a result, unless it is there already, so that git shows no change."""
    shown = file.relative_to(paths.ROOT) if file.is_relative_to(paths.ROOT) else file
    read, write = (files.read_json, files.write_json) if isinstance(content, dict) else (read_bytes, files.write_bytes)
    if read(file) == content:
        return f"{shown}: unchanged"
    with files.writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    write(file, content)
    return f"{shown}: written"


def read_bytes(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


def file_of(exhibit: str, dataset: str, label: str, row: str, seed: int) -> Path:
    """Where a result is kept."""
    words = (re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-") for text in (label, row.replace("w/o", "without")))
    return paths.RESULTS / exhibit / f"{dataset}-{'-'.join(words)}-seed{seed}.json"


def rounded(value: Any) -> Any:
    """Six significant digits for every float, in nested containers; None for what is not finite."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [rounded(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


REMOVED = {
    "encoder_width": 32, "azimuth_overlap": 0.52, "translation_range": [0.2, 0.2, 0.0], "cue_share": 0.3,
    "saliency_weights": None, "cue_weights": None, "clip_weights": None, "affinity_temperature": "one",
    "neighbor_prototypes_from": "prototypes", "neighbor_either_way": False, "neighbor_texture_gradient": False,
    "responsibility_weight": 0.0, "responsibility_temperature": 0.02, "first_codes": "small",
}  # fmt: skip
"""Settings of older records that are gone, with the value that the code stands at now."""


def current_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a record without those that are gone; refused where one of these differs from what the code does."""
    stands = {**REMOVED, "candidate_pool": "all" if values.get("candidate_objects") == "distinct" else 0}
    if values.get("encoder") == "resnet18":  # which ignored it
        stands["encoder_width"] = values.get("encoder_width")
    for name in stands.keys() & values.keys():
        value = list(values[name]) if isinstance(values[name], tuple) else values[name]
        if value != stands[name]:
            expected = f"expected {stands[name]!r}, as msrn does without that setting; delete what was recorded with it"
            raise MsrnError(f"recorded setting {name} = {value!r}: {expected}")
    return {name: value for name, value in values.items() if name not in stands}


def known_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a record as they would be written today; one that was added since then had its default."""
    return {**Settings().model_dump(mode="json"), **current_settings(values)}

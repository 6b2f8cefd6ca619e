"""The environment's files say the same, and the lock holds what the package imports."""

import ast
import importlib
import re
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import msrn.__main__
from msrn.paths import ROOT

LINES = (ROOT / "requirements.lock").read_text().splitlines()
LOCK = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in LINES}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
INSTALLER = "uv"  # with which the Makefile installs the lock
CONDA_NAMES = {"pytorch": "torch"}
ONLY_CONDA = {"python", "pip", "make", "pytorch3d"}


def conda() -> dict[str, str]:
    """Versions in environment.yml, by the name in the lock."""
    *packages, last = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pairs = [entry.split(" ")[0].partition("=") for entry in packages]
    pairs += [entry.partition("==") for entry in last["pip"] if not entry.startswith("-e")]
    return {canonicalize_name(CONDA_NAMES.get(name, name)): version for name, _, version in pairs}


def test_lock_is_plain_and_sorted():
    for line in LINES:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line
    assert list(LOCK) == sorted(LOCK)
    assert len(LOCK) == len(LINES)


def test_every_locked_version_has_its_digests():
    """What ``make env`` installs is what ``make hashes`` saw, byte by byte."""
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.sha256").read_text().strip())
    for entry in entries:
        assert re.fullmatch(r"\S+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry[:200]
    pairs = [entry.split()[0].split("==") for entry in entries]
    assert {canonicalize_name(name): version for name, version in pairs} == LOCK, "run make hashes"


def test_conda_environment_has_the_versions_of_the_lock():
    for name, version in conda().items():
        if name not in ONLY_CONDA:
            assert version == LOCK[name], name


def test_conda_environment_has_every_direct_dependency():
    groups = PROJECT["optional-dependencies"]
    wanted = PROJECT["dependencies"] + groups["notebooks"] + groups["book"] + groups["test"]
    missing = {canonicalize_name(Requirement(line).name) for line in wanted} - set(conda())
    assert not missing
    assert "-e ." in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"][-1]["pip"]


@pytest.mark.parametrize("group", ["dependencies", *PROJECT["optional-dependencies"]])
def test_lock_satisfies_pyproject(group):
    for line in PROJECT["dependencies"] if group == "dependencies" else PROJECT["optional-dependencies"][group]:
        wanted = Requirement(line)
        assert LOCK[canonicalize_name(wanted.name)] in wanted.specifier, line


def test_lock_and_pyproject_hold_what_the_package_imports():
    groups = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *groups["pytorch3d"], *groups["triton"], *groups["notebooks"]]
    named = {canonicalize_name(Requirement(line).name) for line in lines}
    owners = metadata.packages_distributions()
    missing = {}
    for module, files in imported().items():
        distributions = {canonicalize_name(name) for name in owners.get(module, [])}
        if not distributions & named & set(LOCK):
            missing[module] = files
    assert not missing, "imported, but not in pyproject.toml and requirements.lock"


def test_lock_holds_nothing_that_pyproject_does_not_need():
    """Every locked package is a dependency of pyproject.toml, the installer, or required by one of these."""
    unneeded = set(LOCK) - required([*everything_named(), INSTALLER])
    assert not unneeded, f"locked, but needed by nothing: {unneeded}; remove them from requirements.lock"


def test_lock_holds_all_that_pyproject_needs():
    missing = required(everything_named()) - set(LOCK)
    assert not missing, f"needed, but not locked: {missing}"


def test_the_console_command_is_the_modules():
    module, _, name = PROJECT["scripts"]["msrn"].partition(":")
    assert getattr(importlib.import_module(module), name) is msrn.__main__.main


def everything_named() -> list[str]:
    """The lines of pyproject.toml's dependencies, extras among them."""
    return PROJECT["dependencies"] + [line for lines in PROJECT["optional-dependencies"].values() for line in lines]


def required(lines: list[str]) -> set[str]:
    """Names of the packages in ``lines`` and of all that these require on this machine, directly or not."""
    waiting, reached = [Requirement(line) for line in lines], set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        for part in {(name, extra) for extra in ("", *wanted.extras)} - reached:
            reached.add(part)
            below = map(Requirement, metadata.requires(name) or [])
            waiting += [line for line in below if line.marker is None or line.marker.evaluate({"extra": part[1]})]
    return {name for name, _ in reached}


def test_installed_versions_are_those_of_the_lock():
    wrong = {name: metadata.version(name) for name in LOCK if metadata.version(name) != LOCK[name]}
    assert not wrong, f"differ from requirements.lock: {wrong}; run make env"


def imported() -> dict[str, list[str]]:
    """Foreign top-level modules that msrn imports anywhere, each with the files that do."""
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "msrn").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                continue
            for name in {name.partition(".")[0] for name in names}:
                if name not in sys.stdlib_module_names and name != "msrn":
                    found.setdefault(name, []).append(str(file.relative_to(ROOT)))
    return found


def test_the_book_needs_no_search_to_leave_out_what_is_no_page():
    """jupyter-book looks for such texts by a pattern of the clone's path, and finds none under a folder called [1]."""
    from sphinx.util.matching import Matcher

    left_out = Matcher(yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["exclude_patterns"])
    pages = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    texts = [path for kind in ("md", "ipynb", "rst") for path in ROOT.rglob(f"*.{kind}")]
    names = [path.relative_to(ROOT) for path in texts]
    searched = [
        name.as_posix() for name in names
        if not any(left_out(folder.as_posix()) for folder in (name, *name.parents))
        and f" {name.with_suffix('').as_posix()}\n" not in pages
    ]  # fmt: skip
    assert len(names) > 30 and not searched

"""The notebooks as they are committed, and as papermill runs them; nbval runs them too (see pyproject.toml).

The first full run trains profile smoke into the store that all tests share, so everything after it loads.
"""

import ast
import copy
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

import msrn.__main__ as command
from msrn import paths, profiles
from msrn.settings import Settings
from msrn.training.runs import list_runs

FILES = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
TABLE8 = paths.NOTEBOOKS / "table8_ablation.ipynb"
KEYS = {
    "profile": ("str", '"auto"'), "dataset": ("str", "None"), "data_root": ("str", "None"), "seeds": ("list", "None"),
    "device": ("str", '"auto"'), "settings": ("dict", "{}"), "weights": ("dict", "{}"),
}  # fmt: skip
PAPERMILL = [sys.executable, "-m", "papermill", "--no-progress-bar"]


def read(path: Path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def words(notebook) -> str:
    """All text that the executed cells show."""
    shown = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            shown += [
                output.get("text", ""),
                *(data.get(kind, "") for kind in ("text/html", "text/markdown", "text/plain")),
            ]
    return "\n".join(shown)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_cells_name_of_the_package_is_there(path):
    """In a second what executing them tells in minutes."""
    tree = ast.parse("\n".join(cell.source for cell in code_cells(read(path)) if not cell.source.startswith("%")))
    modules = {}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ImportFrom) and statement.module.startswith("msrn"):
            for name in statement.names:
                found = getattr(importlib.import_module(statement.module), name.name, None)
                found = found or importlib.import_module(f"{statement.module}.{name.name}")
                if inspect.ismodule(found):
                    modules[name.asname or name.name] = found
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    rebound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in used:
        if node.value.id in modules.keys() - rebound:
            assert hasattr(modules[node.value.id], node.attr), f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_committed_notebooks_are_clean(path):
    notebook = read(path)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids) and all(
        name.isascii() and not name[:8].isalnum() or "-" in name or name.isalpha() for name in ids
    )
    assert set(notebook.metadata) == {"kernelspec", "language_info"} and notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
    for cell in code_cells(notebook):
        assert not cell.outputs and cell.execution_count is None
        assert len(cell.source.splitlines()) <= 25 and "def " not in cell.source
        assert str(paths.ROOT) not in cell.source


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_parameters_are_the_profiles_keys_and_the_usual_settings_with_types(path):
    first = code_cells(read(path))[0]
    assert first.metadata.tags == ["parameters", "hide-input"]  # which the book folds
    known = papermill.inspect_notebook(str(path))
    assert tuple(known)[: len(KEYS)] == profiles.NOTEBOOK_KEYS == tuple(KEYS)
    for name, parameter in known.items():
        assert len(parameter["help"]) > 15, f"{name} has no comment that --help-notebook could show"
    told = {name: (parameter["inferred_type_name"], parameter["default"]) for name, parameter in known.items()}
    usual = {name: Settings.model_fields[name].annotation.__name__ for name in tuple(known)[len(KEYS) :]}
    assert told == KEYS | {name: (kind, "None") for name, kind in usual.items()}
    assert usual == {name: usual[name] for name in papermill.inspect_notebook(str(TABLE8)) if name not in KEYS}
    cell = code_cells(read(path))[1].source
    assert not [name for name in known if re.search(rf"import .*\b{name}\b(?! as)", cell)], "hides what was injected"


def test_no_parameter_of_the_readme_is_unknown_to_papermill():
    lines = (paths.ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    named = {name for line in lines if line.startswith("papermill") for name in re.findall(r"-p (\w+)", line)}
    assert "prototypes" in named and named <= set(papermill.inspect_notebook(str(TABLE8)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_kernel_without_msrn_fails_at_a_line_that_names_the_remedy(path, monkeypatch):
    source = code_cells(read(path))[1].source
    monkeypatch.setitem(sys.modules, "msrn", None)
    with pytest.raises(ImportError) as error:
        exec(source, {})
    line = source.splitlines()[error.traceback[-1].lineno]
    assert "from msrn import" in line and "no module named msrn? choose the kernel of .venv: make lab" in line


@pytest.fixture(scope="module")
def opening(tmp_path_factory) -> Path:
    """The notebook's first two cells alone: what arrives, and what becomes of it."""
    notebook = copy.deepcopy(read(TABLE8))
    notebook.cells = code_cells(notebook)[:2]
    path = tmp_path_factory.mktemp("opening") / "opening.ipynb"
    nbformat.write(notebook, path)
    return path


def test_papermill_in_the_root_injects_settings(opening, tmp_path):
    given = ["-p", "profile", "smoke", "-p", "steps", "7", "-p", "seeds", "[1, 2]", "-y", "{settings: {batch_size: 5}}"]
    command = [*PAPERMILL, str(opening), str(tmp_path / "out.ipynb"), *given]
    done = subprocess.run(command, cwd=paths.ROOT, check=True, capture_output=True, text=True)
    assert "unknown parameter" not in done.stderr
    shown = words(read(tmp_path / "out.ipynb"))
    assert "7 steps of 5 images" in shown and "2 seeds (1, 2)" in shown and "Profile smoke" in shown


def test_a_profile_file_means_what_its_name_means(opening, tmp_path):
    given = ["-f", str(paths.PARAMS / "smoke.yaml")]
    subprocess.run([*PAPERMILL, str(opening), str(tmp_path / "out.ipynb"), *given], cwd=tmp_path, check=True)
    assert "80 steps of 16 images" in words(read(tmp_path / "out.ipynb"))


def test_a_profile_file_that_inherits_is_whole(opening, tmp_path):
    given = ["-f", str(paths.PARAMS / "night.yaml"), "-p", "image_size", "16"]
    subprocess.run([*PAPERMILL, str(opening), str(tmp_path / "out.ipynb"), *given], cwd=tmp_path, check=True)
    shown = words(read(tmp_path / "out.ipynb"))
    assert "Profile night with image_size 16" in shown and "40,000 steps of 16 images" in shown and "3 seeds" in shown


def test_an_unknown_parameter_is_refused_with_the_nearest(tmp_path):
    given = ["-p", "profil", "smoke"]
    done = subprocess.run(
        [*PAPERMILL, str(TABLE8), str(tmp_path / "out.ipynb"), *given], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode != 0
    assert "unknown notebook parameter 'profil' = 'smoke' (did you mean profile?)" in done.stderr
    assert "trained" not in words(read(tmp_path / "out.ipynb"))


def test_papermill_from_another_folder_makes_the_whole_page(tmp_path):
    environment = {**os.environ, "MSRN_PROFILE": "smoke"}
    subprocess.run([*PAPERMILL, str(TABLE8), "out.ipynb"], cwd=tmp_path, env=environment, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]  # runs lie in the store, not here
    notebook = read(tmp_path / "out.ipynb")
    shown = words(notebook)
    assert "not evaluated at this profile" in shown and "reproduces nothing" in shown and ">reproduced" not in shown
    assert shown.count("<img") == shown.count('<img class="dark-light" style="max-width:100%" alt="') >= 3
    assert any(
        "application/vnd.plotly.v1+json" in output.get("data", {})
        for cell in code_cells(notebook)
        for output in cell.outputs
    )
    assert sum(run["step"] == run["steps"] == 80 and run["evaluated"] for run in list_runs()) >= 3
    results = [paths.runs_folder() / run["name"] / "result.json" for run in list_runs() if run["evaluated"]]
    records = [json.loads(file.read_text(encoding="utf-8")) for file in results]
    without = [record["metrics"]["cd"] for record in records if record["variant"] == "w/o FC"]
    counts = [[record["metrics"]["cd"] for record in records].count(cd) for cd in without]
    assert counts and set(counts) == {1}, "never compensated"
    assert shown.count("download='table8.csv'") == shown.count("download='table8.tex'") >= 1


def test_the_command_line_reuses_the_runs_and_leaves_the_notebook(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["msrn", "run", "table8", "--profile", "smoke"])
    before = {run["name"]: run["step"] for run in list_runs()}
    with pytest.raises(SystemExit) as left:
        command.main()
    out, err = capsys.readouterr()
    assert not left.value.code and out.count("not evaluated at this profile") == 9
    if before:
        assert err.count("are unchanged") == 3
    executed = read(paths.runs_folder() / "table8_ablation.ipynb")
    assert all(output.output_type != "error" for cell in code_cells(executed) for output in cell.outputs)
    assert "all 3 runs loaded" in words(executed)

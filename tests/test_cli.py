"""The command line: what it prints, what it refuses, how it leaves."""

import sys

import pytest
from toy import toy_candidates, toy_collection
from toy_table import toy_request

import msrn.__main__ as command
from msrn import profiles
from msrn.doctor import optional_parts
from msrn.errors import MsrnError
from msrn.evaluation import masks
from msrn.experiments import ablation, densities, paper
from msrn.training import runs


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command line: (exit code, stdout, stderr)."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["msrn", *words])
        with pytest.raises(SystemExit) as left:
            command.main()
        out, err = capsys.readouterr()
        return left.value.code or 0, out, err

    return run


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_help_names_the_commands(call):
    code, out, _ = call("--help")
    assert code == 0 and all(name in out for name in ("doctor", "run", "status"))
    code, out, _ = call("run", "--help")
    assert code == 0 and all(
        f"--{option}" in out for option in "profile dataset data-root seeds device set weights".split()
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "table9"], "unknown experiment 'table9' (did you mean table8?)"),
        (["run", "table8", "--profile", "labtop"], "unknown profile 'labtop' (did you mean laptop?)"),
        (["run", "table8", "--dataset", "homewear"], "unknown dataset 'homewear' (did you mean homeware?)"),
        (["run", "table8", "--data-root", "/nowhere"], "data_root is '/nowhere'"),
        (["run", "table8", "--set", "prototype=5"], "unknown setting 'prototype' (did you mean prototypes?)"),
        (["run", "table8", "--set", "prototypes=many"], "setting prototypes = 'many'"),
        (["run", "table8", "--set", "prototypes"], "--set prototypes: expected NAME=VALUE"),
        (["run", "table8", "--set", "prototypes=[1"], "not readable as YAML"),
        (["run", "table8", "--weights", "clip"], "--weights clip: expected NAME=VALUE, such as --weights clip="),
        (["run", "table8", "--weights", "clop=x"], "unknown weights 'clop' (did you mean clip?)"),
        (["run", "table8", "--weights", "saliency=/nowhere.onnx"], "weights.saliency = '/nowhere.onnx': no such file"),
        (["run", "table8", "--set", "features=clip"], "setting features = 'clip': expected its file in weights, "),
        (["run", "table8", "--seeds", "0,one"], "--seeds 0,one: expected whole numbers"),
        (["run", "table8", "--seeds", "-1"], "seeds = [-1]"),
        (["run", "table8", "--device", "gpu"], "device = 'gpu'"),
        (["run", "study"], "unknown experiment 'study': expected one of table7, table8"),
        (["record", "studdy"], "unknown experiment 'studdy' (did you mean study?)"),
        (["record", "density", "--only", "M-SRN"], "density has no rows"),
        (["data", "check", "shapnet", "--root", "/nowhere"], "unknown archive 'shapnet' (did you mean shapenet?)"),
        (["data", "check", "pix3d", "--root", "/nowhere"], "expected a folder, found nothing"),
        (["data", "describe", "homeware"], "unknown archive 'homeware'"),
        (["record", "table8", "--only", "MSRN"], "unknown variant 'MSRN' of table8 (did you mean M-SRN?)"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(call, store, words, said):
    code, out, err = call(*words)
    assert code == 2 and out == "" and said in err
    assert err.startswith("msrn: ") and err.count("\n") == 1
    assert not store.exists() or not any(store.iterdir())


def test_data_sets_are_described_in_words(call):
    code, out, _ = call("data", "describe")
    assert code == 0 and all(f"{name}: " in out for name in ("shapenet", "pix3d", "pascal3d")) and "http" not in out


def test_a_mistake_of_usage_is_clicks(call):
    code, _, err = call("rnu")
    assert code == 2 and "No such command" in err and "Traceback" not in err


def test_cuda_is_refused_without_one(call, monkeypatch, store):
    monkeypatch.setattr(profiles, "_cuda", lambda: False)
    code, _, err = call("run", "table8", "--device", "cuda")
    assert code == 2 and "no CUDA device" in err and err.count("\n") == 1


@pytest.fixture
def toy_run(toy_data, monkeypatch, tmp_path, toy_result):
    """``run`` on toy data; the notebook is left out."""
    monkeypatch.setattr(profiles, "resolve", lambda **given: toy_request())
    monkeypatch.setattr(command, "execute_notebook", lambda name, given: tmp_path / f"{name}.ipynb")


def test_every_experiment_can_be_recorded():
    assert set(command.RECORDED) == {*paper.EXPERIMENTS, densities.EXPERIMENT, masks.EXPERIMENT}


def test_density_is_recorded_by_its_own_name(call, monkeypatch):
    monkeypatch.setattr(densities, "record", lambda request: iter([f"density of {request.dataset}"]))
    assert call("record", "density", "--profile", "smoke")[:2] == (0, "density of homeware\n")


def test_run_prints_the_table_and_says_what_it_reused(call, toy_run, toy_result):
    code, out, err = call("run", "table8")
    assert code == 0 and err.count("reused toy-seed0-") == 3 and err.count("are unchanged") == 3
    assert "w/o FC" in out and "starting ellipsoid" in out and "not evaluated: needs three seeds" in out
    assert "table8_ablation.ipynb" in out and toy_result.outcomes[0].run.folder.name in out


def test_a_relative_folder_is_the_callers(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked = {"data_root": "data", "seeds": "0,1", "settings": ("steps=5",), "weights": ("cue=a=b.pt",)}
    given = command._given("table8", asked, ("table8",))
    assert given == {
        "data_root": str(tmp_path / "data"),
        "seeds": [0, 1],
        "settings": {"steps": 5},
        "weights": {"cue": str(tmp_path / "a=b.pt")},
    }
    assert command._given("table8", {**asked, "data_root": None}, ("table8",))["data_root"] is None


def test_an_interruption_says_how_to_go_on(call, toy_run, monkeypatch):
    def interrupted(request):
        raise KeyboardInterrupt

    monkeypatch.setattr(ablation, "table8", interrupted)
    code, out, err = call("run", "table8")
    assert code == 130 and out == "" and "the same command goes on" in err and "Traceback" not in err


def test_a_notebook_that_fails_is_kept_and_named(store, monkeypatch, tmp_path):
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("raise ValueError('so it goes')")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "sad.ipynb")
    monkeypatch.setattr(command.paths, "NOTEBOOKS", tmp_path)
    store.mkdir()
    with pytest.raises(
        MsrnError, match=r"sad.ipynb: cell 1 failed \(ValueError: so it goes\); see .*sad.unfinished.ipynb"
    ):
        command.execute_notebook("sad", {})
    assert [file.name for file in store.iterdir()] == ["sad.unfinished.ipynb"]


def test_status_tells_finished_runs_from_unfinished_ones(call, store):
    assert "no runs yet" in call("status")[1]
    collection, s = toy_collection(), toy_request().settings
    runs.train_or_load(s, collection, toy_candidates(collection, s.candidates), 3, "cpu", progress=False)
    folder = next(store.glob("toy-seed3-*"))
    line = next(line for line in call("status")[1].splitlines() if line.startswith(folder.name))
    assert " finished " in line and "24 / 24" in line
    log = folder / "log.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]))
    code, out, _ = call("status")
    assert code == 0 and "unfinished" in out and "4 / 24" in out and "1 run," in out


def test_doctor_says_what_is_missing_and_what_that_disables(call, store):
    code, out, _ = call("doctor")
    assert code == 0
    for name in (
        "msrn",
        "torch",
        "CUDA",
        "caches",
        "runs",
        "disk",
        "pytorch3d",
        "CLIP weights",
        "Chromium",
        "homeware images",
    ):
        assert any(line.strip().startswith(name) for line in out.splitlines()), name
    assert str(store) in out and "nothing yet" in out
    assert all(disables for _, state, disables in optional_parts() if state.startswith(("missing", "not ")))

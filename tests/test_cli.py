"""The command line: what it prints, what it refuses, how it leaves."""

import sys

import pytest
from toy import toy_candidates, toy_collection
from toy_table import toy_request

import msrn.__main__ as command
from msrn import exhibits, profiles
from msrn.doctor import optional_parts
from msrn.errors import MsrnError
from msrn.experiments import paper, record, runner
from msrn.store.checkpointing import OutOfTime
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
    assert code == 0 and all(name in out for name in "doctor run list claims record score status data".split())
    code, out, _ = call("run", "--help")
    assert code == 0 and all(
        f"--{option}" in out for option in "profile dataset data-root seeds device set weights".split()
    )


SCORE = ["score", "/nowhere", "--frame", "y-up", "--table"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["run"], "msrn run: expected the name of an exhibit, such as table8, or --all; msrn list names them"),
        (["run", "table8", "--all"], "msrn run: expected the name of an exhibit, such as table8, or --all"),
        (["run", "nonsense"], "unknown exhibit 'nonsense': expected one of figure5, figure6, "),
        (["run", "table88"], "unknown exhibit 'table88' (did you mean table8?)"),
        (["run", "figure8", "--profile", "labtop"], "unknown profile 'labtop' (did you mean laptop?)"),
        (["run", "table8", "--profile", "labtop"], "unknown profile 'labtop' (did you mean laptop?)"),
        (["run", "table8", "--dataset", "homewear"], "unknown dataset 'homewear' (did you mean homeware?)"),
        (["run", "table8", "--data-root", "/nowhere"], "data_root of shapenet is '/nowhere': expected a folder"),
        (["run", "table8", "--set", "prototype=5"], "unknown setting 'prototype' (did you mean prototypes?)"),
        (["run", "table8", "--set", "prototypes=many"], "setting prototypes = 'many'"),
        (["run", "table8", "--set", "prototypes"], "--set prototypes: expected NAME=VALUE"),
        (["run", "table8", "--set", "prototypes=[1"], "not readable as YAML"),
        (["run", "table8", "--weights", "clip"], "--weights clip: expected NAME=VALUE"),
        (["run", "table8", "--weights", "clop=x"], "unknown weights 'clop' (did you mean clip?)"),
        (["run", "table8", "--weights", "saliency=/nowhere.onnx"], "weights.saliency = '/nowhere.onnx': no such file"),
        (["run", "table8", "--set", "features=clip"], "setting features = 'clip': expected its file in weights, "),
        (["run", "table8", "--seeds", "0,one"], "--seeds 0,one: expected whole numbers"),
        (["run", "table8", "--seeds", "-1"], "seeds = [-1]"),
        (["run", "table8", "--device", "gpu"], "device = 'gpu'"),
        (["record", "densty"], "unknown exhibit 'densty' (did you mean density?)"),
        (["record", "figure8"], "unknown exhibit 'figure8'"),
        (["record", "table8", "--budget", "soon"], "--budget soon: expected a number and a unit"),
        (["record", "density", "--only", "M-SRN"], "density is recorded whole"),
        (["data", "check", "shapnet", "--root", "/nowhere"], "unknown archive 'shapnet' (did you mean shapenet?)"),
        (["data", "check", "pix3d", "--root", "/nowhere"], "expected a folder, found nothing"),
        (["data", "describe", "homeware"], "unknown archive 'homeware'"),
        (["record", "table8", "--only", "MSRN"], "unknown row 'MSRN' of table8 (did you mean M-SRN?)"),
        (["record", "masks", "--only", "M-SNR"], "unknown row 'M-SNR' of masks (did you mean M-SRN?)"),
        (
            ["record", "table4", "--only", "ZeroShape"],
            "row 'ZeroShape' of table4 is quoted, nobody trains it here: "
            'msrn score FOLDER --as "ZeroShape" --table table4 scores its predictions',
        ),
        ([*SCORE, "table44", "--as", "ZeroShape"], "unknown exhibit 'table44' (did you mean table4?)"),
        ([*SCORE, "table4", "--as", "ZeroShapes"], "unknown row 'ZeroShapes' of table4 (did you mean ZeroShape?)"),
        ([*SCORE, "table4", "--as", "ZeroShape"], "/nowhere is no folder: expected one with predictions"),
        ([*SCORE, "table4", "--as", "ZeroShape", "--frame", "x-up"], "frame 'x-up'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(call, store, words, reason, monkeypatch, tmp_path):
    """Nor is anything drawn before it is refused."""
    monkeypatch.setenv("MSRN_CACHE", str(tmp_path / "empty"))
    code, out, err = call(*words)
    assert code == 2 and out == "" and reason in err
    assert err.startswith("msrn: ") and err.count("\n") == 1
    assert not store.exists() or not any(store.iterdir())
    assert not (tmp_path / "empty").exists()


def test_data_sets_are_described_in_words(call):
    code, out, _ = call("data", "describe")
    assert code == 0 and all(f"{name}: " in out for name in ("shapenet", "pix3d", "pascal3d")) and "http" not in out


def test_claims_are_printed_from_what_is_recorded(call):
    code, out, _ = call("claims")
    assert code == 0 and "M-SRN beats w/o NC" in out and "What would settle it: " in out
    assert max(map(len, out.splitlines())) < 200


def test_a_mistake_of_usage_is_clicks(call):
    code, _, err = call("rnu")
    assert code == 2 and "No such command" in err and "Traceback" not in err


def test_cuda_is_refused_without_one(call, monkeypatch, store):
    monkeypatch.setattr(profiles.torch.cuda, "is_available", lambda: False)
    code, _, err = call("run", "table8", "--device", "cuda")
    assert code == 2 and "no CUDA device" in err and err.count("\n") == 1


@pytest.fixture
def toy_run(toy_data, monkeypatch, tmp_path, toy_result):
    """``run`` on toy data; the notebook is left out."""
    monkeypatch.setattr(exhibits, "resolve", lambda **options: toy_request())
    monkeypatch.setattr(exhibits, "execute", lambda source, parameters: tmp_path / source.name)


@pytest.fixture
def without_table4(monkeypatch):
    """As if Table 4 had no notebook yet."""
    pages = {name: file for name, file in exhibits.notebooks().items() if name != "table4"}
    monkeypatch.setattr(exhibits, "notebooks", lambda: pages)


def test_every_exhibit_is_listed_with_its_state(call, without_table4):
    code, out, err = call("list", "--profile", "laptop")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0 and not err and set(lines) >= {"exhibit", *paper.TABLES, *exhibits.notebooks()}
    names = list(lines)
    assert names.index("figure8") < names.index("table2") < names.index("table8") < names.index("table11")
    assert "4.5.1  3 trained " in lines["table8"] and "homeware for shapenet" in lines["table8"]
    assert "no notebook" not in lines["table8"]
    assert "2 trained, 4 quoted" in lines["table4"] and lines["table4"].endswith("no notebook yet")
    assert lines["figure8"].endswith("figure8_foreground_masks.ipynb")
    places = {line.index(words) for line, words in ((lines["table8"], "homeware"), (lines["table7"], "homeware"))}
    assert len(places) == 1


def test_the_list_follows_the_profile(call):
    laptop, literal, paper = (call("list", "--profile", name)[1] for name in ("laptop", "literal", "paper"))
    line = next(line for line in literal.splitlines() if line.startswith("table8"))
    assert line.endswith("recorded at profile laptop") and "3 trained" in laptop
    assert "3 trained" in paper  # without its GPU as well
    code, _, err = call("list", "--profile", "labtop")
    assert code == 2 and err.count("\n") == 1 and "did you mean laptop?" in err


def test_density_and_masks_are_recorded_by_their_own_names(call, monkeypatch):
    monkeypatch.setattr(record, "record_density", lambda table, request: iter([f"density of {request.dataset}"]))
    monkeypatch.setattr(record, "record_masks", lambda request, seconds, only: iter([f"{only} of {request.dataset}"]))
    assert call("record", "density", "--profile", "smoke")[:2] == (0, "density of homeware-8\n")
    code, out, _ = call("record", "masks", "--profile", "smoke", "--only", "M-SRN")
    assert code == 0 and out.startswith("('M-SRN',) of homeware-wild")


def test_the_meshes_of_a_figure_are_recorded_by_its_name(call, monkeypatch):
    monkeypatch.setattr(record, "record_meshes", lambda table, request, _: iter([f"{table.name} {request.dataset}"]))
    assert call("record", "figure7", "--profile", "smoke")[:2] == (0, "table4 homeware-wild-2\n")
    assert call("record", "figure9", "--profile", "smoke")[:2] == (0, "table8 homeware-8\n")
    code, _, err = call("record", "figure9", "--only", "M-SRN")
    assert code == 2 and err == "msrn: --only M-SRN: figure9 is recorded whole, leave it out\n"


def test_run_prints_the_table_and_says_what_it_reused(call, toy_run, toy_result):
    code, out, err = call("run", "table8")
    assert code == 0 and err.count("reused toy-seed0-") == 3 and err.count("are unchanged") == 3
    assert "w/o FC" in out and "starting ellipsoid" in out and "not evaluated: needs three seeds" in out
    assert "Notebook with figures: " in out and "table8_ablation.ipynb" in out
    assert toy_result.outcomes[0].run.folder.name in err


def test_a_table_without_a_notebook_is_printed_alone(call, toy_run, without_table4):
    code, out, _ = call("run", "table4")
    assert code == 0 and out.startswith("Table 4, ") and "ZeroShape" in out and "Notebook" not in out


def test_a_figure_is_its_notebook(call, toy_run):
    code, out, _ = call("run", "figure8")
    assert code == 0 and out.startswith("Notebook with figures: ") and "figure8_foreground_masks.ipynb" in out


def test_all_are_the_exhibits_that_have_a_notebook(call, monkeypatch):
    made = []
    monkeypatch.setattr(exhibits, "make", lambda name, *_: made.append(name))
    assert call("run", "--all")[0] == 0 and sorted(made) == sorted(exhibits.notebooks())


def test_one_that_cannot_be_made_stops_no_other(call, monkeypatch):
    made = []

    def make(name, *_):
        made.append(name)
        if name in ("table7", "figure8"):
            raise MsrnError("so it goes")

    monkeypatch.setattr(exhibits, "make", make)
    code, _, err = call("run", "--all")
    assert code == 2 and len(made) == len(exhibits.notebooks())
    assert "msrn: table7: so it goes\n" in err and f"msrn: 2 of {len(made)} exhibits could not be made" in err


def test_a_budget_ends_and_names_what_is_left(call, toy_run, monkeypatch):
    """The toy table is trained already, so its page is made; what trains is stopped; then nothing is begun."""
    pages = {name: exhibits.notebooks()[name] for name in ("table8", "table10", "figure8")}
    monkeypatch.setattr(exhibits, "notebooks", lambda: pages)
    monkeypatch.setattr(exhibits, "longest_first", lambda names, _: list(names))
    real, now = runner.make, [0.0]
    monkeypatch.setattr(exhibits.time, "monotonic", lambda: now[0])

    def make(table, request, until):
        assert until == 60
        if table.name == "table10":
            now[0] = 61.0
            raise OutOfTime("M-SRN, seed 0: out of time at step 5 of 24; it goes on from there")
        return real(table, request)

    monkeypatch.setattr(runner, "make", make)
    code, out, _ = call("run", "--all", "--budget", "1m")
    assert code == 0 and out.count("Notebook with figures") == 1 and "out of time at step 5 of 24" in out
    assert "left: table10, figure8. The same command goes on." in out
    assert call("run", "table8", "--budget", "soon")[0] == 2


def test_a_relative_folder_is_the_callers(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    options = {"data_root": "data", "seeds": "0,1", "settings": ("steps=5",), "weights": ("cue=a=b.pt",)}
    assert command._parameters(options) == {
        "data_root": str(tmp_path / "data"),
        "seeds": [0, 1],
        "settings": {"steps": 5},
        "weights": {"cue": str(tmp_path / "a=b.pt")},
    }
    assert command._parameters({**options, "data_root": None})["data_root"] is None


def test_an_interruption_says_how_to_go_on(call, toy_run, monkeypatch):
    def interrupted(table, request, until):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "make", interrupted)
    code, out, err = call("run", "table8")
    assert code == 130 and out == "" and "the same command goes on" in err and "Traceback" not in err


def test_a_notebook_that_fails_is_kept_and_named(store, tmp_path):
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("raise ValueError('so it goes')")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "sad.ipynb")
    store.mkdir()
    reason = r"sad.ipynb: cell 1 failed \(ValueError: so it goes\); see .*sad.unfinished.ipynb"
    with pytest.raises(MsrnError, match=reason):
        exhibits.execute(tmp_path / "sad.ipynb", {})
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

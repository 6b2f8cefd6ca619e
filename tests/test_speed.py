"""The page on speed shows what is recorded, each file with its device, and says how to make what is not."""

import json
import re
from html.parser import HTMLParser

import minutes as minutes_page
import pytest
import speed
import study
from toy_table import record

from msrn import paths
from msrn.errors import MsrnError
from msrn.evaluation.protocol import VERSION

PARTS = {"networks": 0.03, "renderer": 0.02, **{name: 0.001 for name in speed.HELPERS}, "optimiser": 0.004}


def step_report() -> dict:
    both = lambda value: {"wall": value, "processor": 2 * value}  # noqa: E731
    row = {
        "threads": 2, "multiply_adds": 434_700_000, "pairs": 152_000, "multiply_adds_per_second": both(8.2e10),
        "seconds_per_pair": both(1.4e-7), "network_floor": both(0.01), "renderer_floor": both(0.02),
        "step": both(0.08), "parts": {name: both(value) for name, value in PARTS.items()}, "rest": both(0.021),
        "floor": both(0.03), "ratio": both(0.08 / 0.03), "helpers_share": both(0.0625),
    }  # fmt: skip
    return {
        "profile": "laptop", "dataset": "homeware", "device": "CPU, 2 cores", "load_before": 0.5, "commit": "abc",
        "packages": {"torch": "2.11.0"}, "rows": [{**row, "kind": kind} for kind in ("pose", "shape", "both")],
    }  # fmt: skip


def training_report(device: str) -> dict:
    return {
        "profile": "paper", "dataset": "homeware", "device": device, "torch": "2.11.0", "threads": 16,
        "settings": {"image_size": 64, "mesh_level": 3, "encoder": "resnet18", "batch_size": 16},
        "memory_bytes": 2**31, "seconds_per_step": {"triton": [0.009, 0.011], "pytorch3d": [0.05, 0.05]},
        "steps_per_second": {"triton": 100.0, "pytorch3d": 20.0},
    }  # fmt: skip


def renderer_report() -> dict:
    found = {"pytorch3d": 6.0, "numba, 1 thread": 0.06, "numba, 2 threads": 0.03}
    ratio = {name: 6.0 / seconds for name, seconds in found.items()}
    scene = {"level": 3, "batch": 16, "size": 64}
    return {
        "cpu": "x86_64", "cores": 2, "load_before": 0.5,
        "numba": [{**scene, "threads": 1, "median": 0.05, "best": 0.04}],
        "versus": {**scene, "faces_per_pixel": 50, "wall": found, "ratio_wall": ratio, "ratio_processor": ratio},
    }  # fmt: skip


def peers_report() -> dict:
    row = {"version": "1.0", "wall": 0.01, "processor": 0.008, "iou": 93.14, "cosine_smooth": 0.75}
    row["cosine_squared"] = 0.55
    return {
        "device": "CPU, 2 cores", "threads": 1, "load_before": 0.5, "commit": "abc", "level": 3, "batch": 16,
        "size": 64, "rows": {"numba": row, "deodr": {**row, "processor": 0.02}},
    }  # fmt: skip


def candidates_report() -> dict:
    row = {"images": 2048, "seconds": 0.5, "floor": 0.25, "memory": 2**24}
    scope = {"seconds": 600.0, "floor": 300.0, "beyond": 22.5}
    fits = {"exponent": 1.8, "exponent_error": 0.03, "last_exponent": 1.95, "13 categories": scope, "one scope": scope}
    return {
        "device": "x86_64", "cores": 2, "threads": 1, "features": 768, "candidates": 6,
        "rules": {"by the letter": {"rows": [row], "fits": fits}},
    }  # fmt: skip


def pack_report() -> dict:
    row = {
        "images": 12000, "seconds": 6.0, "cpu": 8.0, "images_per_second": 2000.0, "anonymous_bytes": 2**23,
        "resident_bytes": 2**29, "open_seconds": 0.17,
    }  # fmt: skip
    return {"machine": "x86_64", "cores": 2, "rows": [row], "exponent_wall": 0.97}


def remembered_report() -> dict:
    curve = [None, 0.5, 0.6, 0.7, 0.8, 0.9]
    curves = {"mask_iou": [0.4, *curve[1:]], "neighbor": curve, "n_re": [None, 3.0, 3.0, 3.0, 3.0, 2.5]}
    val = {"cd": 4.0, "f": 0.25, "mask_iou": 0.7}
    return {
        "profile": "laptop", "dataset": "toy", "domains": 5, "device": "CPU, 1 core", "commit": "abc",
        "steps": [50, 100, 150, 200, 250, 300], "stage_switch": 75, "steps_per_epoch": 100,
        "curves": {"remembered": curves, "encoded": curves}, "agreement": curve,
        "processor_seconds": {"remembered": 30.0, "encoded": 60.0}, "val": {"remembered": val, "encoded": val},
        "val_difference": {name: {"mean": 0.0, "low": -0.1, "high": 0.1} for name in ("cd", "f")},
    }  # fmt: skip


REPORTS = {
    "step-laptop": step_report(),
    "training-h100": training_report("NVIDIA H100"),
    "training-other": training_report("Another GPU"),
    "renderer-cpu": renderer_report(),
    "peers-cpu": peers_report(),
    "pack-cpu": pack_report(),
    "candidates-cpu": candidates_report(),
    "remembered-laptop": remembered_report(),
}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    return tmp_path / "benchmarks"


@pytest.fixture
def filled(shelf):
    for name, report in REPORTS.items():
        (shelf / f"{name}.json").write_text(json.dumps(report))
    return shelf


class Rows(HTMLParser):
    """The texts of every row's cells, by the first of them."""

    def __init__(self, text: str):
        super().__init__()
        self.found, self._row = {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self._row = []
        elif tag in ("th", "td"):
            self._row.append("")

    def handle_data(self, data):
        if self._row:
            self._row[-1] += data

    def handle_endtag(self, tag):
        if tag == "tr":
            first, *others = (text.strip() for text in self._row)
            self.found[first] = others
            self._row = []


def test_every_benchmark_is_shown_with_its_figures(filled):
    shown = {name: Rows(speed.tables_of(name)).found for name in speed.BENCHMARKS}
    step, training, renderer, peers, pack, remembered, candidates = shown.values()
    assert step["step"] == ["80.0"] * 3 and step["floor"] == ["30.0"] * 3
    assert step["step / floor"] == ["2.7 ×"] * 3 and step["helpers / step"] == ["6.2%"] * 3
    assert step["networks"] == ["30.0"] * 3 and step["log"] == ["1.0"] * 3
    assert step["10⁶ multiply-adds"] == ["435"] * 3 and step["10³ pairs"] == ["152"] * 3
    assert training["Triton, a step as one graph"] == ["100.0", "10.0[9.0, 11.0]", "5.0 ×"]
    assert training["PyTorch3D"] == ["20.0", "50.0[50.0, 50.0]", "1.0 ×"]
    assert renderer["Numba, 2 threads"] == ["30.0", "200 ×", "200 ×"]
    assert renderer["16 images of 64 × 64, mesh level 3"] == ["1", "50.0", "40.0"]
    assert peers["DEODR 1.0"] == ["20.0", "2.5 ×", "93.1", "0.750", "0.550"]
    assert pack["12,000 images"] == ["2,000", "1,500", "8", "512", "0.17"]
    assert candidates["2,048 images, by the letter"] == ["0.50", "2.0 ×", "16"]
    assert remembered["encoded anew"] == ["200.0", "0.900", "0.900", "2.50", "4.00", "0.250", "0.700"]


def test_every_file_is_named_with_its_device(filled):
    training = speed.tables_of("training")
    assert "homeware: NVIDIA H100<" in training and "homeware: Another GPU<" in training
    assert training.count("<table>") == 2
    assert "homeware: CPU, 2 cores<" in speed.tables_of("step")
    assert "backward: CPU, 2 cores<" in speed.tables_of("renderer")
    assert "features: CPU, 2 cores, 1 thread<" in speed.tables_of("candidates")
    assert "N^1.80 ± 0.03" in speed.tables_of("candidates") and "10 min 0 s" in speed.tables_of("candidates")


def test_bars_are_as_long_as_their_steps(filled):
    report = step_report()
    report["rows"][1]["step"] = {"wall": 0.16}
    text = speed.step(report)
    bars = re.findall(r"<span class='track'>(.*?)</span>", text)
    widths = [[float(width) for width in re.findall(r"width:([\d.]+)%", bar)] for bar in bars]
    assert [sum(bar) for bar in widths] == pytest.approx([50, 100], abs=0.1)  # the mean has none
    assert widths[0] == pytest.approx([100 * x / 0.16 for x in (0.01, 0.02, 0.02, 0.005, 0.025)], abs=0.01)


def test_what_is_not_recorded_says_how_to_make_it(shelf):
    for name in speed.BENCHMARKS:
        text = speed.tables_of(name)
        assert f"python tests/benchmarks/bench_{name}.py --json results/benchmarks/{name}" in text
        assert (paths.ROOT / "tests" / "benchmarks" / f"bench_{name}.py").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"rows": [{}]}', '{"rows": 3}'])
def test_a_damaged_file_is_one_line(shelf, content):
    (shelf / "step-laptop.json").write_text(content)
    with pytest.raises(MsrnError, match="step-laptop.json.*restore it from git") as caught:
        speed.tables_of("step")
    assert "\n" not in str(caught.value)


class Application:
    def __init__(self):
        self.env, self.noted = self, []

    def note_dependency(self, file: str) -> None:
        self.noted.append(file)


def test_the_page_has_a_mark_for_every_benchmark_and_is_filled(filled):
    page = (paths.ROOT / "book" / "speed.md").read_text()
    application, source = Application(), [page]
    assert set(re.findall("<!-- (.*) -->", page)) == {*speed.BENCHMARKS, speed.MINUTES}
    speed.fill(application, "book/speed", source)
    assert "<!--" not in source[0] and source[0].count("<table>") == 9
    assert str(filled) in application.noted and str(filled / "training-h100.json") in application.noted
    other = [page]
    speed.fill(application, "book/start", other)
    assert other == [page]


def studied(variant: str, minutes: float, steps: int, cd: float, **changes):
    given = {"experiment": "study", "dataset": minutes_page.DATASET, "train_cpu_seconds": 60 * minutes, **changes}
    return record(variant, (cd,) * 4, settings={"steps": steps}, **given)


def test_minutes_are_those_of_the_rows_of_each_profile(monkeypatch):
    kept = [
        studied("night", 16.0, 40_000, 2.25),
        studied("laptop", 4.0, 10_000, 2.5),
        studied("before", 7.0, 5000, 3.5, seed=0),
        studied("before", 9.0, 5000, 3.7, seed=1),
        studied("laptop, poses known", 4.0, 10_000, 2.0),  # no length
        studied("laptop", 4.0, 10_000, 1.5, dataset="zoo"),
    ]
    monkeypatch.setattr(minutes_page, "recorded", lambda name: kept * (name == "study"))
    text = minutes_page.shown()
    found = Rows(text).found
    assert list(found)[1:] == [f"profile laptop{words} steps" for words in (", 10,000", ", 40,000", " before, 5,000")]
    assert found["profile laptop, 10,000 steps"][:2] == ["4.0", "2.50[2.50, 2.50]"]
    assert found["profile laptop before, 5,000 steps"][:2] == ["8.0", "3.60[3.60, 3.60]"]
    assert "profile laptop: 2.50 after 4.0, 2.25 after 16.0; profile laptop before: 3.60 after 8.0" in text
    assert "4 objects of val" in text and "1 to 2 seeds a row" in text
    kept.append(studied("night", 18.0, 40_000, 2.0, protocol=VERSION + 1))  # what an earlier protocol measured is out
    assert list(Rows(minutes_page.shown()).found)[1:] == ["profile laptop, 40,000 steps"]


def test_minutes_that_are_not_recorded_say_how(monkeypatch):
    monkeypatch.setattr(minutes_page, "recorded", lambda name: [])
    assert "Nothing is recorded yet: python scripts/study.py record" in minutes_page.shown()


def test_lengths_are_rows_of_the_study():
    for rows in minutes_page.PROFILES.values():
        assert [study.NOW.row(row).name for row in rows] == list(rows)


def test_a_minute_teaches_more_than_ten_did():
    now, before = (
        minutes_page._points(minutes_page.recorded("study"), rows) for rows in minutes_page.PROFILES.values()
    )
    assert now[0][0] < 1 and before[-1][0] > 10
    assert all(now[0][2][metric].mean < before[-1][2][metric].mean for metric in ("cd", "cd_axes"))


def test_what_is_committed_can_be_shown():
    assert "<table>" in minutes_page.shown()
    for name in speed.BENCHMARKS:
        assert "<div class='msrn" in speed.tables_of(name)

"""Settings and requests: profiles, overrides, and one clear line for every mistake."""

import sys
import types

import pytest
import yaml

from msrn import paths, profiles
from msrn.data import DATASETS, STAND_INS, open_collection
from msrn.errors import MsrnError
from msrn.experiments.paper import TABLES
from msrn.report.notebooks import header
from msrn.store.plain_settings import IMAGES_ALONE, MULTIPLEX
from msrn.store.plain_values import plain_value
from msrn.store.results import REMOVED, current_settings


def refused(call, *needed: str) -> None:
    with pytest.raises(MsrnError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for part in needed:
        assert part in message, f"{part!r} is not in {message!r}"


@pytest.mark.parametrize("name", ["smoke", "laptop", "night", "paper", "literal"])
def test_profiles_have_the_keys_of_a_parameters_cell_and_valid_settings(name):
    content = yaml.safe_load((paths.PARAMS / f"{name}.yaml").read_text())
    if "inherits" not in content:
        assert tuple(content) == profiles.NOTEBOOK_KEYS
    assert content["profile"] == name
    profiles.make_settings(content["settings"])


def test_the_paper_profile_is_table_1():
    s = profiles.make_settings(yaml.safe_load((paths.PARAMS / "paper.yaml").read_text())["settings"])
    assert (s.memory_slots, s.prototypes, s.neighbor_prototypes, s.candidates) == (500, 10, 5, 6)
    assert (s.memory_momentum, s.affinity_weight, s.shape_confidence) == (0.99, 1e-6, 0.5)
    assert (s.batch_size, s.learning_rate, s.stage_switch, s.image_size) == (16, 1e-4, 10_000, 64)
    assert (s.small_shape_code, s.small_texture_code) == (1, 2)


def test_every_setting_says_what_it_means_and_what_the_paper_says():
    for name, field in profiles.Settings.model_fields.items():
        assert field.description, name
        assert set(field.json_schema_extra) == {"section", "paper"}, name


def test_a_file_and_a_profile_name_mean_the_same():
    content = yaml.safe_load((paths.PARAMS / "smoke.yaml").read_text())
    assert profiles.resolve(**content) == profiles.resolve(profile="smoke")


@pytest.mark.parametrize(("name", "parent"), [("night", "laptop"), ("literal", "paper")])
def test_a_profile_that_inherits_differs_in_what_its_file_says(cuda, name, parent):
    content = yaml.safe_load((paths.PARAMS / f"{name}.yaml").read_text())
    assert content["inherits"] == parent
    made, base = profiles.resolve(name), profiles.resolve(parent)
    assert made.settings == profiles.make_settings({**base.settings.model_dump(), **content["settings"]})
    assert made.settings != base.settings and not made.changed
    assert profiles.from_notebook({**CELL, **content}) == made  # papermill -f
    refused(lambda: profiles.from_notebook({**CELL, **content, "inherits": "smoke"}), "inherits = 'smoke'", parent)
    refused(lambda: profiles.from_notebook({**CELL, "inherits": parent}), f"inherits = '{parent}'", "None", "leave it")


HEIRS = {
    "base": "dataset: {pascal3d: a, shapenet: b}\ndata_root: null\nseeds: [0]\ndevice: cpu\n"
    "settings: {steps: 5, log_every: 5, checkpoint_every: 5}\nweights: {}\n",
    "heir": "inherits: base\ndataset: {shapenet: c}\nseeds: [1, 2]\nsettings: {steps: 10}\n",
    "grandchild": "inherits: heir\ndataset: {shapenet: d}\n",
    "lost": "inherits: nobody\n",
    "snake": "inherits: tail\n",
    "tail": "inherits: snake\n",
    "narcissus": "inherits: narcissus\n",
    "odd": "inherits: base\nsteps: 5\n",
}


def test_keys_replace_and_settings_and_data_sets_merge(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PARAMS", tmp_path)
    for name, text in HEIRS.items():
        (tmp_path / f"{name}.yaml").write_text(f"profile: {name}\n{text}")
    heir, grandchild = profiles.resolve("heir"), profiles.resolve("grandchild")
    assert (heir.profile, heir.dataset, heir.seeds, heir.device) == ("heir", "c", (1, 2), "cpu")
    assert profiles.resolve("heir", data="pascal3d").dataset == "a"
    assert (heir.settings.steps, heir.settings.log_every) == (10, 5) and grandchild.settings == heir.settings
    assert (grandchild.profile, grandchild.dataset, grandchild.seeds) == ("grandchild", "d", (1, 2))
    refused(lambda: profiles.resolve("lost"), "nobody.yaml: not readable")
    refused(lambda: profiles.resolve("snake"), "snake.yaml inherits from itself", "snake, tail")
    refused(lambda: profiles.resolve("narcissus"), "narcissus.yaml inherits from itself")
    refused(lambda: profiles.resolve("odd"), "odd.yaml: expected exactly the keys")


@pytest.fixture
def file(tmp_path) -> str:
    (tmp_path / "network.pt").write_bytes(b"1")
    return str(tmp_path / "network.pt")


def test_files_of_networks_are_named_and_there(file):
    for settings, weights in (({"features": "clip"}, {"clip": file}), ({}, {"saliency": file})):
        request = profiles.resolve("smoke", settings=settings, weights=weights)
        assert request.weights == weights and request.label.endswith(f"{next(iter(weights))} weights network.pt")
    text = profiles.from_notebook({**CELL, "cue_encoder": "vgg16", "weights": f"{{cue: {file}}}"})
    assert text.weights == {"cue": file} and profiles.resolve("smoke").weights == {}
    for weights, *said in (
        ({"clipp": file}, "unknown weights 'clipp'", "did you mean clip?"),
        ({"saliency": f"{file}x"}, "weights.saliency = ", "no such file"),
        ({"saliency": 5}, "weights.saliency = 5", "no such file"),
        ({"cue": file}, "weights.cue = ", "expected cue_encoder vgg16 or resnet50"),
        ({"clip": file}, "weights.clip = ", "expected features clip"),
        ("clip", "weights = 'clip': expected a mapping such as {clip: FILE}"),
    ):
        refused(lambda weights=weights: profiles.resolve("smoke", weights=weights), *said)
    for setting in ({"features": "clip"}, {"cue_encoder": "vgg16"}):
        [(name, value)] = setting.items()
        said = f"setting {name} = '{value}': expected its file in weights"
        refused(lambda setting=setting: profiles.resolve("smoke", settings=setting), said)


def test_a_recorded_setting_that_is_gone_stands_where_the_code_stands():
    kept = {"steps": 5, "encoder": "small", "candidate_objects": "distinct"}
    gone = {"encoder_width": 32, "translation_range": (0.2, 0.2, 0.0), "clip_weights": None, "candidate_pool": "all"}
    assert current_settings({**kept, **gone}) == current_settings(kept) == kept
    assert current_settings({"candidate_pool": 0}) == {}
    assert current_settings({"encoder": "resnet18", "encoder_width": 7}) == {"encoder": "resnet18"}
    for other in (
        {"encoder_width": 16}, {"candidate_pool": 0}, {"candidate_pool": 96}, {"clip_weights": "x"},
        {"translation_range": [0.2, 0.2, 0.1]}, {"responsibility_weight": 0.1}, {"first_codes": "category"},
    ):  # fmt: skip
        [(name, value)] = other.items()
        refused(lambda other=other: current_settings({**kept, **other}), f"recorded setting {name} = {value!r}")
    assert not REMOVED.keys() & profiles.Settings.model_fields.keys()


def test_a_request_knows_what_it_changes_of_its_profile():
    assert profiles.resolve("smoke").label == "smoke"
    same = profiles.resolve("smoke").settings.steps
    made = profiles.resolve("smoke", settings={"steps": same, "sigma": 0.05, "batch_size": 3})
    assert dict(made.changed) == {"sigma": 0.05, "batch_size": 3}
    assert set(made.label.removeprefix("smoke with ").split(", ")) == {"sigma 0.05", "batch_size 3"}


def test_unknown_and_wrong_settings():
    refused(lambda: profiles.make_settings({"prototype": 5}), "'prototype'", "did you mean prototypes?")
    refused(lambda: profiles.make_settings({"prototypes": "many"}), "prototypes = 'many'", "integer")
    refused(lambda: profiles.make_settings({"prototypes": 0}), "prototypes = 0", "greater than or equal to 1")
    refused(lambda: profiles.make_settings({"learning_rate": float("nan")}), "learning_rate")
    refused(lambda: profiles.make_settings({"encoder": "resnet"}), "encoder = 'resnet'", "small")
    refused(lambda: profiles.make_settings({"neighbor_prototypes": 11}), "neighbor_prototypes = 11", "prototypes (10)")
    refused(lambda: profiles.make_settings({"batches": "groups", "batch_size": 6}), "batch_size = 6", "multiple of 4")
    for name, value in (("feature_compensation", True), ("reach_weight", 1.0), ("azimuths", "look-alikes")):
        alone = {**IMAGES_ALONE, name: value}
        refused(
            lambda alone=alone: profiles.make_settings(alone), f"{name} = {value!r}", f"{IMAGES_ALONE[name]!r} with"
        )
    for name, value in (("neighbor_consistency", True), ("pose_prior_weight", 0.02)):
        own = {**MULTIPLEX, name: value}
        refused(
            lambda own=own: profiles.make_settings(own), f"{name} = {value!r}", f"{MULTIPLEX[name]!r} with azimuths"
        )
    refused(lambda: profiles.make_settings({"memory_slots": 5}), "prototypes = 10", "memory_slots (5)")
    refused(lambda: profiles.make_settings({"image_size": 32}), "image_size = 32", "resnet18")
    refused(lambda: profiles.make_settings({"image_size": 40}), "image_size = 40", "multiple of 16")
    refused(lambda: profiles.make_settings({"texture_size": 48}), "texture_size = 48", "power of two")
    refused(lambda: profiles.make_settings({"pose_every": 1}), "pose_every = 1", "greater than or equal to 2")
    refused(lambda: profiles.make_settings({"ellipsoid": [0.4, 0, 0.3]}), "ellipsoid")


def test_unknown_profile_device_and_seeds():
    refused(lambda: profiles.resolve(profile="labtop"), "'labtop'", "did you mean laptop?")
    refused(lambda: profiles.resolve(profile="smoke", device="gpu"), "device = 'gpu'", "cuda")
    refused(lambda: profiles.resolve(profile="smoke", seeds=[-1]), "seeds = [-1]")
    refused(lambda: profiles.resolve(profile="smoke", seeds="0;1"), "seeds = '0;1'")
    refused(lambda: profiles.resolve(profile="smoke", seeds=True), "seeds")
    refused(lambda: profiles.resolve(profile="smoke", seeds=[0, 1, 0]), "seeds = [0, 1, 0]", "different")
    for wrong in ("prototypes", "[1]", "{prototypes: 3", 5, ["prototypes"]):
        said = f"settings = {wrong!r}: expected a mapping"
        refused(lambda wrong=wrong: profiles.resolve(profile="smoke", settings=wrong), said)
        refused(lambda wrong=wrong: profiles.from_notebook({**CELL, "settings": wrong}), said)
    refused(lambda: profiles.resolve(profile="smoke", data_root=5), "data_root = 5", "a text")
    refused(lambda: profiles.resolve(profile="smoke", dataset=["homeware"]), "dataset = ['homeware']", "a text")


def test_cuda_without_a_device_is_refused(monkeypatch):
    monkeypatch.setattr(profiles.torch.cuda, "is_available", lambda: False)
    refused(lambda: profiles.resolve(profile="smoke", device="cuda"), "device = 'cuda'", "use device cpu")
    refused(lambda: profiles.resolve(profile="paper"), "device = 'cuda'", "laptop")


def test_auto_profile(monkeypatch):
    monkeypatch.delenv("MSRN_PROFILE")
    monkeypatch.setattr(profiles.torch.cuda, "is_available", lambda: False)
    assert profiles.resolve().profile == "laptop"
    monkeypatch.setattr(profiles.torch.cuda, "is_available", lambda: True)
    assert profiles.resolve().profile == "paper"
    monkeypatch.setenv("MSRN_PROFILE", "smoke")
    assert profiles.resolve().profile == "smoke"


CELL = {
    **{"profile": "smoke", "dataset": None, "data_root": None, "seeds": None, "device": "auto"},
    **{"settings": {}, "weights": {}},
}


def test_a_notebook_takes_injected_settings():
    request = profiles.from_notebook({**CELL, "prototypes": 3, "params": profiles, "_i1": "", "In": []})
    assert request.settings.prototypes == 3
    assert profiles.from_notebook({**CELL, "settings": "{prototypes: 3}"}) == request


def test_a_notebook_refuses_an_unknown_name():
    refused(lambda: profiles.from_notebook({**CELL, "prototype": 3}), "'prototype' = 3", "did you mean prototypes?")
    refused(lambda: profiles.from_notebook({**CELL, "sedes": [1]}), "'sedes'", "did you mean seeds?")
    refused(lambda: profiles.from_notebook({**CELL, "PROFILE": "paper"}), "'PROFILE'", "did you mean profile?")


def test_a_notebook_ignores_what_is_not_a_parameter():
    names = {**CELL, "sys": sys, "helper": lambda: None, "Type": types.SimpleNamespace, "_": 5, "Out": {}}
    names |= {"SEED": 0, "BOTH": ("cd", "cd_axes"), "TITLES_2": {"cd": "CD"}}  # constants that modules have
    assert profiles.from_notebook(names) == profiles.resolve(profile="smoke")


def test_a_broken_profile_file_names_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PARAMS", tmp_path)
    (tmp_path / "smoke.yaml").write_text("profile: [smoke")
    refused(lambda: profiles.resolve(profile="smoke"), "smoke.yaml", "not readable as a mapping in YAML")
    (tmp_path / "smoke.yaml").write_bytes(b"\xff\xfe")
    refused(lambda: profiles.resolve(profile="smoke"), "smoke.yaml", "not readable as a mapping in YAML")
    keys = "".join(f"{key}:\n" for key in profiles.NOTEBOOK_KEYS)
    (tmp_path / "smoke.yaml").write_text(keys)
    refused(lambda: profiles.resolve(profile="smoke"), "smoke.yaml", "dataset = None", "a mapping")
    (tmp_path / "smoke.yaml").write_text("profile: smoke\n")
    refused(lambda: profiles.resolve(profile="smoke"), "smoke.yaml", "expected exactly the keys")


@pytest.fixture
def cuda(monkeypatch):
    monkeypatch.setattr(profiles.torch.cuda, "is_available", lambda: True)


@pytest.mark.parametrize("profile", ["paper", "literal", "laptop"])
@pytest.mark.parametrize(("data", "instead"), [("pascal3d", "homeware-wild"), ("shapenet", "homeware")])
def test_the_papers_sets_fall_to_embedded_ones(cuda, profile, data, instead):
    content = yaml.safe_load((paths.PARAMS / f"{profile}.yaml").read_text())
    request = profiles.resolve(profile=profile, data=data)
    assert (request.dataset, request.instead_of, request.data_root) == (instead, data, None)
    assert profiles.from_notebook(content, data) == request  # papermill -f


def test_a_profile_may_choose_what_stands_in():
    sets = [profiles.resolve("smoke", data=data).dataset for data in ("shapenet", "pascal3d", "pascal3d-car", "pix3d")]
    assert sets == ["homeware-8"] + ["homeware-wild-2"] * 3
    assert profiles.resolve("night", device="cpu").dataset == "procedural13"
    assert profiles.resolve("smoke", dataset={"shapenet": "procedural13"}).dataset == "procedural13"


@pytest.mark.parametrize("data", ["pascal3d", "shapenet"])
@pytest.mark.parametrize("profile", ["paper", "laptop", "smoke"])
def test_with_a_root_the_papers_sets_are_opened(cuda, profile, data):
    content = yaml.safe_load((paths.PARAMS / f"{profile}.yaml").read_text())
    for request in (
        profiles.resolve(profile=profile, data_root="/data", data=data),
        profiles.from_notebook({**content, "data_root": "/data"}, data),
    ):
        assert (request.dataset, request.instead_of, request.data_root) == (data, "", "/data")


def test_nothing_stands_in_for_a_set_that_was_asked_for_by_name(cuda):
    """Without a root it is refused when it is opened."""
    for profile in ("paper", "smoke"):
        request = profiles.from_notebook({**CELL, "profile": profile, "dataset": "shapenet"})
        assert (request.dataset, request.instead_of) == ("shapenet", "")
        refused(lambda request=request: open_collection(request.dataset, "train"), "give its folder as data_root")


def test_every_table_has_data_that_can_stand_in():
    for table in TABLES.values():
        assert table.data in DATASETS and STAND_INS[table.data] in DATASETS


def test_wrong_data_sets_are_refused():
    refused(lambda: profiles.resolve("smoke", dataset={"shapenet": ["x"]}), "dataset = ['x']", "a text")
    refused(lambda: profiles.resolve("smoke", dataset=["x"]), "dataset = ['x']", "a text")


def test_a_page_says_what_stands_in(cuda):
    page = header(profiles.resolve(profile="paper"), TABLES["table8"]).data
    assert "**Profile paper**: homeware **in place of shapenet, for which no data_root is given**" in page
    own = profiles.resolve(profile="smoke", dataset="homeware")
    assert "in place of" not in header(own, TABLES["table8"]).data


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("25m", 1500), ("1.5h", 5400), (" 2m ", 120)])
def test_budgets(text, seconds):
    assert profiles.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["25", "m", "0m", "-5m", "5 min", ""])
def test_a_budget_that_is_none(text):
    with pytest.raises(MsrnError, match="expected a number and a unit"):
        profiles.seconds_of(text)


LONG = 300  # characters of a line that a person still reads
WRONG = [
    "010", "0x10", "0o10", "0b11", "12:30", "1_000", "True", "on", "null", "inf", ".inf", "-.inf", ".nan", "nan", "ten",
    "1" + "0" * 30, "8" * 6000, "[" * 5000, "{" * 5000, "[1]", "2001-01-01", "1.5", "-1", "0", "٣", "", "a: b: c",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:8])
def test_numbers_are_decimal_or_refused(text):
    """As ``--set steps=TEXT``, as the text of a mapping, and as a notebook's parameter."""
    try:
        value = plain_value(text)
    except ValueError:
        value = text
    for given in ({"settings": {"steps": value}}, {"settings": {"steps": text}}, {"settings": f"{{steps: {text}}}"}):
        with pytest.raises(MsrnError) as caught:
            profiles.resolve("smoke", **given)
        assert len(str(caught.value)) <= LONG and "\n" not in str(caught.value)
    with pytest.raises(MsrnError):
        profiles.from_notebook({"profile": "smoke", "steps": text})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("steps", "1e3", 1000), ("steps", "+7", 7), ("steps", "1500.0", 1500), ("affinity_weight", "1e-6", 1e-6),
        ("affinity_weight", "0", 0.0), ("ellipsoid", "[0.4, .3, 3e-1]", (0.4, 0.3, 0.3)), ("encoder", "small", "small"),
        ("masks", "true", "true"), ("feature_compensation", "no", False), ("affinity_weight", "5.", 5.0),
    ],
)  # fmt: skip
def test_values_mean_what_a_person_means(name, text, value):
    for given in (plain_value(text), text):
        found = getattr(profiles.resolve("smoke", settings={name: given}).settings, name)
        assert found == value and type(found) is type(value)


@pytest.mark.parametrize("inside", ["010", "true", "inf"])
def test_lists_hold_decimal_numbers(inside):
    with pytest.raises(MsrnError, match="setting ellipsoid = .*: expected decimal numbers"):
        profiles.resolve("smoke", settings={"ellipsoid": f"[{inside}, 0.3, 0.3]"})


def test_no_setting_is_without_end():
    for name, field in profiles.Settings.model_fields.items():
        if field.annotation in (int, float):
            for value in (float("inf"), float("nan"), 10**30, 1e30):
                with pytest.raises(MsrnError) as caught:
                    profiles.resolve("smoke", settings={name: value})
                assert name in str(caught.value) and len(str(caught.value)) <= LONG


@pytest.mark.parametrize(
    ("given", "seeds"), [("[0,1]", (0, 1)), ("0,1", (0, 1)), (" 2 ", (2,)), (3, (3,)), ((4, 5), (4, 5))]
)
def test_seeds_may_be_written_as_text(given, seeds):
    assert profiles.resolve("smoke", seeds=given).seeds == seeds
    assert profiles.from_notebook({"profile": "smoke", "seeds": given}).seeds == seeds


@pytest.mark.parametrize(
    "given", [10**22, "[" * 5000, "[0,010]", True, "a" * 9000, "9" * 30, -1, "[1,1]", [True], 1.0, ""]
)
def test_seeds_that_are_none(given):
    with pytest.raises(MsrnError, match="^seeds = .*: expected a list of different whole numbers") as caught:
        profiles.resolve("smoke", seeds=given)
    assert len(str(caught.value)) <= LONG


def test_relative_paths_are_the_callers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(b"1")
    request = profiles.resolve("smoke", data_root="photographs", dataset="folder", weights={"saliency": "net.onnx"})
    assert request.data_root == str(tmp_path / "photographs")
    assert request.weights == {"saliency": str(tmp_path / "net.onnx")}

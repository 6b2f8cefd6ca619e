"""``msrn reconstruct``: files of every kind, interruption, bad files, one's own masks, the network that comes along."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from msrn import paths
from msrn.errors import MsrnError
from msrn.reconstruct import command, packed
from msrn.reconstruct.photographs import read
from msrn.reconstruct.reconstructor import Reconstructor


@pytest.fixture(autouse=True)
def one_network(network, monkeypatch, tmp_path_factory, request):
    """The toy network in place of the shipped one, and an empty store, unless a test asks for the real ones."""
    if "shipped" not in request.keywords:
        path = tmp_path_factory.mktemp("network") / "network.safetensors"
        packed.write(path, network)
        monkeypatch.setattr(packed, "SHIPPED", path)
    monkeypatch.setenv("MSRN_RUNS", str(tmp_path_factory.mktemp("runs")))


def lines_of(out: Path) -> dict[str, dict]:
    found = [json.loads(line) for line in (out / command.LINES).read_text(encoding="utf-8").splitlines()]
    assert len({line["name"] for line in found}) == len(found)
    return {line["name"]: line for line in found}


def test_a_folder_becomes_meshes_sheets_and_lines(photographs, tmp_path):
    out = tmp_path / "out"
    said = command.reconstruct(photographs, out, formats=("glb", "ply", "obj"))
    assert said.startswith("3 of 3 photographs reconstructed")
    lines = lines_of(out)
    assert set(lines) == {"box/one", "box/two", "chair/one"}
    for name, line in lines.items():
        for kind in ("glb", "ply", "obj"):
            mesh = trimesh.load(out / f"{name}.{kind}", force="mesh")
            assert len(mesh.faces) == 320
        assert Image.open(out / f"{name}.png").format == "PNG" and 0 <= line["mask_iou"] <= 1
    assert lines["box/one"]["pose"] == lines["chair/one"]["pose"]  # the same photograph


def test_a_folder_that_cannot_be_written_is_one_line_before_anything_is_computed(photographs, tmp_path, monkeypatch):
    def read_only(path, *arguments, **named):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "touch", read_only)
    monkeypatch.setattr(Reconstructor, "__call__", lambda *arguments: pytest.fail("a photograph was looked at"))
    with pytest.raises(MsrnError, match="cannot write: Read-only file system") as caught:
        command.reconstruct(photographs, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_what_is_done_is_not_done_again_and_what_changed_is(photographs, tmp_path, monkeypatch, scene):
    out, looked = tmp_path / "out", []
    first = Reconstructor.__call__
    monkeypatch.setattr(Reconstructor, "__call__", lambda self, some: looked.append(len(some)) or first(self, some))
    command.reconstruct(photographs, out)
    kept = {path: path.read_bytes() for path in out.rglob("*.glb")}
    assert command.reconstruct(photographs, out).endswith("3 of them before") and looked == [3]
    scene.rotate(20).save(photographs / "box/one.png")
    (out / "chair/one.png").unlink()
    command.reconstruct(photographs, out)
    assert looked == [3, 3]  # the batch whole, since its last bits depend on all that is in it
    changed = {path for path, content in kept.items() if path.read_bytes() != content}
    assert changed == {out / "box/one.glb"}


def test_a_relative_name_and_a_link_are_the_file_that_they_lead_to(photographs, tmp_path, monkeypatch):
    (tmp_path / "link.png").symlink_to(photographs / "box/one.png")
    monkeypatch.chdir(tmp_path)
    command.reconstruct(Path("link.png"), Path("out"))
    command.reconstruct(Path("photographs"), Path("out"))
    lines = lines_of(tmp_path / "out")
    assert lines["link"]["photograph"] == lines["box/one"]["photograph"] and len(lines) == 4


def test_a_torn_line_is_made_again(photographs, tmp_path):
    out = tmp_path / "out"
    command.reconstruct(photographs, out)
    whole, before = (out / command.LINES).read_bytes(), lines_of(out)
    (out / command.LINES).write_bytes(whole[:-40])
    command.reconstruct(photographs, out)
    after = lines_of(out)
    assert list(after) == list(before) and after["box/one"] == before["box/one"]
    assert after["chair/one"]["signs"] == pytest.approx(before["chair/one"]["signs"], abs=1e-3)


def test_one_bad_file_stops_no_other(photographs, tmp_path, capsys):
    (photographs / "box/torn.jpg").write_bytes((photographs / "box/two.jpg").read_bytes()[:400])
    (photographs / "notes.txt").write_text("no photograph")
    with pytest.raises(MsrnError, match=r"3 of 4 photographs reconstructed .* 1 could not be read, first .*torn.jpg"):
        command.reconstruct(photographs, tmp_path / "out")
    lines = lines_of(tmp_path / "out")
    assert "torn.jpg is not a whole image" in lines["box/torn"]["error"] and "pose" in lines["box/one"]
    assert "left out" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are no UTF-8")
def test_names_of_any_kind_are_kept_and_known_again(photographs, tmp_path):
    content = (photographs / "box/two.jpg").read_bytes()
    names = [
        "my chair.jpg",
        "\N{CHAIR} Sessel.jpg",
        "new\nline.jpg",
        os.fsdecode(b"caf\xe9.jpg"),
        "-o.jpg",
        "{x}$y.jpg",
    ]
    for name in names:
        (tmp_path / "odd").mkdir(exist_ok=True)
        (tmp_path / "odd" / name).write_bytes(content)
    (tmp_path / "odd" / "folder.jpg").mkdir()
    assert command.reconstruct(tmp_path / "odd", tmp_path / "out").startswith(f"{len(names)} of {len(names)}")
    assert set(lines_of(tmp_path / "out")) == {name.removesuffix(".jpg") for name in names}
    assert command.reconstruct(tmp_path / "odd", tmp_path / "out").endswith(f"{len(names)} of them before")


def test_an_output_that_is_a_file_is_refused(photographs, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(MsrnError, match="a file; expected a folder"):
        command.reconstruct(photographs, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_an_interruption_in_the_middle_goes_on_where_it_was(photographs, tmp_path, monkeypatch):
    """Ctrl-C while the second photograph is written."""
    written, write = [], command.write_bytes

    def interrupted(path, content):
        written.append(path)
        if path.name == "two.png":
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(command, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command.reconstruct(photographs, tmp_path / "out")
    assert set(lines_of(tmp_path / "out")) == {"box/one"}
    monkeypatch.setattr(command, "write_bytes", write)
    assert "1 of them before" in command.reconstruct(photographs, tmp_path / "out")
    assert set(lines_of(tmp_path / "out")) == {"box/one", "box/two", "chair/one"}
    command.reconstruct(photographs, tmp_path / "whole")
    for mesh in (tmp_path / "whole").rglob("*.glb"):
        assert (tmp_path / "out" / mesh.relative_to(tmp_path / "whole")).read_bytes() == mesh.read_bytes()


def test_out_inside_the_photographs_is_no_photograph(photographs):
    out = photographs / "meshes"
    command.reconstruct(photographs, out)
    assert command.reconstruct(photographs, out).startswith("3 of 3")
    with pytest.raises(MsrnError, match="the folder of the photographs"):
        command.reconstruct(photographs, photographs)


def test_photographs_that_share_a_name_keep_theirs(photographs, tmp_path, scene):
    scene.save(photographs / "box/one.jpg")
    command.reconstruct(photographs, tmp_path / "out")
    assert {"box/one.jpg", "box/one.png", "box/two", "chair/one"} == set(lines_of(tmp_path / "out"))
    scene.save(photographs / "box/one.jpg.png")
    names = [one.name for one in command.wanted(photographs, tmp_path / "out")]
    assert len({*names}) == len(names) == 5


@pytest.mark.parametrize(
    ("given", "said"),
    [("none.jpg", "no such file or folder"), ("empty", "no photograph in it"), ("box/one.png:tiff", "unknown format")],
)
def test_mistakes_are_one_line(photographs, tmp_path, given, said):
    (photographs / "empty").mkdir()
    name, _, kind = given.partition(":")
    with pytest.raises(MsrnError, match=said) as error:
        command.reconstruct(photographs / name, tmp_path / "out", formats=(kind or "glb",))
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_an_unknown_run_is_named(photographs, tmp_path):
    with pytest.raises(MsrnError, match="msrn train FOLDER makes one"):
        command.reconstruct(photographs, tmp_path / "out", run="folder-seed0-0")


def test_a_mask_of_one_s_own_counts_whether_beside_or_in_the_photograph(tmp_path, scene):
    photo, mask = tmp_path / "scene.png", tmp_path / "scene-mask.png"
    inside = Image.new("L", scene.size)
    inside.paste(255, (30, 16, 66, 50))
    scene.save(photo), inside.save(mask)
    beside = read(photo, mask)
    cut = scene.convert("RGBA")
    cut.putalpha(inside)
    cut.save(tmp_path / "cut.png")
    within = read(tmp_path / "cut.png")
    np.testing.assert_array_equal(within.mask, beside.mask)
    np.testing.assert_array_equal(within.image[:, within.mask], beside.image[:, beside.mask])
    command.reconstruct(photo, tmp_path / "out", masks=mask)
    assert lines_of(tmp_path / "out")["scene"]["mask"] == "given"
    (tmp_path / "masks").mkdir()
    with pytest.raises(MsrnError, match="could not be read, first .* has no mask: expected"):
        command.reconstruct(photo, tmp_path / "other", masks=tmp_path / "masks")


VARIANTS = {
    "jpeg": lambda scene, path: scene.convert("RGB").save(path / "photo.jpg", quality=97),
    "rgba": lambda scene, path: scene.convert("RGBA").save(path / "photo.png"),
    "palette": lambda scene, path: scene.quantize(64).save(path / "photo.png"),
    "named heic": lambda scene, path: scene.save(path / "photo.heic", "JPEG", quality=97),
    "larger": lambda scene, path: scene.resize((1024, 1024), Image.Resampling.BICUBIC).save(path / "photo.png"),
}


def exif(scene: Image.Image, path: Path) -> None:
    data = Image.Exif()
    data[0x0112] = 6  # to be turned by a quarter, clockwise
    scene.transpose(Image.Transpose.ROTATE_90).save(path / "photo.jpg", quality=97, exif=data)


@pytest.fixture(scope="module")
def armchair():
    """The shipped network, the shipped armchair, and what it makes of it."""
    scene = Image.open(paths.ASSETS / "photographs" / "armchair.jpg").convert("RGB")
    maker = Reconstructor(packed.read(paths.ASSETS / "network.safetensors"))
    return maker, scene, maker([read(paths.ASSETS / "photographs" / "armchair.jpg")])[0]


@pytest.mark.parametrize("kind", [*VARIANTS, "exif"])
def test_the_same_photograph_in_another_file_is_the_same_mesh(kind, armchair, tmp_path):
    maker, scene, plain = armchair
    (exif if kind == "exif" else VARIANTS[kind])(scene, tmp_path)
    [other] = tmp_path.glob("photo.*")
    [same] = maker([read(other)])
    assert np.abs(plain.vertices - same.vertices).mean() < 0.01 and abs(plain.azimuth - same.azimuth) < 3
    assert (plain.mask != same.mask).mean() < 0.005


def test_sixteen_bits_are_the_eight_bits_of_the_same_picture(scene, tmp_path, network):
    grey = np.asarray(scene.convert("L"))
    Image.fromarray(grey).save(tmp_path / "eight.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    one, other = Reconstructor(network)([read(tmp_path / name) for name in ("eight.png", "sixteen.png")])
    np.testing.assert_allclose(one.vertices, other.vertices, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a process's peak")
def test_two_hundred_megapixels_take_little_memory(tmp_path, network):
    Image.new("RGB", (16_000, 12_500), (200, 190, 180)).save(tmp_path / "large.jpg", quality=60)
    packed.write(tmp_path / "net.safetensors", network)
    code = (
        "from pathlib import Path; from msrn.reconstruct import command, packed;"
        f"packed.SHIPPED = Path({str(tmp_path / 'net.safetensors')!r});"
        f"command.reconstruct(Path({str(tmp_path / 'large.jpg')!r}), Path({str(tmp_path / 'out')!r}));"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=paths.ROOT, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) <= 1.5 * 2**20  # KiB; of 1.5 GiB torch and what it loads are two thirds
    assert (tmp_path / "out/large.glb").is_file()


@pytest.mark.shipped
def test_the_photographs_that_are_shipped_pass_with_the_network_that_is(tmp_path):
    command.reconstruct(paths.ASSETS / "photographs", tmp_path)
    lines = lines_of(tmp_path)
    assert set(lines) == {"armchair", "seat", "bed"} and lines["bed"]["doubts"]
    for name, line in lines.items():
        assert 0 < line["confidence"] < 1 and (tmp_path / f"{name}.glb").stat().st_size > 5_000

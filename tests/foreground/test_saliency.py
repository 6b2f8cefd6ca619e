"""M_o against a slow preprocessing, what is kept and computed again, and files that are no U2-Net."""

import numpy as np
import pytest
from photographs import DOUBLE, onnx_file, photographs

from msrn.data.homeware import reader as homeware
from msrn.data.homeware.panoramas import read_panorama
from msrn.data.homeware.photographs import take_photograph
from msrn.data.homeware.reader import read_split
from msrn.data.homeware.wild import WildTruth, generator, panorama_paths
from msrn.errors import MsrnError
from msrn.foreground import saliency
from msrn.foreground.encoders import sha256_of
from msrn.foreground.saliency import Saliency, in_levels

IMAGES = photographs(5).images


def slow_resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear with pixel centres at halves, (H,W) -> (height, width)."""
    made = np.empty((height, width))
    for i in range(height):
        y = max((i + 0.5) * image.shape[0] / height - 0.5, 0)
        top, dy = int(y), y - int(y)
        upper, lower = image[top], image[min(top + 1, image.shape[0] - 1)]
        row = (1 - dy) * upper + dy * lower
        for j in range(width):
            x = max((j + 0.5) * image.shape[1] / width - 0.5, 0)
            left, dx = int(x), x - int(x)
            made[i, j] = (1 - dx) * row[left] + dx * row[min(left + 1, len(row) - 1)]
    return made


def slow_map(network: Saliency, image: np.ndarray) -> np.ndarray:
    """u2net_test.py: 320 x 320, over the largest value, ImageNet's mean and deviation, first output, stretched."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(network.file), providers=["CPUExecutionProvider"])
    enlarged = np.stack([slow_resize(channel.astype(float), 320, 320) for channel in image])
    enlarged /= enlarged.max()
    published = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
    given = np.stack([(channel - m) / d for channel, (m, d) in zip(enlarged, published, strict=True)])
    output = session.run(None, {session.get_inputs()[0].name: given[None].astype(np.float32)})[0][0, 0]
    stretched = (output - output.min()) / (output.max() - output.min())
    return slow_resize(stretched.astype(float), *image.shape[1:])


@pytest.fixture
def network(tmp_path) -> Saliency:
    """A network of U2-Net's shapes that takes the mean over channels."""
    return Saliency(str(onnx_file(tmp_path / "mean.onnx")))


@pytest.fixture(scope="module")
def small_u2net(tmp_path_factory):
    """U2-Net-p, a rectangle on noise, a grey and a black image, and their maps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSRN_CACHE", str(tmp_path_factory.mktemp("cache")))
        found = Saliency()
        images = np.stack([IMAGES[0], np.full_like(IMAGES[0], 128), np.zeros_like(IMAGES[0])])
        return found, images, np.stack([found._map(image) for image in images])


# ------------------------------------------------------------------------------------------------------------ the maps


def test_u2net_p_finds_the_object_as_published(small_u2net):
    network, images, maps = small_u2net
    assert network.name == "U2-Net-p" and maps.shape == (3, 37, 91)
    assert np.abs(maps[0] - slow_map(network, images[0])).max() < 1e-3
    inside = (images[0] == 255).any(0)
    assert maps[0][inside].mean() > 0.5 > 2 * maps[0][~inside].mean()


def test_grey_and_black_images_have_a_map_of_numbers(small_u2net):
    maps = small_u2net[2]
    assert np.isfinite(maps).all() and maps.min() >= 0 and maps.max() <= 1


def test_any_network_of_the_shapes_serves_under_its_name(network, tmp_path):
    assert network.name == f"mean ({network.identity[:8]})"
    soft = slow_map(network, IMAGES[0])
    assert np.abs(network._map(IMAGES[0]) - soft).max() < 1e-4
    found, sure = network.masks(IMAGES[:1], progress=False), np.abs(soft - 0.5) > 1e-4
    assert found.dtype == bool and found.shape == (1, 37, 91) and found.any() and not found.all()
    assert np.array_equal(found[0][sure], soft[sure] > 0.5)
    free = onnx_file(tmp_path / "free.onnx", ("batch", 3, "h", "w"), ("batch", 1, "h", "w"))
    assert np.array_equal(Saliency(str(free)).masks(IMAGES, False), network.masks(IMAGES, False))


def test_an_output_without_contrast_is_an_empty_mask(network):
    grey = np.full((2, 3, 20, 30), 77, np.uint8)
    grey[1] = 0
    assert not network.masks(grey, progress=False).any()


# ------------------------------------------------------------------------------------------------------ computed once


@pytest.fixture
def looks(monkeypatch) -> list[bytes]:
    """The images that the network looked at."""
    seen, real = [], Saliency._map

    def look(self, image):
        seen.append(image.tobytes())
        return real(self, image)

    monkeypatch.setattr(Saliency, "_map", look)
    return seen


def test_a_second_pass_computes_nothing(network, monkeypatch):
    first = network.masks(IMAGES, progress=False)
    monkeypatch.setattr(Saliency, "_map", lambda *a: pytest.fail("computed again"))
    again = Saliency(str(network.file))
    again.complete(IMAGES)
    assert np.array_equal(again.masks(IMAGES[::-1], progress=False), first[::-1])


def test_equal_contents_are_computed_once_and_others_apart(network, looks):
    wide = IMAGES[0].reshape(1, 3, 91, 37)  # the same bytes in another shape
    twice = np.concatenate([IMAGES, IMAGES[:2]])
    assert np.array_equal(network.masks(twice, progress=False)[5:], network.masks(IMAGES[:2], progress=False))
    assert len(looks) == 5
    assert network.masks(wide, progress=False).shape == (1, 91, 37) and len(looks) == 6


def test_networks_do_not_share_masks(network, tmp_path, looks):
    network.complete(IMAGES[:1], progress=False)
    Saliency(str(onnx_file(tmp_path / "max.onnx", operator="ReduceMax"))).complete(IMAGES[:1], progress=False)
    assert len(looks) == 2


def test_an_interruption_keeps_what_was_committed(network, looks, monkeypatch):
    monkeypatch.setattr(saliency, "IMAGES_AT_ONCE", 2)
    counted = Saliency._map

    def stop(self, image):
        if image.tobytes() == IMAGES[3].tobytes():
            raise KeyboardInterrupt
        return counted(self, image)

    with monkeypatch.context() as patch:
        patch.setattr(Saliency, "_map", stop)
        with pytest.raises(KeyboardInterrupt):
            network.complete(IMAGES, progress=False)
    assert len(network.cache.present(map(saliency.content_key, IMAGES))) == 2
    looks.clear()
    network.complete(IMAGES, progress=False)
    assert len(looks) == 3


def test_memory_maps_and_progress(network, tmp_path, capsys):
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert network.masks(mapped).shape == (5, 37, 91)
    assert "masks: 100%" in capsys.readouterr().err
    network.complete(mapped)
    assert not capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- files of other kinds


def refused(weights) -> str:
    with pytest.raises(MsrnError) as caught:
        Saliency(str(weights)).masks(IMAGES[:1], progress=False)
    assert "\n" not in str(caught.value) and str(weights) in str(caught.value)
    assert "weights.saliency" in str(caught.value)
    return str(caught.value)


def test_missing_files_and_folders_are_one_line(tmp_path):
    assert "no such file" in refused(tmp_path / "none.onnx")
    assert "no such file" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"a text\nof two lines", bytes(range(256)) * 20])
def test_a_file_that_is_not_onnx_is_one_line(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    assert "not U2-Net in ONNX" in refused(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("given", "made", "operator"),
    [
        ((1, 3, 224, 224), (1, 1, 224, 224), "ReduceMean"),
        ((1, 1, 320, 320), (1, 1, 320, 320), "ReduceMean"),
        ((2, 3, 320, 320), (2, 1, 320, 320), "ReduceMean"),
        ((1, 3, 320), (1, 1, 320), "ReduceMean"),
        ((1, 3, 320, 320), (1, 1, 320, 320), "NoSuchOperator"),
    ],
)
def test_an_onnx_of_other_shapes_is_one_line(tmp_path, given, made, operator):
    assert "not U2-Net in ONNX" in refused(onnx_file(tmp_path / "net.onnx", given, made, operator))


@pytest.mark.parametrize(
    ("how", "said"), [({"kind": DOUBLE}, "data type"), ({"operator": "ReduceLogSum"}, "not finite")]
)
def test_what_a_network_cannot_compute_is_one_line(tmp_path, how, said):
    """Double precision in, and the logarithm of negative numbers out."""
    dark = np.full((1, 3, 20, 30), 10, np.uint8)
    dark[:, :, :4] = 255
    with pytest.raises(MsrnError, match=f"not U2-Net in ONNX .*{said}") as caught:
        Saliency(str(onnx_file(tmp_path / "net.onnx", **how))).maps(dark, progress=False)
    assert "\n" not in str(caught.value)


def test_a_package_without_the_network_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(saliency, "SMALL", tmp_path / "u2netp.onnx")
    with pytest.raises(MsrnError, match="u2netp.onnx is missing; it is part of the package") as caught:
        Saliency()
    assert "\n" not in str(caught.value)


def test_the_networks_licence_and_credits_come_with_it():
    assert "Apache License" in homeware.ASSETS.joinpath("U2NETP_LICENSE.txt").read_text()
    assert sha256_of(saliency.SMALL) in homeware.ASSETS.joinpath("U2NETP_CREDITS.md").read_text()


# ---------------------------------------------------------------------------------- the maps that come with the package


def first_photograph() -> np.ndarray:
    """The first one of homeware-wild's validation split, drawn by itself."""
    rows = [row for row in read_split(homeware.ASSETS / "homeware_split.csv") if row.split == "val"]
    truth, chosen = WildTruth(homeware.ASSETS / "homeware.npz"), rows[0]
    others = [truth.mesh(row.object_id) for row in rows if row.category != chosen.category]
    places = [read_panorama(path) for path in panorama_paths(homeware.ASSETS)["val"]]
    return take_photograph(truth.mesh(chosen.object_id), others, places, generator(chosen.object_id, 0))[0]


def test_maps_of_homeware_wild_are_the_networks(monkeypatch):
    network, image = Saliency(), first_photograph()
    own = in_levels(np.rint(255 * network._map(image)).astype(np.uint8))
    monkeypatch.setattr(Saliency, "_map", lambda *a: pytest.fail("looked, though the map came with the package"))
    kept = in_levels(network.maps(image[None], progress=False)[0])
    assert np.mean(own != kept) < 0.01  # two pixels a byte; another processor may round the other way
    assert len(network._shipped) == 6176


def test_levels_keep_the_side_of_one_half():
    soft = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    back = saliency._of_levels(in_levels(soft)).reshape(soft.shape)
    assert np.array_equal(back >= 128, soft >= 128) and np.abs(back.astype(int) - soft).max() <= 9

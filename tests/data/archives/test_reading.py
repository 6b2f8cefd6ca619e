"""Hostile files: each is refused in one line, and nothing outside of the root is read."""

import os
import zlib

import numpy as np
import pytest
from PIL import Image

from msrn.data.archives import reading
from msrn.errors import MsrnError


def refusal(call, *given):
    with pytest.raises(MsrnError) as caught:
        call(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    (folder / "inside").mkdir(parents=True)
    (folder / "inside" / "real.txt").write_text("inside")
    (tmp_path / "secret.txt").write_text("outside")
    return folder.resolve()


def test_links_may_stay_in_the_root_and_not_leave_it(root, tmp_path):
    (root / "within.txt").symlink_to(root / "inside" / "real.txt")
    assert reading.read_bytes(root, root / "within.txt") == b"inside"
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "folder").symlink_to(tmp_path)
    (root / "twice.txt").symlink_to(root / "out.txt")
    for name in ("out.txt", "folder/secret.txt", "inside/../../secret.txt", "twice.txt"):
        assert "links may only lead to files of the archive" in refusal(reading.read_bytes, root, f"{root}/{name}")


def test_a_folder_whose_name_begins_like_the_roots_is_outside(root, tmp_path):
    (tmp_path / "root-other").mkdir()
    (tmp_path / "root-other" / "x.txt").write_text("outside")
    (root / "x.txt").symlink_to(tmp_path / "root-other" / "x.txt")
    assert "leads out" in refusal(reading.read_bytes, root, root / "x.txt")


def test_what_cannot_be_read_says_why(root):
    assert "is missing" in refusal(reading.read_bytes, root, root / "nothing")
    assert "cannot be read (Is a directory)" in refusal(reading.read_bytes, root, root / "inside")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_not_waited_for(root):
    os.mkfifo(root / "a.png")
    for read in (reading.read_bytes, reading.picture_size):
        assert "a.png cannot be read (it is not a file but a pipe or a device)" in refusal(read, root, root / "a.png")


def test_a_file_of_another_kind_is_refused_in_the_same_words_each_time(root):
    (root / "a.png").write_bytes(b"GIF89a" + bytes(50))
    said = f"{root / 'a.png'} is not a whole PNG or JPEG (it is of another kind)"
    assert refusal(reading.read_picture, root, root / "a.png", "RGB") == said
    assert refusal(reading.picture_size, root, root / "a.png") == said.replace(" whole", "")


def test_a_file_without_permission_says_so(root, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reading, "open", denied, raising=False)  # to the superuser no file is denied
    said = refusal(reading.read_bytes, root, root / "inside" / "real.txt")
    assert "real.txt may not be read: change its permissions" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n \n\n", "is empty"),
        ("one\ntwo\none\n", "names 'one' twice"),
        ("../../etc\n", "expected the plain name"),
        ("a/b\n", "expected the plain name"),
        ("..\n", "expected the plain name"),
        ("a\\b\n", "expected the plain name"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_list_files_that_are_refused(root, text, said):
    (root / "l.lst").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert said in refusal(reading.read_names, root, root / "l.lst")


def test_list_files_of_windows_and_of_other_scripts_are_read(root):
    (root / "l.lst").write_bytes("\ufeffein stuhl\r\nстул\r\n\r\n椅子".encode())
    assert reading.read_names(root, root / "l.lst") == ["ein stuhl", "стул", "椅子"]


def save(path, mode, size=(8, 4), **options):
    Image.effect_noise(size, 90).convert(mode).save(path, **options)
    return path


def test_pictures_of_every_mode_are_read(root):
    for mode in ("RGB", "L", "P", "1"):
        assert reading.read_picture(root, save(root / "a.png", mode), "RGB").shape == (4, 8, 3)
        assert reading.read_picture(root, root / "a.png", "L", (8, 4)).shape == (4, 8)
    assert reading.read_picture(root, save(root / "a.JPEG", "L", format="JPEG"), "RGB").shape == (4, 8, 3)


def test_transparent_parts_are_white(root):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2] = 10, 20, 30, 255
    Image.fromarray(pixels).save(root / "a.png")
    read = reading.read_picture(root, root / "a.png", "RGB")
    np.testing.assert_array_equal(read[:2], np.broadcast_to([10, 20, 30], (2, 4, 3)))
    assert (read[2:] == 255).all()


def test_pictures_that_are_refused(root):
    path = save(root / "a.png", "RGB", (64, 64))
    assert "is 64 x 64 pixels: expected 32 x 32" in refusal(reading.read_picture, root, path, "RGB", (32, 32))
    content = path.read_bytes()
    for cut in (20, 200, len(content) // 2):
        path.write_bytes(content[:cut])
        assert "not a whole PNG or JPEG" in refusal(reading.read_picture, root, path, "RGB")
    path.write_bytes(b"")
    assert "is empty" in refusal(reading.read_picture, root, path, "RGB")
    path.write_bytes(b"GIF89a" + bytes(100))
    assert "not a whole PNG or JPEG" in refusal(reading.read_picture, root, path, "RGB")


def test_a_picture_of_a_million_by_a_million_pixels_is_refused(root):
    content = bytearray(save(root / "a.png", "RGB").read_bytes())
    content[16:24] = (10**6).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (root / "a.png").write_bytes(content)
    assert "not a whole PNG or JPEG" in refusal(reading.read_picture, root, root / "a.png", "RGB")


def test_whatever_pillow_raises_is_one_line(root, monkeypatch):
    """Fuzzed palettes made it raise these; of an assertion nothing is said."""
    path = save(root / "a.png", "P")
    for error in (IndexError("index out of range"), AssertionError(), RecursionError("too deep")):

        def convert(*_, error=error):
            raise error

        monkeypatch.setattr(Image.Image, "convert", convert)
        assert "a.png is not a whole PNG or JPEG (" in refusal(reading.read_picture, root, path, "RGB")


@pytest.mark.parametrize("name", ["a\0b.png", "a\ud800b.png", "a\0b/c.png", "a\ud800/c.png"])
def test_names_that_no_file_can_have_are_one_line(root, name):
    assert "cannot be the name of a file" in refusal(reading.read_bytes, root, f"{root}/{name}").encode().decode()


def test_links_that_were_changed_are_seen_when_the_root_is_opened_again(root, tmp_path):
    link = root / "folder"
    (root / "real.txt").write_text("outside")
    for _ in range(2):
        link.symlink_to(tmp_path)
        assert "leads out" in refusal(reading.read_bytes, reading.open_root("x", root), link / "secret.txt")
        link.unlink()
        link.symlink_to(root / "inside")
        assert reading.read_bytes(reading.open_root("x", root), link / "real.txt") == b"inside"
        link.unlink()


def test_a_place_that_may_not_be_asked_about_is_one_line(root, deny):
    link = root / "loop"
    link.symlink_to(link)
    assert reading.exists(root / "inside" / "real.txt") and reading.is_folder(root / "inside")
    assert not reading.is_folder(root / "inside" / "real.txt") and not reading.is_folder(root / "none")
    assert not reading.exists(root / "inside" / "real.txt" / "x") and not reading.exists(f"{root}/a\0b")
    assert "loop cannot be read (Too many levels" in refusal(reading.exists, link)
    deny(root)
    for ask in (reading.exists, reading.is_folder, reading.listing, reading.read_names):
        given = (root, root / "inside") if ask is reading.read_names else (root / "inside",)
        assert "inside may not be read: change its permissions, or those of the folders" in refusal(ask, *given)
    assert "may not be read" in refusal(reading.open_root, "x", root / "inside")


def test_a_wrong_root_says_what_was_wanted_and_found(tmp_path):
    assert "give its folder as data_root" in refusal(reading.open_root, "x", None)
    assert "found nothing" in refusal(reading.open_root, "x", tmp_path / "none")
    (tmp_path / "file").write_text("")
    assert "found a file" in refusal(reading.open_root, "x", tmp_path / "file")

"""What holds for any setting, name and folder: one line or the right value, and no file that is not accounted for."""

import json
import re
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from msrn.data.photo_folder.layout import survey
from msrn.data.photo_folder.splits import SPLITS, split_files
from msrn.errors import MsrnError, printable, quoted
from msrn.profiles import make_settings, resolve
from msrn.settings import Settings
from msrn.store.plain_values import plain_value
from msrn.store.seal import Damaged, sealed, unsealed

LONG = 300  # characters of a line that a person still reads
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

TEXTS = st.text(max_size=40) | st.from_regex(r"[-+]?[0-9_.:xeE]{1,12}", fullmatch=True)
SCALARS = TEXTS | st.integers() | st.floats() | st.booleans() | st.none()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=8)


@QUICK
@given(st.sampled_from(list(Settings.model_fields)), VALUES)
def test_a_setting_is_taken_as_it_is_meant_or_refused_in_a_line(name, value):
    try:
        made = make_settings({name: value})
    except MsrnError as error:
        assert len(str(error)) <= LONG and len(str(error).splitlines()) == 1 and name in str(error)
        return
    numbers = [part for part in (getattr(made, name), value) if type(part) in (int, float)]
    assert all(abs(number) <= 10**9 for number in numbers)
    if type(value) in (int, float) and numbers:
        assert numbers[0] == value
    assert make_settings(made.model_dump(mode="json")) == made


@QUICK
@given(TEXTS)
def test_a_text_that_is_a_number_is_decimal(text):
    try:
        value = plain_value(text)
    except ValueError:
        return
    if type(value) in (int, float) and not re.search("inf|nan", text, re.IGNORECASE):
        assert value == float(text)
    if type(value) is int:
        assert re.fullmatch(r"[-+]?(0|[1-9][0-9]*)", text.partition("#")[0].strip())


@QUICK
@given(VALUES)
def test_seeds_are_whole_numbers_or_refused_in_a_line(value):
    assume(value is not None)
    try:
        seeds = resolve("smoke", seeds=value, device="cpu").seeds
    except MsrnError as error:
        assert len(str(error)) <= LONG and str(error).startswith("seeds = ")
        return
    assert seeds and all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds) and len(set(seeds)) == len(seeds)


ANY = st.text(st.characters(exclude_categories=[]), max_size=60)  # halves of characters among them


@QUICK
@given(ANY)
def test_every_text_is_a_line_that_can_be_written(text):
    line = printable(text)
    line.encode()
    assert len(line.splitlines()) <= 1 or not text.strip()
    assert printable(line) == line
    assert len(quoted(text)) <= 60 and str(MsrnError(text)) == line


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@QUICK
@given(st.dictionaries(st.text(max_size=8), PLAIN, min_size=1, max_size=5), st.data())
def test_no_flipped_bit_of_any_mapping_is_believed(content, data):
    assume("digest" not in content)
    written = json.dumps(sealed(content)).encode()
    assert unsealed(json.loads(written)) == content
    flipped = bytearray(written)
    flipped[data.draw(st.integers(0, len(written) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert unsealed(json.loads(flipped.decode())) == content
    except (ValueError, Damaged):
        pass


FOLDERS = ["chair", "Stühle", "$1", "椅子", "train", "val", "valid", "Test", "masks", "Masks", "a b", "\udcfc", "day1"]
NAMES = ["a.jpg", "b.PNG", "c.cr2", "d", "e.jxl", "f.txt", ".hidden", "Thumbs.db", "g\udce9.jpg", "h.tar.gz", "i.webp"]
PLACES = st.tuples(st.lists(st.sampled_from(FOLDERS), max_size=3), st.sampled_from(NAMES))
PATHS = st.lists(PLACES, min_size=1, max_size=14, unique_by=str)


@settings(QUICK, max_examples=80)
@given(PATHS)
def test_every_file_of_any_folder_is_read_or_counted(paths):
    root = Path(tempfile.mkdtemp())
    try:
        content = Image.new("RGB", (3, 2)).tobytes()
        for folders, name in paths:
            folder = root.joinpath(*folders)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        try:
            layout = survey(root)
        except MsrnError as error:
            assert len(str(error).splitlines()) == 1
            return
        shown = [name for _, name in paths if not name.startswith(".") and name != "Thumbs.db"]
        unread = sum(int(count) for count in re.findall(r"(?:^|; )(\d+) in ", layout.unread))
        read = [*layout.photographs, *(photo for photo in layout.photographs if photo.mask)]
        more = re.search(r"and (\d+) more$", layout.unread)  # folders that are not named
        accounted = len(read) + len(layout.left_out) + unread
        assert accounted == len(shown) or (more and accounted + int(more[1]) <= len(shown))
        assert {photo.split for photo in layout.photographs} <= {*SPLITS, ""} and layout.categories == sorted(
            set(layout.categories), key=layout.categories.index
        )
        assert all(photo.category in layout.categories for photo in layout.photographs)
    finally:
        shutil.rmtree(root)


@QUICK
@given(st.dictionaries(st.sampled_from(FOLDERS), st.integers(0, 30), min_size=1))
@example({"a b": 3})  # all of which would be for testing
def test_splits_share_out_all_photographs(counts):
    of = {category: [Path(f"{category}/{number}.jpg") for number in range(count)] for category, count in counts.items()}
    shared = split_files(of)
    for category, paths in of.items():
        parts = [path for split in SPLITS for path in shared[split][category]]
        assert sorted(parts) == sorted(paths) and (not paths or shared["train"][category])
    if max(counts.values()) >= 3:
        assert all(any(shared[split].values()) for split in SPLITS)

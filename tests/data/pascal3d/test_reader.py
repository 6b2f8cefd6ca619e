import shutil

import numpy as np
import pytest
from matlab73 import write_mat
from pascal3d_archive import (
    FRONT,
    HEIGHT,
    WIDTH,
    annotated,
    cad,
    packed,
    project,
    viewpoint,
    write_archive,
    write_photograph,
)
from PIL import Image
from scipy.io import loadmat

from msrn.data import WITHOUT_VAL, check, open_collection
from msrn.data.pascal3d import reader as pascal3d
from msrn.data.pascal3d.annotations import SETS
from msrn.data.pascal3d.reader import CLASSES
from msrn.errors import MsrnError


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("pascal") / "PASCAL3D+_release1.1"
    write_archive(root, CLASSES, 4)
    return root


@pytest.fixture
def copy(archive, tmp_path):
    forget_models()
    return shutil.copytree(archive, tmp_path / "copy")


def forget_models():
    for kept in (pascal3d._truth, pascal3d._cad):
        kept.cache_clear()


def refusal(root, split="train", name="pascal3d"):
    with pytest.raises(MsrnError) as caught:
        open_collection(name, split, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("part", ["..", "", "Annotations", "CAD", "CAD/aeroplane"])
def test_folders_without_permission_are_one_line(cache, archive, deny, part, listed):
    deny((archive / part).resolve(), listed)
    assert "may not be read: change its permissions" in refusal(archive)


def test_the_rule_of_cmr_makes_the_splits(cache, archive, capsys):
    train, test = (open_collection("pascal3d", split, archive) for split in ("train", "test"))
    assert train.categories == CLASSES == test.categories
    assert np.bincount(train.category).tolist() == [6] * 12 and np.bincount(test.category).tolist() == [2] * 12
    assert "aeroplane 6, bicycle 6" in capsys.readouterr().err.replace("\n", " ")
    stems = {name.split("/")[1].rsplit("_", 1)[0] for name in test.object_id}
    assert stems == set((archive / SETS / "val.txt").read_text().split())
    assert not set(train.object_id) & set(test.object_id)
    assert test.masks is None and (test.evaluation_index == np.arange(24)).all()


@pytest.mark.parametrize("name", WITHOUT_VAL)
def test_there_is_no_val(cache, archive, name):
    assert refusal(archive, "val", name).startswith(f"{name} has no val")


def test_cars_alone(cache, archive):
    test = open_collection("pascal3d-car", "test", archive)
    assert test.categories == ("car",) and test.name == "pascal3d-car" and len(test) == 2
    whole = open_collection("pascal3d", "test", archive)
    np.testing.assert_array_equal(test.images, whole.images[whole.category == CLASSES.index("car")])


def test_objects_are_left_out_by_the_rule_and_keep_their_number(cache, copy):
    """Difficult, truncated and occluded ones, other classes, an empty viewpoint and one of distance 0."""
    coarse = {**viewpoint(5), "distance": 0.0}
    entries = [
        annotated("car", 1, 1, viewpoint(3), difficult=1),
        annotated("car", 1, 1, viewpoint(3), truncated=1),
        annotated("car", 1, 1, viewpoint(3), occluded=1),
        annotated("bus", 1, 1, viewpoint(3)),
        annotated("car", 1, 1, None),
        annotated("car", 1, 1, coarse),
        annotated("car", 1, 2, viewpoint(4)),
    ]
    write_photograph(copy, "car_imagenet", "n99_many", entries)
    found = open_collection("pascal3d-car", "train", copy)
    assert [name for name in found.object_id if "n99" in name] == ["car/n99_many_6"]


def test_poses_and_crops_are_those_of_the_annotation(cache, archive):
    test = open_collection("pascal3d", "test", archive)
    for row, object_id in enumerate(test.object_id):
        category, name = object_id.split("/")
        stem = name.rsplit("_", 1)[0]
        record = loadmat(archive / "Annotations" / f"{category}_pascal" / f"{stem}.mat", simplify_cells=True)["record"]
        view, box = record["objects"]["viewpoint"], record["objects"]["bbox"]
        pose = test.true_pose()[row]
        np.testing.assert_allclose(pose, [view["azimuth"], view["elevation"], -view["theta"]], atol=1e-3)
        red = test.images[row, 0].astype(int) - test.images[row, 1] > 70
        rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
        scale = 64 / (1.2 * max(box[2] - box[0] + 1, box[3] - box[1] + 1))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(64 / 1.2, abs=2.5)
        assert np.ptp(columns) + 1 == pytest.approx((box[2] - box[0]) * scale, abs=2.5)
        assert (rows[0] + rows[-1] + 1) / 2 == pytest.approx(32, abs=1.2)  # the box lies in the middle


def test_true_masks_are_those_of_the_model(cache, archive):
    """The photographs show it in red before green; training does not see them."""
    test = open_collection("pascal3d", "test", archive)
    assert test.masks is None and test.has_true_masks
    for image, mask in zip(test.images.astype(int), test.true_masks(), strict=True):
        red = image[0] - image[1] > 50
        assert (red & mask).sum() / (red | mask).sum() > 0.9
    assert 0.1 < test.true_masks().mean() < 0.7


def test_points_appear_where_the_toolbox_puts_them(archive):
    """Our camera against the fixture's, which is written from the annotation's definition; pixels from 0 and from 1."""
    thing = next(pascal3d.read_things(archive, "test", ("car",)))
    stem = thing.object_id.split("/")[1].rsplit("_", 1)[0]
    record = loadmat(archive / "Annotations" / "car_pascal" / f"{stem}.mat", simplify_cells=True)["record"]
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3))
    expected = project(points, record["objects"]["viewpoint"]) - 0.5
    np.testing.assert_allclose(pascal3d.points_in_photograph(thing, points)[:, :2], expected, atol=1e-8)
    x0, y0, x1, y1 = record["objects"]["bbox"]
    assert thing.box == (x0 - 1, y0 - 1, x1, y1)


@pytest.mark.parametrize("form", ["off", "mat"])
def test_the_truth_is_the_model_of_the_index_counted_from_1(cache, copy, form):
    if form == "mat":
        for file in copy.glob("CAD/*/*.off"):
            file.unlink()
    test = open_collection("pascal3d", "test", copy)
    place = CLASSES.index("car")
    for row in np.flatnonzero(test.category == place):
        truth = test.ground_truth(test.object_id[row])
        vertices = cad(10 * place + 2)[0]  # val photographs have odd numbers, and those the second model
        expected = vertices @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
        np.testing.assert_allclose(truth.vertices, expected, atol=1e-5)
        assert truth.faces.min() == 0 and truth.faces.max() == 23
    boxes = vertices @ FRONT.T  # back to the boxes' own frame, whose front is +x and up y
    np.testing.assert_allclose(truth.vertices[:, 2], boxes[:, 0], atol=1e-5)
    np.testing.assert_allclose(truth.vertices[:, 1], boxes[:, 1], atol=1e-5)


def test_files_of_matlab_7_3_are_read_alike(cache, copy, tmp_path):
    """All annotations and models, which are then read from CLASS.mat."""
    write_archive(tmp_path / "seven", CLASSES, 4, write_mat)
    for file in tmp_path.glob("*/CAD/*/*.off"):
        file.unlink()
    for split in ("train", "test"):
        five, seven = (open_collection("pascal3d", split, root) for root in (copy, tmp_path / "seven"))
        assert seven.fingerprint == five.fingerprint and len(seven)
        np.testing.assert_array_equal(seven.true_pose(), five.true_pose())
    for object_id in seven.object_id:
        one, other = (collection.ground_truth(object_id) for collection in (five, seven))
        np.testing.assert_allclose(other.vertices, one.vertices, atol=1e-5)
        np.testing.assert_array_equal(other.faces, one.faces)


def test_check_proves_the_viewpoints(cache, archive, copy):
    lines = list(check.check("pascal3d", archive))
    assert any(line.startswith("holds: models, seen from their viewpoints") for line in lines)
    for path in copy.glob("CAD/*/*.off"):  # as if y were up
        head, *rest = path.read_text().splitlines()
        vertices = [
            " ".join(line.split()[k] for k in (0, 2, 1)) if len(line.split()) == 3 else line for line in rest[1:]
        ]
        path.write_text("\n".join([head, rest[0], *vertices]) + "\n")
    with pytest.raises(MsrnError, match="1 conventions that fail"):
        list(check.check("pascal3d", copy))


def test_wrong_roots_and_half_archives(cache, archive, copy):
    said = refusal(archive.parent)
    assert "looked for the folders Annotations, Images and CAD" in said and f"did you mean {archive}?" in said
    shutil.rmtree(copy / "Annotations" / "sofa_imagenet")
    assert "sofa_imagenet missing" in refusal(copy)
    assert len(open_collection("pascal3d-car", "test", copy)) == 2
    (copy / SETS / "val.txt").write_text("")
    assert "val.txt is empty" in refusal(copy, "test", "pascal3d-car")
    (copy / SETS / "val.txt").write_text((copy / SETS / "train.txt").read_text())
    assert "share photographs" in refusal(copy, "test", "pascal3d-car")
    (copy / SETS / "val.txt").unlink()
    assert "val.txt is missing" in refusal(copy, "test", "pascal3d-car")


def first(folder):
    return sorted(folder.iterdir())[0]


def test_torn_files_are_named(cache, copy):
    path = first(copy / "Annotations" / "car_imagenet")
    content = path.read_bytes()
    for torn in (b"", content[:60], content[:200], b"MATLAB 5.0 MAT-file" + bytes(200)):
        path.write_bytes(torn)
        assert f"{path} " in refusal(copy, "train", "pascal3d-car")
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(600))
    assert f"{path} is not a whole MATLAB 7.3 file" in refusal(copy, "train", "pascal3d-car")
    path.write_bytes(content)
    picture = first(copy / "Images" / "car_imagenet")
    picture.write_bytes(picture.read_bytes()[:500])
    assert "not a whole PNG or JPEG" in refusal(copy, "train", "pascal3d-car")


def test_torn_annotations_are_named_together_up_to_twenty(cache, copy):
    """Reading all of them takes minutes: one at a time would cost an hour."""
    folder = copy / "Annotations" / "car_imagenet"
    path = first(folder)
    for number in range(25):
        (folder / f"n98_{number:02d}.mat").write_bytes((b"", b"torn", path.read_bytes()[:300])[number % 3])
    said = refusal(copy, "train", "pascal3d-car")
    assert "pascal3d-car train: 25 annotations cannot be read: " in said and "; and 22 more; put whole files" in said
    assert "n98_02.mat" in said and "n98_03.mat" not in said
    lines = []
    with pytest.raises(MsrnError, match="25 bad files"):
        for line in check.check("pascal3d", copy):
            lines.append(line)
    assert "files: all read, 25 missing or unreadable" in lines and "  and 5 more" in lines
    assert sum("n98_" in line for line in lines) == 20
    assert any(line.split() == ["train", "car", "6", "–"] for line in lines)  # the others are counted


def test_hidden_files_that_macos_leaves_are_passed_over(cache, copy):
    path = first(copy / "Annotations" / "car_imagenet")
    path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07" + bytes(100))
    assert len(open_collection("pascal3d-car", "train", copy)) == 6


def test_a_photograph_that_cannot_be_used_costs_itself_alone(cache, copy, capsys):
    """It is missing, or its box is not in it."""
    whole = open_collection("pascal3d-car", "train", copy)
    bad, row = first(copy / "Images" / "car_imagenet"), whole.object_id.tolist().index("car/n05_0_0")
    kept = np.arange(len(whole)) != row
    for spoil, said in (
        (bad.unlink, f"Images/car_imagenet/{bad.name} is missing"),
        (lambda: Image.new("RGB", (20, 20)).save(bad, format="JPEG"), "car/n05_0_0: its box is ["),
    ):
        spoil()
        shutil.rmtree(cache)
        capsys.readouterr()
        for _ in range(2):  # packed, and then opened as it was packed
            found = open_collection("pascal3d-car", "train", copy)
            text = capsys.readouterr().err
            assert f"warning: 1 of {len(whole)} images of pascal3d-car train are left out: {said}" in text
        assert found.object_id.tolist() == whole.object_id[kept].tolist()
        np.testing.assert_array_equal(found.images, whole.images[kept])
        np.testing.assert_array_equal(found.true_pose(), whole.true_pose()[kept])
        lines = list(check.check("pascal3d", copy))
        assert "images left out of the packing: 1" in lines and any(line.startswith(f"  {said}") for line in lines)
    shutil.rmtree(copy / "Images" / "car_imagenet")
    shutil.rmtree(cache)
    assert "4 of 6 images cannot be used" in refusal(copy, "train", "pascal3d-car")


def test_a_photograph_that_was_missing_is_packed_when_it_is_there(cache, copy, capsys):
    whole = open_collection("pascal3d-car", "train", copy)
    path = first(copy / "Images" / "car_imagenet")
    content = path.read_bytes()
    shutil.rmtree(cache)
    path.unlink()
    assert len(open_collection("pascal3d-car", "train", copy)) == len(whole) - 1
    path.write_bytes(content)
    capsys.readouterr()
    for _ in range(2):
        found = open_collection("pascal3d-car", "train", copy)
        assert found.fingerprint == whole.fingerprint and "left out" not in capsys.readouterr().err


BAD = {  # what of an annotation -> the line
    "cad_index 9": ({"cad_index": 9.0}, "cad_index is 9: expected a whole number from 1 to 2"),
    "cad_index 0": ({"cad_index": 0.0}, "cad_index is 0: expected a whole number from 1 to 2"),
    "cad_index -1": ({"cad_index": -1.0}, "cad_index is -1: expected a whole number from 1 to 2"),
    "cad_index 1.5": ({"cad_index": 1.5}, "cad_index is 1.5: expected a whole number from 1 to 2"),
    "two indices": ({"cad_index": np.array([1.0, 2.0])}, "cad_index has 2 values: expected one number"),
    "half a box": ({"bbox": np.array([1.0, 2, 3])}, "bbox is [1.0, 2.0, 3.0]: expected four numbers"),
    "two azimuths": (
        {"viewpoint": viewpoint(3) | {"azimuth": np.array([1.0, 2.0])}},
        "azimuth has 2 values: expected one number",
    ),
}


@pytest.mark.parametrize(("form", "save"), [("off", packed), ("mat", write_mat)])
@pytest.mark.parametrize("name", BAD)
def test_an_annotation_that_cannot_be_costs_its_object_alone(cache, copy, capsys, name, form, save):
    whole = open_collection("pascal3d-car", "train", copy)
    change, said = BAD[name]
    entry, seen = annotated("car", 1, 1, viewpoint(3))
    write_photograph(copy, "car_imagenet", "n99_bad", [(entry | change, seen)], save)
    if form == "mat":
        shutil.rmtree(copy / "CAD" / "car")
    capsys.readouterr()
    found = open_collection("pascal3d-car", "train", copy)
    assert f"1 of {len(whole) + 1} images of pascal3d-car train are left out: car/n99_bad_0: {said}" in (
        capsys.readouterr().err
    )
    assert found.object_id.tolist() == whole.object_id.tolist()
    np.testing.assert_array_equal(found.images, whole.images)
    lines = list(check.check("pascal3d", copy))
    place = lines.index("images left out of the packing: 1")
    assert lines[place + 1].startswith(f"  car/n99_bad_0: {said}")


def test_check_names_what_no_split_holds(cache, copy):
    """47 of 48 is said."""
    assert not any("in no split" in line for line in check.check("pascal3d", copy))
    lost = first(copy / "Annotations" / "car_pascal")
    lost.unlink()
    names = (copy / SETS / "val.txt").read_text().split()
    (copy / SETS / "val.txt").write_text("\n".join(names[:-1]) + "\n")
    (copy / "Images" / "tram_pascal").mkdir()
    (copy / "Images" / "car_imagenet" / "._n05_0.JPEG").write_bytes(b"macOS")
    lines = list(check.check("pascal3d", copy))
    place = lines.index("there and in no split: 3")
    assert lines[place + 1 : place + 4] == [
        "  Images/tram_pascal is of none of the 12 classes",
        f"  Images/car_pascal/{lost.stem}.jpg has no annotation",
        f"  Annotations/tvmonitor_pascal/{names[-1]}.mat is of a photograph in neither train.txt nor val.txt",
    ]


@pytest.mark.parametrize("part", ["PASCAL", "PASCAL/VOCdevkit", "PASCAL/VOCdevkit/VOC2012", "Images", "Annotations"])
def test_a_link_to_a_folder_elsewhere_is_one_line_with_advice(cache, copy, tmp_path, part):
    """VOC is often on the disk already. A link that stays in the archive is followed."""
    place = copy / part
    shutil.move(place, tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    said = f"{place} leads out of {copy}, to {tmp_path / 'elsewhere'}: links may only lead to files of the archive; "
    said += "put the files themselves there (cp -rL), or mount their folder there (mount --bind)"
    assert said in refusal(copy)
    lines = []
    with pytest.raises(MsrnError) as caught:
        for line in check.check("pascal3d", copy):
            lines.append(line)
    assert sum(said in line for line in [*lines, str(caught.value)]) == 1
    place.unlink()
    shutil.move(tmp_path / "elsewhere", copy / "inside")
    place.symlink_to(copy / "inside")
    assert len(open_collection("pascal3d-car", "train", copy)) == 6


EMPTY = np.zeros((0, 0))


@pytest.mark.parametrize("save", [packed, write_mat])
def test_an_object_with_an_empty_field_costs_itself_alone(cache, copy, capsys, save):
    """Many of ImageNet's have a coarse viewpoint alone; an empty flag is not set."""
    fields = ("azimuth", "elevation", "theta", "distance", "focal", "px", "py", "viewport")
    views = [{**viewpoint(3), name: value} for name in fields for value in (EMPTY, np.nan, np.inf)]
    views += [{name: value for name, value in viewpoint(3).items() if name != "azimuth"}]
    for number, view in enumerate(views):
        entry = (annotated("car", 1, 1, viewpoint(3))[0] | {"viewpoint": view}, cad(1)[0][:, :2])
        write_photograph(copy, "car_imagenet", f"n99_view{number}", [entry], save)
    others = {"truncated": EMPTY, "occluded": EMPTY, "difficult": EMPTY}, {"cad_index": EMPTY}, {"bbox": EMPTY}
    others += {"cad_index": np.nan}, {"bbox": np.array([1, 2, np.nan, 30])}
    for number, change in enumerate(others):
        entry, seen = annotated("car", 1, 1, viewpoint(3))
        write_photograph(copy, "car_imagenet", f"n99_other{number}", [(entry | change, seen)], save)
    found = open_collection("pascal3d-car", "train", copy)
    assert [name for name in found.object_id if "n99" in name] == ["car/n99_other0_0"] and len(found) == 7
    said = f"car 7; {len(views) + 4} without a fine viewpoint are passed over"
    assert said in capsys.readouterr().err
    assert f"; {len(views) + 4} objects without a fine viewpoint are passed over" in next(check.check("pascal3d", copy))


def test_a_claim_of_4_gb_in_an_annotation_is_refused(cache, copy):
    """The size of the matrix element in the file's header."""
    path = first(copy / "Annotations" / "car_imagenet")
    content = bytearray(path.read_bytes()[:128]) + b"\x0e\x00\x00\x00\xf0\xff\xff\xff" + bytes(600)
    path.write_bytes(content)
    assert f"{path} " in refusal(copy, "train", "pascal3d-car")


def test_models_that_are_not_there(cache, copy):
    test = open_collection("pascal3d-car", "test", copy)
    for file in (copy / "CAD" / "car").iterdir():
        file.unlink()
    shutil.copy(copy / "CAD" / "bus.mat", copy / "CAD" / "car.mat")
    forget_models()
    with pytest.raises(MsrnError, match="car.mat has no variable car"):
        test.ground_truth(test.object_id[0])
    assert "car.mat has no variable car" in refusal(copy, "test", "pascal3d-car")  # packs anew: masks are the models'


def test_a_missing_model_is_said_once(cache, copy):
    shutil.rmtree(copy / "CAD" / "car")
    (copy / "CAD" / "car.mat").unlink()
    assert refusal(copy, "train").count("car.mat is missing") == 1
    with pytest.raises(MsrnError, match="1 bad files"):
        list(check.check("pascal3d", copy))


def test_names_of_classes():
    assert pascal3d.classes_of("pascal3d-bus") == ("bus",)
    with pytest.raises(MsrnError, match="expected pascal3d, or pascal3d-CLASS"):
        pascal3d.classes_of("pascal3d-cat")


def test_crops_repeat_the_last_pixels_beyond_the_edge(cache, copy):
    """A box in the corner of a photograph: its crop has no white."""
    path = copy / "Images" / "car_imagenet" / "n99_edge.JPEG"
    view = {**viewpoint(8), "px": 10.0, "py": 10.0}
    write_photograph(copy, "car_imagenet", "n99_edge", [annotated("car", 1, 1, view)])
    assert Image.open(path).size == (WIDTH, HEIGHT)
    found = open_collection("pascal3d-car", "train", copy)
    image = found.images[found.object_id == "car/n99_edge_0"][0]
    assert image.max() < 240


def test_truth_and_poses_of_another_object_are_refused(cache, archive):
    test = open_collection("pascal3d", "test", archive)
    with pytest.raises(MsrnError, match="'car/nothing' is not among its 24 objects"):
        test._truth.mesh("car/nothing")
    with pytest.raises(MsrnError, match="'zebra/0_0' is not among its 24 objects"):
        test._truth.poses(np.array([test.object_id[3], "zebra/0_0"]), np.zeros(2, int))
    order = np.random.default_rng(0).permutation(24)
    np.testing.assert_array_equal(test._truth.poses(test.object_id[order], np.zeros(24, int)), test.true_pose()[order])


def test_one_name_for_two_photographs_is_refused(cache, copy):
    """One of VOC and one of ImageNet: by its id the second would be measured against the first one's model."""
    stem = (copy / SETS / "train.txt").read_text().split()[-2]
    things = sorted(path.parent.name for path in copy.glob(f"Annotations/*/{stem}.mat"))
    category = things[0].removesuffix("_pascal")
    write_photograph(copy, f"{category}_imagenet", stem, [annotated(category, 1, 2, viewpoint(3))])
    assert f"'{category}/{stem}_0' occurs twice: expected every object once" in refusal(copy)


def test_a_model_that_is_cut_off_is_refused(cache, copy):
    """Anywhere: what is left would be read as a model with fewer faces."""
    path = copy / "CAD" / "car" / "02.off"
    content = path.read_bytes()
    assert len(pascal3d.read_cad(copy, "car", 2)[1]) == 36
    path.write_bytes(b"\n# an OFF made by hand\n" + content.replace(b"OFF\n", b"OFF ").replace(b"\n", b" # here\n\n"))
    assert len(pascal3d.read_cad(copy, "car", 2)[1]) == 36
    for share in (0.02, 0.3, 0.55, 0.75, 0.995):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(MsrnError, match="02.off is not a whole mesh"):
            pascal3d.read_cad(copy, "car", 2)
    assert "of 36 faces: is it cut off?" in refusal(copy, "test", "pascal3d-car")
    with pytest.raises(MsrnError, match="1 bad files"):
        list(check.check("pascal3d", copy))


def test_a_stray_vertex_does_not_count(cache, copy):
    """Of no face: the truth is centred and of longest edge 1 without it."""
    test = open_collection("pascal3d-car", "test", copy)
    expected = test.ground_truth(test.object_id[0])
    path = copy / "CAD" / "car" / "02.off"
    head, counts, *lines = path.read_text().splitlines()
    vertices, faces, _ = counts.split()
    lines.insert(int(vertices), "9 9 9")
    path.write_text("\n".join([head, f"{int(vertices) + 1} {faces} 0", *lines]) + "\n")
    forget_models()
    found = test.ground_truth(test.object_id[0])
    np.testing.assert_array_equal(found.faces, expected.faces)
    np.testing.assert_allclose(found.vertices[: int(vertices)], expected.vertices, atol=1e-6)

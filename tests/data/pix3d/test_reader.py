import json
import shutil

import numpy as np
import pytest
import trimesh
from PIL import Image
from pix3d_archive import CANONICAL, HEIGHT, WIDTH, spoil_mask, write_lists, write_official, write_processed
from shapenet_archive import Boxes

from msrn.data import check, open_collection
from msrn.data.archives.meshes import centered, check_box, crop_of, cut, in_our_frame, read_mesh
from msrn.data.pix3d import reader as pix3d
from msrn.errors import MsrnError
from msrn.evaluation.metrics import chamfer_l1

MODELS = {"chair": 5, "table": 4}


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    root = tmp_path_factory.mktemp("pix3d") / "pix3d"
    return root, write_official(root, MODELS)


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official[0], tmp_path / "copy")


def refusal(root, split="train"):
    with pytest.raises(MsrnError) as caught:
        open_collection("pix3d", split, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def open_all(root):
    return {split: open_collection("pix3d", split, root) for split in ("train", "val", "test")}


def entry_of(entries, object_id):
    return next(e for e in entries if object_id == f"{e['category']}/{e['img'].split('/')[-1].split('.')[0]}")


def test_our_split_is_by_model_and_of_whole_objects(cache, official):
    root, entries = official
    splits = open_all(root)
    assert {collection.name for collection in splits.values()} == {"pix3d-ours"}
    assert {collection.categories for collection in splits.values()} == {("chair", "table")}
    names = {split: set(collection.object_id) for split, collection in splits.items()}
    whole = [e for e in entries if not (e["truncated"] or e["occluded"] or e["slightly_occluded"])]
    assert sum(len(mine) for mine in names.values()) == len(whole) == len(set.union(*names.values()))
    models = {split: {entry_of(entries, name)["model"] for name in mine} for split, mine in names.items()}
    assert not models["train"] & models["test"] and not models["val"] & models["test"]
    assert all({name.split("/")[0] for name in mine} == set(MODELS) for mine in names.values())
    assert open_all(root)["test"].fingerprint == splits["test"].fingerprint


def test_a_flag_may_be_a_number_or_a_text(cache, copy):
    """1 is not whole."""
    change(copy, lambda entries: [entry.update(truncated=1, occluded="0") for entry in entries[:3]])
    change(copy, lambda entries: [entry.update(truncated=0, occluded="False") for entry in entries[3:4]])
    names = set().union(*(collection.object_id for collection in open_all(copy).values()))
    assert not names & {"chair/0001", "chair/0002", "chair/0003"} and "chair/0004" in names


def test_official_lists_decide(cache, official, copy):
    write_lists(copy, official[1])
    splits = open_all(copy)
    assert {collection.name for collection in splits.values()} == {"pix3d"}
    listed = (copy / "lists" / "chair_test.txt").read_text().split()
    chairs = [name for name in splits["test"].object_id if name.startswith("chair")]
    assert chairs == sorted(f"chair/{name.split('.')[0]}" for name in listed)
    assert sum(len(collection) for collection in splits.values()) == len(official[1])  # the truncated ones as well


def test_crops_are_those_of_the_box(cache, official):
    """Side 1.2 times the box, about its middle, on white outside of the mask; against Pillow's own crop."""
    root, entries = official
    collection = open_collection("pix3d", "test", root)
    for row in range(len(collection)):
        entry = entry_of(entries, collection.object_id[row])
        x0, y0, x1, y1 = entry["bbox"]
        side = 1.2 * max(x1 - x0, y1 - y0)
        left, top = (x0 + x1 - side) / 2, (y0 + y1 - side) / 2
        box = tuple(int(round(v)) for v in (left, top, left + side, top + side))
        mask = Image.open(root / entry["mask"])
        expected = np.asarray(mask.crop(box).resize((64, 64), Image.Resampling.BOX)) > 127
        both = collection.masks[row]
        assert (expected & both).sum() / (expected | both).sum() > 0.95
        assert (collection.images[row].min(0)[~both] > 100).mean() > 0.95
        rows, columns = np.flatnonzero(both.any(1)), np.flatnonzero(both.any(0))
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        assert extent == pytest.approx(64 / 1.2, abs=2.5)


def test_poses_are_those_of_the_camera_position(cache, official):
    root, entries = official
    collection = open_collection("pix3d", "train", root)
    for object_id, (azimuth, elevation, roll) in zip(collection.object_id, collection.true_pose(), strict=True):
        x, y, z = entry_of(entries, object_id)["cam_position"]  # in the model's frame: x left, y up, z inward
        true = np.rad2deg([np.arctan2(-x, -z), np.arcsin(y / np.linalg.norm([x, y, z]))])
        assert (azimuth - true[0] + 180) % 360 == pytest.approx(180, abs=0.01)
        assert elevation == pytest.approx(true[1], abs=0.01) and abs(roll) < 3


def test_the_truth_is_the_model_in_our_frame(cache, official):
    """Front toward +z: the canonical frame has it at -z, and left is x there."""
    root, entries = official
    collection = open_collection("pix3d", "test", root)
    name = collection.object_id[0]
    truth = collection.ground_truth(name)
    expected = Boxes(entry_of(entries, name)["seed"]).corners.reshape(-1, 3) @ CANONICAL * [-1, 1, -1]
    np.testing.assert_allclose(truth.vertices, expected, atol=1e-5)
    assert truth.faces.shape == (36, 3) and np.ptp(truth.vertices, 0).max() == pytest.approx(1)


def test_the_processed_tree_gives_the_same(cache, official, tmp_path):
    root, entries = official
    processed = tmp_path / "processed"
    write_processed(processed, root, entries)
    listed = shutil.copytree(root, tmp_path / "listed")
    write_lists(listed, entries)
    one, other = open_collection("pix3d", "test", listed), open_collection("pix3d", "test", processed)
    np.testing.assert_array_equal(one.object_id, other.object_id)
    np.testing.assert_allclose(one.true_pose(), other.true_pose(), atol=1e-4)
    union = (one.masks | other.masks).sum((1, 2))
    assert ((one.masks & other.masks).sum((1, 2)) / union).min() > 0.9
    name = one.object_id[0]
    mesh, cloud = one.ground_truth(name), other.ground_truth(name)
    assert chamfer_l1(mesh.points(2000, 0), cloud.points(2000, 1)) < 1.6
    assert chamfer_l1(mesh.points(2000, 0), cloud.vertices[::30]) < 2.5
    (processed / "pointclouds" / entry_of(entries, name)["model"][6:]).with_suffix(".npy").write_bytes(b"")
    pix3d._cloud.cache_clear()
    with pytest.raises(MsrnError, match="model.npy"):
        other.ground_truth(name)


def test_torn_annotations_are_named_together_and_counted(cache, official, tmp_path):
    root = tmp_path / "processed"
    write_processed(root, *official)
    paths = sorted((root / "annotation" / "table").iterdir())
    paths[3].write_text('{"img": ')
    paths[5].unlink()
    paths[7].write_text(paths[8].read_text())
    said = (f"{paths[3]} is not whole JSON", f"{paths[5]} is missing", f"{paths[7]} is the annotation of table/0009")
    refused = refusal(root)
    assert "pix3d train: 3 annotations cannot be read: " in refused and all(part in refused for part in said)
    lines = []
    with pytest.raises(MsrnError, match="3 bad files"):
        for line in check.check("pix3d", root):
            lines.append(line)
    assert "files: all read, 3 missing or unreadable" in lines
    assert all(any(line.startswith(f"  {part}") for line in lines) for part in said)
    assert sum(int(line.split()[2]) for line in lines if " all " in line and "files" not in line) == 37
    for path in (root / "annotation").glob("*/*"):
        path.unlink()
    assert "no image for train and val and test: 40 annotations cannot be read" in refusal(root)


def test_photographs_may_be_jpeg_beside_masks_in_png(cache, official, copy):
    """The published ones are both; a name has one mask and one annotation whatever its photograph is."""
    whole = open_collection("pix3d", "test", copy)

    def to_jpeg(entries):
        for entry in entries[::2]:
            path = copy / entry["img"]
            entry["img"] = entry["img"].replace(".png", ".jpg")
            Image.open(path).save(copy / entry["img"], quality=95)
            path.unlink()

    change(copy, to_jpeg)
    found = open_collection("pix3d", "test", copy)
    np.testing.assert_array_equal(found.object_id, whole.object_id)
    np.testing.assert_array_equal(found.masks, whole.masks)
    assert np.abs(found.images.astype(int) - whole.images).mean() < 4 and found.fingerprint != whole.fingerprint


def test_without_masks_images_are_raw(cache, copy):
    shutil.rmtree(copy / "mask")
    collection = open_collection("pix3d", "test", copy)
    assert collection.masks is None
    assert (collection.images[:, :, 5, 32] < 130).mean() > 0.5  # the wallpaper


def test_a_file_in_place_of_the_masks_is_refused(cache, copy):
    shutil.rmtree(copy / "mask")
    (copy / "mask").write_text("")
    assert "mask is a file: expected the folder of the masks, or nothing" in refusal(copy)


def test_check_proves_the_cameras(cache, official, copy):
    lines = list(check.check("pix3d", official[0]))
    assert any(line.startswith("holds: models, seen by their photographs' cameras") for line in lines)
    assert "by CAD model" in lines[0]
    assert "note: 40 images are annotated; the published archive has 10,069" in lines
    entries = json.loads((copy / "pix3d.json").read_text())
    for entry in entries:  # another convention: transposed
        entry["rot_mat"] = np.array(entry["rot_mat"]).T.tolist()
    (copy / "pix3d.json").write_text(json.dumps(entries))
    with pytest.raises(MsrnError, match="1 conventions that fail"):
        list(check.check("pix3d", copy))


def change(root, edit):
    entries = json.loads((root / "pix3d.json").read_text())
    edit(entries)
    (root / "pix3d.json").write_text(json.dumps(entries))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda e: e.clear(), "expected a list of annotations"),
        (lambda e: e.append(e[0]), "chair/0001 occurs twice"),
        (lambda e: e[3].update(category="piano"), "entry 3: category 'piano'"),
        (lambda e: e[3].pop("bbox"), "entry 3 lacks"),
        (lambda e: e[3].update(bbox=[1, 2, 3]), "expected four numbers"),
        (lambda e: e[3].update(rot_mat=np.diag([1.0, 1, -1]).tolist()), "entry 3: rot_mat or trans_mat"),
        (lambda e: e[3].update(trans_mat=[0, 0, -1]), "entry 3: rot_mat or trans_mat"),
        (lambda e: e[3].update(trans_mat=[np.nan, 0, 2]), "entry 3: rot_mat or trans_mat"),
        (lambda e: e[3].update(trans_mat=[0, 0, np.inf]), "entry 3: rot_mat or trans_mat"),
        (lambda e: e[3].update(focal_length=np.nan), "entry 3: focal_length is nan: expected millimetres above 0"),
        (lambda e: e[3].update(focal_length=0), "entry 3: focal_length is 0: expected millimetres above 0"),
        (lambda e: e[3].update(focal_length=10**400), "entry 3 lacks"),
        (lambda e: e[3].update(bbox=[]), "entry 3: bbox is []: expected four numbers"),
        (lambda e: e[3].update(bbox=[1, 2, 3, np.nan]), "entry 3: bbox is [1.0, 2.0, 3.0, nan]: expected four numbers"),
        (lambda e: e[3].update(img_size=[]), "entry 3: img_size is []: expected the width and height"),
        (lambda e: e[3].update(img_size=[200]), "entry 3: img_size is [200]: expected the width and height"),
        (lambda e: e[3].update(img_size=[np.inf, 2]), "entry 3 lacks"),
        (lambda e: e[3].update(truncated="maybe"), "truncated is 'maybe', expected true or false"),
        (lambda e: e[3].update(truncated=True, occluded=None), "occluded is None, expected true or false"),
        (lambda e: e.__setitem__(3, "text"), "entry 3 lacks"),
        (lambda e: e[3].update(focal_length=10**400), "entry 3 lacks"),
        (lambda e: [x.update(img="../" + x["img"]) for x in e], "links may only lead to files of the archive"),
        (lambda e: [x.update(img="/etc/passwd") for x in e[:1]], "links may only lead to files of the archive"),
    ],
)
def test_bad_annotations_are_refused(cache, copy, edit, said):
    change(copy, edit)
    found = ""
    for split in ("train", "val", "test"):
        try:
            open_collection("pix3d", split, copy)
        except MsrnError as error:
            found += str(error)
    assert said in found


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("part", ["..", "", "lists"])
def test_folders_without_permission_are_one_line(cache, official, copy, deny, part, listed):
    write_lists(copy, official[1])
    deny((copy / part).resolve(), listed)
    assert "may not be read: change its permissions" in refusal(copy)


def test_torn_files_are_named(cache, copy):
    for path in sorted(copy.glob("img/chair/*.png")):
        path.write_bytes(path.read_bytes()[:200])
    said = refusal(copy)
    assert "not a whole PNG or JPEG" in said
    (copy / "pix3d.json").write_text('[{"img": ')
    assert "pix3d.json is not whole JSON" in refusal(copy)
    (copy / "pix3d.json").write_text("[" * 100_000)
    assert "pix3d.json is not whole JSON" in refusal(copy)


def test_a_mask_of_another_size_costs_its_photograph_alone(cache, official, copy, capsys):
    whole = open_collection("pix3d", "train", copy)
    bad = whole.object_id[3]
    entry = entry_of(official[1], bad)
    spoil_mask(copy, entry)
    shutil.rmtree(cache)
    capsys.readouterr()
    said = f"{entry['mask']} is {WIDTH} x {HEIGHT - 1} pixels: expected {WIDTH} x {HEIGHT}, as its photograph is"
    for _ in range(2):  # packed, and then opened as it was packed
        found = open_collection("pix3d", "train", copy)
        warning = f"warning: 1 of {len(whole):,} images of pix3d-ours train are left out: {said} (once mended"
        assert warning in capsys.readouterr().err
    assert found.object_id.tolist() == [name for name in whole.object_id if name != bad]
    kept = whole.object_id != bad
    np.testing.assert_array_equal(found.images, whole.images[kept])
    np.testing.assert_array_equal(found.true_pose(), whole.true_pose()[kept])
    assert found.fingerprint != whole.fingerprint
    lines = list(check.check("pix3d", copy))
    assert f"  {said}" in lines and "images left out of the packing: 1" in lines
    assert "files: all read, 0 missing or unreadable" in lines


def test_a_photograph_of_another_size_than_its_annotation_is_left_out(cache, official, copy, capsys):
    """Its box is of the picture that was annotated."""
    bad = open_collection("pix3d", "train", copy).object_id[0]
    entry = entry_of(official[1], bad)
    for path in (entry["img"], entry["mask"]):
        Image.open(copy / path).resize((2 * WIDTH, 2 * HEIGHT)).save(copy / path)
    shutil.rmtree(cache)
    assert bad not in open_collection("pix3d", "train", copy).object_id
    said = f"{entry['img']} is {2 * WIDTH} x {2 * HEIGHT} pixels: expected {WIDTH} x {HEIGHT}, its img_size"
    assert said in capsys.readouterr().err


def test_masks_of_another_size_throughout_are_refused(cache, official, copy):
    for entry in official[1]:
        spoil_mask(copy, entry)
    said = refusal(copy)
    assert f"is {WIDTH} x {HEIGHT - 1} pixels: expected {WIDTH} x {HEIGHT}" in said and "at most 20%" in said
    with pytest.raises(MsrnError, match="at most 20%"):
        list(check.check("pix3d", copy))


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [500, 5, 600, 9], [0, 0, 1e9, 1e9]])
def test_a_box_beside_its_photograph_costs_it_alone(cache, copy, capsys, box):
    whole = open_collection("pix3d", "train", copy)
    bad = whole.object_id[0]
    change(copy, lambda entries: entry_of(entries, bad).update(bbox=box))
    capsys.readouterr()
    found = open_collection("pix3d", "train", copy)
    assert found.object_id.tolist() == whole.object_id[1:].tolist()
    said = f"{bad}: its box is {[float(value) for value in box]} in a picture of {WIDTH} x {HEIGHT}: expected one in it"
    assert f"are left out: {said}" in capsys.readouterr().err
    assert f"  {said}" in list(check.check("pix3d", copy))


def test_check_names_what_no_split_holds(cache, official, copy, tmp_path):
    """47 of 48 is said, of each form."""

    def rest(root):
        lines = list(check.check("pix3d", root))
        starts = [place for place, line in enumerate(lines) if line.startswith("there and in no split: ")]
        return lines[starts[0] : starts[0] + 2] if starts else []

    (copy / "img" / "chair" / ".0001.png").write_bytes(b"")
    assert rest(copy) == [] and "; 12 truncated or occluded images are in none" in next(check.check("pix3d", copy))
    change(copy, lambda entries: entries.pop(3))
    assert rest(copy) == ["there and in no split: 1", "  img/chair/0004.png has no annotation in pix3d.json"]
    shutil.copy(official[0] / "pix3d.json", copy)
    write_lists(copy, official[1])
    assert rest(copy) == []
    write_processed(tmp_path / "processed", official[0], official[1])
    assert rest(tmp_path / "processed") == []
    for root in (copy, tmp_path / "processed"):
        names = (root / "lists" / "chair_train.txt").read_text().split()
        (root / "lists" / "chair_train.txt").write_text("\n".join(names[1:]) + "\n")
    name = names[0].removesuffix(".png")
    assert rest(copy) == ["there and in no split: 1", f"  chair/{name} is annotated and in none of the lists"]
    said = f"  img_processed/chair/{name}.png is in none of the lists"
    assert rest(tmp_path / "processed") == ["there and in no split: 1", said]


def test_wrong_roots(cache, official, tmp_path):
    assert "looked for pix3d.json" in refusal(official[0].parent) and "did you mean" in refusal(official[0].parent)
    (tmp_path / "half" / "annotation").mkdir(parents=True)
    assert "has no CATEGORY_SPLIT.txt" in refusal(tmp_path / "half")


def test_lists_that_do_not_fit_are_refused(cache, official, copy):
    write_lists(copy, official[1])
    train = copy / "lists" / "chair_train.txt"
    text = train.read_text()
    train.write_text(text + "9999.png\n")
    assert "1 names of the lists have no annotation, such as chair/9999" in refusal(copy)
    train.write_text(text + (copy / "lists" / "chair_test.txt").read_text())
    assert "is in train and in test: expected one" in refusal(copy)
    train.write_text(text + text.split()[0].replace(".png", ".jpg") + "\n")
    assert "chair_train.txt: '0003' occurs twice" in refusal(copy)
    train.unlink()
    assert "chair_train.txt is missing" in refusal(copy)


def test_models_of_other_kinds_are_refused(tmp_path):
    """A whole mesh all the same; trimesh would open what is in a zip, too."""
    path = tmp_path / "model.ply"
    trimesh.creation.box().export(path)
    with pytest.raises(MsrnError, match="model.ply is no mesh of a kind that the archives have: expected an .obj or"):
        read_mesh(tmp_path, path)


def test_vertices_of_no_face_do_not_count(tmp_path):
    (tmp_path / "model.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 2 0\nv 50 0 0\nf 1 2 3\n")
    vertices, faces = read_mesh(tmp_path, tmp_path / "model.obj")
    found = in_our_frame(vertices, faces, np.eye(3)).vertices[faces.ravel()]
    np.testing.assert_allclose(found, [[-0.25, -0.5, 0], [0.25, -0.5, 0], [-0.25, 0.5, 0]])
    (tmp_path / "model.obj").write_text("v 0 0 0\nv 50 0 0\nf 1 1 1\n")
    with pytest.raises(MsrnError, match="has no extent"):
        read_mesh(tmp_path, tmp_path / "model.obj")


@pytest.mark.parametrize("text", ["", "v 0 0 0\n", "v 0 0 0\nf 1 2 9\n", "v a b c\nf 1 1 1\n", "v 1 1 1\nf 1 1 1\n"])
def test_torn_models_are_refused(cache, copy, text):
    collection = open_collection("pix3d", "test", copy)
    for path in copy.glob("model/*/*/model.obj"):
        path.write_text(text)
    pix3d._model.cache_clear()
    with pytest.raises(MsrnError, match="model.obj") as caught:
        collection.ground_truth(collection.object_id[0])
    assert "\n" not in str(caught.value)


def test_cut_against_a_slow_reference():
    picture = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    square = (-10.0, 5.0, 64.0)  # a pixel of the crop is one of the picture
    expected = np.full((64, 64, 3), 9, np.uint8)
    for y in range(64):
        for x in range(64):
            if 0 <= y + 5 < 40 and 0 <= x - 10 < 50:
                expected[y, x] = picture[y + 5, x - 10]
    np.testing.assert_array_equal(cut(picture, square, 9), expected)
    assert crop_of((10, 20, 30, 30), 1.5) == (5, 10, 30)
    assert check_box([1, 2, 3, 4], (10, 10), "x") == (1, 2, 3, 4)


def test_the_camera_that_looks_at_the_object():
    """It sees the object's place on the axis, and turned by no more than the place is off it."""
    rotation, place = np.eye(3), np.array([0.5, -0.2, 2.0])
    turned = centered(rotation, place)
    np.testing.assert_allclose(place @ (rotation.T @ turned), [0, 0, np.linalg.norm(place)], atol=1e-12)
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(centered(rotation, np.array([0, 0, 3.0])), rotation)


def test_truth_and_poses_of_another_object_are_refused(cache, official):
    test = open_collection("pix3d", "test", official[0])
    for asked in (lambda: test._truth.mesh("chair/9999"), lambda: test._truth.poses(np.array(["chair/9999"]), [0])):
        with pytest.raises(MsrnError, match="'chair/9999' is not among its"):
            asked()


def test_an_annotation_under_anothers_name_is_refused(cache, official, tmp_path):
    """As it stands two objects would have one id, and the images and the model of one of them."""
    root, entries = official
    write_processed(tmp_path / "processed", root, entries)
    folder = tmp_path / "processed" / "annotation" / "chair"
    shutil.copy(folder / "0002.json", folder / "0003.json")
    said = refusal(tmp_path / "processed")
    assert "chair/0003.json is the annotation of chair/0002: expected that of chair/0003; put whole" in said

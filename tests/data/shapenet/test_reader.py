import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from shapenet_archive import SIZE, Boxes, world_matrix, write_archive, write_npz

from msrn import camera
from msrn.baselines import Given
from msrn.baselines.lookup import random_object
from msrn.baselines.mean_shape import mean_shape
from msrn.data import open_collection
from msrn.data.archives.clouds import CloudTruth, centered_cloud
from msrn.data.archives.poses import angles
from msrn.data.shapenet import reader as shapenet
from msrn.errors import MsrnError
from msrn.evaluation.metrics import chamfer_l1
from msrn.evaluation.protocol import evaluate_meshes
from msrn.report import pictures
from msrn.settings import Settings

CAR, CHAIR = "02958343", "03001627"
LISTED = "1079efee042629d4ce28f0f1b509eda"  # a car of the published list of test views
LISTS = {
    CHAIR: {"train": ["stuhl mit lehne", "椅子"], "val": ["v"], "test": ["t"]},
    CAR: {"train": ["a", "b", "c"], "val": ["w"], "test": [LISTED, "t"]},
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("nmr") / "NMR_Dataset", LISTS)


@pytest.fixture
def copy(archive, tmp_path):
    """An archive that may be damaged."""
    return shutil.copytree(archive, tmp_path / "archive")


def refusal(root, split="train"):
    with pytest.raises(MsrnError) as caught:
        open_collection("shapenet", split, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_collection_holds_what_was_written(cache, archive):
    """Object by object: the categories come in the order of their names, objects in that of the list."""
    collection = open_collection("shapenet", "train", archive)
    assert collection.categories == ("car", "chair")
    names = ["car/a", "car/b", "car/c", "chair/stuhl mit lehne", "chair/椅子"]
    np.testing.assert_array_equal(collection.object_id, np.repeat(names, 24))
    np.testing.assert_array_equal(collection.category, np.repeat([0, 0, 0, 1, 1], 24))
    np.testing.assert_array_equal(collection.view, np.tile(np.arange(24), 5))
    folders = {"car": CAR, "chair": CHAIR}
    for row in range(0, len(collection), 7):
        category, name = collection.object_id[row].split("/")
        folder, view = archive / folders[category] / name, f"{collection.view[row]:04d}.png"
        image, mask = (np.asarray(Image.open(folder / part / view)) for part in ("image", "mask"))
        np.testing.assert_array_equal(collection.images[row], image.transpose(2, 0, 1))
        np.testing.assert_array_equal(collection.masks[row], mask > 0)
    assert isinstance(collection.images, np.memmap) and not collection.images.flags.writeable


def test_poses_are_those_of_the_cameras(cache, archive):
    collection = open_collection("shapenet", "test", archive)
    pose = collection.true_pose()
    np.testing.assert_allclose((pose[:, 0] - 15 * collection.view + 180) % 360, 180, atol=1e-3)
    np.testing.assert_allclose(pose[:, 1:], np.broadcast_to([30, 0], (len(pose), 2)), atol=1e-3)


def test_angles_undo_the_rotation():
    random = np.random.default_rng(0)
    given = random.uniform([0, -89, -179], [360, 89, 179], (200, 3))
    rotation = camera.rotation(*torch.from_numpy(given).unbind(1)).numpy()
    found = angles(rotation)
    np.testing.assert_allclose((found - given + 180) % 360, 180, atol=2e-3)
    above = camera.rotation(*(torch.tensor(angle, dtype=torch.float64) for angle in (0.0, 90.0, 25.0))).numpy()
    np.testing.assert_allclose(angles(above), [0, 90, 25], atol=1e-3)


def test_the_truth_covers_the_mask_and_only_in_the_right_frame(cache, archive):
    """Points through our camera at the true pose, against the mask; turned by 90 degrees or mirrored they miss it."""
    collection = open_collection("shapenet", "test", archive)

    def overlap(turn):
        found = []
        for row in range(0, len(collection), 5):
            points = collection.ground_truth(collection.object_id[row]).points(20_000, 0) @ turn
            rotation = camera.rotation(*torch.from_numpy(collection.true_pose()[row : row + 1]).unbind(1))
            seen = camera.project(torch.from_numpy(points)[None].float(), rotation, torch.tensor([[0, 0, 2.732]]))[0]
            pixel = ((seen[:, :2].numpy() + 1) * SIZE / 2).astype(int).clip(0, SIZE - 1)
            hit = np.zeros((SIZE, SIZE), bool)
            hit[pixel[:, 1], pixel[:, 0]] = True
            found.append((hit & collection.masks[row]).sum() / (hit | collection.masks[row]).sum())
        return np.mean(found)

    quarter = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float32)
    assert overlap(np.eye(3, dtype=np.float32)) > 0.9
    assert overlap(quarter) < 0.8 and overlap(np.diag([-1, 1, 1]).astype(np.float32)) < 0.85


def test_the_front_is_toward_plus_z(cache, archive):
    """The tower of the objects stands at their front, which the archive has at +x."""
    truth = open_collection("shapenet", "test", archive).ground_truth("car/t")
    points = truth.points(20_000, 0)
    top = points[points[:, 1] > points[:, 1].max() - 0.1]
    assert top[:, 2].mean() > 0.2 and np.ptp(top[:, 0]) < 0.3
    np.testing.assert_allclose((points.min(0) + points.max(0)) / 2, 0, atol=1e-3)
    assert np.ptp(points, 0).max() == pytest.approx(1, abs=1e-3)
    assert np.median(points[:, 0]) > 0.02  # the fin, at the archive's +z, is on our -x, and the body beside it


def test_test_views_are_the_published_ones():
    views = shapenet.test_views()
    counts = {shapenet.CATEGORIES[folder]: 0 for folder, _ in views}
    for folder, _ in views:
        counts[shapenet.CATEGORIES[folder]] += 1
    assert counts == {
        "airplane": 809, "bench": 364, "cabinet": 315, "car": 1500, "chair": 1356, "display": 219, "lamp": 464,
        "phone": 211, "rifle": 475, "sofa": 635, "speaker": 324, "table": 1702, "vessel": 388,
    }  # fmt: skip
    assert len(views) == 8762 and set(views.values()) == set(range(24))
    assert views["03691459", "101354f9d8dede686f7b08d9de913afe"] == 20  # its first line


def test_each_object_is_evaluated_in_its_own_view(cache, archive):
    collection = open_collection("shapenet", "test", archive)
    chosen = collection.evaluation_index
    assert collection.object_id[chosen].tolist() == [f"car/{LISTED}", "car/t", "chair/t"]
    assert collection.view[chosen[0]] == shapenet.test_views()[CAR, LISTED] == 15
    assert collection.view[chosen[1]] != collection.view[chosen[2]]  # by category and name


def test_evaluation_works_with_points(cache, archive):
    """The object's own surface scores as two samples of one surface do, another object worse."""
    collection = open_collection("shapenet", "test", archive)
    rows = collection.evaluation_index
    truths = [collection.ground_truth(name) for name in collection.object_id[rows]]
    meshes = [(truth.vertices, truth.faces) for truth in truths]
    own = evaluate_meshes(meshes, collection, rows, 2000, seed=0)
    other = evaluate_meshes(meshes[1:] + meshes[:1], collection, rows, 2000, seed=0)
    floor = [chamfer_l1(truth.points(2000, 1), truth.points(2000, 2)) for truth in truths]
    assert (own.cd["none"] < np.multiply(floor, 1.1)).all() and (other.cd["none"] > own.cd["none"] + 0.5).all()


def test_baselines_and_figures_work_with_points(cache, archive):
    """The two rows that read true shapes, and the pictures of the truth from the input's camera and turned."""
    train, test = (open_collection("shapenet", split, archive) for split in ("train", "test"))
    rows = test.evaluation_index
    inputs = Given(test, train, Settings())
    for meshes in (mean_shape(inputs), random_object(inputs)):
        assert np.isfinite(evaluate_meshes(meshes, test, rows, 500, seed=0).cd["search_icp"]).all()
    for row, (azimuth, elevation, _) in zip(rows, test.true_pose()[rows].tolist(), strict=True):
        truth = test.ground_truth(str(test.object_id[row]))
        mesh = truth.vertices, truth.faces
        picture, turned = (
            pictures.draw_mesh(mesh, truth.face_colors, azimuth + turn, elevation) for turn in (0.0, pictures.TURN)
        )
        seen = np.asarray(Image.fromarray((picture < 255).any(2)).resize((64, 64)))
        zoomed = np.asarray(Image.fromarray(test.masks[row]).resize((74, 74)))[5:69, 5:69]
        assert (seen & zoomed).sum() / (seen | zoomed).sum() > 0.85 and turned.shape == picture.shape


def test_truths_are_held_without_their_points(cache, archive):
    """A category has thousands of objects with 100,000 points each, and some rows ask for all of them at once."""
    collection = open_collection("shapenet", "test", archive)
    truth = collection.ground_truth("car/t")
    assert len(pickle.dumps(truth)) < 2000
    points, normals = shapenet.read_points(archive, f"{archive}/{CAR}/t")
    whole = centered_cloud(points, normals)
    np.testing.assert_array_equal(truth.points(500, 1), whole.points(500, 1))
    np.testing.assert_array_equal(truth.vertices, whole.vertices)
    assert truth.vertices is truth.vertices  # made once


def test_surfels_lie_on_the_surface_and_close_it():
    """On a sphere: near the surface, along it, and without gaps between them."""
    normals = np.random.default_rng(0).normal(size=(30_000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    truth = CloudTruth((normals / 2).astype(np.float32), normals)
    corner = truth.vertices[truth.faces].astype(float)  # (F, 3, 3)
    assert np.quantile(np.abs(np.linalg.norm(corner.mean(1), axis=1) - 0.5), 0.99) < 1e-6  # the rest is clipped
    assert np.abs(np.linalg.norm(corner, axis=2) - 0.5).max() < 0.001 and np.abs(corner).max() <= 0.5 + 1e-6
    across = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    area = np.linalg.norm(across, axis=1) / 2
    assert np.ptp(np.quantile(area, [0.02, 1])) < 1e-6 and 2.4 < area.sum() / np.pi < 4  # the sphere's area is pi
    assert truth.face_colors.shape == truth.faces.shape
    np.testing.assert_array_equal(truth.points(500, 3), truth.points(500, 3))
    assert len(np.unique(truth.points(30_000, 0), axis=0)) == 30_000 and len(truth.points(40_000, 0)) == 40_000


def test_a_read_only_archive_is_enough_and_nothing_is_written_into_it(cache, copy, monkeypatch):
    before = sorted(path.as_posix() for path in copy.rglob("*"))
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert len(open_collection("shapenet", "val", copy)) == 48
    finally:
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert sorted(path.as_posix() for path in copy.rglob("*")) == before


def test_the_fingerprint_is_the_contents_and_not_the_places(cache, archive, copy):
    one, other = (open_collection("shapenet", "val", root) for root in (archive, copy))
    assert one.fingerprint == other.fingerprint
    path = copy / CAR / "w" / "image" / "0003.png"
    pixels = np.array(Image.open(path))
    pixels[0, 0] = 1, 2, 3
    path.unlink()
    Image.fromarray(pixels).save(path)
    changed = open_collection("shapenet", "val", copy)
    assert changed.fingerprint != one.fingerprint
    np.testing.assert_array_equal(changed.images[3, :, 0, 0], [1, 2, 3])


def test_wrong_roots_say_what_was_looked_for_and_found(cache, archive, tmp_path):
    said = refusal(archive.parent)
    assert "looked for metadata.yaml" in said and "found NMR_Dataset" in said and f"did you mean {archive}?" in said
    assert "expected a folder, found nothing" in refusal(tmp_path / "none")
    assert "give its folder as data_root" in refusal(None)
    (tmp_path / "empty").mkdir()
    assert "found nothing" in refusal(tmp_path / "empty")


def test_half_an_archive_is_refused_before_packing(cache, copy):
    shutil.rmtree(copy / CAR / "b")
    shutil.rmtree(copy / CHAIR / "椅子" / "mask")
    said = refusal(copy)
    assert f"of 5 train objects 2 lack files: {CAR}/b/image; {CHAIR}/椅子/mask" in said
    assert len(open_collection("shapenet", "test", copy)) == 72  # whole
    (copy / CAR / "b").write_text("a file in place of the object")
    assert f"of 5 train objects 2 lack files: {CAR}/b/image;" in refusal(copy)
    (copy / CAR / "b").unlink()
    (copy / CAR / "b").symlink_to("b")
    assert "b cannot be read (Too many levels of symbolic links)" in refusal(copy)
    shutil.rmtree(copy / CHAIR)
    assert "03001627 (chair) have no folder" in refusal(copy)


def test_bad_pictures_are_named(cache, copy):
    path = copy / CAR / "b" / "image" / "0007.png"
    path.write_bytes(path.read_bytes()[:100])
    Image.new("L", (32, 32)).save(copy / CHAIR / "椅子" / "mask" / "0001.png")
    said = refusal(copy)
    assert "b/image/0007.png is not a whole PNG" in said
    os.remove(copy / CAR / "b" / "image" / "0007.png")
    assert "b/image/0007.png is missing" in refusal(copy)


def test_a_mask_of_another_size_is_named(cache, copy):
    Image.new("L", (32, 32)).save(copy / CHAIR / "椅子" / "mask" / "0001.png")
    assert "椅子/mask/0001.png is 32 x 32 pixels: expected 64 x 64" in refusal(copy)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "softras_train.lst is empty"),
        ("a\nb\na\n", "names 'a' twice"),
        (f"a\n{LISTED}\n", f"share 1 objects, such as {LISTED}"),
        ("../../secret\n", "expected the plain name"),
    ],
)
def test_bad_lists_are_refused(cache, copy, text, said):
    (copy / CAR / "softras_train.lst").write_text(text)
    assert said in refusal(copy)


def test_categories_are_text_with_and_without_quotes_and_others_are_left_out(cache, copy, capsys):
    """03001627 without quotes would be an octal number."""
    (copy / "metadata.yaml").write_text(
        f"{CHAIR}: {{id: {CHAIR}, name: chair}}\n02747177: {{id: 02747177, name: bin}}\n"
    )
    assert open_collection("shapenet", "val", copy).categories == ("chair",)
    assert "02747177" in capsys.readouterr().err
    (copy / "metadata.yaml").write_text("02747177: {name: bin}\n")
    assert "not among the 13 categories of Table 5" in refusal(copy)
    bomb = "- &a0 [x, x]\n" + "".join(f"- &a{k + 1} [{', '.join([f'*a{k}'] * 9)}]\n" for k in range(30))
    for text in ("just words", "", "a: [1", "../x: {}", "[" * 5000, bomb):
        (copy / "metadata.yaml").write_text(text)
        assert "metadata.yaml" in refusal(copy)


def test_links_out_of_the_root_are_refused(cache, copy, tmp_path):
    shutil.move(copy / CAR / "b" / "image", tmp_path / "elsewhere")
    (copy / CAR / "b" / "image").symlink_to(tmp_path / "elsewhere")
    assert "links may only lead to files of the archive" in refusal(copy)


def write_cameras(path, change):
    content = dict(np.load(path))
    change(content)
    np.savez(path, **content)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(world_mat_3=np.diag([1.0, 1, -1, 1])), "does not turn and move"),
        (lambda c: c.update(world_mat_3=c["world_mat_3"] * np.nan), "something else than numbers"),
        (lambda c: c["world_mat_5"].__setitem__((2, 3), 1.5), "view 5 has the object at [0.0, -0.0, 1.5]"),
        (lambda c: c.update(camera_mat_0=np.eye(4)), "another lens"),
        (lambda c: c.update(camera_mat_23=np.diag([3.732, 3.6, 1, 1])), "camera_mat_23 is another lens"),
        (lambda c: c.update(camera_mat_7=np.eye(4) * np.nan), "camera_mat_7 is another lens"),
        (lambda c: c.update(camera_mat_7=np.zeros((0, 4))), "camera_mat_7 is another lens"),
        (lambda c: c.pop("world_mat_23"), "has no array world_mat_23"),
        (lambda c: c.update(world_mat_0=np.eye(3)), "has the shape (3, 3)"),
        (lambda c: c.update(world_mat_4=np.eye(4)[:2]), "world_mat_4 has the shape (2, 4): expected (4, 4), or (3, 4)"),
        (lambda c: c.update({f"world_mat_{k}": np.eye(4)[:0] for k in range(24)}), "has the shape (0, 4)"),
        (lambda c: c.update({f"world_mat_{k}": np.eye(4)[:2] for k in range(24)}), "has the shape (2, 4)"),
    ],
)
def test_other_cameras_are_refused(cache, copy, change, said):
    write_cameras(copy / CAR / "a" / "cameras.npz", change)
    assert said.replace("-0.0", "0.0") in refusal(copy).replace("-0.0", "0.0")


def test_matrices_of_three_rows_and_scales_are_read(cache, archive, copy):
    """A scale matrix of 2 with half the world's scale is the same camera."""

    def change(content):
        for view in range(24):
            content[f"scale_mat_{view}"] = np.diag([2.0, 2.0, 2.0, 1.0])
            content[f"world_mat_{view}"] = (content[f"world_mat_{view}"] @ np.diag([0.5, 0.5, 0.5, 1.0]))[:3]

    write_cameras(copy / CAR / "w" / "cameras.npz", change)
    one, other = (open_collection("shapenet", "val", root) for root in (archive, copy))
    np.testing.assert_allclose(one.true_pose(), other.true_pose(), atol=1e-3)


def test_points_that_are_no_object_are_refused(cache, copy):
    collection = open_collection("shapenet", "test", copy)
    path = copy / CHAIR / "t" / "pointcloud.npz"
    good = dict(np.load(path))
    for points, said in (
        (good["points"] * 3, "expected an object of longest"),
        (good["points"][:50], "50 points"),
    ):
        np.savez(path, points=points, normals=good["normals"])
        with pytest.raises(MsrnError, match=said):
            collection.ground_truth("chair/t")
    path.unlink()
    with pytest.raises(MsrnError, match="pointcloud.npz is missing"):
        collection.ground_truth("chair/t")


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("part", ["..", "", CAR, f"{CAR}/a", f"{CAR}/a/mask"])
def test_folders_without_permission_are_one_line(cache, copy, deny, part, listed):
    deny((copy / part).resolve(), listed)
    assert "may not be read: change its permissions" in refusal(copy)


# ------------------------------------------------------------------------------------------------------- the .npz form


@pytest.fixture
def npz(tmp_path):
    return write_npz(
        tmp_path / "npz", {CAR: {"train": 2, "val": 1, "test": 1}, CHAIR: {"train": 1, "val": 1, "test": 1}}
    )


def test_the_npz_form_is_read_with_its_inverted_colours(cache, npz):
    collection = open_collection("shapenet", "train", npz)
    assert collection.categories == ("car", "chair") and len(collection) == 72
    image, mask = Boxes(1).draw(world_matrix(15.0 * 4))
    np.testing.assert_array_equal(collection.images[24 + 4], image.transpose(2, 0, 1))
    np.testing.assert_array_equal(collection.masks[24 + 4], mask)
    assert (collection.images.transpose(0, 2, 3, 1)[:, 0, 0] == 255).all()
    assert collection.object_id[-1] == "chair/00000"
    with pytest.raises(MsrnError, match="no surface of car/00000: evaluate with the folder archive"):
        collection.ground_truth("car/00000")


def test_what_else_lies_in_an_archive_does_not_count(cache, archive, copy, npz):
    """Depth of visual hulls, clouds of another format, other categories; voxels and masks of the .npz form."""
    (copy / CAR / "w" / "visual_hull_depth").mkdir()
    (copy / CAR / "w" / "pointcloud.ply").write_text("ply")
    (copy / "04379243").mkdir()  # a category that the archive's own list does not have
    one, other = (open_collection("shapenet", "val", root) for root in (archive, copy))
    assert one.fingerprint == other.fingerprint and other.categories == ("car", "chair")
    before = open_collection("shapenet", "train", npz).fingerprint
    np.savez_compressed(npz / f"{CAR}_train_voxels.npz", np.zeros((2, 32, 32, 32), bool))
    np.savez_compressed(npz / f"{CAR}_train_masks.npz", np.zeros((2, 24, 64, 64), np.uint8))
    found = open_collection("shapenet", "train", npz)
    assert found.fingerprint == before and found.masks.any()


def test_masks_in_colour_are_read_as_grey(cache, archive, copy):
    """Set above one half, whatever the mode of the file."""
    for path in (copy / CAR / "w" / "mask").iterdir():
        mask = np.array(Image.open(path))
        Image.fromarray(np.where(mask > 0, 128, 127).astype(np.uint8)).convert("RGB").save(path)
    one, other = (open_collection("shapenet", "val", root) for root in (archive, copy))
    np.testing.assert_array_equal(one.masks, other.masks)


def test_the_npz_form_gives_no_poses(cache, npz):
    """Whether view k stands 15 k degrees to the left or to the right is not in it: a guess could be mirrored."""
    with pytest.raises(MsrnError, match="has no cameras: take true poses from the folder archive"):
        open_collection("shapenet", "train", npz).true_pose()


def test_masks_of_zeros_and_ones_are_refused_and_blank_ones_are_not(cache, copy, npz):
    """A thin object seen from its edge has no pixel, which is no reason to lose all others."""
    path = copy / CAR / "b" / "mask" / "0007.png"
    mask = np.array(Image.open(path)) // 255
    Image.fromarray(mask).save(path)
    assert "b/mask/0007.png holds 0 and 1 alone: expected 255" in refusal(copy)
    Image.fromarray(0 * mask).save(path)
    assert (~open_collection("shapenet", "train", copy).masks.any((1, 2))).sum() == 1
    path = npz / f"{CAR}_train_images.npz"
    packed = np.load(path)["arr_0"]
    packed[1, :, 3] //= 255
    np.savez_compressed(path, packed)
    assert "masks of object 1 hold 0 and 1 alone: expected 255" in refusal(npz)


def test_damaged_files_of_the_npz_form_are_refused(cache, npz):
    path = npz / f"{CAR}_train_images.npz"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "is not a whole .npz" in refusal(npz)
    np.savez_compressed(path, np.zeros((2, 24, 3, 64, 64), np.uint8))
    assert "expected (any, 24, 4, 64, 64)" in refusal(npz)
    np.savez_compressed(path, np.zeros((0, 24, 4, 64, 64), np.uint8))
    assert "0 objects" in refusal(npz)
    np.savez_compressed(path, np.zeros((1, 24, 4, 64, 64), np.float32))
    assert "float32" in refusal(npz)
    path.unlink()
    assert f"{CAR}_train_images.npz is missing" in refusal(npz)


@pytest.mark.parametrize("listed", [True, False])
def test_the_npz_form_without_permission_is_one_line(cache, npz, deny, listed):
    deny(npz, listed)
    assert "may not be read: change its permissions" in refusal(npz)


def test_truth_and_poses_of_another_object_are_refused(cache, archive):
    """Whatever the collection asks for, also what lies in the archive and is of another split."""
    test = open_collection("shapenet", "test", archive)
    for other in ("car/a", "lamp/t", "car/../t", "t"):
        with pytest.raises(MsrnError, match="is not among its 3 objects"):
            test._truth.mesh(other)
        with pytest.raises(MsrnError, match="is not among its 3 objects"):
            test._truth.poses(np.array(["car/t", other]), np.zeros(2, int))
    np.testing.assert_array_equal(test._truth.poses(test.object_id, test.view), test.true_pose())

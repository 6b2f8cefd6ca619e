"""Predictions from files: formats, frames, names, what is refused, and equal scores from memory and from a file."""

import os
import pickle
import re
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from toy_table import toy_split

from msrn import camera
from msrn.errors import MsrnError
from msrn.evaluation import surface_files
from msrn.evaluation.alignment import about_vertical
from msrn.evaluation.prediction_files import FRAMES, Z_UP, frame_warning, read_predictions
from msrn.evaluation.protocol import evaluate_meshes

POINTS = 400
TO_Z_UP = Z_UP.T  # (x, y, z) -> (x, -z, y)


@pytest.fixture(scope="module")
def collection():
    """Eight objects of three categories, with four views each."""
    toy = toy_split("toy", "test")
    return replace(toy, evaluation_index=toy.evaluation_index[::2].copy())


@pytest.fixture(scope="module")
def meshes(collection):
    """The truth of each object, with a part cut off and its front moved, so that every turn of it shows."""
    shapes = {}
    for name in evaluated(collection):
        truth = collection.ground_truth(name)
        vertices = truth.vertices.copy()
        vertices[:, 2] += 0.3 * np.square(vertices[:, 1] + 0.2)
        faces = truth.faces[vertices[truth.faces].mean(1)[:, 1] < 0.25]
        shapes[name] = (vertices, faces)
    return shapes


def evaluated(collection) -> list[str]:
    return collection.object_id[collection.evaluation_index].tolist()


def write(path, vertices, faces) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".obj":  # every digit
        lines = ["v {!r} {!r} {!r}".format(*map(float, v)) for v in vertices]
        path.write_text("\n".join(lines + ["f {} {} {}".format(*(f + 1)) for f in faces]))
    elif path.suffix == ".off":
        lines = ["{!r} {!r} {!r}".format(*map(float, v)) for v in vertices] + ["3 {} {} {}".format(*f) for f in faces]
        path.write_text("\n".join(["OFF", f"{len(vertices)} {len(faces)} 0", *lines]))
    else:
        trimesh.Trimesh(vertices, faces, process=False).export(path)


def write_all(folder, shapes, ending=".ply", name=lambda name: name, change=lambda vertices, row: vertices):
    for row, (object_id, (vertices, faces)) in enumerate(shapes.items()):
        write(folder / f"{name(object_id)}{ending}", change(vertices, row), faces)
    return folder


def score(collection, surfaces, indices=None, points=POINTS):
    indices = collection.evaluation_index if indices is None else indices
    return evaluate_meshes(surfaces, collection, indices, points, seed=0)


@pytest.fixture(scope="module")
def from_memory(collection, meshes):
    return score(collection, list(meshes.values()))


def assert_same(metrics, other, tolerance=0.0):
    for column in ("cd", "eq46", "f"):
        for alignment, values in getattr(metrics, column).items():
            assert values == pytest.approx(getattr(other, column)[alignment], rel=tolerance, abs=tolerance), alignment


def refusal(*arguments) -> str:
    with pytest.raises(MsrnError) as error:
        predicted = read_predictions(*arguments)
        for surface in predicted.surfaces:
            del surface
    assert "\n" not in str(error.value)
    return str(error.value)


# ------------------------------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("ending", [".obj", ".ply", ".off", ".glb", ".stl"])
def test_a_mesh_scores_the_same_from_a_file_and_from_memory(tmp_path, collection, meshes, from_memory, ending):
    predicted = read_predictions(write_all(tmp_path, meshes, ending), collection, "y-up")
    assert predicted.indices.tolist() == collection.evaluation_index.tolist()
    assert (predicted.missing, predicted.extra, predicted.by) == ((), (), "object")
    assert_same(score(collection, predicted.surfaces), from_memory)


def test_parts_of_a_scene_are_joined_where_they_stand(tmp_path, collection, meshes):
    name = evaluated(collection)[0]
    vertices, faces = meshes[name]
    lower, upper = np.eye(4), np.eye(4)
    upper[:3, 3], upper[0, 0] = (1, 2, 3), 2
    scene = trimesh.Scene()
    part = trimesh.Trimesh(vertices, faces, process=False)
    scene.add_geometry(part, transform=lower, geom_name="part", node_name="lower")
    scene.add_geometry(part, transform=upper, geom_name="part", node_name="upper")
    (tmp_path / "ball").mkdir()
    scene.export(tmp_path / f"{name}.glb")
    joined, of_both = read_predictions(tmp_path, collection, "y-up").surfaces[0]
    assert len(of_both) == 2 * len(faces)
    halves = sorted(joined[of_both].reshape(2, *faces.shape, 3), key=lambda corners: corners.max())
    assert halves[0] == pytest.approx(vertices[faces], abs=1e-6)
    assert halves[1] == pytest.approx(vertices[faces] * [2, 1, 1] + [1, 2, 3], abs=1e-6)


def test_interleaved_materials_keep_all_faces(tmp_path, collection, meshes):
    name = evaluated(collection)[0]
    vertices, faces = meshes[name]
    write(tmp_path / f"{name}.obj", vertices, faces)
    lines = (tmp_path / f"{name}.obj").read_text().splitlines()
    lines = [line if line[0] == "v" else f"usemtl m{number % 3}\n{line}" for number, line in enumerate(lines)]
    (tmp_path / f"{name}.obj").write_text("mtllib ../../../etc/passwd\n" + "\n".join(lines))
    read, of_read = read_predictions(tmp_path, collection, "y-up").surfaces[0]
    key = lambda corners: sorted(map(tuple, corners.reshape(-1, 9).tolist()))  # noqa: E731
    assert key(read[of_read]) == key(vertices[faces].astype(float))


def cloud(vertices, faces, count=300):
    return trimesh.sample.sample_surface(trimesh.Trimesh(vertices, faces, process=False), count, seed=0)[0]


def test_clouds_of_each_format_score_the_same(tmp_path, collection, meshes):
    clouds = {name: cloud(*mesh) for name, mesh in meshes.items()}
    for name, points in clouds.items():
        for kind in ("ply", "npz", "xyz"):
            (tmp_path / kind / name).parent.mkdir(parents=True, exist_ok=True)
        trimesh.PointCloud(points).export(tmp_path / f"ply/{name}.ply")
        np.savez_compressed(tmp_path / f"npz/{name}.npz", anything=points)
        rows = "\n".join(" ".join(map(repr, [*point.tolist(), 0.5, 0.5, 0.5])) for point in points)
        (tmp_path / f"xyz/{name}.xyz").write_text("# x y z and a colour\n" + rows)
    expected = score(collection, list(clouds.values()))
    for kind in ("ply", "npz", "xyz"):
        assert_same(score(collection, read_predictions(tmp_path / kind, collection, "y-up").surfaces), expected, 1e-6)


def test_a_cloud_gives_no_point_twice_and_fewer_points_have_a_higher_floor(collection, meshes):
    dense = [cloud(*mesh, count=5 * POINTS) for mesh in meshes.values()]
    sampled, drawn = score(collection, list(meshes.values())), score(collection, dense)
    assert drawn.cd["search_icp"].mean() == pytest.approx(sampled.cd["search_icp"].mean(), rel=0.05)
    few = score(collection, [points[:100] for points in dense])
    assert few.cd["search_icp"].mean() > 1.2 * drawn.cd["search_icp"].mean()
    assert few.eq46["none"].mean() == pytest.approx(POINTS * (few.cd["none"] / 100).mean() ** 2 * 2, rel=0.6)


def test_an_npz_of_several_arrays_names_its_points(tmp_path, collection, meshes):
    name = evaluated(collection)[0]
    points = cloud(*meshes[name])
    file = tmp_path / f"{name}.npz"
    file.parent.mkdir()
    np.savez(file, normals=np.ones((300, 3)), points=points)
    assert (read_predictions(tmp_path, collection, "y-up").surfaces[0] == points).all()
    np.savez(file, normals=np.ones((300, 3)), cloud=points)
    assert "no array points" in refusal(tmp_path, collection, "y-up")


def test_vertices_of_no_face_do_not_count(collection, meshes, from_memory):
    stray = [(np.concatenate([vertices, [[9, 9, 9]]]), faces) for vertices, faces in meshes.values()]
    assert_same(score(collection, stray), from_memory)


# -------------------------------------------------------------------------------------------------------------- frames


def to_camera(collection):
    pose = torch.from_numpy(collection.true_pose()[collection.evaluation_index].astype(np.float64))
    rotation = camera.rotation(*pose.unbind(1)).numpy()
    return lambda vertices, row: vertices @ rotation[row] + [0, 0, camera.DISTANCE]


def test_frames_are_turned_to_that_of_the_truth(tmp_path, collection, meshes, from_memory):
    write_all(tmp_path / "z", meshes, ".obj", change=lambda vertices, row: vertices @ TO_Z_UP)
    write_all(tmp_path / "camera", meshes, ".obj", change=to_camera(collection))
    of_z_up = read_predictions(tmp_path / "z", collection, "z-up")
    assert_same(score(collection, of_z_up.surfaces), from_memory)
    of_camera = read_predictions(tmp_path / "camera", collection, "camera")
    assert_same(score(collection, of_camera.surfaces), from_memory, 1e-5)
    wrong = score(collection, read_predictions(tmp_path / "z", collection, "y-up").surfaces)
    assert wrong.cd["search_icp"].mean() > 1.2 * from_memory.cd["search_icp"].mean()


def test_the_front_of_a_z_up_mesh_looks_toward_minus_y():
    assert (np.array([[0.0, -1, 0], [0, 0, 1], [1, 0, 0]]) @ Z_UP == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]).all()


def test_the_camera_of_each_evaluated_view_turns_its_image(tmp_path, collection, meshes, from_memory):
    index = collection.evaluation_index + np.arange(len(collection.evaluation_index)) % 4  # views 0 to 3
    views = replace(collection, evaluation_index=index)
    view = dict(zip(evaluated(views), views.view[index].tolist(), strict=True))
    write_all(tmp_path, meshes, ".obj", lambda name: f"{name}_{view[name]:02}", to_camera(views))
    predicted = read_predictions(tmp_path, views, "camera")
    assert predicted.by == "image"
    assert predicted.indices.tolist() == index.tolist()
    assert_same(score(views, predicted.surfaces, index), from_memory, 1e-5)


def test_an_unknown_frame_is_refused_with_the_three(tmp_path, collection):
    words = refusal(tmp_path, collection, "z_up")
    assert "did you mean z-up?" in words
    assert all(frame in words for frame in FRAMES)


def test_an_object_of_several_evaluated_images_has_no_one_camera(tmp_path, collection, meshes):
    views = replace(collection, evaluation_index=np.arange(4))
    write_all(tmp_path, meshes)
    assert "name files by image" in refusal(tmp_path, views, "camera")
    predicted = read_predictions(tmp_path, views, "y-up")
    assert predicted.indices.tolist() == [0, 1, 2, 3]


def test_a_wrong_axis_is_seen_and_a_bad_prediction_is_not_taken_for_one(tmp_path, collection, meshes):
    truths = {name: (collection.ground_truth(name).vertices, collection.ground_truth(name).faces) for name in meshes}
    write_all(tmp_path / "z", truths, change=lambda vertices, row: vertices @ TO_Z_UP)
    words = frame_warning(read_predictions(tmp_path / "z", collection, "y-up"), collection)
    assert re.search("turned by (90|270) degrees about x", words)  # an ellipsoid's head is as its foot
    assert "\n" not in words
    assert frame_warning(read_predictions(tmp_path / "z", collection, "z-up"), collection) == ""
    write_all(tmp_path / "y", truths, change=lambda vertices, row: vertices @ about_vertical(90).linear)
    assert "degrees about x" in frame_warning(read_predictions(tmp_path / "y", collection, "z-up"), collection)
    assert frame_warning(read_predictions(tmp_path / "y", collection, "y-up"), collection) == ""
    write_all(
        tmp_path / "ball", truths, change=lambda vertices, row: vertices / np.linalg.norm(vertices, axis=1)[:, None]
    )
    assert frame_warning(read_predictions(tmp_path / "ball", collection, "y-up"), collection) == ""


def test_flat_and_far_predictions_are_seen(tmp_path, collection, meshes, from_memory):
    write_all(tmp_path / "flat", meshes, change=lambda vertices, row: vertices * [1, 1, 0])
    assert "are flat" in frame_warning(read_predictions(tmp_path / "flat", collection, "y-up"), collection)
    write_all(tmp_path / "far", meshes, ".obj", change=lambda vertices, row: vertices.astype(float) + 50_000)
    predicted = read_predictions(tmp_path / "far", collection, "y-up")
    assert "1,000 times their extent" in frame_warning(predicted, collection)
    assert_same(
        score(collection, predicted.surfaces), from_memory, 1e-4
    )  # written with every digit, so nothing is lost


# --------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "by"),
    [
        (lambda name: name.replace("/", "-"), "object"),
        (lambda name: name.replace("/", "_"), "object"),
        (lambda name: name.replace("/", "__").upper(), "object"),
        (lambda name: f"{name}/0", "image"),
        (lambda name: f"{name}-0", "image"),
        (lambda name: f"{name.replace('/', '_')}_000", "image"),
    ],
)
def test_names_of_objects_and_images(tmp_path, collection, meshes, name, by):
    predicted = read_predictions(write_all(tmp_path, meshes, ".STL", name), collection, "y-up")
    assert (predicted.by, predicted.missing, predicted.extra) == (by, (), ())
    for (vertices, faces), (read, of_read) in zip(meshes.values(), predicted.surfaces, strict=True):
        assert (read[of_read] == vertices[faces]).all()


def test_a_part_of_the_objects_is_said(tmp_path, collection, meshes):
    names = evaluated(collection)
    write_all(tmp_path, {name: meshes[name] for name in names[3:6]})
    write(tmp_path / f"{names[4]}-2.ply", *meshes[names[0]])  # a view that is not evaluated
    write(tmp_path / "mug/1.ply", *meshes[names[0]])
    (tmp_path / "read.me").write_text("words")
    (tmp_path / f"{names[3]}.png").write_text("a picture of a shape that is there")
    (tmp_path / f"{names[0].replace('/', '_')}.fbx").write_text("a format that is not read")
    predicted = read_predictions(tmp_path, collection, "y-up")
    assert predicted.indices.tolist() == collection.evaluation_index[3:6].tolist()
    assert predicted.missing == (*names[:3], *names[6:])
    assert predicted.extra == tuple(
        sorted([f"{names[0].replace('/', '_')}.fbx", "mug/1.ply", "read.me", f"{names[4]}-2.ply"])
    )
    assert score(collection, predicted.surfaces, predicted.indices).object_id.tolist() == names[3:6]


def test_the_digest_follows_contents_objects_and_frame(tmp_path, collection, meshes):
    names = evaluated(collection)
    folders = [write_all(tmp_path / part, dict(list(meshes.items())[:2])) for part in "abcd"]
    write_all(folders[1], {names[0]: meshes[names[2]]})
    (folders[2] / f"{names[1]}.ply").unlink()
    (folders[3] / f"{names[0]}.ply").rename(folders[3] / f"{names[0].replace('/', '-')}.ply")
    (folders[3] / "notes.txt").write_text("words")
    first, changed, fewer, renamed = (read_predictions(folder, collection, "y-up").digest for folder in folders)
    assert first == renamed
    assert len({first, changed, fewer, read_predictions(folders[0], collection, "z-up").digest}) == 4


def test_two_files_for_one_object_are_refused(tmp_path, collection, meshes):
    name = evaluated(collection)[0]
    write(tmp_path / f"{name}.ply", *meshes[name])
    write(tmp_path / f"{name.replace('/', '-')}.obj", *meshes[name])
    words = refusal(tmp_path, collection, "y-up")
    assert f"{name}.ply" in words and f"{name.replace('/', '-')}.obj" in words and "keep one" in words


def test_names_by_object_beside_names_by_image_are_refused(tmp_path, collection, meshes):
    first, second = evaluated(collection)[:2]
    write(tmp_path / f"{first}.ply", *meshes[first])
    write(tmp_path / f"{second}-0.ply", *meshes[first])
    assert "name all files alike" in refusal(tmp_path, collection, "y-up")


def test_a_name_that_fits_two_is_refused_and_an_exact_one_is_not(tmp_path, collection, meshes):
    names = collection.object_id.copy()
    names[names == evaluated(collection)[1]] = evaluated(collection)[0].upper()
    alike = replace(collection, object_id=names)
    first, second = evaluated(alike)[:2]
    mesh = meshes[first]
    write(tmp_path / f"{first}.ply", *mesh)
    assert read_predictions(tmp_path, alike, "y-up").indices.tolist() == [0]
    write(tmp_path / f"{second.replace('/', '-')}.ply", *mesh)
    words = refusal(tmp_path, alike, "y-up")
    assert f"may be {second} or {first}" in words


def test_a_folder_that_names_nothing_says_what_it_expects(tmp_path, collection, meshes):
    name = evaluated(collection)[0]
    write(tmp_path / f"{name}x.ply", *meshes[name])
    words = refusal(tmp_path, collection, "y-up")
    assert f"did you mean {name}?" in words
    assert f"{name}.obj" in words and f"{name.replace('/', '-')}.ply" in words and f"{name}-0.glb" in words


def test_a_folder_without_predictions_is_refused(tmp_path, collection):
    assert "is no folder" in refusal(tmp_path / "none", collection, "y-up")
    (tmp_path / f"{evaluated(collection)[0].replace('/', '-')}.fbx").write_text("a mesh, but of another format")
    assert "holds no mesh or point cloud: expected files .obj, " in refusal(tmp_path, collection, "y-up")


# ----------------------------------------------------------------------------------------------------------- bad files


def corrupt_cases():
    vertices, faces = np.random.default_rng(0).normal(size=(120, 3)), np.arange(120).reshape(40, 3)

    def ply(change_vertices=None, change_faces=None):
        changed, corners = vertices.copy(), faces.copy()
        if change_vertices is not None:
            changed[change_vertices[0]] = change_vertices[1]
        if change_faces is not None:
            corners[0] = change_faces
        return trimesh.Trimesh(changed, corners, process=False).export(file_type="ply")

    text = "\n".join("0.5 {} {}".format(*row) for row in vertices[:, :2])
    return {
        "not a number": (".ply", ply((3, np.nan)), "1 of 120 are not finite"),
        "infinite": (".xyz", (text + "\n1 2 inf").encode(), "1 of 121 are not finite"),
        "empty": (".obj", b"", "has 0 bytes"),
        "blank": (".obj", b"\n", "0 vertices"),
        "header alone": (".glb", b"glTF", "not a whole .glb"),
        "no area": (".ply", ply((slice(None), (1, 2, 3))), "has no area"),
        "no extent": (".xyz", b"1 2 3\n" * 200, "has no extent"),
        "few points": (".xyz", b"1 2 3\n4 5 6\n" * 20, "40 points and no faces"),
        "two columns": (".xyz", b"1 2\n" * 200, "expected (P, 3)"),
        "words": (".xyz", b"one two three\n" * 200, "not a whole .xyz"),
        "face out of range": (".ply", ply(None, (0, 1, 700)), "faces name vertices 0..700"),
        "cut off": (".ply", ply()[:-50], "not a whole .ply"),
        "cut off text": (
            ".ply",
            trimesh.creation.box().export(file_type="ply", encoding="ascii")[:-40],
            "lines: is it",
        ),
        "compressed": (".glb", b"glTF" + bytes(16) + b"KHR_draco_mesh_compression", "write it without compression"),
        "cut off stl": (".stl", trimesh.creation.box().export(file_type="stl")[:-50], "not a whole .stl"),
        "cut off off": (".off", b"OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n", "3 of 4 vertices"),
        "no faces": (".obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "0 faces"),
        "another format": (".glb", b"solid words\nendsolid", "not a whole .glb"),
    }


@pytest.mark.parametrize("case", corrupt_cases())
def test_a_bad_file_is_named_in_one_line(tmp_path, collection, case):
    ending, content, words = corrupt_cases()[case]
    file = tmp_path / f"{evaluated(collection)[0].replace('/', '-')}{ending}"
    file.write_bytes(content)
    message = refusal(tmp_path, collection, "y-up")
    assert words in message
    assert file.name in message


def test_a_bad_file_is_named_before_any_work(tmp_path, collection, meshes):
    write_all(tmp_path, meshes)
    (tmp_path / f"{evaluated(collection)[-1]}.ply").write_bytes(b"ply")
    blind = replace(collection, _truth=None)
    with pytest.raises(MsrnError, match=f"{evaluated(collection)[-1]}.ply is not a whole"):
        score(blind, read_predictions(tmp_path, collection, "y-up").surfaces)


def test_nothing_is_unpickled(tmp_path, collection):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    file = tmp_path / f"{evaluated(collection)[0].replace('/', '-')}.npz"
    np.savez(file, points=np.array([Trap()], object))
    assert "nothing is unpickled" in refusal(tmp_path, collection, "y-up")
    file.write_bytes(pickle.dumps(Trap()))
    assert "not a whole .npz" in refusal(tmp_path, collection, "y-up")
    assert not (tmp_path / "sprung").exists()


def test_huge_files_are_refused(tmp_path, collection, meshes, monkeypatch):
    file = tmp_path / f"{evaluated(collection)[0].replace('/', '-')}.stl"
    with file.open("wb") as sparse:
        sparse.truncate(surface_files.LARGEST_FILE + 1)
    assert "expected 1 to 536,870,912" in refusal(tmp_path, collection, "y-up")
    file.write_bytes(b"words".ljust(80) + struct.pack("<I", 2**32 - 1) + bytes(50))  # it claims 200 GB
    assert "not a whole .stl" in refusal(tmp_path, collection, "y-up")
    monkeypatch.setattr(surface_files, "LARGEST", 100)
    write(file, *meshes[evaluated(collection)[0]])
    assert "more than 100" in refusal(tmp_path, collection, "y-up")
    file.unlink()
    write(file.with_suffix(".off"), *meshes[evaluated(collection)[0]])
    assert "expected at most 100" in refusal(tmp_path, collection, "y-up")


def test_links_and_folders_named_as_meshes(tmp_path, collection, meshes):
    first, second = (name.replace("/", "-") for name in evaluated(collection)[:2])
    folder, outside = tmp_path / "folder", tmp_path / "outside.ply"
    write(folder / "shapes/one.ply", *meshes[evaluated(collection)[0]])
    write(outside, *meshes[evaluated(collection)[0]])
    (folder / f"{first}.ply").symlink_to(folder / "shapes/one.ply")  # within the folder: followed
    assert len(read_predictions(folder, collection, "y-up").surfaces[0][1])
    for target, words in ((outside, "leads out of"), (folder / "none.ply", "is missing")):
        (folder / f"{second}.ply").symlink_to(target)
        assert words in refusal(folder, collection, "y-up")
        (folder / f"{second}.ply").unlink()
    (folder / f"{second}.ply").mkdir()
    assert f"{second}.ply cannot be read" in refusal(folder, collection, "y-up")
    (folder / f"{second}.ply").rmdir()
    (folder / "elsewhere").symlink_to(tmp_path)
    assert read_predictions(folder, collection, "y-up").extra == ("elsewhere", "shapes/one.ply")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is unreadable to root")
def test_what_may_not_be_read_is_named(tmp_path, collection, meshes):
    name = evaluated(collection)[0]
    write(tmp_path / f"{name}.ply", *meshes[name])
    (tmp_path / f"{name}.ply").chmod(0)
    assert f"{name}.ply may not be read" in refusal(tmp_path, collection, "y-up")
    (tmp_path / f"{name}.ply").parent.chmod(0)
    words = refusal(tmp_path, collection, "y-up")
    (tmp_path / f"{name}.ply").parent.chmod(0o700)
    assert "may not be read" in words

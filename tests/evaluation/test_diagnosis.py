"""Diagnoses of networks whose answers are made up: each measure finds what was put in."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import tiny_settings, toy_candidates
from toy_table import toy_split

from msrn import camera
from msrn.evaluation import diagnosis
from msrn.evaluation.neighbor_density import candidate_distances
from msrn.memory import Prototypes
from msrn.network import MSRN
from msrn.network.meshes import Reconstruction, plain

CODES = 4


@pytest.fixture
def train():
    return toy_split("toy", "train")


class Answers(MSRN):
    """A network that reads its answers from a list: codes and azimuths of the images, told apart by a mark."""

    def __init__(self, train, code, azimuth):
        super().__init__(tiny_settings(shape_code=CODES), len(train.categories))
        self.code, self.answer = torch.as_tensor(code, dtype=torch.float32), torch.as_tensor(azimuth)
        self.eval()

    def reconstruct(self, images):
        rows = images[:, 0, 0, 0].long() * 256 + images[:, 1, 0, 0].long()
        azimuth = self.answer[rows]
        rotation = camera.rotation(azimuth.float(), torch.tensor(30.0), torch.tensor(0.0))
        return Reconstruction(
            meshes=[plain(self.ellipsoid, self.faces)] * len(rows), rotation=rotation, azimuth=azimuth,
            code=self.code[rows], translation=self.pose_centre.expand(len(rows), 3), empty=torch.zeros(len(rows)) > 0,
        )  # fmt: skip


def marked(train):
    """The collection with every image's number in its first pixel."""
    images = np.array(train.images)
    images[:, 0, 0, 0], images[:, 1, 0, 0] = np.divmod(np.arange(len(images)), 256)
    return replace(train, images=images)


def asked(train, code, azimuth=None, prototypes=None, candidates=None):
    train = marked(train)
    azimuth = train.true_pose()[:, 0] if azimuth is None else azimuth
    network = Answers(train, code, azimuth)
    if prototypes is not None:
        values = torch.as_tensor(prototypes, dtype=torch.float32)  # (T, C, Q)
        for name in ("prototypes", "neighbor_prototypes"):
            count = getattr(network.settings, name)
            padded = torch.zeros(len(values), count, CODES)
            valid = torch.zeros(len(values), count, dtype=torch.bool)
            padded[:, : values.shape[1]], valid[:, : values.shape[1]] = values, True
            network.set_prototypes(name, Prototypes(padded, valid))
    candidates = toy_candidates(train, 3) if candidates is None else candidates
    return network, train, candidates


def corner(places) -> np.ndarray:
    """Codes (N, Q) along the axes ``places``."""
    return np.eye(CODES)[np.asarray(places)]


PLANES = np.stack([corner([0, 1])] * 3)  # the same two prototypes in every category


def test_every_object_is_asked_with_all_of_its_views(train):
    rows = diagnosis.some_images(train, 2, seed=0)
    assert len(rows) == 3 * 2 * 4 and (np.diff(rows) > 0).all()
    names, counts = np.unique(train.object_id[rows], return_counts=True)
    assert set(counts) == {4} and len({name.split("/")[0] for name in names}) == 3
    assert (rows != diagnosis.some_images(train, 2, seed=1)).any()


def test_neighbours_are_those_of_the_domain_and_held_against_the_truth(train):
    objects = np.unique(train.object_id, return_inverse=True)[1]
    network, train, candidates = asked(train, corner(objects % 2), prototypes=PLANES)
    made = diagnosis.diagnose(network, train, candidates)
    rows = diagnosis.some_images(train, diagnosis.OBJECTS, 0)[:: diagnosis.EVERY]
    chosen = objects[candidates[rows]] % 2 == objects[rows][:, None] % 2
    assert made["chosen"].value == pytest.approx(chosen.mean()) and 0.2 < chosen.mean() < 0.8
    view = train.view[candidates[rows]] != train.view[rows][:, None]  # 90 degrees apart
    assert made["other_view"].value == pytest.approx(view[chosen].mean())
    assert made["other_view"].chance == pytest.approx(view.mean())
    assert (made["same_category"].value, made["agrees"].value, made["agrees_by_halves"].value) == (1, 1, 1)
    assert made["agrees"].chance == pytest.approx(1 / 6)


def test_candidates_that_are_kept_and_refused_are_told_apart_by_their_shapes(train):
    objects = np.unique(train.object_id, return_inverse=True)[1]
    network, train, candidates = asked(train, corner(objects % 2), prototypes=PLANES)
    made = diagnosis.neighbor_measures(network, train, candidates)
    assert made == {name: diagnosis.diagnose(network, train, candidates)[name] for name in made}
    rows = diagnosis.some_images(train, diagnosis.OBJECTS, 0)[:: diagnosis.EVERY]
    distance = candidate_distances(train, rows, candidates[rows])
    chosen = objects[candidates[rows]] % 2 == objects[rows][:, None] % 2
    by_category = lambda part: np.mean([distance[part & (category == term)].mean() for term in range(3)])  # noqa: E731
    category, every = train.category[rows][:, None], np.full(chosen.shape, True)
    assert made["kept"] == pytest.approx((by_category(chosen), by_category(every)))
    assert made["rejected"] == pytest.approx((by_category(~chosen), by_category(every)))
    network.settings = network.settings.model_copy(update={"neighbor_filter": "known"})
    assert diagnosis.neighbor_measures(network, train, candidates)["chosen"].value == 1


def test_a_category_of_unlike_shapes_is_no_choice_of_far_ones():
    """Within each category the kept are nearer, but the one that keeps most has shapes far apart."""
    distance = np.array([[1.0, 2.0, 2.0, 2.0], [20.0, 20.0, 20.0, 22.0], [5.0, 5.0, 5.0, 5.0]])
    kept = np.array([[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]], bool)
    assert distance[kept].mean() > distance[~kept].mean()
    found = diagnosis._kept_and_refused(distance, kept, np.arange(3))
    np.testing.assert_allclose(found, [10.5, 12.0, (1.75 + 20.5) / 2])  # the third refuses none
    kept, refused, every = diagnosis._kept_and_refused(distance, np.ones((3, 4), bool), np.arange(3))
    assert kept == every == pytest.approx(distance.mean()) and np.isnan(refused)


def test_a_pose_that_is_half_a_turn_off_agrees_by_halves_only(train):
    true = train.true_pose()[:, 0]
    objects = np.unique(train.object_id, return_inverse=True)[1]
    turned = (true + 180 * (objects % 2) + 45) % 360  # a constant turn is no error
    network, train, candidates = asked(train, corner(np.zeros(60, int)), turned, PLANES)
    made = diagnosis.diagnose(network, train, candidates)
    rows = diagnosis.some_images(train, diagnosis.OBJECTS, 0)[:: diagnosis.EVERY]
    alike = objects[candidates[rows]] % 2 == objects[rows][:, None] % 2
    assert made["agrees"].value == pytest.approx(alike.mean()) and made["agrees_by_halves"].value == 1


def test_sides_are_those_from_which_a_category_is_seen(train):
    def sides(azimuth):
        return diagnosis.diagnose(*asked(train, corner(np.zeros(60, int)), azimuth))["sides"]

    true = train.true_pose()[:, 0]  # four directions, a quarter turn apart
    assert sides(true).value == pytest.approx(4)
    assert 4 < sides(true).chance < 12
    assert sides(true % 180).value == pytest.approx(2)  # front and back taken for one
    assert sides(np.full(60, -1e-9)).value == sides(np.full(60, 360.0)).value == 1


def test_domains_by_view_are_told_from_domains_by_object(train):
    by_view = diagnosis.diagnose(*asked(train, corner(train.view % 2), prototypes=PLANES))
    objects = np.unique(train.object_id, return_inverse=True)[1]
    by_object = diagnosis.diagnose(*asked(train, corner(objects % 2), prototypes=PLANES))
    assert by_object["one_domain"].value == 1 > by_object["one_domain"].chance > 0.5
    assert by_view["one_domain"].value == 0.5
    assert by_object["directions"].value == pytest.approx(0, abs=1e-6)
    quarter = np.isin(train.view, (0, 1)).astype(int)
    assert diagnosis.diagnose(*asked(train, corner(quarter), prototypes=PLANES))["directions"].value == pytest.approx(
        0.5**0.5
    )


def test_objects_of_one_domain_may_be_nearer(train):
    """Shapes of the toy set are the flatter the higher their number: domains of low and of high ones are closer."""
    high = np.array([int(name.split("/")[1][0]) > 2 for name in train.object_id]).astype(int)
    alike = diagnosis.diagnose(*asked(train, corner(high), prototypes=PLANES))["shapes"]
    mixed = diagnosis.diagnose(*asked(train, corner(np.zeros(60, int)), prototypes=PLANES))["shapes"]
    assert alike.value < 0.9 < mixed.value == pytest.approx(1, abs=0.01) and alike.chance == 1


def test_codes_may_tell_the_category(train):
    prototypes = np.stack([corner([term]) for term in range(3)])
    right = diagnosis.diagnose(*asked(train, corner(train.category), prototypes=prototypes))
    wrong = diagnosis.diagnose(*asked(train, corner((train.category + 1) % 3), prototypes=prototypes))
    assert (right["told"].value, wrong["told"].value) == (1, 0) and right["told"].chance == pytest.approx(1 / 3)


def test_attention_is_that_of_the_compensation(train):
    prototypes = 20 * np.stack([corner([term, 3]) for term in range(3)])
    network, train, candidates = asked(train, corner(train.category), prototypes=prototypes)
    assert np.isnan(diagnosis.diagnose(network, train, candidates)["attention"].value)
    network.compensating = True
    made = diagnosis.diagnose(network, train, candidates)
    assert made["attention"].value == pytest.approx(1, abs=1e-4) and made["attention"].chance == pytest.approx(1 / 3)
    assert made["attended"].value == pytest.approx(1, abs=1e-3) and made["attended"].chance == 6
    assert made["change"].value == 0  # Lin starts as [I, 0]
    network.set_prototypes("prototypes", Prototypes(torch.zeros(3, 3, CODES), torch.ones(3, 3, dtype=torch.bool)))
    assert diagnosis.diagnose(network, train, candidates)["attended"].value == pytest.approx(9)


def test_a_network_without_prototypes_has_candidates_for_neighbours_and_no_domains(train):
    made = diagnosis.diagnose(*asked(train, corner(np.zeros(60, int))))
    assert made["chosen"].value == 1
    empty = {name for name, measure in made.items() if np.isnan(measure.value)}
    assert empty == {"rejected", "told", "one_domain", "directions", "shapes", "attention", "attended", "change"}

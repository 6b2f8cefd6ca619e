"""Candidates against brute force and by hand; none may ever show the same object."""

import numpy as np
import pytest
from toy_table import toy_request

from msrn.errors import MsrnError
from msrn.experiments.paper import TABLES
from msrn.experiments.runner import WHOLE, Experiment, job_of, neighbors_of
from msrn.neighbors import candidates


def unit(n: int, d: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, categories and object names of 80 images whose objects have 1 to 6 views each, shuffled."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(40), rng.integers(1, 7, 40))[:80]
    owner = rng.permutation(owner)
    return unit(80, 16, seed), owner % 3, np.array([f"object-{i}" for i in owner])


def ranked(features, category, object_id, scope, own=False) -> list[list[int]]:
    """Every image's possible candidates, most similar first; with ``own``, other views of its object as well."""
    rows = []
    for i in range(len(features)):
        allowed = [
            j
            for j in range(len(features))
            if (object_id[j] != object_id[i] or (own and j != i)) and (scope == "all" or category[j] == category[i])
        ]
        rows.append(sorted(allowed, key=lambda j: (-float(features[i].astype(float) @ features[j]), j)))
    return rows


def brute(*given, own=False):
    *images, count, scope = given
    return np.array([row[:count] for row in ranked(*images, scope, own)])


@pytest.mark.parametrize("scope", ["category", "all"])
@pytest.mark.parametrize("seed", range(4))
def test_candidates_equal_brute_force(scope, seed):
    features, category, object_id = make(seed)
    found = candidates.find_candidates(features, category, object_id, 6, scope)
    assert found.dtype == np.int64 and np.array_equal(found, brute(features, category, object_id, 6, scope))
    assert (object_id[found] != object_id[:, None]).all()
    assert scope == "all" or (category[found] == category[:, None]).all()


def close_images(count: int, size: int, seed: int, groups: int = 4) -> np.ndarray:
    """Unit rows around a few centres, so close that float32 products cannot tell many of them apart, some equal."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(groups, size))[rng.integers(0, groups, count)]
    rows += 10.0 ** rng.uniform(-8, -1, (count, 1)) * rng.normal(size=(count, size))
    rows[rng.integers(0, count, count // 8)] = rows[rng.integers(0, count, count // 8)]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def in_whole_numbers(features, images, owner, count, distinct):
    """By Python's integers: features in steps of 2^-26, similarities in steps of 2^-30, rounded down."""
    steps = [[round(float(x) * 2**26) for x in row] for row in features[images].astype(np.float32)]
    rows = []
    for i, one in zip(images, steps, strict=True):
        products = (sum(a * b for a, b in zip(one, two, strict=True)) for two in steps)
        similarity = {j: product >> 22 for j, product in zip(images, products, strict=True)}
        ranking = sorted((j for j in images if owner[j] != owner[i]), key=lambda j: (-similarity[j], j))
        if distinct:
            ranking = [next(j for j in ranking if owner[j] == k) for k in dict.fromkeys(owner[j] for j in ranking)]
        rows.append(ranking[:count])
    return np.array(rows)


@pytest.mark.parametrize("kind", ["float32", "float16"])
@pytest.mark.parametrize(("count", "distinct"), [(13, False), (5, True)])
def test_not_a_bit_depends_on_blocks(monkeypatch, tmp_path, kind, count, distinct):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "features.npy", close_images(150, 48, 0).astype(kind))
    features, owner = np.load(tmp_path / "features.npy", mmap_mode="r"), rng.integers(0, 12, 150)
    images = np.sort(rng.permutation(150)[:100])
    expected = in_whole_numbers(features, images, owner, count, distinct)
    for block, ranks in ((1024, 1 << 26), (7, 1 << 26), (40, 900), (16, 1)):
        monkeypatch.setattr(candidates, "BLOCK", block)
        monkeypatch.setattr(candidates, "RANKS", ranks)
        parts = candidates._most_similar(features, images, owner[images], count, distinct, "cpu")
        order, near = (np.concatenate(column) for column in zip(*parts, strict=True))
        assert np.array_equal(order, images) and np.array_equal(near, expected)


def test_equal_images_rank_by_number():
    features = np.tile(unit(1, 64), (30, 1))
    object_id = np.array([f"{i // 2}" for i in range(30)])
    found = candidates.find_candidates(features, np.zeros(30, int), object_id, 4)
    assert [found[i].tolist() for i in (0, 3, 29)] == [[2, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 3]]


def test_twins_of_the_same_object_are_still_excluded():
    """Views of one object are each other's nearest by far. Asking for all other images gives those, each once."""
    features, object_id = np.repeat(unit(10, 8), 4, axis=0), np.repeat([f"o{i}" for i in range(10)], 4)
    found = candidates.find_candidates(features, np.zeros(40, int), object_id, 36)
    for i, row in enumerate(found):
        assert set(row) == set(np.flatnonzero(object_id != object_id[i])) and len(set(row)) == 36


def test_too_few_other_images_is_one_line_that_says_what_to_do():
    features, category = unit(12, 4), np.array([0] * 8 + [1] * 4)
    object_id = np.array(list("aabbccdd") + list("eeef"))
    candidates.find_candidates(features, category, object_id, 1, categories=("car", "lamp"))
    with pytest.raises(MsrnError, match=r"category 'lamp' .*only 1 images of other objects, fewer than the 3 .*most 1"):
        candidates.find_candidates(features, category, object_id, 3, categories=("car", "lamp"))
    with pytest.raises(MsrnError, match="category 1 .*only 1 "):
        candidates.find_candidates(features, category, object_id, 3)
    candidates.find_candidates(features, category, object_id, 9, scope="all")
    with pytest.raises(MsrnError, match="the collection .*only 9 .*fewer than the 10 .*candidates"):
        candidates.find_candidates(features, category, object_id, 10, scope="all")


# distinct objects, each shown by the most different of its silhouettes


def discs(count: int, size: int, seed: int) -> np.ndarray:
    """Masks (N,H,W) of discs and of nothing."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    cx, cy, radius = rng.uniform(0.3, 0.7, (2, count)).tolist() + [rng.uniform(-0.05, 0.4, count)]
    inside = (x - np.array(cx)[:, None, None]) ** 2 + (y - np.array(cy)[:, None, None]) ** 2
    return inside < (radius * np.abs(radius))[:, None, None]


def overlaps(masks):
    """IoU of the silhouettes of two images, by their numbers."""
    shares = masks.reshape(len(masks), 16, masks.shape[1] // 16, 16, masks.shape[2] // 16).mean((2, 4))
    shares = np.round(shares * 255).astype(int)
    return lambda i, j: np.minimum(shares[i], shares[j]).sum() / max(1, np.maximum(shares[i], shares[j]).sum())


def brute_distinct(features, category, object_id, count, scope, masks, own=False):
    overlap, rows = overlaps(masks), []
    for i, others in enumerate(ranked(features, category, object_id, scope, own)):
        best = list(dict.fromkeys(object_id[j] for j in others))[:count]
        different = sorted(others, key=lambda j: (overlap(i, j), j))
        rows.append([next(j for j in different if object_id[j] == name) for name in best])
    return np.array(rows)


@pytest.mark.parametrize("scope", ["category", "all"])
@pytest.mark.parametrize("seed", range(3))
def test_distinct_objects_equal_brute_force(scope, seed):
    features, category, object_id = make(seed)
    masks = discs(len(features), 32, seed)
    found = candidates.find_candidates(features, category, object_id, 3, scope, "distinct", masks)
    assert np.array_equal(found, brute_distinct(features, category, object_id, 3, scope, masks))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_candidates_of_objects_that_lie_in_several_categories_equal_brute_force(seed, own):
    """As clusters put them: what an object shows lies in the image's own cluster."""
    features, category, object_id = make(seed)
    category, masks = np.arange(len(category)) % 2, discs(len(features), 32, seed)
    given, own_views = (features, category, object_id, 3, "category"), "allowed" if own else "never"
    found = candidates.find_candidates(*given, "distinct", masks, own_views=own_views)
    assert np.array_equal(found, brute_distinct(*given, masks, own)) and (category[found] == category[:, None]).all()
    assert (found != np.arange(len(found))[:, None]).all()


# other views of the own object, for yardsticks


@pytest.mark.parametrize("scope", ["category", "all"])
@pytest.mark.parametrize("seed", range(3))
def test_own_views_take_part_where_they_are_allowed(scope, seed):
    """As the literal Eq. 27 has it: by the letter, and as one of the distinct objects."""
    features, category, object_id = make(seed)
    features[object_id == object_id[0]] = features[0]  # nearest by far
    given, masks = (features, category, object_id, 3, scope), discs(len(features), 32, seed)
    near = candidates.find_candidates(*given, own_views="allowed")
    shown = candidates.find_candidates(*given, "distinct", masks, own_views="allowed")
    assert np.array_equal(near, brute(*given, own=True))
    assert np.array_equal(shown, brute_distinct(*given, masks, own=True))
    for found in (near, shown):
        assert (found != np.arange(len(found))[:, None]).all() and (object_id[found] == object_id[:, None]).any()
    assert (np.sum(object_id[shown] == object_id[:, None], 1) <= 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_own_views_alone_are_those_that_look_most_different(seed):
    features, category, object_id = make(seed)
    names, sizes = np.unique(object_id, return_counts=True)
    rows = np.flatnonzero(np.isin(object_id, names[sizes > 2]))
    features, category, object_id = features[rows], category[rows], object_id[rows]
    masks = discs(len(rows), 32, seed)
    found = candidates.find_candidates(features, category, object_id, 2, "category", "any", masks, own_views="only")
    overlap = overlaps(masks)
    for i, row in enumerate(found):
        others = [j for j in range(len(rows)) if object_id[j] == object_id[i] and j != i]
        assert row.tolist() == sorted(others, key=lambda j: (overlap(i, j), j))[:2]


def test_an_object_of_too_few_views_and_missing_masks_are_one_line():
    features, category, names = unit(7, 4), np.zeros(7, int), np.array(list("aaabbbc"))
    given, masks = (features, category, names), np.ones((7, 32, 32), bool)
    with pytest.raises(MsrnError, match="own_views = 'only': .* object c has only 0 other views, fewer than the 1 "):
        candidates.find_candidates(*given, 1, masks=masks, own_views="only")
    with pytest.raises(MsrnError, match="own_views = 'only' compares silhouettes, .*no masks: set it to never"):
        candidates.find_candidates(*given, 1, own_views="only")


@pytest.mark.parametrize("count", [1, 3, 4])
def test_random_objects_stand_in_the_latter_half(count):
    features, category, object_id = make(0)
    masks, given = discs(len(features), 32, 0), (features, category, object_id, count, "category")
    known = candidates.find_candidates(*given, "distinct", masks)
    found, again, other = (candidates.find_candidates(*given, "half-random", masks, seed=seed) for seed in (0, 0, 1))
    half = (count + 1) // 2
    assert np.array_equal(found, again) and np.array_equal(found[:, :half], known[:, :half])
    assert np.array_equal(found, known) == (count == 1) and (count == 1 or not np.array_equal(found, other))
    whole = candidates.find_candidates(features, category, object_id, 4, "category", "distinct", masks)
    for image, row in enumerate(found):
        names = object_id[row].tolist()
        assert len(set(names)) == count and object_id[image] not in names and set(category[row]) == {category[image]}
        place = dict(zip(object_id[whole[image]], whole[image], strict=True))  # the view that each object shows
        assert all(place.get(name, shown) == shown for name, shown in zip(names, row, strict=True))


@pytest.fixture
def strips():
    """Seven images in the plane: degrees apart as similarity, upright strips of 16 columns as masks.

    Image 0 of object a covers columns 0 to 7. The others' IoU with it is in the last column.
    """
    rows = [
        ("a", 0, range(0, 8), 1),
        ("b", 1, range(0, 8), 1),
        ("b", 2, range(4, 12), 4 / 12),
        ("c", 3, range(2, 10), 6 / 10),
        ("c", 4, range(8, 16), 0),
        ("d", 5, range(4, 12), 4 / 12),
        ("a", 6, range(0, 16), 8 / 16),
    ]
    names, degrees, columns, overlap = zip(*rows, strict=True)
    angle = np.deg2rad(degrees)
    features = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
    masks = np.zeros((7, 32, 32), bool)
    for mask, covered in zip(masks, columns, strict=True):
        mask[:, 2 * covered.start : 2 * covered.stop] = True
    return features, np.zeros(7, int), np.array(names), masks, overlap


@pytest.mark.parametrize(
    ("count", "objects", "expected"),
    [
        (3, "any", [1, 2, 3]),
        (3, "distinct", [2, 4, 5]),
        (2, "distinct", [2, 4]),  # b and c are more similar than d
    ],
)
def test_candidates_by_hand(strips, count, objects, expected):
    features, category, names, masks, _ = strips
    found = candidates.find_candidates(features, category, names, count, "all", objects, masks)
    assert found[0].tolist() == expected


def test_of_silhouettes_that_differ_alike_the_lower_number_is_shown(strips):
    features, category, names, masks, _ = strips
    masks[2] = masks[1]
    assert candidates.find_candidates(features, category, names, 1, "all", "distinct", masks)[0].tolist() == [1]


def test_overlap_is_the_iou_of_silhouettes(strips):
    *_, masks, overlap = strips
    shares = candidates._silhouettes(masks)
    assert candidates._overlap(shares, 0, np.arange(7)) == pytest.approx(overlap)
    empty = candidates._silhouettes(np.zeros((2, 64, 64), bool))
    assert candidates._overlap(empty, 0, np.array([1])) == 0
    half = np.zeros((2, 64, 64), bool)
    half[:, :, 2:], half[1, :, :4] = True, False  # in the cells at the edge: half against nothing
    assert candidates._overlap(candidates._silhouettes(half), 0, np.array([1])) == pytest.approx(15 / 15.5, abs=2e-3)


def test_too_few_objects_and_missing_masks_are_one_line():
    features, category, names = unit(9, 4), np.zeros(9, int), np.array(list("aaabbbccc"))
    candidates.find_candidates(features, category, names, 6)
    with pytest.raises(
        MsrnError, match="only 2 other objects, fewer than the 3 .*at most 2, .*candidate_objects to any"
    ):
        candidates.find_candidates(features, category, names, 3, objects="distinct", masks=np.ones((9, 32, 32), bool))
    with pytest.raises(MsrnError, match="candidate_objects = 'distinct' .*no masks: set it to any"):
        candidates.find_candidates(features, category, names, 2, objects="distinct")


def test_an_experiment_takes_its_candidates_from_the_settings(toy_data):
    found = {}
    for overrides in (
        {}, {"candidate_objects": "distinct"}, {"candidate_scope": "all"}, {"own_views": "allowed"},
        {"own_views": "only"},
    ):  # fmt: skip
        request = toy_request(**overrides)
        experiment = Experiment(TABLES["table8"], request, progress=False)
        job = job_of(experiment, WHOLE, 0)
        s, train = request.settings, job.train
        found[str(overrides)] = neighbors_of(experiment, job)
        assert np.array_equal(
            found[str(overrides)],
            candidates.find_candidates(
                experiment.given(job).features(train), train.category, train.object_id, s.candidates, s.candidate_scope,
                s.candidate_objects, train.masks, own_views=s.own_views,
            ),
        )  # fmt: skip
    assert len({array.tobytes() for array in found.values()}) == 5

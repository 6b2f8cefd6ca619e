"""Photographs to segmented images: cut out and kept, known and unknown categories, masks of three kinds."""

import numpy as np
import pytest
from photographs import bright, onnx_file, photographs, tiny

from msrn.errors import MsrnError
from msrn.foreground import pipeline
from msrn.foreground.pipeline import Foreground
from msrn.foreground.saliency import Saliency
from msrn.store.array_cache import cached_arrays


@pytest.fixture
def network(tmp_path, monkeypatch) -> str:
    """A network file whose masks are the rectangles of the photographs."""
    monkeypatch.setattr(Saliency, "_map", lambda self, image: bright(image[None])[0].astype(float))
    return str(onnx_file(tmp_path / "bright.onnx"))


def make(network: str, masks: str = "off-the-shelf", train=None, **more) -> Foreground:
    settings = tiny(masks=masks, cue_steps=2, **more)
    return Foreground(train or photographs(5), settings, seed=0, progress=False, weights={"saliency": network})


def test_off_the_shelf_masks_are_cut_out_and_kept(network, monkeypatch):
    collection = photographs(5, _true_masks=np.ones((5, 37, 91), bool))
    made = make(network).apply(collection)
    assert made.images.shape == (5, 3, 64, 64) and made.masks.shape == (5, 64, 64) and made.masks.dtype == bool
    assert made.masks.any((1, 2)).all() and not made.masks.all((1, 2)).any()
    assert (np.moveaxis(np.asarray(made.images), 1, -1)[~made.masks] > 250).mean() > 0.9  # white but for soft edges
    assert made.fingerprint != collection.fingerprint and made.true_masks().shape == (5, 64, 64)
    monkeypatch.setattr(Foreground, "_segment", lambda *a: pytest.fail("segmented again"))
    again = make(network).apply(collection)
    assert again.fingerprint == made.fingerprint and np.array_equal(again.images, made.images)


def test_a_collection_without_known_truth_is_segmented_and_photographs_without_foreground_stay_empty(network):
    collection = photographs(5)
    collection.images[2] = 0
    made = make(network).apply(collection)
    assert made._true_masks is None and made.masks.any((1, 2)).tolist() == [True, True, False, True, True]
    assert (made.images[2] == 255).all()


def test_an_object_too_thin_for_the_frame_counts_as_none(network, monkeypatch, capsys):
    """A mask may vanish when it is brought to 64 pixels; what training leaves out is what the warning counts."""
    diagonal = np.eye(128, dtype=float)
    monkeypatch.setattr(Saliency, "_map", lambda self, image: diagonal)
    made = make(network).apply(photographs(3, shape=(128, 128)))
    assert not made.masks.any() and "no foreground was found in 3 of 3 images" in capsys.readouterr().err


def test_segmenting_goes_on_where_it_was_interrupted(network, monkeypatch):
    monkeypatch.setattr(pipeline, "BATCH", 2)
    collection, asked, masks = photographs(7), [], Foreground._masks

    def interrupted(self, images, rows):
        if rows.start == 4 and 4 not in asked:
            asked.append(4)
            raise KeyboardInterrupt
        asked.append(rows.start)
        return masks(self, images, rows)

    monkeypatch.setattr(Foreground, "_masks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(network).apply(collection)
    assert asked == [0, 2, 4]
    made = make(network).apply(collection)
    assert asked == [0, 2, 4, 4, 6]  # the first two batches were kept
    monkeypatch.setattr(pipeline, "cached_arrays", lambda kind, key, build, resume: cached_arrays("anew", key, build))
    anew = make(network).apply(collection)
    assert asked[5:] == [0, 2, 4, 6]
    for name in ("images", "masks"):
        assert np.array_equal(getattr(made, name), getattr(anew, name))


def test_a_collection_with_masks_passes_through(network):
    collection = photographs(5, masks=np.ones((5, 37, 91), bool))
    assert make(network).apply(collection) is collection


def test_refined_masks_lie_inside_the_coarse_ones_and_follow_the_threshold(network):
    collection = photographs(5)
    strict, lax = make(network, "refined", cue_threshold=0.9), make(network, "refined", cue_threshold=0.0)
    assert strict.perceptron and lax.perceptron
    coarse = bright(collection.images)
    few, all_of_them = (f.masks(collection.images, collection.category) for f in (strict, lax))
    assert np.array_equal(all_of_them, coarse)
    assert not (few & ~coarse).any() and few.sum() < coarse.sum()
    assert strict.log and strict._folder == lax._folder  # the threshold costs no training


def test_both_kinds_of_refinement_by_hand(network):
    soft = np.array([[[255, 153, 102]]], np.uint8)
    cues = np.array([[[0.0, 1.0, 1.0]]], np.float32)
    weighed = make(network, "refined", refinement="weigh")  # .7, .42 + .3, .28 + .3
    assert weighed.combined(soft, cues).tolist() == [[[True, True, True]]]
    removed = make(network, "refined", refinement="remove", cue_threshold=0.5)
    assert removed.combined(soft, cues).tolist() == [[[False, True, False]]]


def test_cues_of_unknown_categories_are_those_of_the_likeliest(network):
    images = photographs(5).images
    foreground = make(network, "refined")
    assert foreground.perceptron
    unknown = foreground.cues(images, None)
    known = np.stack([foreground.cues(images, np.full(5, term)) for term in range(3)])
    assert unknown.shape == (5, 37, 91)
    assert all(any(np.array_equal(cue, known[t, i]) for t in range(3)) for i, cue in enumerate(unknown))


def test_fine_tuning_looks_at_no_true_mask_and_is_done_once(network, monkeypatch):
    foreground = make(network, "refined", train=photographs(2, 1))  # fewer images than a batch, one category
    assert foreground.perceptron.training is False
    monkeypatch.setattr("msrn.foreground.pipeline.tune", lambda *a: pytest.fail("tuned again"))
    again = make(network, "refined", train=photographs(2, 1)).perceptron
    for name, value in again.state_dict().items():
        assert value.equal(foreground.perceptron.state_dict()[name]), name


def test_fine_tuning_starts_by_itself_when_masks_are_asked_for(network):
    collection = photographs(5)
    assert make(network, "refined").masks(collection.images, collection.category).shape == (5, 37, 91)


def test_clusters_refuse_masks_that_categories_refine(network):
    with pytest.raises(MsrnError, match="categories = 'clusters': .* cues .*; set masks to off-the-shelf as well"):
        make(network, "refined", categories="clusters")
    assert make(network, categories="clusters").apply(photographs(2)).masks.any()

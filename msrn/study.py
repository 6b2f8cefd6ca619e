"""The study behind profile laptop: what each setting does, scored on the val split.

It answers what a reader with a small machine should spend minutes on. Choices are made on val and reported on test
(Table 8). The study began where ``START`` is, near the paper, and each row changes one thing of that start, or the few
that it names. What helped, alone or together, went into the profile, which is the row ``laptop``.
"""

from typing import Any

from msrn.variants import Variant

REFERENCE = "start"
START = {  # of the profile, what it was
    "batches": "category",
    "candidate_pool": 96,
    "neighbor_scale": "neighbor",
    "neighbor_prototypes": 5,
    "azimuth_prior_weight": 0.0,
    "pose_prior_weight": 1.0,
    "small_shape_code": 1,
    "small_texture_code": 2,
    "stage_switch": 1000,
    "decay_at": 1.0,
}
CATEGORY_CODES = {"first_codes": "category", "responsibility_weight": 0.1, "stage_switch": 2000}
EVEN_AZIMUTHS = {"azimuth_prior_weight": 2.0, "pose_prior_weight": 0.0}
IN_GROUPS = {
    **EVEN_AZIMUTHS,
    "batches": "groups",
    "neighbor_scale": "own",
    "neighbor_prototypes": 1,
    "small_shape_code": 32,
    "small_texture_code": 64,
    "stage_switch": 500,
    "decay_at": 0.6,
}


def _row(name: str, question: str, **overrides: Any) -> Variant:
    """A row that differs from the start in ``overrides``."""
    return Variant(name, overrides={**START, **overrides}, question=question)


STUDY = (
    _row(REFERENCE, "Where the study began."),
    # resolution and mesh
    _row("64 pixels", "Do finer images pay for their time?", image_size=64),
    _row("finer mesh", "Does a mesh of four times the faces?", mesh_level=3),
    # the renderer's edge: 4e-4 is as soft in pixels of 32 x 32 as 1e-4 in those of 64 x 64
    _row("softer edges", "Do edges as soft in pixels as the paper's teach more?", sigma=4e-4),
    # capacity
    _row("narrow encoder", "Is half the encoder enough?", encoder_width=16),
    _row("wide encoder", "Does twice the encoder help?", encoder_width=64),
    _row("shape code 16", "How many numbers does a shape need?", shape_code=16),
    _row("shape code 64", "Does a shape need more numbers?", shape_code=64),
    _row("texture code 16", "Does a poor texture force the shape to explain the image?", texture_code=16),
    # length and schedule
    _row("half the steps", "What is learned early?", steps=2500),
    _row("twice the steps", "What does the next doubling of the time buy?", steps=10_000),
    _row("four times the steps", "And the next?", steps=20_000),
    _row("one night", "What does a night buy, in which a laptop trains all three rows of Table 8?", steps=80_000),
    _row("softer edges, four times the steps", "Do softer edges pay in the long run?", sigma=4e-4, steps=20_000),
    _row("early switch", "When may the codes open and neighbours count?", stage_switch=500),
    _row("late switch", "Should codes and neighbours wait for better shapes?", stage_switch=2000),
    _row("learning rate 2e-4", "Are the steps too long?", learning_rate=2e-4),
    _row("learning rate 1e-3", "Are the steps too short?", learning_rate=1e-3),
    _row("decay", "Should the steps become shorter at the end?", decay_at=0.6),
    # data
    Variant("20 objects", overrides=START, objects=20, question="How many objects of a category must be seen?"),
    Variant("8 views", overrides=START, views=8, question="How many images of an object must be seen?"),
    # what stands in the way of poses and neighbours, and remedies
    _row("mixed batches", "Must a batch hold one category?", batches="mixed"),
    _row("candidates as printed", "Do neighbours that look alike suffice?", candidate_objects="any", candidate_pool=0),
    _row("no pool", "Is the most similar view of each object enough?", candidate_pool=0),
    _row("any view", "And if any view of a similar object may be the neighbour?", candidate_pool="all"),
    _row(
        "both as printed",
        "The paper by the letter in both.",
        batches="mixed",
        candidate_objects="any",
        candidate_pool=0,
    ),
    _row("no axis scale", "What does the scale that the paper does not mention do?", axis_scale=0.0),
    _row("small code 8", "Does a first stage with several shapes settle directions?", small_shape_code=8),
    _row("12 candidates", "Do more candidates give more views?", candidates=12),
    _row("every neighbour", "Is one neighbour per step too noisy?", neighbor_samples=0),
    _row("weak pose prior", "Does Unicorn's weight of the pose prior do?", pose_prior_weight=0.02),
    _row("even azimuths", "Do azimuths spread if that is what is asked of them?", **EVEN_AZIMUTHS),
    _row("even azimuths in groups", "And with all that seems to help besides?", **IN_GROUPS),
    _row("even azimuths in groups, four times the steps", "Does that need longer?", **IN_GROUPS, steps=20_000),
    _row("responsibilities", "Must a pose that fits better be taken up at once?", responsibility_weight=0.1),
    _row("category codes", "Which side is front, if a category shares its first shape?", **CATEGORY_CODES),
    _row(
        "category codes, four times the steps",
        "Does that need longer?",
        **{**CATEGORY_CODES, "stage_switch": 8000},
        steps=20_000,
    ),
    _row("w/o NC", "What is left without neighbours?", neighbor_consistency=False),
    _row("stiffer mesh", "Ten times the smoothing.", normal_weight=0.1, laplacian_weight=0.1),
    # what came of it
    Variant("laptop", question="Even azimuths in groups and any view together: the profile as it stands."),
    Variant("night", overrides={"steps": 20_000}, question="And four times as long: profile night."),
)

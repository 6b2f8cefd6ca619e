"""The study behind profile laptop: what each setting does, scored on the val split.

It answers what a reader with a small machine should spend minutes on. Choices are made on val and reported on test
(Table 8). The study began where ``START`` is, near the paper, and each row changes one thing of that start, or the few
that it names. What helped when it was put together is the row ``together``. The rows after it change one thing of that,
and one that helped in two seeds, at no cost, is the profile, the row ``laptop``.
"""

from typing import Any

from msrn.experiments.table import Variant

REFERENCE, OUTCOME = "start", "together"
TOGETHER = {"decay_at": 0.6}  # of the profile, what it was
START = {  # and before
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
BASES = {REFERENCE: START, OUTCOME: TOGETHER}  # a table each: its first row -> settings of that row
CATEGORY_CODES = {"first_codes": "category", "responsibility_weight": 0.1, "stage_switch": 2000}
EVEN_AZIMUTHS = {"azimuth_prior_weight": 2.0, "pose_prior_weight": 0.0}
FRONT_AND_BACK = {"pose_shape": "neighbor", "responsibility_weight": 0.1, "neighbor_either_way": True}
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


def _row(name: str, question: str, views: int | None = None, **overrides: Any) -> Variant:
    """A row that differs from the start in ``overrides``."""
    return Variant(name, overrides={**START, **overrides}, question=question, views=views, reference=REFERENCE)


def _now(name: str, question: str, objects: int | None = None, **overrides: Any) -> Variant:
    """A row that differs from the outcome in ``overrides``."""
    changed = {**TOGETHER, **overrides}
    return Variant(f"{OUTCOME}, {name}", overrides=changed, question=question, objects=objects, reference=OUTCOME)


STUDY = (
    _row(REFERENCE, "Where the study began."),
    # the renderer's edge: 4e-4 is as soft in pixels of 32 x 32 as 1e-4 in those of 64 x 64
    _row("softer edges", "Do edges as soft in pixels as the paper's teach more?", sigma=4e-4),
    # capacity
    _row("shape code 16", "How many numbers does a shape need?", shape_code=16),
    # length and schedule
    _row("half the steps", "What is learned early?", steps=2500),
    _row("four times the steps", "What does more time buy?", steps=20_000),
    _row("one night", "What does a night buy, in which a laptop trains all three rows of Table 8?", steps=80_000),
    _row("early switch", "When may the codes open and neighbours count?", stage_switch=500),
    _row("late switch", "Should codes and neighbours wait for better shapes?", stage_switch=2000),
    _row("learning rate 1e-3", "Are the steps too short?", learning_rate=1e-3),
    _row("decay", "Should the steps become shorter at the end?", decay_at=0.6),
    # data
    _row("8 views", "How many images of an object must be seen?", views=8),
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
    _row("weak pose prior", "Does Unicorn's weight of the pose prior do?", pose_prior_weight=0.02),
    _row("even azimuths", "Do azimuths spread if that is what is asked of them?", **EVEN_AZIMUTHS),
    _row("even azimuths in groups", "And with all that seems to help besides?", **IN_GROUPS),
    _row("even azimuths in groups, four times the steps", "Does that need longer?", **IN_GROUPS, steps=20_000),
    _row("even azimuths, any view", "Do both do it without groups?", **EVEN_AZIMUTHS, candidate_pool="all"),
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
    Variant(OUTCOME, overrides=TOGETHER, question="In groups and any view together.", reference=REFERENCE),
    # sides
    _now("pose prior", "Do poses see sides without even azimuths?", azimuth_prior_weight=0.0, pose_prior_weight=1.0),
    # resolution, mesh and edges
    _now("64 pixels", "Do finer images pay for their time?", image_size=64),
    _now("finer mesh", "Does a mesh of four times the faces?", mesh_level=3),
    _now("softer edges", "Do edges as soft in pixels as the paper's teach more now?", sigma=4e-4),
    # capacity
    _now("narrow encoder", "Is half the encoder enough?", encoder_width=16),
    _now("wide encoder", "Does twice the encoder help?", encoder_width=64),
    _now("shape code 64", "Does a shape need more numbers?", shape_code=64, small_shape_code=64),
    _now("texture code 16", "Does a poor texture make the shape explain more?", texture_code=16, small_texture_code=16),
    # length and schedule
    _now("four times the steps", "What does more time buy?", steps=20_000),
    _now("learning rate 2e-4", "Are the steps too long?", learning_rate=2e-4),
    # data and neighbours
    _now("20 objects", "How many objects of a category must be seen?", objects=20),
    _now("12 candidates", "Do more candidates give more views?", candidates=12),
    _now("every neighbour", "Is one neighbour per step too noisy?", neighbor_samples=0),
    # front and back
    _now(
        "poses by neighbours",
        "Which side is front, if shapes of others tell?",
        pose_shape="neighbor",
        responsibility_weight=0.1,
    ),
    _now("either way", "What if neighbours may look the other way?", neighbor_either_way=True),
    _now("front and back", "Which side is front, by shapes of others and either way?", **FRONT_AND_BACK),
    _now("front and back, four times the steps", "Does that need longer?", **FRONT_AND_BACK, steps=20_000),
    # what came of it
    Variant("laptop", question="Should the steps stay long for longer? The profile as it stands.", reference=OUTCOME),
    Variant("night", overrides={"steps": 20_000}, question="Four times as long: profile night.", reference=OUTCOME),
)

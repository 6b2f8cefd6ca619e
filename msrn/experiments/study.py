"""The study behind profile laptop: what each setting does, scored on the val split.

It answers what a reader with a small machine should spend minutes on. Choices are made on val and reported on test
(Table 8). The row ``together`` is what helped when it was put together. Each row after it changes one thing of that,
and one that helped in two seeds, at no cost, is the profile, the row ``laptop``.
"""

from typing import Any

from msrn.experiments.table import Variant

OUTCOME = "together"
TOGETHER = {"decay_at": 0.6}  # of the profile, what it was
BASES = {OUTCOME: TOGETHER}  # the first row of a table -> settings of that row
AS_PRINTED = {
    "batches": "mixed",
    "candidate_objects": "any",
    "neighbor_scale": "neighbor",
    "neighbor_prototypes": 5,
    "azimuth_prior_weight": 0.0,
    "pose_prior_weight": 1.0,
    "small_shape_code": 1,
    "small_texture_code": 2,
    "stage_switch": 1000,
    "decay_at": 1.0,
}


def _now(name: str, question: str, objects: int | None = None, **overrides: Any) -> Variant:
    """A row that differs from the outcome in ``overrides``."""
    changed = {**TOGETHER, **overrides}
    return Variant(f"{OUTCOME}, {name}", overrides=changed, question=question, objects=objects, reference=OUTCOME)


STUDY = (
    Variant(OUTCOME, overrides=TOGETHER, question="Groups, even azimuths and any view of similar objects together."),
    Variant(
        "both as printed",
        overrides=AS_PRINTED,
        question="What do batches, candidates and schedule near the paper's do?",
        reference=OUTCOME,
    ),
    # sides
    _now("pose prior", "Do poses see sides without even azimuths?", azimuth_prior_weight=0.0, pose_prior_weight=1.0),
    # resolution, mesh and edges
    _now("64 pixels", "Do finer images pay for their time?", image_size=64),
    _now("finer mesh", "Does a mesh of four times the faces?", mesh_level=3),
    _now("softer edges", "Do edges as soft in pixels as the paper's teach more now?", sigma=4e-4),
    # capacity
    _now("shape code 64", "Does a shape need more numbers?", shape_code=64, small_shape_code=64),
    _now("texture code 16", "Does a poor texture make the shape explain more?", texture_code=16, small_texture_code=16),
    # length and schedule
    _now("four times the steps", "What does more time buy?", steps=20_000),
    _now("learning rate 2e-4", "Are the steps too long?", learning_rate=2e-4),
    # data and neighbours
    _now("20 objects", "How many objects of a category must be seen?", objects=20),
    _now("12 candidates", "Do more candidates give more views?", candidates=12),
    _now("every neighbour", "Is one neighbour per step too noisy?", neighbor_samples=0),
    # what came of it
    Variant("laptop", question="Should the steps stay long for longer? The profile as it stands.", reference=OUTCOME),
    Variant("night", overrides={"steps": 20_000}, question="Four times as long: profile night.", reference=OUTCOME),
)

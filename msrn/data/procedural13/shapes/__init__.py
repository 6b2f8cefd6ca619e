"""The shapes of procedural13 (§4.1's 13 categories): parametric families, each a function of an object's number alone.

A family draws a kind (a saloon, a van) and then continuous measures and colours, and puts primitives together. The
ranges of a family meet, so that some hundred objects of a category lie close together: neighbours that a data set of
thousands has, without its size. y is up and the front looks toward +z. Fronts differ from backs in colour as well as in
shape, as those of real things do.
"""

from collections.abc import Callable

from msrn.data.ground_truth import GroundTruth
from msrn.data.procedural13.shapes.airplane import airplane
from msrn.data.procedural13.shapes.car import car
from msrn.data.procedural13.shapes.dice import Dice
from msrn.data.procedural13.shapes.electronics import display, phone, speaker
from msrn.data.procedural13.shapes.lamp import lamp
from msrn.data.procedural13.shapes.part import Part, finish
from msrn.data.procedural13.shapes.rifle import rifle
from msrn.data.procedural13.shapes.seats import bench, chair, sofa
from msrn.data.procedural13.shapes.storage import cabinet, table
from msrn.data.procedural13.shapes.vessel import vessel

FAMILIES: dict[str, Callable[[Dice], list[Part]]] = {
    "airplane": airplane, "bench": bench, "cabinet": cabinet, "car": car, "chair": chair, "display": display,
    "lamp": lamp, "phone": phone, "rifle": rifle, "sofa": sofa, "speaker": speaker, "table": table, "vessel": vessel,
}  # fmt: skip
CATEGORIES = tuple(FAMILIES)


def make_object(category: str, index: int) -> GroundTruth:
    """Object ``index`` of a category, the same whenever and wherever it is made."""
    return finish(FAMILIES[category](Dice(CATEGORIES.index(category), index)))

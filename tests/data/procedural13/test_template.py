"""The template of a category: on the mean surface, the right way up and round."""

import numpy as np
import torch

from msrn.data.procedural13 import template as templates
from msrn.data.procedural13.shapes import make_object
from msrn.data.procedural13.template import template
from msrn.losses import topology
from msrn.render.icosphere import icosphere


def test_a_template_has_the_size_and_the_direction_of_its_category():
    car = template("car", 3)
    boxes = np.array([np.ptp(make_object("car", index).vertices, axis=0) for index in range(templates.OBJECTS)])
    np.testing.assert_allclose(np.ptp(car.numpy(), axis=0), boxes.mean(0), rtol=0.15)
    # A bonnet is longer and lower than a boot: in the upper half there is more behind than in front.
    top = car[car[:, 1] > 0.08]
    assert top[:, 2].mean() < -0.02
    assert torch.equal(car, template("car", 3)) and car.dtype == torch.float32


def test_vertices_are_on_the_surface_along_their_own_direction(monkeypatch):
    monkeypatch.setattr(templates, "OBJECTS", 1)
    templates.template.cache_clear()
    sphere, faces = icosphere(2)
    vertices = template("cabinet", 2).numpy()  # convex, but for its handles and feet
    templates.template.cache_clear()
    np.testing.assert_allclose(vertices / np.linalg.norm(vertices, axis=1)[:, None], sphere.numpy(), atol=1e-5)
    points = make_object("cabinet", 0).points(50_000, seed=1)
    nearest = np.array([np.linalg.norm(points - vertex, axis=1).min() for vertex in vertices])
    assert np.quantile(nearest, 0.9) < 0.03
    assert len(topology(faces).degree) == len(vertices)

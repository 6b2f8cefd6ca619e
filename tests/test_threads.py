"""Numba's pool must not change the number of threads that torch computes with."""

import subprocess
import sys

SCRIPT = """
import torch; torch.set_num_threads(1)
import numpy as np
from msrn.data.drawing import zbuffer
from msrn.render import icosphere
vertices, faces = icosphere(1)
points = np.asarray(vertices, float)[None] + [0, 0, 3]
zbuffer.draw(points, points, np.asarray(faces), np.zeros((len(faces), 3)), 16, 2)
print(torch.get_num_threads())
"""


def test_drawing_leaves_the_number_of_torchs_threads_alone():
    """In a process of its own, where Numba's pool starts with this drawing."""
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "1"

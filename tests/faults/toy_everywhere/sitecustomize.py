"""For processes whose ``PYTHONPATH`` names this folder, kernels of notebooks among them. With ``MSRN_TEST_RESULTS``
recorded results go to that folder; with ``MSRN_TEST_TOY`` a small toy collection stands in place of every data set;
with ``MSRN_TEST_CLOCK`` the clock on the wall jumps by up to a year each time it is read. The rest is as it is.
"""

import os
import random
import sys
import time
from functools import partial
from pathlib import Path

YEAR = 365 * 24 * 3600.0


def jumping(clock=time.time) -> float:
    return clock() + random.uniform(-YEAR, YEAR)


if "MSRN_TEST_CLOCK" in os.environ:
    time.time = jumping
if "MSRN_TEST_RESULTS" in os.environ:
    from msrn import paths

    paths.RESULTS = Path(os.environ["MSRN_TEST_RESULTS"])
if "MSRN_TEST_TOY" in os.environ:
    sys.path.append(str(Path(__file__).parents[2] / "support"))

    import toy_table

    import msrn.data
    import msrn.neighbors.features

    toy_table.toy_collection = partial(toy_table.toy_collection, 3)
    msrn.data.open_collection = toy_table.toy_split
    msrn.neighbors.features.extract_features = toy_table.toy_features

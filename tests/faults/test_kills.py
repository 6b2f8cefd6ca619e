"""Processes that are killed at random moments lose nothing: what they leave goes on to the very same bits.

A few kills of each command; ``make faults`` sets ``MSRN_KILLS``. ``MSRN_KILL_SEED`` draws other moments.
"""

import os
import random
import shutil
import signal
import time

import pytest
from place import Place

KILLS, SEED = (int(os.environ.get(name, value)) for name, value in (("MSRN_KILLS", "1"), ("MSRN_KILL_SEED", "0")))
SIGNALS = signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGKILL
ON_TOYS = "run", "record", "notebook"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "record", "train", "reconstruct", "notebook"])
def test_killed_at_any_moment_nothing_is_lost(tmp_path, commands, name):
    whole, killed = (Place(tmp_path / part, name in ON_TOYS) for part in ("whole", "killed"))
    seconds, moments = whole.finish(commands[name]), random.Random(f"{name} {SEED}")
    kills = 0
    while kills < KILLS:
        process, moment = killed.start(commands[name]), moments.uniform(0, seconds)
        time.sleep(moment)
        if process.poll() is None:
            process.send_signal(SIGNALS[kills % len(SIGNALS)])
            process.wait()
            kills += 1
        else:  # done before it could be killed: begin anew
            assert process.returncode == 0, killed.said[-3000:]
            for part in ("runs", "cache", "results", "output"):
                shutil.rmtree(killed.folder / part, ignore_errors=True)
            killed = Place(killed.folder, name in ON_TOYS)
        killed.be_quiet()
    killed.finish(commands[name])
    assert killed.content() == whole.content()
    assert "damaged" not in killed.said and "Traceback" not in killed.said

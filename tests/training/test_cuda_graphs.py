"""Recorded steps: the same results as plain ones; the recording itself needs a GPU."""

import pytest
import torch

from msrn.training.cuda_graphs import WARM_UP, GraphedSteps


def counter():
    seen = []

    def step(inputs):
        seen.append(inputs["image"])
        return {"twice": 2 * inputs["image"]}

    return step, seen


def test_a_step_that_may_not_be_recorded_is_called_every_time():
    step, seen = counter()
    steps = GraphedSteps(step, recordable=False)
    found = [steps("key", {"image": torch.tensor(float(k))})["twice"].item() for k in range(6)]
    assert found == [0, 2, 4, 6, 8, 10] and len(seen) == 6


def test_every_key_is_warmed_up_then_recorded_once(monkeypatch):
    """With the recording replaced by one that computes at once, as a CUDA graph does on replay."""
    step, seen = counter()
    steps = GraphedSteps(step, recordable=True)
    made = []

    class Graph:
        def __init__(self, held):
            self.held, self.outputs = held, {"twice": torch.zeros(())}

        def replay(self):
            self.outputs["twice"].copy_(2 * self.held["image"])

    def record(inputs):
        made.append(inputs)
        graph = Graph({name: value.clone() for name, value in inputs.items()})
        return graph, graph.held, graph.outputs

    monkeypatch.setattr(steps, "_aside", step)
    monkeypatch.setattr(steps, "_record", record)
    found = [steps(k % 2, {"image": torch.tensor(float(k))})["twice"] for k in range(12)]
    assert [value.item() for value in found] == [2 * k for k in range(12)]  # none was overwritten by a later replay
    assert len(seen) == 2 * WARM_UP and len(made) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_recording_bears_a_thread_that_locks_memory():
    import threading

    weight, stop = torch.ones(4, device="cuda"), threading.Event()

    def lock():
        while not stop.is_set():
            torch.zeros(1 << 20).pin_memory()

    def step(inputs):
        weight.add_(inputs["image"])
        return {"weight": weight * 1}

    thread = threading.Thread(target=lock)
    thread.start()
    try:
        steps = GraphedSteps(step, recordable=True)
        found = [steps("key", {"image": torch.ones(4, device="cuda")})["weight"][0].item() for _ in range(8)]
    finally:
        stop.set()
        thread.join()
    assert found == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]

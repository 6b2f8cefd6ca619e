"""CUDA graphs: a training step is some two thousand small kernels, and starting them one by one takes longer than they
run. A graph records them once and starts them all together.

A step may be recorded when its kernels and shapes never change, it never waits for the device and reads nothing from
the host but its inputs.
"""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor

WARM_UP = 3  # plain steps before a recording: libraries plan, Adam makes its state


class GraphedSteps:
    """Calls ``step(inputs)`` and, where it may be recorded, replays recordings of it, one for every ``key``.

    ``step`` takes and returns mappings of tensors and changes whatever else it owns in place.
    """

    def __init__(self, step: Callable[[dict[str, Tensor]], dict[str, Tensor]], recordable: bool) -> None:
        self._step, self._recordable = step, recordable
        self._plain: dict[Hashable, int] = {}
        self._recorded: dict[Hashable, tuple] = {}

    def __call__(self, key: Hashable, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if not self._recordable:
            return self._step(inputs)
        if key not in self._recorded:
            if self._plain.get(key, 0) < WARM_UP:
                self._plain[key] = self._plain.get(key, 0) + 1
                return self._aside(inputs)
            self._recorded[key] = self._record(inputs)
        graph, buffers, outputs = self._recorded[key]
        for name, value in inputs.items():
            buffers[name].copy_(value)
        graph.replay()
        return {name: value.clone() for name, value in outputs.items()}

    def _aside(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """A plain step on a stream of its own, as a recording asks of what it repeats."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            outputs = self._step(inputs)
        torch.cuda.current_stream().wait_stream(stream)
        return outputs

    def _record(self, inputs: dict[str, Tensor]) -> tuple:
        buffers = {name: value.clone() for name, value in inputs.items()}
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        # The thread that reads ahead page-locks memory meanwhile, which a recording of every thread would not survive.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            outputs = self._step(buffers)
        return graph, buffers, outputs

"""A folder for ``loop.train`` and ``finetune.tune`` that keeps the lines of the log in memory and no checkpoint."""

from collections.abc import Callable, Mapping
from typing import Any


class LogLines(list):
    """The lines; ``at_each`` is called after every one of them."""

    is_over = False

    def __init__(self, at_each: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._at_each = at_each

    def write(self, step: int, record: Mapping[str, Any]) -> None:
        self.append({"step": step, **record})
        self._at_each()

    def save(self, run: object) -> None:
        """Nothing is kept."""

"""Signals that ask a training to stop: SIGINT (Ctrl-C), SIGTERM (``kill``, a cluster's scheduler), SIGHUP (a terminal
that is gone).

While a training loop runs, the first of them is noted; the loop ends at its next line of the log, with a checkpoint,
and raises ``Stopped``. A second one does at once what it always did, and the first does so where no line follows it.
Elsewhere all of them do: what is half done then is made again. A signal that somebody ignores (``nohup``) or handles
otherwise is left to them.
"""

import functools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
NOTED = "\n{}: the training stops at its next line of the log and is saved; a second one stops it at once\n"

_asked: int | None = None


class Stopped(KeyboardInterrupt):
    """A signal stopped a training, which is saved. Like an interruption it ends all that is under way."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text, number)
        self.number = number

    def __str__(self) -> str:
        return self.args[0]


@contextmanager
def noted(child: bool = False) -> Iterator[None]:
    """Note signals in this block, and say so. One that came too late to stop anything is raised again at its end: none
    is lost. A ``child`` leaves both to the process that started it. Only the main thread is told of signals; elsewhere,
    and inside another such block, nothing changes."""
    global _asked
    note = functools.partial(_note, child)
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: handler for number in SIGNALS if (handler := signal.getsignal(number)) in _ORDINARY}
    for number in before:
        signal.signal(number, note)
    late = None
    try:
        yield
        late = _asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if before:
            _asked = None
    if before and late and not child:
        signal.raise_signal(late)


def asked() -> int | None:
    """The signal that was noted, if any."""
    return _asked


def ask(number: int) -> None:
    """Note a signal that came to another process."""
    global _asked
    _asked = number


def stopped(label: str, step: int, steps: int) -> Stopped:
    """What to raise then, after a checkpoint."""
    name = signal.Signals(_asked).name
    return Stopped(f"{label}: stopped by {name} at step {step:,} of {steps:,}; it goes on from there", _asked)


def _note(child: bool, number: int, frame: FrameType | None) -> None:
    ask(number)
    if not child:
        os.write(2, NOTED.format(signal.Signals(number).name).encode())  # print is not safe where a signal may come
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


_ORDINARY = (signal.SIG_DFL, signal.default_int_handler)

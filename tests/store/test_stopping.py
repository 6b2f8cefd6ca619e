"""Signals while a training runs: noted once, in the main thread, and not where somebody else handles them."""

import os
import signal
import threading

import pytest

from msrn.__main__ import main
from msrn.store import stopping


@pytest.fixture(autouse=True)
def ordinary():
    """Handlers as a fresh process has them."""
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    for number in before:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_the_first_is_noted(number, capfd):
    with pytest.raises(stopping.Stopped), stopping.noted():
        with stopping.noted():  # as a loop inside a training process
            os.kill(os.getpid(), number)
        assert stopping.asked() == number
        text = f"cues: stopped by {number.name} at step 5 of 8; it goes on from there"
        assert str(stopping.stopped("cues", 5, 8)) == text
        raise stopping.stopped("cues", 5, 8)
    assert stopping.asked() is None
    assert signal.Signals(number).name in capfd.readouterr().err


def test_the_second_interrupts():
    with pytest.raises(KeyboardInterrupt), stopping.noted(child=True):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_that_comes_too_late_is_not_lost():
    """After the last line of a log: the training ends well, and what follows it must not go on."""
    with pytest.raises(KeyboardInterrupt, match="^$"), stopping.noted():
        signal.raise_signal(signal.SIGINT)
    heard = []
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with stopping.noted(child=True):  # whose parent heard it too
        signal.raise_signal(signal.SIGTERM)
        heard.append(stopping.asked())
    assert heard == [signal.SIGTERM] and stopping.asked() is None


def test_what_is_ignored_or_handled_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append("theirs"))
    with stopping.noted():
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        assert heard == ["theirs"] and stopping.asked() is None


def test_other_threads_note_nothing():
    def look():
        with stopping.noted():
            seen.append(signal.getsignal(signal.SIGTERM))

    seen = []
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


def test_the_command_says_so_and_its_exit_status_is_the_signals(monkeypatch, capsys):
    def stop(**_):
        raise stopping.Stopped("M-SRN, seed 0: stopped by SIGTERM at step 5 of 24; it goes on from there", 15)

    monkeypatch.setattr("msrn.doctor.report", stop)
    monkeypatch.setattr("sys.argv", ["msrn", "doctor"])
    with pytest.raises(SystemExit) as exit:
        main()
    assert exit.value.code == 143
    said = capsys.readouterr().err
    assert "stopped by SIGTERM at step 5 of 24; it goes on from there\nThe same command goes on" in said

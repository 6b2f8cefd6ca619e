"""Bars off a terminal: a line each twentieth of the way, in logs and in executed notebooks."""

import io

from tqdm import tqdm

from msrn.store import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(file: io.StringIO, total: int, steps: int = 1000, **how) -> str:
    for _ in tqdm(range(steps), "bar", total, file=file, mininterval=0, miniters=1, **how):
        pass
    return file.getvalue()


def test_off_a_terminal_a_bar_is_a_line_each_twentieth():
    written = shown(io.StringIO(), 1000)
    lines = written.splitlines()
    assert len(lines) == progress.SHARES + 1 and "\r" not in written and written.endswith("\n")
    assert lines[0].startswith("bar:   0%") and lines[10].startswith("bar:  50%") and lines[-1].startswith("bar: 100%")


def test_a_bar_without_an_end_is_seldom_written():
    file = io.StringIO()
    for _ in tqdm((i for i in range(1000)), "bar", file=file, mininterval=0, miniters=1):
        pass
    assert len(lines := file.getvalue().splitlines()) == 2 and "1000it" in lines[1]


def test_a_bar_that_ends_early_says_where():
    file = io.StringIO()
    with tqdm(total=1000, desc="bar", file=file, mininterval=0) as bar:
        bar.update(120)
        bar.update(10)
    assert [line[:9] for line in file.getvalue().splitlines()] == ["bar:   0%", "bar:  12%", "bar:  13%"]


def test_a_bar_that_is_off_writes_nothing():
    assert (
        shown(io.StringIO(), 10, 10, disable=True) == "" and shown(io.StringIO(), 10, 10, leave=False).count("\n") <= 21
    )


def test_on_a_terminal_it_is_drawn_over_itself():
    assert shown(Terminal(), 100, 100).count("\r") > 50

"""What a progress bar writes where nobody watches it: a line each twentieth of the way, so that logs and executed
notebooks stay short."""

from tqdm import tqdm

SHARES = 20  # lines of a whole bar
SECONDS = 30  # between two lines of one whose end is not known

_redraw = tqdm.display


def display(bar: tqdm, msg: str | None = None, pos: int | None = None) -> bool:
    """On a terminal the bar is drawn over itself as ever; elsewhere each line is written once."""
    if bar.fp.isatty():
        return _redraw(bar, msg, pos)
    if msg is not None:
        return False
    elapsed = bar.format_dict["elapsed"]
    share = int(SHARES * bar.n / bar.total) if bar.total else int(elapsed / SECONDS)
    before = getattr(bar, "written", None)
    now = bar.n, bar.postfix
    if before is None or share != before[0] or (pos == 0 and now != before[1]):  # the last, when it is closed
        bar.written = share, now
        bar.fp.write(("" if before is None else "\n") + str(bar))
        bar.fp.flush()
    return True


def settle() -> None:
    """Every bar of this process; modules that train import tqdm's own, as their digests are of what they hold."""
    tqdm.display = display

"""Every exhibit of the paper in lines for a terminal: section, rows, what it needs, what it costs, how it stands."""

from collections.abc import Iterator

from msrn.data import STAND_INS
from msrn.experiments import recorded
from msrn.experiments.paper import TABLES
from msrn.experiments.table import Table
from msrn.profiles import resolve
from msrn.report.notebooks import notebooks, order
from msrn.report.words import duration, many, seconds_of_a_run


def listing(profile: str = "auto") -> Iterator[str]:
    """A line for each table and each other notebook, under ``profile``."""
    pages, pool = notebooks(), recorded.pool()
    yield f"{'exhibit':<12} {'§':<6} {'rows':<20} {'data':<28} {'a row trains':<16} state"
    for name in sorted({*TABLES, *pages}, key=order):
        if name in TABLES:
            yield _line(TABLES[name], profile, pool, name in pages)
        else:
            yield f"{name:<12} {'':<6} {'':<20} {'':<28} {'':<16} {pages[name].stem}"


def _line(table: Table, profile: str, pool: list, page: bool) -> str:
    request = resolve(profile, data=table.data)
    group = recorded.beside(table, pool, request)
    current = group and group.follows(request)
    cost = next(reversed(seconds_of_a_run(group.models).values()), None) if current else None
    quoted = len(table.rows) - len(table.trained)
    rows = ", ".join(filter(None, [f"{len(table.trained)} trained", f"{quoted} quoted" if quoted else ""]))
    stand_in = STAND_INS.get(table.data) == request.dataset or request.dataset != table.data
    data = f"{request.dataset} for {table.data}" if stand_in else table.data
    if not group:
        state = "not recorded"
    else:
        seeds = many(len(group.some_seeds), "seed")
        state = f"{seeds} recorded" if current else f"recorded at {group.first.profile} as it was then"
        state += "" if group.complete else ", not every row"
    state += "" if page else "; no notebook yet"
    return f"{table.name:<12} {table.section:<6} {rows:<20} {data:<28} {duration(cost) if cost else '–':<16} {state}"

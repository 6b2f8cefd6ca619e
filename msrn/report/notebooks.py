"""What opens a page: under which profile it was made, on which data, and what its training costs."""

from IPython.display import Markdown

from msrn.data import shapes_known
from msrn.errors import MsrnError
from msrn.experiments import recorded
from msrn.experiments.table import Table
from msrn.experiments.verdicts import says_nothing
from msrn.profiles import Request
from msrn.report.words import WITHOUT_SHAPES, book_profile, duration, many, seconds_of_a_run


def header(request: Request, table: Table) -> Markdown:
    """For a page that trains rows of a table; where someone waits for them, with what that costs."""
    if book_profile() and says_nothing(request.profile):
        return Markdown(f"Data set {_data(request)}.{_warning(request)}")
    s, seeds = request.settings, ", ".join(map(str, request.seeds))
    waits = "" if book_profile() else f" {cost(request, table)} Runs that are stored already are loaded."
    return Markdown(
        f"**Profile {request.label}**: {_data(request)}, {s.steps:,} steps of {s.batch_size} images, {s.image_size} × "
        f"{s.image_size} pixels, {many(len(request.seeds), 'seed')} ({seeds}), on {request.device}.{waits}"
        f"{_warning(request)}"
    )


def foreground_header(request: Request) -> Markdown:
    """For the pages on the foreground module, which show one seed."""
    s = request.settings
    return Markdown(
        f"**Profile {request.label}**: photographs of {_data(request)}, seed {request.seeds[0]}, on {request.device}. "
        f"Cues are fine-tuned for {s.cue_steps:,} steps of {s.cue_batch_size} photographs, or loaded."
        f"{_warning(request)}"
    )


def require(known: bool, what: str, request: Request) -> None:
    """One line where a page makes no sense on a data set that lacks something."""
    if not known:
        how = "choose another data set, such as procedural13"
        raise MsrnError(f"this page is about {what}, which {request.dataset} has not: {how}")


def cost(request: Request, table: Table) -> str:
    """How long training takes, from recorded results of the same settings; on this data set, if there are some."""
    alike = [group for group in recorded.groups(table, recorded.pool(), None, request) if group.follows(request)]
    if not alike:
        return "How long that takes has not been recorded."
    group = max(alike, key=lambda group: group.first.dataset == request.dataset)
    times = seconds_of_a_run(group.models).items()
    each = [f"{duration(time)} on {device} ({group.steps / time:.2g} steps a second)" for device, time in times]
    rows = f"each of the {many(len(table.trained), 'trained row')} of a seed"
    return f"As recorded on {group.first.dataset}, {rows} trains in {' or '.join(each)}."


def _data(request: Request) -> str:
    """The data set, and in place of which it stands."""
    instead = request.instead_of and f" **in place of {request.instead_of}, for which no data_root is given**"
    return f"{request.dataset}{instead}"


def _warning(request: Request) -> str:
    """What the data lack, and what nobody should conclude from a profile that trains next to nothing."""
    lacks = "" if shapes_known(request.dataset) else f"\n\n**{WITHOUT_SHAPES}**"
    if not says_nothing(request.profile):
        return lacks
    wanted, words = book_profile(), "it proves that the code runs, and reproduces nothing"
    what = f"All but what is called recorded, of profile {wanted}," if wanted else "What follows"
    return f" {what} is of profile {request.profile}: **{words}.**{lacks}"

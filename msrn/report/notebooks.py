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
    """For the page of a table."""
    s, seeds = request.settings, ", ".join(map(str, request.seeds))
    return Markdown(
        f"**Profile {request.label}**: data set {_data(request)}, {s.steps:,} steps of {s.batch_size} "
        f"images, {s.image_size} × {s.image_size} pixels, icosphere {s.mesh_level}, {s.encoder} encoders, "
        f"{many(len(request.seeds), 'seed')} ({seeds}), on {request.device}. {cost(request, table)} "
        f"Runs that are stored already are loaded.{_warning(request)}"
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
    words = "prove that the code runs, and reproduce nothing."
    if wanted := book_profile():
        mine = f"its pictures and numbers are of profile {request.profile}: they {words}"
        return f"{lacks}\n\n**No run of profile {wanted} is behind this page, but for what is called recorded; {mine}**"
    return f"{lacks}\n\n**What follows was made at profile {request.profile}: the pictures and numbers below {words}**"

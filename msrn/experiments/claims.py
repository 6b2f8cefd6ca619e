"""What the paper says that measurement can deny: each sentence in our own words, where it stands, what is claimed.

A sentence about rows of a table makes claims, which ``paper`` takes from here in this order. Of some others records
hold values that bear on them (``measured``: row and metric); no rule tells when these bear them out, so there is no
verdict. What has neither says what would settle it.
"""

from dataclasses import dataclass

from msrn.experiments.verdicts import Beats, Between, Claim, Close, Peak, Stable


@dataclass(frozen=True)
class Sentence:
    """A sentence of the paper."""

    words: str
    where: str  # section and exhibit of the paper
    table: str = ""  # of ``paper.TABLES``, or ``masks``; none where no exhibit here bears on it
    claims: tuple[Claim, ...] = ()
    measured: tuple[tuple[str, str], ...] = ()
    settles: str = ""  # where there is no claim


def claims_of(table: str) -> tuple[Claim, ...]:
    return tuple(claim for sentence in SENTENCES if sentence.table == table for claim in sentence.claims)


def _beats_all(*others: str) -> tuple[Claim, ...]:
    return tuple(Beats("Ours", other) for other in others)


PRINTED = "Eq. 18 as printed"
SENTENCES = (
    Sentence("M-SRN outperforms the weakly supervised methods on ShapeNet.", "abstract, §4.4.1, §5; Table 2", "table2",
        _beats_all("ShapeClipper", "Unicorn")),
    Sentence("On ShapeNet M-SRN is similar to Splatter, which is supervised by several views.",
        "abstract, §4.4.1; Table 2", "table2", (Close("Ours", "Splatter"),)),
    Sentence("M-SRN outperforms the weakly supervised methods on Pix3D.", "§4.4.2, §5; Table 3", "table3",
        _beats_all("SSMP", "ShapeClipper")),
    Sentence("On Pix3D M-SRN lags behind ZeroShape, since a mesh cannot open.", "§4.4.2; Table 3", "table3",
        (Beats("ZeroShape", "Ours"),)),
    Sentence("On Pix3D M-SRN is competitive with methods that are supervised in 3D.", "abstract, §4.4.2, §5; Table 3",
        "table3", (Close("Ours", "ZeroShape"),)),
    Sentence("On Pascal3D+ M-SRN is better than others. (In print Transfer is ahead, of which the text says nothing.)",
        "§4.4.3; Table 4", "table4", _beats_all("ShapeClipper", "One2345", "OpenLRM", "ZeroShape")),
    Sentence("With a model a category M-SRN is better than the weakly supervised methods in most categories.",
        "§4.4.4; Table 5", "table5", _beats_all("Unicorn", "ShapeClipper")),
    Sentence("For cars and chairs alone M-SRN is comparable to Splatter.", "§4.4.4; Table 5",
        settles="predictions of Splatter for these two categories, judged by Close on them alone."),
    # The text calls all six of Table 6 weakly supervised, though §2.1 counts CMR among those supervised in 2D.
    Sentence("On the cars of Pascal3D+ M-SRN surpasses the weakly supervised methods, of which the table has six.",
        "§4.4.4; Table 6", "table6",
        _beats_all("CMR", "UMR", "UCMR", "MeshInversion", "ShapeClipper", "Unicorn")),
    Sentence("Neighbours supervise well even where there is a single category.", "§4.4.4; Tables 5 and 6",
        settles="a row w/o NC in Table 6."),
    Sentence("Off-the-shelf masks hold noise that cues of the memory remove.", "§1, §3.1, §4.5.1; Figure 8", "masks",
        (Beats(PRINTED, "off-the-shelf"), Beats("M-SRN", "off-the-shelf"))),
    Sentence("Cues that are learned without the memory remove noise of masks less well.", "§4.5.1; Figure 8", "masks",
        (Beats(PRINTED, "Eq. 18 without L_for"), Beats("M-SRN", "without L_for"))),
    Sentence("Refined masks closely match the true ones.", "§4.5.1; Figure 8", "masks",
        measured=(("M-SRN", "iou"), (PRINTED, "iou"), ("off-the-shelf", "iou")),
        settles="the paper's own measure: it shows pictures and gives no number."),
    Sentence("The foreground module works however many categories there are.", "§2.2",
        settles="rows of the masks' table on data of one, three and thirteen categories."),
    Sentence("Meshes that are learned from refined masks are better than those from off-the-shelf ones.",
        "§4.5.1; Table 7", "table7", (Beats("M-SRN", "M-SRN/OF"),)),
    Sentence("Meshes that are learned from refined masks are close to those from true masks.",
        "§4.5.1; Table 7", "table7", (Close("M-SRN", "M-SRN/GT"),)),
    Sentence("Bad masks cost accuracy, and refinement wins a part of it back.", "§1, §3.1; Table 7", "table7",
        (Between("M-SRN", "M-SRN/GT", "M-SRN/OF"),)),
    Sentence("Feature compensation improves shapes.", "§3.2, §4.5.1; Table 8", "table8", (Beats("M-SRN", "w/o FC"),)),
    Sentence("Without neighbour consistency shapes degrade.", "§3.3, §4.5.1; Table 8, Figure 9", "table8",
        (Beats("M-SRN", "w/o NC"),)),
    Sentence("Neighbour consistency matters more than compensation. (In print; the text does not compare them.)",
        "Table 8", "table8", (Between("w/o FC", "M-SRN", "w/o NC"),)),
    Sentence("Without neighbour consistency a shape is right from the input's side alone.", "§3.3, §4.5.1; Figure 9",
        "table8", measured=(("w/o NC", "mask_iou"), ("M-SRN", "mask_iou"), ("w/o NC", "cd"), ("M-SRN", "cd")),
        settles="CD of the seen and of the unseen part of each object, with and without neighbours."),
    Sentence("Without neighbour consistency categories are confused.", "§4.5.1",
        settles="the share of meshes that are nearer to a training object of another category, with and without."),
    Sentence("Compensation keeps details such as wheels and the legs of chairs.", "§3.2, §4.4.1, §4.5.1; Figures 5, 9",
        settles="recall of true points on thin parts, with and without compensation."),
    Sentence("Compensation helps categories of few samples.", "§3.2, §4.4.2",
        settles="three seeds of the study's rows on sparse categories, judged on these categories."),
    Sentence("Choosing neighbours during training is better than fixing them before (as ShapeClipper).",
        "§1, §3.3, §4.5.1; Table 9", "table9", (Beats("M-SRN", "M-SRN/SC"),)),
    Sentence("Neighbours by the encoder's codes alone (as Unicorn) do poorly.", "§4.4.1, §4.5.1; Table 9", "table9",
        (Beats("M-SRN", "M-SRN/Un"), Beats("M-SRN/SC", "M-SRN/Un"))),
    Sentence("Candidates that are refused are wrong ones.", "§3.3, §4.5.1", "table8",
        measured=(("M-SRN", "neighbor.kept"), ("M-SRN", "neighbor.rejected"), ("M-SRN", "neighbor.chosen")),
        settles="an interval for the difference between CD to refused and to kept candidates."),
    Sentence("Texture consistency between neighbours does not improve shapes, and costs time.", "§3.3",
        settles="a row that swaps textures too, with its time."),
    Sentence("With K' = 5 prototypes M-SRN degrades significantly.", "§4.5.2; Table 10", "table10",
        (Beats("K' = 10", "K' = 5"),)),
    Sentence("With K'' too low or too high, accuracy falls.", "§4.5.2; Table 11", "table11",
        (Peak("K'' = 5", "K'' = 2", "K'' = 8"),)),
    Sentence("The larger K'', the more candidates are refused.", "§4.5.2", "table11",
        measured=tuple((f"K'' = {count}", "neighbor.chosen") for count in (2, 5, 8)),
        settles="recorded rows of Table 11; each holds the share of candidates that it keeps."),
    Sentence("With three candidates M-SRN degrades.", "§4.5.2; Table 12", "table12",
        (Beats("k_cos = 6", "k_cos = 3"),)),
    Sentence("With more than six candidates M-SRN is stable.", "§4.5.2; Table 12", "table12",
        (Stable("k_cos = 6", "k_cos = 8"),)),
    Sentence("Meshes are smoother than ShapeClipper's surfaces, which are uneven.", "§4.4.2; Figure 6",
        settles="the mean angle between neighbouring faces, of both systems' predictions for the same objects."),
    Sentence("Hollows of chairs and bookcases are not captured.", "§4.4.2, §5; Figure 6",
        settles="true free space inside the convex hull that meshes fill. They are spheres in kind, so none can open."),
    Sentence("Unseen parts are inferred better than by ZeroShape.", "§4.4.3; Figure 7",
        settles="predictions of ZeroShape, and CD of the seen and of the unseen part of each object."),
)  # fmt: skip

"""Every setting of the companion: its meaning, its unit and what the paper says about it (Table 1 and §4.3).

A setting whose docstring has a paragraph that begins with *Choice:* answers a question that the paper leaves open; the
book's page of choices is made from those paragraphs.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from msrn.errors import MsrnError, did_you_mean


def _setting(default: Any, section: str, paper: str = "silent", **limits: Any) -> Any:
    """A field with the paper's section that it belongs to and the paper's symbol and value."""
    return Field(default, json_schema_extra={"section": section, "paper": paper}, **limits)


class Settings(BaseModel):
    """What a run is made of. The defaults are the paper's where it gives a value and no *Choice* says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)

    # network, Eqs 1-6
    image_size: int = _setting(64, "3", "64", ge=16, le=256, multiple_of=16)
    """Side of the images, in pixels; the stored images are averaged down to it."""
    mesh_level: int = _setting(3, "3", ge=1, le=5)
    """Subdivisions of the icosahedron under the ellipsoid X of Eq. 6: 2 gives 162 vertices, 3 gives 642, 4 gives 2562.

    Choice: the paper names an ellipsoid and no resolution; 3 is what its predecessor Unicorn trains with."""
    ellipsoid: tuple[float, float, float] = _setting((0.4, 0.28, 0.28), "3")
    """Semi-axes (x, y, z) of the ellipsoid X, where the longest edge of an object is 1.

    Choice: the paper's figure shows an ellipsoid without a size; these are Unicorn's 0.4 * (1, 0.7, 0.7). The paper
    pre-trains on a sphere, citing Unicorn, which does not: the shape decoder starts at zero displacement instead, so
    the first mesh is exactly X and there is nothing to pre-train."""
    encoder: Literal["resnet18", "small"] = _setting("resnet18", "3")
    """Trunk of the three encoders of Eqs 1-3: ``resnet18`` (11 M weights each) or ``small`` (four strided
    convolutions).

    Choice: the paper names no backbone; three separate ResNet-18, untrained, are Unicorn's. ``small`` is for machines
    without a GPU."""
    encoder_width: int = _setting(32, "3", ge=4, le=256, multiple_of=4)
    """Channels after the first convolution of the ``small`` encoder, in four groups; they double twice.
    ``resnet18`` ignores it."""
    shape_code: int = _setting(64, "3", "Q_r, silent", ge=2, le=1024)
    """Size Q_r of z_s.

    Choice: not given in the paper; 64 is Unicorn's for its larger models."""
    texture_code: int = _setting(512, "3", ge=2, le=2048)
    """Size of z_t.

    Choice: not given in the paper; 512 is Unicorn's for its larger models."""
    shape_hidden: int = _setting(512, "3", ge=16, le=2048)
    """Width of the multilayer perceptron D_s of Eq. 6."""
    texture_size: int = _setting(64, "3", ge=8, le=256)
    """Side of the texture map T of Eq. 4, in texels (a power of two).

    Choice: read at the corners of the faces, between which colours are interpolated; Unicorn reads it at every
    pixel."""
    texture_channels: int = _setting(64, "3", ge=4, le=512)
    """Fewest channels of the texture decoder D_t; they halve from the code's size down to this."""
    axis_scale: float = _setting(0.5, "3", "absent", ge=0, lt=1)
    """Range r of a scale 1 + r tanh(.) of each axis that the shape encoder predicts beside z_s; 0 turns it off.

    Choice: the paper does not mention it, Unicorn needs it. It reads the encoder's features, not the compensated code,
    so feature compensation changes the displacement alone. In the neighbour term the neighbour's scale takes the place
    of the own one, as in Unicorn, so that term does not supervise it; ``neighbor_scale`` can change that."""
    pose_candidates: int = _setting(6, "3", ge=1, le=36)
    """Azimuth bins of the pose decoder D_c of Eq. 5, each with its own offset and translation and one probability.

    Choice: the paper predicts "pose C" without saying how. A single regressed azimuth is known not to learn a full
    turn, so we take Unicorn's six bins; pose steps weigh all of them, shape steps and tests use the likeliest."""
    azimuth_overlap: float = _setting(0.52, "3", ge=0, le=1)
    """Reach of a candidate's azimuth to either side of its centre, in bins: 0.5 would just touch the next bin's."""
    elevation: float = _setting(30.0, "3", "30 (ShapeNet renders)", gt=-90, lt=90)
    """The camera's elevation, in degrees.

    Choice: known and fixed, as it is in the renders of ShapeNet and in Unicorn's training on them; only the azimuth is
    learned."""
    translation_range: tuple[float, float, float] = _setting((0.2, 0.2, 0.0), "3")
    """Reach of the predicted translation (x, y, z) around (0, 0, 2.732), where the longest edge of an object is 1."""

    # renderer, the pi of §3.3
    sigma: float = _setting(1e-4, "3.3", gt=0, le=0.1)
    """Softness of silhouettes: a face's probability is sigmoid(+-d^2 / sigma), d in units of half an image.

    Choice: the paper names the renderer (SoftRas) and no value; 1e-4 is that of its reconstruction training, on 64 x 64
    pixels, where an edge is soft for about one pixel on either side. Images of half the side need four times the value
    for an edge as soft in pixels. With 1e-4 there, thin things fall between the pixels: meshes fitted to all masks at
    the true poses end at CD 3.1 where 4e-4 has 2.7, rifles at 4.0 where it has 1.5 (``procedural13``, val; in the study
    above, where also stands what networks make of it)."""
    gamma: float = _setting(1e-4, "3.3", gt=0, le=1)
    """Softness of the depth order: the temperature of the softmax over normalised inverse depth that blends colours.

    Choice: SoftRas' 1e-4. Its softmax lets the surface's colour reach past the outline, so the picture that is compared
    is the surface weighed by alpha over white."""

    # foreground perception, Eqs 7-19, of collections that come without masks
    masks: Literal["refined", "off-the-shelf", "true"] = _setting("refined", "3.1", "refined")
    """Masks of a collection that has none: refined by the foreground cues (M-SRN), U2-Net's alone (Table 7's row
    "M-SRN/OF"), or the true ones, for the row "M-SRN/GT"."""
    saliency_weights: str | None = _setting(None, "3.1", "U2-Net")
    """ONNX file of the salient-object network that makes the masks M_o; by default U2-Net-p.

    Choice: the full U2-Net is in no package that a fresh machine can install; its small sibling is, under its own
    name."""
    cue_encoder: Literal["efficientnet-lite0", "vgg16", "resnet50"] = _setting("efficientnet-lite0", "3.1")
    """The encoder E_p of Eq. 7, pre-trained on ILSVRC; ``vgg16`` and ``resnet50`` need ``cue_weights``.

    Choice: the paper names none, and its predecessor BAS has VGG16 and ResNet-50 among others, whose weights are in no
    package. EfficientNet-Lite0's are."""
    cue_weights: str | None = _setting(None, "3.1")
    """torchvision's weights file of ``vgg16`` or ``resnet50``."""
    cue_size: int = _setting(224, "3.1", ge=64, le=512, multiple_of=32)
    """Side to which images are brought for the encoder, in pixels; cues have an eighth of it.

    Choice: BAS crops 224."""
    cue_frozen: bool = _setting(False, "3.1")
    """Hold the encoder's lower layers, down to an eighth of the resolution, as they were pre-trained. Saves half the
    time of a step."""
    cue_steps: int = _setting(20_000, "3.1", ge=1)
    """Steps of fine-tuning, of ``cue_batch_size`` images.

    Choice: the paper gives no length; BAS trains nine epochs on ILSVRC, a hundred on small sets."""
    cue_batch_size: int = _setting(32, "3.1", ge=1)
    """Images of a step of fine-tuning.

    Choice: BAS has 32 on small sets."""
    cue_learning_rate: float = _setting(1e-3, "3.1", gt=0, le=1)
    """Rate of stochastic gradient descent (Nesterov, momentum 0.9, decay 5e-4); new layers have ten times as much, and
    all fall to a tenth after two thirds of the steps.

    Choice: BAS's."""
    area_weight: float = _setting(1.0, "3.1", ge=0)
    """Weight of the mean of the cue M_f in fine-tuning, which keeps it small.

    Choice: BAS's, with values from 0.7 to 2 by backbone and data set."""
    contrast_weight: float = _setting(1.0, "3.1", "1", ge=0)
    """Weight of L_for (Eqs 13-15) beside BAS's losses; 0 leaves it out, which is the method without memory."""
    temperature: float = _setting(0.99, "3.1", "gamma = 0.99", gt=0)
    """Temperature gamma of Eqs 13-14. At 0.99 the loss moves between 4.2 and 6.2 with 500 slots; contrastive learning
    usually takes 0.07."""
    foreground_confidence: float = _setting(0.7, "3.1", "delta_f = 0.7", ge=0, le=1)
    """Least probability of the image's category at which its features are written to the bank P_f.

    Choice: the "category prediction scores" of BAS are unbounded; we take their softmax."""
    refinement: Literal["remove", "weigh"] = _setting("remove", "3.1", "remove")
    """How the cue refines M_o: it removes pixels (Eq. 18), or both are weighed, M_o as the soft map that it comes from.

    Choice: Eq. 18 as printed. To the errors of M_o it adds those of the cue, which has an eighth of the image's
    resolution: on ``homeware-wild`` the masks are worse than M_o at every threshold above 0. ``weigh`` lets the cue
    decide where M_o is undecided."""
    cue_share: float = _setting(0.3, "3.1", "absent", ge=0, le=1)
    """Weight w of the cue when ``refinement`` is ``weigh``.

    Choice: in trials on val, which are not recorded, weights from 0.2 to 0.4 gained alike."""
    cue_threshold: float = _setting(0.4, "3.1", "lambda = 0.4", ge=0, le=1)
    """Cue below which a pixel is removed from the mask (Eq. 18); each image's cue is stretched to 0..1 first.

    Choice: the paper does not say how cues are scaled; BAS stretches them."""

    # memory and feature compensation, Eqs 20-26
    feature_compensation: bool = _setting(True, "3.2", "on; 'w/o FC' off")
    """Compensate z_s with the prototypes (Eqs 24-26). Off, the code enters D_s as it is: Table 8's row "w/o FC".

    Choice: the paper leaves it out "during training of the first epoch"; besides, it waits for the stage switch and for
    the first prototypes, because codes of one entry have nothing to compensate."""
    memory_slots: int = _setting(500, "3.2", "K = 500", ge=1)
    """Slots of the banks P_f and P_r, for each category."""
    memory_momentum: float = _setting(0.99, "3.1", "eta = 0.99", ge=0, lt=1)
    """Weight of the old content when a slot is written again (Eqs 16-17).

    At 0.99 a slot still holds a third of its first code after 110 visits. The paper's length gives a slot a thousand; a
    short training needs fewer slots and a smaller weight, or its prototypes are of codes that no longer exist."""
    memory_fill_first: bool = _setting(True, "4.3", "N(0, 1) start")
    """The first write of a slot replaces its content instead of averaging with it.

    Choice: the paper starts the bank from a standard normal distribution. At momentum 0.99 a slot is still 5 % noise
    after 298 visits, that is 149,000 accepted images of a category, and codes are small, so prototypes would be
    noise. False is the paper's literal start."""
    shape_confidence: float = _setting(0.5, "3.2", "delta_r = 0.5", ge=0, le=1)
    """Least mask IoU between the projection I' and the input at which its code is written to the bank.

    Choice: "the mask IoU between I' and I^r" is taken at the likeliest pose, with the soft mask cut at one half."""
    prototypes: int = _setting(10, "3.2", "K' = 10", ge=1)
    """Prototypes per category that k-means purifies the bank into, for compensation.

    Choice: the paper runs k-means "at the start of each epoch". We add the stage switch and, since the bank is empty
    then, the log lines after it until every category has prototypes or the next epoch begins; before that every
    candidate is a neighbour. Only written slots take part; a category with fewer of them uses what it has."""
    affinity_temperature: Literal["one", "sqrt"] = _setting("one", "3.2", "one")
    """Scale of z_s P^T before the softmax of Eq. 24: as printed, or divided by the root of Q_r as attention does.

    Choice: Eq. 24 as printed. One softmax runs over the prototypes of all categories together, since the paper wants
    compensation across categories; the bank receives no gradient, the code does through both factors."""

    # neighbours, Eqs 27-38
    neighbor_consistency: bool = _setting(True, "3.3", "on; 'w/o NC' off")
    """Add the neighbour term L_ne (Eq. 44). Off is the row "w/o NC" of Table 8."""
    features: Literal["efficientnet-lite2", "clip"] = _setting("efficientnet-lite2", "3.3", "CLIP")
    """Image features for the candidate search (Eqs 28-31), named in every result.

    Choice: CLIP's weights are in no package that a fresh machine can install, so ImageNet features stand in under
    their own name; ``clip`` uses OpenAI's ViT-L/14 through open_clip when ``clip_weights`` gives its file."""
    clip_weights: str | None = _setting(None, "3.3")
    """Path of the CLIP checkpoint, when ``features`` is ``clip``."""
    candidates: int = _setting(6, "3.3", "k_cos = 6", ge=1)
    """Candidate neighbours of an image (Eq. 32).

    Choice: views of the same object are never candidates. The paper's set of "all images but the input" would contain
    the other renders of the same CAD model, which is multi-view supervision in disguise. Two models that are nearly the
    same shape under two names are still candidates of each other."""
    candidate_scope: Literal["category", "all"] = _setting("category", "3.3", "silent")
    """Where candidates are searched: among images of the same category, or everywhere (the literal Eq. 27).

    Choice: prototype indices are per category (Eqs 35-36) and the section speaks of consistency within a category."""
    candidate_objects: Literal["any", "distinct"] = _setting("any", "3.3", "any")
    """Whether several candidates of an image may show one object (the literal Eq. 32), or each another.

    Choice: by the letter. On 24 renders of an object the six most similar images show 2 (``homeware``) or 4
    (``procedural13``) objects; ``distinct`` takes the most similar image of each of the six most similar objects. That
    training knows which images show one object is more than the paper says."""
    candidate_pool: Annotated[int, Field(ge=0)] | Literal["all"] = _setting(0, "3.3", "absent")
    """With P > 0, candidates are those of the P most similar images (or of ``all``) whose silhouettes differ most; 0
    turns it off. Distinct objects stay the most similar ones: each is shown by the most different of its images in the
    pool.

    Choice: the paper has no such rule. Its most similar images mostly show the view at hand: on ``procedural13`` 27 %
    of them are seen from more than 30 degrees away (61 % on ``homeware``; 79 % of random views are), and of the
    candidates of images from the front or the back 2 % are from a side, where depth shows. ShapeClipper, whose
    candidates the paper takes up, prefers a different silhouette too. With distinct objects that costs nothing in
    shape: the median CD to them is 2.2 (6.5) with a pool and without, where random objects are 4.1 (7.9) away. A pool
    of 96 shows fronts 14 % sides, ``all`` shows them 84 %. Unless objects are distinct, a different silhouette is often
    that of a different shape."""
    neighbor_prototypes: int = _setting(5, "3.3", "K'' = 5", ge=1)
    """Prototypes per category whose domains decide who is a neighbour (Eqs 33-38); at most ``prototypes``."""
    neighbor_prototypes_from: Literal["prototypes", "bank"] = _setting("prototypes", "3.3", "prototypes")
    """What is clustered into P''_r: the prototypes P'_r or the bank itself.

    Choice: the paper says that P'_r "is further refined", so k-means runs on the K' prototypes."""
    neighbor_samples: int = _setting(0, "3.3", "all", ge=0)
    """Neighbours rendered per image and step, drawn at random from the N_re chosen ones; 0 renders all of them.

    Choice: a random subset leaves the expected value of Eq. 44 as it is and saves most of its cost; the paper renders
    all. With N_re = 0, where Eq. 44 divides by zero, the term is zero."""
    neighbor_scale: Literal["neighbor", "own"] = _setting("neighbor", "3.3", "silent")
    """Whose axis scale (``axis_scale``) the shape wears in the neighbour's pose: the neighbour's or its own.

    Choice: the paper has no axis scale; the neighbour's is Unicorn's. Then nothing ever supervises the scale along the
    line of sight of the own image. The own one is supervised there by all neighbours, which are other objects."""
    neighbor_either_way: bool = _setting(False, "3.3", "absent")
    """Try a neighbour's pose also turned by half around the vertical, and let the better of the two count in Eq. 44.

    Choice: not in the paper, so off. While it is open which of an object's sides is its front, half of the neighbours
    look the other way; a shape that pleases them all is the same from both sides, and then nothing is left that could
    tell front from back. With this, a shape may differ before poses agree on it; ``pose_shape`` lets them agree."""
    neighbor_texture_gradient: bool = _setting(False, "3.3", "silent")
    """Let the neighbour term train the texture branch through T^n; the pose C^n never receives its gradient.

    Choice: the paper does "not use texture consistency", so the neighbour's texture and pose are constants."""

    # losses, Eqs 39-45
    affinity_weight: float = _setting(1e-6, "3.4", "epsilon = 1e-6", ge=0)
    """Weight of the affinity loss (Eq. 41), which is a sum over pixels in squared pixels of a 64 x 64 image.

    Choice: read as a sum, as printed; as a mean the weight would make it vanish."""
    affinity_literal: bool = _setting(False, "3.4", "literal")
    """Take Eq. 41 by the letter: every pixel with a non-zero rendered mask is foreground.

    Choice: a soft mask is non-zero far outside the object, and the second sum of Eq. 41 then collapses to nothing and
    pulls the wrong way. We cut the rendered mask at one half and weigh by what is missing; both agree on binary
    masks."""
    normal_weight: float = _setting(0.01, "3.4", "1", ge=0)
    """Weight of the normal consistency.

    Choice: Eq. 45 adds it with weight 1; Unicorn uses 0.01. At 1 we expect it to smooth the shapes away."""
    laplacian_weight: float = _setting(0.01, "3.4", "1", ge=0)
    """Weight of the uniform Laplacian smoothing.

    Choice: as for ``normal_weight``."""
    pose_prior_weight: float = _setting(0.02, "3.4", "absent", ge=0)
    """Weight of the mean distance between the batch's mean pose probabilities and uniform ones, in pose steps.

    Choice: the paper has no such term; without it all poses collapse into one candidate. 0.02 is Unicorn's; with few
    objects and a high learning rate it is too weak to prevent that, so profile smoke takes 1, and profile laptop
    ``azimuth_prior_weight`` in its place."""
    azimuth_prior_weight: float = _setting(0.0, "3.4", "absent", ge=0)
    """Weight, in pose steps, of the squared Fourier coefficients of a category's azimuths (orders 1 to K, their mean,
    estimated from the pairs of a batch), which vanish when azimuths are even all around.

    Choice: not in the paper, so off. The pose prior asks that every candidate be used and leaves to each where in its
    bin, 31 degrees to either side, it looks; and since 16 images never use six candidates evenly, it asks for undecided
    probabilities too."""
    pose_shape: Literal["own", "neighbor"] = _setting("own", "3.4", "silent")
    """On whose shape the candidate poses of an image are judged, from the stage switch on: its own, or a neighbour's.

    Choice: own, as in Unicorn. But an image whose pose is the wrong way round has a shape that is wrong in the same
    way, on which that pose is right; only shapes of other images can tell, once most of them agree. Candidates that
    were ruled out long ago are reached by ``responsibility_weight``. One shape is encoded either way. Without
    ``neighbor_consistency`` there are no neighbours, and it is the own one."""
    responsibility_weight: float = _setting(0.0, "3.4", "absent", ge=0)
    """Weight, in pose steps, of the cross-entropy between the candidates' probabilities and their responsibilities
    softmax(-L_k / ``responsibility_temperature``); 0 leaves it out.

    Choice: not in the paper, so off. By the expected loss sum p_k L_k alone the gradient of a logit is
    p_k (L_k - sum p_j L_j), which vanishes as soon as the network is sure, also where another candidate fits better:
    front and back, once confused, may stay so. That of the cross-entropy, p_k minus the responsibility, does not."""
    responsibility_temperature: float = _setting(0.02, "3.4", "absent", gt=0, le=10)
    """Difference of the reconstruction loss L_k that makes a candidate e times as responsible."""

    # training, §4.3
    steps: int = _setting(400_000, "4.3", ge=1)
    """Training steps.

    Choice: the paper gives no length; its predecessor trains 850,000 steps for a category."""
    batch_size: int = _setting(16, "4.3", "16", ge=1)
    """Images per step."""
    batches: Literal["mixed", "groups", "category"] = _setting("mixed", "4.3", "silent")
    """What a batch holds: images of any category, four groups of images of one category each, or one category.

    Choice: mixed, as one would read the paper. But the prior over a batch's poses is Unicorn's, which trains a category
    at a time: in mixed batches it is content when every category keeps to some candidates of its own, and then half of
    each object is never seen. Batches of one category spread the poses of each, but every step then pulls the decoder
    that all categories share towards one of them. Groups suit ``azimuth_prior_weight``, which needs pairs alone."""
    learning_rate: float = _setting(1e-4, "4.3", "1e-4", gt=0, le=1)
    """Adam's learning rate."""
    decay_at: float = _setting(1.0, "4.3", ge=0, le=1)
    """Share of the steps after which the learning rate falls to a fifth; 1 keeps it constant.

    Choice: the paper says "beginning with 1e-4" and names no decay."""
    stage_switch: int = _setting(10_000, "4.3", "10,000", ge=0)
    """Step at which the codes open fully and the neighbour term and the bank begin.

    Choice: codes of the first stage are the full ones with all but their first entries held at zero, as in Unicorn. The
    paper starts the neighbour term here; that the bank is written from here on is ours, since codes of one entry would
    fill it with nothing."""
    first_codes: Literal["small", "category"] = _setting("small", "4.3", "small")
    """What codes hold before the stage switch: the first entries of every image's own (the next two settings), or all
    entries of the batch's mean, so that the images of a category share one shape and one texture.

    Choice: small, as printed. But already one entry may let an image whose pose is the wrong way round have a shape
    turned round, so that nothing tells. A shape that a category shares cannot turn for some images only; the study
    above says what it does together with ``responsibility_weight``, and at what price.
    ``category`` needs ``batches`` of one category."""
    small_shape_code: int = _setting(1, "4.3", "1", ge=0)
    """Live entries of z_s before the stage switch."""
    small_texture_code: int = _setting(2, "4.3", "2", ge=0)
    """Live entries of z_t before the stage switch."""
    log_every: int = _setting(100, "4.3", "", ge=1)
    """Steps between two lines of the log, each of which averages over the steps since the last. At each line in the
    epoch of the stage switch it is seen whether the bank can give the first prototypes: training depends on it, too."""
    checkpoint_every: int = _setting(1000, "4.3", "", ge=1)
    """Steps between two checkpoints: what an interrupted run can lose."""

    # evaluation, §4.2
    eval_points: int = _setting(100_000, "4.2", ge=100)
    """Points sampled on each surface for CD and F-score."""


FOREGROUND_SETTINGS = frozenset(
    name
    for name, entry in Settings.model_fields.items()
    if entry.json_schema_extra["section"] == "3.1" and name != "memory_momentum"
)
"""Settings of the foreground module alone. They reach the reconstruction through the images that it sees."""


def make_settings(values: Mapping[str, Any]) -> Settings:
    """Settings from plain values; an unknown name, a wrong type or a value out of range is refused in one line."""
    for name in values:
        if name not in Settings.model_fields:
            nearest = did_you_mean(name, Settings.model_fields)
            raise MsrnError(f"unknown setting {name!r}{nearest}; see msrn/settings.py")
    try:
        made = Settings(**values)
    except ValidationError as error:
        found = error.errors()
        field, *within = found[0]["loc"]
        place = (field, *(part for part in within if isinstance(part, int)))  # not the kind of value that was tried
        words = " or ".join(one["msg"] for one in found if one["loc"][: len(place)] == place).lower()
        name = ".".join(map(str, place))
        raise MsrnError(f"setting {name} = {found[0]['input']!r}: {words}; see msrn/settings.py") from None
    _check_together(made)
    return made


def _check_together(s: Settings) -> None:
    """Rules that tie two settings."""
    rules = [
        (s.neighbor_prototypes <= s.prototypes, "neighbor_prototypes", f"at most prototypes ({s.prototypes})"),
        (
            s.candidate_pool in (0, "all") or s.candidate_pool >= s.candidates,
            "candidate_pool",
            f"0, all, or at least {s.candidates}",
        ),
        (s.prototypes <= s.memory_slots, "prototypes", f"at most memory_slots ({s.memory_slots})"),
        (s.small_shape_code <= s.shape_code, "small_shape_code", f"at most shape_code ({s.shape_code})"),
        (s.first_codes == "small" or s.batches == "category", "first_codes", "small, or choose batches 'category'"),
        (s.batches != "groups" or s.batch_size % 4 == 0, "batch_size", "a multiple of 4, or choose batches 'mixed'"),
        (s.small_texture_code <= s.texture_code, "small_texture_code", f"at most texture_code ({s.texture_code})"),
        (s.checkpoint_every % s.log_every == 0, "checkpoint_every", f"a multiple of log_every ({s.log_every})"),
        (s.texture_size & (s.texture_size - 1) == 0, "texture_size", "a power of two"),
        (s.features != "clip" or s.clip_weights, "features", "efficientnet-lite2, or give the file in clip_weights"),
        (s.encoder != "resnet18" or s.image_size >= 64, "image_size", "at least 64 for resnet18, or encoder small"),
        (s.cue_encoder == "efficientnet-lite0" or s.cue_weights, "cue_encoder", "efficientnet-lite0, or cue_weights"),
        (s.cue_encoder != "efficientnet-lite0" or not s.cue_weights, "cue_weights", "none for efficientnet-lite0"),
        (min(s.ellipsoid) > 0, "ellipsoid", "three positive semi-axes"),
    ]
    for holds, name, expected in rules:
        if not holds:
            raise MsrnError(f"setting {name} = {getattr(s, name)!r}: expected {expected}")

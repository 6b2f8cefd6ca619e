"""Every setting of the companion: its meaning, its unit and what the paper says about it (Table 1 and §4.3).

Paragraphs that begin with *Choice:* answer what the paper leaves open; the book's page of choices is made from them.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


def _setting(default: Any, section: str, paper: str = "silent", **limits: Any) -> Any:
    """A field with the paper's section that it belongs to and the paper's symbol and value."""
    return Field(default, json_schema_extra={"section": section, "paper": paper}, **limits)


class Settings(BaseModel):
    """What a run is made of. The defaults are the paper's where it gives a value and no *Choice* says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)

    # data, §4.1
    categories: Literal["given", "clusters"] = _setting("given", "4.1", "given")
    """Categories of the training images: those of the data set, or as many clusters of their ``features``, so that no
    label is read. Views of one object may then belong to several."""

    # network, Eqs 1-6
    image_size: int = _setting(64, "3", "64", ge=16, le=256, multiple_of=16)
    """Side of the images, in pixels; the stored images are averaged down to it."""
    mesh_level: int = _setting(3, "3", "silent; its predecessor Unicorn 3", ge=1, le=5)
    """Subdivisions of the icosahedron under the ellipsoid X of Eq. 6: 2 gives 162 vertices, 3 gives 642."""
    ellipsoid: tuple[float, float, float] = _setting((0.4, 0.28, 0.28), "3")
    """Semi-axes (x, y, z) of the ellipsoid X, where the longest edge of an object is 1.

    Choice: the paper's figure shows an ellipsoid without a size; these are Unicorn's. The paper pre-trains on a sphere,
    citing Unicorn, which does not: here the displacement starts at zero, so there is nothing to pre-train."""
    template: Literal["ellipsoid", "car"] = _setting("ellipsoid", "3", "ellipsoid")
    """What X is: the ellipsoid or, as in UCMR, a shape of the category (see ``data.procedural13.template``)."""
    encoder: Literal["resnet18", "small", "imagenet"] = _setting("resnet18", "3")
    """Trunk of the three encoders of Eqs 1-3: ``resnet18``, ``small`` (four strided convolutions, for a CPU), or a
    convolution over the stored spatial features of the packaged ImageNet network (``imagenet``).

    Choice: the paper names no backbone; three separate ResNet-18, untrained, are Unicorn's."""
    shape_code: int = _setting(64, "3", "Q_r, silent; Unicorn's larger models 64", ge=2, le=1024)
    """Size Q_r of z_s."""
    texture_code: int = _setting(512, "3", "silent; Unicorn's larger models 512", ge=2, le=2048)
    """Size of z_t."""
    shape_hidden: int = _setting(512, "3", ge=16, le=2048)
    """Width of the multilayer perceptron D_s of Eq. 6."""
    decoders: Literal["unicorn", "vertices", "sdf"] = _setting("unicorn", "3")
    """D_s and D_t of Eqs 4 and 6: one perceptron for all vertices and a convolutional texture map (``unicorn``); two
    perceptrons with an output for each coordinate and colour of each vertex (``vertices``); or, of other systems, the
    signed distance and the colour of any point, rendered by rays (``sdf``, see ``network.signed_distance``).

    Choice: the paper gives no architecture; Unicorn's. With outputs for every vertex a step costs far less."""
    texture_size: int = _setting(64, "3", ge=8, le=256)
    """Side of the texture map T of Eq. 4, in texels (a power of two).

    Choice: read at the corners of the faces, between which colours are interpolated; Unicorn reads every pixel."""
    texture_channels: int = _setting(64, "3", ge=4, le=512)
    """Fewest channels of the texture decoder D_t; they halve from the code's size down to this."""
    axis_scale: float = _setting(0.5, "3", "absent", ge=0, lt=1)
    """Range r of a scale 1 + r tanh(.) of each axis that the shape encoder predicts beside z_s; 0 turns it off.

    Choice: the paper does not mention it, Unicorn needs it. Feature compensation does not reach it."""
    pose_candidates: int = _setting(6, "3", ge=1, le=36)
    """Azimuth bins of the pose decoder D_c of Eq. 5, each with its own offset and translation and one probability.

    Choice: the paper predicts "pose C" without saying how. A single azimuth is known not to learn a full turn, so these
    are Unicorn's bins; pose steps weigh all of them, shape steps and tests use the likeliest."""
    elevation: float = _setting(30.0, "3", "30 (ShapeNet renders)", gt=-90, lt=90)
    """The camera's elevation, in degrees: known and fixed, as in Unicorn's training on them; the azimuth is learned."""

    # renderer, the pi of §3.3
    sigma: float = _setting(1e-4, "3.3", gt=0, le=0.1)
    """Softness of silhouettes: a face's probability is sigmoid(+-d^2 / sigma), d in units of half an image.

    Choice: the paper names SoftRas and no value; this is SoftRas' own. For half the side take four times the value."""
    gamma: float = _setting(1e-4, "3.3", gt=0, le=1)
    """Softness of the depth order: the temperature of the softmax over normalised inverse depth that blends colours.

    Choice: SoftRas' value. Its colours reach past the outline, so the surface is weighed by alpha over white."""

    # foreground perception, Eqs 7-19, of collections that come without masks
    masks: Literal["refined", "off-the-shelf", "true", "ccam"] = _setting("refined", "3.1", "refined")
    """Masks of a collection without any: refined by the cues, U2-Net's alone ("M-SRN/OF"), the true ones ("/GT") or, of
    another system, those of activation maps that know no category (``ccam``, see ``foreground.ccam``)."""
    cue_encoder: Literal["efficientnet-lite0", "vgg16", "resnet50"] = _setting("efficientnet-lite0", "3.1")
    """The encoder E_p of Eq. 7, pre-trained on ILSVRC; ``vgg16`` and ``resnet50`` need a file, ``cue`` of ``weights``.

    Choice: the paper names none; weights of BAS's VGG16 and ResNet-50 are in no package, EfficientNet-Lite0's are."""
    cue_size: int = _setting(224, "3.1", "silent; BAS 224", ge=64, le=512, multiple_of=32)
    """Side to which images are brought for the encoder, in pixels; cues have an eighth of it."""
    cue_frozen: bool = _setting(False, "3.1")
    """Hold the encoder's lower layers, down to an eighth of the resolution, as they were pre-trained; saves time."""
    cue_steps: int = _setting(20_000, "3.1", "silent; BAS 9 epochs of ILSVRC, 100 of small sets", ge=1)
    """Steps of fine-tuning, of ``cue_batch_size`` images."""
    cue_batch_size: int = _setting(32, "3.1", "silent; BAS 32 on small sets", ge=1, le=4096)
    """Images of a step of fine-tuning."""
    cue_learning_rate: float = _setting(1e-3, "3.1", "silent; BAS 1e-3", gt=0, le=1)
    """Rate of SGD (Nesterov, momentum 0.9, decay 5e-4); ten times that for new layers, a tenth after two thirds."""
    area_weight: float = _setting(1.0, "3.1", "silent; BAS 0.7 to 2", ge=0)
    """Weight of the mean of the cue M_f in fine-tuning, which keeps it small."""
    contrast_weight: float = _setting(1.0, "3.1", "1", ge=0)
    """Weight of L_for (Eqs 13-15) beside BAS's losses; 0 leaves it out, which is the method without memory."""
    temperature: float = _setting(0.99, "3.1", "gamma = 0.99", gt=0)
    """Temperature gamma of Eqs 13-14; contrastive learning usually takes 0.07."""
    foreground_confidence: float = _setting(0.7, "3.1", "delta_f = 0.7", ge=0, le=1)
    """Least probability of the image's category at which its features are written to the bank P_f.

    Choice: the "category prediction scores" of BAS are unbounded; we take their softmax."""
    refinement: Literal["remove", "weigh"] = _setting("remove", "3.1", "remove")
    """How the cue refines M_o: it removes pixels (Eq. 18), or both are weighed, M_o as the soft map that it comes from.

    Choice: Eq. 18 as printed. To the errors of M_o it adds those of the cue, which is coarser than the image; with
    ``weigh`` the cue decides only where M_o is undecided."""
    cue_threshold: float = _setting(0.4, "3.1", "lambda = 0.4", ge=0, le=1)
    """Cue below which a pixel is removed from the mask (Eq. 18); each image's cue is stretched to 0..1 first.

    Choice: the paper does not say how cues are scaled; BAS stretches them."""

    # memory and feature compensation, Eqs 20-26
    feature_compensation: bool = _setting(True, "3.2", "on; 'w/o FC' off")
    """Compensate z_s with the prototypes (Eqs 24-26). Off, the code enters D_s as it is: Table 8's row "w/o FC".

    Choice: the paper leaves it out "during training of the first epoch"; besides, it waits for the stage switch and for
    the first prototypes. One softmax runs over the prototypes of all categories, which receive no gradient."""
    compensation_start: Literal["code", "half"] = _setting("code", "3.2", "silent")
    """What Lin of Eq. 26 starts as: [I, 0] (``code``), so that the decoder sees no jump, or [I/2, I/2] (``half``)."""
    cosine_temperature: float = _setting(0.0, "3.2", "absent", ge=0)
    """Temperature of cosines in the affinity (Eq. 24); 0 takes the product, as printed, which grows with the codes."""
    bank_codes: Literal["own", "look-alikes"] = _setting("own", "3.2", "own")
    """What the bank is written with: an image's code, or its mean with those that its candidates left behind."""
    memory_slots: int = _setting(500, "3.2", "K = 500", ge=1, le=100_000)
    """Slots of the banks P_f and P_r, for each category."""
    memory_momentum: float = _setting(0.99, "3.1", "eta = 0.99", ge=0, lt=1)
    """Weight of the old content when a slot is written again (Eqs 16-17); less where a short training seldom does."""
    memory_fill_first: bool = _setting(True, "4.3", "N(0, 1) start")
    """The first write of a slot replaces its content instead of averaging with it.

    Choice: the paper starts from a standard normal distribution (False), noise that at its momentum stays for long."""
    shape_confidence: float = _setting(0.5, "3.2", "delta_r = 0.5", ge=0, le=1)
    """Least mask IoU between the projection I' and the input at which its code is written to the bank.

    Choice: "the mask IoU between I' and I^r" is taken at the likeliest pose, with the soft mask cut at one half."""
    prototypes: int = _setting(10, "3.2", "K' = 10", ge=1)
    """Prototypes per category that k-means purifies the bank into, for compensation. Only written slots take part.

    Choice: the paper runs k-means "at the start of each epoch". Here it also runs at the stage switch and, since the
    bank is empty then, at the log lines after it until every category has prototypes or the next epoch begins."""

    # neighbours, Eqs 27-38
    neighbor_consistency: bool = _setting(True, "3.3", "on; 'w/o NC' off")
    """Add the neighbour term L_ne (Eq. 44). Off is the row "w/o NC" of Table 8."""
    features: Literal["efficientnet-lite2", "clip"] = _setting("efficientnet-lite2", "3.3", "CLIP")
    """Image features for the candidate search (Eqs 28-31), named in every result.

    Choice: CLIP's weights are in no package, so ImageNet features stand in under their own name. ``clip`` is OpenAI's
    ViT-L/14 through open_clip, whose file is ``clip`` in the request's ``weights``."""
    candidates: int = _setting(6, "3.3", "k_cos = 6", ge=1)
    """Candidate neighbours of an image (Eq. 32)."""
    candidate_scope: Literal["category", "all"] = _setting("category", "3.3", "silent")
    """Where candidates are searched: among images of the same category, or everywhere (the literal Eq. 27).

    Choice: prototype indices are per category (Eqs 35-36) and the section speaks of consistency within a category."""
    candidate_objects: Literal["any", "distinct", "half-random"] = _setting("any", "3.3", "any")
    """What candidates are: the most similar images (the literal Eq. 32); images of the most similar objects, each
    shown by the most different of its silhouettes; or these, the latter half with random objects in their place.

    Choice: by the letter, though these mostly show few objects, and from the side at hand."""
    own_views: Literal["never", "allowed", "only"] = _setting("never", "3.3", "allowed")
    """Whether other views of the image's own object may be candidates; ``only`` takes these alone, for a yardstick: the
    ones whose silhouettes differ most.

    Choice: never. Eq. 27's set holds them, which would be multi-view supervision."""
    neighbor_prototypes: int = _setting(5, "3.3", "K'' = 5", ge=1)
    """Prototypes per category whose domains decide who is a neighbour (Eqs 33-38); at most ``prototypes``.

    Choice: the paper says that P'_r "is further refined", so k-means runs on the K' prototypes, not on the bank."""
    neighbor_filter: Literal["prototypes", "known", "silhouettes", "views"] = _setting(
        "prototypes", "3.3", "prototypes"
    )
    """What chooses neighbours. Candidates are refused by the prototype's domain (``prototypes``, Eqs 33-38) or, as a
    yardstick, by the truth, which takes the farther half away (``known``). As in ShapeClipper none is refused, and one
    is the likelier the less its silhouette has in common with the image's (``silhouettes``). As in Unicorn there are no
    candidates: of the last 1,024 images it is the one whose code is nearest among those that the network sees from an
    angle apart that was drawn (``views``; see ``neighbors.selection``).

    Choice: as printed. Neighbours never show the own object, which in Unicorn and ShapeClipper they may."""
    neighbor_samples: int = _setting(0, "3.3", "all", ge=0)
    """Neighbours rendered per image and step, drawn at random from the N_re chosen ones; 0 renders all of them.

    Choice: the paper renders all; a random subset has the same expected value. Without any, the term is zero."""
    neighbor_scale: Literal["neighbor", "own"] = _setting("neighbor", "3.3", "silent")
    """Whose axis scale (``axis_scale``) the shape wears in the neighbour's pose: the neighbour's or its own.

    Choice: the paper has no axis scale; the neighbour's is Unicorn's, and leaves the scale along the line of sight
    unsupervised. The own one is supervised there by all neighbours, which are other objects."""

    # losses, Eqs 39-45
    supervision: Literal["silhouettes", "images"] = _setting("silhouettes", "3.4", "silhouettes")
    """What the reconstruction is held against: masks and colours (Eq. 42), or as in Unicorn the image alone, by the
    mean squared difference of colours over white (``images``). Then masks and categories reach nothing that learns.

    Choice: where a collection comes without masks its images are segmented for either, so there is no background to
    learn, and Unicorn's branch for it is left out."""
    perceptual_weight: float = _setting(0.0, "3.4", "absent", ge=0)
    """Weight of the squared distance of image and rendering in an ImageNet network's low features, mean over places.
    Unicorn's 10 is that of a mean over 256 channels, 0.04 here.

    Choice: not in the paper, so off. VGG16's weights, Unicorn's, are in no package: the packaged EfficientNet-Lite0's
    features at a quarter of the resolution stand in, of unit length at each place as there."""
    affinity_weight: float = _setting(1e-6, "3.4", "epsilon = 1e-6", ge=0)
    """Weight of the affinity loss (Eq. 41), which is a sum over pixels in squared pixels of a 64 x 64 image.

    Choice: read as a sum, as printed; as a mean the weight would make it vanish."""
    affinity_literal: bool = _setting(False, "3.4", "literal")
    """Take Eq. 41 by the letter: every pixel with a non-zero rendered mask is foreground.

    Choice: a soft mask is non-zero far outside the object, where the second sum of Eq. 41 pulls the wrong way. So it is
    cut at one half, weighed by what is missing; on binary masks both agree."""
    normal_weight: float = _setting(0.01, "3.4", "1", ge=0)
    """Weight of the normal consistency.

    Choice: Eq. 45 adds it with weight 1; Unicorn uses 0.01. At 1 we expect it to smooth the shapes away."""
    laplacian_weight: float = _setting(0.01, "3.4", "1", ge=0)
    """Weight of the uniform Laplacian smoothing; see ``normal_weight``."""
    pose_prior_weight: float = _setting(0.02, "3.4", "absent", ge=0)
    """Weight of the mean distance between the batch's mean pose probabilities and uniform ones, in pose steps.

    Choice: the paper has no such term; without it all poses collapse into one candidate. The weight is Unicorn's."""
    azimuth_prior_weight: float = _setting(0.0, "3.4", "absent", ge=0)
    """Weight, in pose steps, of the squared Fourier coefficients of a category's azimuths (orders 1 to K, their mean,
    estimated from the pairs of a batch), which vanish when azimuths are even all around.

    Choice: not in the paper, so off. Images whose azimuth was found before training take no part."""
    azimuths: Literal["learned", "look-alikes", "known", "multiplex"] = _setting("learned", "3.4", "learned")
    """Where azimuths come from: the reconstruction alone (``learned``); look-alikes, the hull of a category's
    silhouettes and edges, found before training, which teach the pose branch (``look-alikes``, see
    ``neighbors.azimuths``); the truth, as a yardstick (``known``); or, as in UCMR, cameras that each training image has
    for itself, which learn beside the network and teach the pose branch (``multiplex``, see ``training.multiplex``).

    Choice: learned, as in the paper. Which of two opposite sides is the front is then decided at random, azimuth by
    azimuth; look-alikes decide it for a category at once, from the same images."""
    azimuth_weight: float = _setting(0.1, "3.4", "absent", ge=0)
    """Weight, in pose steps, of how unlikely an azimuth that was found before training is to the candidate poses."""
    reach_weight: float = _setting(0.0, "3.4", "absent", ge=0)
    """Weight of the mean squared distance, in halves of an image, from bare pixels of the object to the mesh.

    Choice: not in the paper, so off. Eq. 41 asks for the same and moves only vertices that already touch the pixel."""
    pose_every: int = _setting(2, "3.4", "absent", ge=2)
    """A pose step every so many steps; the others are shape steps.

    Choice: two, so that they alternate, as in Unicorn. Azimuths that were found before training need fewer."""
    pose_shape: Literal["own", "neighbor"] = _setting("own", "3.4", "silent")
    """On whose shape the candidate poses of an image are judged, from the stage switch on: its own, or a neighbour's.
    Without ``neighbor_consistency`` there are no neighbours, and it is the own one.

    Choice: own, as in Unicorn. But an image that is the wrong way round has a shape on which that pose is right."""

    # training, §4.3
    steps: int = _setting(400_000, "4.3", "silent; Unicorn 850,000 for a category", ge=1)
    """Training steps."""
    batch_size: int = _setting(16, "4.3", "16", ge=1, le=4096)
    """Images per step."""
    batches: Literal["mixed", "groups"] = _setting("mixed", "4.3", "silent")
    """What a batch holds: images of any category, or four groups of images of one category each.

    Choice: mixed, as one would read the paper. Groups give ``azimuth_prior_weight`` the pairs that it needs."""
    learning_rate: float = _setting(1e-4, "4.3", "1e-4", gt=0, le=1)
    """Adam's learning rate."""
    decay_at: float = _setting(1.0, "4.3", "silent; 'beginning with 1e-4'", ge=0, le=1)
    """Share of the steps after which the learning rate falls to a fifth; 1 keeps it constant."""
    stage_switch: int = _setting(10_000, "4.3", "10,000", ge=0)
    """Step at which the codes open fully and the neighbour term and the bank begin.

    Choice: before, all but the first entries of the codes (the next two settings) are held at zero, as in Unicorn. That
    the bank waits for this step is ours: codes of one entry would fill it with nothing."""
    small_shape_code: int = _setting(1, "4.3", "1", ge=0)
    """Live entries of z_s before the stage switch."""
    small_texture_code: int = _setting(2, "4.3", "2", ge=0)
    """Live entries of z_t before the stage switch."""
    log_every: int = _setting(100, "4.3", "", ge=1)
    """Steps between two lines of the log, each of which averages over the steps since the last."""
    checkpoint_every: int = _setting(1000, "4.3", "", ge=1)
    """Steps between two checkpoints, each at the next line of the log: what an interrupted run can lose."""

    # evaluation, §4.2
    eval_points: int = _setting(100_000, "4.2", ge=100, le=10_000_000)
    """Points sampled on each surface for CD and F-score.

    Choice: on its outer part, since no image shows the rest; the paper does not say. All faces are kept beside."""


FOREGROUND_SETTINGS = frozenset(
    name for name, field in Settings.model_fields.items() if field.json_schema_extra["section"] == "3.1"
) - {"memory_momentum"}
"""Settings of the foreground module alone. They reach the reconstruction through the images that it sees."""

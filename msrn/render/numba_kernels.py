"""The compiled loops of the CPU renderer: forward and analytic backward of the equations in `msrn.render`.

**Eight faces at once.** A face of a mesh under training covers about five pixels, so that neither a row of pixels nor
the pixels of a face would fill a processor's vectors. Instead each of eight *lanes* has a face of its own and walks
over its pixels; at every step one vector instruction does for eight pairs what an operation of the equations says. A
lane whose walk is over, or whose pixel is beyond the cut-off, computes on and writes to a record that nobody reads.
LLVM's vectoriser does not find this by itself: it gives up at lanes that gather and scatter pixels. The first section
therefore teaches Numba a type of eight values side by side, with Python's operators.

**Only pixels within reach.** In every row a walk begins at the first and ends at the last pixel that the three edges,
moved outwards by the cut-off distance, admit. The exact distance then decides; it drops one pair in twenty.

**What it costs.** A step takes about 380 instructions forward and 410 backward, half of them multiply-adds: with full
lanes 100 instructions a pair, 25 cycles. A pair reads and writes its pixel's record of 32 bytes going forward and reads
it going back, from the nearest cache; what a face needs is found once for its five pixels. Storing what the backward
pass computes again would cost more time in memory than in the processor.

Each image is drawn by one thread in a fixed order, so the result does not depend on the number of threads. Everything
compiled stands in this one file, because Numba's on-disk cache notices a change of the file that holds a kernel and not
of files that it calls into.

The kernels are generic in the floating type. `real` casts each literal to it, since Numba would widen `2 * float32` to
float64. Positions are taken relative to the pixel (r0, r1, r2) before anything is multiplied, which keeps float32 exact
enough. The sums over faces are

    log-transparency   -sum softplus(x) = -sum (max(x, 0) + log(1 + exp(-|x|)))
    depth softmax      exp((zeta - zeta_max) / gamma) = exp((nearest - z) * slope),  slope = 1 / (gamma * (FAR - NEAR)),
                       `nearest` the smallest depth so far; the background is a surface of D = 1 at `background_depth`
"""

import math
import operator

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, lower_builtin, overload, register_model, type_callable

# "contract" allows multiply-add in one instruction; infinities and NaN keep their meaning.
COMPILED = {"cache": True, "fastmath": {"contract", "nsz"}, "error_model": "numpy"}
FLAGS = ("contract", "nsz")
LANES = 8
VANISHED = np.float32(40)  # exp(-40) = 4e-18 is below the last digit of float64: such a weight is left out

# `numbers`: sigma, slope, squared cut-off distance, depth of the background, smallest depth and area of a drawn face.
BACKGROUND_DEPTH = 3
# An image's pixels are records of eight numbers: going forward sums of weight, red, green, blue and log-transparency,
# and the nearest depth; going back the gradient of the log-transparency, the nearest depth, 1 / sum of weights,
# <gradient of rgb, rgb>, and the gradient of rgb. LANES spare records follow, for lanes without a pixel.
RECORD, LOG_T, NEAREST = 8, 4, 5


# Lanes ----------------------------------------------------------------------------------------------------------------


class Lanes(types.Type):
    """Numba's type of LANES values that are computed side by side, in vector registers."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(f"Lanes({dtype})")


def _element(dtype) -> ir.Type:
    if dtype == types.boolean:
        return ir.IntType(1)
    return {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}.get(dtype) or ir.IntType(dtype.bitwidth)


def _vector(dtype) -> ir.VectorType:
    return ir.VectorType(_element(dtype), LANES)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        super().__init__(manager, lanes, _vector(lanes.dtype))


def _spread(builder, value):
    """LANES times the same value."""
    vector = builder.insert_element(ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined), value, _int(0))
    return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _int(value: int) -> ir.Constant:
    return ir.Constant(ir.IntType(32), value)


def _operator(function, emit, compares: bool = False) -> None:
    """Let compiled code write `function`, one of Python's operators, with lanes on one side or on both."""

    @type_callable(function)
    def typed(context):
        def typer(a, b):
            lanes = a if isinstance(a, Lanes) else b
            other = b if lanes is a else a
            if isinstance(lanes, Lanes) and other in (lanes, lanes.dtype):
                return Lanes(types.boolean) if compares else lanes

        return typer

    def lowered(context, builder, signature, arguments):
        pairs = zip(signature.args, arguments, strict=True)
        vectors = [x if isinstance(kind, Lanes) else _spread(builder, x) for kind, x in pairs]
        return emit(builder, *vectors, isinstance(vectors[0].type.element, (ir.FloatType, ir.DoubleType)))

    for kinds in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(function, *kinds)(lowered)


_operator(operator.add, lambda to, a, b, real: to.fadd(a, b, flags=FLAGS) if real else to.add(a, b))
_operator(operator.sub, lambda to, a, b, real: to.fsub(a, b, flags=FLAGS) if real else to.sub(a, b))
_operator(operator.mul, lambda to, a, b, real: to.fmul(a, b, flags=FLAGS) if real else to.mul(a, b))
_operator(operator.truediv, lambda to, a, b, real: to.fdiv(a, b, flags=FLAGS))
_operator(operator.and_, lambda to, a, b, real: to.and_(a, b))
_operator(operator.or_, lambda to, a, b, real: to.or_(a, b))
_operator(operator.ne, lambda to, a, b, real: to.fcmp_unordered("!=", a, b), compares=True)
_operator(operator.lt, lambda to, a, b, real: to.fcmp_ordered("<", a, b), compares=True)
_operator(operator.le, lambda to, a, b, real: to.fcmp_ordered("<=", a, b), compares=True)
_operator(operator.gt, lambda to, a, b, real: to.fcmp_ordered(">", a, b), compares=True)
_operator(operator.ge, lambda to, a, b, real: to.fcmp_ordered(">=", a, b), compares=True)


def _both(builder, signature, arguments, first: int):
    """The arguments from `first` on as vectors."""
    pairs = zip(signature.args[first:], arguments[first:], strict=True)
    return [x if isinstance(kind, Lanes) else _spread(builder, x) for kind, x in pairs]


@intrinsic
def choose(typing, mask, a, b):
    """a where the mask holds, b elsewhere; either may be one number for all lanes."""
    kind = a if isinstance(a, Lanes) else b if isinstance(b, Lanes) else Lanes(a)

    def emit(context, builder, signature, arguments):
        return builder.select(arguments[0], *_both(builder, signature, arguments, 1))

    return kind(mask, a, b), emit


@intrinsic
def smaller(typing, a, b):
    """The smaller of two; b where one is not a number."""

    def emit(context, builder, signature, arguments):
        a, b = _both(builder, signature, arguments, 0)
        return builder.select(builder.fcmp_ordered("<", a, b, flags=("nsz",)), a, b)

    return (a if isinstance(a, Lanes) else b)(a, b), emit


@intrinsic
def larger(typing, a, b):
    """The larger of two; b where one is not a number."""

    def emit(context, builder, signature, arguments):
        a, b = _both(builder, signature, arguments, 0)
        return builder.select(builder.fcmp_ordered(">", a, b, flags=("nsz",)), a, b)

    return (a if isinstance(a, Lanes) else b)(a, b), emit


def _llvm(name: str):
    """One of LLVM's own functions of a vector of floating numbers."""

    @intrinsic
    def call(typing, x):
        def emit(context, builder, signature, arguments):
            vector = arguments[0].type
            full = f"llvm.{name}.v{LANES}{vector.element.intrinsic_name}"
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector]), full)
            return builder.call(function, arguments, fastmath=FLAGS)

        return x(x), emit

    return call


floor, ceil, magnitude, root = _llvm("floor"), _llvm("ceil"), _llvm("fabs"), _llvm("sqrt")
_exact_exp, _exact_log = _llvm("exp"), _llvm("log")


@intrinsic
def whole(typing, x):
    """Floating numbers without a fraction as int32."""

    def emit(context, builder, signature, arguments):
        return builder.fptosi(arguments[0], _vector(types.int32))

    return Lanes(types.int32)(x), emit


@intrinsic
def power_of_two(typing, exponent):
    """2 to an int32 in -126..127, as float32: the exponent is put where the format keeps it."""

    def emit(context, builder, signature, arguments):
        shift = lambda value: ir.Constant(arguments[0].type, [value] * LANES)  # noqa: E731
        bits = builder.shl(builder.add(arguments[0], shift(127)), shift(23))
        return builder.bitcast(bits, _vector(types.float32))

    return Lanes(types.float32)(exponent), emit


@intrinsic
def some(typing, mask):
    """Whether the mask holds in any lane."""

    def emit(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(mask), emit


@intrinsic
def spread(typing, value):
    """The same value in every lane."""

    def emit(context, builder, signature, arguments):
        return _spread(builder, arguments[0])

    return Lanes(value)(value), emit


@intrinsic
def lane_numbers(typing):
    """0, 1, 2 ... as int32."""

    def emit(context, builder, signature, arguments):
        return ir.Constant(_vector(types.int32), list(range(LANES)))

    return Lanes(types.int32)(), emit


@intrinsic
def at(typing, lanes, lane):
    """The value in one lane."""

    def emit(context, builder, signature, arguments):
        return builder.extract_element(arguments[0], builder.trunc(arguments[1], ir.IntType(32)))

    return lanes.dtype(lanes, types.intp), emit


def _pointer(builder, context, array_type, array, index):
    """Of an entry of a flat contiguous array; negative indices have no meaning here."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def _loaded(builder, pointer, width: int):
    """`width` entries from a pointer on."""
    element = pointer.type.pointee
    vector = builder.load(builder.bitcast(pointer, ir.VectorType(element, width).as_pointer()))
    vector.align = 8 if isinstance(element, ir.DoubleType) else 4
    return vector


def _stored(builder, vector, pointer) -> None:
    store = builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer()))
    store.align = 8 if isinstance(vector.type.element, ir.DoubleType) else 4


@intrinsic
def load(typing, array, start):
    """LANES entries of a flat array side by side."""

    def emit(context, builder, signature, arguments):
        return _loaded(builder, _pointer(builder, context, signature.args[0], *arguments), LANES)

    return Lanes(array.dtype)(array, types.intp), emit


@intrinsic
def store(typing, array, start, lanes):
    def emit(context, builder, signature, arguments):
        _stored(builder, arguments[2], _pointer(builder, context, signature.args[0], *arguments[:2]))

    return types.void(array, types.intp, lanes), emit


def _shuffled(builder, a, b, places):
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places))


def _transposed(builder, vectors):
    """Four vectors whose fours of entries are rows of 4 x 4 matrices: all matrices transposed."""
    a, b, c, d = vectors
    low = [entry for k in range(0, LANES, 4) for entry in (k, k + LANES, k + 1, k + 1 + LANES)]
    high = [entry + 2 for entry in low]
    ac, bd = _shuffled(builder, a, c, low), _shuffled(builder, b, d, low)
    other_ac, other_bd = _shuffled(builder, a, c, high), _shuffled(builder, b, d, high)
    pairs = (ac, bd, low), (ac, bd, high), (other_ac, other_bd, low), (other_ac, other_bd, high)
    return [_shuffled(builder, *pair) for pair in pairs]


def _joined(builder, vectors):
    """Vectors end to end."""
    while len(vectors) > 1:
        ends = list(range(2 * vectors[0].type.count))
        vectors = [_shuffled(builder, *pair, ends) for pair in zip(vectors[::2], vectors[1::2], strict=True)]
    return vectors[0]


def _rows(context, builder, signature, arguments):
    """For every lane a pointer to the entry of a flat array (first argument) at the lane's start (second) plus an
    offset (third)."""
    array, start, offset = arguments[:3]
    for lane in range(LANES):
        place = builder.zext(builder.extract_element(start, _int(lane)), ir.IntType(64))
        yield lane, _pointer(builder, context, signature.args[0], array, builder.add(place, offset))


@intrinsic
def four(typing, array, start, offset):
    """Four entries from each lane's place on, as four times LANES values."""

    def emit(context, builder, signature, arguments):
        rows = [_loaded(builder, pointer, 4) for _, pointer in _rows(context, builder, signature, arguments)]
        joined = [_joined(builder, rows[k::4]) for k in range(4)]
        return context.make_tuple(builder, signature.return_type, _transposed(builder, joined))

    return types.UniTuple(Lanes(array.dtype), 4)(array, start, types.intp), emit


def _each_four(builder, vectors):
    """For every lane the vector of its four values."""
    joined = _transposed(builder, vectors)
    return [_shuffled(builder, part, part, list(range(k, k + 4))) for k in range(0, LANES, 4) for part in joined]


@intrinsic
def put_four(typing, array, start, offset, a, b, c, d):
    """The reverse of `four`."""

    def emit(context, builder, signature, arguments):
        rows = _each_four(builder, arguments[3:])
        for lane, pointer in _rows(context, builder, signature, arguments):
            _stored(builder, rows[lane], pointer)

    return types.void(array, start, types.intp, a, b, c, d), emit


@intrinsic
def blend_four(typing, array, start, offset, decay, a, b, c, d):
    """Lane after lane, since several may have one place: its four entries times the decay plus the four values."""

    def emit(context, builder, signature, arguments):
        rows = _each_four(builder, arguments[4:])
        for lane, pointer in _rows(context, builder, signature, arguments):
            decay = _shuffled(builder, arguments[3], arguments[3], [lane] * 4)
            old = builder.fmul(_loaded(builder, pointer, 4), decay, flags=FLAGS)
            _stored(builder, builder.fadd(old, rows[lane], flags=FLAGS), pointer)

    return types.void(array, start, types.intp, decay, a, b, c, d), emit


@intrinsic
def subtract(typing, array, start, offset, amount):
    """Lane after lane."""

    def emit(context, builder, signature, arguments):
        for lane, pointer in _rows(context, builder, signature, arguments):
            amount = builder.extract_element(arguments[3], _int(lane))
            builder.store(builder.fsub(builder.load(pointer), amount, flags=FLAGS), pointer)

    return types.void(array, start, types.intp, amount), emit


@intrinsic
def lower(typing, array, start, offset, value):
    """Lane after lane: put the value where it is smaller than the entry; returns what each lane found."""

    def emit(context, builder, signature, arguments):
        found = ir.Constant(arguments[3].type, ir.Undefined)
        for lane, pointer in _rows(context, builder, signature, arguments):
            old, new = builder.load(pointer), builder.extract_element(arguments[3], _int(lane))
            found = builder.insert_element(found, old, _int(lane))
            builder.store(builder.select(builder.fcmp_ordered("<", new, old), new, old), pointer)
        return found

    return value(array, start, types.intp, value), emit


def _exp(x):
    """exp(x) of lanes; in float32 with a relative error below 1.5e-7 for x in -87..0."""


@overload(_exp)
def _exp_of(x):
    if x.dtype == types.float64:
        return lambda x: _exact_exp(x)
    return _short_exp


def _softened(u):
    """log(1 + u) of lanes in 0..1; in float32 with a relative error below 2e-7."""


@overload(_softened)
def _softened_of(u):
    if u.dtype == types.float64:
        return _exact_log1p
    return _short_log1p


def _exact_log1p(u):
    # log(1 + u) with the rounding of 1 + u taken back
    sum_ = u + 1.0
    return _exact_log(sum_) - ((sum_ - 1.0) - u) / sum_


def _short_log1p(u):
    # The polynomials of this and the next are the closest in relative error, by weighted least squares.
    p = u * np.float32(0.0052326880395412445) + np.float32(-0.029505213722586632)
    p = p * u + np.float32(0.07822591066360474)
    p = p * u + np.float32(-0.13663242757320404)
    p = p * u + np.float32(0.19106005132198334)
    p = p * u + np.float32(-0.2484298199415207)
    p = p * u + np.float32(0.3331909775733948)
    p = p * u + np.float32(-0.4999949336051941)
    return (p * u + np.float32(0.9999999403953552)) * u


@njit(**COMPILED)
def _split(x):
    """n and exp(x - n log 2) - 1 for the whole number n nearest to x / log 2."""
    x = larger(x, np.float32(-87))
    n = floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = (x - n * np.float32(0.693359375)) + n * np.float32(2.12194440e-4)
    p = r * np.float32(0.0013814467238262296) + np.float32(0.008368780836462975)
    p = p * r + np.float32(0.04166839271783829)
    p = p * r + np.float32(0.1666651964187622)
    p = p * r + np.float32(0.4999999403953552)
    return power_of_two(whole(n)), (p * r) * r + r


def _short_exp(x):
    scale, rest = _split(x)
    return rest * scale + scale


def _covered(log_t):
    """1 - exp(log_t) of lanes that are 0 or less, exact for small ones, too."""


@overload(_covered)
def _covered_of(log_t):
    if log_t.dtype == types.float64:
        return _exact_covered
    return _short_covered


def _exact_covered(log_t):
    # near 1, (1 - u) * x / log(u) for u = exp(x): the errors of 1 - u and of log(u) cancel (Kahan)
    u = _exact_exp(log_t)
    near = (u > 0.5) & (u < 1.0)
    cancelled = (1.0 - u) * log_t / _exact_log(choose(near, u, 0.5))
    return choose(near, cancelled, choose(u < 1.0, 1.0 - u, 0.0 - log_t))


def _short_covered(log_t):
    scale, rest = _split(log_t)
    return (np.float32(1) - scale) - rest * scale


# Faces ----------------------------------------------------------------------------------------------------------------


@njit(**COMPILED)
def _clamped(x, low, high):
    return smaller(larger(x, low), high)


@njit(**COMPILED)
def _span(real, low, high, size):
    """First and last pixel whose centre (2 j + 1) / size - 1 lies in [low, high], crossed if off screen."""
    half = real(0.5) * size
    first = ceil(_clamped((low + real(1)) * half - real(0.5), real(0), size))
    return first, floor(_clamped((high + real(1)) * half - real(0.5), real(-1), size - real(1)))


@njit(**COMPILED)
def _bounds(real, ax, ay, bx, by, side, reach, size):
    """What an edge, moved outwards by `reach`, says of the columns of a row: low >= c + g * row, high <= c + g * row.
    The edge sets one of these and leaves the other open; an edge that is almost level leaves both."""
    one, half = real(1), real(0.5) * size
    dy = by - ay
    g = (bx - ax) / dy
    c = (ax + (one / size - one - ay) * g + one) * half - real(0.5)
    # Rounding must not lose a pixel, while a column too many only costs time.
    slack = real(0.01) + (magnitude(ax) + magnitude(ay * g) + magnitude(g) + one) * (half * real(1e-6))
    shift = root(g * g + one) * (reach * half) + slack
    bounded = magnitude(g) <= real(32)
    falls, rises = bounded & (side * dy < real(0)), bounded & (side * dy > real(0))
    low = choose(falls, c - shift, real(-1e9)), choose(falls, g, real(0))
    return low, (choose(rises, c + shift, real(1e9)), choose(rises, g, real(0)))


@njit(**COMPILED)
def _edge(real, ax, ay, bx, by):
    """An edge as a vector, and the same over its squared length."""
    dx, dy = bx - ax, by - ay
    inverse = real(1) / (dx * dx + dy * dy)
    return dx, dy, dx * inverse, dy * inverse


@njit(**COMPILED)
def _group(real, points, corner0, corner1, corner2, numbers, size):
    """The faces that eight lanes draw: corners, orientation (+1, -1), the edge opposite each corner, first and last row
    and column, and the bounds of the columns. A face that is skipped has no row and is a harmless triangle."""
    _, _, cutoff, _, depth, flat = numbers
    reach, zero, one = math.sqrt(cutoff), real(0), real(1)
    x0, y0, z0, _ = four(points, corner0, 0)
    x1, y1, z1, _ = four(points, corner1, 0)
    x2, y2, z2, _ = four(points, corner2, 0)
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    # Written so that NaN and infinity fail.
    seen = (z0 > depth) & (z1 > depth) & (z2 > depth) & (magnitude(area) > flat) & (magnitude(area) < real(math.inf))
    x0, y0, z0 = choose(seen, x0, zero), choose(seen, y0, zero), choose(seen, z0, one)
    x1, y1, z1 = choose(seen, x1, one), choose(seen, y1, zero), choose(seen, z1, one)
    x2, y2, z2 = choose(seen, x2, zero), choose(seen, y2, one), choose(seen, z2, one)
    side = choose(area < zero, real(-1), one)
    top, bottom = _span(real, smaller(smaller(y0, y1), y2) - reach, larger(larger(y0, y1), y2) + reach, size)
    left, right = _span(real, smaller(smaller(x0, x1), x2) - reach, larger(larger(x0, x1), x2) + reach, size)
    bottom = choose(seen & (left <= right), bottom, real(-1))
    edges = (_edge(real, x1, y1, x2, y2), _edge(real, x2, y2, x0, y0), _edge(real, x0, y0, x1, y1))
    bounds = (
        _bounds(real, x1, y1, x2, y2, side, reach, size),
        _bounds(real, x2, y2, x0, y0, side, reach, size),
        _bounds(real, x0, y0, x1, y1, side, reach, size),
    )
    return (x0, y0, z0, x1, y1, z1, x2, y2, z2), side, edges, (top, bottom, left, right), bounds


@njit(**COMPILED)
def _columns(row, box, bounds):
    """First and last column that the lanes visit in their rows. What is not a number does not bound them."""
    _, _, left, right = box
    (low0, high0), (low1, high1), (low2, high2) = bounds
    low = larger(low2[0] + low2[1] * row, larger(low1[0] + low1[1] * row, larger(low0[0] + low0[1] * row, left)))
    high = smaller(high1[0] + high1[1] * row, smaller(high0[0] + high0[1] * row, right))
    return ceil(low), floor(smaller(high2[0] + high2[1] * row, high))


@njit(**COMPILED)
def _onward(real, row, column, high, box, bounds):
    """Row, column and last column of the next pixels."""
    column = column + real(1)
    ended = column > high
    row = choose(ended, row + real(1), row)
    low, high = _columns(row, box, bounds)
    return row, choose(ended, low, column), high


# Pairs ----------------------------------------------------------------------------------------------------------------


@njit(**COMPILED)
def _segment(real, ax, ay, edge):
    """Nearest point to the origin of a segment from a: squared distance, the point, and its place t from 0 to 1."""
    dx, dy, ux, uy = edge
    t = _clamped(real(0) - (ax * ux + ay * uy), real(0), real(1))
    x, y = ax + t * dx, ay + t * dy
    return x * x + y * y, x, y, t


@njit(**COMPILED)
def _relative(real, corners, row, column, size):
    """The corners seen from the centres of the pixels."""
    step = real(2) / size
    x0, y0, _, x1, y1, _, x2, y2, _ = corners
    px, py = column * step + (step * real(0.5) - real(1)), row * step + (step * real(0.5) - real(1))
    return x0 - px, y0 - py, x1 - px, y1 - py, x2 - px, y2 - py


@njit(**COMPILED)
def _inner(real, r, side, edges):
    """Twice the area between the origin and the edge opposite each corner, negative beyond it; whether none is."""
    x0, y0, x1, y1, x2, y2 = r
    (dx0, dy0, _, _), (dx1, dy1, _, _), (dx2, dy2, _, _) = edges
    e0, e1, e2 = (x1 * dy0 - y1 * dx0) * side, (x2 * dy1 - y2 * dx1) * side, (x0 * dy2 - y0 * dx2) * side
    return e0, e1, e2, (e0 >= real(0)) & (e1 >= real(0)) & (e2 >= real(0))


@njit(**COMPILED)
def _boundary(real, r, edges):
    """Nearest point of the triangle's boundary to the origin: squared distance, the point, and its shares of the
    corners (it moves with the ends of its edge only)."""
    x0, y0, x1, y1, x2, y2 = r
    zero, one = real(0), real(1)
    d, x, y, t = _segment(real, x1, y1, edges[0])
    d1, px1, py1, t1 = _segment(real, x2, y2, edges[1])
    d2, px2, py2, t2 = _segment(real, x0, y0, edges[2])
    closer = d1 < d
    d, x, y = smaller(d1, d), choose(closer, px1, x), choose(closer, py1, y)
    k0, k1, k2 = choose(closer, t1, zero), choose(closer, zero, one - t), choose(closer, one - t1, t)
    closer = d2 < d
    d, x, y = smaller(d2, d), choose(closer, px2, x), choose(closer, py2, y)
    return d, x, y, (choose(closer, one - t2, k0), choose(closer, t2, k1), choose(closer, zero, k2))


@njit(**COMPILED)
def _barycentric(real, e0, e1, e2, flat):
    """Coordinates of the pixels, negative ones set to zero, and one over what they were divided by."""
    e0, e1, e2 = larger(e0, real(0)), larger(e1, real(0)), larger(e2, real(0))
    unit = real(1) / larger(e0 + e1 + e2, flat)
    return e0 * unit, e1 * unit, e2 * unit, unit


@njit(**COMPILED)
def padded(count):
    """The next number of whole groups of LANES."""
    return (count + LANES - 1) // LANES * LANES


@njit(**COMPILED)
def _spare(size):
    """Where the spare records of the lanes begin."""
    return (lane_numbers() + np.int32(size * size)) * np.int32(RECORD)


@njit(**COMPILED)
def _pixel(alive, row, column, size, spare):
    """Where the records of the lanes' pixels begin."""
    return choose(alive, (whole(row) * np.int32(size) + whole(column)) * np.int32(RECORD), spare)


@njit(**COMPILED)
def _palette(colors, faces):
    """Red, green and blue at each corner of the lanes' faces, in nine times eight values."""
    r0, g0, b0, r1 = four(colors, faces, 0)
    g1, b1, r2, g2 = four(colors, faces, 4)
    _, _, _, b2 = four(colors, faces, 5)
    return r0, g0, b0, r1, g1, b1, r2, g2, b2


@njit(**COMPILED)
def _draw(real, points, corners, colors, numbers, size, record, lengths):
    """Accumulate all faces of one image into its records, and note how many steps each face took."""
    sigma, slope, cutoff, _, _, flat = numbers
    zero, one, side_length = real(0), real(1), real(size)
    inverse_sigma, spare = one / sigma, _spare(size)
    for first in range(0, len(corners) // 4, LANES):
        corner0, corner1, corner2, palettes = four(corners, (lane_numbers() + np.int32(first)) * np.int32(4), 0)
        face, side, edges, box, bounds = _group(real, points, corner0, corner1, corner2, numbers, side_length)
        _, _, z0, _, _, z1, _, _, z2 = face
        if colors is not None:
            palette = _palette(colors, palettes)
        row, bottom, length = box[0], box[1], spread(zero)
        column, high = _columns(row, box, bounds)
        while some(row <= bottom):
            r = _relative(real, face, row, column, side_length)
            e0, e1, e2, inside = _inner(real, r, side, edges)
            squared, _, _, _ = _boundary(real, r, edges)
            alive = (row <= bottom) & (column <= high) & (inside | (squared < cutoff))
            pixel = _pixel(alive, row, column, size, spare)
            length = length + choose(row <= bottom, one, zero)
            row, column, high = _onward(real, row, column, high, box, bounds)
            x = squared * inverse_sigma
            u = _exp(zero - x)
            subtract(record, pixel, LOG_T, _softened(u) + choose(inside, x, zero))
            if colors is not None:
                b0, b1, b2, _ = _barycentric(real, e0, e1, e2, flat)
                z = b0 * z0 + b1 * z1 + b2 * z2
                ahead = (lower(record, pixel, NEAREST, z) - z) * slope
                fade = zero - magnitude(ahead)
                fade = choose(fade > real(-VANISHED), _exp(fade), zero)
                weight = choose(inside, one, u) / (u + one) * choose(ahead > zero, one, fade)
                decay = choose(ahead > zero, fade, one)
                red0, green0, blue0, red1, green1, blue1, red2, green2, blue2 = palette
                red = weight * (b0 * red0 + b1 * red1 + b2 * red2)
                green = weight * (b0 * green0 + b1 * green1 + b2 * green2)
                blue = weight * (b0 * blue0 + b1 * blue1 + b2 * blue2)
                blend_four(record, pixel, 0, decay, weight, red, green, blue)
        store(lengths, first, length)


@njit(**COMPILED)
def _corners(faces):
    """Where the three corners and the colours of each face begin in flat arrays of fours and nines. The last group of
    LANES is filled up with faces that have no area."""
    places = np.zeros((padded(len(faces)), 4), np.int32)
    for face in range(len(faces)):
        for corner in range(3):
            places[face, corner] = 4 * faces[face, corner]
        places[face, 3] = 9 * face
    return places.ravel()


@njit(**COMPILED)
def _points(vertices):
    """An image's vertices in fours."""
    points = np.zeros(4 * len(vertices), vertices.dtype)
    for vertex in range(len(vertices)):
        for axis in range(3):
            points[4 * vertex + axis] = vertices[vertex, axis]
    return points


@njit(**COMPILED)
def _block(start, pixels):
    """The first of LANES pixels from `start` on; the last block laps over the one before."""
    return min(start, pixels - LANES)


@njit(**COMPILED)
def _records(first):
    """Where the records of LANES pixels from `first` on begin."""
    return (lane_numbers() + np.int32(first)) * np.int32(RECORD)


# Forward --------------------------------------------------------------------------------------------------------------


@njit(**COMPILED)
def _clear(real, background, numbers, record):
    """Begin with the background: a surface of coverage 1 behind everything."""
    zero, (red, green, blue) = real(0), background
    for start in range(0, LANES, RECORD):
        for k, value in enumerate((real(1), red, green, blue, zero, numbers[BACKGROUND_DEPTH], zero, zero)):
            record[start + k] = value
    pattern = load(record, 0)
    for start in range(0, len(record), LANES):
        store(record, start, pattern)


@njit(**COMPILED)
def _finish(real, image, pixels, colored, background, record, state, rgb, alpha, log_t):
    """Turn the sums of an image into its outputs, and keep the nearest depths and one over the total weights where a
    face covers a pixel."""
    for k in range(0, pixels, LANES):
        first = _block(k, pixels)
        start, records = image * pixels + first, _records(first)
        total, nearest, _, _ = four(record, records, LOG_T)
        covered = some(total != real(0))
        store(log_t, start, total)
        store(alpha, start, _covered(total) if covered else total)
        if colored:
            red, green, blue = spread(background[0]), spread(background[1]), spread(background[2])
            if covered:
                weight, red, green, blue = four(record, records, 0)
                scale = real(1) / weight
                red, green, blue = red * scale, green * scale, blue * scale
                store(state, start + image * pixels, nearest)
                store(state, start + (image + 1) * pixels, scale)
            start += 2 * image * pixels
            store(rgb, start, red)
            store(rgb, start + pixels, green)
            store(rgb, start + 2 * pixels, blue)


@njit(**COMPILED)
def _forward_image(image, vertices, corners, colors, background, numbers, size, lengths, state, rgb, alpha, log_t):
    real, pixels = vertices.dtype.type, size * size
    record = np.empty(RECORD * (pixels + LANES), vertices.dtype)
    _clear(real, background, numbers, record)
    points = _points(vertices[image])
    if colors is None:
        _draw(real, points, corners, None, numbers, size, record, lengths[image])
    else:
        own = len(colors) // len(vertices)
        own_colors = colors[image * own : (image + 1) * own]
        _draw(real, points, corners, own_colors, numbers, size, record, lengths[image])
    _finish(real, image, pixels, colors is not None, background, record, state, rgb, alpha, log_t)


@njit(**COMPILED)
def forward_serial(vertices, faces, colors, background, numbers, size, lengths, state, rgb, alpha, log_t):
    """Fill the flat arrays of rgb (B,3,H,W), alpha (B,H,W) and log_t (B,H,W), and for the backward pass lengths
    (B,padded(F)) and the flat array of state (B,2,H,W). Without colours (None), neither state nor rgb is written."""
    corners = _corners(faces)
    for image in range(len(vertices)):
        _forward_image(image, vertices, corners, colors, background, numbers, size, lengths, state, rgb, alpha, log_t)


@njit(parallel=True, **COMPILED)
def forward_parallel(vertices, faces, colors, background, numbers, size, lengths, state, rgb, alpha, log_t):
    """The same with the images shared out to Numba's threads."""
    corners = _corners(faces)
    for number in prange(len(vertices)):
        image = np.int64(number)  # prange counts unsigned, which Numba would mix with 0 to a float
        _forward_image(image, vertices, corners, colors, background, numbers, size, lengths, state, rgb, alpha, log_t)


# Backward -------------------------------------------------------------------------------------------------------------


@njit(**COMPILED)
def _undraw(real, points, corners, order, colors, numbers, size, record, grad_points, grad_colors):
    """Walk the same pairs again and carry each pixel's gradients to the corners and colours of its faces."""
    sigma, slope, cutoff, _, _, flat = numbers
    zero, one, side_length = real(0), real(1), real(size)
    inverse_sigma, spare, none = one / sigma, _spare(size), spread(zero)
    for first in range(0, len(corners) // 4, LANES):
        corner0, corner1, corner2, palettes = four(corners, load(order, first), 0)
        face, side, edges, box, bounds = _group(real, points, corner0, corner1, corner2, numbers, side_length)
        _, _, z0, _, _, z1, _, _, z2 = face
        if colors is not None:
            red0, green0, blue0, red1, green1, blue1, red2, green2, blue2 = _palette(colors, palettes)
        gr0 = gg0 = gb0 = gr1 = gg1 = gb1 = gr2 = gg2 = gb2 = none
        gx0 = gy0 = gz0 = gx1 = gy1 = gz1 = gx2 = gy2 = gz2 = none
        row, bottom = box[0], box[1]
        column, high = _columns(row, box, bounds)
        while some(row <= bottom):
            r = _relative(real, face, row, column, side_length)
            e0, e1, e2, inside = _inner(real, r, side, edges)
            squared, qx, qy, (k0, k1, k2) = _boundary(real, r, edges)
            alive = (row <= bottom) & (column <= high) & (inside | (squared < cutoff))
            pixel = _pixel(alive, row, column, size, spare)
            row, column, high = _onward(real, row, column, high, box, bounds)
            grad_log_t, nearest, scale, dot = four(record, pixel, 0)
            u = _exp(squared * (zero - inverse_sigma))
            much = one / (one + u)
            little = u * much
            coverage = choose(inside, much, little)
            grad_x = zero - grad_log_t * coverage  # d log(1 - D) / dx = -D
            if colors is not None:
                red, green, blue, _ = four(record, pixel, 4)
                b0, b1, b2, unit = _barycentric(real, e0, e1, e2, flat)
                # Never in front of the nearest, though its z of an edge-on face may differ from `_draw`'s.
                z = b0 * z0 + b1 * z1 + b2 * z2
                behind = smaller((nearest - z) * slope, zero)
                shown = alive & (behind > real(-VANISHED))
                weight = choose(shown, _exp(behind), zero) * coverage * scale
                # <gradient of rgb, colour of the corner>; a colour that is not a number does no harm unless it shows
                s0 = choose(shown, red * red0 + green * green0 + blue * blue0, zero)
                s1 = choose(shown, red * red1 + green * green1 + blue * blue1, zero)
                s2 = choose(shown, red * red2 + green * green2 + blue * blue2, zero)
                if grad_colors is not None:
                    w0, w1, w2 = weight * b0, weight * b1, weight * b2
                    gr0, gg0, gb0 = gr0 + w0 * red, gg0 + w0 * green, gb0 + w0 * blue
                    gr1, gg1, gb1 = gr1 + w1 * red, gg1 + w1 * green, gb1 + w1 * blue
                    gr2, gg2, gb2 = gr2 + w2 * red, gg2 + w2 * green, gb2 + w2 * blue
                mean = b0 * s0 + b1 * s1 + b2 * s2
                pull = weight * (mean - dot)  # d loss / d log weight
                grad_x = grad_x + pull * choose(inside, little, much)  # d log D / dx = 1 - D
                grad_z = (zero - pull) * slope
                gz0, gz1, gz2 = gz0 + grad_z * b0, gz1 + grad_z * b1, gz2 + grad_z * b2
                h0, h1, h2 = weight * s0 + grad_z * z0, weight * s1 + grad_z * z1, weight * s2 + grad_z * z2
                mean, unit = weight * mean + grad_z * z, unit * side
                ge0 = choose(e0 > zero, (h0 - mean) * unit, zero)
                ge1 = choose(e1 > zero, (h1 - mean) * unit, zero)
                ge2 = choose(e2 > zero, (h2 - mean) * unit, zero)
                r0x, r0y, r1x, r1y, r2x, r2y = r
                gx0, gy0 = gx0 + (ge2 * r1y - ge1 * r2y), gy0 + (ge1 * r2x - ge2 * r1x)
                gx1, gy1 = gx1 + (ge0 * r2y - ge2 * r0y), gy1 + (ge2 * r0x - ge0 * r2x)
                gx2, gy2 = gx2 + (ge1 * r0y - ge0 * r1y), gy2 + (ge0 * r1x - ge1 * r0x)
            # d|q|^2 = 2 q . (k0 da0 + k1 da1 + k2 da2)
            push = grad_x * choose(inside, real(2) * inverse_sigma, real(-2) * inverse_sigma)
            push_x, push_y = push * qx, push * qy
            gx0, gy0 = gx0 + k0 * push_x, gy0 + k0 * push_y
            gx1, gy1 = gx1 + k1 * push_x, gy1 + k1 * push_y
            gx2, gy2 = gx2 + k2 * push_x, gy2 + k2 * push_y
        blend_four(grad_points, corner0, 0, spread(one), gx0, gy0, gz0, none)
        blend_four(grad_points, corner1, 0, spread(one), gx1, gy1, gz1, none)
        blend_four(grad_points, corner2, 0, spread(one), gx2, gy2, gz2, none)
        if grad_colors is not None:
            blend_four(grad_colors, palettes, 0, spread(one), gr0, gg0, gb0, gr1)
            blend_four(grad_colors, palettes, 4, spread(one), gg1, gb1, gr2, gg2)
            blend_four(grad_colors, palettes, 5, spread(one), none, none, none, gb2)


@njit(**COMPILED)
def _by_length(lengths):
    """Where in `corners` the faces stand, in the order of their steps: lanes of a group are done at about one time."""
    longest = 63  # or more
    ends = np.zeros(longest + 2, np.uint32)
    for length in lengths:
        ends[np.uint32(min(np.int32(length), longest)) + np.uint32(1)] += np.uint32(1)
    for length in range(longest + 1):
        ends[length + 1] += ends[length]
    order = np.empty(len(lengths), np.int32)
    for face in range(len(lengths)):
        length = np.uint32(min(np.int32(lengths[face]), longest))
        order[ends[length]] = 4 * face
        ends[length] += np.uint32(1)
    return order


@njit(**COMPILED)
def _given(gradient, start):
    """Gradients from `start` on; none were given in an array of size 0."""
    return load(gradient, start) if gradient.size > 0 else spread(gradient.dtype.type(0))


@njit(**COMPILED)
def _pixel_gradients(real, image, pixels, colored, state, rgb, log_t, grad_rgb, grad_alpha, grad_log_t, record):
    """Gather what each pixel that a face covers sends back, and say whether any sends anything."""
    none = spread(real(0))
    sent = none < none
    for k in range(0, pixels, LANES):
        first = _block(k, pixels)
        start, records = image * pixels + first, _records(first)
        total = load(log_t, start)
        if not some(total != real(0)):
            continue
        gradient = _given(grad_log_t, start) - _given(grad_alpha, start) * _exp(total)  # alpha = 1 - exp(log_t)
        sent = sent | (gradient != real(0))
        nearest = scale = dot = red = green = blue = none
        if colored:
            nearest, scale = load(state, start + image * pixels), load(state, start + (image + 1) * pixels)
            start += 2 * image * pixels
            red, green, blue = load(grad_rgb, start), load(grad_rgb, start + pixels), load(grad_rgb, start + 2 * pixels)
            dot = red * load(rgb, start) + green * load(rgb, start + pixels) + blue * load(rgb, start + 2 * pixels)
            sent = sent | (red != real(0)) | (green != real(0)) | (blue != real(0))
        put_four(record, records, 0, gradient, nearest, scale, dot)
        put_four(record, records, 4, red, green, blue, none)
    for start in range(RECORD * pixels, len(record), LANES):
        store(record, start, none)
    return some(sent)


@njit(**COMPILED)
def _backward_image(
    image, vertices, corners, colors, numbers, size, lengths, state, rgb, log_t, grad_rgb, grad_alpha, grad_log_t,
    grad_vertices, grad_colors,
):  # fmt: skip
    real, pixels, colored = vertices.dtype.type, size * size, colors is not None
    record = np.empty(RECORD * (pixels + LANES), vertices.dtype)
    outputs = state, rgb, log_t, grad_rgb, grad_alpha, grad_log_t
    if not _pixel_gradients(real, image, pixels, colored, *outputs, record):
        return
    points, order = _points(vertices[image]), _by_length(lengths[image])
    grad_points = np.zeros(len(points), vertices.dtype)
    if colors is None:
        _undraw(real, points, corners, order, None, numbers, size, record, grad_points, None)
    else:
        own = len(colors) // len(vertices)
        own_colors = colors[image * own : (image + 1) * own]
        if grad_colors is None:
            _undraw(real, points, corners, order, own_colors, numbers, size, record, grad_points, None)
        else:
            own_grad = grad_colors[image * own : (image + 1) * own]
            _undraw(real, points, corners, order, own_colors, numbers, size, record, grad_points, own_grad)
    if grad_vertices is not None:
        for vertex in range(vertices.shape[1]):
            for axis in range(3):
                grad_vertices[image, vertex, axis] = grad_points[4 * vertex + axis]


@njit(**COMPILED)
def backward_serial(
    vertices, faces, colors, numbers, size, lengths, state, rgb, log_t, grad_rgb, grad_alpha, grad_log_t,
    grad_vertices, grad_colors,
):  # fmt: skip
    """Fill grad_vertices (B,V,3) and the flat array of grad_colors (B,F,3,3), both zero before or None. Gradients of
    the outputs are flat, too; a size of 0 stands for zeros. An image that is sent nothing but zeros costs next to
    nothing."""
    corners = _corners(faces)
    for image in range(len(vertices)):
        _backward_image(
            image, vertices, corners, colors, numbers, size, lengths, state, rgb, log_t, grad_rgb, grad_alpha,
            grad_log_t, grad_vertices, grad_colors,
        )  # fmt: skip


@njit(parallel=True, **COMPILED)
def backward_parallel(
    vertices, faces, colors, numbers, size, lengths, state, rgb, log_t, grad_rgb, grad_alpha, grad_log_t,
    grad_vertices, grad_colors,
):  # fmt: skip
    """The same with the images shared out to Numba's threads."""
    corners = _corners(faces)
    for image in prange(len(vertices)):
        _backward_image(
            np.int64(image), vertices, corners, colors, numbers, size, lengths, state, rgb, log_t, grad_rgb, grad_alpha,
            grad_log_t, grad_vertices, grad_colors,
        )  # fmt: skip

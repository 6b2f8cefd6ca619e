"""The compiled loops of the CPU renderer: forward and analytic backward of the equations in `msrn.render`.

Each image is drawn by one thread, face after face, so the result does not depend on the number of threads. A face only
visits the pixels of its bounding box, widened by the cut-off distance. Everything compiled stands in this one file,
because Numba's on-disk cache notices a change of the file that holds a kernel and not of files that it calls into.

The kernels are generic in the floating type. `real` casts each literal to it, since Numba would widen `2 * float32` to
float64. Positions are taken relative to the pixel (r0, r1, r2) before anything is multiplied, which keeps float32 exact
enough. Two sums are arranged for speed and accuracy:

    log-transparency   -sum softplus(x) = -sum max(x, 0) - log prod (1 + u),  u = exp(-|x|): one logarithm per pixel
    depth softmax      exp((zeta - zeta_max) / gamma) = exp((nearest - z) * slope),  slope = 1 / (gamma * (FAR - NEAR)),
                       `nearest` the smallest depth so far; the background is a surface of D = 1 at `background_depth`
"""

import math

import numpy as np
from numba import njit, prange

# "contract" allows multiply-add in one instruction; infinities and NaN keep their meaning.
COMPILED = {"cache": True, "fastmath": {"contract", "nsz"}, "error_model": "numpy"}
VANISHED = np.float32(40)  # exp(-40) = 4e-18 is below the last digit of float64, so the exponential is not taken
FULL = np.float32(1e30)  # the product of (1 + u) moves into the logarithm before float32 overflows

# `numbers`: sigma, slope, squared cut-off distance, depth of the background, smallest depth and area of a drawn face.
BACKGROUND_DEPTH = 3
# One pixel's record of the forward pass, which the backward pass reads again.
LOG_T, PRODUCT, NEAREST, TOTAL, RED, GREEN, BLUE, STATE = range(8)
# One pixel's record of the backward pass: gradient of the log-transparency, nearest depth, 1 / softmax denominator,
# <gradient of rgb, rgb>, gradient of rgb, and 1 if any of these gradients is not zero.
G_LOG_T, G_NEAREST, G_SCALE, G_DOT, G_RED, G_GREEN, G_BLUE, G_ANY, RECORD = range(9)


@njit(**COMPILED)
def _span(real, low, high, size):
    """First and past-the-last pixel whose centre (2 j + 1) / size - 1 lies in [low, high], empty if off screen."""
    half = real(0.5)
    first = math.ceil(min(max((low + real(1)) * real(size) * half - half, real(0)), real(size)))
    last = math.floor(min(max((high + real(1)) * real(size) * half - half, real(-1)), real(size - 1)))
    return int(first), int(last) + 1


@njit(**COMPILED)
def _corner_colors(real, colors, face, colored):
    """Red, green, blue of each corner, or zeros. In registers: the compiler cannot know that writing to a pixel leaves
    the colours alone."""
    if not colored:
        return real(0), real(0), real(0), real(0), real(0), real(0), real(0), real(0), real(0)
    first, second, third = colors[face, 0], colors[face, 1], colors[face, 2]
    return first[0], first[1], first[2], second[0], second[1], second[2], third[0], third[1], third[2]


@njit(**COMPILED)
def _cover(real, x0, y0, z0, x1, y1, z1, x2, y2, z2, reach, depth, flat, size):
    """Orientation (+1, -1, or 0 for a face to skip) and the rows and columns that the face can touch, or none."""
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    # Written so that NaN and infinity fail, since a cast of those to a pixel index is not defined.
    if not (z0 > depth and z1 > depth and z2 > depth and abs(area) > flat and abs(area) < math.inf):
        return real(0), 0, 0, 0, 0
    top, bottom = _span(real, min(y0, y1, y2) - reach, max(y0, y1, y2) + reach, size)
    left, right = _span(real, min(x0, x1, x2) - reach, max(x0, x1, x2) + reach, size)
    return real(1) if area > 0 else real(-1), top, bottom, left, right


@njit(**COMPILED)
def _segment(real, ax, ay, bx, by, inverse):
    """Nearest point of segment a-b to the origin: squared distance, the point, and its place t from a (0) to b (1)."""
    dx, dy = bx - ax, by - ay
    t = min(max(-(ax * dx + ay * dy) * inverse, real(0)), real(1))
    x, y = ax + t * dx, ay + t * dy
    return x * x + y * y, x, y, t


@njit(**COMPILED)
def _inverse_square(real, ax, ay, bx, by):
    return real(1) / ((bx - ax) * (bx - ax) + (by - ay) * (by - ay))


@njit(**COMPILED)
def _face(real, vertices, corners, reach, depth, flat, size):
    """The coordinates of a face's corners, what `_cover` says of it, and one over the squared length of each edge."""
    first, second, third = vertices[corners[0]], vertices[corners[1]], vertices[corners[2]]
    x0, y0, z0, x1, y1, z1 = first[0], first[1], first[2], second[0], second[1], second[2]
    x2, y2, z2 = third[0], third[1], third[2]
    box = _cover(real, x0, y0, z0, x1, y1, z1, x2, y2, z2, reach, depth, flat, size)
    opposite0, opposite1 = _inverse_square(real, x1, y1, x2, y2), _inverse_square(real, x2, y2, x0, y0)
    return (x0, y0, z0, x1, y1, z1, x2, y2, z2), box, (opposite0, opposite1, _inverse_square(real, x0, y0, x1, y1))


@njit(**COMPILED)
def _boundary(real, x0, y0, x1, y1, x2, y2, inverses):
    """Nearest point of the triangle's boundary to the origin, and the edge it lies on (by the corner opposite)."""
    d0, px0, py0, t0 = _segment(real, x1, y1, x2, y2, inverses[0])
    d1, px1, py1, t1 = _segment(real, x2, y2, x0, y0, inverses[1])
    d2, px2, py2, t2 = _segment(real, x0, y0, x1, y1, inverses[2])
    if d0 <= d1 and d0 <= d2:
        return d0, px0, py0, t0, 0
    if d1 <= d2:
        return d1, px1, py1, t1, 1
    return d2, px2, py2, t2, 2


@njit(**COMPILED)
def _edges(side, x0, y0, x1, y1, x2, y2):
    """Twice the area between the origin and the edge opposite each corner, negative beyond it; whether none is."""
    e0, e1, e2 = (x1 * y2 - x2 * y1) * side, (x2 * y0 - x0 * y2) * side, (x0 * y1 - x1 * y0) * side
    return e0, e1, e2, e0 >= 0 and e1 >= 0 and e2 >= 0


@njit(**COMPILED)
def _draw(vertices, faces, colors, colored, numbers, state):
    """Accumulate all faces of one image into `state` (H,W,STATE)."""
    real = vertices.dtype.type
    one, size = real(1), state.shape[0]
    sigma, slope, cutoff, _, depth, flat = numbers
    reach, inverse_sigma, step = math.sqrt(cutoff), one / sigma, real(2) / real(size)
    corner = step * real(0.5) - one
    for face in range(len(faces)):
        points, box, inverses = _face(real, vertices, faces[face], reach, depth, flat, size)
        (x0, y0, z0, x1, y1, z1, x2, y2, z2), (side, top, bottom, left, right) = points, box
        red0, green0, blue0, red1, green1, blue1, red2, green2, blue2 = _corner_colors(real, colors, face, colored)
        for row in range(top, bottom):
            py = real(row) * step + corner
            r0y, r1y, r2y = y0 - py, y1 - py, y2 - py
            for column in range(left, right):
                px = real(column) * step + corner
                r0x, r1x, r2x = x0 - px, x1 - px, x2 - px
                e0, e1, e2, inside = _edges(side, r0x, r0y, r1x, r1y, r2x, r2y)
                squared, _, _, _, _ = _boundary(real, r0x, r0y, r1x, r1y, r2x, r2y, inverses)
                if not inside and squared >= cutoff:
                    continue
                x = squared * inverse_sigma
                u = math.exp(-x) if x < VANISHED else real(0)
                coverage = (one if inside else u) / (one + u)
                product = state[row, column, PRODUCT] * (one + u)
                if product > FULL:
                    state[row, column, LOG_T] -= math.log(product)
                    product = one
                state[row, column, PRODUCT] = product
                if inside:
                    state[row, column, LOG_T] -= x
                if not colored:
                    continue
                c0, c1, c2 = max(e0, real(0)), max(e1, real(0)), max(e2, real(0))
                unit = one / max(c0 + c1 + c2, flat)
                b0, b1, b2 = c0 * unit, c1 * unit, c2 * unit
                z = b0 * z0 + b1 * z1 + b2 * z2
                ahead = (state[row, column, NEAREST] - z) * slope
                if ahead < -VANISHED:
                    continue
                weight, decay = coverage, one
                if ahead > 0:
                    decay = math.exp(-ahead) if ahead < VANISHED else real(0)
                    state[row, column, NEAREST] = z
                else:
                    weight *= math.exp(ahead)
                state[row, column, TOTAL] = state[row, column, TOTAL] * decay + weight
                red = weight * (b0 * red0 + b1 * red1 + b2 * red2)
                green = weight * (b0 * green0 + b1 * green1 + b2 * green2)
                blue = weight * (b0 * blue0 + b1 * blue1 + b2 * blue2)
                state[row, column, RED] = state[row, column, RED] * decay + red
                state[row, column, GREEN] = state[row, column, GREEN] * decay + green
                state[row, column, BLUE] = state[row, column, BLUE] * decay + blue


@njit(**COMPILED)
def _clear(background, numbers, state):
    """Begin with the background: a surface of coverage 1 behind everything."""
    for row in range(state.shape[0]):
        for column in range(state.shape[1]):
            state[row, column, LOG_T], state[row, column, PRODUCT] = 0, 1
            state[row, column, NEAREST], state[row, column, TOTAL] = numbers[BACKGROUND_DEPTH], 1
            for k in range(3):
                state[row, column, RED + k] = background[k]


@njit(**COMPILED)
def _finish(colored, state, rgb, alpha, log_t):
    """Turn the sums of one image into its outputs, and leave the outputs in `state` for the backward pass."""
    for row in range(state.shape[0]):
        for column in range(state.shape[1]):
            total = state[row, column, LOG_T]
            if state[row, column, PRODUCT] != 1:  # most pixels see no outline
                total -= math.log(state[row, column, PRODUCT])
            state[row, column, LOG_T] = log_t[row, column] = total
            alpha[row, column] = -math.expm1(total) if total != 0 else 0
            if colored:
                for k in range(3):
                    value = state[row, column, RED + k] / state[row, column, TOTAL]
                    state[row, column, RED + k] = rgb[k, row, column] = value


@njit(**COMPILED)
def _forward_image(image, vertices, faces, colors, colored, background, numbers, state, rgb, alpha, log_t):
    first = image if colored else 0  # without colours their arrays are empty
    _clear(background, numbers, state[image])
    _draw(vertices[image], faces, colors[first], colored, numbers, state[image])
    _finish(colored, state[image], rgb[first], alpha[image], log_t[image])


@njit(**COMPILED)
def forward_serial(vertices, faces, colors, colored, background, numbers, state, rgb, alpha, log_t):
    """Fill state (B,H,W,STATE), rgb (B,3,H,W), alpha (B,H,W) and log_t (B,H,W)."""
    for image in range(len(vertices)):
        _forward_image(image, vertices, faces, colors, colored, background, numbers, state, rgb, alpha, log_t)


@njit(parallel=True, **COMPILED)
def forward_parallel(vertices, faces, colors, colored, background, numbers, state, rgb, alpha, log_t):
    """The same with the images shared out to Numba's threads."""
    for image in prange(len(vertices)):  # an unsigned index, which Numba would mix with 0 to a float
        _forward_image(np.int64(image), vertices, faces, colors, colored, background, numbers, state, rgb, alpha, log_t)


@njit(**COMPILED)
def _undraw(vertices, faces, colors, need_vertices, need_colors, numbers, record, grad_vertices, grad_colors):
    """Walk the same pairs again and carry each pixel's gradients to the corners and colours of its faces."""
    real = vertices.dtype.type
    zero, one, two, size = real(0), real(1), real(2), record.shape[0]
    sigma, slope, cutoff, _, depth, flat = numbers
    reach, inverse_sigma, step = math.sqrt(cutoff), one / sigma, two / real(size)
    corner = step * real(0.5) - one
    colored = len(colors) > 0
    for face in range(len(faces)):
        points, box, inverses = _face(real, vertices, faces[face], reach, depth, flat, size)
        (x0, y0, z0, x1, y1, z1, x2, y2, z2), (side, top, bottom, left, right) = points, box
        red0, green0, blue0, red1, green1, blue1, red2, green2, blue2 = _corner_colors(real, colors, face, colored)
        gr0 = gg0 = gb0 = gr1 = gg1 = gb1 = gr2 = gg2 = gb2 = zero
        gx0 = gy0 = gz0 = gx1 = gy1 = gz1 = gx2 = gy2 = gz2 = zero
        for row in range(top, bottom):
            py = real(row) * step + corner
            r0y, r1y, r2y = y0 - py, y1 - py, y2 - py
            for column in range(left, right):
                if record[row, column, G_ANY] == 0:
                    continue
                px = real(column) * step + corner
                r0x, r1x, r2x = x0 - px, x1 - px, x2 - px
                squared, qx, qy, t, edge = _boundary(real, r0x, r0y, r1x, r1y, r2x, r2y, inverses)
                e0, e1, e2, inside = _edges(side, r0x, r0y, r1x, r1y, r2x, r2y)
                if not inside and squared >= cutoff:
                    continue
                x = squared * inverse_sigma
                u = math.exp(-x) if x < VANISHED else zero
                coverage = one / (one + u) if inside else u / (one + u)
                grad_x = -record[row, column, G_LOG_T] * coverage  # d log(1 - D) / dx = -D
                if colored:
                    c0, c1, c2 = max(e0, zero), max(e1, zero), max(e2, zero)
                    unit = one / max(c0 + c1 + c2, flat)
                    b0, b1, b2 = c0 * unit, c1 * unit, c2 * unit
                    behind = (record[row, column, G_NEAREST] - (b0 * z0 + b1 * z1 + b2 * z2)) * slope
                    if behind > -VANISHED:
                        # Never in front of the nearest, though its z of an edge-on face may differ from `_draw`'s.
                        weight = coverage * math.exp(min(behind, zero)) * record[row, column, G_SCALE]
                        red = record[row, column, G_RED]
                        green = record[row, column, G_GREEN]
                        blue = record[row, column, G_BLUE]
                        # <gradient of rgb, colour of the corner>
                        s0 = red * red0 + green * green0 + blue * blue0
                        s1 = red * red1 + green * green1 + blue * blue1
                        s2 = red * red2 + green * green2 + blue * blue2
                        w0, w1, w2 = weight * b0, weight * b1, weight * b2
                        gr0, gg0, gb0 = gr0 + w0 * red, gg0 + w0 * green, gb0 + w0 * blue
                        gr1, gg1, gb1 = gr1 + w1 * red, gg1 + w1 * green, gb1 + w1 * blue
                        gr2, gg2, gb2 = gr2 + w2 * red, gg2 + w2 * green, gb2 + w2 * blue
                        pull = weight * (
                            b0 * s0 + b1 * s1 + b2 * s2 - record[row, column, G_DOT]
                        )  # d loss / d log weight
                        grad_x += pull * (u / (one + u) if inside else one / (one + u))  # d log D / dx = 1 - D
                        grad_z = -pull * slope
                        gz0 += grad_z * b0
                        gz1 += grad_z * b1
                        gz2 += grad_z * b2
                        h0, h1, h2 = weight * s0 + grad_z * z0, weight * s1 + grad_z * z1, weight * s2 + grad_z * z2
                        mean = b0 * h0 + b1 * h1 + b2 * h2
                        ge0 = (h0 - mean) * unit * side if e0 > 0 else zero
                        ge1 = (h1 - mean) * unit * side if e1 > 0 else zero
                        ge2 = (h2 - mean) * unit * side if e2 > 0 else zero
                        gx0 += ge2 * r1y - ge1 * r2y
                        gy0 += ge1 * r2x - ge2 * r1x
                        gx1 += ge0 * r2y - ge2 * r0y
                        gy1 += ge2 * r0x - ge0 * r2x
                        gx2 += ge1 * r0y - ge0 * r1y
                        gy2 += ge0 * r1x - ge1 * r0x
                # The nearest point q moves with the ends of its edge only: d|q|^2 = 2 q . ((1 - t) da + t db).
                push = two * grad_x * (inverse_sigma if inside else -inverse_sigma)
                far, close = push * t, push * (one - t)
                if edge == 0:
                    gx1, gy1, gx2, gy2 = gx1 + close * qx, gy1 + close * qy, gx2 + far * qx, gy2 + far * qy
                elif edge == 1:
                    gx2, gy2, gx0, gy0 = gx2 + close * qx, gy2 + close * qy, gx0 + far * qx, gy0 + far * qy
                else:
                    gx0, gy0, gx1, gy1 = gx0 + close * qx, gy0 + close * qy, gx1 + far * qx, gy1 + far * qy
        if need_vertices:
            v0, v1, v2 = faces[face, 0], faces[face, 1], faces[face, 2]
            grad_vertices[v0, 0] += gx0
            grad_vertices[v0, 1] += gy0
            grad_vertices[v0, 2] += gz0
            grad_vertices[v1, 0] += gx1
            grad_vertices[v1, 1] += gy1
            grad_vertices[v1, 2] += gz1
            grad_vertices[v2, 0] += gx2
            grad_vertices[v2, 1] += gy2
            grad_vertices[v2, 2] += gz2
        if need_colors:
            grad_colors[face, 0, 0], grad_colors[face, 0, 1], grad_colors[face, 0, 2] = gr0, gg0, gb0
            grad_colors[face, 1, 0], grad_colors[face, 1, 1], grad_colors[face, 1, 2] = gr1, gg1, gb1
            grad_colors[face, 2, 0], grad_colors[face, 2, 1], grad_colors[face, 2, 2] = gr2, gg2, gb2


@njit(**COMPILED)
def _pixel_gradients(image, state, grad_rgb, grad_alpha, grad_log_t, record):
    """Gather what each pixel sends back, and mark the pixels that send nothing."""
    colored, from_alpha, from_log_t = grad_rgb.size > 0, grad_alpha.size > 0, grad_log_t.size > 0
    real = state.dtype.type
    for row in range(state.shape[0]):
        for column in range(state.shape[1]):
            gradient = real(0)
            if from_log_t:
                gradient += grad_log_t[image, row, column]
            if from_alpha:  # alpha = 1 - exp(log_t)
                gradient -= grad_alpha[image, row, column] * math.exp(state[row, column, LOG_T])
            record[row, column, G_LOG_T] = gradient
            some = gradient != 0
            if colored:
                dot = real(0)
                for k in range(3):
                    gradient = grad_rgb[image, k, row, column]
                    record[row, column, G_RED + k] = gradient
                    dot += gradient * state[row, column, RED + k]
                    some |= gradient != 0
                record[row, column, G_DOT] = dot
                record[row, column, G_NEAREST] = state[row, column, NEAREST]
                record[row, column, G_SCALE] = 1 / state[row, column, TOTAL]
            record[row, column, G_ANY] = some


@njit(**COMPILED)
def _backward_image(
    image, vertices, faces, colors, need_vertices, need_colors, numbers, state, grad_rgb, grad_alpha, grad_log_t,
    record, grad_vertices, grad_colors,
):  # fmt: skip
    _pixel_gradients(image, state[image], grad_rgb, grad_alpha, grad_log_t, record[image])
    _undraw(
        vertices[image], faces, colors[image if grad_rgb.size > 0 else 0], need_vertices, need_colors, numbers,
        record[image], grad_vertices[image if need_vertices else 0], grad_colors[image if need_colors else 0],
    )  # fmt: skip


@njit(**COMPILED)
def backward_serial(
    vertices, faces, colors, need_vertices, need_colors, numbers, state, grad_rgb, grad_alpha, grad_log_t,
    record, grad_vertices, grad_colors,
):  # fmt: skip
    """Add to grad_vertices (B,V,3) and grad_colors (B,F,3,3); an incoming gradient of size 0 stands for zeros."""
    for image in range(len(vertices)):
        _backward_image(
            image, vertices, faces, colors, need_vertices, need_colors, numbers, state, grad_rgb, grad_alpha,
            grad_log_t, record, grad_vertices, grad_colors,
        )  # fmt: skip


@njit(parallel=True, **COMPILED)
def backward_parallel(
    vertices, faces, colors, need_vertices, need_colors, numbers, state, grad_rgb, grad_alpha, grad_log_t,
    record, grad_vertices, grad_colors,
):  # fmt: skip
    """The same with the images shared out to Numba's threads."""
    for image in prange(len(vertices)):
        _backward_image(
            np.int64(image), vertices, faces, colors, need_vertices, need_colors, numbers, state, grad_rgb, grad_alpha,
            grad_log_t, record, grad_vertices, grad_colors,
        )  # fmt: skip

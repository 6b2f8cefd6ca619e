"""The Triton kernels of the GPU renderer: forward and analytic backward of the equations in `msrn.render`.

`prepare` gathers each face's corners and the pixels it can touch; `draw` gives each tile of pixels one warp, which
walks the faces that touch the tile in their order; `undraw` gives a few faces one warp, which walks the pixels of their
bounding boxes and sums their gradients in registers; `gather` adds the corners' gradients up at each vertex. Nobody
writes where another does: there are no atomic sums, and two runs give the same bits.

The depth softmax is kept as in `numba_kernels`, exp((zeta - zeta_max) / gamma) = exp((nearest - z) * slope). What the
backward pass needs of it is one number per pixel, `front` = nearest - log(denominator) / slope, the depth at which a
face of full coverage would weigh 1: the weight of a face is D exp((front - z) * slope).

Lanes without a pair compute with harmless numbers and are masked where they would count; the record of a face that is
not drawn holds zeros, so that nothing of it is infinite or NaN.
"""

import triton
import triton.language as tl

from msrn.render import blending

NEVER = tl.constexpr(2**31 - 1)  # the number of no face
RECORD = tl.constexpr(16)  # floats per face: nine coordinates, three 1 / length^2 of the edges, side; three are unused
MIN_DEPTH = tl.constexpr(blending.MIN_DEPTH)
MIN_AREA = tl.constexpr(blending.MIN_AREA)


@triton.jit
def _first(low, SIZE: tl.constexpr):
    """First pixel whose centre (2 j + 1) / SIZE - 1 is at least `low`; SIZE if there is none."""
    return tl.ceil(tl.minimum(tl.maximum((low + 1) * (0.5 * SIZE) - 0.5, 0.0), SIZE * 1.0)).to(tl.int16)


@triton.jit
def _past(high, SIZE: tl.constexpr):
    """The pixel after the last whose centre is at most `high`; 0 if there is none."""
    return (tl.floor(tl.minimum(tl.maximum((high + 1) * (0.5 * SIZE) - 0.5, -1.0), SIZE - 1.0)) + 1).to(tl.int16)


@triton.jit
def _inverse_square(ax, ay, bx, by, drawn):
    return 1 / tl.where(drawn, (bx - ax) * (bx - ax) + (by - ay) * (by - ay), 1.0)


@triton.jit
def prepare(vertices, faces, records, boxes, vertex_count, face_count, reach, SIZE: tl.constexpr, BLOCK: tl.constexpr):
    """Fill records (B,F,RECORD) and boxes (B,4,F): first and past-the-last row and column, empty if not drawn."""
    face = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    image = tl.program_id(1).to(tl.int64)
    here = face < face_count
    corner0 = vertices + 3 * (image * vertex_count + tl.load(faces + 3 * face, mask=here, other=0))
    corner1 = vertices + 3 * (image * vertex_count + tl.load(faces + 3 * face + 1, mask=here, other=0))
    corner2 = vertices + 3 * (image * vertex_count + tl.load(faces + 3 * face + 2, mask=here, other=0))
    x0, y0, z0 = tl.load(corner0), tl.load(corner0 + 1), tl.load(corner0 + 2)
    x1, y1, z1 = tl.load(corner1), tl.load(corner1 + 1), tl.load(corner1 + 2)
    x2, y2, z2 = tl.load(corner2), tl.load(corner2 + 1), tl.load(corner2 + 2)
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    drawn = here & (z0 > MIN_DEPTH) & (z1 > MIN_DEPTH) & (z2 > MIN_DEPTH)
    drawn = drawn & (tl.abs(area) > MIN_AREA) & (tl.abs(area) < float("inf"))  # as written, NaN fails
    x0, y0, z0 = tl.where(drawn, x0, 0.0), tl.where(drawn, y0, 0.0), tl.where(drawn, z0, 0.0)
    x1, y1, z1 = tl.where(drawn, x1, 0.0), tl.where(drawn, y1, 0.0), tl.where(drawn, z1, 0.0)
    x2, y2, z2 = tl.where(drawn, x2, 0.0), tl.where(drawn, y2, 0.0), tl.where(drawn, z2, 0.0)

    record = records + RECORD * (image * face_count + face)
    tl.store(record, x0, mask=here)
    tl.store(record + 1, y0, mask=here)
    tl.store(record + 2, z0, mask=here)
    tl.store(record + 3, x1, mask=here)
    tl.store(record + 4, y1, mask=here)
    tl.store(record + 5, z1, mask=here)
    tl.store(record + 6, x2, mask=here)
    tl.store(record + 7, y2, mask=here)
    tl.store(record + 8, z2, mask=here)
    tl.store(record + 9, _inverse_square(x1, y1, x2, y2, drawn), mask=here)
    tl.store(record + 10, _inverse_square(x2, y2, x0, y0, drawn), mask=here)
    tl.store(record + 11, _inverse_square(x0, y0, x1, y1, drawn), mask=here)
    tl.store(record + 12, tl.where(area > 0, 1.0, -1.0), mask=here)

    box = boxes + 4 * image * face_count + face
    top = _first(tl.minimum(tl.minimum(y0, y1), y2) - reach, SIZE)
    bottom = _past(tl.maximum(tl.maximum(y0, y1), y2) + reach, SIZE)
    left = _first(tl.minimum(tl.minimum(x0, x1), x2) - reach, SIZE)
    right = _past(tl.maximum(tl.maximum(x0, x1), x2) + reach, SIZE)
    tl.store(box, tl.where(drawn, top, 0), mask=here)
    tl.store(box + face_count, tl.where(drawn, bottom, 0), mask=here)
    tl.store(box + 2 * face_count, tl.where(drawn, left, 0), mask=here)
    tl.store(box + 3 * face_count, tl.where(drawn, right, 0), mask=here)


@triton.jit
def _segment(ax, ay, bx, by, inverse):
    """Nearest point of segment a-b to the origin: squared distance, the point, and its place t from a (0) to b (1)."""
    dx, dy = bx - ax, by - ay
    t = tl.minimum(tl.maximum(-(ax * dx + ay * dy) * inverse, 0.0), 1.0)
    x, y = ax + t * dx, ay + t * dy
    return x * x + y * y, x, y, t


@triton.jit
def _boundary(x0, y0, x1, y1, x2, y2, inverse0, inverse1, inverse2):
    """Nearest point of the triangle's boundary to the origin, and the edge it lies on (by the corner opposite)."""
    d0, px0, py0, t0 = _segment(x1, y1, x2, y2, inverse0)
    d1, px1, py1, t1 = _segment(x2, y2, x0, y0, inverse1)
    d2, px2, py2, t2 = _segment(x0, y0, x1, y1, inverse2)
    on0, on1 = (d0 <= d1) & (d0 <= d2), d1 <= d2
    squared = tl.minimum(tl.minimum(d0, d1), d2)
    x = tl.where(on0, px0, tl.where(on1, px1, px2))
    y = tl.where(on0, py0, tl.where(on1, py1, py2))
    t = tl.where(on0, t0, tl.where(on1, t1, t2))
    return squared, x, y, t, tl.where(on0, 0, tl.where(on1, 1, 2))


@triton.jit
def _edges(x0, y0, x1, y1, x2, y2, side):
    """Edge functions of the origin, negative beyond the edge opposite each corner."""
    return (x1 * y2 - x2 * y1) * side, (x2 * y0 - x0 * y2) * side, (x0 * y1 - x1 * y0) * side


@triton.jit
def _barycentric(e0, e1, e2):
    """Barycentric coordinates, clipped to the face and divided by their sum, and that sum's inverse."""
    c0, c1, c2 = tl.maximum(e0, 0.0), tl.maximum(e1, 0.0), tl.maximum(e2, 0.0)
    unit = 1 / tl.maximum(c0 + c1 + c2, MIN_AREA)
    return c0 * unit, c1 * unit, c2 * unit, unit


@triton.jit
def draw(
    records, boxes, colors, rgb, front, log_t, face_count,
    inverse_sigma, slope, cutoff, background_depth, background_red, background_green, background_blue,
    COLORED: tl.constexpr, SIZE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Fill log_t (B,H,W) and, COLORED, rgb (B,3,H,W) and front (B,H,W). One program per tile of ROWS x COLUMNS."""
    across: tl.constexpr = (SIZE + COLUMNS - 1) // COLUMNS
    top, left = tl.program_id(0) // across * ROWS, tl.program_id(0) % across * COLUMNS
    image = tl.program_id(1).to(tl.int64)
    boxes += 4 * image * face_count
    records += RECORD * image * face_count
    lane = tl.arange(0, ROWS * COLUMNS)
    row, column = top + lane // COLUMNS, left + lane % COLUMNS
    py, px = (2 * row + 1) * (1.0 / SIZE) - 1, (2 * column + 1) * (1.0 / SIZE) - 1

    # The background is a surface of coverage 1 behind everything.
    total_log = tl.zeros([ROWS * COLUMNS], tl.float32)
    nearest, total = total_log + background_depth, total_log + 1
    red, green, blue = total_log + background_red, total_log + background_green, total_log + background_blue

    start = 0  # `for` over a number of the device does not run in Triton's interpreter with NumPy 2.4
    while start < face_count:
        face = tl.multiple_of(start + tl.arange(0, BLOCK), BLOCK)
        here = face < face_count
        touches = here & (tl.load(boxes + face, mask=here, other=0) < top + ROWS)
        touches = touches & (tl.load(boxes + face_count + face, mask=here, other=0) > top)
        touches = touches & (tl.load(boxes + 2 * face_count + face, mask=here, other=0) < left + COLUMNS)
        touches = touches & (tl.load(boxes + 3 * face_count + face, mask=here, other=0) > left)
        current = tl.min(tl.where(touches, face, NEVER))
        while current < NEVER:
            record = records + RECORD * current
            x0, y0 = tl.load(record) - px, tl.load(record + 1) - py
            x1, y1 = tl.load(record + 3) - px, tl.load(record + 4) - py
            x2, y2 = tl.load(record + 6) - px, tl.load(record + 7) - py
            squared, _, _, _, _ = _boundary(
                x0, y0, x1, y1, x2, y2, tl.load(record + 9), tl.load(record + 10), tl.load(record + 11)
            )
            e0, e1, e2 = _edges(x0, y0, x1, y1, x2, y2, tl.load(record + 12))
            inside = (e0 >= 0) & (e1 >= 0) & (e2 >= 0)
            pair = inside | (squared < cutoff)
            x = squared * inverse_sigma
            u = tl.exp(-x)
            total_log -= tl.where(pair, tl.log(1 + u) + tl.where(inside, x, 0.0), 0.0)  # softplus of +x or -x
            if COLORED:
                b0, b1, b2, _ = _barycentric(e0, e1, e2)
                z = b0 * tl.load(record + 2) + b1 * tl.load(record + 5) + b2 * tl.load(record + 8)
                before = nearest
                nearest = tl.where(pair, tl.minimum(before, z), before)
                keep = tl.exp((nearest - before) * slope)
                coverage = tl.where(inside, 1.0, u) / (1 + u)
                weight = coverage * tl.exp(tl.where(pair, (nearest - z) * slope, float("-inf")))
                total = total * keep + weight
                color = colors + 9 * (image * face_count + current)
                w0, w1, w2 = weight * b0, weight * b1, weight * b2
                red = red * keep + w0 * tl.load(color) + w1 * tl.load(color + 3) + w2 * tl.load(color + 6)
                green = green * keep + w0 * tl.load(color + 1) + w1 * tl.load(color + 4) + w2 * tl.load(color + 7)
                blue = blue * keep + w0 * tl.load(color + 2) + w1 * tl.load(color + 5) + w2 * tl.load(color + 8)
            current = tl.min(tl.where(touches & (face > current), face, NEVER))
        start += BLOCK

    on_screen = (row < SIZE) & (column < SIZE)
    pixel = row * SIZE + column
    tl.store(log_t + image * SIZE * SIZE + pixel, total_log, mask=on_screen)
    if COLORED:
        tl.store(front + image * SIZE * SIZE + pixel, nearest - tl.log(total) / slope, mask=on_screen)
        rgb += 3 * image * SIZE * SIZE
        tl.store(rgb + pixel, red / total, mask=on_screen)
        tl.store(rgb + SIZE * SIZE + pixel, green / total, mask=on_screen)
        tl.store(rgb + 2 * SIZE * SIZE + pixel, blue / total, mask=on_screen)


@triton.jit
def undraw(
    records, boxes, colors, rgb, front, grad_rgb, grad_log_t, grad_corners, grad_colors, face_count,
    inverse_sigma, slope, cutoff,
    FROM_RGB: tl.constexpr, FROM_LOG_T: tl.constexpr, TO_CORNERS: tl.constexpr, TO_COLORS: tl.constexpr,
    SIZE: tl.constexpr, FACES: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Fill grad_corners (B,F,3,3) and grad_colors (B,F,3,3) as far as asked. One program per FACES faces.

    Its values are (FACES,1) per face and (FACES,PIXELS) per pair of a face and a pixel of its bounding box.
    """
    face = tl.program_id(0) * FACES + tl.arange(0, FACES)[:, None]
    image = tl.program_id(1).to(tl.int64)
    here = face < face_count
    box = boxes + 4 * image * face_count + face
    top = tl.load(box, mask=here, other=0).to(tl.int32)
    bottom = tl.load(box + face_count, mask=here, other=0).to(tl.int32)
    left = tl.load(box + 2 * face_count, mask=here, other=0).to(tl.int32)
    right = tl.load(box + 3 * face_count, mask=here, other=0).to(tl.int32)
    width, count = tl.maximum(right - left, 1), (bottom - top) * (right - left)

    at = image * face_count + face
    record = records + RECORD * at
    x0, y0, z0 = _three(record, here)
    x1, y1, z1 = _three(record + 3, here)
    x2, y2, z2 = _three(record + 6, here)
    inverse0, inverse1, inverse2 = _three(record + 9, here)
    side = tl.load(record + 12, mask=here, other=0.0)
    if FROM_RGB:
        red0, green0, blue0 = _three(colors + 9 * at, count > 0)
        red1, green1, blue1 = _three(colors + 9 * at + 3, count > 0)
        red2, green2, blue2 = _three(colors + 9 * at + 6, count > 0)
        grad_rgb += 3 * image * SIZE * SIZE
        rgb += 3 * image * SIZE * SIZE
        front += image * SIZE * SIZE

    zero = tl.zeros([FACES, PIXELS], tl.float32)
    gx0, gy0, gz0, gx1, gy1, gz1, gx2, gy2, gz2 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    gr0, gg0, gb0, gr1, gg1, gb1, gr2, gg2, gb2 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    start, most = 0, tl.max(count)
    while start < most:
        place = start + tl.arange(0, PIXELS)[None, :]
        in_box = place < count
        row, column = top + place // width, left + place % width
        pixel = row * SIZE + column
        py, px = (2 * row + 1) * (1.0 / SIZE) - 1, (2 * column + 1) * (1.0 / SIZE) - 1
        r0x, r0y, r1x, r1y, r2x, r2y = x0 - px, y0 - py, x1 - px, y1 - py, x2 - px, y2 - py
        squared, qx, qy, t, edge = _boundary(r0x, r0y, r1x, r1y, r2x, r2y, inverse0, inverse1, inverse2)
        e0, e1, e2 = _edges(r0x, r0y, r1x, r1y, r2x, r2y, side)
        inside = (e0 >= 0) & (e1 >= 0) & (e2 >= 0)
        pair = in_box & (inside | (squared < cutoff))
        u = tl.exp(-squared * inverse_sigma)
        coverage = tl.where(inside, 1.0, u) / (1 + u)
        grad_x = zero
        if FROM_LOG_T:  # d log(1 - D) / dx = -D
            grad_x = -coverage * tl.load(grad_log_t + image * SIZE * SIZE + pixel, mask=pair, other=0.0)
        if FROM_RGB:
            b0, b1, b2, unit = _barycentric(e0, e1, e2)
            z = b0 * z0 + b1 * z1 + b2 * z2
            ahead = (tl.load(front + pixel, mask=pair, other=0.0) - z) * slope
            # At most 1; where a face is seen edge-on its z here may differ from `draw`'s by more than rounding.
            weight = tl.minimum(coverage * tl.exp(tl.where(pair, tl.minimum(ahead, 80.0), float("-inf"))), 1.0)
            red = tl.load(grad_rgb + pixel, mask=pair, other=0.0)
            green = tl.load(grad_rgb + SIZE * SIZE + pixel, mask=pair, other=0.0)
            blue = tl.load(grad_rgb + 2 * SIZE * SIZE + pixel, mask=pair, other=0.0)
            if TO_COLORS:
                w0, w1, w2 = weight * b0, weight * b1, weight * b2
                gr0, gg0, gb0 = gr0 + w0 * red, gg0 + w0 * green, gb0 + w0 * blue
                gr1, gg1, gb1 = gr1 + w1 * red, gg1 + w1 * green, gb1 + w1 * blue
                gr2, gg2, gb2 = gr2 + w2 * red, gg2 + w2 * green, gb2 + w2 * blue
            if TO_CORNERS:
                dot = red * tl.load(rgb + pixel, mask=pair, other=0.0)
                dot += green * tl.load(rgb + SIZE * SIZE + pixel, mask=pair, other=0.0)
                dot += blue * tl.load(rgb + 2 * SIZE * SIZE + pixel, mask=pair, other=0.0)
                # <gradient of rgb, colour of the corner>
                s0 = red * red0 + green * green0 + blue * blue0
                s1 = red * red1 + green * green1 + blue * blue1
                s2 = red * red2 + green * green2 + blue * blue2
                pull = weight * (b0 * s0 + b1 * s1 + b2 * s2 - dot)  # d loss / d log weight
                grad_x += pull * tl.where(inside, u, 1.0) / (1 + u)  # d log D / dx = 1 - D
                grad_z = -pull * slope
                gz0, gz1, gz2 = gz0 + grad_z * b0, gz1 + grad_z * b1, gz2 + grad_z * b2
                h0, h1, h2 = weight * s0 + grad_z * z0, weight * s1 + grad_z * z1, weight * s2 + grad_z * z2
                mean = b0 * h0 + b1 * h1 + b2 * h2
                ge0 = tl.where(e0 > 0, (h0 - mean) * unit * side, 0.0)
                ge1 = tl.where(e1 > 0, (h1 - mean) * unit * side, 0.0)
                ge2 = tl.where(e2 > 0, (h2 - mean) * unit * side, 0.0)
                gx0, gy0 = gx0 + ge2 * r1y - ge1 * r2y, gy0 + ge1 * r2x - ge2 * r1x
                gx1, gy1 = gx1 + ge0 * r2y - ge2 * r0y, gy1 + ge2 * r0x - ge0 * r2x
                gx2, gy2 = gx2 + ge1 * r0y - ge0 * r1y, gy2 + ge0 * r1x - ge1 * r0x
        if TO_CORNERS:
            # The nearest point q moves with the ends of its edge only: d|q|^2 = 2 q . ((1 - t) da + t db).
            push = 2 * grad_x * tl.where(inside, inverse_sigma, -inverse_sigma)
            far, close = push * t, push * (1 - t)
            a0 = tl.where(edge == 1, far, tl.where(edge == 2, close, 0.0))
            a1 = tl.where(edge == 2, far, tl.where(edge == 0, close, 0.0))
            a2 = tl.where(edge == 0, far, tl.where(edge == 1, close, 0.0))
            gx0, gy0 = gx0 + a0 * qx, gy0 + a0 * qy
            gx1, gy1 = gx1 + a1 * qx, gy1 + a1 * qy
            gx2, gy2 = gx2 + a2 * qx, gy2 + a2 * qy
        start += PIXELS
    if TO_CORNERS:
        _store_sums(grad_corners + 9 * at, gx0, gy0, gz0, here)
        _store_sums(grad_corners + 9 * at + 3, gx1, gy1, gz1, here)
        _store_sums(grad_corners + 9 * at + 6, gx2, gy2, gz2, here)
    if TO_COLORS:
        _store_sums(grad_colors + 9 * at, gr0, gg0, gb0, here)
        _store_sums(grad_colors + 9 * at + 3, gr1, gg1, gb1, here)
        _store_sums(grad_colors + 9 * at + 6, gr2, gg2, gb2, here)


@triton.jit
def _three(start, mask):
    first, second = tl.load(start, mask=mask, other=0.0), tl.load(start + 1, mask=mask, other=0.0)
    return first, second, tl.load(start + 2, mask=mask, other=0.0)


@triton.jit
def _store_sums(start, first, second, third, mask):
    """Three sums over pixels, (FACES,1) each."""
    tl.store(start, tl.sum(first, 1, keep_dims=True), mask=mask)
    tl.store(start + 1, tl.sum(second, 1, keep_dims=True), mask=mask)
    tl.store(start + 2, tl.sum(third, 1, keep_dims=True), mask=mask)


@triton.jit
def gather(grad_corners, order, first, grad_vertices, vertex_count, corner_count, BLOCK: tl.constexpr):
    """Fill grad_vertices (B,V,3): the sum over each vertex's corners, order[first[v]] to order[first[v + 1] - 1]."""
    vertex = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    image = tl.program_id(1).to(tl.int64)
    here = vertex < vertex_count
    begin = tl.load(first + vertex, mask=here, other=0)
    count = tl.load(first + vertex + 1, mask=here, other=0) - begin
    gx, gy, gz = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    k, most = 0, tl.max(count)
    while k < most:
        more = k < count
        corner = tl.load(order + begin + k, mask=more, other=0)
        x, y, z = _three(grad_corners + 3 * (image * corner_count + corner), more)
        gx, gy, gz = gx + x, gy + y, gz + z
        k += 1
    start = grad_vertices + 3 * (image * vertex_count + vertex)
    tl.store(start, gx, mask=here)
    tl.store(start + 1, gy, mask=here)
    tl.store(start + 2, gz, mask=here)


INTERPRETED = not isinstance(draw, triton.JITFunction)  # TRITON_INTERPRET=1 was set: the kernels take CPU tensors

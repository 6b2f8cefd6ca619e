"""The renderer's equations pixel by pixel and face by face in plain Python: slow, and nothing to get wrong."""

import math


def _segment_square(a, b):
    """Squared distance from the origin to the segment a-b."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    t = min(max(-(a[0] * dx + a[1] * dy) / (dx * dx + dy * dy), 0.0), 1.0)
    return (a[0] + t * dx) ** 2 + (a[1] + t * dy) ** 2


def _area(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])


def pixel(triangles, colors, x, y, sigma, gamma, background):
    """(rgb, alpha, log_transparency) at the point (x, y); triangles [[(x, y, z) * 3]], colors [[(r, g, b) * 3]]."""
    survive, log_survive, weights, depths, shades = 1.0, 0.0, [1.0], [100 - 1e-3 * 99], [background]
    for triangle, corner_colors in zip(triangles, colors, strict=True):
        a, b, c = ((px - x, py - y) for px, py, _ in triangle)
        area = _area(a, b, c)
        if min(z for _, _, z in triangle) <= 1e-3 or abs(area) <= 1e-8:
            continue
        square = min(_segment_square(a, b), _segment_square(b, c), _segment_square(c, a))
        barycentric = [_area((0, 0), b, c) / area, _area((0, 0), c, a) / area, _area((0, 0), a, b) / area]
        inside = min(barycentric) >= 0
        if not inside and square >= math.log(1 / 1e-4 - 1) * sigma:
            continue
        signed = square / sigma if inside else -square / sigma
        probability = 1 / (1 + math.exp(-signed))
        survive *= 1 - probability
        log_survive -= math.log1p(math.exp(signed)) if signed < 500 else signed
        clipped = [max(w, 0.0) for w in barycentric]
        clipped = [w / sum(clipped) for w in clipped]
        weights.append(probability)
        depths.append(sum(w * z for w, (_, _, z) in zip(clipped, triangle, strict=True)))
        shades.append([sum(w * shade[k] for w, shade in zip(clipped, corner_colors, strict=True)) for k in range(3)])
    nearest = min(depths)
    weights = [w * math.exp((nearest - z) / (99 * gamma)) for w, z in zip(weights, depths, strict=True)]
    rgb = [sum(w * shade[k] for w, shade in zip(weights, shades, strict=True)) / sum(weights) for k in range(3)]
    return rgb, 1 - survive, log_survive

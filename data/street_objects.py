"""The houses, the plants and the street furniture of a street scene, drawn with `street_painter`."""

import math

import numpy as np

from data.street_painter import BUILDING, FENCE, POLE, SIGN, TREE, VOID, board, disc, patch, pick, shade, vary

# Cambridge's yellow and red brick, render and stone, all of a warm tone.
WALLS = [
    (196, 174, 130),
    (158, 88, 64),
    (226, 212, 182),
    (176, 150, 120),
    (118, 70, 54),
    (232, 226, 210),
    (178, 118, 100),
    (140, 110, 84),
]
ROOFS = [(84, 82, 88), (122, 74, 58), (98, 84, 74), (64, 62, 64)]
PAINTS = [(150, 24, 30), (24, 54, 110), (24, 84, 54), (30, 30, 34), (196, 160, 50), (120, 50, 110), (220, 220, 214)]


def draw_building(painter, rng, x, near, far, height):
    """A house whose front stands along the street at x from distance `near` to `far`: windows, doors, roof."""
    side = 1 if x > 0 else -1
    wall = vary(rng, pick(rng, WALLS), 0.2)
    front_light = 0.55 if painter.sun == side else 1.05 if painter.sun else 0.85
    depth = x + side * 9
    front = [(x, 0, near), (x, 0, far), (x, height, far), (x, height, near)]
    end_wall = [(x, 0, near), (depth, 0, near), (depth, height, near), (x, height, near)]
    painter.paint(end_wall, shade(wall, 0.72), BUILDING)
    if rng.random() < 0.6:
        ridge, slates = (x + side * 4.5, height + rng.uniform(2, 3.5)), vary(rng, pick(rng, ROOFS))
        painter.paint([(x, height, near), (depth, height, near), (*ridge, near)], shade(wall, 0.7), BUILDING)
        painter.paint([(x, height, near), (x, height, far), (*ridge, far), (*ridge, near)], slates, BUILDING)
        if rng.random() < 0.7:
            stack = board(ridge[0], ridge[1] + 0.3, near + 1, 0.5, 0.9)
            painter.paint(stack, shade(wall, 0.75), BUILDING)
    lit = shade(wall, front_light)
    painter.paint(front, lit, BUILDING)
    floors, bays = max(2, round(height / 3)), max(1, round((far - near) / 2.4))
    trim = pick(rng, [(236, 234, 228), (60, 56, 54), shade(wall, 0.7)])
    shop = rng.random() < 0.5
    painter.paint(patch(front, 0, 1, 0.96, 1), shade(trim, front_light), None)
    for floor in range(floors):
        bottom, top = floor / floors, (floor + 1) / floors
        if floor == 0 and shop:
            paint = vary(rng, pick(rng, PAINTS))
            painter.paint(patch(front, 0, 1, 0, 0.95 * top), shade(paint, front_light * 0.8))
            painter.paint(patch(front, 0.06, 0.62, 0.2 * top, 0.7 * top), (46, 50, 56))
            painter.paint(patch(front, 0.12, 0.4, 0.25 * top, 0.55 * top), vary(rng, (110, 104, 90), 0.4))
            painter.paint(patch(front, 0.72, 0.92, 0, 0.7 * top), (40, 36, 36))
            continue
        if near > 45:  # too far for single windows
            painter.paint(
                patch(front, 0.1, 0.9, bottom + 0.3 * (top - bottom), bottom + 0.75 * (top - bottom)), shade(lit, 0.7)
            )
            continue
        for bay in range(bays):
            left, right = (bay + 0.28) / bays, (bay + 0.72) / bays
            low, high = bottom + 0.28 * (top - bottom), bottom + 0.8 * (top - bottom)
            if floor == 0 and bay % 3 == 1:  # a door
                painter.paint(patch(front, left, right, 0, high), shade(vary(rng, pick(rng, PAINTS)), front_light))
                continue
            window = patch(front, left, right, low, high)
            painter.paint(window, shade(trim, front_light))
            glass = (176, 192, 206) if rng.random() < 0.25 else (52, 58, 66)  # some reflect the sky
            painter.paint(patch(window, 0.14, 0.86, 0.08, 0.47), vary(rng, glass, 0.2))
            painter.paint(patch(window, 0.14, 0.86, 0.54, 0.93), vary(rng, glass, 0.2))


LEAVES = [(72, 104, 40), (50, 86, 38), (100, 120, 48), (84, 112, 60), (120, 118, 44)]


def draw_foliage(painter, rng, x, y, z, half_width, half_height, leaf, blobs=14):
    """A crown of leaves: a ragged outline, dark below, bright where the light falls."""
    draws = rng.random((3 * blobs, 4)).tolist()
    for number, (turn, reach, size, tone) in enumerate(draws):
        bough = number < blobs  # first the boughs, then the sprigs that fray their outline and dapple them
        reach = math.sqrt(reach) * (0.75 if bough else 0.92)
        across, up = reach * math.cos(2 * math.pi * turn), reach * math.sin(2 * math.pi * turn)
        size = 0.28 + 0.17 * size if bough else 0.06 + 0.1 * size
        light = 0.85 + 0.35 * up + 0.2 * painter.sun * across + (0 if bough else 0.7 * (tone - 0.5))
        leaves = disc(x + across * half_width, y + up * half_height, z, size * half_width, size * half_height)
        painter.paint(leaves, shade(leaf, light), TREE)


def draw_tree(painter, rng, x, z, height):
    """A street tree: a trunk under a crown."""
    bark, leaf = vary(rng, (84, 70, 56), 0.2), vary(rng, pick(rng, LEAVES), 0.25)
    spread = height * rng.uniform(0.28, 0.34)
    painter.stroke([(x, 0, z), (x + rng.normal(0, 0.15), 0.6 * height, z)], 0.045 * height, bark, TREE, least=2)
    draw_foliage(painter, rng, x, 0.68 * height, z, spread, 0.34 * height, leaf)


def draw_hedge(painter, rng, x, near, far, height):
    """A clipped hedge along the street."""
    leaf = vary(rng, pick(rng, LEAVES[:3]), 0.2)
    painter.paint([(x, 0, near), (x, 0, far), (x, height, far), (x, height, near)], leaf, TREE)
    for z in np.linspace(far, near, 10):
        painter.paint(disc(x, height * 0.9, z, 0.5, 0.25 * height), shade(leaf, rng.uniform(0.8, 1.25)), TREE)


METALS = [(54, 58, 62), (44, 46, 48), (190, 194, 196), (206, 208, 204)]


def draw_lamp_post(painter, rng, x, z):
    """A lamp post whose arm reaches over the road."""
    metal, height = vary(rng, pick(rng, METALS)), rng.uniform(5.5, 8)
    over = -1.4 if x > 0 else 1.4
    painter.stroke(
        [(x, 0, z), (x, height, z), (x + 0.3 * over, height + 0.4, z), (x + over, height + 0.5, z)],
        0.34,
        metal,
        POLE,
        least=2.5,
    )
    painter.stroke([(x, 0, z), (x, 1.1, z)], 0.3, metal, POLE, least=2.5)


def draw_bollard(painter, rng, x, z):
    """A short post with a pale band."""
    painter.stroke([(x, 0, z), (x, 1.05, z)], 0.28, vary(rng, pick(rng, METALS[:3])), POLE, least=2.5)
    painter.stroke([(x, 0.8, z), (x, 0.92, z)], 0.28, (210, 206, 190), least=2.5)


def draw_sign(painter, rng, x, z):
    """A traffic sign on its pole: a warning triangle, a round order or a rectangular notice."""
    kind, size, y = rng.integers(4), rng.uniform(0.48, 0.66), rng.uniform(2.3, 2.8)
    painter.stroke([(x, 0, z), (x, y + 0.3, z)], 0.28, vary(rng, pick(rng, METALS)), POLE, least=2.5)
    red, white, ink = (190, 30, 36), (228, 226, 220), (30, 30, 30)
    if kind == 0:
        for scale, colour in ((1.2, red), (0.75, white)):
            triangle = [
                (x - scale * size, y - 0.6 * scale * size, z),
                (x + scale * size, y - 0.6 * scale * size, z),
                (x, y + 1.15 * scale * size, z),
            ]
            painter.paint(triangle, colour, SIGN)
        painter.paint(board(x, y, z, 0.1 * size, 0.3 * size), ink)
    elif kind == 1:
        rim, middle = pick(rng, [(red, white), ((24, 70, 150), (40, 90, 170)), (red, (24, 70, 150))])
        painter.paint(disc(x, y, z, size, size), rim, SIGN)
        painter.paint(disc(x, y, z, 0.7 * size, 0.7 * size), middle, SIGN)
        painter.paint(board(x, y, z, 0.35 * size, 0.12 * size), white if middle != white else ink)
    else:
        half_width, half_height = (size, 0.8 * size) if kind == 2 else (0.75 * size, 1.2 * size)
        face = vary(rng, pick(rng, [(30, 80, 160), (30, 100, 60), (225, 222, 214), (110, 70, 40), (220, 180, 40)]))
        text = ink if sum(face) > 420 else white
        painter.paint(board(x, y, z, half_width, half_height), text, SIGN)
        painter.paint(board(x, y, z, 0.9 * half_width, 0.9 * half_height), face, SIGN)
        for line in (-0.45, 0, 0.45):
            length = rng.uniform(0.3, 0.7) * half_width
            painter.paint(board(x, y + line * half_height, z, length, 0.12 * half_height), text)


def draw_traffic_light(painter, rng, x, z):
    """A traffic light: CamVid counts its head among the sign symbols."""
    painter.stroke([(x, 0, z), (x, 2.4, z)], 0.28, vary(rng, (60, 62, 62)), POLE, least=2.5)
    painter.paint(board(x, 2.85, z, 0.32, 0.62), (26, 26, 28), SIGN)
    burning = rng.integers(3)
    for number, lamp in enumerate([(235, 40, 30), (240, 170, 40), (40, 225, 130)]):
        painter.paint(disc(x, 3.25 - 0.4 * number, z, 0.15, 0.15), lamp if number == burning else shade(lamp, 0.25))


def draw_fence(painter, rng, x, near, far, height, colour, panelled):
    """One panel of a fence along the street. The label covers the whole panel, see-through or not, as in CamVid."""
    quad = [(x, 0.05, near), (x, 0.05, far), (x, height, far), (x, height, near)]
    if panelled:
        painter.paint(quad, colour, FENCE)
        for share in (0.25, 0.5, 0.75):
            painter.paint(patch(quad, share, share + 0.06, 0, 1), shade(colour, 0.7))
        return
    painter.paint(quad, shade(colour, 0.8), FENCE)
    for share in np.linspace(0, 1, 7)[:-1]:
        z = near + share * (far - near)
        painter.stroke([(x, 0, z), (x, height, z)], 0.045, colour)
    for y in (0.14 * height, height):
        painter.stroke([(x, y, near), (x, y, far)], 0.07, colour, FENCE)


def draw_clutter(painter, rng, x, z):
    """Things that no class covers, labelled void: a litter bin, a bench or a cabinet."""
    colour = vary(rng, pick(rng, [*METALS, (40, 80, 50), (150, 30, 30), (110, 80, 50)]))
    kind = rng.integers(3)
    if kind == 0:
        painter.paint(board(x, 0.5, z, 0.3, 0.5), colour, VOID)
        painter.paint(disc(x, 1.0, z, 0.33, 0.12), shade(colour, 0.6), VOID)
    elif kind == 1:
        for y in (0.45, 0.75):
            painter.paint(board(x, y, z, 0.8, 0.1), colour, VOID)
        for leg in (-0.7, 0.7):
            painter.stroke([(x + leg, 0, z), (x + leg, 0.85, z)], 0.1, shade(colour, 0.6), VOID)
    else:
        painter.paint(board(x, 0.6, z, 0.45, 0.6), colour, VOID)
        painter.paint(board(x, 0.6, z, 0.02, 0.55), shade(colour, 0.6))

"""Cars, pedestrians and bicyclists of the street scenes, drawn with `street_painter`."""

import math
from itertools import pairwise

from data.street_painter import BICYCLIST, CAR, CIRCLE, PEDESTRIAN, board, disc, ground, patch, pick, shade, vary

BODIES = [
    (168, 172, 176),
    (30, 32, 36),
    (214, 214, 212),
    (150, 26, 32),
    (34, 52, 110),
    (40, 84, 66),
    (96, 100, 106),
    (188, 160, 60),
    (120, 150, 180),
]
# Side views from the rear bumper to the front one: (share of the length, height in metres).
HATCHBACK = [
    (-0.5, 0.25),
    (-0.5, 0.85),
    (-0.41, 1.4),
    (-0.1, 1.47),
    (0.04, 1.44),
    (0.22, 0.95),
    (0.47, 0.8),
    (0.5, 0.25),
]
SALOON = [(-0.5, 0.25), (-0.48, 0.92), (-0.3, 0.98), (-0.17, 1.4), (0.05, 1.42), (0.24, 0.95), (0.47, 0.8), (0.5, 0.25)]
VAN = [(-0.5, 0.3), (-0.5, 1.1), (-0.48, 2.05), (-0.1, 2.1), (0.22, 2.0), (0.36, 1.15), (0.48, 0.95), (0.5, 0.3)]
GLASS, TYRE = (44, 50, 58), (22, 22, 24)


def draw_car(painter, rng, x, z, heading):
    """A car whose middle stands at (x, z); heading 0 is away from the camera, pi towards it, pi / 2 to the right."""
    profile = pick(rng, [HATCHBACK, HATCHBACK, SALOON, SALOON, VAN])
    length, half_width = (5.0, 0.98) if profile is VAN else (rng.uniform(3.7, 4.6), 0.86)
    body = vary(rng, pick(rng, BODIES), 0.2)
    sin, cos = math.sin(heading), math.cos(heading)

    def corner(along, y, across):
        across *= 1 - 0.16 * max(0.0, y - 0.9)  # the cabin is narrower than the body
        return x + along * length * sin + across * cos, y, z + along * length * cos - across * sin

    shadow = [corner(u, 0, v) for u, v in ((-0.53, -1.1), (0.53, -1.1), (0.53, 1.1), (-0.53, 1.1))]
    painter.paint(shadow, (12, 12, 14), opacity=0.55)
    underside = [corner(u, y, v) for u, y, v in ((-0.45, 0, 0), (0.45, 0, 0), (0.45, 0.4, 0), (-0.45, 0.4, 0))]
    painter.paint(underside, (16, 16, 18), CAR)

    strips = []
    for (u0, y0), (u1, y1) in pairwise(profile):
        strips.append(
            (
                u0,
                y0,
                u1,
                y1,
                [
                    corner(u0, y0, -half_width),
                    corner(u0, y0, half_width),
                    corner(u1, y1, half_width),
                    corner(u1, y1, -half_width),
                ],
            )
        )
    strips = [strip for strip in strips if painter.faces_camera(strip[-1])]
    for u0, y0, u1, y1, quad in sorted(strips, key=lambda strip: -strip[-1][0][2]):
        slope = (u1 - u0) * length / math.hypot((u1 - u0) * length, y1 - y0)  # 1 where it faces the sky
        painter.paint(quad, shade(body, 0.72 + 0.5 * abs(slope)), CAR)
        steep_above_belt = min(y0, y1) > 0.84 and abs(y1 - y0) > 0.3
        if steep_above_belt:
            painter.paint(patch(quad, 0.08, 0.92, 0.1, 0.9), vary(rng, GLASS, 0.3))
        elif min(y0, y1) < 0.4:  # a bumper face, seen with its lights and its number plate
            rear = u0 < 0
            plate, lamp = ((214, 180, 50), (190, 24, 24)) if rear else ((226, 226, 220), (236, 234, 214))
            upright = quad if rear else quad[::-1]  # the profile climbs at the rear and falls at the front
            painter.paint(patch(upright, 0, 1, 0, 0.25), shade(body, 0.45))
            painter.paint(patch(upright, 0.36, 0.64, 0.3, 0.5), plate)
            for left, right in ((0.02, 0.2), (0.8, 0.98)):
                painter.paint(patch(upright, left, right, 0.6, 0.95), lamp)
    for across in (-half_width, half_width):
        outline = [corner(u, y, across) for u, y in profile]
        if not painter.faces_camera(outline if across < 0 else outline[::-1]):
            continue
        painter.paint(outline, shade(body, 0.85), CAR)
        cabin = [(u, y) for u, y in profile if y > 0.84]
        middle = sum(u for u, _ in cabin) / len(cabin)
        pane = [(middle + 0.86 * (u - middle), 0.93 + 0.82 * (y - 0.9) if y > 1 else 0.95) for u, y in cabin]
        glass = [corner(u, y, across) for u, y in pane]
        painter.paint(glass, GLASS)
        painter.paint(
            [corner(middle + s, y, across) for s, y in ((0, 0.9), (0.02, 0.9), (0.02, 1.4), (0, 1.4))], shade(body, 0.8)
        )
        for wheel in (-0.31, 0.31):
            for radius, colour in ((0.33, TYRE), (0.19, (130, 132, 134))):
                rim = [corner(wheel + radius * c / length, 0.33 + radius * s, across) for c, s in CIRCLE]
                painter.paint(rim, colour, CAR)
    if abs(cos) > 0.8:  # the tyres under the end that is seen
        end = -0.36 if cos > 0 else 0.36
        for across in (-half_width, half_width):
            tread = [(0, 0.72), (0, 1), (0.4, 1), (0.4, 0.72)]
            painter.paint([corner(end, y, across * share) for y, share in tread], TYRE, CAR)


# Clothes and skins of passers-by.
CLOTHES = [
    (150, 30, 44),
    (44, 60, 130),
    (96, 40, 110),
    (30, 96, 110),
    (170, 60, 90),
    (40, 84, 160),
    (120, 30, 60),
    (70, 50, 120),
]
TROUSERS = [(36, 42, 62), (30, 30, 32), (92, 84, 70), (70, 76, 92)]
SKINS = [(226, 186, 158), (198, 150, 118), (140, 96, 70), (92, 62, 46)]
HAIRS = [(40, 30, 24), (92, 66, 40), (170, 140, 90), (120, 120, 118), (24, 22, 22)]


HIGH_VISIBILITY = [(206, 222, 50), (236, 120, 30)]


def draw_person(painter, rng, x, z, height, foot, lean, label, helmet=False):
    """Torso, arms and head, the hips `foot` metres up, leaning `lean` metres over; shared by walkers and riders."""
    bright = label == BICYCLIST and rng.random() < 0.85
    coat, skin = vary(rng, pick(rng, HIGH_VISIBILITY if bright else CLOTHES), 0.2), vary(rng, pick(rng, SKINS))
    shoulder, hip = foot + 0.36 * height, foot
    wide = 0.17 * height
    torso = [
        (x - 0.75 * wide, hip, z),
        (x + 0.75 * wide, hip, z),
        (x + lean + wide, shoulder, z),
        (x + lean + 0.5 * wide, shoulder + 0.04 * height, z),
        (x + lean - 0.5 * wide, shoulder + 0.04 * height, z),
        (x + lean - wide, shoulder, z),
    ]
    painter.paint(torso, coat, label)
    dark = painter.sun or 1  # the side away from the light
    painter.paint(
        [(x, hip, z), (x - dark * 0.75 * wide, hip, z), (x + lean - dark * wide, shoulder, z), (x + lean, shoulder, z)],
        shade(coat, 0.7),
    )
    head_y = shoulder + 0.13 * height
    head = 0.075 * height
    painter.paint(disc(x + 1.1 * lean, head_y, z, 0.85 * head, 1.15 * head), skin, label)
    cap = vary(rng, pick(rng, CLOTHES[2:]), 0.3) if helmet else pick(rng, HAIRS)
    painter.paint(disc(x + 1.1 * lean, head_y + 0.4 * head, z, 0.95 * head, 0.85 * head), cap, label)
    return coat, shoulder, wide


def draw_pedestrian(painter, rng, x, z):
    """Somebody standing or walking."""
    height = rng.uniform(1.55, 1.9) if rng.random() < 0.9 else rng.uniform(1.1, 1.4)
    trousers, stride = vary(rng, pick(rng, TROUSERS), 0.2), rng.uniform(0.05, 0.2) * height
    painter.paint(ground(x - 0.3, x + 0.4, z, z + 0.5), (14, 14, 16), opacity=0.5)  # its shadow
    hip = 0.47 * height
    for leg in (-1, 1):
        foot = x + leg * stride
        cloth = shade(trousers, 1 + 0.15 * leg)
        painter.stroke([(x + leg * 0.04 * height, hip, z), (foot, 0.06, z)], 0.1 * height, cloth, PEDESTRIAN, least=1.5)
        painter.paint(board(foot, 0.05, z, 0.08 * height, 0.05), (26, 24, 24), PEDESTRIAN)
    coat, shoulder, wide = draw_person(painter, rng, x, z, height, hip, 0.0, PEDESTRIAN)
    swing = rng.uniform(-0.06, 0.1)
    for arm in (-1, 1):
        painter.stroke(
            [(x + arm * wide, shoulder, z), (x + arm * (1.15 * wide + swing), hip - 0.02, z)],
            0.06 * height,
            shade(coat, 0.8 - 0.1 * arm),
            PEDESTRIAN,
        )
    if rng.random() < 0.3:
        bag = board(x + pick(rng, (-1, 1)) * 1.3 * wide, hip - 0.05, z, 0.12, 0.17)
        painter.paint(bag, vary(rng, pick(rng, CLOTHES)), PEDESTRIAN)


def draw_bicyclist(painter, rng, x, z, sideways):
    """A rider on a bicycle, seen from behind or in front, or from the side (sideways is -1 or 1, the way it goes)."""
    frame, trousers = vary(rng, pick(rng, BODIES)), vary(rng, pick(rng, TROUSERS), 0.2)
    height = rng.uniform(1.6, 1.9)
    painter.paint(ground(x - 0.4, x + 0.5, z, z + 0.6), (14, 14, 16), opacity=0.45)  # its shadow
    if not sideways:
        painter.paint(disc(x, 0.36, z, 0.07, 0.36), TYRE, BICYCLIST)
        painter.stroke([(x, 0, z), (x, 0.72, z)], 0.07, TYRE, BICYCLIST, least=2)
        knee = rng.uniform(0.35, 0.6)
        for leg, low in ((-1, knee), (1, 0.95 - knee)):
            joints = [(x + 0.09 * leg, 1.0, z), (x + 0.17 * leg, low + 0.25, z), (x + 0.12 * leg, low - 0.1, z)]
            painter.stroke(joints, 0.15, shade(trousers, 1 + 0.15 * leg), BICYCLIST, least=1.5)
        coat, shoulder, wide = draw_person(painter, rng, x, z, height, 0.98, 0.0, BICYCLIST, helmet=rng.random() < 0.6)
        for arm in (-1, 1):
            painter.stroke([(x + arm * wide, shoulder, z), (x + arm * 0.36, 1.1, z)], 0.1, shade(coat, 0.8), BICYCLIST)
        painter.stroke([(x - 0.34, 1.06, z), (x + 0.34, 1.06, z)], 0.05, (40, 40, 42), BICYCLIST)
        painter.paint(board(x, 0.78, z, 0.05, 0.05), (200, 30, 30))
        return
    for wheel in (-0.52, 0.52):
        rim = disc(x + wheel, 0.35, z, 0.35, 0.35)
        painter.paint(rim, (60, 60, 62), BICYCLIST, opacity=0.35)
        painter.stroke([*rim, rim[0], rim[1]], 0.06, TYRE)
    saddle, pedals, bar = (x - 0.2 * sideways, 0.95, z), (x, 0.32, z), (x + 0.42 * sideways, 1.0, z)
    painter.stroke([(x - 0.52, 0.35, z), pedals, bar, (x + 0.52 * sideways, 0.35, z)], 0.06, frame, BICYCLIST)
    painter.stroke([bar, saddle, pedals], 0.06, frame, BICYCLIST)
    for phase in (-1, 1):
        foot = (x + 0.12 * phase, 0.36 + 0.14 * phase, z)
        knee = (x + (0.18 + 0.1 * phase) * sideways, 0.72 + 0.1 * phase, z)
        painter.stroke([saddle, knee, foot], 0.15, shade(trousers, 1 + 0.15 * phase), BICYCLIST, least=1.5)
    lean = 0.3 * sideways
    coat, shoulder, _ = draw_person(
        painter, rng, x - 0.2 * sideways, z, height, 0.95, lean, BICYCLIST, helmet=rng.random() < 0.6
    )
    painter.stroke([(x - 0.2 * sideways + lean, shoulder, z), (bar[0], 1.05, z)], 0.1, shade(coat, 0.8), BICYCLIST)

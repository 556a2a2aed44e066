"""The composition of a street scene: weather and camera, the street, its two sides, its traffic, and the exposure."""

import math

import numpy as np
from PIL import Image

from data.street_objects import (
    METALS,
    WALLS,
    draw_bollard,
    draw_building,
    draw_clutter,
    draw_fence,
    draw_foliage,
    draw_hedge,
    draw_lamp_post,
    draw_sign,
    draw_traffic_light,
    draw_tree,
)
from data.street_painter import (
    BUILDING,
    NEAR,
    PAVEMENT,
    ROAD,
    ROUGHNESS,
    SKY,
    SUPERSAMPLING,
    TREE,
    VOID,
    Painter,
    ground,
    pick,
    shade,
    vary,
)
from data.street_traffic import draw_bicyclist, draw_car, draw_pedestrian

FAR = 140.0  # metres; where the street ends in a skyline
# A light flagstone of one street is as dark as the asphalt of another, in its light.
FLAGSTONES = [(176, 172, 164), (160, 154, 148), (184, 168, 148), (170, 144, 132)]
ASPHALTS = [(88, 88, 92), (104, 102, 102), (72, 74, 80), (110, 104, 100)]


def draw_street(rng, size):
    """One scene.

    Returns:
        The frame, uint8 of (height, width, 3), and the label map, uint8 of (height, width).
    """
    height, width = size
    weather = pick(rng, ["sunny", "sunny", "cloudy", "overcast"])
    sky = np.array({"sunny": (120, 168, 226), "cloudy": (170, 190, 214), "overcast": (206, 208, 210)}[weather])
    haze = 0.35 * sky + 0.65 * np.array((214, 216, 218))
    painter = Painter(
        height,
        width,
        vanishing_point=(rng.uniform(0.34, 0.66), rng.uniform(0.44, 0.58)),
        eye=rng.uniform(1.35, 1.7),
        bend=rng.normal(0, 0.0008),
        haze=haze,
        sun=int(rng.choice((-1, 1))) if weather == "sunny" else 0,
    )
    paint_sky(painter, rng, sky, clouds={"sunny": 0.5, "cloudy": 1.0, "overcast": 0.3}[weather])
    kerbs = {-1: -rng.uniform(1.8, 2.4), 1: rng.uniform(3.2, 4.4)}  # the car keeps to the left, as in Cambridge
    fronts = {side: kerb + side * rng.uniform(3.4, 5.2) for side, kerb in kerbs.items()}
    paint_skyline(painter, rng)
    paint_ground(painter, rng, kerbs, fronts)

    things = []  # (distance, function, its arguments), to be drawn from far to near
    fill_road(painter, rng, things, kerbs)
    for side in (-1, 1):
        line_side(painter, rng, things, side, kerbs[side], fronts[side])
    for _, draw, arguments in sorted(things, key=lambda thing: -thing[0]):
        draw(painter, rng, *arguments)
    paint_windscreen(painter, rng)
    return develop(painter, rng, weather)


def paint_sky(painter, rng, colour, clouds):
    """A sky that pales towards the horizon, with clouds of smooth noise."""
    height, width = painter.height, painter.width
    paleness = np.linspace(0, 0.75, height, dtype=np.float32)[:, None, None]
    noise = Image.fromarray(rng.standard_normal((7, 6), dtype=np.float32))
    noise = noise.resize((width, height), Image.Resampling.BICUBIC)
    cover = np.clip(0.5 * clouds * np.asarray(noise)[..., None], 0, 0.9)
    cloud = 255 - 60 * rng.random()
    picture = (colour.astype(np.float32) * (1 - paleness) + 235 * paleness) * (1 - cover) + cloud * cover
    picture = Image.fromarray(picture.astype(np.uint8)).resize(painter.frame_image.size, Image.Resampling.NEAREST)
    painter.frame_image.paste(picture)


def paint_skyline(painter, rng):
    """What closes the view at the far end: roofs and treetops."""
    for x in np.arange(-110, 110, 10.0):
        top = rng.uniform(5, 13)
        corners = [(x, 0, FAR), (x + 10.5, 0, FAR), (x + 10.5, top, FAR), (x, top, FAR)]
        painter.paint(corners, vary(rng, pick(rng, WALLS)), BUILDING)
    for x in rng.uniform(-70, 70, 5):
        draw_foliage(painter, rng, x, 6, FAR - 5, rng.uniform(6, 12), rng.uniform(5, 9), (70, 84, 58), blobs=8)


def paint_ground(painter, rng, kerbs, fronts):
    """Pavements, road, markings and the shadow of the sunny side's houses."""
    left, right = kerbs[-1], kerbs[1]
    flags, asphalt = vary(rng, pick(rng, FLAGSTONES), 0.15), vary(rng, pick(rng, ASPHALTS), 0.15)
    painter.paint(ground(-200, 200, NEAR, FAR), flags, PAVEMENT)
    for z in np.arange(3, 40, 0.9):  # joints between the flagstones
        for x0, x1 in ((left - 4, left), (right, right + 4)):
            painter.paint([(x0, 0, z), (x1, 0, z), (x1, 0, z + 0.05), (x0, 0, z + 0.05)], shade(flags, 0.8))
    painter.paint(ground(left, right, NEAR, FAR), asphalt, ROAD)
    for _ in range(rng.integers(2, 6)):  # mended and worn places
        x, z = rng.uniform(left, right - 1), rng.uniform(3, 25)
        painter.paint(
            ground(x, min(right, x + rng.uniform(0.5, 2.5)), z, z + rng.uniform(1, 8)),
            vary(rng, asphalt, 0.25),
            opacity=0.6,
        )
    white, yellow = (214, 212, 204), (196, 170, 70)
    middle = (left + right) / 2
    dash, gap = pick(rng, [(2.0, 4.0), (4.0, 2.0), (6.0, 3.0)])
    for z in np.arange(rng.uniform(2, 6), 70, dash + gap):
        painter.paint(ground(middle - 0.07, middle + 0.07, z, z + dash), white)
    edge = pick(rng, [yellow, yellow, white, None])
    if edge:
        for kerb, inward in ((left, 1), (right, -1)):
            for inset in (0.25, 0.5):
                x = kerb + inward * inset
                painter.paint(ground(x - 0.05, x + 0.05, NEAR, 60), edge)
    if rng.random() < 0.25:  # a zebra crossing
        z = rng.uniform(7, 16)
        for x in np.arange(left + 0.3, right - 0.5, 1.1):
            painter.paint(ground(x, x + 0.55, z, z + 2.6), white)
    if rng.random() < 0.25:  # an arrow on the lane
        x, z = rng.uniform(-0.5, 0.8), rng.uniform(6, 10)
        painter.paint(
            [
                (x - 0.1, 0, z),
                (x + 0.1, 0, z),
                (x + 0.1, 0, z + 2),
                (x + 0.4, 0, z + 2),
                (x, 0, z + 3.5),
                (x - 0.4, 0, z + 2),
                (x - 0.1, 0, z + 2),
            ],
            white,
        )
    for kerb, outward in ((left, -1), (right, 1)):
        painter.paint(ground(kerb, kerb + outward * 0.16, NEAR, 80), vary(rng, (168, 164, 156)))
    if painter.sun:
        edge = fronts[painter.sun] - painter.sun * rng.uniform(1.5, 9)
        painter.paint(ground(fronts[painter.sun], edge, NEAR, FAR), (8, 10, 18), opacity=0.45)


def line_side(painter, rng, things, side, kerb, front):
    """The houses or the park of one side of the street, and what stands on its pavement."""

    def place(x, nearest, farthest):
        """A distance at which a thing at x is in view, nearer places being likelier."""
        nearest = max(nearest, 1.15 * painter.nearest_visible(x))
        return nearest + (max(farthest - nearest, 0.2 * nearest)) * rng.beta(1, 1.6)

    park = rng.random() < 0.3
    row = front + side * 9 if park else front
    z, houses = NEAR, []
    storey = rng.uniform(6.5, 11)
    while z < 90:
        length = rng.uniform(5, 11)
        houses.append((row, z, z + length, storey + rng.normal(0, 1.5)))
        z += length + (rng.uniform(2, 7) if rng.random() < 0.25 else 0)
    for house in reversed(houses):  # everything else stands nearer to the middle than they, so they come first
        draw_building(painter, rng, *house)
    if park:
        draw_hedge(painter, rng, front + side * 1.2, NEAR, 70, rng.uniform(1.0, 1.8))
        for z in np.arange(rng.uniform(6, 10), 45, rng.uniform(6, 9)):
            x = front + side * rng.uniform(2.0, 4.5)
            things.append((z + 2, draw_tree, (x, z, rng.uniform(6, 10))))
    elif rng.random() < 0.6:
        x = kerb + side * 0.7
        for _ in range(rng.integers(1, 3)):
            z = place(x, 10, 32)
            things.append((z, draw_tree, (x, z, rng.uniform(5, 8))))

    if park or rng.random() < 0.6:  # railings along the park, or a guard rail along the kerb
        x, high = (front, rng.uniform(1.2, 1.7)) if park else (kerb + side * 0.35, 1.2)
        start = max(3.0, 0.8 * painter.nearest_visible(x)) + (0 if park else rng.uniform(0, 5))
        colour = vary(rng, pick(rng, [*METALS, (60, 90, 70), (120, 92, 64)]))
        panelled = park and rng.random() < 0.35
        for z in np.arange(start, start + (30 if park else rng.uniform(8, 16)), 2.0):
            things.append((z + 1, draw_fence, (x, z, z + 2.0, high, colour, panelled)))

    upright = kerb + side * 0.5
    for draw, half_width, count in (
        (draw_sign, 0.15, rng.integers(1, 3)),
        (draw_lamp_post, 0.15, rng.integers(1, 3)),
        (draw_pedestrian, 0.2, rng.integers(2, 5)),
        (draw_traffic_light, 0.15, rng.integers(0, 2)),
        (draw_bollard, 0.15, rng.integers(0, 3)),
    ):
        for _ in range(6 * count):  # some of the places are taken
            x = rng.uniform(*sorted((kerb + side * 0.9, front - side * 0.5))) if draw is draw_pedestrian else upright
            z = place(x, 4.0, 7.0)
            if count and painter.claim(x, z, half_width):
                things.append((z, draw, (x, z)))
                count -= 1
    for _ in range(rng.integers(0, 3)):
        x = front - side * 0.5
        z = place(x, 7, 20)
        things.append((z, draw_clutter, (x, z)))


def fill_road(painter, rng, things, kerbs):
    """Cars, bicyclists and now and then somebody who crosses."""
    left, right = kerbs[-1], kerbs[1]
    taken = []

    def add(x, nearest, farthest, room, draw, *arguments):
        nearest = max(nearest, 1.1 * painter.nearest_visible(x))
        for _ in range(8):
            z = rng.uniform(nearest, max(farthest, 1.3 * nearest))
            apart = all(abs(x - other_x) > 1.6 or abs(z - other_z) > room for other_x, other_z in taken)
            if apart and (draw is draw_car or painter.claim(x, z, 0.3)):
                taken.append((x, z))
                things.append((z, draw, (x, z, *arguments)))
                return

    if rng.random() < 0.6:
        add(0.0, 8, 14, 5.5, draw_car, rng.normal(0, 0.04))
    for _ in range(rng.integers(0, 3)):
        x = right - rng.uniform(2.6, 3.0) if right > 4.6 else right - 1.6
        add(x, 7.5, 15, 5.5, draw_car, math.pi + rng.normal(0, 0.04))
    for _ in range(rng.integers(0, 3)):
        add(right - 0.95, 7, 14, 5.5, draw_car, pick(rng, [0.0, math.pi]))
    if rng.random() < 0.3:
        add(left + 0.95, 10, 24, 5.5, draw_car, 0.0)
    if rng.random() < 0.12:
        add(rng.uniform(0, 2), 14, 26, 5.5, draw_car, rng.choice((-1, 1)) * rng.uniform(1.1, 1.9))
    for _ in range(rng.integers(1, 3)):
        add(left + rng.uniform(0.6, 0.9), 4.5, 8, 2.5, draw_bicyclist, 0)
    if rng.random() < 0.3:
        add(right - rng.uniform(1.2, 2.0), 4.5, 8, 2.5, draw_bicyclist, 0)
    if rng.random() < 0.3:
        add(rng.uniform(left + 1, right - 1), 5, 8, 2.5, draw_bicyclist, int(rng.choice((-1, 1))))
    if rng.random() < 0.5:
        add(rng.uniform(left + 0.5, right - 0.5), 4.5, 7.5, 1.5, draw_pedestrian)


def paint_windscreen(painter, rng):
    """The camera's own car: an edge of the dashboard or the bonnet, labelled void."""
    if rng.random() < 0.4:
        z, ends = 2.0, rng.uniform(-0.03, 0.07, 2)
        columns, rows = painter.frame_image.size

        def at(column, row):
            scale = painter.focal / z
            return (
                (column * columns - painter.vanishing_x) / scale - painter.bend * z * z,
                painter.eye - (row * rows - painter.vanishing_y) / scale,
                z,
            )

        edge = [at(0, 1 - ends[0]), at(0.5, 0.985 - ends.mean()), at(1, 1 - ends[1]), at(1, 1.1), at(0, 1.1)]
        painter.paint(edge, vary(rng, (34, 34, 38), 0.3), VOID)


def develop(painter, rng, weather):
    """The finished frame and label map: halved, textured, exposed, with the sensor's noise and void seams."""
    height, width = painter.height, painter.width
    label = np.asarray(painter.label_image)[::SUPERSAMPLING, ::SUPERSAMPLING].copy()
    frame = np.asarray(painter.frame_image.reduce(SUPERSAMPLING), dtype=np.float32)

    grain = rng.standard_normal((height, width), dtype=np.float32)
    blotches = Image.fromarray(rng.standard_normal((height // 3 + 1, width // 3 + 1), dtype=np.float32))
    blotches = np.asarray(blotches.resize((width, height), Image.Resampling.BICUBIC))
    texture = 1 + ROUGHNESS[label] * (0.4 * grain + 0.7 * blotches)
    exposure = rng.uniform(0.65, 0.9) if rng.random() < 0.15 else rng.uniform(0.92, 1.12)
    tint = 1 + rng.normal(0, 0.025, 3) + (0.03, 0.0, -0.03) * np.array(weather == "sunny")
    across, down = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    vignette = 1 - rng.uniform(0, 0.22) * (across[None, :] ** 2 + down[:, None] ** 2)
    frame *= (texture * vignette.astype(np.float32))[..., None] * (exposure * tint).astype(np.float32)
    contrast = rng.uniform(0.9, 1.15)
    frame = 118 + contrast * (frame - 118) + rng.normal(0, 6)
    frame += rng.uniform(1.0, 3.0) * rng.standard_normal(frame.shape, dtype=np.float32)
    return np.clip(frame, 0, 255).astype(np.uint8), seam(label, rng)


def seam(label, rng):
    """Leave some borders unlabelled, as in CamVid: a pixel of void beside the things of some classes."""
    sharp = rng.random(12) < 0.5
    wide = np.isin(label, (SKY, BUILDING, ROAD, PAVEMENT, TREE))
    edge = np.zeros_like(wide)
    thing = sharp[label] & ~wide
    edge[:, 1:] |= wide[:, 1:] & thing[:, :-1]
    edge[:, :-1] |= wide[:, :-1] & thing[:, 1:]
    return np.where(edge, VOID, label).astype(np.uint8)

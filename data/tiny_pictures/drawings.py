"""The objects of the embedded pictures of ten classes, all drawn looking to the right."""

from data.tiny_pictures.sketch import shade


def airplane(sketch):
    hull = sketch.colour(strength=(0.0, 0.5), light=(0.5, 1.0))
    stripe, wing = sketch.colour(), shade(hull, sketch.rng.uniform(0.55, 0.85))
    sweep = sketch.rng.uniform(0.2, 0.5)
    sketch.polygon(wing, (0.15, -0.05), (-0.1, -0.05), (-0.1 - sweep, -0.55), (0.05 - sweep, -0.55))
    sketch.oval(hull, 0, 0, 0.95, 0.16)
    sketch.polygon(stripe, (-0.6, -0.05), (-0.9, -0.05), (-1.0, -0.5), (-0.85, -0.5))
    sketch.line(stripe, 0.06, (-0.85, 0.02), (0.8, 0.02))
    sketch.polygon(wing, (0.25, 0.05), (-0.15, 0.05), (-0.2 - sweep, 0.65), (0.0 - sweep, 0.65))
    sketch.oval((40, 50, 70), 0.72, -0.05, 0.1, 0.05)


def wheels(sketch, radius, *places):
    for x in places:
        sketch.oval((25, 25, 28), x, 0.45, radius, radius)
        sketch.oval(sketch.colour(strength=(0, 0.1), light=(0.5, 0.9)), x, 0.45, radius / 2, radius / 2)


def automobile(sketch):
    paint, roof = sketch.colour(strength=(0.0, 1.0), light=(0.2, 1.0)), -0.38 + sketch.jitter()
    glass = sketch.colour((0.5, 0.65), (0.05, 0.4), (0.3, 0.9))
    sketch.polygon(paint, (-0.7, 0), (-0.45, roof), (0.25, roof), (0.55, 0))
    sketch.polygon(glass, (-0.55, -0.02), (-0.4, roof + 0.09), (-0.1, roof + 0.09), (-0.1, -0.02))
    sketch.polygon(glass, (-0.02, -0.02), (-0.02, roof + 0.09), (0.2, roof + 0.09), (0.42, -0.02))
    sketch.polygon(paint, (-0.97, 0.05), (-0.9, -0.03), (0.6, -0.03), (0.97, 0.1), (0.97, 0.42), (-0.97, 0.42))
    sketch.oval((250, 240, 190), 0.9, 0.17, 0.07, 0.07)
    wheels(sketch, 0.22, -0.55, 0.57)


def truck(sketch):
    cab, load = sketch.colour(strength=(0.0, 1.0)), sketch.colour(strength=(0.0, 0.8), light=(0.3, 1.0))
    top = -0.68 + sketch.jitter()
    sketch.box(load, -1, top, 0.35, 0.3)
    sketch.line(shade(load, 0.75), 0.05, (-0.95, 0.0 + sketch.jitter()), (0.3, 0.0 + sketch.jitter()))
    sketch.polygon(cab, (0.42, -0.35), (0.75, -0.35), (0.98, 0.02), (0.98, 0.42), (0.42, 0.42))
    sketch.polygon((170, 200, 215), (0.55, -0.25), (0.72, -0.25), (0.86, 0.0), (0.55, 0.0))
    sketch.box((60, 60, 65), -1, 0.3, 0.98, 0.42)
    wheels(sketch, 0.2, -0.75, -0.3, 0.68)


def ship(sketch):
    hull, deck = sketch.colour(strength=(0.0, 1.0), light=(0.15, 0.9)), -0.15 + sketch.jitter()
    if sketch.rng.random() < 0.4:
        sail = sketch.colour(strength=(0.0, 0.3), light=(0.75, 1.0))
        sketch.line((90, 70, 50), 0.05, (0.0, 0.2), (0.0, -0.95))
        sketch.polygon(sail, (0.06, -0.9), (0.06, 0.05), (0.7, 0.05))
        sketch.polygon(shade(sail, 0.85), (-0.06, -0.8), (-0.06, 0.05), (-0.55, 0.05))
    else:
        house = sketch.colour(strength=(0.0, 0.3), light=(0.7, 1.0))
        sketch.box(sketch.colour(), -0.35, deck - 0.65, -0.15, deck)
        sketch.box(house, -0.6, deck - 0.3, 0.2, 0.2)
        sketch.box(shade(house, 0.85), -0.45, deck - 0.48, 0.0, deck - 0.3)
        sketch.line((50, 60, 80), 0.06, (-0.5, deck - 0.15), (0.12, deck - 0.15))
    sketch.polygon(hull, (-0.9, 0.1), (1.0, 0.05), (0.72, 0.48), (-0.75, 0.48))
    sketch.polygon(
        sketch.colour((0.5, 0.62), (0.2, 0.7), (0.5, 0.95)), (-1, 0.45), (1, 0.45), (0.9, 0.56), (-0.9, 0.56)
    )


def bird(sketch):
    plumage = sketch.colour(strength=(0.0, 0.9), light=(0.2, 0.95))
    wing, beak = shade(plumage, sketch.rng.uniform(0.5, 0.8)), sketch.colour((0.06, 0.14), (0.7, 1.0), (0.7, 1.0))
    if sketch.rng.random() < 0.4:  # in flight
        lift = sketch.rng.uniform(-0.75, -0.35)
        sketch.polygon(wing, (0.2, 0.0), (-0.25, 0.0), (-0.75, lift), (-0.4, lift - 0.15))
        sketch.polygon(shade(wing, 1.2), (0.3, 0.05), (-0.15, 0.05), (0.35, lift - 0.15), (0.6, lift))
    else:
        for x in (-0.05, 0.12):
            sketch.line(beak, 0.05, (x, 0.3), (x + 0.05, 0.85), (x + 0.2, 0.85))
        sketch.oval(wing, -0.12, 0.08, 0.38, 0.17, turn=0.3)
    sketch.polygon(wing, (-0.4, 0.05), (-0.4, 0.25), (-1.0, 0.4), (-0.95, 0.2))
    sketch.oval(plumage, 0, 0.12, 0.52, 0.3, turn=-0.2)
    sketch.oval(wing, -0.1, 0.1, 0.3, 0.14, turn=0.2)
    sketch.oval(plumage, 0.48, -0.25, 0.22, 0.22)
    sketch.polygon(beak, (0.66, -0.33), (0.66, -0.15), (1.0, -0.2))
    sketch.oval((10, 10, 10), 0.54, -0.3, 0.05, 0.05)


def cat(sketch):
    coat = sketch.fur()
    stripes, eyes = shade(coat, 0.65), sketch.colour((0.12, 0.4), (0.6, 1.0), (0.7, 1.0))
    sketch.line(coat, 0.14, (-0.3, 0.8), (-0.75, 0.7), (-0.85, 0.2 + sketch.jitter()), (-0.65, -0.1))
    sketch.oval(coat, 0, 0.5, 0.45, 0.48)
    sketch.line(stripes, 0.07, (-0.35, 0.4), (-0.1, 0.45))
    sketch.line(stripes, 0.07, (-0.38, 0.6), (-0.1, 0.65))
    for side in (-1, 1):
        sketch.polygon(coat, (side * 0.1, -0.6), (side * 0.48, -0.4), (side * 0.44, -0.98))
        sketch.polygon((220, 150, 150), (side * 0.24, -0.6), (side * 0.42, -0.5), (side * 0.4, -0.8))
    sketch.oval(coat, 0, -0.3, 0.48, 0.4)
    for side in (-1, 1):
        sketch.oval(eyes, side * 0.2, -0.35, 0.11, 0.1)
        sketch.oval((10, 10, 10), side * 0.2, -0.35, 0.04, 0.09)
        sketch.line((235, 235, 235), 0.03, (side * 0.1, -0.13), (side * 0.55, -0.18))
    sketch.polygon((200, 110, 110), (-0.07, -0.22), (0.07, -0.22), (0, -0.14))


def legs(sketch, colour, width, top, bottom, *places):
    for number, x in enumerate(places):
        stride = sketch.jitter(0.07)
        sketch.line(shade(colour, 0.7 + 0.3 * (number % 2)), width, (x, top), (x + stride, bottom))


def dog(sketch):
    coat, ear = sketch.fur(), sketch.fur()
    legs(sketch, coat, 0.16, 0.2, 0.85, -0.5, -0.38, 0.22, 0.34)
    sketch.line(coat, 0.13, (-0.55, 0.0), (-0.85, -0.3), (-0.8 + sketch.jitter(), -0.55))
    sketch.oval(coat, -0.1, 0.12, 0.56, 0.27)
    sketch.line(coat, 0.3, (0.3, 0.05), (0.5, -0.3))
    sketch.oval(coat, 0.52, -0.4, 0.3, 0.26)
    sketch.box(coat, 0.6, -0.42, 0.98, -0.18)
    sketch.oval((20, 15, 15), 0.95, -0.38, 0.09, 0.08)
    sketch.oval(shade(ear, 0.8), 0.38, -0.28, 0.12, 0.3)
    sketch.oval((10, 10, 10), 0.62, -0.47, 0.05, 0.05)


def deer(sketch):
    coat = sketch.colour((0.04, 0.1), (0.35, 0.75), (0.35, 0.8))
    legs(sketch, coat, 0.08, 0.25, 0.97, -0.55, -0.43, 0.15, 0.27)
    sketch.oval(coat, -0.15, 0.15, 0.52, 0.22)
    sketch.oval((240, 235, 225), -0.62, 0.1, 0.08, 0.11)
    sketch.line(coat, 0.17, (0.2, 0.1), (0.45, -0.35))
    sketch.oval(coat, 0.58, -0.4, 0.25, 0.11, turn=0.3)
    sketch.oval((15, 10, 10), 0.55, -0.45, 0.04, 0.04)
    antler = sketch.colour((0.07, 0.12), (0.2, 0.5), (0.35, 0.9))
    for lean in (-0.3, 0.12):
        tip = 0.42 + lean + sketch.jitter()
        sketch.line(antler, 0.06, (0.42, -0.48), (tip, -0.72), (tip + 0.02, -1.0))
        sketch.line(antler, 0.06, (tip, -0.72), (tip + 0.2, -0.9))
    for spot in range(4):
        sketch.oval((235, 225, 205), -0.45 + 0.17 * spot, 0.08 + sketch.jitter(), 0.035, 0.035)


def horse(sketch):
    coat, mane = sketch.fur(), sketch.fur()
    mane = shade(mane, 0.5)
    sketch.polygon(mane, (-0.6, -0.1), (-0.72, -0.08), (-0.95, 0.6), (-0.75, 0.55))
    legs(sketch, coat, 0.13, 0.2, 0.95, -0.55, -0.4, 0.2, 0.35)
    sketch.oval(coat, -0.1, 0.08, 0.6, 0.28)
    sketch.polygon(coat, (0.15, -0.1), (0.48, 0.12), (0.72, -0.6), (0.45, -0.7))
    sketch.polygon(coat, (0.45, -0.72), (0.72, -0.75), (1.0, -0.32), (0.85, -0.2), (0.6, -0.4))
    sketch.polygon(mane, (0.05, -0.12), (0.22, -0.05), (0.52, -0.65), (0.5, -0.85), (0.38, -0.75))
    sketch.polygon(coat, (0.5, -0.72), (0.6, -0.72), (0.56, -0.92))
    sketch.oval((10, 10, 10), 0.68, -0.58, 0.045, 0.045)


def frog(sketch):
    skin = sketch.colour((0.1, 0.42), (0.4, 0.95), (0.3, 0.85)) if sketch.rng.random() < 0.75 else sketch.fur()
    belly = sketch.colour((0.12, 0.2), (0.1, 0.4), (0.75, 0.95))
    for side in (-1, 1):
        sketch.line(shade(skin, 0.75), 0.2, (side * 0.45, 0.45), (side * 0.9, 0.15), (side * 0.7, 0.65), (side, 0.68))
    sketch.oval(skin, 0, 0.25, 0.66, 0.42)
    sketch.oval(belly, 0, 0.42, 0.4, 0.22)
    sketch.oval(skin, 0, -0.08, 0.52, 0.33)
    for side in (-1, 1):
        sketch.oval(skin, side * 0.32, -0.38, 0.19, 0.19)
        sketch.oval((245, 235, 170), side * 0.32, -0.4, 0.12, 0.12)
        sketch.oval((10, 10, 10), side * 0.32, -0.4, 0.06, 0.07)
        sketch.line(shade(skin, 0.85), 0.12, (side * 0.3, 0.45), (side * 0.38, 0.72))
    sketch.line(shade(skin, 0.4), 0.05, (-0.35, 0.02), (0, 0.1), (0.35, 0.02))


# What draws a class, and the backgrounds that are usual for it.
OBJECTS = {
    "airplane": (airplane, ["sky"]),
    "automobile": (automobile, ["street", "meadow"]),
    "bird": (bird, ["sky", "forest", "meadow"]),
    "cat": (cat, ["room"]),
    "deer": (deer, ["forest", "meadow"]),
    "dog": (dog, ["room", "meadow"]),
    "frog": (frog, ["forest", "water", "meadow"]),
    "horse": (horse, ["meadow"]),
    "ship": (ship, ["water"]),
    "truck": (truck, ["street"]),
}

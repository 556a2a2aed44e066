"""MNIST's images at a glance."""

import numpy as np
from matplotlib.figure import Figure


def draw_sheet(mnist, path, columns=20):
    """Draws the first `columns` images of each label, a row a label."""
    rows = [mnist.data[mnist.targets == label][:columns] for label in range(10)]
    sheet = np.vstack([np.hstack([np.pad(image, 1) for image in row]) for row in rows])
    height, width = sheet.shape
    figure = Figure(figsize=(width / 75, height / 75 + 0.4), dpi=150, layout="constrained")
    axes = figure.add_subplot(title=f"{len(mnist):,} images of 28 x 28: the first of each label", ylabel="label")
    axes.imshow(sheet, cmap="gray_r")
    axes.set(xticks=[], yticks=np.arange(15, height, 30), yticklabels=range(10))
    figure.savefig(path)

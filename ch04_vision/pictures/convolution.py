"""The drawings of the convolution tour: figures 4.3, 4.4, 4.5 and 4.9, computed."""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from ch04_vision.layers import output_size, spread, transposed_convolution

WINDOW = "tab:orange"


def draw_grid(axis, values, title, highest=None, inner=None):
    """Draws a matrix as squares with their numbers; what lies outside `inner` (top, left, height, width) is padding."""
    height, width = values.shape
    axis.imshow(values.numpy(), cmap="Blues", vmin=0, vmax=1.6 * float(highest or values.max()))
    for row in range(height):
        for column in range(width):
            value = values[row, column].item()
            if value == value:  # NaN stands for what has not been computed yet
                axis.text(column, row, f"{value:g}", ha="center", va="center", fontsize=8)
    axis.set_xticks([edge - 0.5 for edge in range(width + 1)], [])
    axis.set_yticks([edge - 0.5 for edge in range(height + 1)], [])
    axis.grid(color="grey", linewidth=0.5)
    axis.tick_params(length=0)
    if inner:
        top, left, rows, columns = inner
        axis.add_patch(Rectangle((left - 0.5, top - 0.5), columns, rows, fill=False, edgecolor="black", linewidth=1.5))
    axis.set_title(title, fontsize=9)


def frame(row, column, size, colour=WINDOW):
    """An outline of `size` by `size` squares with its top left square at (row, column)."""
    return Rectangle(
        (column - 0.5, row - 0.5), size, size, fill=False, edgecolor=colour, linewidth=3, zorder=3, clip_on=False
    )


def animate_convolution(image, kernel, path, seconds_a_step=0.4):
    """Writes figure 4.3 as an animated GIF: the kernel slides over the padded image, a number of the output a step.

    Args:
        image: (height, width); kernel: (size, size), size odd, so that the output is as large as the image.
    """
    size = len(kernel)
    padding = size // 2
    padded = F.pad(image, (padding,) * 4)
    whole = F.conv2d(padded[None, None], kernel[None, None])[0, 0]
    figure = Figure(figsize=(9.5, 4.4), dpi=70)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3, width_ratios=[len(padded), size, len(whole)])
    figure.subplots_adjust(left=0.03, right=0.97, top=0.82, bottom=0.12, wspace=0.15)

    draw_grid(axes[0], padded, f"image and {padding} of padding", inner=(padding, padding, *image.shape))
    draw_grid(axes[1], kernel, "kernel")
    draw_grid(axes[2], torch.full_like(whole, torch.nan), "output", highest=whole.max())
    # What stays is drawn once, and the rest of a step onto it: a fifth of the time that drawing all of it anew takes.
    canvas.draw()
    steps = []
    for (row, column), value in zip(product(*map(range, whole.shape)), whole.flatten().tolist()):
        still = canvas.copy_from_bbox(figure.bbox)
        number = axes[2].text(column, row, f"{value:g}", ha="center", va="center", fontsize=8)
        window = padded[row : row + size, column : column + size]
        terms = [f"{a:g}·{b:g}" for a, b in zip(window.flatten().tolist(), kernel.flatten().tolist()) if b]
        title = figure.suptitle(f"{' + '.join(terms)} = {value:g}", fontsize=11)
        places = [axes[0].add_patch(frame(row, column, size)), axes[2].add_patch(frame(row, column, 1))]
        for artist in (number, title, *places):
            figure.draw_artist(artist)
        steps.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
        canvas.restore_region(still)
        colour = plt.get_cmap("Blues")(value / (1.6 * whole.max().item()))
        square = Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="grey", linewidth=0.5)
        for artist in (axes[2].add_patch(square), number):  # these stay
            figure.draw_artist(artist)
    steps[0].save(path, save_all=True, append_images=steps[1:], duration=round(1000 * seconds_a_step), loop=0)


def draw_strides(path, size=7, kernel_size=3, strides=(1, 2)):
    """Draws figure 4.4: where the window stands in the first row for each stride, and the output that this makes."""
    colours = plt.get_cmap("tab10").colors
    figure, axes = plt.subplots(
        2, len(strides), figsize=(4.2 * len(strides), 6), height_ratios=[3, 2], layout="constrained"
    )
    for (above, below), stride in zip(axes.T, strides):
        new = output_size(size, kernel_size, stride)
        draw_grid(above, torch.full((size, size), torch.nan), f"stride {stride}: {new} windows side by side", highest=1)
        draw_grid(below, torch.full((new, new), torch.nan), f"output {new}x{new}", highest=1)
        for step in range(new):
            # Windows overlap: each is drawn a little smaller than the one before.
            inset = 0.06 * step
            above.add_patch(
                Rectangle(
                    (step * stride - 0.5 + inset, -0.5 + inset),
                    kernel_size - 2 * inset,
                    kernel_size - 2 * inset,
                    fill=False,
                    edgecolor=colours[step],
                    linewidth=2.5,
                    clip_on=False,
                )
            )
            below.add_patch(frame(0, step, 1, colours[step]))
    figure.suptitle(f"A {kernel_size}x{kernel_size} window on {size}x{size} pixels: (W - F + 2P) / S + 1", fontsize=11)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_momentum(paths, path):
    """Draws figure 4.5: descents in the valley `x^2 / 20 + y^2`.

    Args:
        paths: names to tensors of points, (steps, 2).
    """
    figure, axes = plt.subplots(len(paths), 1, figsize=(8, 2.6 * len(paths)), sharex=True, layout="constrained")
    x, y = torch.meshgrid(torch.linspace(-11, 2, 141), torch.linspace(-2.3, 2.3, 101), indexing="xy")
    for axis, (name, points) in zip(axes, paths.items()):
        heights = (x**2 / 20 + y**2).numpy()
        axis.contour(x.numpy(), y.numpy(), heights, levels=[0.02, 0.1, 0.3, 0.8, 1.6, 3, 5, 7], colors="lightgrey")
        axis.plot(*points.T.numpy(), marker=".", linewidth=1)
        axis.plot(0, 0, "k*", markersize=10)
        axis.set(ylabel="y", title=f"{name}, {len(points) - 1} steps", aspect="equal")
    axes[-1].set_xlabel("x")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_transposed(image, kernel, stride, padding, path):
    """Draws figure 4.9: the image, its pixels spread apart with zeros between and around, and the larger output."""
    size = len(kernel)
    border = size - 1 - padding
    apart = F.pad(spread(image[None, None], stride), (border,) * 4)[0, 0]
    output = transposed_convolution(image[None, None], kernel[None, None], stride=stride, padding=padding)[0, 0]
    titles = {
        f"image, {image.shape[0]}x{image.shape[1]}": image,
        f"spread by stride {stride}, a border of {border}": apart,
        "kernel, turned by 180 degrees": kernel.flip(0, 1),
        f"output, {output.shape[0]}x{output.shape[1]}": output,
    }
    widths = [values.shape[1] for values in titles.values()]
    figure, axes = plt.subplots(1, 4, figsize=(13, 4.4), width_ratios=widths, layout="constrained")
    figure.get_layout_engine().set(wspace=0.06)
    for axis, (title, values) in zip(axes, titles.items()):
        draw_grid(axis, values, title)
    axes[1].add_patch(frame(0, 0, size))
    axes[3].add_patch(frame(0, 0, 1))
    figure.suptitle("A transposed convolution is a convolution over the spread image", fontsize=11)
    figure.savefig(path, dpi=120)
    plt.close(figure)

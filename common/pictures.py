"""Pictures in and out: a file opened or refused, and the confusion matrix of any classifier drawn."""

import matplotlib.pyplot as plt
from PIL import Image

from common.cli import UserError


def open_picture(path):
    """A picture file as a Pillow picture, read whole.

    Raises:
        UserError: the file is damaged, or no picture.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: not a whole picture ({error})") from None


def save_confusion(confusion, classes, path):
    """Draws what each true class was taken for, in per cent of it, with the counts below.

    Args:
        confusion: counts, (true class, predicted class), on the CPU.
        classes: the names of the classes.
    """
    share = 100 * confusion.double() / confusion.sum(1, keepdim=True).clamp(min=1)
    side = 2.5 + (0.9 if len(classes) < 5 else 0.6) * len(classes)
    figure, axis = plt.subplots(figsize=(side + 0.6, side), layout="constrained")
    drawn = axis.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=100)
    for true, row in enumerate(share.tolist()):
        for answer, value in enumerate(row):
            if count := confusion[true, answer].item():
                told, colour = f"{value:.1f}\n({count})", "white" if value > 50 else "black"
                axis.text(answer, true, told, ha="center", va="center", color=colour, fontsize=8)
    axis.set_xticks(range(len(classes)), classes, rotation=45 if len(classes) > 6 else 0)
    axis.set_yticks(range(len(classes)), classes)
    axis.set(xlabel="the network's answer", ylabel="true class", title="Per cent of each true class (and how many)")
    figure.colorbar(drawn, shrink=0.8, label="per cent")
    figure.savefig(path, dpi=110)
    plt.close(figure)

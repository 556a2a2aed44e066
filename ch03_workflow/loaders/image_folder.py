"""A folder of classes through `torchvision.datasets.ImageFolder`, with its faults told (listing 3.6)."""

from pathlib import Path

from torchvision.datasets import ImageFolder

from common.errors import UserError
from common.files import files_in, folders_in, is_hidden, tell_left_out
from common.pictures import ENDINGS, open_picture


class VisibleFolder(ImageFolder):
    """An `ImageFolder` for which hidden folders, such as Jupyter's `.ipynb_checkpoints`, are no classes."""

    def find_classes(self, directory):
        names = [path.name for path in folders_in(directory)]
        if not names:
            raise UserError(f"{directory}: no folder in it; expected {directory}/<class>/<name>.jpg")
        return names, {name: index for index, name in enumerate(names)}


def open_image_folder(folder, transform=None):
    """The pictures `folder/<class>/<name>.jpg`; items are (RGB image or what `transform` makes of it, class index).

    Class indices follow the sorted names of the folders. The library passes over files whose names are not those of
    pictures without a word; here they are counted, and the count is printed.

    Raises:
        UserError: no such folder, no class in it, or a class without a picture; when indexed, a picture that cannot be
            read. The message names the folder or the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    _, left_out = files_in(folder, ENDINGS, deep=True)
    try:
        images = VisibleFolder(folder, transform, loader=open_picture, is_valid_file=_is_picture)
    except FileNotFoundError as error:
        reason = str(error).partition(". ")[0].rstrip(".")
        raise UserError(f"{folder}: {reason}; expected {folder}/<class>/<name>.jpg") from None
    tell_left_out(folder, left_out)
    return images


def _is_picture(path):
    path = Path(path)
    return path.suffix.lower() in ENDINGS and not is_hidden(path.name)

"""A folder of classes through `torchvision.datasets.ImageFolder`, with its faults told (listing 3.6)."""

from pathlib import Path

from torchvision.datasets import ImageFolder

from common.cli import UserError
from common.pictures import open_picture


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
    try:
        images = ImageFolder(folder, transform, loader=read_picture)
    except FileNotFoundError as error:
        reason = str(error).partition(". ")[0].rstrip(".")
        raise UserError(f"{folder}: {reason}; expected {folder}/<class>/<name>.jpg") from None
    files = {path for path in folder.rglob("*") if path.is_file()}
    if others := sorted(files - {Path(path) for path, label in images.samples}):
        print(f"{folder}: {len(others)} files that are no pictures left out, the first {others[0].relative_to(folder)}")
    return images


def read_picture(path):
    return open_picture(path).convert("RGB")

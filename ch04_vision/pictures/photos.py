"""The reader's own photos: found, and answered one after another."""

import sys
from pathlib import Path

from common.errors import UserError
from common.files import files_in, tell_left_out
from common.pictures import ENDINGS, open_picture


def find_photos(paths):
    """The pictures that the paths name; a folder stands for the pictures in it, and what else it holds is told.

    Raises:
        UserError: a path that is not there, or a folder without a picture.
    """
    photos = []
    for path in map(Path, paths):
        if path.is_dir():
            found, left_out = files_in(path, ENDINGS)
            if not found:
                raise UserError(f"--predict {path}: no picture in this folder; expected {', '.join(sorted(ENDINGS))}")
            tell_left_out(path, left_out)
            photos += found
        elif path.is_file():
            photos.append(path)
        else:
            raise UserError(f"--predict {path}: no such file or folder")
    return photos


def answer_photos(paths, out, answer):
    """Calls `answer(path, photo)` for each photo, a Pillow picture in RGB. One that cannot be read costs a line.

    Args:
        paths: of photos, and of folders of photos.
        out: the folder that the answers are written to; it is made if it is not there.

    Raises:
        UserError: a path that is not there; `out` cannot be written; or, at the end, some pictures could not be read.
    """
    photos, failed = find_photos(paths), 0
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path in photos:
            try:
                photo = open_picture(path)
            except UserError as mistake:
                failed += 1
                print(mistake, file=sys.stderr)
            else:
                answer(path, photo)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror or error}") from None
    if failed:
        raise UserError(f"--predict: {failed} of {len(photos)} pictures could not be read")

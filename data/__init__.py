"""The embedded samples: drawn, spoken or written by code, in the very layouts of the real sets; and where they lie."""

import errno
import functools
import os
import sys
from pathlib import Path

from common.errors import UserError

HERE = Path(__file__).parent
LOCKED = {errno.EACCES, errno.EPERM, errno.EROFS}


def sample(make, **parameters):
    """The folder of a sample, made when it is first asked for: `sample(make_streets)`.

    It lies in `data/samples`, or, where that belongs to somebody else, in the user's own cache folder.

    Args:
        make: the function that makes the sample in a folder.
        parameters: what it is called with besides.

    Raises:
        UserError: there is no room for it, or something else has its name.
    """
    name = make.__name__.removeprefix("make_")
    try:
        try:
            root = HERE / "samples" / name
            return make(root, **parameters)
        except OSError as error:
            if error.errno not in LOCKED:
                raise
            root = place("samples") / name
            return make(root, **parameters)
    except OSError as error:
        raise UserError(f"the sample could not be made in {root}: {error.strerror or error}") from None


@functools.cache
def place(kind):
    """`data/samples` or `data/cache`; a folder of the user's, and a line that says so, where that cannot be written."""
    ours = HERE / kind
    if os.access(ours if ours.exists() else HERE, os.W_OK):
        return ours
    usual = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    theirs = Path(usual, "hands-on-pytorch", kind)
    print(f"{ours} cannot be written: {theirs} is used", file=sys.stderr)
    return theirs

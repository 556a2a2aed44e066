"""How a program ends: with a mistake that is told in a line, and with what it has to give back."""

import contextlib
import errno
import re
import shutil
from pathlib import Path

from common import HERE
from common.names import printable

# What has to be given back when a program ends, however it ends.
at_end = contextlib.ExitStack()

# A disk that is full or damaged, what belongs to somebody else, a name that cannot be: no fault of a program.
OUTSIDE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS}
OUTSIDE |= {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EMFILE, errno.ENFILE}
SHARED = Path("/dev/shm")


class UserError(Exception):
    """A mistake that the user can mend: the message says what was found, where, and what was expected."""


def is_full(error):
    """Whether an error is that of a full disk, which torch's writer tells as "unexpected pos 343552 vs 343504"."""
    return getattr(error, "errno", None) == errno.ENOSPC or "unexpected pos" in str(error)


def told(error):
    """What a user is told in a line of what has ended a program; None where the fault is the program's own."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in OUTSIDE and error.filename:
        return f"{printable(str(error.filename))}: {error.strerror}"
    if is_full(error):
        # Loader processes need it for their locks and batches, and do not say where there was no room.
        free = shutil.disk_usage(SHARED).free if SHARED.exists() else 1 << 20
        return "No space left on device" + f"; {SHARED} is full: enlarge it, or try --workers 0" * (free < 1 << 20)
    if isinstance(error, OSError) and error.errno in OUTSIDE:
        return error.strerror
    text = " ".join(str(error).split())
    if text.startswith("DataLoader worker (pid"):  # one ends where there is no room for its batches
        free = f"; {SHARED} has {shutil.disk_usage(SHARED).free >> 20} MB free" if SHARED.exists() else ""
        return f"{str(error).splitlines()[0]}{free}: enlarge it, or try --workers 0"
    # torch has an error of its own for GPUs alone.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in text:
        asked = re.search(r"(tried|unable) to allocate [\d.]+ \w+", text, re.IGNORECASE)
        return f"not enough memory{f' ({asked[0].lower()})' if asked else ''}; try a smaller batch or a smaller network"
    # torch writes down which files it came through, and cannot where the locale is C and a folder's name is no ASCII.
    if "Unable to cast Python instance of type <class 'str'>" in text and printable(HERE) != str(HERE):
        return f"{printable(HERE)}: a folder whose name torch cannot write in this locale; set PYTHONUTF8=1"
    return None

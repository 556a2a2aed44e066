"""Files that come from elsewhere: which of a folder's files are data, how text is read, how a file becomes whole."""

import codecs
import contextlib
import glob
import os
import shutil
import stat
import tempfile
from pathlib import Path

from common.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# What macOS, Windows, network disks and archives of a Mac leave in folders, in lower case.
BROWSERS = {".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "__macosx"}
LONGEST_LINE = 1 << 20  # bytes; the longest line of any of the data sets has some thousands


def from_a_browser(name):
    """Whether a file or a folder of this name is what a file browser leaves behind."""
    return name.lower() in BROWSERS or name.startswith("._")


def is_hidden(name):
    """Whether a file or a folder of this name is certainly no data: `.ipynb_checkpoints`, `Thumbs.db`, `._0001.png`."""
    return name.startswith(".") or from_a_browser(name)


def folders_in(folder):
    """The folders in a folder, without hidden ones, sorted by their names."""
    return sorted(path for path in Path(folder).iterdir() if path.is_dir() and not is_hidden(path.name))


def files_in(folder, endings, *, deep=False):
    """The files of a folder whose names end in one of the endings, in upper or in lower case.

    Args:
        deep: whether the folders in it, linked ones too, are read as well; else they are passed over.

    Returns:
        the paths found, sorted, and the paths left out: hidden files and folders, and files with other endings.

    Raises:
        UserError: the folder cannot be read.
    """
    found, left_out, seen = [], [], set()

    def refuse(error):
        raise UserError(f"{error.filename}: {error.strerror}") from None

    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        if (inside := os.path.realpath(place)) in seen:  # a link to a folder around it leads back to where one has been
            folders.clear()
            continue
        seen.add(inside)
        for path in (Path(place, name) for name in names):
            (found if path.suffix.lower() in endings and not is_hidden(path.name) else left_out).append(path)
        left_out += [Path(place, name) for name in folders if is_hidden(name)]
        folders[:] = [name for name in folders if deep and not is_hidden(name)]
    return sorted(found), sorted(left_out)


def tell_left_out(folder, left_out):
    """Prints a line about what `files_in` has left out, if it has."""
    if left_out:
        hidden = sum(is_hidden(path.name) for path in left_out)
        counts = {"hidden": hidden, "of another kind": len(left_out) - hidden}
        told = " and ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        print(f"{folder}: left out {told}, such as {left_out[0].relative_to(folder)}")


def require_file(path, expected):
    """Refuses what is no file to read from; a named pipe, for one, would be waited for without end.

    Args:
        expected: what the file should be, for the message.

    Raises:
        UserError: no such file, a folder, a pipe, or a file of somebody else.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            return open(path, "rb").close()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected {expected}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or error}; expected {expected}") from None
    raise UserError(f"{path}: {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}; expected {expected}")


def read_lines(path, expected, *, latin1=False):
    """The lines of a text file, one after the other: where each stands, for messages, and its text.

    Byte order marks are skipped, and so are empty lines at the end.

    Args:
        expected: what the file should be, for the message.
        latin1: whether a line that is no UTF-8 is read as ISO-8859-1, in Windows' form (cp1252) where it can be.

    Raises:
        UserError: no such file, no text in UTF-8, or a line without end.
    """
    require_file(path, expected)
    encodings = ("utf-8", "cp1252", "iso-8859-1") if latin1 else ("utf-8",)
    with open(path, "rb") as file:
        for place, line in bare_lines(file, path):
            yield place, _decode(line, encodings, place)


def _decode(line, encodings, place):
    if b"\r" in line:
        raise UserError(f"{place}: a carriage return within the line; expected an end of line")
    for encoding in encodings:
        try:
            return line.decode(encoding)
        except UnicodeDecodeError as error:
            found = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
    raise UserError(f"{place}: {found} is no UTF-8; expected a file in UTF-8")


def bare_lines(file, path):
    """The lines of a file opened for bytes, each with its place: no byte order marks, no ends, no empty last lines."""
    number, empty = 0, []
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        place = f"{path}, line {number}"
        if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b"\0" in line:
            raise UserError(f"{path}: text in UTF-16; expected UTF-8")
        if len(line) > LONGEST_LINE:
            raise UserError(f"{place}: longer than {LONGEST_LINE:,} bytes; expected shorter lines")
        line = line.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n")  # one in the midst where files were joined
        if not line.strip():
            empty.append((place, line))
            continue
        yield from empty
        empty.clear()
        yield place, line


@contextlib.contextmanager
def beside(path):
    """A new folder beside `path`, to make in what is then renamed to it: `path` is there whole, or not at all.

    Afterwards the folder is gone. Those of processes that were killed are removed as well.
    """
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}-"
    for left in path.parent.glob(glob.escape(prefix) + "*"):
        with contextlib.suppress(OSError):
            if (held := _lock(left)) is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(held)
    while True:
        making = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            held = _lock(making)
            break
        # Another process took it, between the two lines, for one that a killed process had left.
    try:
        making.chmod(0o755)  # mkdtemp's folders are closed to other users
        yield making
    finally:
        shutil.rmtree(making, ignore_errors=True)
        if held is not None:
            os.close(held)


def _lock(folder):
    """Locks a folder for as long as this process lives; None where folders cannot be locked, as on Windows.

    Raises:
        BlockingIOError: another process holds it.
        FileNotFoundError: it is gone.
    """
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None  # a network disk without locks

"""Names of files as a program may write, print and draw them, whatever their owner has called them."""

import os
from itertools import count
from pathlib import Path

LONGEST = 255  # bytes in a file's name, on the disks that people have
IN_A_TITLE = 60  # letters


def printable(path):
    """A path, or a word of the command line, as text that any stream takes: what is no UTF-8 becomes question marks."""
    return os.fsencode(path).decode(errors="replace")


def readable(path):
    """A file's name as text for a title; a long one is cut in the middle."""
    name = printable(Path(path).name)
    return name if len(name) <= IN_A_TITLE else f"{name[: IN_A_TITLE - 20]}…{name[-19:]}"


class Names:
    """What the pictures about files are called: a name of its own for each file.

    Args:
        longest_ending: the longest of what is put behind such a name, `_overlay.png`.
    """

    def __init__(self, longest_ending):
        self.longest, self.taken = LONGEST - len(longest_ending.encode()), set()

    def __call__(self, path):
        """The name of a file without its ending, cut to what fits; numbered where an earlier file has it."""
        stem = printable(Path(path).stem).encode()
        for number in count(1):
            tail = "" if number == 1 else f"_{number}"
            name = stem[: self.longest - len(tail)].decode(errors="ignore") + tail
            # Some disks do not tell upper case from lower case.
            if name.lower() not in self.taken:
                self.taken.add(name.lower())
                return os.fsdecode(name.encode())  # where the locale is C, a name is of ASCII and of escaped bytes

"""Standard output and standard error that a run outlives: a closed pipe, a missing stream, letters of ASCII."""

import atexit
import contextlib
import errno
import os
import sys
from pathlib import Path

from common.errors import told


class Stream:
    """A stream whose reader may leave: `| head -1` takes the first line, and the rest is dropped, not the run.

    Args:
        before: called at each write and flush, returns what has to stand in front of it: the headings of a tour.
    """

    failure = None  # what could not be written, until somebody has told it

    def __init__(self, stream, before=lambda: ""):
        self.stream, self.before = stream, before

    def write(self, text):
        self._try(self.stream.write, self.before() + text)
        return len(text)

    def flush(self):
        self._try(self.stream.write, self.before())
        self._try(self.stream.flush)

    def _try(self, function, *args):
        try:
            function(*args)
        except OSError as error:
            # What was buffered goes there too, now or when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
            # Windows has no EPIPE and says EINVAL.
            if error.errno not in (errno.EPIPE, errno.EINVAL):
                Stream.failure = OSError(error.errno, error.strerror, "standard output")
                raise Stream.failure from None

    def __getattr__(self, name):
        return getattr(self.stream, name)


def mend_streams(before=lambda: ""):
    """Makes both standard streams outlive whoever reads them; what their encoding lacks is written as a question mark.

    Args:
        before: what `Stream` calls before it writes to standard output.
    """
    for name, first in {"stdout": before, "stderr": lambda: ""}.items():
        # Python has None where the process was started without the stream (`2>&-`).
        stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the end
        stream = stream.stream if isinstance(stream, Stream) else stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
        setattr(sys, name, Stream(stream, first))
    atexit.unregister(_write_the_rest)
    atexit.register(_write_the_rest)


def _write_the_rest():
    """At the end of a program what is still buffered is written; Python itself would end in a traceback there.

    After a script's last line Python has written it already, and has said nothing of a failure.
    """
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    if Stream.failure:
        print(f"{Path(sys.argv[0]).name}: {told(Stream.failure) or Stream.failure}", file=sys.stderr)
        os._exit(2)

"""What a tour calls once at its top: it reads two flags, seeds, and lets every cell say which it is."""

import bisect
import linecache
import os
import random
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from common.cli import Parser, describe, draw_into_files
from common.errors import told
from common.streams import Stream, mend_streams


def tour(doc, flags=(), device=True):
    """Reads `--device` and `--out`, seeds, and from here on each cell's heading is printed before the cell's output.

    In a notebook there is no command line and the headings stand there already; instead the pictures that a cell has
    saved in `out` appear below it, and `out` is named after the tour whose docstring was run.

    Args:
        doc: the tour's docstring, shown by `--help`.
        flags: further flags, {name: what `add_argument` takes}.
        device: whether the tour computes on `--device`; one that does not has no such flag.

    Returns:
        a namespace with `device`, a `torch.device`, and `out`, the folder for the pictures, made if it is not there.
    """
    frame = sys._getframe(1)
    shell = sys.modules["IPython"].get_ipython() if "ipykernel" in sys.modules else None
    parser = describe(Parser(), doc, device)
    for name, meaning in dict(flags).items():
        parser.add_argument(name, **meaning)
    if shell:
        commands = re.findall(r"^[# ]*python \S+/(\w+)\.py", "\n".join(shell.user_ns["In"]), re.MULTILINE)
        parser.set_defaults(out=Path("runs", commands[-1] if commands else "notebook"))
    args = parser.parse_args([] if shell else None)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=args.out).close()
    except OSError as error:
        parser.exit(2, f"{parser.prog}: --out {args.out}: {error.strerror}; expected a folder to write to\n")
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    if shell:
        _show_pictures(shell, args.out)
        return args
    draw_into_files()
    mend_streams(_Headings(frame))
    sys.excepthook = _end
    # A spawned process, such as a loader's worker, begins with running the file that `__main__` says it was run from:
    # the whole tour, once more. As in a notebook there is none, so what a worker needs lies in a module.
    if frame.f_globals["__name__"] == "__main__":
        frame.f_globals.pop("__file__", None)
        frame.f_globals["__spec__"] = None
    return args


class _Headings:
    """Called before something is printed: the headings of the cells that were entered since the last call."""

    def __init__(self, frame):
        self.frame, self.process, self.told = frame, os.getpid(), 0
        lines = enumerate(linecache.getlines(frame.f_code.co_filename), start=1)
        cells = [(number, line.removeprefix("# %% ")) for number, line in lines if line.startswith("# %% ")]
        self.numbers, self.titles = [number for number, _ in cells], [title for _, title in cells]

    def __call__(self):
        if os.getpid() != self.process:
            return ""
        first, self.told = self.told, max(self.told, bisect.bisect(self.numbers, self.frame.f_lineno))
        return "".join(f"{chr(10) * (place > 0)}# {self.titles[place]}" for place in range(first, self.told))


def _end(kind, error, trace):
    """As `cli.run` ends a program: exit status 2 or, after Ctrl-C, 130, each with a line that says so."""
    interrupted = issubclass(kind, KeyboardInterrupt)
    reason = None if interrupted else told(error)
    if not interrupted and reason is None:
        return sys.__excepthook__(kind, error, trace)
    Stream.failure = None  # told here, if it was that
    print("interrupted" if interrupted else f"{Path(sys.argv[0]).name}: {reason}", file=sys.stderr)
    sys.exit(130 if interrupted else 2)


def _show_pictures(shell, out):
    """After each cell of a notebook shows the pictures that it has written into `out`."""
    from IPython.display import Image, display

    def pictures():
        return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".png", ".gif")}

    known = pictures()

    def show_pictures(result):
        for path, time in sorted(pictures().items(), key=lambda picture: picture[1]):
            if known.get(path) != time:
                display(Image(path, alt=path.stem.replace("_", " ")))
                known[path] = time

    callbacks = shell.events.callbacks["post_run_cell"]
    # A tour begun anew in the same notebook.
    callbacks[:] = [callback for callback in callbacks if callback.__name__ != "show_pictures"]
    shell.events.register("post_run_cell", show_pictures)

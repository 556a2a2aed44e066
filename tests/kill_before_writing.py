"""Kills a run before a file operation, in a folder of its own or of an older run: resumed, it has equal weights.

    python tests/kill_before_writing.py                 the tests' tiny program, before every operation
    python tests/kill_before_writing.py --every 7       before every seventh
    python tests/kill_before_writing.py --every 9 ch03_workflow/yesno.py --epochs 2        another program and its flags

Each run is a fork of this process, which has all modules already and no thread: a fork of one that has threads, such as
a test's, may wait for ever. The exit status is 1 if a run ended otherwise.
"""

import argparse
import importlib
import itertools
import os
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import torch
from matplotlib.figure import Figure

from common import checkpoints, cli

# What Python tells its audit hooks of before it touches a file; a checkpoint's bytes are written by C++ in between.
OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "os.truncate"}


def in_a_process(program, out, *flags, kill_before=None):
    """Runs a program, its path and its flags, in a fork of this process, which has all modules already.

    Returns:
        its exit status, or minus the number of the signal that killed it.
    """
    child = os.fork()
    if not child:
        try:
            _run(program, out, flags, kill_before)
        except BaseException:  # whatever it is, this process must not go on as a second parent
            traceback.print_exc()
        os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run(program, out, flags, kill_before):
    main = module_of(program[0]).main
    seen = 0

    def count(event, args):
        nonlocal seen
        if event in OPERATIONS and any(str(out) in str(arg) for arg in args[:2]):
            seen += 1
            if seen == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    Figure.savefig = lambda figure, path, **_: Path(path).write_bytes(b"drawn")  # quicker
    sys.argv = [*program, "--device", "cpu", "--out", str(out), *map(str, flags)]
    with open(os.devnull, "w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        status = 0
        try:
            cli.run(main)
        except SystemExit as end:
            status = end.code
        os._exit(status)


def module_of(path):
    return importlib.import_module(".".join(Path(path).with_suffix("").parts))


def weights_in(out):
    """The network of each checkpoint that a run has left, {name: its tensors}."""
    paths = [path.relative_to(out) for path in sorted(out.rglob("*.pt"))]
    kept = [path for path in paths if path.name != "previous.pt" and path.parts[0] != "earlier"]
    return {str(path): checkpoints.read(out / path)["model"] for path in kept}


def equal(one, other):
    same_names = one.keys() == other.keys()
    return same_names and all(torch.equal(one[path][name], other[path][name]) for path in one for name in one[path])


def kill(program, folder, every, older):
    """Kills runs before their first operation, and `every` operations later, until one comes to its end.

    Args:
        older: whether they run in a folder in which a run of another seed has ended.

    Returns:
        how many were killed.
    """
    assert in_a_process(program, folder / "whole") == 0
    whole = weights_in(folder / "whole")
    assert whole, "no checkpoint to compare"
    if older:
        assert in_a_process(program, folder / "older", "--seed", 1) == 0
    for kills, operation in enumerate(itertools.count(1, every)):
        out = folder / f"killed_{operation}"
        if older:
            shutil.copytree(folder / "older", out)
        status = in_a_process(program, out, kill_before=operation)
        if status == 0:
            return kills
        assert status == -signal.SIGKILL, f"operation {operation}: {status}"
        # Where no checkpoint of this run is whole yet, it is begun anew, and one of the older run is refused.
        if in_a_process(program, out, "--resume") == 2:
            assert in_a_process(program, out) == 0, f"operation {operation}"
        assert equal(weights_in(out), whole), f"operation {operation}: other weights"


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--every", type=int, default=1)
    flags.add_argument("program", nargs=argparse.REMAINDER, help="a program's path and its flags")
    args = flags.parse_args()
    program = args.program or ["tests/tiny_program.py", "--epochs", "2"]
    module_of(program[0])  # once, not in every fork
    for older, place in ((False, "a new folder"), (True, "the folder of an older run")):
        with tempfile.TemporaryDirectory() as folder:
            kills = kill(program, Path(folder), args.every, older)
        print(f"{kills} of {kills} killed runs ended with equal weights in {place}", flush=True)


if __name__ == "__main__":
    main()

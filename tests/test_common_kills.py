"""A run killed before any file operation, in a folder of its own or of an older run, resumes to equal weights.

Run alone, with ALL_KILLS in the environment: a fork of a process that has threads may wait for ever.
"""

import itertools
import os
import shutil
import signal
import sys
import traceback

import pytest
import torch

from common import checkpoints, cli, report
from tests import tiny_program

pytestmark = pytest.mark.skipif("ALL_KILLS" not in os.environ, reason="run alone, with ALL_KILLS=1")

# What Python tells its audit hooks of before it touches a file; a checkpoint's bytes are written by C++ in between.
OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "os.truncate"}


def in_a_process(out, *flags, kill_before=None):
    """Runs the tiny program in a fork of this process, which has all modules already.

    Returns:
        its exit status, or minus the number of the signal that killed it.
    """
    child = os.fork()
    if not child:
        try:
            _run(out, flags, kill_before)
        except BaseException:  # whatever it is, this process must not go on as a second pytest
            traceback.print_exc()
        os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run(out, flags, kill_before):
    seen = 0

    def count(event, args):
        nonlocal seen
        if event in OPERATIONS and any(str(out) in str(arg) for arg in args[:2]):
            seen += 1
            if seen == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    report._draw_curves = lambda path, *_: path.write_bytes(b"drawn")  # quicker
    sys.argv = ["tiny_program.py", "--device", "cpu", "--out", str(out), "--epochs", "2", *map(str, flags)]
    with open(os.devnull, "w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        status = 0
        try:
            cli.run(tiny_program.main)
        except SystemExit as end:
            status = end.code
        os._exit(status)


def weights_in(out):
    return [checkpoints.read(out / name)["model"] for name in ("last.pt", "best.pt")]


def equal(one, other):
    return all(torch.equal(a[name], b[name]) for a, b in zip(one, other) for name in a)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The weights of a run that nobody killed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert in_a_process(out) == 0
    return weights_in(out)


@pytest.mark.parametrize("older", [False, True], ids=["new folder", "folder of an older run"])
def test_killed_before_every_file_operation(older, whole, tmp_path):
    if older:
        assert in_a_process(tmp_path / "older", "--seed", 1) == 0
    for operation in itertools.count(1):
        out = tmp_path / str(operation) / "run"
        if older:
            shutil.copytree(tmp_path / "older", out)
        status = in_a_process(out, kill_before=operation)
        if status == 0:
            break
        assert status == -signal.SIGKILL, f"operation {operation}"
        # Where no checkpoint of this run is whole yet, it is begun anew, and one of the older run is refused.
        if in_a_process(out, "--resume") == 2:
            assert in_a_process(out) == 0, f"operation {operation}"
        assert equal(weights_in(out), whole), f"operation {operation}"
    assert operation > 20

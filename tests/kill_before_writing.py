"""Kills a run before a file operation, in a folder of its own or of an older run: resumed, it has equal weights.

    python tests/kill_before_writing.py                 the tests' tiny program, before every operation
    python tests/kill_before_writing.py --every 7       before every seventh
    python tests/kill_before_writing.py --every 9 ch03_workflow/yesno.py --epochs 2        another program and its flags
    python tests/kill_before_writing.py --all           every program that trains, on small data, a quarter of an hour

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
from functools import partial
from pathlib import Path

import torch
from matplotlib.figure import Figure

from common import checkpoints, cli
from data.digits import make_digits
from data.sentence_pairs import make_sentence_pairs
from data.spoken_tones import make_spoken_tones
from data.streets import make_streets
from data.tiny_objects import make_tiny_objects


def make_trees(folder):
    """A treebank of two sentences, many times."""
    folder.mkdir()
    for split in ("train", "dev", "test"):
        trees = f"(3 (2 {split}) (4 (3 really) (4 works)))\n(1 (2 {split}) (1 fails))\n"
        (folder / f"{split}.txt").write_text(20 * trees)
    return folder


# Every program that trains: what makes small data for it, a folder's, and its flags. The ignite trainer saves every
# hundred iterations, here in the midst of an epoch.
SMALL = "--epochs 1 --embed-dim 6 --hidden-size 6 --batch-size 30"
PROGRAMS = {
    "tests/tiny_program.py": (None, "--epochs 2"),
    "ch02_simple_nn/fizzbuzz.py": (None, "--epochs 2"),
    "ch03_workflow/ignite_trainer.py": (partial(make_digits, digits=(150, 40)), "--epochs 2 --batch-size 1"),
    "ch03_workflow/question_classifier.py": (None, "--epochs 1"),
    "ch03_workflow/yesno.py": (partial(make_spoken_tones, recordings=10), "--epochs 1"),
    "ch04_vision/simple_cnn.py": (partial(make_tiny_objects, pictures=(12, 3)), "--epochs 1 --batch-size 30"),
    "ch04_vision/linknet.py": (partial(make_streets, frames=(8, 3, 2), size=(64, 64)), "--epochs 2 --batch-size 4"),
    "ch05_sequence/simple_rnn.py": (partial(make_sentence_pairs, premises=(40, 9, 9)), SMALL),
    "ch05_sequence/advanced_rnn.py": (partial(make_sentence_pairs, premises=(40, 9, 9)), f"{SMALL} --attention"),
    "ch05_sequence/spinn.py": (partial(make_sentence_pairs, premises=(40, 9, 9)), f"{SMALL} --tracker-dim 4"),
    "ch05_sequence/sentiment.py": (make_trees, f"{SMALL} --tracker-dim 4"),
}

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


def kill_in_both_places(program, every):
    module_of(program[0])
    for older, place in ((False, "a new folder"), (True, "the folder of an older run")):
        with tempfile.TemporaryDirectory() as folder:
            kills = kill(program, Path(folder), every, older)
        print(f"{program[0]}: {kills} of {kills} killed runs ended with equal weights in {place}", flush=True)


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--every", type=int, default=1)
    flags.add_argument("--all", action="store_true", help="every program")
    flags.add_argument("program", nargs=argparse.REMAINDER, help="a program's path and its flags")
    args = flags.parse_args()
    torch.set_num_threads(1)  # a fork of a process that has computed with more may wait for ever
    # Once, not in every fork: what the programs import when they need it.
    for module in ("matplotlib.pyplot", "torch._dynamo"):
        importlib.import_module(module)
    if args.program:
        kill_in_both_places(args.program, args.every)
    else:
        for path in PROGRAMS if args.all else ["tests/tiny_program.py"]:
            make, small = PROGRAMS[path]
            with tempfile.TemporaryDirectory() as folder:
                data = ["--data", str(make(Path(folder, "data")))] if make else []
                kill_in_both_places([path, *small.split(), *data], args.every)


if __name__ == "__main__":
    main()

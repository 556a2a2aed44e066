"""Kills the ignite trainer at random moments and resumes it: the weights must be those of a run that nobody killed.

    python tests/kill_and_resume.py --kills 20

An epoch has 33 steps, so that every checkpoint lies inside one. The network has dropout, so that the random numbers
count, too. Prints a line a kill; the exit status is 1 if a run ended otherwise.
"""

import argparse
import importlib
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import nn

from ch03_workflow import ignite_trainer
from ch03_workflow.digit_net import DigitNet
from common import cli
from data.digits import make_digits

FLAGS = ["--device", "cpu", "--batch-size", "6", "--epochs", "8", "--print-every", "1000"]


class WithDropout(DigitNet):
    def __init__(self):
        super().__init__(channels=4)
        self.features.append(nn.Dropout(0.3))


def start(data, out, *flags):
    """Begins the program in a process of its own, which has all modules already; returns its number."""
    child = os.fork()
    if child:
        return child
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    sys.argv = ["ignite_trainer.py", "--data", str(data), "--out", str(out), *FLAGS, *flags]
    ignite_trainer.DigitNet = WithDropout
    Figure.savefig = lambda *_, **__: None
    status = 0
    try:
        cli.run(ignite_trainer.main)
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    os._exit(status)


def wait(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def epochs_of(out):
    figures = out / "metrics.jsonl"
    return len(figures.read_text().splitlines()) if figures.exists() else 0


def left_by(out):
    """What must be equal: the best weights, those of the last checkpoint, and the figures of every epoch."""
    last = max((out / "checkpoints").glob("*.pt"), key=lambda path: int(path.stem.partition("_")[2]))
    weights = [torch.load(path)["model"] for path in (out / "best.pt", last)]
    return last.name, weights, (out / "metrics.jsonl").read_text()


def equal(one, other):
    same = all(torch.equal(a[name], b[name]) for a, b in zip(one[1], other[1]) for name in a)
    return one[0] == other[0] and one[2] == other[2] and same


def kill(folder, kills, moments):
    """Kills so many runs; returns how many of them did not end as they should."""
    data = make_digits(folder / "digits", digits=(220, 40))
    began = time.perf_counter()
    assert wait(start(data, folder / "whole")) == 0
    seconds, whole = time.perf_counter() - began, left_by(folder / "whole")
    different = 0
    for number in range(kills):
        out, epochs, delay = folder / f"killed_{number}", moments.randrange(8), moments.uniform(0, seconds / 8)
        child = start(data, out)
        while epochs_of(out) < epochs:
            time.sleep(0.01)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        ended = wait(child)
        saved = sorted(path.name for path in out.glob("checkpoints/*.pt")) if out.exists() else []
        status = wait(start(data, out, *["--resume"] * bool(saved)))
        same = status == 0 and equal(left_by(out), whole)
        different += not same
        where = f"{delay:.2f} s after epoch {epochs} ({ended}), {saved or 'nothing saved'}"
        print(f"{where}: {'equal' if same else 'DIFFERENT'}", flush=True)
    print(f"{kills - different} of {kills} runs ended with the weights of the one that nobody killed")
    return different


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--kills", type=int, default=20)
    flags.add_argument("--seed", type=int, default=0)
    args = flags.parse_args()
    # Once, not in every fork: what torch and the trainer import when they need it.
    for module in ("matplotlib.pyplot", "torch._dynamo"):
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(kill(Path(folder), args.kills, random.Random(args.seed)) > 0)


if __name__ == "__main__":
    main()

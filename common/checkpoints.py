"""Checkpoints: written so that a kill or a full disk costs nothing, read so that nothing in them is ever executed.

A file holds `model`, the weights, and `run`: the run's id, its flags, and what else belongs to the weights, such as a
vocabulary. So a checkpoint is all that scoring and predicting need. `last.pt` also holds what going on needs. Plain
`torch.load` reads both.
"""

import os
import shutil
import sys
from itertools import chain
from pathlib import Path

import ignite.distributed as idist
import numpy as np
import torch
from ignite.handlers import Checkpoint, DiskSaver

from common.errors import UserError, is_full


class Run:
    """Whose weights these are, as a part of a checkpoint.

    Attributes:
        id: a random name, the same in all files of one run.
        config: the flags, numbers and strings.
        belongs: what else the weights need to be used, plain lists, numbers, strings and tensors.
    """

    def __init__(self, id, config, belongs=None):
        self.id, self.config, self.belongs = id, config, belongs or {}

    def state_dict(self):
        return {"id": self.id, "config": self.config, "belongs": self.belongs}

    def load_state_dict(self, state):
        self.id = state["id"]


def read(path):
    """What a checkpoint file of this repository holds, on the CPU.

    Raises:
        UserError: there is no such file, or it is damaged, or it is no checkpoint.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint; train first, or name one with --checkpoint FILE")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load fails in many ways on damaged files: zip, pickle, key, type, value errors
        reason = getattr(error, "strerror", None) or type(error).__name__
        reason = "it holds more than tensors and numbers" if "weights_only" in str(error) else reason
        raise UserError(f"{path}: not a whole checkpoint ({reason})") from None
    run = state.get("run") if isinstance(state, dict) else None
    parts = {"id": str, "config": dict, "belongs": dict}
    if not isinstance(run, dict) or not all(isinstance(run.get(name), kind) for name, kind in parts.items()):
        raise UserError(f"{path}: no checkpoint of this repository, or one of an earlier version; train anew")
    return state


def check_weights(model, state, path):
    """Refuses weights that do not fit a network, naming the first tensor that differs.

    Raises:
        UserError: they do not.
    """
    expected = model.state_dict()
    state = state if isinstance(state, dict) else {}
    for name in chain(expected, state):
        here = tuple(expected[name].shape) if name in expected else "absent"
        there = tuple(state[name].shape) if isinstance(state.get(name), torch.Tensor) else "absent"
        if here != there:
            raise UserError(f"{path}: of another network: {name} is {there} in the file, expected {here}")


def load_weights(model, path):
    """Fills a network with the weights of `best.pt`, or with the (averaged) ones of `last.pt`.

    Returns:
        the checkpoint's `run`, a dictionary.

    Raises:
        UserError: the file cannot be read, or is of another network.
    """
    state = read(path)
    weights = state.get("average", state.get("model"))
    check_weights(model, weights, path)
    model.load_state_dict(weights)
    return state["run"]


def _without_numpy(state):
    """The same with tensors for arrays: NumPy's random state would keep plain `torch.load` from reading the file."""
    if isinstance(state, dict):
        return {key: _without_numpy(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(map(_without_numpy, state))
    return torch.from_numpy(state) if isinstance(state, np.ndarray) else state


def why_not_written(error, folder):
    """The reason why a file could not be written, in a few words."""
    if is_full(error) or shutil.disk_usage(folder).free < 1_000_000:
        return "No space left on device"
    return getattr(error, "strerror", None) or str(error).splitlines()[0]


def writer(out):
    """What saves a checkpoint in the folder `out`, as `ignite.handlers.Checkpoint` calls it.

    It writes beside and renames over; the `last.pt` that was is kept as `previous.pt`.
    """
    disk = DiskSaver(out, atomic=False, require_empty=False)

    def write(checkpoint, filename, metadata=None):
        try:
            disk(_without_numpy(checkpoint), "new.pt")
            if idist.get_rank() == 0:
                if filename == "last.pt" and (out / filename).exists():
                    os.replace(out / filename, out / "previous.pt")
                os.replace(out / "new.pt", out / filename)
        except (OSError, RuntimeError) as error:
            reason = why_not_written(error, out)
            (out / "new.pt").unlink(missing_ok=True)
            kept = next((name for name in (filename, "previous.pt") if (out / name).exists()), None)
            kept = f"; {kept} from before is whole" if kept else ""
            raise UserError(f"{out / filename}: not written ({reason}){kept}") from None

    return write


# Where a run's files go, how often it is told, and what it runs on, changes nothing in what it computes.
FREE = {"out", "cache", "resume", "device", "workers", "compile", "print_every", "evaluate", "checkpoint", "predict"}


def restore(out, parts, names=("last.pt", "previous.pt")):
    """Loads the newest whole checkpoint of the folder `out` into the parts of a run, and returns its file name.

    Args:
        names: the files that may be there, the newest first.

    Raises:
        UserError: there is none, or it is of another run, other flags or another network.
    """
    run, damage = parts["run"], None
    for name in names:
        path = out / name
        if not path.exists():
            continue
        try:
            state = read(path)
        except UserError as damaged:
            damage = damaged
            continue
        if damage:
            print(f"{damage}; taking the one before", file=sys.stderr)
        for flag, before in state["run"]["config"].items():
            if flag not in FREE and run.config.get(flag, before) != before:
                now = f"--{flag.replace('_', '-')} {before}, not {run.config[flag]}"
                raise UserError(f"{path}: begun with {now}; resume it as it was begun")
        if (out / "best.pt").exists() and read(out / "best.pt")["run"]["id"] != state["run"]["id"]:
            raise UserError(f"{out}: best.pt and {name} are of two runs; train anew, in another folder")
        check_weights(parts["model"], state.get("model"), path)
        try:
            Checkpoint.load_objects(parts, state)
        except Exception as error:  # every part complains in its own way
            raise UserError(f"{path}: of another run ({' '.join(str(error).split())[:160]})") from None
        return name
    raise damage or UserError(f"--resume: {out} holds no whole checkpoint (last.pt); train without --resume first")

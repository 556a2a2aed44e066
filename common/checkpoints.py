"""Checkpoints: written so that a kill or a full disk costs nothing, read so that nothing in them is ever executed."""

import os
import sys
from itertools import chain
from pathlib import Path

import ignite.distributed as idist
import numpy as np
import torch
from ignite.handlers import Checkpoint, DiskSaver

from common.cli import UserError

# A checkpoint holds NumPy's random state; these are the types it is made of, and no others are let in.
torch.serialization.add_safe_globals(
    [np.ndarray, np.dtype, np._core.multiarray._reconstruct, type(np.dtype(np.uint32))]
)


def read(path):
    """What a checkpoint file holds, on the CPU.

    Raises:
        UserError: there is no such file, or it is damaged, or it is no checkpoint.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint; train first, or name one with --checkpoint FILE")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load fails in many ways on damaged files: zip, pickle, key, type, value errors
        raise UserError(f"{path}: not a whole checkpoint ({str(error).splitlines()[0][:100]})") from None


def load_weights(model, path):
    """Fills a network with the weights of `best.pt`, or with the (averaged) ones of `last.pt`.

    Raises:
        UserError: the file cannot be read, or is of another network: the message names the first tensor that differs.
    """
    state = read(path)
    state = state.get("average", state.get("model", state)) if isinstance(state, dict) else {}
    expected = model.state_dict()
    for name in chain(expected, state):
        here = tuple(expected[name].shape) if name in expected else "absent"
        there = tuple(state[name].shape) if isinstance(state.get(name), torch.Tensor) else "absent"
        if here != there:
            raise UserError(f"{path}: of another network: {name} is {there} in the file, expected {here}")
    model.load_state_dict(state)


def writer(out):
    """What saves a checkpoint in the folder `out`, as `ignite.handlers.Checkpoint` calls it.

    It writes beside and renames over; the `last.pt` that was is kept as `previous.pt`.
    """
    disk = DiskSaver(out, require_empty=False)

    def write(checkpoint, filename, metadata=None):
        try:
            disk(checkpoint, "new.pt")
            if idist.get_rank() == 0:
                if filename == "last.pt" and (out / filename).exists():
                    os.replace(out / filename, out / "previous.pt")
                os.replace(out / "new.pt", out / filename)
        except (OSError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{out / filename}: not written ({reason}); the checkpoint before it is whole") from None

    return write


def restore(out, parts):
    """Loads the newest whole checkpoint of the folder `out` into the parts of a run, and returns its file name.

    Raises:
        UserError: there is none, or it is of another network.
    """
    for name in ("last.pt", "previous.pt"):
        if not (out / name).exists():
            continue
        try:
            state = read(out / name)
        except UserError as damaged:
            print(f"{damaged}; taking the one before", file=sys.stderr)
            continue
        try:
            Checkpoint.load_objects(parts, state)
        except (ValueError, RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UserError(f"{out / name}: of another network or run ({reason})") from None
        return name
    raise UserError(f"--resume: {out} holds no whole checkpoint (last.pt); train without --resume first")

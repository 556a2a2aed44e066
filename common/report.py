"""A run's folder: who owns it, and the files that are left in it for a person to read.

config.json, metrics.jsonl (a line an epoch), summary.json, curves.png, and evaluation_<split>.json where a split was
scored. None of them is needed again: what a run reads back lies in its checkpoints.
"""

import json
import os
import re
import secrets
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import filelock

from common.checkpoints import Run, why_not_written
from common.errors import UserError, at_end

RUN_FILES = ("last.pt", "best.pt", "config.json", "metrics.jsonl", "summary.json")
LEFTOVERS = ("previous.pt", "new.pt", "config.partial", "metrics.partial", "summary.partial")


@contextmanager
def writing(path):
    """Turns what goes wrong while `path` is written into a line for the user: a full disk, a folder not one's own."""
    try:
        yield path
    except OSError as error:
        folder = next(folder for folder in Path(path).absolute().parents if folder.is_dir())
        raise UserError(f"{path}: not written ({why_not_written(error, folder)})") from None


@contextmanager
def drawing(path):
    """For pictures at the end of a run: one that cannot be drawn costs a line, not the run.

    Words and names of the data are drawn as they are: `$^$` is no formula.
    """
    import matplotlib  # half a second that scoring without pictures does without

    with writing(path), matplotlib.rc_context({"text.parse_math": False}):
        try:
            yield path
        except (OSError, UserError):
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:100]
            print(f"{path}: not drawn ({type(error).__name__}: {reason})", file=sys.stderr)


def folder(path):
    """The folder `path`, made if it is not there.

    Raises:
        UserError: it cannot be made.
    """
    with writing(path):
        Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


def write_json(path, content):
    """Writes `content` beside `path` and renames it over, so that a reader never meets half a file."""
    partial = Path(path).with_suffix(".partial")
    with writing(path):
        partial.write_text(json.dumps(content, indent=2) + "\n")
        partial.replace(path)


def lock(out):
    """Keeps every other process from training in the folder `out`, until `cli.run` ends or this process dies.

    Raises:
        UserError: another one does already.
    """
    path = folder(out) / ".lock"
    with writing(path):
        held = filelock.FileLock(path)
        try:
            held.acquire(timeout=0)
        except filelock.Timeout:
            number = path.read_text().strip()  # none yet, for a moment
            other = f"process {number}" if number else "another process"
            raise UserError(f"--out {out}: {other} is training there; name another folder with --out") from None
        at_end.callback(held.release)
        path.write_text(f"{os.getpid()}\n")


def begin(args, belongs=None):
    """Takes the folder `args.out` for a run, new or resumed, and writes its configuration.

    The files of an older run are put aside first, in `earlier`, so that nothing of it is taken for this one's, whenever
    this one is killed.

    Args:
        belongs: what the weights need to be used, such as a vocabulary; it goes into the checkpoints.

    Returns:
        the `Run`, a part of every checkpoint.

    Raises:
        UserError: another process is training there, or the folder cannot be written.
    """
    config = {
        name: value if isinstance(value, int | float | list | None) else str(value)
        for name, value in vars(args).items()
        if name != "trained"
    }
    lock(args.out)
    run = Run(secrets.token_hex(8), config, belongs)
    if getattr(args, "resume", False):
        return run
    with writing(args.out):
        earlier = args.out / "earlier"
        if any((args.out / name).exists() for name in RUN_FILES):
            shutil.rmtree(earlier, ignore_errors=True)
            earlier.mkdir()
            for name in RUN_FILES:
                if (args.out / name).exists():
                    os.replace(args.out / name, earlier / name)
        for name in LEFTOVERS:
            (args.out / name).unlink(missing_ok=True)
    write_config(args.out, run)
    return run


def write_config(out, run):
    """Writes config.json: the flags, and the run's id."""
    write_json(out / "config.json", {"run": run.id, **run.config})


def check_config(out, run):
    """Compares the id in config.json, if there is one, with that of a checkpoint of the same folder.

    Args:
        run: the part `run` of the checkpoint.

    Raises:
        UserError: it is damaged, or of another run.
    """
    path = Path(out, "config.json")
    if not path.exists():
        return
    try:
        written = json.loads(path.read_bytes())["run"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: damaged, expected the run's flags in JSON; delete it, or train anew") from None
    if written != run["id"]:
        raise UserError(f"{path}: of run {written}, the weights beside it are of run {run['id']}; train anew")


def write_epochs(out, epochs):
    """Writes metrics.jsonl anew, a line an epoch, over whatever a killed run had written of later ones."""
    path = Path(out, "metrics.jsonl")
    partial = path.with_suffix(".partial")
    with writing(path):
        partial.write_text("".join(json.dumps(line) + "\n" for line in epochs))
        partial.replace(path)


def evaluation(out, split, figures):
    """Writes what scoring gave into evaluation_<split>.json.

    Returns:
        a folder of that name, for pictures.
    """
    name = "evaluation_" + re.sub(r"[^\w.-]+", "_", Path(split).name)[:55]  # letters of up to four bytes
    write_json(folder(out) / f"{name}.json", {"split": str(split), **figures})
    return folder(Path(out, name))


def finish(out, title, history, /, **figures):
    """Writes summary.json and draws curves.png: a panel for the losses, one for the scores.

    Args:
        history: the figures of each epoch, as `training.train` returns them.
        figures: the figures of the whole run.
    """
    write_json(Path(out, "summary.json"), figures)
    path = Path(out, "curves.png")
    with drawing(path):
        _draw_curves(path, title, history)


def _draw_curves(path, title, epochs):
    from matplotlib.figure import Figure

    names = dict.fromkeys(name for line in epochs for name, value in line.items() if isinstance(value, float))
    losses = [name for name in names if "loss" in name]
    scores = [name for name in names if name not in losses and not name.endswith(("seconds", "per_second"))]
    panels = [names for names in (losses, scores) if names]
    if not panels:
        return
    figure = Figure(figsize=(5.5 * len(panels), 4), dpi=120, layout="constrained")
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        for name in panel:
            points = [(line["epoch"], line[name]) for line in epochs if name in line]
            label = name.replace("_", " ").replace("iou", "IoU")
            axis.plot(*zip(*points), marker="." if len(points) < 30 else None, label=label)
        axis.set(xlabel="epoch", ylabel="loss" if panel is losses else "score", title=title)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
        if panel is scores:
            # From 0 to 1, unless all happens close to the top.
            lowest = min(line[name] for line in epochs for name in panel if name in line)
            axis.set_ylim(0 if lowest < 0.9 else min(2 * lowest - 1, 0.99), 1)
    figure.savefig(path)

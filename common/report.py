"""The files that a run leaves in `--out`: config.json, metrics.jsonl (a line an epoch), summary.json, curves.png."""

import json
from pathlib import Path

import matplotlib.pyplot as plt

from common.cli import UserError

# Where a run's files go, how often it is told, and what it runs on, changes nothing in what it computes.
FREE = {"out", "cache", "resume", "device", "workers", "compile", "print_every", "evaluate", "checkpoint", "predict"}


def write_json(path, content):
    """Writes `content` beside `path` and renames it over, so that a reader never meets half a file."""
    partial = Path(path).with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)


def begin(args):
    """Makes the run's folder and writes its configuration.

    A resumed run must be the run that it resumes: a flag that changes the computation and differs is refused.

    Raises:
        UserError: `--resume` with another configuration than the run was begun with, or `--out` cannot be written.
    """
    config = {name: value if isinstance(value, int | float) else str(value) for name, value in vars(args).items()}
    path = args.out / "config.json"
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        if getattr(args, "resume", False) and path.exists():
            for name, before in json.loads(path.read_text()).items():
                if name not in FREE and config.get(name, before) != before:
                    flag = name.replace("_", "-")
                    raise UserError(
                        f"{path}: begun with --{flag} {before}, not {config[name]}; resume it as it was begun"
                    )
        else:
            for stale in ("metrics.jsonl", "summary.json"):
                (args.out / stale).unlink(missing_ok=True)
        write_json(path, config)
    except OSError as error:
        raise UserError(f"--out {args.out}: {error.strerror or error}") from None


def read_epochs(out):
    """The lines of metrics.jsonl as a list of dictionaries, oldest first."""
    path = Path(out, "metrics.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def log_epoch(out, **figures):
    """Adds an epoch's figures to metrics.jsonl, over whatever a killed run had written of this epoch or later ones."""
    earlier = [line for line in read_epochs(out) if line["epoch"] < figures["epoch"]]
    path = Path(out, "metrics.jsonl")
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(line) + "\n" for line in [*earlier, figures]))
    partial.replace(path)


def finish(out, title, **figures):
    """Writes summary.json and draws curves.png: a panel for the losses, one for the scores (0 to 1)."""
    write_json(Path(out, "summary.json"), figures)
    epochs = read_epochs(out)
    names = dict.fromkeys(name for line in epochs for name, value in line.items() if isinstance(value, float))
    losses = [name for name in names if "loss" in name]
    scores = [name for name in names if name not in losses and not name.endswith(("seconds", "per_second"))]
    panels = [names for names in (losses, scores) if names]
    if not panels:
        return
    figure, axes = plt.subplots(1, len(panels), figsize=(5.5 * len(panels), 4), squeeze=False, layout="constrained")
    for axis, panel in zip(axes[0], panels):
        for name in panel:
            points = [(line["epoch"], line[name]) for line in epochs if name in line]
            axis.plot(
                *zip(*points),
                marker="." if len(points) < 30 else None,
                label=name.replace("_", " ").replace("iou", "IoU"),
            )
        axis.set(xlabel="epoch", ylabel="loss" if panel is losses else "score", title=title)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
        if panel is scores:
            axis.set_ylim(0, 1)
    figure.savefig(Path(out, "curves.png"), dpi=120)
    plt.close(figure)

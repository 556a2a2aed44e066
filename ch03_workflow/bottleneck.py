"""Listing 3.19: torch.utils.bottleneck, rebuilt from its parts.

    python ch03_workflow/bottleneck.py ch02_simple_nn/fizzbuzz.py --epochs 2
    python ch03_workflow/bottleneck.py --rows 30 ch04_vision/simple_cnn.py --epochs 1 --out runs/profiled

As the page says, the script runs twice, so give it few epochs: under torch.profiler, which sees torch's operations, and
under cProfile, which sees Python's functions; the imports no more, since the first run has made them. Meanwhile
matplotlib saves no figure: drawing would fill both tables. Printed are the environment (figure 3.5) and a summary of
each run (3.6, 3.7); `runs/bottleneck` gets the whole of both: `trace.json` (for https://ui.perfetto.dev)
and `cprofile.pstats` (for `python -m pstats`). Flags of this script come before the script's name, those after it are
the script's own. The exit status is the script's.
"""

import argparse
import cProfile
import os
import pstats
import runpy
import sys
import traceback
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler tells on stderr that it starts and stops

import torch
from matplotlib.figure import Figure
from torch.profiler import ProfilerActivity, profile
from torch.utils import collect_env

from common import cli


def run_script(path, arguments, measure):
    """Runs a script as `python path arguments` would, inside the context manager `measure`; returns its exit status.

    What Python prints when a script fails is printed here too.
    """
    before = sys.argv, sys.path[0]
    no_figures = patch.object(Figure, "savefig", lambda *_, **__: None)
    # Python puts the script's folder in front of the search path, in the place of ours.
    sys.argv, sys.path[0] = [str(path), *arguments], str(path.resolve().parent)
    try:
        with no_figures, measure:
            runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BaseException as error:
        print(own_traceback(error, path), end="", file=sys.stderr)
        return 1
    finally:
        sys.argv, sys.path[0] = before
        sys.stdout.flush()
    return 0


def own_traceback(error, path):
    """The traceback from the script on, without the lines of the tool around it."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename != str(path):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


def environment_summary():
    """Figure 3.5: versions of torch, CUDA and Python, and the machine; long lines are cut, its weaknesses left out."""
    lines = collect_env.get_pretty_env_info().splitlines()
    return "\n".join(f"{line:.100}" for line in lines if not line.startswith("Vulnerability"))


def print_title(title):
    print(f"\n{'-' * 80}\n{title}\n{'-' * 80}", flush=True)


def print_functions(profiler, rows):
    """Figure 3.7: the Python functions that took the most time themselves."""
    print_title(f"cProfile: the {rows} functions with the most time of their own (tottime), in seconds")
    print("tottime: in the function itself; cumtime: with those that it called; percall: by the number of calls")
    found = pstats.Stats(profiler, stream=sys.stdout)
    if not any(name == "run_path" for _, _, name in found.stats):  # what runs the script; seen with 3.13.0
        version = sys.version.partition(" ")[0]
        print(f"cProfile of Python {version} has lost the functions that were running when C++ was called")
    found.strip_dirs().sort_stats("tottime").print_stats(rows)


def print_operations(profiler, rows):
    """Figure 3.6: torch's operations by name, the most time of their own first, on the CPU and on a GPU."""
    for kind in ["cpu"] + ["device"] * torch.cuda.is_available():
        print_title(
            f"torch.profiler: the {rows} operations with the most {kind.replace('cpu', 'CPU')} time of their own"
        )
        table = profiler.key_averages().table(
            sort_by=f"self_{kind}_time_total", row_limit=rows, max_name_column_width=50
        )
        print(table)


def read_flags(argv=None):
    flags = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument(
        "--out", type=Path, default=Path("runs", "bottleneck"), metavar="DIR", help="folder for the two profiles"
    )
    flags.add_argument("--rows", type=cli.positive_int, default=15, help="of each table (default: %(default)s)")
    flags.add_argument("script", type=Path, help="the script to profile")
    flags.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="the script's own arguments")
    return flags.parse_args(argv)


def main(argv=None):
    args = read_flags(argv)
    if not args.script.is_file():
        raise cli.UserError(f"{args.script}: no such file; expected a Python script")
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cli.UserError(f"--out {args.out}: {error.strerror}") from None

    print_title("Environment")
    print(environment_summary())

    print_title(f"{args.script}, first run, under torch.profiler")
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    operations = profile(activities=activities)
    status = run_script(args.script, args.arguments, operations)
    operations.export_chrome_trace(str(args.out / "trace.json"))
    if status:
        print(f"bottleneck.py: {args.script} ended with status {status}; not run again", file=sys.stderr)
        sys.exit(status)

    print_title(f"{args.script}, second run, under cProfile")
    functions = cProfile.Profile()
    status = run_script(args.script, args.arguments, functions)
    functions.dump_stats(args.out / "cprofile.pstats")

    print_operations(operations, args.rows)
    print_functions(functions, args.rows)
    print(f"{args.script} ended with status {status}; profiles in {args.out}: trace.json, cprofile.pstats")
    sys.exit(status)


if __name__ == "__main__":
    cli.run(main)

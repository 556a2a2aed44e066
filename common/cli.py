"""The command line that every program shares: the flags, the device, the seed, and how a mistake is told."""

import argparse
import math
import os
import signal
import sys
from pathlib import Path

import torch

from common.errors import UserError

PRECISIONS = ["off", "bf16", "fp16"]


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is two lines, without the whole usage in front of it."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\ntry: python {sys.argv[0]} --help\n")


def positive_int(text):
    """A whole number from 1 up, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def positive_float(text):
    """A finite number greater than 0, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number greater than 0")
    return number


def count(text):
    """A whole number from 0 up, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def device(text):
    """The `torch.device` that `auto`, `cpu`, `cuda`, `cuda:N` or `mps` names, for argparse.

    Under `torchrun` each process of a machine takes the GPU of its own number.
    """
    if text == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        text = accelerator.type if accelerator else "cpu"
    kind, _, number = text.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdecimal())):
        raise argparse.ArgumentTypeError(f"{text!r} is no device; expected auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda":
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        number = int(number or os.environ.get("LOCAL_RANK", 0))
        if number >= gpus:
            raise argparse.ArgumentTypeError(f"{text!r} is not there: torch finds {gpus} CUDA devices on this machine")
        return torch.device("cuda", number)
    if kind == "mps" and not torch.backends.mps.is_available():
        raise argparse.ArgumentTypeError("'mps' is not there: torch finds no Apple GPU on this machine")
    return torch.device(kind)


def describe(parser, doc):
    """Gives a parser the two flags that every script has, `--device` and `--out`; returns it."""
    parser.description = doc
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--device", type=device, default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs", Path(sys.argv[0]).stem),
        metavar="DIR",
        help="folder for the files of the run (default: %(default)s)",
    )
    return parser


def parser(doc, *, epochs, batch_size, lr, seed=0, workers=0, predict="PHOTO", predict_type=Path, omit=()):
    """The flags of a program; a chapter adds its own to the parser returned.

    Args:
        doc: the program's docstring, shown by `--help`.
        epochs, batch_size, lr, seed, workers: the defaults that make the sample run good.
        predict: what one argument of `--predict` is called in the help.
        predict_type: what turns one argument of `--predict` from text into a value.
        omit: flags that would mean nothing to this program, such as `("--amp", "--compile")`.
    """
    flags = {
        "--data": dict(default="sample", metavar="{sample,DIR}", help="the sample, or a folder with the real set"),
        "--epochs": dict(type=positive_int, default=epochs, help="passes over the data (default: %(default)s)"),
        "--batch-size": dict(type=positive_int, default=batch_size, help="over all processes (default: %(default)s)"),
        "--lr": dict(type=positive_float, default=lr, help="highest learning rate (default: %(default)s)"),
        "--workers": dict(type=count, default=workers, help="loader processes (default: %(default)s)"),
        "--seed": dict(type=count, default=seed, help="weights, order, augmentation (default: %(default)s)"),
        "--resume": dict(action="store_true", help="go on from the last checkpoint in --out"),
        "--amp": dict(choices=["auto", *PRECISIONS], default="off", help="mixed precision (default: %(default)s)"),
        "--compile": dict(action="store_true", help="torch.compile the network"),
        "--evaluate": dict(metavar="SPLIT", help="no training: score this split"),
        "--checkpoint": dict(type=Path, metavar="FILE", help="weights to use (default: the best in --out)"),
        "--predict": dict(nargs="+", type=predict_type, metavar=predict, help="no training: what the network says"),
    }
    described = describe(Parser(), doc)
    for flag, meaning in flags.items():
        if flag not in omit:
            described.add_argument(flag, **meaning)
    return described


def parse(flags, argv=None):
    """Reads the command line, refuses what does not go together, and seeds every random generator."""
    args = flags.parse_args(argv)
    given = vars(args).get
    if given("amp") == "auto":
        args.amp = "bf16" if _computes_in_bf16(args.device) else "off"
    if given("amp") == "fp16" and args.device.type != "cuda":
        flags.error(f"--amp fp16 needs a CUDA device, this run is on {args.device}; expected bf16 or off")
    if given("evaluate") and given("predict"):
        flags.error("--evaluate and --predict exclude each other")
    if given("checkpoint") and not (given("evaluate") or given("predict")):
        flags.error("--checkpoint belongs to --evaluate or --predict; to go on training use --resume")
    from ignite.utils import manual_seed

    if "WORLD_SIZE" in os.environ:
        _join(args.device)
    manual_seed(args.seed)
    return args


def _computes_in_bf16(device):
    """Whether the device has instructions for bfloat16; elsewhere it would be emulated, and slow."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    features = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(features.get("avx512_bf16") or features.get("amx_bf16"))


def _join(device):
    """Joins the processes that torchrun has started; all but the first are silent from here on."""
    import ignite.distributed as idist

    if device.type == "cuda":
        torch.cuda.set_device(device)
    idist.initialize("nccl" if device.type == "cuda" else "gloo")
    if idist.get_rank() > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it stays open as long as the process lives


def run(main):
    """Calls `main()` and turns a user's mistake into exit status 2, Ctrl-C into 130, each with a line that says so."""
    import ignite.distributed as idist  # Here, so that a light tour does not wait for ignite.

    # A scheduler ends a job with SIGTERM: treated as Ctrl-C, it saves before it goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
        idist.finalize()
    except UserError as mistake:
        print(f"{Path(sys.argv[0]).name}: {mistake}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)

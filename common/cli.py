"""The command line that every program shares: the flags, the device, the seed, and how a mistake is told."""

import argparse
import gc
import math
import os
import signal
import sys
import threading
import timeit
from pathlib import Path

import torch

from common.errors import UserError, at_end, told
from common.streams import Stream, mend_streams

PRECISIONS = ["off", "bf16", "fp16"]


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is two lines, without the whole usage in front of it."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\ntry: python {sys.argv[0]} --help\n")


def whole(low, high):
    """For argparse: whole numbers from `low` to `high`."""

    def parse_whole(text):
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return number

    return parse_whole


positive_int = whole(1, 1_000_000)
count = whole(0, 1_000_000)
# NumPy takes no larger seed. More loader processes than this only wait for each other.
seed_number = whole(0, 2**32 - 1)
worker_count = whole(0, max(16, 4 * (os.cpu_count() or 1)))


def positive_float(text):
    """A finite number greater than 0, for argparse."""
    number = _number(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number greater than 0")
    return number


def share(text):
    """A number from 0 up to, but not, 1, for argparse."""
    number = _number(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up to 1")
    return number


def _number(text):
    try:
        return float(text)
    except ValueError:
        return math.nan


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


def describe(parser, doc, device_flag=True):
    """Gives a parser the flags that every script has, `--out` and, where there is a choice, `--device`; returns it."""
    parser.description = doc
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    if device_flag:
        parser.add_argument(
            "--device", type=device, default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)"
        )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs", Path(sys.argv[0]).stem),
        metavar="DIR",
        help="folder for the files of the run (default: %(default)s)",
    )
    return parser


def parser(
    doc, *, epochs, batch_size, lr, seed=0, workers=0, predict="PHOTO", predict_type=Path, evaluate="SPLIT", omit=()
):
    """The flags of a program; a chapter adds its own to the parser returned.

    Args:
        doc: the program's docstring, shown by `--help`.
        epochs, batch_size, lr, seed, workers: the defaults that make the sample run good.
        predict: what one argument of `--predict` is called in the help.
        predict_type: what turns one argument of `--predict` from text into a value.
        evaluate: what the argument of `--evaluate` is called in the help.
        omit: flags that would mean nothing to this program, such as `("--amp", "--compile")`.
    """
    flags = {
        "--data": dict(default="sample", metavar="{sample,DIR}", help="the sample, or a folder with the real set"),
        "--epochs": dict(type=positive_int, default=epochs, help="passes over the data (default: %(default)s)"),
        "--batch-size": dict(type=positive_int, default=batch_size, help="over all processes (default: %(default)s)"),
        "--lr": dict(type=positive_float, default=lr, help="highest learning rate (default: %(default)s)"),
        "--workers": dict(type=worker_count, default=workers, help="loader processes (default: %(default)s)"),
        "--seed": dict(type=seed_number, default=seed, help="weights, order, augmentation (default: %(default)s)"),
        "--resume": dict(action="store_true", help="go on from the last checkpoint in --out"),
        "--amp": dict(choices=["auto", *PRECISIONS], default="off", help="mixed precision (default: %(default)s)"),
        "--compile": dict(action="store_true", help="torch.compile the network"),
        "--evaluate": dict(metavar=evaluate, help="no training: score this"),
        "--checkpoint": dict(type=Path, metavar="FILE", help="weights to use (default: the best in --out)"),
        "--predict": dict(nargs="+", type=predict_type, metavar=predict, help="no training: what the network says"),
    }
    described = describe(Parser(), doc)
    for flag, meaning in flags.items():
        if flag not in omit:
            described.add_argument(flag, **meaning)
    return described


def parse(flags, argv=None, network=()):
    """Reads the command line, refuses what does not go together, and seeds every random generator.

    To score or to predict, the run that is asked about knows what was trained: `args.trained` is then its checkpoint's
    `run`, a dictionary with `id`, `config` and `belongs`.

    Args:
        network: the flags on which the network depends, such as `("layers",)`; they are taken from that run, and
            refused if they are given otherwise.

    Raises:
        UserError: there is no such run, or its files are damaged.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    args = flags.parse_args(argv)
    given = vars(args).get
    if given("evaluate") and given("predict"):
        flags.error("--evaluate and --predict exclude each other")
    if given("resume") and (given("evaluate") or given("predict")):
        flags.error("--resume goes on training; to score or to predict leave it out")
    if given("checkpoint") and not (given("evaluate") or given("predict")):
        flags.error("--checkpoint belongs to --evaluate or --predict; to go on training use --resume")
    if hasattr(args, "checkpoint") and (given("evaluate") or given("predict")):
        args = _as_trained(flags, args, argv, network)
    if given("amp") == "auto":
        args.amp = "bf16" if _computes_in_bf16(args.device) else "off"
    if given("amp") == "fp16" and args.device.type != "cuda":
        flags.error(f"--amp fp16 needs a CUDA device, this run is on {args.device}; expected bf16 or off")
    _join(args.device)
    seed_everything(args.seed)
    return args


def seed_everything(seed):
    """Seeds Python's, NumPy's and torch's random generators."""
    from ignite.utils import manual_seed

    manual_seed(seed)


def weights_of(args):
    """The checkpoint to score or to predict with: `--checkpoint`, or the best one in `--out`."""
    return args.checkpoint or args.out / "best.pt"


def belonging(args, name):
    """What was kept with the weights that are asked about, such as their vocabulary.

    Raises:
        UserError: they are another program's, which kept no such thing.
    """
    there = args.trained["belongs"]
    if name not in there:
        raise UserError(f"{weights_of(args)}: of another program, it has no {name}; expected weights of this one")
    return there[name]


def _as_trained(flags, args, argv, network):
    from common import checkpoints, report

    run = checkpoints.read(weights_of(args))["run"]
    report.check_config(weights_of(args).parent, run)
    said = []
    for name in network:
        value = run["config"].get(name)
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            said += [flag] * value
        elif value is not None:
            said += [flag, *map(str, value if isinstance(value, list) else [value])]
    trained, args = flags.parse_args([*argv, *said]), flags.parse_args([*said, *argv])
    for name in network:
        if getattr(args, name) != getattr(trained, name):
            was = f"{weights_of(args)} was trained with {getattr(trained, name)}"
            flags.error(f"--{name.replace('_', '-')} {getattr(args, name)}: {was}")
    args.trained = run
    return args


def _computes_in_bf16(device):
    """Whether the device computes faster in bfloat16 than in float32.

    A CPU without instructions for it emulates it, and some that have them are slower with them: it is tried, in 20 ms.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    features = getattr(torch.cpu, "get_capabilities", dict)()
    if device.type != "cpu" or not (features.get("avx512_bf16") or features.get("amx_bf16")):
        return False
    return _seconds_of_a_product(torch.bfloat16) < _seconds_of_a_product(torch.float32)


def _seconds_of_a_product(precision):
    matrix = torch.ones(512, 512, dtype=precision)
    return min(timeit.repeat(lambda: matrix @ matrix, number=1, repeat=6))


def _join(device):
    """Joins the processes that torchrun has started, if it did; all but the first are silent from here on."""
    names = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    there = {name: os.environ[name] for name in names if os.environ.get(name)}
    if there.get("WORLD_SIZE", "1") == "1" and "RANK" not in there:
        return  # a number that somebody left in the environment
    missing = [name for name in names if name not in there]
    wrong = [f"{name}={there[name]}" for name in there if name != "MASTER_ADDR" and not there[name].isdecimal()]
    if missing or wrong:
        told = f"{', '.join(missing)} missing" if missing else f"{', '.join(wrong)} is no number"
        raise UserError(f"the environment is not torchrun's: {told}; start with torchrun, or unset WORLD_SIZE and RANK")
    import ignite.distributed as idist

    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Within a job of Slurm's ignite would count Slurm's tasks instead, one a machine, of which torchrun is one.
    os.environ.pop("SLURM_JOB_ID", None)
    where = f"{there['MASTER_ADDR']}:{there['MASTER_PORT']}"
    notice = threading.Timer(
        10, print, [f"waiting at {where} for {there['WORLD_SIZE']} processes"], {"file": sys.stderr}
    )
    notice.daemon = True
    notice.start()
    try:
        idist.initialize("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the processes did not meet at {where} ({str(error).strip().splitlines()[0][:120]})") from None
    finally:
        notice.cancel()
    if idist.get_rank() > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it stays open as long as the process lives


def _leave():
    """Leaves the other processes, once all are through."""
    idist = sys.modules.get("ignite.distributed")
    if idist and idist.get_world_size() > 1:
        idist.barrier()
        idist.finalize()
        # What gloo still holds of the last collective must go while there is an interpreter: a thread of its own that
        # lets it go later finds none, and the process is aborted.
        gc.collect()


def dispatch(args, train, *, evaluate=None, predict=None, download=None):
    """Does what the flags ask for, with one of a program's functions; all take the flags, `download` its folder."""
    if download and args.download:
        download(args.download)
    elif predict and args.predict:
        predict(args)
    elif evaluate and args.evaluate:
        evaluate(args)
    else:
        train(args)


def draw_into_files():
    """Pictures go to files: a window would need a screen, and a notebook's way needs what only its environment has."""
    os.environ["MPLBACKEND"] = "Agg"
    if "matplotlib" in sys.modules:
        sys.modules["matplotlib"].use("Agg")


def run(main):
    """Calls `main()`; a user's mistake or a full disk ends with exit status 2, Ctrl-C with 130, each with a line."""
    mend_streams()
    draw_into_files()
    # A scheduler ends a job with SIGTERM: treated as Ctrl-C, it saves before it goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reason = None
    try:
        main()
        _leave()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        reason = told(error)
        if reason is None:
            raise
    finally:
        at_end.close()
    if reason:
        Stream.failure = None  # told here, if it was that
        print(f"{Path(sys.argv[0]).name}: {reason}", file=sys.stderr)
        sys.exit(2)

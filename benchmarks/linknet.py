"""LinkNet's speed, side by side in one run: the page's as printed, segmentation_models_pytorch's, and ours.

    pip install -r benchmarks/requirements.txt && python benchmarks/linknet.py
    python benchmarks/linknet.py --device cuda --amp bf16 --compile

Training steps (forward, loss, backward, AdamW) at batch 4, inference at batch 1, frames of 352x480. Contenders take
turns, round by round, so that a machine that slows down slows all of them; the table gives medians. Last comes the
whole training loop of `ch04_vision/linknet.py` (loading, augmenting, averaging, logging) against its own bare step. It
leaves `linknet.json` and `linknet.png` in `runs/benchmark_linknet`.
"""

import contextlib
import copy
import io
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms import v2

from benchmarks import page_linknet
from ch04_vision.linknet_blocks import SegmentationModel, fuse
from ch04_vision.linknet_paper import PaperLinkNet
from ch04_vision.loaders.augment import RandomColour, RandomScaleCropFlip, prepare
from ch04_vision.loaders.camvid import CLASSES, VOID, CamVid
from ch04_vision.segmentation import SegmentationLoss
from common import batches, cli, report, training

HEIGHT, WIDTH, BATCH = 352, 480, 4


def contenders(args):
    """Name to (network, layout): the peers as they come, the second in channels last too, which is how ours train."""
    networks = {"page, as printed": (page_linknet.SegmentationModel(len(CLASSES)), torch.contiguous_format)}
    try:
        import segmentation_models_pytorch as smp

        for layout, told in {torch.contiguous_format: "", torch.channels_last: ", channels last"}.items():
            peer = smp.Linknet("resnet18", encoder_weights=None, classes=len(CLASSES))
            networks[f"segmentation_models_pytorch{told}"] = peer, layout
    except ImportError as error:
        print(f"without segmentation_models_pytorch ({error}): pip install -r benchmarks/requirements.txt")
    for name, network in {"book": SegmentationModel, "paper": PaperLinkNet}.items():
        networks[f"--model {name}"] = network(len(CLASSES)), torch.channels_last
    for network, layout in networks.values():
        network.to(args.device, memory_format=layout)
        if args.compile:
            network.compile()
    return networks


def seconds(action, device):
    """How long one call takes, the device's own work included."""
    if device.type != "cpu":
        torch.accelerator.synchronize()
    start = time.perf_counter()
    action()
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - start


def training_step(network, layout, args, optimizer=None):
    """One step on a fixed batch, as a function without arguments."""
    images = torch.randn(BATCH, 3, HEIGHT, WIDTH, device=args.device).contiguous(memory_format=layout)
    masks = torch.randint(0, VOID + 1, (BATCH, HEIGHT, WIDTH), device=args.device)
    loss_fn = SegmentationLoss(torch.ones(len(CLASSES), device=args.device))
    optimizer = optimizer or torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)
    forward = training.forward_in_precision(args)

    def step():
        network.train()
        optimizer.zero_grad()
        loss_fn(forward(network, images), masks).backward()
        optimizer.step()

    return step


def inference(network, layout, args):
    """One forward pass of a single frame, as a function without arguments; ours fused, as they are used."""
    network = copy.deepcopy(network).eval()
    if isinstance(network, SegmentationModel | PaperLinkNet):
        network = fuse(network)
    frame = torch.randn(1, 3, HEIGHT, WIDTH, device=args.device).contiguous(memory_format=layout)
    forward = training.forward_in_precision(args)

    @torch.inference_mode()
    def answer():
        forward(network, frame)

    return answer


def race(actions, images, rounds, device):
    """Images a second of each action, the median over rounds in which they take turns."""
    for action in actions.values():
        action()
    times = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            times[name].append(seconds(action, device))
    return {name: images / statistics.median(of_one) for name, of_one in times.items()}


def flops(network, device):
    """Operations of one forward pass of one frame."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        copy.deepcopy(network).eval()(torch.randn(1, 3, HEIGHT, WIDTH, device=device))
    return counter.get_total_flops()


class Frames(CamVid):
    """Random frames in memory, to time the loop without a data set."""

    def __init__(self, count):
        self.images = torch.randint(0, 256, (count, 3, HEIGHT, WIDTH), dtype=torch.uint8)
        self.masks = torch.randint(0, VOID + 1, (count, HEIGHT, WIDTH), dtype=torch.uint8)
        self.names = [str(number) for number in range(count)]


def whole_loop(args, steps, rounds):
    """Images a second of the program's own loop, and of the bare step of the same network between its epochs."""
    network = SegmentationModel(len(CLASSES)).to(args.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)
    step = training_step(network, torch.channels_last, args, optimizer)
    bare, loop = [], []
    with tempfile.TemporaryDirectory() as out:
        args.out, args.epochs, args.batch_size, args.resume = Path(out), rounds, BATCH, False
        frames = Frames(steps * BATCH).to(args.device)

        def validate(_):
            bare.append(statistics.median(seconds(step, args.device) for _ in range(steps)))
            return {"accuracy": 0.0}

        augment = v2.Compose([RandomScaleCropFlip((HEIGHT, WIDTH), (0.7, 1.4)), RandomColour(0.3)])
        with contextlib.redirect_stdout(io.StringIO()):
            _, epochs = training.train(
                args,
                network,
                optimizer,
                SegmentationLoss(frames.class_weights().to(args.device)),
                batches.loader(frames, args, training=True),
                validate,
                score="accuracy",
                prepare_batch=batches.preparer(partial(prepare, augment=augment)),
                average=0.02,
            )
        loop = [line["images_per_second"] for line in epochs]
    return BATCH / statistics.median(bare), statistics.median(loop)


def draw(speeds, path, title):
    figure, axes = plt.subplots(1, len(speeds), figsize=(11, 3.2), layout="constrained", sharey=True)
    for axis, (what, of_all) in zip(axes, speeds.items()):
        bars = axis.barh(
            list(of_all), list(of_all.values()), color=["C0" if name.startswith("--") else "C7" for name in of_all]
        )
        axis.bar_label(bars, fmt="%.1f", padding=3)
        axis.set(title=what, xlabel="images a second")
        axis.margins(x=0.15)
        axis.invert_yaxis()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    flags = cli.parser(
        __doc__,
        epochs=1,
        batch_size=BATCH,
        lr=1e-3,
        omit=("--data", "--evaluate", "--checkpoint", "--predict", "--resume"),
    )
    flags.add_argument("--rounds", type=cli.positive_int, default=7)
    flags.set_defaults(out=Path("runs/benchmark_linknet"))
    args = cli.parse(flags)
    out = args.out
    out.mkdir(parents=True, exist_ok=True)
    networks = contenders(args)
    steps = {name: training_step(*contender, args) for name, contender in networks.items()}
    answers = {name: inference(*contender, args) for name, contender in networks.items()}
    speeds = {
        f"training, batch {BATCH}": race(steps, BATCH, args.rounds, args.device),
        "inference, batch 1": race(answers, 1, args.rounds, args.device),
    }
    print(f"{args.device}, {torch.get_num_threads()} threads, {HEIGHT}x{WIDTH}, --amp {args.amp}")
    print(f"{'network':<44}{'M params':>9}{'GFLOP':>7}" + "".join(f"{what:>22}" for what in speeds))
    for name, (network, _) in networks.items():
        told = "".join(f"{of_all[name]:>16.2f} img/s" for of_all in speeds.values())
        size = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        print(f"{name:<44}{size:>9.2f}{flops(network, args.device) / 1e9:>7.1f}{told}")
    bare, loop = whole_loop(args, steps=8, rounds=5)
    print(f"whole training loop of --model book: {loop:.2f} img/s, its bare step {bare:.2f}: {loop / bare:.0%}")
    report.write_json(out / "linknet.json", {**speeds, "bare_step": bare, "whole_loop": loop})
    draw(speeds, out / "linknet.png", f"LinkNet, {HEIGHT}x{WIDTH}, {args.device}, --amp {args.amp}")
    print(f"wrote {out}/linknet.json and {out}/linknet.png")


if __name__ == "__main__":
    cli.run(main)

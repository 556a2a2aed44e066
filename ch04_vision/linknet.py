"""LinkNet learns to give every pixel of a street scene its class (listings 4.12 to 4.17, arXiv 1707.03718).

    python ch04_vision/linknet.py                               the embedded street scenes, 90 seconds on two cores
    python ch04_vision/linknet.py --data CAMVID --amp bf16      the real frames
    python ch04_vision/linknet.py --predict holiday.jpg         what the trained network sees in a photo

It prints a line an epoch and a table of the classes, and leaves `predictions.png` (frame, truth, prediction),
`curves.png` and the weights in `runs/linknet`. On many GPUs: `torchrun --nproc-per-node 4 ch04_vision/linknet.py ...`
"""

from functools import partial
from pathlib import Path

import torch
from ignite import distributed as idist
from torchvision.transforms import v2

from ch04_vision.linknet_blocks import SegmentationModel, fuse
from ch04_vision.linknet_paper import PaperLinkNet
from ch04_vision.loaders.augment import RandomColour, RandomScaleCropFlip, prepare
from ch04_vision.loaders.camvid import CLASSES, CamVid, has_split
from ch04_vision.loaders.camvid_download import download
from ch04_vision.mirrored import Mirrored
from ch04_vision.pictures.linknet import predict_photos, save_predictions
from ch04_vision.segmentation import SegmentationLoss, score, table
from common import batches, cli, report, training
from common.checkpoints import load_weights
from data import sample
from data.streets import make_streets

STRIDES = {"book": 64, "paper": 32}  # pixels of a frame behind one place of the deepest features


def build(args):
    """The network that `--model` names, on its device."""
    paper = args.model == "paper"
    network = PaperLinkNet(len(CLASSES), args.pretrained) if paper else SegmentationModel(len(CLASSES))
    # Channels last is how the fast convolutions of CPUs and GPUs want their pictures.
    return network.to(args.device, memory_format=torch.channels_last)


def open_split(args, split):
    """A split of `--data`; the sample is drawn when it is first asked for. On a GPU the frames live there."""
    dataset = CamVid(sample(make_streets) if args.data == "sample" else args.data, split)
    return dataset.to(args.device) if args.workers == 0 else dataset


def window_of(args, frame):
    """Height and width of what is cut out of each frame in training: `--crop`, or the whole frame.

    Raises:
        UserError: it is too small for the network.
    """
    height, width = args.crop or frame
    low, high = (side // 2 if args.half_size_epochs else side for side in sorted((height, width)))
    if low < 32:
        expected = "64x64 at least, for --half-size-epochs" if args.half_size_epochs else "32x32 at least"
        raise cli.UserError(f"windows of {height}x{width} (--crop) are too small; expected {expected}")
    if args.batch_size == idist.get_world_size() and high <= STRIDES[args.model]:
        found = f"one window of {height}x{width} leaves one value a channel, which has no variance to normalise by"
        raise cli.UserError(f"{found}; expected a larger --crop or --batch-size")
    return height, width


def train(args):
    train_set, valid_set = open_split(args, "train"), open_split(args, "val")
    test_set = open_split(args, "test") if args.data == "sample" or has_split(args.data, "test") else None
    height, width = train_set.masks.shape[1:]
    crop = window_of(args, (height, width))
    if args.amp == "bf16" and args.device.type == "cpu" and crop[1] // (2 if args.half_size_epochs else 1) <= 32:
        # In bf16 on a CPU the gradients of a transposed convolution to a width of 1 are garbage (torch 2.14).
        args.amp = "off"
        print("windows so narrow are learnt from in float32: in bf16 torch's gradients would be wrong")
    test = f"{len(test_set)} to test, " if test_set else ""
    print(f"{len(train_set)} frames of {height}x{width} to train, {len(valid_set)} to validate, {test}on {args.device}")

    model = build(args)
    # Beside the Jaccard distance, which makes rare classes count already, milder weights do better.
    power, times = (0.5, 1.0) if args.loss == "jaccard" else (1.0, 0.0)
    loss_fn = SegmentationLoss(train_set.class_weights() ** power, times).to(args.device)
    loader = batches.loader(train_set, args, training=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay, fused=True)
    scheduler = training.one_cycle(optimizer, args, loader)
    windows = RandomScaleCropFlip(crop, tuple(args.scale))

    def choose_size(epoch):
        # Half the height and width are a quarter of the work, and most of a street is learnt there as well.
        share = 0.5 if epoch <= args.half_size_epochs else 1.0
        windows.size, windows.scale = [round(share * side) for side in crop], [share * end for end in args.scale]

    def validate(network):
        figures = score(args, network, valid_set, loss_fn)
        return {name: figures[name] for name in ("valid_loss", "mean_iou", "pixel_accuracy")}

    run, epochs = training.train(
        args,
        model,
        optimizer,
        loss_fn,
        loader,
        validate,
        score="mean_iou",
        prepare_batch=batches.preparer(partial(prepare, augment=v2.Compose([windows, RandomColour(0.3)]))),
        scheduler=scheduler,
        average=args.average,
        validate_every=max(1, args.epochs // 20),
        before_epoch=choose_size,
        belongs={"height": height, "loss": loss_fn.state()},
    )
    figures = {**run, **score(args, model, valid_set, loss_fn)}
    figures["mean_iou_mirrored"] = score(args, Mirrored(model), valid_set, loss_fn)["mean_iou"]
    shown, seen = figures, "by which its weights were chosen"
    if test_set:
        shown, seen = score(args, model, test_set, loss_fn), "that it has not seen"
        figures |= {f"test_{name}": shown[name] for name in ("mean_iou", "pixel_accuracy", "per_class_iou")}
    if idist.get_rank() == 0:
        report.finish(args.out, "LinkNet", epochs, **figures)
        with report.drawing(args.out / "predictions.png") as path:
            save_predictions(model, valid_set, path)
    print(table(shown))
    print(
        f"LinkNet names {shown['pixel_accuracy']:.0%} of the pixels of scenes {seen}, mean IoU "
        f"{shown['mean_iou']:.3f}, after {figures['seconds']:.0f} s of training; look at {args.out}/predictions.png"
    )


def evaluate(args):
    model, dataset = build(args), open_split(args, args.evaluate)
    load_weights(model, cli.weights_of(args))
    loss_fn = SegmentationLoss(**cli.belonging(args, "loss")).to(args.device)
    figures = score(args, model, dataset, loss_fn)
    figures["mean_iou_mirrored"] = score(args, Mirrored(model), dataset, loss_fn)["mean_iou"]
    print(table(figures))
    print(
        f"mean IoU {figures['mean_iou']:.3f}, {figures['mean_iou_mirrored']:.3f} with the mirror image too, "
        f"over the {len(dataset)} frames of {args.evaluate}"
    )
    if idist.get_rank() == 0:
        report.evaluation(args.out, args.evaluate, {"frames": len(dataset), **figures})


def predict(args):
    model = build(args)
    load_weights(model, cli.weights_of(args))
    predict_photos(fuse(model), args.predict, args.out, args.device, cli.belonging(args, "height"))


def read_flags(argv=None):
    flags = cli.parser(__doc__, epochs=21, batch_size=8, lr=4e-3)
    flags.add_argument(
        "--model", choices=["book", "paper"], default="book", help="whose LinkNet (default: %(default)s)"
    )
    flags.add_argument("--pretrained", action="store_true", help="ImageNet weights for the paper's encoder")
    flags.add_argument("--crop", nargs=2, type=cli.positive_int, metavar=("HEIGHT", "WIDTH"), help="default: the frame")
    flags.add_argument(
        "--scale",
        nargs=2,
        type=cli.positive_float,
        default=[0.9, 1.2],
        metavar=("LOW", "HIGH"),
        help="each frame is made larger or smaller by a factor from here (default: %(default)s)",
    )
    flags.add_argument(
        "--half-size-epochs",
        type=cli.count,
        default=0,
        metavar="N",
        help="frames and windows of half the height and width in the first N epochs (default: %(default)s)",
    )
    flags.add_argument(
        "--loss",
        choices=["entropy", "jaccard"],
        default="entropy",
        help="cross-entropy alone, or 1 - intersection over union beside it (default: %(default)s)",
    )
    flags.add_argument("--weight-decay", type=cli.positive_float, default=0.01, help="AdamW's (default: %(default)s)")
    flags.add_argument(
        "--average", type=cli.share, default=0.03, help="a step's share in the averaged weights (default: %(default)s)"
    )
    flags.add_argument("--download", type=Path, metavar="DIR", help="fetch the real set into DIR, then stop")
    flags.set_defaults(amp="auto")
    return cli.parse(flags, argv, network=("model",))


def main(argv=None):
    cli.dispatch(read_flags(argv), train, evaluate=evaluate, predict=predict, download=download)


if __name__ == "__main__":
    cli.run(main)

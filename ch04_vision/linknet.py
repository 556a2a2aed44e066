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
from ch04_vision.loaders.camvid import CLASSES, CamVid
from ch04_vision.loaders.camvid_download import download
from ch04_vision.pictures.linknet import predict_photos, save_predictions
from ch04_vision.segmentation import SegmentationLoss, score, table
from common import batches, cli, report, training
from common.checkpoints import load_weights
from data import sample
from data.streets import make_streets


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


def train(args):
    train_set, valid_set = open_split(args, "train"), open_split(args, "val")
    height, width = train_set.masks.shape[1:]
    crop = args.crop or (height, width)
    print(f"{len(train_set)} frames of {height}x{width} to train, {len(valid_set)} to validate, on {args.device}")

    model = build(args)
    loss_fn = SegmentationLoss(train_set.class_weights().to(args.device))
    loader = batches.loader(train_set, args, training=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay, fused=True)
    scheduler = training.one_cycle(optimizer, args, loader)
    augment = v2.Compose([RandomScaleCropFlip(crop, tuple(args.scale)), RandomColour(0.3)])

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
        prepare_batch=batches.preparer(partial(prepare, augment=augment)),
        scheduler=scheduler,
        average=args.average,
        validate_every=max(1, args.epochs // 20),
        belongs={"height": height},
    )
    figures = {**run, **score(args, model, valid_set, loss_fn)}
    if idist.get_rank() == 0:
        report.finish(args.out, "LinkNet", epochs, **figures)
        with report.drawing(args.out / "predictions.png") as path:
            save_predictions(model, valid_set, path)
    print(table(figures))
    print(
        f"LinkNet names {figures['pixel_accuracy']:.0%} of the pixels of scenes it has not seen, mean IoU "
        f"{figures['mean_iou']:.3f}, after {figures['seconds']:.0f} s of training; look at {args.out}/predictions.png"
    )


def evaluate(args):
    model, dataset = build(args), open_split(args, args.evaluate)
    load_weights(model, cli.weights_of(args))
    figures = score(args, model, dataset, SegmentationLoss(torch.ones(len(CLASSES), device=args.device)))
    print(table(figures))
    print(f"mean IoU {figures['mean_iou']:.3f} over the {len(dataset)} frames of {args.evaluate}")
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
    flags.add_argument("--scale", nargs=2, type=cli.positive_float, default=[0.9, 1.2], metavar=("LOW", "HIGH"))
    flags.add_argument("--weight-decay", type=cli.positive_float, default=0.01)
    flags.add_argument("--average", type=cli.share, default=0.03, help="of the weights, a step's share")
    flags.add_argument("--download", type=Path, metavar="DIR", help="fetch the real set into DIR, then stop")
    flags.set_defaults(amp="auto")
    return cli.parse(flags, argv, network=("model",))


def main(argv=None):
    cli.dispatch(read_flags(argv), train, evaluate=evaluate, predict=predict, download=download)


if __name__ == "__main__":
    cli.run(main)

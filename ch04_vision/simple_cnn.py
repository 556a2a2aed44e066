"""SimpleCNN learns to tell ten kinds of pictures apart, by convolutions that are written out (listings 4.1 to 4.11).

    python ch04_vision/simple_cnn.py                            the embedded pictures, under a minute on two cores
    python ch04_vision/simple_cnn.py --layers loops --epochs 2  the same through the page's loops
    python ch04_vision/simple_cnn.py --data CIFAR10             the real set, whitened, ten minutes or so
    python ch04_vision/simple_cnn.py --predict holiday.jpg      what the trained network takes a photo for

It prints a line an epoch and a table of the classes, and leaves `filters.png`, `feature_maps.png`, `confusion.png`,
`mistakes.png`, `curves.png` and the weights in `runs/simple_cnn`. On many GPUs:
`torchrun --nproc-per-node 4 ch04_vision/simple_cnn.py ...`
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from ignite import distributed as idist
from ignite.metrics import ConfusionMatrix, Loss
from torch import nn, optim

from ch04_vision.layers import LAYERS
from ch04_vision.loaders.cifar import CLASSES, SIDE, SPLITS, Cifar, RandomShiftFlip, download, prepare
from ch04_vision.loaders.whitening import Whitening
from ch04_vision.mirrored import Mirrored
from ch04_vision.pictures.simple_cnn import predict_photos, save_pictures
from common import batches, cli, report, training
from common.checkpoints import load_weights
from data import sample
from data.tiny_objects import make_tiny_objects

WHITENED_BY = 20_000  # training pictures, enough for 3,072 x 3,072 correlations

# What a run does unless a flag says otherwise. The page's figures are those of listings 4.1 and 4.10 and of its text;
# RESULTS.md has the measurements by which the other two were chosen.
RECIPES = {
    "page": {"epochs": 2, "batch_size": 100, "lr": 0.001},
    "sample": {"epochs": 30, "batch_size": 64, "lr": 0.05, "average": 0.02},
    "real": {"epochs": 130, "batch_size": 128, "lr": 0.05, "average": 0.002, "whiten": 1.0, "shift": 3},
}


class SimpleCNNModel(nn.Module):
    """Two convolutions with max pooling, then three fully connected layers: 62,006 parameters (listing 4.3).

    Args:
        layers: whose convolution and pooling, a name of `LAYERS`; the weights are the same in all three.
    """

    def __init__(self, layers="loops"):
        super().__init__()
        Conv, MaxPool = LAYERS[layers]
        self.conv1 = Conv(3, 6, 5)
        self.pool = MaxPool(2)
        self.conv2 = Conv(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_uniform_(parameter, nonlinearity="relu")
            else:
                nn.init.zeros_(parameter)

    def forward(self, x):
        """From pictures, (batch, 3, 32, 32), to raw scores (logits), (batch, 10)."""
        x = self.pool(F.relu(self.conv1(x)))  # (batch, 6, 14, 14), out of (batch, 6, 28, 28)
        x = self.pool(F.relu(self.conv2(x)))  # (batch, 16, 5, 5), out of (batch, 16, 10, 10)
        # Not view(-1, 16 * 5 * 5), which makes of a larger picture several examples instead of an error.
        x = x.flatten(1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def get_data(args):
    """The loaders of the three splits (listing 4.1), and the whitening if `--whiten` asks for one.

    The sample is drawn when it is first asked for.
    """
    trainset, validset, testset = (open_split(args, split) for split in SPLITS)
    whitening = None
    if args.whiten:
        whitening = Whitening.fit(prepare(trainset.images[:WHITENED_BY], None)[0], args.whiten)
        for dataset in (trainset, validset, testset):
            dataset.whiten(whitening)
    return (
        batches.loader(trainset, args, training=True),
        batches.loader(validset, args, training=False, batch_size=1000),
        batches.loader(testset, args, training=False, batch_size=1000),
        whitening,
    )


def open_split(args, split):
    """A split of `--data`. Without loader processes it lives on the device, so that a GPU augments it there."""
    dataset = Cifar(sample(make_tiny_objects) if args.data == "sample" else args.data, split)
    return dataset.to(args.device) if args.workers == 0 else dataset


def build(args):
    """The network with the layers of `--layers`, on its device."""
    return SimpleCNNModel(args.layers).to(args.device, memory_format=torch.channels_last)


def score(args, model, loader):
    """Scores a network: `accuracy` from 0 to 1, `loss`, and `confusion`, counts by (true class, predicted class)."""
    metrics = {
        "confusion": ConfusionMatrix(len(CLASSES), device=args.device),
        "loss": Loss(nn.CrossEntropyLoss(), device=args.device),
    }
    values = training.evaluate(args, model, loader, metrics, prepare_batch=batches.preparer(prepare))
    confusion = values["confusion"].cpu()
    return {"accuracy": (confusion.trace() / confusion.sum()).item(), "loss": values["loss"], "confusion": confusion}


def table(confusion):
    """The classes, the share of each that was found, and what it was taken for most often otherwise."""
    lines = [f"{'class':<12}{'found':>6}   most often taken for"]
    for label, (name, row) in enumerate(zip(CLASSES, confusion.tolist())):
        found, others = row[label] / max(1, sum(row)), [*row[:label], 0, *row[label + 1 :]]
        rival = f"{CLASSES[others.index(max(others))]} ({max(others) / sum(row):.1%})" if any(others) else "-"
        lines.append(f"{name:<12}{found:>6.1%}   {rival}")
    return "\n".join(lines)


def train(args):
    trainloader, validloader, testloader, whitening = get_data(args)
    sizes = [len(loader.dataset) for loader in (trainloader, validloader, testloader)]
    print("{} pictures to train, {} to choose the weights by, {} to test, on {}".format(*sizes, args.device))

    net = build(args)
    loss_fn = nn.CrossEntropyLoss()
    if args.recipe == "page":
        if (steps := args.epochs * len(trainloader)) < 500:
            print(
                f"the page makes 1,000 steps of 100 pictures at its rate; this run makes {steps}: it will learn little"
            )
        optimizer = optim.SGD(net.parameters(), lr=args.lr, momentum=0.9)
        scheduler = augment = None
    else:
        optimizer = optim.SGD(
            net.parameters(), lr=args.lr, momentum=0.9, nesterov=True, weight_decay=args.weight_decay, fused=True
        )
        scheduler = training.one_cycle(optimizer, args, trainloader, cycle_momentum=False)
        augment = RandomShiftFlip(args.shift)

    def validate(network):
        figures = score(args, network, validloader)
        return {"valid_loss": figures["loss"], "accuracy": figures["accuracy"]}

    run, epochs = training.train(
        args,
        net,
        optimizer,
        loss_fn,
        trainloader,
        validate,
        score="accuracy",
        prepare_batch=batches.preparer(partial(prepare, augment=augment)),
        scheduler=scheduler,
        average=args.average,
        belongs={"whitening": whitening.state()} if whitening else None,
    )
    figures = score(args, net, testloader)
    confusion = figures.pop("confusion")
    mirrored = score(args, Mirrored(net), testloader)["accuracy"]
    if idist.get_rank() == 0:
        run |= {"test_loss": figures["loss"], "accuracy": figures["accuracy"], "accuracy_mirrored": mirrored}
        report.finish(args.out, "SimpleCNN", epochs, **run)
        with report.drawing(args.out):
            save_pictures(net, testloader.dataset, confusion, args.out, whitening)
    print(table(confusion))
    print(
        f"SimpleCNN names {figures['accuracy']:.1%} of {len(testloader.dataset)} pictures that it has not seen "
        f"({mirrored:.1%} with a second look in the mirror) after {run['seconds']:.0f} s of training; "
        f"look at {args.out}/feature_maps.png"
    )


def trained(args):
    """The trained network, and the whitening of its pictures or None."""
    net = build(args)
    belongs = load_weights(net, cli.weights_of(args))["belongs"]
    return net, Whitening(**belongs["whitening"]) if "whitening" in belongs else None


def evaluate(args):
    net, whitening = trained(args)
    dataset = open_split(args, args.evaluate)
    if whitening:
        dataset.whiten(whitening)
    loader = batches.loader(dataset, args, training=False, batch_size=1000)
    figures = score(args, net, loader)
    confusion = figures.pop("confusion")
    figures["accuracy_mirrored"] = score(args, Mirrored(net), loader)["accuracy"]
    print(table(confusion))
    print(
        f"accuracy {figures['accuracy']:.4f} over the {len(dataset)} pictures of {args.evaluate}, "
        f"{figures['accuracy_mirrored']:.4f} with a second look in the mirror"
    )
    if idist.get_rank() == 0:
        folder = report.evaluation(args.out, args.evaluate, {"pictures": len(dataset), **figures})
        with report.drawing(folder):
            save_pictures(net, dataset, confusion, folder, whitening)


def predict(args):
    net, whitening = trained(args)
    predict_photos(net, args.predict, args.out, args.device, whitening)


def read_flags(argv=None):
    """The flags; what is not given comes from the recipe."""
    flags = cli.parser(__doc__, epochs=30, batch_size=64, lr=0.05)
    flags.add_argument("--layers", choices=[*LAYERS], default="builtin", help="whose layers (default: %(default)s)")
    flags.add_argument("--recipe", choices=[*RECIPES], help="default: sample for the sample, real for a folder")
    flags.add_argument("--whiten", type=cli.positive_float, metavar="FLOOR", help="whiten, see whitening.py")
    flags.add_argument("--average", type=cli.share, help="of the weights, a step's share (default: %(default)s)")
    flags.add_argument(
        "--shift", type=pixels, default=2, metavar="PIXELS", help="of pictures, the largest (default: %(default)s)"
    )
    flags.add_argument(
        "--weight-decay", type=cli.positive_float, default=0.0005, help="pull to zero (default: %(default)s)"
    )
    flags.add_argument("--download", type=Path, metavar="DIR", help="fetch the real set into DIR, then stop")
    argv = sys.argv[1:] if argv is None else argv
    # What --help shows are the defaults of the run that stands beside it.
    given = flags.parse_known_args([word for word in argv if word not in ("-h", "--help")])[0]
    recipe = given.recipe or ("sample" if given.data == "sample" else "real")
    changed = any(getattr(given, name) != flags.get_default(name) for name in ("shift", "weight_decay"))
    if recipe == "page" and changed:
        flags.error("--shift and --weight-decay are not of the page's recipe; expected --recipe sample or real")
    flags.set_defaults(recipe=recipe, **RECIPES[recipe])
    return cli.parse(flags, argv)


def pixels(text):
    """A number of pixels that a picture can be shifted by, for argparse."""
    if cli.count(text) >= SIDE:
        raise argparse.ArgumentTypeError(f"{text} is not less than the {SIDE} pixels of a picture")
    return int(text)


def main(argv=None):
    cli.dispatch(read_flags(argv), train, evaluate=evaluate, predict=predict, download=download)


if __name__ == "__main__":
    cli.run(main)

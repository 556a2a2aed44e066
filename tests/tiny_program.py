"""A program as a chapter has one, as small as can be: what tests of `common` run in processes of their own."""

import signal
import time

import torch
from ignite.metrics import Accuracy, Loss
from torch import nn
from torch.utils.data import Dataset

from common import batches, cli, report, training
from common.checkpoints import load_weights

EXAMPLES = 24  # to train; a multiple of the batch, unless a test wants otherwise


class Halves(Dataset):
    """Points of a square; the class says which half of it. 24 examples to train, 15 to score (no whole batches)."""

    def __init__(self, examples):
        points = torch.rand(examples, 4, generator=torch.Generator().manual_seed(examples))
        self.points, self.classes = points, (points[:, 0] > points[:, 1]).long()

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        return self.points[index], self.classes[index]


def main():
    flags = cli.parser("A tiny program.", epochs=4, batch_size=4, lr=0.05)
    flags.add_argument("--dropout", type=float, default=0.3)
    flags.add_argument("--pause", type=float, default=0.0, help="seconds to wait in each step")
    flags.add_argument("--spoil", type=int, default=0, help="the step whose loss is made NaN")
    flags.add_argument("--stop", type=int, default=0, help="the step in which it gets a signal, unless it is resumed")
    flags.add_argument("--signal", type=int, default=int(signal.SIGINT), help="which one; default: that of Ctrl-C")
    flags.add_argument("--hidden", type=cli.positive_int, default=8)
    flags.add_argument("--like-lengths", action="store_true")
    flags.add_argument("--clip", type=float)
    flags.add_argument("--patience", type=int)
    args = cli.parse(flags, network=("hidden",))
    model = nn.Sequential(nn.Linear(4, args.hidden), nn.ReLU(), nn.Dropout(args.dropout), nn.Linear(args.hidden, 2))
    model.to(args.device)
    valid = batches.loader(Halves(15), args, training=False)
    metrics = {"accuracy": Accuracy(device=args.device), "valid_loss": Loss(nn.CrossEntropyLoss())}

    def validate(network):
        return training.evaluate(args, network, valid, metrics)

    if args.evaluate:
        load_weights(model, cli.weights_of(args))
        return print(validate(model))

    steps = epoch = 0

    def note_epoch(number):
        nonlocal epoch
        epoch = number

    def loss_fn(scores, target):
        nonlocal steps
        steps += 1
        time.sleep(args.pause)
        if steps == args.stop and not args.resume:
            signal.raise_signal(args.signal)
        return nn.functional.cross_entropy(scores, target) * (float("nan") if steps == args.spoil else 1)

    def noisy(batch, device, non_blocking=False):
        points, classes = batches.to_device(batch, device)
        return points + 0.05 * epoch * batches.rand(*points.shape), classes

    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    lengths = torch.arange(EXAMPLES) % 7 if args.like_lengths else None
    loader = batches.loader(Halves(EXAMPLES), args, training=True, lengths=lengths)
    scheduler = training.one_cycle(optimizer, args, loader)
    run, epochs = training.train(
        args,
        model,
        optimizer,
        loss_fn,
        loader,
        validate,
        score="accuracy",
        unit="points",
        prepare_batch=noisy,
        scheduler=scheduler,
        average=0.1,
        clip=args.clip,
        patience=args.patience,
        before_epoch=note_epoch,
    )
    figures = {**run, **validate(model)}
    if training.idist.get_rank() == 0:
        report.finish(args.out, "tiny", epochs, **figures)
    print(f"accuracy {figures['accuracy']:.3f}")


if __name__ == "__main__":
    cli.run(main)

"""A program as a chapter has one, as small as can be: what tests of `common` run in processes of their own."""

import signal
import time

import torch
from ignite.metrics import Accuracy, Loss
from torch import nn
from torch.utils.data import Dataset

from common import cli, report, training


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
    flags.add_argument("--stop", type=int, default=0, help="the step in which Ctrl-C is pressed")
    flags.add_argument("--hidden", type=int, default=8)
    flags.add_argument("--like-lengths", action="store_true")
    flags.add_argument("--clip", type=float)
    flags.add_argument("--patience", type=int)
    args = cli.parse(flags)
    model = nn.Sequential(nn.Linear(4, args.hidden), nn.ReLU(), nn.Dropout(args.dropout), nn.Linear(args.hidden, 2))
    model.to(args.device)
    valid = training.loader(Halves(15), args, training=False)
    metrics = {"accuracy": Accuracy(device=args.device), "valid_loss": Loss(nn.CrossEntropyLoss())}

    def validate(network):
        return training.evaluate(args, network, valid, metrics)

    if args.evaluate:
        training.load_weights(model, args.checkpoint or args.out / "best.pt")
        return print(validate(model))

    steps = 0

    def loss_fn(scores, target):
        nonlocal steps
        steps += 1
        time.sleep(args.pause)
        if steps == args.stop:
            signal.raise_signal(signal.SIGINT)
        return nn.functional.cross_entropy(scores, target) * (float("nan") if steps == args.spoil else 1)

    def noisy(batch, device, non_blocking=False):
        points, classes = training.to_device(batch, device)
        return points + 0.1 * training.rand(*points.shape), classes

    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    lengths = torch.arange(24) % 7 if args.like_lengths else None
    loader = training.loader(Halves(24), args, training=True, lengths=lengths)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=args.epochs * len(loader))
    run = training.train(
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
    )
    figures = {**run, **validate(model)}
    if training.idist.get_rank() == 0:
        report.finish(args.out, "tiny", **figures)
    print(f"accuracy {figures['accuracy']:.3f}")


if __name__ == "__main__":
    cli.run(main)

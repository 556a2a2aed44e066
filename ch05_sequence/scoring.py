"""How well a network answers: its figures on a split, and a table of the classes."""

from ignite.metrics import ConfusionMatrix, Loss

from common import batches, training


def first(part):
    """The logits of an output, or the labels of a target, that may carry more."""
    return part[0] if isinstance(part, tuple) else part


def score(args, network, dataset, program):
    """Scores a network on a split.

    Returns:
        a dictionary: `accuracy` from 0 to 1, `loss`, the program's own metrics, and `confusion`, an int64 tensor of
        counts, (true class, predicted class).
    """
    metrics = {
        "confusion": ConfusionMatrix(
            len(program.classes), device=args.device, output_transform=lambda output: tuple(map(first, output))
        ),
        "loss": Loss(
            program.loss_fn,
            batch_size=lambda target: len(first(target)),
            device=args.device,
            skip_unrolling=True,  # else ignite takes two tuples for a list of outputs, each with a target of its own
        ),
        **program.metrics(args),
    }
    loader = batches.loader(dataset, args, training=False, batch_size=512, lengths=dataset.lengths)
    values = training.evaluate(args, network, loader, metrics, program.prepare_batch)
    confusion = values.pop("confusion").cpu()
    return {"accuracy": (confusion.trace() / confusion.sum()).item(), **values, "confusion": confusion}


def table(confusion, classes):
    """The classes as lines of text: what each was taken for, its recall and its precision."""
    width = max(map(len, classes)) + 2
    lines = ["".join(f"{title:>{width}}" for title in ("true \\ answer", *classes, "recall", "precision"))]
    for label, name in enumerate(classes):
        row, column = confusion[label], confusion[:, label]
        shares = (f"{(row[label] / max(1, line.sum())).item():.1%}" for line in (row, column))
        lines.append("".join(f"{cell:>{width}}" for cell in (name, *row.tolist(), *shares)))
    return "\n".join(lines)

"""What all networks of this chapter share, whatever they tell apart: flags, training, scoring, a reader's sentences."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import torch
from ignite import distributed as idist
from ignite.metrics import ConfusionMatrix, Loss

from ch05_sequence.loaders.snli import UNKNOWN, Vocabulary, parse, sentences_of, tokenize
from common import batches, cli, report, training
from common.checkpoints import load_weights
from common.errors import UserError
from common.names import printable
from common.pictures import save_confusion


@dataclass(frozen=True)
class Task:
    """What is told apart.

    Attributes:
        unit: what an example is called, in the plural.
        classes: the names of the classes, in the order of their labels.
        prepare_batch: `(batch, device, non_blocking)` to (the network's input, the target) on the device. Either the
            network gives logits, (batch, classes), and the target is the labels, (batch,), or both are dictionaries
            with more beside "logits" and "labels".
        metrics: further ignite metrics by their names; they are reported with accuracy and loss.
    """

    unit: str
    classes: tuple
    prepare_batch: Callable
    metrics: dict = field(default_factory=dict)


def flags(doc, *, epochs, batch_size, lr, **recipe):
    """The flags of `cli.parser` and those of every network that reads sentences; the keywords are their defaults."""
    # No --compile: every length of sentence would be compiled anew.
    usual = dict(epochs=epochs, batch_size=batch_size, lr=lr, omit=["--compile"], evaluate="{train,dev,test,FILE}")
    parser = cli.parser(doc, **usual, predict="SENTENCE", predict_type=printable)
    parser.set_defaults(compile=False, data=None)
    add = parser.add_argument
    add("--embed-dim", type=cli.whole(2, 1_000_000), help="(default: %(default)s)")
    add("--hidden-size", type=cli.positive_int, help="(default: %(default)s)")
    add("--dropout", type=cli.share, help="of the classifier (default: %(default)s)")
    add(
        "--word-rate",
        type=cli.positive_float,
        default=1.0,
        help="times lr, of random word vectors (default: %(default)s)",
    )
    add("--weight-decay", type=cli.share, default=0.0, help="a step's share of lr (default: %(default)s)")
    add("--vectors", metavar="FILE", help="word vectors in GloVe's format, --embed-dim numbers a word")
    add("--freeze-vectors", action="store_true", help="do not train the embedding")
    add("--patience", type=cli.positive_int, help="epochs without a better score before the end")
    add("--clip", type=cli.positive_float, help="largest norm of all gradients together (default: %(default)s)")
    parser.set_defaults(**recipe)
    return parser


def parse_flags(parser, argv=None, network=()):
    """Reads the command line. A trained run knows its network's flags, named in `network`, its data and its seed."""
    args = cli.parse(parser, argv, network=("embed_dim", "hidden_size", *network))
    args.data = args.data or config_of(args).get("data", "sample")
    args.seed = config_of(args).get("seed", args.seed)
    if args.freeze_vectors and not args.vectors:
        parser.error("--freeze-vectors belongs to --vectors FILE: random vectors must be trained")
    return args


def config_of(args):
    """The flags of the run that is scored or asked; nothing in training."""
    return args.trained["config"] if args.evaluate or args.predict else {}


def train(args, title, task, model, criterion, opt, splits, draw):
    """Trains on "train", chooses the weights by "dev", scores on "test", and draws.

    Args:
        title: the network's name, in pictures and in the last line.
        criterion: from the network's output and the target to the loss.
        draw: `(args, model, dataset, folder)`, draws what the network does.
    """
    vocabulary = splits["train"].vocabulary
    sizes = [len(splits[split]) for split in ("train", "dev", "test")]
    print(
        f"{{}} {task.unit} to train, {{}} to choose the weights by, {{}} to test; ".format(*sizes)
        + f"{len(vocabulary)} words; on {args.device}"
    )
    if args.batch_size < 2 * idist.get_world_size():
        raise UserError(f"--batch-size {args.batch_size}: expected 2 a process or more, for batch normalisation")
    lengths, groups = splits["train"].lengths, splits["train"].groups
    loader = batches.loader(splits["train"], args, training=True, lengths=lengths, groups=groups)

    def validate(model):
        figures, _ = score(args, task, model, criterion, splits["dev"])
        return {"valid_loss": figures.pop("loss"), **figures}

    run, epochs = training.train(
        args,
        model,
        opt,
        criterion,
        loader,
        validate,
        score="accuracy",
        unit=task.unit,
        prepare_batch=task.prepare_batch,
        scheduler=training.one_cycle(opt, args, loader),
        clip=args.clip,
        patience=args.patience,
        belongs={"vocabulary": vocabulary.words},
    )
    figures, confusion = score(args, task, model, criterion, splits["test"])
    figures["test_loss"] = figures.pop("loss")
    if idist.get_rank() == 0:
        report.finish(args.out, title, epochs, **run, **figures)
        show(args, task, model, splits["test"], confusion, args.out, draw)
    print(table(confusion, task.classes))
    print(
        f"{title}: {figures['accuracy']:.1%} of {sizes[2]} {task.unit} that it has not seen answered right, "
        f"after {run['seconds']:.0f} s of training; look at {args.out}"
    )


def score(args, task, model, criterion, dataset):
    """Scores a network on a split.

    Returns:
        a dictionary: `accuracy` from 0 to 1, `loss` and the task's own metrics; and the confusion, an int64 tensor of
        counts, (true class, predicted class).
    """
    metrics = {
        "confusion": ConfusionMatrix(
            len(task.classes),
            device=args.device,
            output_transform=lambda output: (part_of(output[0], "logits"), part_of(output[1], "labels")),
        ),
        "loss": Loss(criterion, batch_size=lambda target: len(part_of(target, "labels")), device=args.device),
        **task.metrics,
    }
    loader = batches.loader(dataset, args, training=False, batch_size=512, lengths=dataset.lengths)
    values = training.evaluate(args, model, loader, metrics, task.prepare_batch)
    confusion = values.pop("confusion").cpu()
    return {"accuracy": (confusion.trace() / confusion.sum()).item(), **values}, confusion


def part_of(found, name):
    """The logits of an output, or the labels of a target, that may carry more."""
    return found[name] if isinstance(found, dict) else found


def table(confusion, classes):
    """The classes as lines of text: what each was taken for, its recall and its precision."""
    width = max(map(len, classes)) + 2
    lines = ["".join(f"{title:>{width}}" for title in ("true \\ answer", *classes, "recall", "precision"))]
    for label, name in enumerate(classes):
        row, column = confusion[label], confusion[:, label]
        shares = (f"{(row[label] / max(1, line.sum())).item():.1%}" for line in (row, column))
        lines.append("".join(f"{cell:>{width}}" for cell in (name, *row.tolist(), *shares)))
    return "\n".join(lines)


def show(args, task, model, dataset, confusion, folder, draw):
    """Writes `confusion.png` and the program's own pictures."""
    model.eval()
    with report.drawing(folder), torch.no_grad():
        save_confusion(confusion, task.classes, folder / "confusion.png")
        draw(args, model, dataset, folder)


def trained(args, build):
    """The trained network of `--checkpoint`, on its device, in evaluation mode, and its vocabulary."""
    vocabulary = Vocabulary(cli.belonging(args, "vocabulary"))
    model = build(args, vocabulary)
    load_weights(model, cli.weights_of(args))
    return model.to(args.device).eval(), vocabulary


def open_to_score(args, vocabulary, open_splits, open_file, kind):
    """The split that `--evaluate` names, or the reader's own file, with the vocabulary of the trained network.

    Args:
        open_splits: `(args, vocabulary)` to the three splits.
        open_file: `(path, vocabulary)` to a data set.
        kind: what the file should be, for the message.
    """
    if args.evaluate in ("train", "dev", "test"):
        return open_splits(args, vocabulary)[args.evaluate]
    if not Path(args.evaluate).is_file():
        raise UserError(f"--evaluate {args.evaluate}: no split and no file; expected train, dev, test or {kind}")
    return open_file(args.evaluate, vocabulary)


def evaluate(args, task, model, criterion, dataset, draw):
    """Scores a trained network, prints its table and draws."""
    figures, confusion = score(args, task, model, criterion, dataset)
    if idist.get_rank() == 0:
        folder = report.evaluation(args.out, args.evaluate, {task.unit: len(dataset), **figures})
        show(args, task, model, dataset, confusion, folder, draw)
    print(table(confusion, task.classes))
    print(f"accuracy {figures['accuracy']:.4f} over the {len(dataset)} {task.unit} of {args.evaluate}")


def read_sentences(args, vocabulary):
    """The sentences of `--predict`, plain, or as binary parses with brackets, such as `((A dog) runs)`.

    Returns:
        their words, a list of lists, and `Sentences`; with transitions if all of them are parses.

    Raises:
        UserError: no word, brackets that build no tree, or no brackets where the network has to be given the parse.
    """
    found = []
    for text in args.predict:
        is_parse = text.lstrip().startswith("(")
        try:
            if is_parse:
                words, moves = parse(text.lower().replace("(", " ( ").replace(")", " ) "))
            else:
                words, moves = tokenize(text.lower()), None
                if not words:
                    raise ValueError("an empty sentence; expected words")
        except ValueError as mistake:
            raise UserError(f"--predict {text!r}: {mistake}") from None
        found.append((words, moves))
        if not is_parse and getattr(args, "transitions", None) == "gold":
            raise UserError(f"--predict {text!r}: no parse; expected '((A dog) runs)', or --transitions predicted")
    words, moves = zip(*found)
    if any(moves) and getattr(args, "transitions", None) != "gold":
        print("the brackets are not followed: this network reads the words alone", end="")
        print(", along moves of its own" if hasattr(args, "transitions") else "")
    return words, sentences_of([*map(vocabulary.lookup, words)], moves)


@torch.inference_mode()
def predict(model, vocabulary, classes, examples, inputs):
    """Prints the chances of the classes for each example, and the words that the network does not know.

    Args:
        examples: for each its text, and the lists of its words.
        inputs: the same as the network takes them, on its device.
    """
    chances = part_of(model(inputs), "logits").softmax(1).tolist()
    for (text, words), row in zip(examples, chances):
        print(text)
        unknown = dict.fromkeys(word for word in chain(*words) if vocabulary.lookup([word]) == [UNKNOWN])
        if unknown:
            print(f"  unknown words, all read as one and the same: {', '.join(unknown)}")
        print("  " + ", ".join(f"{label} {chance:.3f}" for label, chance in zip(classes, row)))

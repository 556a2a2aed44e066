"""What the three programs of chapter 5 share: flags, data, training, scoring, the table, a reader's own pairs.

A program says in a `Program` what is its own (its network, and where need be its loss, its batches, its pictures) and
calls `main`. SNLI is the default task; another data set brings its own `classes`, `open` and `read`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
import torch.nn.functional as F
from ignite import distributed as idist
from torch import optim
from torch.nn.utils.rnn import pad_sequence

from ch05_sequence.loaders.snli import LABELS, PAD, Sentences, Vocabulary, open_snli, tokenize
from ch05_sequence.loaders.vectors import load_vectors
from ch05_sequence.scoring import first, score, table
from common import batches, cli, report, training
from common.checkpoints import load_weights
from common.cli import UserError
from common.pictures import save_confusion
from data import sample
from data.sentence_pairs import make_sentence_pairs


def flags(doc, *, epochs, batch_size, lr, embed_dim, hidden_size, dropout, patience=None, clip=None):
    """The flags of `cli.parser` and those of every network that reads sentences; the keywords are their defaults."""
    # No --compile: every length of sentence would be compiled anew.
    usual = dict(epochs=epochs, batch_size=batch_size, lr=lr, omit=["--compile"])
    parser = cli.parser(doc, **usual, predict="SENTENCE", predict_type=str)
    parser.set_defaults(compile=False)
    parser.add_argument("--embed-dim", type=cli.positive_int, default=embed_dim, help="(default: %(default)s)")
    parser.add_argument("--hidden-size", type=cli.positive_int, default=hidden_size, help="(default: %(default)s)")
    parser.add_argument("--dropout", type=cli.share, default=dropout, help="of the classifier (default: %(default)s)")
    parser.add_argument("--vectors", metavar="FILE", help="word vectors in GloVe's format, --embed-dim numbers a word")
    parser.add_argument("--freeze-vectors", action="store_true", help="do not train the embedding")
    parser.add_argument(
        "--patience", type=cli.positive_int, default=patience, help="epochs without a better score before the end"
    )
    parser.add_argument("--clip", type=cli.positive_float, default=clip, help="largest norm of all gradients together")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where the numericalised sentences are kept")
    return parser


def parse(parser, network=(), argv=None):
    """Reads the command line. To score or to predict, the flags of the network are those that it was trained with.

    Args:
        network: the names of the program's own flags on which the network depends, such as `("cell", "layers")`.
    """
    args = cli.parse(parser, argv, network=("embed_dim", "hidden_size", *network))
    if args.freeze_vectors and not args.vectors:
        parser.error("--freeze-vectors belongs to --vectors FILE: random vectors must be trained")
    return args


def open_data(args):
    """The splits "train", "dev" and "test" of `--data`; the sample is written when it is first asked for."""
    root = sample(make_sentence_pairs) if args.data == "sample" else Path(args.data)
    splits = open_snli(root, cache=args.cache)
    skipped = sum({dataset.path: dataset.skipped for dataset in splits.values()}.values())
    if skipped:
        print(f"{skipped} pairs left out: their annotators did not agree on a label")
    return splits


def prepare_pairs(batch, device, non_blocking=False):
    """ignite's `prepare_batch`: a batch of `Pairs` on the device, as (premise, hypothesis) and labels."""
    (premise, hypothesis), labels = batch
    move = dict(device=device, non_blocking=non_blocking)
    return (premise.to(**move), hypothesis.to(**move)), labels.to(**move)


def pad(indices):
    """Sentences of word indices, a list of lists, as one padded batch without parses."""
    words = pad_sequence([torch.tensor(sentence) for sentence in indices], batch_first=True, padding_value=PAD)
    return Sentences(words, torch.tensor([len(sentence) for sentence in indices]), None)


def read_pairs(texts, vocabulary):
    """The sentences of `--predict`, premise and hypothesis in turn, as what a network takes.

    Returns:
        what each pair is called, a list of strings, and the batch, (premise, hypothesis).

    Raises:
        UserError: a sentence without a partner, or without a word.
    """
    if len(texts) % 2:
        raise UserError(f"--predict: {len(texts)} sentences make no pairs; expected premise and hypothesis in turn")
    tokens = [tokenize(text.lower()) for text in texts]
    if [] in tokens:
        raise UserError(f"--predict: sentence {tokens.index([]) + 1} is empty; expected words")
    known, names = set(vocabulary.words), []
    for premise, hypothesis, words in zip(texts[::2], texts[1::2], map(chain, tokens[::2], tokens[1::2])):
        unknown = ", ".join(dict.fromkeys(word for word in words if word not in known))
        told = f"\n  unknown words, all read as one and the same: {unknown}" if unknown else ""
        names.append(f"{premise} / {hypothesis}{told}")
    indices = [vocabulary.lookup(sentence) for sentence in tokens]
    return names, (pad(indices[::2]), pad(indices[1::2]))


@dataclass(frozen=True)
class Program:
    """What one program brings to the loop that all of them share.

    Attributes:
        title: the network's name, in pictures and in the last line.
        build: `(args, vocabulary)` to the network, on the CPU; its `embed` is the `nn.Embedding` of the words.
        loss_fn: from the network's output and the target to the loss.
        prepare_batch: `(batch, device, non_blocking)` to (the network's input, target) on the device.
        pictures: `(args, network, dataset)`, draws what the network does into the folder `args.out`.
        metrics: `(args)` to further ignite metrics, a dictionary; they are reported with accuracy and loss.
        open: `(args)` to the splits, a dictionary; each has a `vocabulary` and `lengths`, and loads whole batches.
        classes: the names of the classes, in the order of their labels.
        read: `(texts, vocabulary)`, from the texts of `--predict` to the examples' names and the network's input.
        unit: what an example is called, in the plural.

    Where the output or the target is a tuple, its first part is the logits, (batch, classes), or the labels, (batch,).
    """

    title: str
    build: Callable
    loss_fn: Callable = F.cross_entropy
    prepare_batch: Callable = prepare_pairs
    pictures: Callable = lambda args, network, dataset: None
    metrics: Callable = lambda args: {}
    open: Callable = open_data
    classes: tuple = LABELS
    read: Callable = read_pairs
    unit: str = "pairs"


def train(args, program):
    splits = program.open(args)
    vocabulary = splits["train"].vocabulary
    sizes = [len(splits[split]) for split in ("train", "dev", "test")]
    print(
        f"{{}} {program.unit} to train, {{}} to choose the weights by, {{}} to test; ".format(*sizes)
        + f"{len(vocabulary)} words; on {args.device}"
    )
    if args.batch_size < 2 * idist.get_world_size():
        raise UserError(f"--batch-size {args.batch_size}: expected 2 a process or more, for batch normalisation")

    network = program.build(args, vocabulary)
    if args.vectors:
        with torch.no_grad():
            # Not `weight.data = vectors` as on the page: that takes vectors of any shape without a word.
            network.embed.weight.copy_(load_vectors(args.vectors, vocabulary, args.embed_dim))
        network.embed.weight.requires_grad_(not args.freeze_vectors)
    network.to(args.device)
    optimizer = optim.Adam((weight for weight in network.parameters() if weight.requires_grad), lr=args.lr, fused=True)
    loader = batches.loader(splits["train"], args, training=True, lengths=splits["train"].lengths)
    scheduler = training.one_cycle(optimizer, args, loader)

    def validate(network):
        figures = score(args, network, splits["dev"], program)
        del figures["confusion"]
        return {"valid_loss": figures.pop("loss"), **figures}

    run, epochs = training.train(
        args,
        network,
        optimizer,
        program.loss_fn,
        loader,
        validate,
        score="accuracy",
        unit=program.unit,
        prepare_batch=program.prepare_batch,
        scheduler=scheduler,
        clip=args.clip,
        patience=args.patience,
        belongs={"vocabulary": vocabulary.words},
    )
    figures = score(args, network, splits["test"], program)
    confusion = figures.pop("confusion")
    figures["test_loss"] = figures.pop("loss")
    if idist.get_rank() == 0:
        report.finish(args.out, program.title, epochs, **run, **figures)
        draw(args, network, splits["test"], confusion, program)
    print(table(confusion, program.classes))
    print(
        f"{program.title}: {figures['accuracy']:.1%} of {sizes[2]} {program.unit} that it has not seen answered right, "
        f"after {run['seconds']:.0f} s of training; look at {args.out}"
    )


def draw(args, network, dataset, confusion, program):
    """Writes `confusion.png` and the program's own pictures into `args.out`."""
    network.eval()
    with report.drawing(args.out):
        save_confusion(confusion, program.classes, args.out / "confusion.png")
        program.pictures(args, network, dataset)


def trained(args, program):
    """The trained network of `--checkpoint`, on its device, in evaluation mode, and its vocabulary."""
    vocabulary = Vocabulary.of_words(cli.belonging(args, "vocabulary"))
    network = program.build(args, vocabulary)
    load_weights(network, cli.weights_of(args))
    return network.to(args.device).eval(), vocabulary


def evaluate(args, program):
    network, vocabulary = trained(args, program)
    splits = program.open(args)
    if args.evaluate not in splits:
        raise UserError(f"--evaluate: no split {args.evaluate!r}; expected {', '.join(splits)}")
    dataset = splits[args.evaluate]
    if dataset.vocabulary.words != vocabulary.words:
        raise UserError(
            f"--data {args.data}: its {len(dataset.vocabulary)} words are not the {len(vocabulary)} that "
            f"{cli.weights_of(args)} was trained with; expected the data of that run"
        )
    figures = score(args, network, dataset, program)
    confusion = figures.pop("confusion")
    if idist.get_rank() == 0:
        args.out = report.evaluation(args.out, args.evaluate, {program.unit: len(dataset), **figures})
        draw(args, network, dataset, confusion, program)
    print(table(confusion, program.classes))
    print(f"accuracy {figures['accuracy']:.4f} over the {len(dataset)} {program.unit} of {args.evaluate}")


@torch.inference_mode()
def predict(args, program):
    network, vocabulary = trained(args, program)
    names, inputs = program.read(args.predict, vocabulary)
    inputs, _ = program.prepare_batch((inputs, torch.zeros(len(names), dtype=torch.int64)), args.device)
    for name, chances in zip(names, first(network(inputs)).softmax(1).tolist()):
        print(name)
        print("  " + ", ".join(f"{label} {chance:.3f}" for label, chance in zip(program.classes, chances)))


def main(args, program):
    if args.predict:
        predict(args, program)
    elif args.evaluate:
        evaluate(args, program)
    else:
        train(args, program)
